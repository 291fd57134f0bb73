/** A thread of this process as the kernel schedules it: /proc/self/task/TID, read from outside, so a stuck one has it too. */
import { type ReadText, readText, statFields } from "./group.ts";

export interface ThreadState {
  /** In force: "nice -15" or "fifo 10". */
  readonly priority: string;
  /** Where it may run, as the kernel lists it: "0-1". */
  readonly cpus: string;
  /** It has run for so long, and was ready and waited for a processor for so long; null: this kernel does not count it. */
  readonly times: { readonly runSeconds: number; readonly delaySeconds: number } | null;
}

/** SCHED_FIFO and SCHED_RR (sched.h). */
const REAL_TIME = ["1", "2"];

/** Null: there is no such thread any more. */
export function threadState(tid: number, read: ReadText = readText): ThreadState | null {
  const stat = read(`/proc/self/task/${tid}/stat`);
  if (stat === null) return null;
  // proc(5) counts from 1, and two fields are gone: nice 19, rt_priority 40, policy 41.
  const fields = statFields(stat.trim());
  const [nice, priority, policy] = [fields[16], fields[37], fields[38]];
  const cpus = /^Cpus_allowed_list:\s*(\S+)/m.exec(read(`/proc/self/task/${tid}/status`) ?? "")?.[1] ?? "";
  return {
    priority: REAL_TIME.includes(policy!) ? `fifo ${priority}` : `nice ${nice}`,
    cpus,
    times: timesOf(read(`/proc/self/task/${tid}/schedstat`)),
  };
}

/** "RUN DELAY SLICES", nanoseconds (Documentation/scheduler/sched-stats.rst); all 0 where it is not counted. */
function timesOf(text: string | null): ThreadState["times"] {
  const [run, delay] = (text ?? "").split(" ").map(Number);
  if (run === undefined || delay === undefined || run === 0) return null;
  return { runSeconds: run / 1e9, delaySeconds: delay / 1e9 };
}
