/**
 * A real daemon's forwarding threads as the kernel schedules them: nice by itself, FIFO when it is asked for, and neither where
 * there is no right. A FIFO worker that spins, on the one processor that it shares with main, is noticed.
 */
import { type ChildProcess, spawnSync } from "node:child_process";
import { afterAll, describe, expect, it } from "vitest";
import type { Features, Status } from "../../src/api/schema.ts";
import { ask } from "../../src/ctl/client.ts";
import { until } from "../../src/lab/deadline.ts";
import { ended, makeDaemonBed, whyNoDaemon } from "./bed.ts";
import { PTRACE } from "./ptrace.ts";

const mayRaise =
  spawnSync("chrt", ["-f", "10", "true"]).status === 0 && spawnSync("nice", ["-n", "-15", "true"]).status === 0;
const hasTools = ["setpriv", "taskset", "python3"].every((name) => spawnSync(name, ["--version"]).status === 0);
const missing =
  whyNoDaemon ?? (mayRaise ? undefined : "no CAP_SYS_NICE") ?? (hasTools ? undefined : "a tool is missing");
if (missing) console.log(`priority.test.ts skipped: ${missing}`);
const onlyX86 = process.arch === "x64" ? undefined : "registers are known of x64 only";
if (!missing && onlyX86) console.log(`priority.test.ts: a spinning worker skipped: ${onlyX86}`);

const bed = makeDaemonBed(7);
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  bed.remove();
});

const features = async () => (await ask(bed.socket, "/v1/features", "GET", { timeoutMs: 5000 })) as Features;
/** Ends it, and gives what it said of its threads. */
async function threadsOf(workers: string, behind: readonly string[] = []) {
  bed.write(bed.config(`workers: ${workers}`));
  const child = await bed.start({}, behind);
  await until("the first second", 5000, async () => (await features()).scheduling.threads.length > 0);
  const { scheduling } = await features();
  await until("a look", 5000, async () => (await features()).scheduling.threads[0]!.runDelay !== null);
  child.kill("SIGTERM");
  expect(await ended(child)).toBe(0);
  const told = bed.log().filter(({ event }) => event === "worker.priority");
  return { scheduling, told };
}

/** Start spinning in the one instruction "jump to myself", which lies somewhere in the text of any large program. */
const SPIN = `${PTRACE}
import re
pid, tid = int(sys.argv[1]), int(sys.argv[2])
POKEUSER, DETACH, RIP = 6, 17, 128
at = 0
for line in open(f"/proc/{pid}/maps"):
    found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r-xp \\S+ \\S+ [1-9]", line)
    if not found: continue
    start, end = (int(x, 16) for x in found.groups())
    with open(f"/proc/{pid}/mem", "rb") as mem:
        mem.seek(start)
        place = mem.read(end - start).find(b"\\xeb\\xfe")
    if place >= 0:
        at = start + place
        break
if at == 0: sys.exit("no such instruction")
seize(tid)
ask("poke", POKEUSER, tid, RIP, at)
ask("detach", DETACH, tid)
`;

/** The thread of one process that has this policy (SCHED_FIFO: 1). */
const fifoThread = (pid: number) =>
  Number(
    /^(\d+)/.exec(
      spawnSync("sh", ["-c", `ps -L -o tid=,cls= -p ${pid} | grep FF`])
        .stdout.toString()
        .trim(),
    )![1],
  );

describe.skipIf(missing !== undefined)("the forwarding threads", () => {
  it("have nice -15 by themselves, and stay as they are where they are told to or started otherwise", async () => {
    const { scheduling, told } = await threadsOf("2");
    expect(scheduling.priority).toBe("auto");
    expect(scheduling.threads.map(({ priority }) => priority)).toEqual(["nice -15", "nice -15"]);
    expect(told).toEqual([]);
    expect((await threadsOf("{priority: normal}")).scheduling.threads[0]!.priority).toBe("nice 0");
    expect((await threadsOf("1", ["nice", "-n", "5"])).scheduling.threads[0]!.priority).toBe("nice 5");
  }, 60_000);

  it("have the priority and the processor that they are given, and no more than they may", async () => {
    const { scheduling, told } = await threadsOf("{count: 1, priority: {fifo: 10}, cpus: [0]}");
    expect(scheduling.threads[0]).toMatchObject({ priority: "fifo 10", cpus: "0", refused: [] });
    expect(told).toEqual([]);
    const weak = await threadsOf("{priority: {fifo: 10}, cpus: [1023]}", ["setpriv", "--bounding-set", "-sys_nice"]);
    expect(weak.scheduling.threads[0]).toMatchObject({ priority: "nice 0" });
    expect(weak.scheduling.threads[0]!.refused).toEqual([
      expect.stringContaining("fifo 10: EPERM"),
      expect.stringContaining("processor 1023: EINVAL"),
    ]);
    expect(weak.told).toHaveLength(2);
  }, 60_000);

  it.skipIf(onlyX86 !== undefined)(
    "under FIFO that spin lose it, are told, and end the process, with main on the same processor",
    async () => {
      bed.write(bed.config("workers: {priority: {fifo: 10}, cpus: [0]}"));
      const child = await bed.start({}, ["taskset", "-c", "0"]);
      children.push(child);
      expect((await features()).scheduling.threads[0]!.priority).toBe("fifo 10");
      const spun = spawnSync("python3", ["-c", SPIN, String(child.pid), String(fifoThread(child.pid!))]);
      expect(spun.stderr.toString()).toBe("");
      const fromMs = performance.now();
      await until("what was taken back", 10_000, () => bed.log().some(({ event }) => event === "worker.priority"));
      const { threads } = (await features()).scheduling;
      expect(threads[0]).toMatchObject({ priority: "nice 0", refused: [expect.stringContaining("taken back")] });
      await until("the stuck worker", 10_000, () => bed.log().some(({ event }) => event === "worker.stuck"));
      const status = (await ask(bed.socket, "/v1/status", "GET", { timeoutMs: 5000 })) as Status;
      expect(status.ready).toBe(false);
      expect(await ended(child)).toBe(1);
      // Ten seconds without progress, as they are counted when main has the processor it needs.
      expect((performance.now() - fromMs) / 1000).toBeLessThan(25);
      expect(bed.log().at(-1)).toMatchObject({ event: "crash", message: expect.stringContaining("made no progress") });
    },
    60_000,
  );
});
