/**
 * The Debian package: the npm package in /usr/lib/vtepd, and around it what a service needs. It brings no Node: Debian 13's
 * `nodejs` is new enough, and for Debian 12 and Ubuntu there is NodeSource's package of the same name.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { fail, filesUnder, ROOT, run } from "../set-up/workshop.mjs";
import { glibcOf } from "./addons.mjs";

const HOME = "usr/lib/vtepd";
const DOC = "usr/share/doc/vtepd";
const PAGES = { "vtepctl.1": "man1", "vtepd.8": "man8", "vtepd.yaml.5": "man5" };
const COMPLETIONS = {
  bash: "usr/share/bash-completion/completions/vtepctl",
  zsh: "usr/share/zsh/vendor-completions/_vtepctl",
  fish: "usr/share/fish/vendor_completions.d/vtepctl.fish",
};

/** The user before the files' owner is set; gateways that ran before the upgrade run the new version after it. */
const POSTINST = `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  getent passwd vtepd >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vtepd
  chown root:vtepd /etc/vtepd
  chmod 0750 /etc/vtepd
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    [ -z "$2" ] || systemctl try-restart 'vtepd@*.service' || true
  fi
fi
`;
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl stop 'vtepd@*.service' || true
fi
`;
const POSTRM = `#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "$1" = purge ]; then
  rm -rf /var/lib/vtepd /run/vtepd /run/vtepd-*
  rmdir --ignore-fail-on-non-empty /etc/vtepd 2>/dev/null || true
fi
`;

/** Debian's `control`: what apt asks before it unpacks. */
function control(version, { debian, file }, kilobytes) {
  const { description, engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const node = engines.node.replace(">=", "");
  return `Package: vtepd
Version: ${version}
Architecture: ${debian}
Maintainer: the vtepd authors <vtepd@localhost>
Installed-Size: ${kilobytes}
Depends: nodejs (>= ${node}), libc6 (>= ${glibcOf(file)}), libstdc++6, passwd
Suggests: tcpdump
Section: net
Priority: optional
Description: ${description[0].toLowerCase()}${description.slice(1)}
 Each gateway (VTEP) takes Ethernet frames from TAP devices, answers ARP by local
 proxy, routes between VXLANs and encapsulates in VXLAN (RFC 7348) to its peers.
 .
 vtepd is the daemon, a systemd service for each file in /etc/vtepd; vtepctl shows,
 explains and changes what it does.
`;
}

export async function makeDeb(folder, version, tgz, machine) {
  const tree = join(ROOT, ".set-up/release", `deb-${machine.debian}`);
  const put = (path, content, mode = 0o644) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content, { mode });
  };
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(join(tree, HOME), { recursive: true });
  const unpack = ["-xzf", tgz, "--strip-components=1", "-C", join(tree, HOME), "--no-same-owner"];
  if ((await run("tar", "tar", unpack)) !== 0) fail(`${tgz} could not be unpacked`);
  keepOnly(tree, machine);

  mkdirSync(join(tree, "usr/bin"));
  for (const [name, file] of [
    ["vtepd", "main.js"],
    ["vtepctl", "ctl/main.js"],
  ])
    symlinkSync(`../lib/vtepd/dist/${file}`, join(tree, "usr/bin", name));
  const ctl = (...args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, "dist/ctl/main.js"), ...args]);
    return status === 0 ? stdout : fail(`vtepctl ${args.join(" ")}: ${stderr}`);
  };
  for (const [page, section] of Object.entries(PAGES))
    put(`usr/share/man/${section}/${page}.gz`, gzipSync(ctl("man", page), { level: 9 }));
  for (const [shell, path] of Object.entries(COMPLETIONS)) put(path, ctl("completion", shell));
  put("usr/lib/systemd/system/vtepd@.service", readFileSync(join(ROOT, "deploy/systemd/vtepd@.service")));
  mkdirSync(join(tree, "etc/vtepd"), { recursive: true });
  put(`${DOC}/copyright`, readFileSync(join(ROOT, "LICENSE")));

  const files = filesUnder(tree);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const sums = files.map((file) => `${md5(file)}  ${relative(tree, file)}\n`);
  put("DEBIAN/control", control(version, machine, Math.ceil(bytes / 1024)));
  put("DEBIAN/md5sums", sums.join(""));
  for (const [name, script] of Object.entries({ postinst: POSTINST, prerm: PRERM, postrm: POSTRM }))
    put(`DEBIAN/${name}`, script, 0o755);
  const deb = join(folder, `vtepd_${version}_${machine.debian}.deb`);
  const build = ["--root-owner-group", "-Zgzip", "--build", tree, deb];
  if ((await run(`dpkg-deb ${machine.debian}`, "dpkg-deb", build)) !== 0) fail("dpkg-deb could not make the package");
}

/** Without what only other machines need, and with documents where Debian has them. */
function keepOnly(tree, machine) {
  const home = join(tree, HOME);
  const bindings = join(home, "native-bindings");
  for (const name of readdirSync(bindings)) if (name !== "prebuilt") rmSync(join(bindings, name));
  for (const name of readdirSync(join(bindings, "prebuilt")))
    if (name !== machine.name) rmSync(join(bindings, "prebuilt", name), { recursive: true });
  mkdirSync(join(tree, DOC), { recursive: true });
  for (const [from, to] of [
    ["docs/examples", "examples"],
    ["docs", "docs"],
    ["README.md", "README.md"],
    ["CHANGELOG.md", "CHANGELOG.md"],
    ["deploy", "deploy"],
  ]) {
    if (!existsSync(join(home, from))) continue;
    cpSync(join(home, from), join(tree, DOC, to), { recursive: true });
    rmSync(join(home, from), { recursive: true });
  }
  rmSync(join(home, "LICENSE"));
  for (const program of ["dist/main.js", "dist/ctl/main.js"]) chmodSync(join(home, program), 0o755);
}

const md5 = (file) => createHash("md5").update(readFileSync(file)).digest("hex");
