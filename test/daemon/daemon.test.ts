/**
 * vtepd as a process: exit codes, signals, reload. Without TAPs, on loopback, so it needs no rights; frames are the business
 * of test/netns. Runs what the build made.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { Status, Vsi } from "../../src/api/schema.ts";
import type { Diagnosis } from "../../src/api/schema-doctor.ts";
import { ask } from "../../src/ctl/client.ts";

const VTEPD = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const ADDON = fileURLToPath(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));
const missing = existsSync(VTEPD) && existsSync(ADDON) ? undefined : "not built (npm run build)";
if (missing) console.log(`daemon.test.ts skipped: ${missing}`);

const folder = mkdtempSync(join(tmpdir(), "vtepd-daemon-"));
const file = join(folder, "gw1.yaml");
const socket = join(folder, "run", "gw1.sock");
afterAll(() => rmSync(folder, { recursive: true }));

/** Ports that no other test of this machine is likely to use. */
const port = 20_000 + (process.pid % 20_000);
const sourcePort = 50_000 + (process.pid % 15_000);

function config(more = ""): string {
  return `node: gw1
underlay: {address: 127.0.0.1, port: ${port}, mtu: 1500, sourcePorts: {first: ${sourcePort}, count: 2}}
tunnels: [{name: gw2, remote: 127.0.0.2}]
control: {socket: ${socket}}
metrics: {listen: "127.0.0.1:0"}
${more}`;
}

function write(text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; ms: number }>;
  log(): Record<string, unknown>[];
  until(event: string, count?: number): Promise<Record<string, unknown>>;
}

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});

function start(env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [VTEPD, "run", "-c", file], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  running.push(child);
  let text = "";
  child.stderr!.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const started = performance.now();
  const ended = new Promise<{ code: number | null; ms: number }>((resolve) =>
    child.on("close", (code) => resolve({ code, ms: performance.now() - started })),
  );
  const log = () =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const until = async (event: string, count = 1) => {
    await expect
      .poll(() => log().filter((line) => line.event === event).length, { timeout: 15_000, interval: 20 })
      .toBeGreaterThanOrEqual(count);
    return log().filter((line) => line.event === event)[count - 1]!;
  };
  return { child, ended, log, until };
}

async function startReady(): Promise<Running> {
  const daemon = start();
  await daemon.until("daemon.ready");
  return daemon;
}

