/**
 * What this worker told control lately: a direct-mapped memory that forgets on collision.
 *
 * A source MAC that control will not learn (limit reached, move damped) would otherwise be told with every frame. Each
 * (kind, arguments, place) is news at most twice a second; a collision only makes something news again.
 */
const SLOTS = 4096;
const WORDS = 5;
const QUIET_MS = 500;

export class Told {
  private readonly slots = new Int32Array(SLOTS * WORDS);

  /** Is this news? If so it is remembered as told at `nowMs`. */
  isNews(kind: number, arg: number, arg2: number, place: number, nowMs: number): boolean {
    let h = Math.imul(arg ^ Math.imul(arg2, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(place ^ (kind << 28), 0xc2b2ae35);
    h ^= h >>> 15;
    const at = (h & (SLOTS - 1)) * WORDS;
    const s = this.slots;
    const same = s[at] === arg && s[at + 1] === arg2 && s[at + 2] === place && s[at + 3] === kind;
    // After 2^31 ms the difference is negative: that is long ago, not just now.
    const passed = (nowMs - s[at + 4]!) | 0;
    if (same && passed >= 0 && passed < QUIET_MS) return false;
    s[at] = arg;
    s[at + 1] = arg2;
    s[at + 2] = place;
    s[at + 3] = kind;
    s[at + 4] = nowMs;
    return true;
  }
}
