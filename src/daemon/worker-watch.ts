/**
 * The demand that every forwarding thread makes progress, seen from the main thread.
 *
 * A worker turns its loop at least every 100 ms, idle or not, and its heartbeat word changes twice in each turn. One that is
 * stuck (in the kernel, in the addon, in a loop of ours) forwards nothing and cannot say so; every other thread looks healthy.
 * So its word is looked at here: unchanged for STUCK_MS, the worker is stuck: an event, not ready, not live, and no ping for
 * the service manager. After LOST_MS the process ends with code 1, for a thread cannot be replaced without its sockets.
 *
 * Time counts only while it is looked: when the whole process stood still (a stopped container, a suspended machine, a busy
 * main thread) the clock has jumped and the worker had no turn either. A look therefore counts for LONGEST_LOOK_MS at most.
 */
import type { Emit } from "../control/event.ts";
import type { Heartbeat } from "../tables/heartbeat.ts";

export const LOOK_MS = 250;
const LONGEST_LOOK_MS = 2 * LOOK_MS;
/** A word that has not changed for so long belongs to a worker that is stuck. */
export const STUCK_MS = 2000;
/** And for so long, to one that does not come back. */
export const LOST_MS = 10_000;

/** A worker without progress. */
export interface StuckWorker {
  readonly worker: number;
  readonly seconds: number;
}

export class WorkerWatch {
  private readonly heartbeat: Heartbeat;
  private readonly emit: Emit;
  private words: Int32Array;
  private readonly stillMs: number[];
  private lookedMs: number;

  constructor(heartbeat: Heartbeat, emit: Emit, nowMs: number) {
    this.heartbeat = heartbeat;
    this.emit = emit;
    this.words = heartbeat.note();
    this.stillMs = Array.from(this.words, () => 0);
    this.lookedMs = nowMs;
  }

  /** Compare with the last look. Called every LOOK_MS. @returns the worker that is lost, or -1. */
  checkHeartbeats(nowMs: number): number {
    const passedMs = Math.min(nowMs - this.lookedMs, LONGEST_LOOK_MS);
    this.lookedMs = nowMs;
    const words = this.heartbeat.note();
    let lost = -1;
    for (const [worker, word] of words.entries()) {
      const before = this.stillMs[worker]!;
      const still = word === this.words[worker] ? before + passedMs : 0;
      this.stillMs[worker] = still;
      const fields = { worker, seconds: Math.floor(Math.max(before, still) / 1000) };
      if (before < STUCK_MS && still >= STUCK_MS) this.emit("error", "worker.stuck", fields);
      else if (before >= STUCK_MS && still === 0) this.emit("warn", "worker.moves", fields);
      if (still >= LOST_MS) lost = worker;
    }
    this.words = words;
    return lost;
  }

  /** Workers without progress for STUCK_MS and longer. */
  stuck(): StuckWorker[] {
    return this.stillMs.flatMap((still, worker) =>
      still >= STUCK_MS ? [{ worker, seconds: Math.floor(still / 1000) }] : [],
    );
  }

  /** For how long each worker has made no progress, in seconds; a look's length while it runs. */
  still(): number[] {
    return this.stillMs.map((ms) => ms / 1000);
  }
}
