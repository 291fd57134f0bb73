/**
 * "At most N in any second", exactly.
 *
 * A token bucket of N per second lets 2 N through in its first second; the limits of behaviour.md (ICMP errors per AC,
 * floods per VSI) are promises about any second. So the last N times are remembered in a ring: one more is admitted when
 * the N-th last is a second old. Eight bytes for each of N, made when first used.
 */
const WINDOW_MS = 1000;

export class RateWindow {
  private readonly times: Float64Array;
  private next = 0;

  /** @param perSecond most events in any second; 0: none at all. */
  constructor(perSecond: number) {
    this.times = new Float64Array(perSecond).fill(Number.NEGATIVE_INFINITY);
  }

  /** How many more would be admitted right now, looking no further than `most`. */
  room(nowMs: number, most: number): number {
    const n = this.times.length;
    let free = 0;
    while (free < most && free < n && nowMs - this.times[(this.next + free) % n]! >= WINDOW_MS) free++;
    return free;
  }

  isOpen(nowMs: number): boolean {
    return this.times.length > 0 && nowMs - this.times[this.next]! >= WINDOW_MS;
  }

  /** Count one; the caller has asked `isOpen`. */
  take(nowMs: number): void {
    this.times[this.next] = nowMs;
    this.next = (this.next + 1) % this.times.length;
  }

  /** `isOpen` and `take` in one. */
  admit(nowMs: number): boolean {
    if (!this.isOpen(nowMs)) return false;
    this.take(nowMs);
    return true;
  }
}
