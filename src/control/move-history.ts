/**
 * Does it move too often? (behaviour.md §3.11; the figures are those of duplicate detection in RFC 7432 §15.1.)
 *
 * Five moves in 180 seconds are believed; further ones are not, until the oldest is 180 seconds ago. Refused moves do not
 * count, so an entry that two places fight for stays where it was, usable, and one move every 36 seconds gets through.
 */
export const MOVE_LIMIT = 5;
export const MOVE_WINDOW_MS = 180_000;

export class MoveHistory {
  private times: number[] = [];

  /** May it move once more? */
  isDamped(nowMs: number): boolean {
    this.times = this.times.filter((time) => nowMs - time < MOVE_WINDOW_MS);
    return this.times.length >= MOVE_LIMIT;
  }

  add(nowMs: number): void {
    this.times.push(nowMs);
  }
}
