/**
 * The Docker lab from end to end, as a user runs it: `docker/lab up`, `docker/lab test`, `docker/lab down`, with whatever
 * of engine, base image and Prometheus is missing made on the way.
 *
 * docker/checks says what holds, in one line for each check; here those lines become tests, so that none can go missing
 * unseen. The lab has a project name of its own and disturbs none that is up. What was started is stopped: the engine too,
 * if it was ours (its images stay for the next time, in /var/lib/vtepd-docker). A caretaker sees to that, should this
 * process die before: its lifeline is a pipe. It also holds the lock that keeps two runs on one machine apart.
 *
 * Where the engine does not start, or nothing can be built for want of a network, the tests are skipped and say so; what
 * the lab does once its images are there is no matter of luck any more.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { describeReal } from "../netns/gateways.ts";
import {
  caretaker,
  dismiss,
  ENGINE,
  EX_UNAVAILABLE,
  env,
  freePort,
  LAB,
  lab,
  notPrinted,
  OWN_ENGINE,
  PROJECT,
  quotedIn,
  TREE,
  traces,
  whyNoDocker,
  works,
} from "./docker-lab.ts";
import { type Check, judge, upAndChecked } from "./suite.ts";

/** What must have been looked at; each pattern fits the checks' lines so often. */
const CHECKS: readonly Check[] = [
  ["all containers are healthy", /^✓ all containers are healthy$/, 1],
  ["gateways have neither root nor a capability", /^✓ (gw1|gw2|border): user [1-9]\d*, no capability/, 3],
  ["gateways have a read-only file system and no TUN device", /^✓ \w+: read-only file system, no TUN device$/, 3],
  ["VMs and the outside reach each other, with the right TTL", /^✓ \w+ -> \w+ \((other|same|outside|from)/, 8],
  ["by IPv6 too, with the right hop limit", /^✓ \w+ -> \w+ \(IPv6, (other|same|outside)/, 6],
  ["the real outside is reached through a router with NAT", /^✓ (vm1 -> stranger .*NAT|outside: vm2 reaches)/, 2],
  ["the MTU is right by default", /^✓ packets of 1450 bytes/, 1],
  ["TCP between containers, both ways, outward, and by IPv6", /^✓ iperf3 .*: [\d.]+ Gbit\/s/, 4],
  ["Prometheus sees all targets", /^✓ Prometheus: 3 of 3 targets/, 1],
  ["Prometheus's counters grow with traffic", /^✓ Prometheus: .* grew from \d+ to \d+/, 1],
  ["no alert on a healthy lab", /^✓ Prometheus: no gateway or tunnel is reported down/, 1],
  ["a restart costs at most a second, and no connection", /^✓ docker compose restart gw1: /, 5],
  ["a sudden death costs at most a second, and no connection", /^✓ kill -9 of gw1: /, 5],
  ["the engine restarts a gateway that died", /^✓ gw1 was restarted by the engine$/, 1],
  ["a VM restarts", /^✓ vm1 -> vm4 \(after a restart of vm4\)/, 1],
  ["wrong claims are refused, and no host notices", /^✓ .* is refused: .*; vm1 loses nothing$/, 2],
  ["a VM cannot take its gateway's place", /^✓ vm1 can neither remove its gateway's socket nor put one/, 1],
  ["all nodes are shown, as a table and as JSON", /^✓ inspect /, 3],
  ["the underlay can be watched and asked", /^✓ (capture|ping reaches)/, 3],
  ["gateways watch each other without a capability", /^✓ (a gateway without any right|and its doctor says by what)/, 2],
  ["a gateway's death fires its alert", /^✓ (a gateway that stays away|and VtepTunnelDown fires|both end with)/, 3],
  ["an edited configuration shows, comes into force, and goes", /^✓ (an edited|reload takes|and it is in force)/, 4],
  ["a VM is added and removed, and nothing is left of it", /^✓ (add-vm|vm4 -> vm7|remove-vm|gw1.yaml is as it was)/, 5],
  ["an AC that would be refused changes nothing", /^✓ an AC that a gateway would refuse changes nothing/, 1],
  ["what does not run is told of, with what to do", /^✓ a node that /, 2],
  ["a plain up keeps what the first one was told", /^✓ a plain up keeps/, 1],
];

describeReal(whyNoDocker(), "docker/lab", () => {
  let unable: string | undefined;
  let before: ReturnType<typeof traces>;
  let up: number | null = null;
  let lines: string[] = [];
  let isOwnEngine = false;

  const docker = (...args: string[]) => {
    const host = isOwnEngine ? { DOCKER_HOST: `unix://${OWN_ENGINE}/docker.sock` } : {};
    return spawnSync("docker", args, { encoding: "utf8", env: { ...process.env, ...host } }).stdout;
  };

  beforeAll(async () => {
    await caretaker();
    // What a run left that was killed together with its caretaker.
    if (existsSync(OWN_ENGINE) || works("docker", "version")) await lab("down");
    before = traces();
    const images = await lab("images");
    if (images.code === EX_UNAVAILABLE) {
      unable = images.said;
      return;
    }
    const checked = await upAndChecked("--profile", "outside");
    up = checked.up.code;
    lines = checked.lines;
    isOwnEngine = existsSync(`${OWN_ENGINE}/by-lab`);
  });
  beforeEach(({ skip }) => skip(unable !== undefined, unable));
  afterAll(async () => {
    // Also when it never came up: an engine may have been started for it.
    const isUp = existsSync(new URL(`../../docker/.lab/${PROJECT}`, import.meta.url));
    if (isUp || existsSync(`${OWN_ENGINE}/by-lab`)) await lab("down");
    dismiss();
  });

  judge(
    CHECKS,
    () => up,
    () => lines,
  );

  it("shows all gateways in the page of vtepctl web, and walks", async () => {
    const { urls } = JSON.parse((await lab("inspect", "--json")).lines.join("\n")) as { urls: { look: string } };
    const { origin, hash } = new URL(urls.look);
    const headers = { authorization: `Bearer ${hash.slice("#t=".length)}` };
    const answer = await fetch(`${origin}/api/fabric`, { headers });
    const { gateways } = (await answer.json()) as { gateways: { node: string; acs: unknown[] }[] };
    expect(gateways.map(({ node, acs }) => `${node} ${acs.length}`).sort()).toEqual(["border 2", "gw1 3", "gw2 3"]);
    expect((await fetch(`${origin}/api/fabric`)).status).toBe(401);
    expect(await lab("walk", "2")).toMatchObject({
      ...{ code: 0, lines: expect.arrayContaining([expect.stringContaining(" 1 received")]) },
    });
  });

  it("prints what docs/docker.md quotes of it, figures apart", () => {
    const quoted = quotedIn("Crashes and restarts");
    expect(quoted.length).toBeGreaterThan(0);
    expect(notPrinted(quoted, lines)).toEqual([]);
    // The guide says "less than a second of its own".
    for (const line of quoted) {
      const [, lost, engine] = /\((\d+) ms; the engine took (\d+)\)/.exec(line) ?? [];
      expect(Number(lost) - Number(engine), line).toBeLessThan(1000);
    }
  });

  it.skipIf(process.getuid?.() !== 0)("notices a firewall between the gateways, and says what to look at", () => {
    const told = lines.filter((line) =>
      /^✓ (gateways that do not reach|with the firewall|and when they do again)/.test(line),
    );
    expect(told).toHaveLength(3);
  });

  it.each([
    [["up", "--profil", "outside"], 2, "up knows no --profil"],
    [["up", "--profile"], 2, "--profile needs a name: borders evpn outside"],
    [["up", "--profile", "inside"], 2, "there is no profile inside; there is: borders evpn outside"],
    [["up", "--scenario", "none"], 2, "there is no scenario none; there is: central"],
    [["add-vm", "vm9", "--gateway", "gw1"], 2, "add-vm needs --gateway, --vsi and --address"],
  ])("refuses words that make no sense, before it makes anything: %s", async (args, code, said) => {
    const ended = await lab(...args);
    expect(ended.code).toBe(code);
    expect(ended.said).toContain(said);
  });

  it("says at once that a port is taken, and by which name another one is chosen", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const other = { VTEPD_LAB: "vtepd-lab-other", PROMETHEUS_PORT: String(port) };
    const ended = spawnSync(LAB, ["up"], { encoding: "utf8", env: { ...env, ...other }, timeout: 20_000 });
    server.close();
    expect(ended.stderr).toContain(`port ${port} of this machine is taken: PROMETHEUS_PORT=9091 docker/lab up`);
    expect(ended.status).toBe(1);
  });

  it("ends with all its children at Ctrl-C, and says what there is and what clears it", {
    timeout: 120_000,
  }, async () => {
    const second = { ...env, VTEPD_LAB: "vtepd-lab-second", WEB_PORT: await freePort() };
    const child = spawn(LAB, ["up"], { env: second, detached: true, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
      if (said.includes("waiting until all are healthy") && !said.includes("interrupted"))
        process.kill(-child.pid!, "SIGINT");
    });
    const [code] = (await once(child, "close")) as [number];
    const left = readdirSync("/proc").filter((pid) => {
      try {
        return (
          /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes("VTEPD_LAB=vtepd-lab-second\0")
        );
      } catch {
        return false;
      }
    });
    const down = spawnSync(LAB, ["down"], { env: second });
    // A second lab at the same time has another underlay.
    expect(said).toMatch(/the underlay is not 192\.0\.2\.0\/24: /);
    expect(said).toMatch(
      /interrupted: stopping; what has started stays up; docker\/lab up goes on, docker\/lab down clears it\n$/,
    );
    expect(code).toBe(130);
    expect(left).toEqual([]);
    expect(down.status).toBe(0);
  });

  it.skipIf(process.getuid?.() !== 0)(
    "goes up for a member of the engine's group, once the images are there",
    {
      timeout: 300_000,
    },
    async ({ skip }) => {
      const socket = isOwnEngine ? `${OWN_ENGINE}/docker.sock` : "/run/docker.sock";
      const group = existsSync(socket) ? statSync(socket).gid : 0;
      skip(group === 0, `${socket} belongs to no group but root's`);
      // A clone of this member's own: what git knows, as it stands here.
      const clone = mkdtempSync(join(tmpdir(), "vtepd-member-"));
      try {
        const copy = 'git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$0"';
        expect(spawnSync("sh", ["-c", copy, clone], { cwd: TREE, stdio: "inherit" }).status).toBe(0);
        expect(spawnSync("chown", ["-R", "65534:65534", clone]).status).toBe(0);
        const webPort = await freePort();
        const member = (...args: string[]) => {
          const user = [
            "--reuid=65534",
            "--regid=65534",
            `--groups=${group}`,
            "--bounding-set=-all",
            "--inh-caps=-all",
          ];
          return spawnSync("setpriv", [...user, join(clone, "docker/lab"), ...args], {
            encoding: "utf8",
            env: { ...env, HOME: clone, VTEPD_LAB: "vtepd-lab-member", WEB_PORT: webPort },
          });
        };
        const up = member("up");
        const ping = member("exec", "vm1", "ping", "-n", "-c", "2", "-W", "3", "20.1.1.12");
        const down = member("down");
        expect(up.stderr).toMatch(/^lab: up\. Try: /m);
        expect(ping.stdout).toMatch(/ ttl=62 /);
        expect([up.status, ping.status, down.status]).toEqual([0, 0, 0]);
      } finally {
        rmSync(clone, { recursive: true });
      }
    },
  );

  it("keeps compilers and sources out of its image", () => {
    const look =
      "command -v cc g++ make; find /opt/vtepd -path '*/node_modules' -prune -o -name '*.cc' -print; echo end";
    expect(docker("run", "--rm", "--network", "none", "vtepd:lab", "sh", "-c", look)).toBe("end\n");
  });

  it("leaves nothing behind", async () => {
    const label = `label=com.docker.compose.project=${PROJECT}`;
    const what = [
      ["ps", "-aq", "--filter", label],
      ["network", "ls", "-q", "--filter", label],
      ["volume", "ls", "-q", "--filter", label],
    ];
    for (const args of what) expect(docker(...args), args.join(" ")).not.toBe("");
    // An engine of ours may crash: `down` starts it again, for only an engine can take away what it left.
    if (isOwnEngine) process.kill(Number(readFileSync(`${OWN_ENGINE}/dockerd.pid`, "utf8")), "SIGKILL");
    expect((await lab("down")).code).toBe(0);
    expect(traces()).toEqual(before);
    // An engine of its own is asked once more what it remembers; it stays if somebody else's lab is up in it.
    const isEngineGone = isOwnEngine && !existsSync(OWN_ENGINE);
    if (isEngineGone) expect(spawnSync(ENGINE, ["start"]).status).toBe(0);
    for (const args of what) expect(docker(...args), args.join(" ")).toBe("");
    if (isEngineGone) expect(spawnSync(ENGINE, ["stop"]).status).toBe(0);
    expect(existsSync(OWN_ENGINE)).toBe(isOwnEngine && !isEngineGone);
  });

  it.skipIf(process.getuid?.() !== 0)(
    "the article's first scheme, and the article's underlay where it is free",
    {
      timeout: 300_000,
    },
    async ({ skip }) => {
      skip(
        existsSync(OWN_ENGINE) || works("docker", "version"),
        "an engine runs already, in a namespace of its own choice",
      );
      // In a network namespace of its own the engine meets no address of this machine; what it builds is built already.
      const script = `
      ip link set lo up
      "$0" up --scenario central
      "$0" inspect --json
      "$0" test
      "$0" down`;
      const { stdout, stderr } = spawnSync("unshare", ["--net", "sh", "-c", script, LAB], { encoding: "utf8", env });
      expect(stderr).not.toContain("the underlay is not 192.0.2.0/24");
      expect(stderr).toMatch(/^lab: up\. Try: .*same site, and yet by the gateway at the Border/m);
      expect(stdout).toContain('"underlay": "192.0.2.0/24"');
      expect(stdout).toContain('"scenario": "central"');
      // Same site and other site alike: routed once, by the one gateway; bridged within a VXLAN.
      const ttls = [...stdout.matchAll(/^✓ \w+ -> \w+ .*ttl (\d+) \(expected/gm)].map(([, ttl]) => ttl);
      expect(ttls).toEqual(["63", "64", "63", "63", "63"]);
      expect(stdout).toMatch(/^✓ the gateway's tunnels are up$/m);
      expect(stdout).toMatch(/^all checks passed$/m);
      expect(existsSync(OWN_ENGINE)).toBe(false);
      expect(traces()).toEqual(before);
    },
  );
});
