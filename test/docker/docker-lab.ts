/**
 * docker/lab as the tests run it: in a project of its own, one run at a time on a machine, with a caretaker that takes it down if the
 * test dies; and what a lab could leave behind.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const LAB = fileURLToPath(new URL("../../docker/lab", import.meta.url));
export const ENGINE = fileURLToPath(new URL("../../docker/engine", import.meta.url));
export const TREE = fileURLToPath(new URL("../..", import.meta.url));
export const PROJECT = "vtepd-lab-test";
export const OWN_ENGINE = "/run/vtepd-docker";
export const EX_UNAVAILABLE = 69;
export const env = { ...process.env, VTEPD_LAB: PROJECT, PROMETHEUS_PORT: "0" };

/** For the page of a second lab: the first one has the usual port. */
export async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return String(port);
}

export const works = (program: string, ...args: string[]) => spawnSync(program, args, { stdio: "ignore" }).status === 0;

export function whyNoDocker(): string | undefined {
  if (!works("docker", "--version")) return "docker is missing (apt-get install docker.io docker-compose)";
  if (!works("docker", "compose", "version") && !works("docker-compose", "version")) return "compose is missing";
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing";
  if (works("docker", "version")) return undefined;
  if (process.getuid?.() !== 0) return "no Docker engine answers, and starting one needs root";
  return works("dockerd", "--version") ? undefined : "no Docker engine answers, and dockerd is missing";
}

export interface Ended {
  readonly code: number | null;
  readonly lines: string[];
  /** The last line on stderr. */
  readonly said: string;
}

let keeper: ChildProcess | undefined;

/** Run docker/lab; its words go on to the terminal as they come. */
export function lab(...args: string[]): Promise<Ended> {
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

/** One run of these tests at a time on this machine; and `down`, when this process ends without a word. Resolves when it is our turn. */
export function caretaker(): Promise<void> {
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
      keeper = child;
      resolve();
    });
  });
}

/** The end of a run: what it had started is down. */
export function dismiss(): void {
  keeper?.stdin?.end("done\n");
}

/** What a lab could leave on this machine. */
export function traces() {
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

/** Lines of the checks that docs/docker.md quotes below this heading. */
export function quotedIn(heading: string): string[] {
  const guide = readFileSync(join(TREE, "docs/docker.md"), "utf8");
  const [, section] = guide.split(`\n## ${heading}\n`);
  return section!
    .split("\n## ")[0]!
    .split("\n")
    .filter((line) => line.startsWith("✓ "));
}

/** Those that have no like among the printed ones, figures apart. */
export function notPrinted(quoted: readonly string[], printed: readonly string[]): string[] {
  const shape = (line: string) => line.replaceAll(/[\d.]+/g, "N");
  const shapes = new Set(printed.map(shape));
  return quoted.filter((line) => !shapes.has(shape(line)));
}
