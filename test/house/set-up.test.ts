/**
 * Set-up under a hand that does not wait: Ctrl-C, kill -9, and a second start. In a tree of its own, with an npm that
 * installs nothing and leaves, like the real one, a child at work.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { startTimeOf } from "../../src/lab/process.ts";
import { ROOT } from "./source.ts";

/**
 * Notes its child's pid; the child ends half a second after it was told to. NETWORK_ERROR is what its registry answers;
 * then it holds nothing, and says so at once when it is told to look nowhere else.
 */
const NPM = `
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
const error = process.env.NETWORK_ERROR;
if (process.argv[2] === "ping" && error) {
  console.error("npm error code " + error);
  process.exit(1);
}
if (process.argv.includes("--offline")) {
  console.error("npm error code ENOTCACHED");
  process.exit(1);
}
const work = "trap 'sleep 0.5; exit' TERM; while :; do sleep 0.05; done";
if (process.argv[2] === "ci") {
  const child = spawn("sh", ["-c", work]);
  writeFileSync("worker", String(child.pid));
}
`;

describe("set-up", () => {
  let tree: string;
  const started: ChildProcess[] = [];
  beforeEach(() => {
    tree = mkdtempSync(join(tmpdir(), "vtepd-set-up-"));
    mkdirSync(join(tree, "test"));
    for (const name of ["package.json", "package-lock.json", "test/set-up.mjs", "test/set-up"])
      cpSync(join(ROOT, name), join(tree, name), { recursive: true });
    writeFileSync(join(tree, "npm.js"), NPM);
  });
  afterEach(() => {
    for (const child of started.splice(0)) child.kill("SIGKILL");
    const worker = workerOf();
    if (worker !== undefined && startTimeOf(worker) !== undefined) process.kill(worker, "SIGKILL");
    rmSync(tree, { recursive: true });
  });

  const workerOf = () => {
    const file = join(tree, "worker");
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
  };

  async function begin(more: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, SUDO_UID: "", npm_execpath: join(tree, "npm.js"), ...more };
    const child = spawn(process.execPath, [join(tree, "test/set-up.mjs"), "build"], { env, cwd: tree });
    started.push(child);
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    return { child, ended, text: () => text };
  }

  async function untilAtWork(): Promise<number> {
    await until("npm to be at work", 30_000, () => (workerOf() ?? 0) > 0 && startTimeOf(workerOf()!) !== undefined);
    return workerOf()!;
  }

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends npm and what npm started, then set-up; the next starts at once",
    async (signal) => {
      const first = await begin();
      const worker = await untilAtWork();
      first.child.kill(signal);
      expect(await first.ended).toBe(130);
      expect(startTimeOf(worker)).toBeUndefined();
      expect(first.text()).toContain(`${signal}: ending npm ci`);
      rmSync(join(tree, "worker"));
      const second = await begin();
      await untilAtWork();
      expect(second.text()).not.toContain("another set-up");
      second.child.kill("SIGINT");
      await second.ended;
    },
  );

  it("that was killed leaves the tree to the npm that it started, and the next one waits for it", async () => {
    const first = await begin();
    await untilAtWork();
    first.child.kill("SIGKILL");
    await first.ended;
    const second = await begin();
    await until("the second to wait", 30_000, () => second.text().includes("another set-up is at work on this tree"));
    expect(second.text()).not.toContain("npm ci");
    second.child.kill("SIGKILL");
  });

  it.each(["EAI_AGAIN", "ETIMEDOUT", "ECONNECTIONTIMEOUT", "ERR_SOCKET_TIMEOUT"])(
    "without a registry (%s) takes what npm's cache holds, and else ends at once with the command that helps",
    async (error) => {
      const { ended, text } = await begin({ NETWORK_ERROR: error });
      expect(await ended).toBe(6);
      expect(text()).toMatch(
        /the npm registry .* does not answer \(ENOTCACHED\)\. Once there is a network: npm run build/,
      );
      expect(existsSync(join(tree, "worker"))).toBe(false);
    },
  );

  it("goes on with a registry that answers, though it knows no ping", async () => {
    const { child, ended } = await begin({ NETWORK_ERROR: "E404" });
    await untilAtWork();
    child.kill("SIGINT");
    await ended;
  });

  it("without a compiler ends in one line before npm begins, with the command that helps", async () => {
    // Programs that set-up needs, and no compiler; apt-get is not among them.
    const bin = join(tree, "bin");
    mkdirSync(bin);
    const { ended, text } = await begin({ PATH: bin });
    // Where g++ stands in /usr/sbin as well it is found all the same.
    expect(await ended).toBe(6);
    const lines = text().trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(/^set-up: missing: g\+\+ compiles the addon; .*python3 .*there is no apt-get here/);
    expect(existsSync(join(tree, "worker"))).toBe(false);
  });

  it.skipIf(process.getuid?.() !== 0)(
    "under sudo in a user's tree works as that user, and hands back what root left there",
    async () => {
      const OTHER_USER = 65_534;
      mkdirSync(join(tree, "dist"));
      writeFileSync(join(tree, "dist/of-root"), "");
      const all = () => ["", ...(readdirSync(tree, { recursive: true }) as string[])].map((name) => join(tree, name));
      for (const path of all().filter((name) => !name.includes("dist"))) chownSync(path, OTHER_USER, OTHER_USER);
      const { child, ended } = await begin({ SUDO_UID: String(OTHER_USER) });
      const worker = await untilAtWork();
      expect(readFileSync(`/proc/${worker}/status`, "utf8")).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
      child.kill("SIGINT");
      expect(await ended).toBe(130);
      expect(all().filter((path) => lstatSync(path).uid !== OTHER_USER)).toEqual([]);
      expect(existsSync(join(tree, ".set-up/stamps.json"))).toBe(true);
    },
  );
});
