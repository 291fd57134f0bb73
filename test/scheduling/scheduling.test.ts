/** Groups as the kernel's files tell them, what a thread was given, and how long it waits. */
import { describe, expect, it } from "vitest";
import type { WorkersConfig } from "../../src/control/plan.ts";
import type { ThreadOutcome } from "../../src/io/thread.ts";
import { scheduled } from "../../src/scheduling/feature.ts";
import { cpuGroup, type ReadText, weighSession } from "../../src/scheduling/group.ts";
import { RunDelays } from "../../src/scheduling/run-delay.ts";
import { Scheduling } from "../../src/scheduling/scheduling.ts";
import { type ThreadState, threadState } from "../../src/scheduling/thread.ts";

const filesOf =
  (files: Record<string, string>): ReadText =>
  (path) =>
    files[path] ?? null;

const AUTOGROUP = {
  "/proc/sys/kernel/sched_autogroup_enabled": "1\n",
  "/proc/self/autogroup": "/autogroup-25282 nice 0\n",
  "/proc/self/stat": `7 (node (x) y) S 1 7 ${process.pid} 0 -1`,
};

describe("the group of a process", () => {
  it.each([
    [
      "a systemd service (cgroup v2)",
      {
        "/proc/self/cgroup": "0::/system.slice/vtepd@gw1.service\n",
        "/sys/fs/cgroup/system.slice/vtepd@gw1.service/cpu.weight": "1000\n",
      },
      { kind: "cgroup", text: "cgroup /system.slice/vtepd@gw1.service, cpu.weight 1000" },
    ],
    [
      "a container with a cgroup namespace (v2)",
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.weight": "391\n" },
      { kind: "cgroup", text: "cgroup /, cpu.weight 391" },
    ],
    [
      "a container that is told its host's path (v1)",
      {
        "/proc/self/cgroup": "5:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n0::/\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.shares": "10240\n",
      },
      { kind: "cgroup", text: "cgroup /docker/ab, cpu.shares 10240" },
    ],
    [
      "a session under the root group",
      { "/proc/self/cgroup": "1:cpu:/\n0::/\n", "/sys/fs/cgroup/cpu/cpu.shares": "1024\n", ...AUTOGROUP },
      { kind: "session", text: "session (autogroup), nice 0" },
    ],
    [
      "neither",
      { "/proc/self/cgroup": "0::/\n", ...AUTOGROUP, "/proc/sys/kernel/sched_autogroup_enabled": "0\n" },
      { kind: "none", text: "no group of its own: one with all processes" },
    ],
    ["a kernel that tells nothing", {}, { kind: "none", text: expect.any(String) }],
  ])("%s", (_, files, group) => {
    expect(cpuGroup(filesOf(files))).toEqual(group);
  });

  const written = (files: Record<string, string>) => {
    const lines: string[] = [];
    const error = weighSession(-15, filesOf(files), ((path: string, text: string) => {
      lines.push(`${path} ${text}`);
    }) as never);
    return { lines, error };
  };

  it("is weighed when it is a session that this process began, and has no weight yet", () => {
    expect(written(AUTOGROUP)).toEqual({ lines: ["/proc/self/autogroup -15"], error: null });
    const another = `7 (node (x) y) S 1 7 ${process.pid + 1} 0 -1`;
    expect(written({ ...AUTOGROUP, "/proc/self/stat": another }).lines).toEqual([]);
    expect(written({ ...AUTOGROUP, "/proc/self/autogroup": "/autogroup-9 nice 5\n" }).lines).toEqual([]);
    const cgroup = { "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.weight": "100\n" };
    expect(written({ ...AUTOGROUP, ...cgroup }).lines).toEqual([]);
  });

  it("says the errno where it may not", () => {
    const error = Object.assign(new Error("no"), { code: "EPERM" });
    const write = () => {
      throw error;
    };
    expect(weighSession(-15, filesOf(AUTOGROUP), write as never)).toBe("EPERM");
  });
});

describe("a thread", () => {
  it("is read as the kernel schedules it, whatever its name is", () => {
    const fields = Array.from({ length: 50 }, (_, i) => String(i + 3));
    const stat = (nice: string, priority: string, policy: string) => {
      const all = [...fields];
      [all[16], all[37], all[38]] = [nice, priority, policy];
      return `9 (worker) 0) ${all.join(" ")}\n`;
    };
    const files = {
      "/proc/self/task/9/stat": stat("-15", "0", "0"),
      "/proc/self/task/9/status": "Name:\tworker\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n",
      "/proc/self/task/9/schedstat": "2500000000 500000000 77\n",
      "/proc/self/task/8/stat": stat("0", "10", "1"),
    };
    expect(threadState(9, filesOf(files))).toEqual({
      priority: "nice -15",
      cpus: "0-1",
      times: { runSeconds: 2.5, delaySeconds: 0.5 },
    });
    expect(threadState(8, filesOf(files))).toEqual({ priority: "fifo 10", cpus: "", times: null });
    expect(threadState(7, filesOf(files))).toBeNull();
  });

  it("of our own is there", () => {
    expect(threadState(process.pid)).toMatchObject({ priority: expect.stringMatching(/^nice -?\d+$/) });
  });
});

