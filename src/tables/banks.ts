/**
 * The two banks of an exact-match table, from control's side: how many rows are taken, and the change from one bank to the other.
 *
 * A removed key keeps its row (a tombstone). When three quarters of a bank are taken, the live rows are written into the other
 * bank and its number is stored. The old bank is not touched until every worker has left the batch it was in (heartbeat.ts).
 * What a row is made of is its table's affair.
 */
import type { Heartbeat } from "./heartbeat.ts";

/**
 * What became of a store: `full` stays so until a key is removed; `unsettled` passes when every worker has left the batch it
 * is in, so the caller tries again soon.
 */
export type Stored = "stored" | "full" | "unsettled";

/** What readers of such a table have. */
export interface BankedTable {
  /** Rows of one bank, a power of two. */
  readonly capacity: number;
  /** Both banks. */
  readonly rows: Int32Array;
  /** [0] the published bank, [1] the hash seed. */
  readonly head: Int32Array;
  refresh(): void;
}

export class Banks {
  /** Most keys. */
  readonly limit: number;
  private readonly table: BankedTable;
  private readonly heartbeat: Heartbeat;
  private readonly move: (row: number, bank: number) => void;
  private live = 0;
  private taken = 0;
  private published = 0;
  private switched: Int32Array | null = null;

  /**
   * @param seed a random int32, chosen once per process.
   * @param move writes what is live of `row` into `bank`.
   */
  constructor(table: BankedTable, heartbeat: Heartbeat, seed: number, move: (row: number, bank: number) => void) {
    this.table = table;
    this.heartbeat = heartbeat;
    this.move = move;
    this.limit = table.capacity >> 1;
    table.head[1] = seed;
    table.refresh();
  }

  /** Keys that are not removed. */
  get size(): number {
    return this.live;
  }

  /** The bank that workers read, and new rows are written to. */
  get bank(): number {
    return this.published;
  }

  /** Count a key that has no row; with "stored" the caller writes one into `bank`, which may have changed. */
  take(): Stored {
    if (this.live >= this.limit) return "full";
    // Three quarters of the slots taken, tombstones included: time for the other bank.
    if (this.taken >= this.limit + (this.limit >> 1) && !this.change()) return "unsettled";
    this.live++;
    this.taken++;
    return "stored";
  }

  /** Count a removed key that gets a value again, in its old row. @returns false: full. */
  retake(): boolean {
    if (this.live >= this.limit) return false;
    this.live++;
    return true;
  }

  /** Count a key that was removed. */
  release(): void {
    this.live--;
  }

  /** Copy the live rows into the other bank and publish it. @returns false while a worker may still read that bank. */
  private change(): boolean {
    if (this.switched !== null && !this.heartbeat.passed(this.switched)) return false;
    const { rows, capacity, head } = this.table;
    const words = rows.length / (2 * capacity);
    const other = 1 - this.published;
    rows.fill(0, other * capacity * words, (other + 1) * capacity * words);
    const from = this.published * capacity;
    for (let row = from; row < from + capacity; row++) this.move(row, other);
    this.published = other;
    this.taken = this.live;
    Atomics.store(head, 0, other);
    this.switched = this.heartbeat.note();
    this.table.refresh();
    return true;
  }
}
