/**
 * A release where a user installs it: in a clean Debian without compiler and Python, the npm package on two majors of Node, the
 * Debian package by apt with Debian's own Node. Each then says its version, checks a configuration and forwards: a daemon in a
 * network namespace that holds a TAP.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT, read } from "../house/source.ts";
import { nodeOf } from "../majors/node-of.ts";
import { CleanDebian, run, whyNoDebian } from "./clean-debian.ts";

const RELEASE = join(ROOT, "release");
const { version } = JSON.parse(read("package.json")) as { version: string };
const TGZ = `vtepd-${version}.tgz`;
const DEB = `vtepd_${version}_${process.arch === "x64" ? "amd64" : process.arch}.deb`;
const MAJORS = ["20", "24"];
const GATEWAY = `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: vm1, vsi: vsi10, tap: {device: tap-vm1}}]
control: {socket: /run/vtepd/gw1.sock}
`;
/** Starts a daemon, waits for it, asks it, looks at its page, ends it. */
const LIFE = `
vtepd run -c /etc/vtepd/gw1.yaml 2>/tmp/log & daemon=$!
tries=0
until vtepctl -s /run/vtepd/gw1.sock status >/tmp/status 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] && kill -0 $daemon || { cat /tmp/log /tmp/status; exit 1; }
  sleep 0.1
done
cat /tmp/status
vtepctl -s /run/vtepd/gw1.sock show ac
cat /proc/net/dev
vtepctl -s /run/vtepd/gw1.sock web --port 0 >/tmp/page 2>&1 & web=$!
node /root/page.mjs /tmp/page
kill -TERM $web
wait $web || true
kill -TERM $daemon
wait $daemon
echo "ended with $?"
`;

const missing = whyNoDebian();
if (missing !== undefined) console.log(`release/install.test.ts skipped: ${missing}`);