function vtepd(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [VTEPD, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

describe.skipIf(missing !== undefined)("the command line", () => {
  it("checks a file: 0 and a line, or 5 and what is wrong where", async () => {
    write(config());
    const good = await vtepd("check", "-c", file);
    expect(good).toMatchObject({ code: 0, stderr: "" });
    expect(good.stdout).toContain("valid; node gw1: 0 VSIs, 0 VSI-interfaces, 0 ACs, 1 tunnel,");
    write(config("wrokers: 2\n"));
    const bad = await vtepd("check", "-c", file);
    expect(bad).toMatchObject({ code: 5, stdout: "" });
    expect(bad.stderr).toMatch(/gw1\.yaml:6:1: .*did you mean workers\?/);
    expect(existsSync(socket)).toBe(false);
  });

  it("runs nothing with an invalid file", async () => {
    write(config("wrokers: 2\n"));
    expect(await vtepd("run", "-c", file)).toMatchObject({ code: 5, stdout: "" });
    expect((await vtepd("run", "-c", join(folder, "none.yaml"))).code).toBe(5);
  });

  it("prints schema and version as data", async () => {
    const schema = await vtepd("schema");
    expect(schema.code).toBe(0);
    expect(JSON.parse(schema.stdout)).toMatchObject({ type: "object" });
    const version = await vtepd("--version", "--json");
    expect(JSON.parse(version.stdout)).toMatchObject({ node: process.version, addon: { loaded: true } });
  });

  it.each([[[]], [["run"]], [["frobnicate"]], [["check", "-x"]]])("exits 2 on %j", async (args) => {
    const { code, stdout, stderr } = await vtepd(...args);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toBe("");
  });

  it("exits 6 and names the fix without the addon", async () => {
    write(config());
    const daemon = start({ VTEPD_ADDON: "/nowhere/vtepd.node" });
    expect((await daemon.ended).code).toBe(6);
    expect(daemon.log().at(-1)).toMatchObject({
      event: "start.failed",
      message: expect.stringContaining("npm run build"),
    });
  });
});

describe.skipIf(missing !== undefined)("the daemon", () => {
  it("gets ready, shows itself, serves metrics, and ends with 0 within 2 s of SIGTERM", async () => {
    write(config());
    const daemon = await startReady();
    expect(lstatSync(socket).mode & 0o777).toBe(0o600);
    const status = await ask<Status>(socket, "/v1/status");
    expect(status).toMatchObject({ ready: true, missing: [], node: "gw1", underlay: { mtu: 1500, port } });
    expect(status.ledger.dataplane.imbalance).toBe(0);
    const { metrics } = await daemon.until("daemon.ready");
    const answer = await fetch(`http://${metrics}/metrics`);
    expect(await answer.text()).toContain('vtep_tunnel_up{tunnel="gw2"} 1\n');
    expect((await fetch(`http://${metrics}/readyz`)).status).toBe(200);
    const asked = performance.now();
    daemon.child.kill("SIGTERM");
    daemon.child.kill("SIGTERM");
    expect((await daemon.ended).code).toBe(0);
    expect(performance.now() - asked).toBeLessThan(2000);
    expect(existsSync(socket)).toBe(false);
    expect(daemon.log().map((line) => line.event)).toContain("daemon.stopped");
  });

  it("lets observers look and change nothing, and says which sockets are open", async () => {
    const observe = join(folder, "run", "gw1.observe.sock");
    write(config().replace(`{socket: ${socket}}`, `{socket: ${socket}, observe: ${observe}}`));
    const daemon = await startReady();
    expect(lstatSync(observe).mode & 0o777).toBe(0o660);
    const status = await ask<Status>(observe, "/v1/status");
    expect(status.sockets).toEqual([
      { name: "control", path: socket, group: null, readOnly: false },
      { name: "observe", path: observe, group: null, readOnly: true },
    ]);
    expect(status.bootId).toMatch(/^[0-9a-f]{16}$/);
    const diagnosis = await ask<Diagnosis>(observe, "/v1/doctor");
    expect(diagnosis.checks.find(({ name }) => name === "sockets")).toMatchObject({ result: "ok" });
    const reload = ask(observe, "/v1/config/reload", "POST");
    await expect(reload).rejects.toMatchObject({ code: "read_only", exit: 6, hint: expect.stringContaining(socket) });
    daemon.child.kill("SIGTERM");
    await daemon.ended;
    expect(existsSync(observe)).toBe(false);
  });

  it("ends with 0 on SIGINT too, even before it is ready", async () => {
    write(config());
    const daemon = start();
    await daemon.until("config.applied");
    daemon.child.kill("SIGINT");
    expect((await daemon.ended).code).toBe(0);
  });

  it("starts again after kill -9, over the socket that stayed", async () => {
    write(config());
    const first = await startReady();
    first.child.kill("SIGKILL");
    await first.ended;
    expect(existsSync(socket)).toBe(true);
    const second = await startReady();
    expect((await ask<Status>(socket, "/v1/status")).pid).toBe(second.child.pid);
  });

  it("refuses to run beside another one, which does not notice", async () => {
    write(config());
    const first = await startReady();
    const second = start();
    expect((await second.ended).code).toBe(1);
    expect(second.log().at(-1)).toMatchObject({
      event: "start.failed",
      message: expect.stringContaining("EADDRINUSE"),
    });
    expect((await ask<Status>(socket, "/v1/status")).pid).toBe(first.child.pid);
  });

  it("lives on when its log is no longer read", async () => {
    write(config());
    const daemon = await startReady();
    daemon.child.stderr!.destroy();
    for (let i = 0; i < 3; i++) daemon.child.kill("SIGUSR1");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await ask<Status>(socket, "/v1/status")).ready).toBe(true);
    daemon.child.kill("SIGTERM");
    expect((await daemon.ended).code).toBe(0);
  });

  it("survives SIGUSR1 without an inspector, and dumps its state on SIGUSR2", async () => {
    write(config());
    const daemon = await startReady();
    daemon.child.kill("SIGUSR1");
    await daemon.until("signal.ignored");
    await expect(fetch("http://127.0.0.1:9229/json")).rejects.toThrow();
    daemon.child.kill("SIGUSR2");
    const { value } = await daemon.until("state.dump");
    expect(JSON.parse(value as string)).toMatchObject({ node: "gw1" });
  });

  it("reloads: takes over what is good, keeps what runs when it is not", async () => {
    write(config());
    const daemon = await startReady();
    write(config("vsis: [{name: vsi10, vni: 10}]\nlog: {level: debug}\n"));
    daemon.child.kill("SIGHUP");
    await daemon.until("vsi.added");
    expect((await ask<Vsi[]>(socket, "/v1/vsis")).map((vsi) => vsi.name)).toEqual(["vsi10"]);

    write(config("vsis: [{name: vsi10, vni: 99999999}]\n"));
    daemon.child.kill("SIGHUP");
    const rejected = await daemon.until("config.rejected");
    expect(rejected).toMatchObject({ level: "error", path: "vsis[0].vni", at: `${file}:6:27` });
    const status = await ask<Status>(socket, "/v1/status");
    expect(status.config.lastReloadSuccessful).toBe(false);
    expect((await ask<Vsi[]>(socket, "/v1/vsis"))[0]).toMatchObject({ name: "vsi10", vni: 10 });

    write(config("vsis: [{name: vsi10, vni: 10}]\n").replace("node: gw1", "node: gw9"));
    daemon.child.kill("SIGHUP");
    expect((await daemon.until("config.rejected", 2)).reason).toMatch(/needs a restart: node/);

    write(config("vsis: [{name: vsi10, vni: 10}]\n").replace('"127.0.0.1:0"', '"127.0.0.1:1"'));
    daemon.child.kill("SIGHUP");
    await daemon.until("config.needs-restart");
    const last = await ask<Status>(socket, "/v1/status");
    expect(last.config).toMatchObject({ lastReloadSuccessful: true, needsRestart: ["metrics.port"] });
  });
});