it("run delay is a part of the last ten seconds", () => {
  const delays = new RunDelays();
  expect(delays.share(0)).toBeNull();
  delays.add([5, null], 0);
  expect(delays.share(0)).toBeNull();
  for (let second = 1; second <= 10; second++) delays.add([5 + second / 2, null], second * 1000);
  expect(delays.share(0)).toBeCloseTo(0.5);
  expect(delays.share(1)).toBeNull();
  for (let second = 11; second <= 20; second++) delays.add([10, null], second * 1000);
  expect(delays.share(0)).toBeCloseTo(0);
});

const STATE: ThreadState = { priority: "nice -15", cpus: "0-1", times: { runSeconds: 3, delaySeconds: 1 } };

/** Threads that were given `outcomes` and are in `states`. */
function bed(config: WorkersConfig, outcomes: readonly Partial<ThreadOutcome>[], states: readonly ThreadState[]) {
  const events: string[] = [];
  let now = states;
  let nowMs = 0;
  const scheduling = new Scheduling({
    config,
    threads: () => outcomes.map((each, tid) => ({ tid, priorityError: 0, cpusError: 0, ...each })),
    emit: (level, event, fields) => events.push(`${level} ${event} ${Object.values(fields).join(" ")}`),
    nowMs: () => nowMs,
    stateOf: (tid) => now[tid] ?? null,
  });
  const checks = async () => Object.fromEntries((await scheduled(scheduling).checks![0]!()).map((c) => [c.name, c]));
  return {
    scheduling,
    events,
    checks,
    second(next: readonly ThreadState[] = now) {
      now = next;
      nowMs += 1000;
      scheduling.readDelays();
    },
  };
}

describe("what is not granted", () => {
  it("is said once, and is no fault where it was not asked for", async () => {
    const auto = bed(
      { count: 1, priority: "auto", cpus: null },
      [{ priorityError: -13 }],
      [{ ...STATE, priority: "nice 0" }],
    );
    auto.second();
    auto.second();
    expect(auto.events).toEqual([
      expect.stringMatching(/^info worker.priority 0 nice -15: EACCES \(.*\) give CAP_SYS_NICE/),
    ]);
    expect(auto.scheduling.view().threads[0]!.refused).toEqual([expect.stringContaining("EACCES")]);
    expect((await auto.checks()).priority).toMatchObject({ result: "ok", text: expect.stringContaining("EACCES") });
  });

  it("is a warning where it was asked for", async () => {
    const asked = bed(
      { count: 2, priority: { fifo: 10 }, cpus: [1, 64] },
      [{}, { priorityError: -1, cpusError: -22 }],
      [
        { ...STATE, priority: "fifo 10" },
        { ...STATE, priority: "nice 0" },
      ],
    );
    asked.second();
    expect(asked.events).toEqual([
      expect.stringMatching(/^warn worker.priority 1 fifo 10: EPERM/),
      expect.stringMatching(/^warn worker.priority 1 processor 64: EINVAL/),
    ]);
    expect((await asked.checks()).priority).toMatchObject({
      result: "warn",
      fix: expect.stringContaining("workers.cpus"),
    });
  });

  it("and what is taken back is told too", async () => {
    const fifo = bed({ count: 1, priority: { fifo: 10 }, cpus: null }, [{}], [{ ...STATE, priority: "fifo 10" }]);
    fifo.second();
    expect(fifo.events).toEqual([]);
    expect((await fifo.checks()).priority).toMatchObject({ result: "ok" });
    fifo.second([{ ...STATE, priority: "nice 0" }]);
    fifo.second();
    expect(fifo.events).toEqual([
      expect.stringContaining("fifo 10: taken back, it ran for a second without waiting once"),
    ]);
    expect((await fifo.checks()).priority).toMatchObject({ result: "warn" });
  });
});

it("the doctor judges by run delay, not by what was granted", async () => {
  const { checks, second, scheduling } = bed({ count: 1, priority: "auto", cpus: null }, [{}], [STATE]);
  const after = (delaySeconds: number) => [{ ...STATE, times: { runSeconds: 3, delaySeconds } }];
  expect((await checks())["run delay"]).toMatchObject({ result: "ok", text: expect.stringContaining("not counted") });
  second(after(1));
  second(after(1.05));
  expect((await checks())["run delay"]).toMatchObject({ result: "ok", text: expect.stringContaining("worker 0 5 %") });
  second(after(1.6));
  expect((await checks())["run delay"]).toMatchObject({
    result: "warn",
    text: expect.stringContaining("worker 0 30 %"),
  });
  const rows = scheduled(scheduling).rows!;
  expect(rows.map(({ name, values }) => [name, ...values()])).toEqual([
    ["vtep_worker_run_delay_seconds_total", [{ worker: "0" }, 1.6]],
    ["vtep_worker_cpu_seconds_total", [{ worker: "0" }, 3]],
  ]);
});

it("a worker asks for its own processor, and for what is configured", () => {
  const of = (config: WorkersConfig) => bed(config, [], []).scheduling.requestOf(1);
  expect(of({ count: 2, priority: { nice: -5 }, cpus: [2, 3] })).toEqual({ priority: { nice: -5 }, cpus: [3] });
  expect(of({ count: 2, priority: "normal", cpus: null })).toEqual({ priority: "normal", cpus: [] });
});
