/**
 * Bursts of drops in the log: a reason that suddenly drops much is told without anybody having to look.
 *
 * The counters are compared once a second. A burst is told when it begins, then every REPEAT_MS with what came since, so
 * an hour of it is a few hundred lines and not a million; single drops are no news and stay in the counters.
 *
 * But for router advertisements where there must be no router: a single one is somebody's mistake or attack, and comes seldom.
 */
import type { Emit, EventFields } from "../control/event.ts";
import { OncePer } from "../control/once-per.ts";
import { type CounterBlock, DROPS, type DropName, NO_FRAMES, sumOf } from "../tables/counters.ts";

/** Packets of one reason in one second that are a burst. */
export const BURST = 100;
const REPEAT_MS = 10_000;
const ROUTER: DropName = "nd_ra_guard";

export class DropWatch {
  private readonly counters: readonly CounterBlock[];
  private readonly emit: Emit;
  private readonly placeOf: (reason: DropName) => EventFields;
  private readonly seen: number[];
  private readonly untold: number[];
  private readonly told = new OncePer<number>(REPEAT_MS);

  /** @param placeOf where the last frame that was dropped for a reason came from, and what it was. */
  constructor(counters: readonly CounterBlock[], emit: Emit, placeOf: (reason: DropName) => EventFields) {
    this.counters = counters;
    this.emit = emit;
    this.placeOf = placeOf;
    this.seen = DROPS.map((_, i) => this.count(i));
    this.untold = DROPS.map(() => 0);
  }

  /** Compare with the last time. Called once a second. */
  compare(nowMs: number): void {
    for (const [i, [reason, text]] of DROPS.entries()) {
      const count = this.count(i);
      const fresh = count - this.seen[i]!;
      this.seen[i] = count;
      if (fresh >= (reason === ROUTER ? 1 : BURST)) this.untold[i]! += fresh;
      if (this.untold[i] === 0 || !this.told.admit(i, nowMs)) continue;
      if (NO_FRAMES.has(reason)) this.emit("warn", "learning.refused", { reason, times: this.untold[i]!, text });
      else if (reason === ROUTER)
        this.emit("warn", "nd.ra-guard", { ...this.placeOf(reason), packets: this.untold[i]! });
      else this.emit("warn", "drop.burst", { reason, packets: this.untold[i]!, text });
      this.untold[i] = 0;
    }
  }

  private count(i: number): number {
    return sumOf(this.counters, (block) => block.drops[i + 1]! + block.refused[i + 1]!);
  }
}
