/**
 * The Docker lab from end to end, as a user runs it: `docker/lab up`, `docker/lab test`, `docker/lab down`, with whatever
 * of engine, base image and Prometheus is missing made on the way.
 *
 * docker/checks says what holds, in one line for each check; here those lines become tests, so that none can go missing
 * unseen. The lab has a project name of its own and disturbs none that is up. What was started is stopped: the engine too,
 * if it was ours (its images stay for the next time, in /var/lib/vtepd-docker).
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const LAB = fileURLToPath(new URL("../../docker/lab", import.meta.url));
const ENGINE = fileURLToPath(new URL("../../docker/engine", import.meta.url));
const PROJECT = "vtepd-lab-test";
const OWN_ENGINE = "/run/vtepd-docker/docker.sock";
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

const whyNot = whyNoDocker();
if (whyNot !== undefined) console.log(`lab.test.ts skipped: ${whyNot}`);

/** Run docker/lab; its words go on to the terminal as they come. */
function lab(verb: string): Promise<{ code: number | null; lines: string[] }> {
  return new Promise((resolve, reject) => {
    const child = spawn(LAB, [verb], { env, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
      process.stdout.write(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, lines: text.trim().split("\n") }));
  });
}

/** What must have been looked at; each pattern fits the checks' lines so often. */
const CHECKS: readonly [what: string, pattern: RegExp, times: number][] = [
  ["all containers are healthy", /^✓ all containers are healthy$/, 1],
  ["gateways have neither root nor a capability", /^✓ (gw1|gw2|border): user [1-9]\d*, no capability/, 3],
  ["gateways have a read-only file system and no TUN device", /^✓ \w+: read-only file system, no TUN device$/, 3],
  ["VMs and the outside reach each other, with the right TTL", /^✓ \w+ -> \w+ \((other|same|outside|from)/, 8],
  ["the MTU is right by default", /^✓ packets of 1450 bytes/, 1],
  ["TCP between containers, both ways and outward", /^✓ iperf3 .*: [\d.]+ Gbit\/s$/, 3],
  ["Prometheus sees all targets", /^✓ Prometheus: 3 of 3 targets/, 1],
  ["Prometheus's counters grow with traffic", /^✓ Prometheus: .* grew from \d+ to \d+/, 1],
  ["no alert on a healthy lab", /^✓ Prometheus: no gateway or tunnel is reported down/, 1],
  ["a restart costs at most a second, and no connection", /^✓ docker compose restart gw1: /, 2],
  ["a sudden death costs at most a second, and no connection", /^✓ kill -9 of gw1: /, 2],
  ["the engine restarts a gateway that died", /^✓ gw1 was restarted by the engine$/, 1],
  ["a VM restarts", /^✓ vm1 -> vm4 \(after a restart of vm4\)/, 1],
  ["wrong claims are refused, and nobody notices", /^✓ .* is refused: .*; vm1 loses nothing$/, 2],
];

describe.skipIf(whyNot !== undefined)("docker/lab", () => {
  let up: number | null = null;
  let lines: string[] = [];
  let isOwnEngine = false;

  const docker = (...args: string[]) => {
    const host = isOwnEngine ? { DOCKER_HOST: `unix://${OWN_ENGINE}` } : {};
    return spawnSync("docker", args, { encoding: "utf8", env: { ...process.env, ...host } }).stdout;
  };

  beforeAll(async () => {
    up = (await lab("up")).code;
    isOwnEngine = existsSync("/run/vtepd-docker/by-lab");
    if (up === 0) lines = (await lab("test")).lines;
  });
  afterAll(async () => {
    // Also when it never came up: an engine may have been started for it.
    const isUp = existsSync(new URL(`../../docker/.lab/${PROJECT}`, import.meta.url));
    if (isUp || existsSync("/run/vtepd-docker/by-lab")) await lab("down");
  });

  it("comes up", () => expect(up).toBe(0));

  it("has nothing that does not hold", () => {
    expect(lines.filter((line) => line.startsWith("✗"))).toEqual([]);
    expect(lines.at(-1)).toBe("all checks passed");
  });

  it.each(CHECKS)("%s", (_, pattern, times) => {
    expect(lines.filter((line) => pattern.test(line))).toHaveLength(times);
  });

  it("keeps compilers out of its image", () => {
    const found = docker(
      "run",
      "--rm",
      "--network",
      "none",
      "vtepd:lab",
      "sh",
      "-c",
      "command -v cc g++ make; echo end",
    );
    expect(found).toBe("end\n");
  });

  it("leaves nothing behind", async () => {
    const label = `label=com.docker.compose.project=${PROJECT}`;
    const what = [
      ["ps", "-aq", "--filter", label],
      ["network", "ls", "-q", "--filter", label],
      ["volume", "ls", "-q", "--filter", label],
    ];
    for (const args of what) expect(docker(...args), args.join(" ")).not.toBe("");
    const bridges = () => readdirSync("/sys/class/net").filter((name) => name.startsWith("br-")).length;
    const before = bridges();
    expect((await lab("down")).code).toBe(0);
    expect(bridges()).toBe(before - 1);
    if (isOwnEngine) {
      expect(existsSync("/run/vtepd-docker")).toBe(false);
      expect(spawnSync(ENGINE, ["start"]).status).toBe(0);
    }
    for (const args of what) expect(docker(...args), args.join(" ")).toBe("");
    if (isOwnEngine) expect(spawnSync(ENGINE, ["stop"]).status).toBe(0);
  });
});
