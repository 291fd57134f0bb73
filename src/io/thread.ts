/** How the kernel schedules the calling thread: what a forwarding thread asks for at its start, and was refused. */
import { addon } from "./addon.ts";

/** What a thread asks for: nothing, a nice value (-20..19, less is more), or a real-time priority (SCHED_FIFO, 1..99). */
export type ThreadPriority = "normal" | { readonly nice: number } | { readonly fifo: number };

export interface ThreadRequest {
  readonly priority: ThreadPriority;
  /** Processors it may run on; empty: wherever it may run now. */
  readonly cpus: readonly number[];
}

/** Errnos are negative; 0: granted, or not asked for. What was refused leaves the thread as it was. */
export interface ThreadOutcome {
  readonly tid: number;
  readonly priorityError: number;
  readonly cpusError: number;
}

/**
 * Ask it for the calling thread.
 *
 * A thread that runs under FIFO for a second without waiting once is put back among ordinary threads by the kernel's
 * watch over real-time threads (RLIMIT_RTTIME): it could be stuck, and main must be able to say so.
 */
export function scheduleThread({ priority, cpus }: ThreadRequest): ThreadOutcome {
  const [policy, value] = priority === "normal" ? [0, 0] : "nice" in priority ? [1, priority.nice] : [2, priority.fifo];
  const [tid, priorityError, cpusError] = addon().scheduleThread(policy, value, Int32Array.from(cpus));
  return { tid, priorityError, cpusError };
}

/** How often the calling thread has waited for something, ever. */
export function threadWaits(): number {
  return addon().threadWaits();
}
