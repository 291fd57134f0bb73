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
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { describeReal } from "../netns/gateways.ts";

const LAB = fileURLToPath(new URL("../../docker/lab", import.meta.url));
const ENGINE = fileURLToPath(new URL("../../docker/engine", import.meta.url));
const PROJECT = "vtepd-lab-test";
const OWN_ENGINE = "/run/vtepd-docker";
const EX_UNAVAILABLE = 69;
const env = { ...process.env, VTEPD_LAB: PROJECT, PROMETHEUS_PORT: "0" };

const works = (program: string, ...args: string[]) => spawnSync(program, args, { stdio: "ignore" }).status === 0;

function whyNoDocker(): string | undefined {
  if (!works("docker", "--version")) return "docker is missing (apt-get install docker.io docker-compose)";
  if (!works("docker", "compose", "version") && !works("docker-compose", "version")) return "compose is missing";
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing";
  if (works("docker", "version")) return undefined;
  if (process.getuid?.() !== 0) return "no Docker engine answers, and starting one needs root";
  return works("dockerd", "--version") ? undefined : "no Docker engine answers, and dockerd is missing";
}

interface Ended {
  readonly code: number | null;
  readonly lines: string[];
  /** The last line on stderr. */
  readonly said: string;
}

let keeper: ChildProcess | undefined;

/** Run docker/lab; its words go on to the terminal as they come. */
function lab(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(LAB, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    keeper?.stdin?.write(`${child.pid}\n`);
    let text = "";
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
      process.stdout.write(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
      process.stderr.write(chunk);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      keeper?.stdin?.write("none\n");
      resolve({ code, lines: text.trim().split("\n"), said: said.trim().split("\n").at(-1) ?? "" });
    });
  });
}

/** One run at a time on this machine; and `down`, when this process ends without a word. Resolves when it is our turn. */
function caretaker(): Promise<ChildProcess> {
  const lock = join(tmpdir(), `vtepd-docker-test.${process.getuid?.()}.lock`);
  // It is told the process group of each docker/lab, which would go on without us and start anew what `down` stopped.
  const script =
    'echo ours; while read word; do [ $word = done ] && exit; group=$word; done; kill -- -$group; "$0" down';
  const child = spawn("flock", [lock, "sh", "-c", script, LAB], {
    env,
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const wait = setTimeout(() => console.log("another run has the Docker lab; waiting for it"), 3000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.stdout!.once("data", () => {
      clearTimeout(wait);
      child.stdout!.destroy();
      resolve(child);
    });
  });
}

/** What must have been looked at; each pattern fits the checks' lines so often. */
const CHECKS: readonly [what: string, pattern: RegExp, times: number][] = [
  ["all containers are healthy", /^✓ all containers are healthy$/, 1],
  ["gateways have neither root nor a capability", /^✓ (gw1|gw2|border): user [1-9]\d*, no capability/, 3],
  ["gateways have a read-only file system and no TUN device", /^✓ \w+: read-only file system, no TUN device$/, 3],
  ["VMs and the outside reach each other, with the right TTL", /^✓ \w+ -> \w+ \((other|same|outside|from)/, 8],
  ["the real outside is reached through a router with NAT", /^✓ (vm1 -> stranger .*NAT|outside: vm2 reaches)/, 2],
  ["the MTU is right by default", /^✓ packets of 1450 bytes/, 1],
  ["TCP between containers, both ways and outward", /^✓ iperf3 .*: [\d.]+ Gbit\/s/, 3],
  ["Prometheus sees all targets", /^✓ Prometheus: 3 of 3 targets/, 1],
  ["Prometheus's counters grow with traffic", /^✓ Prometheus: .* grew from \d+ to \d+/, 1],
  ["no alert on a healthy lab", /^✓ Prometheus: no gateway or tunnel is reported down/, 1],
  ["a restart costs at most a second, and no connection", /^✓ docker compose restart gw1: /, 5],
  ["a sudden death costs at most a second, and no connection", /^✓ kill -9 of gw1: /, 5],
  ["the engine restarts a gateway that died", /^✓ gw1 was restarted by the engine$/, 1],
  ["a VM restarts", /^✓ vm1 -> vm4 \(after a restart of vm4\)/, 1],
  ["wrong claims are refused, and nobody notices", /^✓ .* is refused: .*; vm1 loses nothing$/, 2],
];

/** What a lab could leave on this machine. */
function traces() {
  const processes = readdirSync("/proc").filter((pid) => {
    try {
      const words = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : "";
      return /^\S*(dockerd|containerd[\w-]*)\0/.test(words) && words.includes(OWN_ENGINE);
    } catch {
      return false; // it ended meanwhile
    }
  });
  return {
    devices: readdirSync("/sys/class/net")
      .filter((name) => /^(br-|docker|veth[0-9a-f]{7}$)/.test(name))
      .sort(),
    mounts: readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => /vtepd-docker|\/vtepd-base/.test(line)),
    processes,
    rules: spawnSync("iptables-save", { encoding: "utf8" }).stdout?.replaceAll(/^#.*\n|\[\d+:\d+\]/gm, ""),
    forwarding: readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"),
  };
}

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
    keeper = await caretaker();
    // What a run left that was killed together with its caretaker.
    if (existsSync(OWN_ENGINE) || works("docker", "version")) await lab("down");
    before = traces();
    const images = await lab("images");
    if (images.code === EX_UNAVAILABLE) {
      unable = images.said;
      return;
    }
    up = (await lab("up", "--profile", "outside")).code;
    isOwnEngine = existsSync(`${OWN_ENGINE}/by-lab`);
    if (up === 0) lines = (await lab("test")).lines;
  });
  beforeEach(({ skip }) => skip(unable !== undefined, unable));
  afterAll(async () => {
    // Also when it never came up: an engine may have been started for it.
    const isUp = existsSync(new URL(`../../docker/.lab/${PROJECT}`, import.meta.url));
    if (isUp || existsSync(`${OWN_ENGINE}/by-lab`)) await lab("down");
    keeper?.stdin?.end("done\n");
  });

  it("comes up", () => expect(up).toBe(0));

  it("has nothing that does not hold", () => {
    expect(lines.filter((line) => line.startsWith("✗"))).toEqual([]);
    expect(lines.at(-1)).toBe("all checks passed");
  });

  it.each(CHECKS)("%s", (_, pattern, times) => {
    expect(lines.filter((line) => pattern.test(line))).toHaveLength(times);
  });

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
    expect((await lab("down")).code).toBe(0);
    expect(traces()).toEqual(before);
    // An engine of its own is asked once more what it remembers; it stays if somebody else's lab is up in it.
    const isEngineGone = isOwnEngine && !existsSync(OWN_ENGINE);
    if (isEngineGone) expect(spawnSync(ENGINE, ["start"]).status).toBe(0);
    for (const args of what) expect(docker(...args), args.join(" ")).toBe("");
    if (isEngineGone) expect(spawnSync(ENGINE, ["stop"]).status).toBe(0);
    expect(existsSync(OWN_ENGINE)).toBe(isOwnEngine && !isEngineGone);
  });
});
