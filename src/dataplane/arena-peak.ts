/**
 * How much of its arena a worker needs: bytes of the largest batch lately, for a gauge that is read every few seconds.
 *
 * The last batch alone would tell a scraper about one batch in ten thousand, the largest ever about a minute last
 * week. So the largest is kept of this window of time and of the one before it.
 */
import { MISC_ARENA_RECEIVED, MISC_ARENA_SCRATCH } from "../tables/counters.ts";

export const ARENA_WINDOW_MS = 8192;

export class ArenaPeak {
  private windowMs = 0;
  private received = 0;
  private scratch = 0;
  private receivedBefore = 0;
  private scratchBefore = 0;

  /** A batch is through that took so many bytes; `nowMs` wraps. */
  note(misc: Float64Array, received: number, scratch: number, nowMs: number): void {
    if (((nowMs - this.windowMs) | 0) >= ARENA_WINDOW_MS) {
      this.windowMs = nowMs;
      this.receivedBefore = this.received;
      this.scratchBefore = this.scratch;
      this.received = 0;
      this.scratch = 0;
      misc[MISC_ARENA_RECEIVED] = this.receivedBefore;
      misc[MISC_ARENA_SCRATCH] = this.scratchBefore;
    }
    if (received > this.received) {
      this.received = received;
      if (received > this.receivedBefore) misc[MISC_ARENA_RECEIVED] = received;
    }
    if (scratch > this.scratch) {
      this.scratch = scratch;
      if (scratch > this.scratchBefore) misc[MISC_ARENA_SCRATCH] = scratch;
    }
  }
}
