/**
 * Who may still be reading a row that control has withdrawn?
 *
 * Writer: worker k for its own word, which is odd while the worker is inside a batch and even outside (waiting for input).
 * A row that was unpublished at some moment is out of every worker's hands as soon as each of them has been seen
 * outside a batch since: even now, or a word different from the one noted then. That is the whole of our garbage
 * collection between threads (the idea is RCU's quiescent state).
 */
export class Heartbeat {
  readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** Worker k enters a batch. */
  enter(worker: number): void {
    Atomics.store(this.words, worker, (this.words[worker]! + 1) | 1);
  }

  /** Worker k has left its batch. */
  leave(worker: number): void {
    Atomics.store(this.words, worker, (this.words[worker]! + 1) & ~1);
  }

  /** A note of this moment, for `passed`. */
  note(): Int32Array {
    const note = new Int32Array(this.words.length);
    for (let k = 0; k < note.length; k++) note[k] = Atomics.load(this.words, k);
    return note;
  }

  /** Is every worker where it was at `note`? A note of now would be the same. */
  isNow(note: Int32Array): boolean {
    for (let k = 0; k < note.length; k++) if (Atomics.load(this.words, k) !== note[k]) return false;
    return true;
  }

  /** Has every worker been outside a batch since `note`? */
  passed(note: Int32Array): boolean {
    for (let k = 0; k < note.length; k++) {
      const then = note[k]!;
      if ((then & 1) === 1 && Atomics.load(this.words, k) === then) return false;
    }
    return true;
  }
}

/**
 * Row numbers 1..size-1 (0 is "none"), given out by control. A retired number comes back only when no worker can
 * still be looking at the row.
 */
export class RowPool {
  private readonly heartbeat: Heartbeat;
  private readonly size: number;
  private readonly free: number[] = [];
  /** What was given back while the same batches were under way has one note. */
  private readonly retired: { readonly rows: number[]; readonly note: Int32Array }[] = [];
  private fresh = 1;
  private live = 0;

  constructor(heartbeat: Heartbeat, size: number) {
    this.heartbeat = heartbeat;
    this.size = size;
  }

  /** Rows in use. */
  get used(): number {
    return this.live;
  }

  /** Rows that can be taken now. */
  get room(): number {
    this.reclaim();
    return this.free.length + this.size - this.fresh;
  }

  /** A row that no worker reads, or 0 when all are taken. */
  take(): number {
    this.reclaim();
    const row = this.free.pop() ?? (this.fresh < this.size ? this.fresh++ : 0);
    if (row !== 0) this.live++;
    return row;
  }

  /** Give back a row that has just been unpublished. */
  retire(row: number): void {
    this.live--;
    const last = this.retired.at(-1);
    if (last !== undefined && this.heartbeat.isNow(last.note)) last.rows.push(row);
    else this.retired.push({ rows: [row], note: this.heartbeat.note() });
  }

  private reclaim(): void {
    let n = 0;
    for (; n < this.retired.length && this.heartbeat.passed(this.retired[n]!.note); n++)
      for (const row of this.retired[n]!.rows) this.free.push(row);
    if (n > 0) this.retired.splice(0, n);
  }
}