describe.skipIf(missing !== undefined)("a release", () => {
  const trees: CleanDebian[] = [];
  const tree = () => {
    const made = new CleanDebian();
    trees.push(made);
    made.write("etc/vtepd/gw1.yaml", GATEWAY);
    made.copy(join(ROOT, "test/release/page.mjs"), "root/page.mjs");
    return made;
  };
  const good = ({ status, text }: { status: number | null; text: string }) => {
    expect(status, text.slice(-4000)).toBe(0);
    return text;
  };

  beforeAll(() => {
    good(run("node", [join(ROOT, "test/set-up.mjs"), "build"]));
    good(run("node", [join(ROOT, "test/release.mjs")]));
  });
  afterAll(() => {
    for (const each of trees) each.remove();
  });

  /** What every installation must be able to do. */
  function works(debian: CleanDebian): void {
    expect(good(debian.shell("vtepd --version"))).toBe(`vtepd ${version}\n`);
    const about = JSON.parse(good(debian.shell("vtepd --version --json"))) as { addon: { loaded: boolean } };
    expect(about.addon).toEqual({ loaded: true, problem: null });
    expect(good(debian.shell("vtepctl --help"))).toContain("Usage: vtepctl");
    expect(good(debian.shell("vtepd check -c /etc/vtepd/gw1.yaml"))).toContain(
      "valid; node gw1: 1 VSI, 1 VSI-interface",
    );
    const life = good(debian.shell(LIFE, true));
    expect(life).toMatch(/vm1\s.*\bup\b/);
    expect(life).toContain("tap-vm1:");
    for (const file of ["page.js", "style.css", "icon.svg"]) expect(life).toContain(`page file ${file} 200 true`);
    expect(life).toContain("page shows gw1\n");
    expect(life).toContain("ended with 0");
  }

  it("has a sum for every file, and no file of this machine's folders", () => {
    const sums = read("release/SHA256SUMS").trim().split("\n");
    const made = readdirSync(RELEASE).filter((name) => name !== "SHA256SUMS");
    expect(made).toEqual(expect.arrayContaining([TGZ, DEB]));
    expect(sums).toEqual(
      made.sort().map((name) => {
        const sum = createHash("sha256")
          .update(readFileSync(join(RELEASE, name)))
          .digest("hex");
        return `${sum}  ${name}`;
      }),
    );
    const listed = good(run("tar", ["-tzf", join(RELEASE, TGZ)])).split("\n");
    expect(listed.filter((name) => !name.startsWith("package/") && name !== "")).toEqual([]);
    expect(listed.filter((name) => /\.(ts|map|tsbuildinfo)$/.test(name) && !name.includes("node_modules"))).toEqual([]);
  });

  it("compiles the addon where no prebuilt one loads, and says what that takes", () => {
    const folder = mkdtempSync(join(tmpdir(), "vtepd-compile-"));
    try {
      good(run("tar", ["-xzf", join(RELEASE, TGZ), "-C", folder]));
      const home = join(folder, "package");
      const install = (env: NodeJS.ProcessEnv) =>
        run(process.execPath, [join(home, "native-bindings/compile.mjs")], env);
      const addon = () => run(process.execPath, [join(home, "dist/main.js"), "--version", "--json"]).text;
      expect(good(install({ PATH: "/nowhere" }))).toBe("");
      rmSync(join(home, "native-bindings/prebuilt"), { recursive: true });
      expect(addon()).toContain(`run: npx node-gyp rebuild -C ${home}/native-bindings`);
      const refused = install({ PATH: "/nowhere" });
      expect(refused.status).toBe(1);
      expect(refused.text).toContain("that takes g++, make and python3");
      const gyp = join(run("npm", ["root", "-g"]).text.trim(), "npm/node_modules/node-gyp/bin/node-gyp.js");
      good(install({ ...process.env, npm_config_node_gyp: gyp }));
      expect(addon()).toContain('"loaded": true');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.for(MAJORS)("installs by npm without a compiler and runs on Node %s", (major, context) => {
    const node = nodeOf(major, join(ROOT, `.set-up/node-${major}`));
    if ("missing" in node) return context.skip(node.missing);
    const debian = tree();
    const npm = join(run("npm", ["root", "-g"]).text.trim(), "npm");
    debian.copy(join(node.bin, "node"), "opt/node/bin/node");
    debian.copy(realpathSync(npm), "opt/node/lib/node_modules/npm");
    debian.shell("ln -s ../lib/node_modules/npm/bin/npm-cli.js /opt/node/bin/npm");
    debian.copy(join(RELEASE, TGZ), `root/${TGZ}`);
    expect(debian.shell("command -v gcc cc g++ make python3").status).not.toBe(0);
    // No registry either: what the package needs, it brings.
    const said = good(debian.shell(`cd /root && npm install -g --fetch-retries=0 ./${TGZ}`, true));
    expect(said).toMatch(/added \d+ packages?/);
    works(debian);
    const doctor = debian.shell("vtepctl doctor --config /etc/vtepd/gw1.yaml").text;
    expect(doctor).not.toContain("npm run build");
    expect(doctor).toContain("npm install --no-save --prefix /opt/node/lib/node_modules/vtepd raw-socket");
  });

  it("installs by apt, which brings Node, and runs as a service would", (context) => {
    const debian = tree();
    const lists = debian.shell("apt-get -q update");
    // Without a network it warns, and ends with 0.
    if (/resolv|onnect/.test(lists.text)) return context.skip(`no Debian mirror answers: ${lists.text.trim()}`);
    expect(good(lists)).not.toMatch(/^[WE]:/m);
    debian.copy(join(RELEASE, DEB), `root/${DEB}`);
    good(debian.shell(`apt-get install -q -y --no-install-recommends /root/${DEB}`));
    works(debian);
    const facts = good(
      debian.shell(`getent passwd vtepd; stat -c '%U:%G %a' /etc/vtepd; dpkg -V vtepd; ls -l /usr/share/man/man8
        zcat /usr/share/man/man5/vtepd.yaml.5.gz | head -1; sh -c '. /usr/share/bash-completion/completions/vtepctl' || true`),
    );
    expect(facts).toMatch(/^vtepd:x:\d+:\d+:.*nologin$/m);
    expect(facts).toContain("root:vtepd 750");
    expect(facts).toContain("vtepd.8.gz");
    // The unit's commands are there, and the user whom it names may read what it reads.
    const unit = good(debian.shell("cat /usr/lib/systemd/system/vtepd@.service"));
    const check = /^ExecStart=(.*)$/m.exec(unit)![1]!.replace(" run ", " check ");
    good(debian.shell(`chgrp vtepd /etc/vtepd/gw1.yaml && chmod 640 /etc/vtepd/gw1.yaml`));
    const asUser = `setpriv --reuid=vtepd --regid=vtepd --clear-groups ${check.replaceAll("%i", "gw1")}`;
    expect(good(debian.shell(asUser))).toContain("valid; node gw1");
    good(debian.shell("apt-get purge -q -y vtepd"));
    expect(debian.shell("ls /usr/lib/vtepd /usr/bin/vtepd").status).not.toBe(0);
    expect(good(debian.shell("cat /etc/vtepd/gw1.yaml"))).toBe(GATEWAY);
  });
});
