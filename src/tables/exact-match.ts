/**
 * An exact-match table in shared memory: two int32 of key, one int32 of value, a hit byte.
 *
 * The MAC table, the routes, the VNIs and the VLANs of a TAP are all instances of this one. Open addressing with
 * linear probing, at most half full; a row is 16 bytes, so a look-up touches one cache line, seldom two.
 *
 * Writer: control. Readers: every worker, without locks, because
 *   - a published key never changes: an insert fills an empty row and stores the value last;
 *   - a removal stores value 0 and leaves the key (a tombstone, taken up again only by the same key);
 *   - when tombstones pile up, the live rows are written into the *other* bank and the bank number is stored.
 * The old bank is not touched until every worker has left the batch it was in (heartbeat.ts). A worker calls
 * `refresh()` once per batch.
 *
 * The hash is seeded per process: a tenant who chooses MACs cannot choose the chain they fall into.
 * A key is never (0, 0) and a value never 0.
 */
import { Banks, type Stored } from "./banks.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Carver } from "./layout.ts";

const ROW_WORDS = 4;
const KEY_A = 0;
const KEY_B = 1;
const VALUE = 2;

/** Rows of one bank of a table for `limit` entries, half of which may be taken. */
export function capacityFor(limit: number): number {
  let capacity = 16;
  while (capacity < limit * 2) capacity *= 2;
  return capacity;
}

/** What readers need: find a row, read its value, mark it hit. */
export class ExactMatch {
  /** Rows of one bank, a power of two. */
  readonly capacity: number;
  /** Both banks. */
  readonly rows: Int32Array;
  /** One byte per row of both banks; set by workers, cleared by control. */
  readonly hits: Uint8Array;
  /** [0] the published bank, [1] the hash seed. */
  readonly head: Int32Array;
  private base = 0;
  private seed = 0;

  constructor(carver: Carver, limit: number) {
    const capacity = capacityFor(limit);
    this.capacity = capacity;
    this.head = carver.int32(2);
    this.rows = carver.int32(capacity * 2 * ROW_WORDS);
    this.hits = carver.bytes(capacity * 2);
    if (this.head.length > 0) this.refresh();
  }

  /** Look at the published bank from now on. */
  refresh(): void {
    this.base = Atomics.load(this.head, 0) * this.capacity;
    this.seed = this.head[1]!;
  }

  /** The row that holds (a, b), or -1. Its value may be 0: removed. */
  find(a: number, b: number): number {
    const rows = this.rows;
    const mask = this.capacity - 1;
    const base = this.base;
    let slot = hash(a, b, this.seed) & mask;
    for (;;) {
      const row = base + slot;
      const at = row << 2;
      const keyB = rows[at + KEY_B]!;
      const keyA = rows[at + KEY_A]!;
      if (keyA === a && keyB === b) return row;
      if (keyA === 0 && keyB === 0) return -1;
      slot = (slot + 1) & mask;
    }
  }

  /** The value for (a, b), or 0. */
  get(a: number, b: number): number {
    const row = this.find(a, b);
    return row < 0 ? 0 : this.rows[(row << 2) + VALUE]!;
  }

  valueAt(row: number): number {
    return this.rows[(row << 2) + VALUE]!;
  }

  hit(row: number): void {
    this.hits[row] = 1;
  }
}

/** Two rounds of multiply and fold; the top bits are folded down because the slot is the low ones. */
function hash(a: number, b: number, seed: number): number {
  let h = Math.imul(a ^ seed, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h ^ b, 0x85ebca6b);
  return h ^ (h >>> 13);
}

/** Control's side of an ExactMatch: the only one that writes keys and values. */
export class ExactMatchWriter {
  readonly table: ExactMatch;
  private readonly banks: Banks;

  /** @param seed a random int32, chosen once per process. */
  constructor(table: ExactMatch, heartbeat: Heartbeat, seed: number) {
    this.table = table;
    this.banks = new Banks(table, heartbeat, seed, (row, bank) => {
      const { rows, hits } = table;
      const at = row << 2;
      if (rows[at + VALUE] !== 0) this.place(bank, rows[at + KEY_A]!, rows[at + KEY_B]!, rows[at + VALUE]!, hits[row]!);
    });
  }

  /** Most keys. */
  get limit(): number {
    return this.banks.limit;
  }

  get size(): number {
    return this.banks.size;
  }

  /** Store `value` (never 0) for (a, b). */
  set(a: number, b: number, value: number): Stored {
    const row = this.table.find(a, b);
    if (row >= 0) {
      if (this.table.valueAt(row) === 0 && !this.banks.retake()) return "full";
      Atomics.store(this.table.rows, (row << 2) + VALUE, value);
      return "stored";
    }
    const taken = this.banks.take();
    if (taken === "stored") this.place(this.banks.bank, a, b, value, 0);
    return taken;
  }

  /** Withdraw (a, b). @returns false if it was not there. */
  remove(a: number, b: number): boolean {
    const row = this.table.find(a, b);
    if (row < 0 || this.table.valueAt(row) === 0) return false;
    Atomics.store(this.table.rows, (row << 2) + VALUE, 0);
    this.banks.release();
    return true;
  }

  /** Was (a, b) hit since the last call? Clears the mark. */
  takeHit(a: number, b: number): boolean {
    const row = this.table.find(a, b);
    if (row < 0 || this.table.hits[row] === 0) return false;
    this.table.hits[row] = 0;
    return true;
  }

  private place(bank: number, a: number, b: number, value: number, hit: number): void {
    const { rows, hits, capacity } = this.table;
    const mask = capacity - 1;
    let slot = hash(a, b, this.table.head[1]!) & mask;
    for (;;) {
      const row = bank * capacity + slot;
      const at = row << 2;
      if (rows[at + KEY_A] === 0 && rows[at + KEY_B] === 0) {
        hits[row] = hit;
        rows[at + KEY_A] = a;
        rows[at + KEY_B] = b;
        Atomics.store(rows, at + VALUE, value);
        return;
      }
      slot = (slot + 1) & mask;
    }
  }
}
