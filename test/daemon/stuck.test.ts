/**
 * What is stuck outside forwarding, or in it: a worker that is stopped, a log without a reader or without room, a reload that
 * finds no thread. A real daemon, whose thread is stopped as a debugger stops it (ptrace).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { CheckReport, Status } from "../../src/api/schema.ts";
import type { Diagnosis } from "../../src/api/schema-doctor.ts";
import { ask } from "../../src/ctl/client.ts";
import { until } from "../../src/lab/deadline.ts";
import { ended, makeDaemonBed, whyNoDaemon } from "./bed.ts";
import { STOP } from "./ptrace.ts";

const hasTools = ["python3", "prlimit", "mkfifo"].every((name) => spawnSync(name, ["--version"]).status === 0);
const missing = whyNoDaemon ?? (hasTools ? undefined : "python3, prlimit or mkfifo is not installed");
if (missing) console.log(`stuck.test.ts skipped: ${missing}`);

const VTEPD = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const bed = makeDaemonBed(5);
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => bed.remove());

/** The thread that wakes ten times a second with nothing to do: the idle worker. */
async function workerThread(pid: number): Promise<number> {
  const switches = (tid: string) =>
    Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${tid}/status`, "utf8"))![1]);
  const threads = readdirSync(`/proc/${pid}/task`).filter((tid) => Number(tid) !== pid);
  const before = new Map(threads.map((tid) => [tid, switches(tid)]));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const woken = threads.map((tid) => [Number(tid), switches(tid) - before.get(tid)!] as const);
  return woken.sort((a, b) => b[1] - a[1])[0]![0];
}

const metricsPort = 12_000 + (process.pid % 8000);

function httpStatus(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port: metricsPort, path }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    }).on("error", reject);
  });
}

describe.skipIf(missing !== undefined)("a stopped worker", () => {
  it("is seen within seconds by readiness, liveness, doctor and the log, and ends the process after ten", async () => {
    bed.write(bed.config(`metrics: {listen: "127.0.0.1:${metricsPort}"}`));
    const child = await bed.start();
    const tid = await workerThread(child.pid!);
    expect(await httpStatus("/livez")).toBe(200);
    expect(await httpStatus("/readyz")).toBe(200);
    const stopper = spawn("python3", ["-c", STOP, String(tid)], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(stopper);
    await new Promise((resolve, reject) => {
      stopper.stdout!.once("data", resolve);
      stopper.once("exit", () => reject(new Error("the thread was not stopped")));
    });
    const fromMs = performance.now();
    await until("not ready", 8000, async () => (await httpStatus("/readyz")) === 503);
    expect(performance.now() - fromMs).toBeGreaterThan(1500);
    expect(await httpStatus("/livez")).toBe(503);
    const status = (await ask(bed.socket, "/v1/status", "GET", { timeoutMs: 5000 })) as Status;
    expect(status.missing[0]).toMatch(/^worker 0 is stuck for \d s$/);
    const { checks } = (await ask(bed.socket, "/v1/doctor", "GET", { timeoutMs: 10_000 })) as Diagnosis;
    expect(checks.find(({ name }) => name === "workers")).toMatchObject({ result: "fail" });
    expect(await ended(child)).toBe(1);
    expect(bed.log().filter(({ event }) => event === "worker.stuck")).toHaveLength(1);
    const seconds = (performance.now() - fromMs) / 1000;
    expect(seconds).toBeGreaterThan(9);
    expect(seconds).toBeLessThan(20);
    expect(bed.log().at(-1)).toMatchObject({
      event: "crash",
      message: expect.stringContaining("worker 0 made no progress"),
    });
  }, 60_000);
});

/** A daemon whose stderr is `fd`. */
function startWith(fd: number): ChildProcess {
  const child = spawn(process.execPath, [VTEPD, "run", "-c", bed.file], { stdio: ["ignore", "ignore", fd] });
  children.push(child);
  return child;
}

const status = async () => (await ask(bed.socket, "/v1/status", "GET", { timeoutMs: 2000 })) as Status;
const answers = async () => {
  try {
    return (await status()).ready;
  } catch {
    return false;
  }
};

describe.skipIf(missing !== undefined)("a log", () => {
  it("whose pipe is full and not read costs lines, and neither the API nor the end of the process", async () => {
    const path = join(bed.folder, "stderr");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    bed.write(bed.config(`metrics: {listen: "127.0.0.1:${metricsPort}"}`));
    const child = startWith(writer);
    closeSync(writer);
    await until("the API", 20_000, answers);
    // Some 2 KB each: the pipe takes 64 KB, the queue 2 MB.
    for (let i = 0; i < 50; i++) {
      child.kill("SIGUSR2");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const fromMs = performance.now();
    await status();
    expect(performance.now() - fromMs).toBeLessThan(1000);
    child.kill("SIGTERM");
    expect(await ended(child)).toBe(0);
    let text = "";
    const buffer = Buffer.alloc(1 << 16);
    for (let n = readSync(reader, buffer); n > 0; n = readSync(reader, buffer)) text += buffer.toString("utf8", 0, n);
    closeSync(reader);
    expect(text).toContain('"daemon.ready"');
  }, 60_000);

  it("on a full disk does not matter", async () => {
    const fd = openSync("/dev/full", "w");
    bed.write(bed.config());
    const child = startWith(fd);
    closeSync(fd);
    await until("the API", 20_000, answers);
    child.kill("SIGHUP");
    expect((await status()).ready).toBe(true);
    child.kill("SIGTERM");
    expect(await ended(child)).toBe(0);
  }, 60_000);
});

describe.skipIf(missing !== undefined)("reloads", () => {
  it("that find no file descriptor for their thread change nothing, say so, and succeed when there are some", async () => {
    bed.write(bed.config());
    const child = await bed.start();
    const limit = (count: number) =>
      expect(spawnSync("prlimit", ["--pid", String(child.pid), `--nofile=${count}:4096`]).status).toBe(0);
    limit(readdirSync(`/proc/${child.pid}/fd`).length);
    child.kill("SIGHUP");
    await until("the refusal", 10_000, () => bed.log().some(({ event }) => event === "config.rejected"));
    limit(4096);
    expect(child.exitCode).toBeNull();
    expect((await status()).config.lastReloadSuccessful).toBe(false);
    const report = (await ask(bed.socket, "/v1/config/reload", "POST", { timeoutMs: 20_000 })) as CheckReport;
    expect(report).toMatchObject({ valid: true });
    expect((await status()).config.lastReloadSuccessful).toBe(true);
    child.kill("SIGTERM");
    await ended(child);
  }, 60_000);

  it("that are asked for by hundreds are two", async () => {
    bed.write(bed.config());
    const child = await bed.start();
    const fromMs = performance.now();
    for (let i = 0; i < 300; i++) child.kill("SIGHUP");
    const reports = await Promise.all(
      Array.from({ length: 20 }, () => ask(bed.socket, "/v1/config/reload", "POST", { timeoutMs: 20_000 })),
    );
    expect(reports.every((report) => (report as CheckReport).valid)).toBe(true);
    expect(performance.now() - fromMs).toBeLessThan(10_000);
    child.kill("SIGTERM");
    await ended(child);
    const applied = bed.log().filter(({ event }) => event === "config.applied").length;
    expect(applied).toBeLessThan(10);
  }, 60_000);
});
