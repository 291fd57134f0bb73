/**
 * The search for a path MTU: which length to try next, given what became of those tried (RFC 4821 §7.3, RFC 8899 §5.3).
 *
 * Between `low`, which passes, and `high`, the longest that may, the first try is the longest of all: on most paths it
 * passes and the search is over. What a router says in its "too big" is tried next, believed no sooner than it passes:
 * the path behind that router may be narrower still, and a stranger may have made it up. Where routers are silent (a
 * black hole) the range is halved.
 *
 * `low` begins as the floor, the least that a path must carry; nothing is ever searched below it.
 */
export class MtuSearch {
  private low: number;
  private high: number;
  private candidate: number;
  /** Is the candidate somebody's word? */
  private isHint: boolean;
  /** Has any length passed? Otherwise `low` is an assumption. */
  isProven = false;

  /** @param hint tried first, if it lies in the range. */
  constructor(floor: number, ceiling: number, hint = 0) {
    this.low = Math.min(floor, ceiling);
    this.high = ceiling;
    this.isHint = hint >= this.low && hint < ceiling;
    this.candidate = this.isHint ? hint : ceiling;
  }

  /** The length to try, or null: the search is over, and `found` is the path MTU. */
  next(): number | null {
    if (this.low >= this.high && (this.isProven || this.candidate === 0)) return null;
    if (this.candidate === 0) return this.low + Math.ceil((this.high - this.low) / 2);
    return this.candidate;
  }

  get found(): number {
    return this.low;
  }

  passed(length: number): void {
    this.isProven = true;
    this.low = Math.max(this.low, length);
    // A hint that passes is right, as a rule: one byte more tells. If that passes too, the longest may.
    if (this.low < this.high && this.candidate !== 0) this.candidate = this.isHint ? length + 1 : this.high;
    else this.candidate = 0;
    this.isHint = false;
  }

  /** `length` did not pass. @param hint what a router said would; 0: nothing. */
  failed(length: number, hint = 0): void {
    this.high = Math.max(Math.min(this.high, length - 1), this.low);
    this.candidate = hint >= this.low && hint < length ? hint : 0;
    this.isHint = this.candidate !== 0;
    if (this.isHint) this.high = Math.min(this.high, hint);
    // Nothing has passed and only the floor is left: it is tried too, once.
    else if (!this.isProven && this.high === this.low && length > this.low) this.candidate = this.low;
  }
}
