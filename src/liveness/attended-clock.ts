/**
 * The prober's clock: milliseconds in which the main thread attended to it.
 *
 * A peer is judged by its silence, and silence is what we listened to. While the main thread is busy or stopped nothing is asked
 * and nothing is read, and afterwards libuv runs timers before it reads sockets: by the wall's clock a peer that answered
 * everything would be dead. So this clock stands still while a turn is late, and stops a moment before what is due until
 * the sockets were read once. A death takes longer to notice by as much as we were away, and no peer dies of it.
 */

/** Later than that is no jitter of timers. A keepalive's fastest interval is twice as long. */
const LATE_MS = 50;
/** Sockets are read in that time, before what was due is done. */
const READ_MS = 5;

export class AttendedClock {
  private readonly wallMs: () => number;
  private awayMs = 0;
  /** What was due when we last came too late. */
  private lateFor: number | null = null;

  /** @param wallMs milliseconds of a monotonic clock. */
  constructor(wallMs: () => number) {
    this.wallMs = wallMs;
  }

  get nowMs(): number {
    return this.wallMs() - this.awayMs;
  }

  /** When the wall's clock will show what this one calls `dueMs`. */
  wallOf(dueMs: number): number {
    return dueMs + this.awayMs;
  }

  /**
   * A turn begins, `dueMs` was the first thing to do in it, and `lastMs` the time of the turn before. @returns its time.
   *
   * A thread that is late in every turn still gets on: the second time the same thing is late, it is done.
   */
  turn(dueMs: number | null, lastMs: number): number {
    const { nowMs } = this;
    if (dueMs === null || nowMs - dueMs <= LATE_MS) return nowMs;
    const isRead = this.lateFor === dueMs;
    this.lateFor = dueMs;
    const thenMs = Math.max(lastMs, isRead ? dueMs + LATE_MS : dueMs - READ_MS);
    this.awayMs += nowMs - thenMs;
    return thenMs;
  }
}
