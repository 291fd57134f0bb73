/**
 * Which part of the last seconds each thread was ready and waited for a processor: the delay that users feel under load.
 *
 * Not its nice value nor its weight, which say what should be: what was waited says what is.
 */
export const WINDOW_SECONDS = 10;

interface Look {
  readonly atMs: number;
  readonly delays: readonly (number | null)[];
}

export class RunDelays {
  private looks: Look[] = [];

  /** Seconds each has waited, ever. Called once a second. */
  add(delays: readonly (number | null)[], nowMs: number): void {
    this.looks.push({ atMs: nowMs, delays });
    // The last look that is older than the window is its beginning.
    while (this.looks.length > 2 && nowMs - this.looks[1]!.atMs >= WINDOW_SECONDS * 1000) this.looks.shift();
  }

  /** 0..1; null: it is not counted, or there have not been two looks. */
  share(worker: number): number | null {
    const [first] = this.looks;
    const last = this.looks.at(-1);
    const [from, to] = [first?.delays[worker] ?? null, last?.delays[worker] ?? null];
    if (from === null || to === null || last!.atMs <= first!.atMs) return null;
    return Math.min(1, (to - from) / ((last!.atMs - first!.atMs) / 1000));
  }
}
