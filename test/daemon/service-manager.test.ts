/** What systemd hears: a real daemon with a NOTIFY_SOCKET of the test's, and the unit file that asks for it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { ask } from "../../src/ctl/client.ts";
import { until } from "../../src/lab/deadline.ts";
import { makeDaemonBed, whyNoDaemon } from "./bed.ts";

const hasPython = spawnSync("python3", ["--version"]).status === 0;
const missing = whyNoDaemon ?? (hasPython ? undefined : "python3 is not installed");
if (missing) console.log(`daemon-service-manager.test.ts skipped: ${missing}`);

const bed = makeDaemonBed(2);
const UNIT = fileURLToPath(new URL("../../deploy/systemd/vtepd@.service", import.meta.url));
let listener: ChildProcess | undefined;
afterEach(() => listener?.kill("SIGKILL"));
afterAll(() => bed.remove());

/** Datagrams on a Unix socket, one per line of JSON: Node cannot listen there, python3 can. */
const LISTEN = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print(json.dumps("listening"), flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;

async function listen(name: string): Promise<() => string[]> {
  let text = "";
  listener = spawn("python3", ["-c", LISTEN, name], { stdio: ["ignore", "pipe", "inherit"] });
  listener.stdout!.on("data", (part: Buffer) => {
    text += part.toString();
  });
  const heard = () =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as string);
  await until("python to listen", 10_000, () => heard().length > 0);
  return () => heard().slice(1);
}

describe.skipIf(missing !== undefined)("the service manager", () => {
  it.each([
    ["a path", join(bed.folder, "notify")],
    ["an abstract name", `@vtepd-test-${process.pid}`],
  ])("hears ready, the watchdog, reloads and the end, on %s", async (_, name) => {
    const heard = await listen(name);
    bed.write(bed.config());
    const child = await bed.start({ NOTIFY_SOCKET: name, WATCHDOG_USEC: "400000" });
    const pings = () => heard().filter((message) => message === "WATCHDOG=1").length;
    await until("READY=1", 5000, () => heard().some((message) => message.startsWith("READY=1\n")));
    const had = pings();
    const fromMs = performance.now();
    await until("five pings", 10_000, () => pings() >= had + 5);
    // Half of 400 ms each; a busy machine may be late, but never more than early.
    expect(performance.now() - fromMs).toBeGreaterThan(600);
    await ask(bed.socket, "/v1/config/reload", "POST", { timeoutMs: 20_000 });
    await until(
      "the reload",
      5000,
      () => heard().at(-1) !== undefined && heard().some((m) => m.includes("STATUS=reloaded")),
    );
    const order = heard().filter((message) => !message.startsWith("WATCHDOG"));
    expect(order[1]).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    child.kill("SIGTERM");
    await until("STOPPING=1", 5000, () => heard().some((message) => message.startsWith("STOPPING=1")));
  });

  it("is not needed, and one that is gone does not matter", async () => {
    bed.write(bed.config());
    const child = await bed.start({ NOTIFY_SOCKET: join(bed.folder, "absent"), WATCHDOG_USEC: "100000" });
    expect(child.exitCode).toBeNull();
    child.kill("SIGTERM");
  });

  it("hears no ping from a daemon whose main thread is stopped", async () => {
    const heard = await listen(join(bed.folder, "notify2"));
    bed.write(bed.config());
    const child = await bed.start({ NOTIFY_SOCKET: join(bed.folder, "notify2"), WATCHDOG_USEC: "200000" });
    await until("a ping", 5000, () => heard().includes("WATCHDOG=1"));
    child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 300));
    const then = heard().length;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(heard().length).toBe(then);
    child.kill("SIGCONT");
    await until("a ping again", 5000, () => heard().length > then);
  });
});

it("the unit asks for what the daemon does, and gives it no more than it needs", () => {
  const unit = readFileSync(UNIT, "utf8");
  const value = (key: string) => unit.match(new RegExp(`^${key}=(.*)$`, "m"))?.[1];
  expect(value("Type")).toBe("notify");
  expect(Number(value("WatchdogSec"))).toBeGreaterThan(2);
  expect(value("ExecReload")).toContain("-HUP");
  expect(value("CapabilityBoundingSet")).toBe(value("AmbientCapabilities"));
  expect(value("CapabilityBoundingSet")).not.toMatch(/SYS_ADMIN|ALL/);
  expect(value("RestartPreventExitStatus")!.split(" ")).toEqual(["2", "5", "6"]);
  expect(value("User")).toBe("vtepd");
  expect(value("NoNewPrivileges")).toBe("yes");
});
