/** What a load costs the whole machine: CPU and context switches from /proc/stat (proc_stat(5)). */
import { readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { proportionalBytes } from "../../src/metrics/memory.ts";

export interface Usage {
  /** Of all CPUs, in seconds; not idle, not waiting, not stolen. */
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
}

const TICKS_PER_SECOND = 100;

function now(): Usage {
  const stat = readFileSync("/proc/stat", "utf8");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = stat
    .slice(4, stat.indexOf("\n"))
    .trim()
    .split(/\s+/)
    .map(Number);
  return {
    cpuSeconds: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    contextSwitches: Number(/^ctxt (\d+)/m.exec(stat)?.[1] ?? Number.NaN),
  };
}

export async function usageOf(load: () => Promise<void>): Promise<Usage> {
  const before = now();
  await load();
  const after = now();
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    contextSwitches: after.contextSwitches - before.contextSwitches,
  };
}

/** What the machine did besides: stolen by its host, and what our daemons waited for a processor (0 where it is not counted). */
export interface Noise {
  readonly load: number;
  readonly stealSeconds: number;
}

export function noiseNow(): Noise {
  const steal = Number(readFileSync("/proc/stat", "utf8").split("\n")[0]!.trim().split(/\s+/)[8] ?? 0);
  return { load: loadavg()[0]!, stealSeconds: steal / TICKS_PER_SECOND };
}

/** Seconds that threads of these processes have run, and been ready and waited for a processor (schedstat). */
export function threadTimes(pids: readonly number[]): { readonly run: number; readonly delay: number } {
  let [run, delay] = [0, 0];
  for (const pid of pids)
    for (const tid of readdirSync(`/proc/${pid}/task`)) {
      const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, "utf8").split(" ").map(Number);
      run += ran / 1e9;
      delay += waited / 1e9;
    }
  return { run, delay };
}

interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentMb: number;
  /** Node's text, which all gateways of a machine share, divided by those who share it (PSS). */
  readonly proportionalMb: number;
}

/** CPU seconds a process has used, and its memory in MB. */
export function processUsage(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentMb: Number(resident ?? Number.NaN) / 1024,
    proportionalMb: (proportionalBytes(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? Number.NaN) / 2 ** 20,
  };
}
