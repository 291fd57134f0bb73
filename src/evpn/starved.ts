/** What found no room in a table, and is tried again: some of it, in turn, once a second. */

const TRIED_AT_ONCE = 256;

export class Starved<T> {
  private readonly all = new Set<T>();

  /** @returns true: it is news. */
  add(key: T): boolean {
    if (this.all.has(key)) return false;
    this.all.add(key);
    return true;
  }

  /** @param settle tries, and tells whether there was no room again. */
  tryAgain(settle: (key: T) => boolean): void {
    // One that goes back is behind the others, and not met again in this turn.
    let left = Math.min(TRIED_AT_ONCE, this.all.size);
    for (const key of this.all) {
      if (left-- === 0) return;
      const isStarving = settle(key);
      this.all.delete(key);
      if (isStarving) this.all.add(key);
    }
  }
}
