/**
 * "At most once in a period", for each of many keys: the pace at which the same thing is told or announced again.
 *
 * One number a key, kept until `sweep` finds that its period is over or `forget` ends it; the caller bounds the keys.
 */
export class OncePer<Key> {
  private readonly periodMs: number;
  private readonly lastMs = new Map<Key, number>();

  constructor(periodMs: number) {
    this.periodMs = periodMs;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.lastMs.size;
  }

  isDue(key: Key, nowMs: number): boolean {
    return nowMs - (this.lastMs.get(key) ?? Number.NEGATIVE_INFINITY) >= this.periodMs;
  }

  /** It has just happened. */
  note(key: Key, nowMs: number): void {
    this.lastMs.set(key, nowMs);
  }

  /** `isDue` and `note` in one. */
  admit(key: Key, nowMs: number): boolean {
    if (!this.isDue(key, nowMs)) return false;
    this.note(key, nowMs);
    return true;
  }

  forget(key: Key): void {
    this.lastMs.delete(key);
  }

  /** Forget what is due again anyway. */
  sweep(nowMs: number): void {
    for (const key of this.lastMs.keys()) if (this.isDue(key, nowMs)) this.lastMs.delete(key);
  }
}
