/**
 * Bursts of drops in the log: a reason that suddenly drops much is told without anybody having to look.
 *
 * The counters are compared once a second. A burst is told when it begins, then every REPEAT_MS with what came since, so
 * an hour of it is a few hundred lines and not a million; single drops are no news and stay in the counters.
 */
import type { Emit } from "../control/event.ts";
import { OncePer } from "../control/once-per.ts";
import { type CounterBlock, DROPS, NO_FRAMES, sumOf } from "../tables/counters.ts";

/** Packets of one reason in one second that are a burst. */
export const BURST = 100;
const REPEAT_MS = 10_000;

export class DropWatch {
  private readonly counters: readonly CounterBlock[];
  private readonly emit: Emit;
  private readonly seen: number[];
  private readonly untold: number[];
  private readonly told = new OncePer<number>(REPEAT_MS);

  constructor(counters: readonly CounterBlock[], emit: Emit) {
    this.counters = counters;
    this.emit = emit;
    this.seen = DROPS.map((_, i) => this.count(i));
    this.untold = DROPS.map(() => 0);
  }

  /** Compare with the last look. Called once a second. */
  look(nowMs: number): void {
    for (const [i, [reason, text]] of DROPS.entries()) {
      const count = this.count(i);
      const fresh = count - this.seen[i]!;
      this.seen[i] = count;
      if (fresh >= BURST) this.untold[i]! += fresh;
      if (this.untold[i] === 0 || !this.told.admit(i, nowMs)) continue;
      if (NO_FRAMES.has(reason)) this.emit("warn", "learning.refused", { reason, times: this.untold[i]!, text });
      else this.emit("warn", "drop.burst", { reason, packets: this.untold[i]!, text });
      this.untold[i] = 0;
    }
  }

  private count(i: number): number {
    return sumOf(this.counters, (block) => block.drops[i + 1]! + block.refused[i + 1]!);
  }
}
