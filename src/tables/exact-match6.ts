/**
 * The twin of exact-match.ts for IPv6 prefixes: four int32 of address, one of key, one of value.
 *
 * A row is 32 bytes, two to a cache line and never astride: [a b c d key value 0 0]. The key is never 0, so a row whose key is 0
 * is empty. Everything else is as there: one writer, two banks, a published key never changes, a removal leaves a tombstone. A class of
 * its own, not a width that is an argument: with two shapes of key the hot call sites of IPv4 would have two ways.
 */
import { Banks, type Stored } from "./banks.ts";
import { capacityFor } from "./exact-match.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Carver } from "./layout.ts";

const ROW_SHIFT = 3;
const KEY = 4;
const VALUE = 5;

/** What readers need. */
export class ExactMatch6 {
  /** Rows of one bank, a power of two. */
  readonly capacity: number;
  /** Both banks. */
  readonly rows: Int32Array;
  /** [0] the published bank, [1] the hash seed, [2] the version. */
  readonly head: Int32Array;
  /** Another number whenever keys or values were written before the last `refresh`. */
  version = 0;
  private base = 0;
  private seed = 0;

  constructor(carver: Carver, limit: number) {
    const capacity = capacityFor(limit);
    this.capacity = capacity;
    this.head = carver.int32(3);
    this.rows = carver.int32((capacity * 2) << ROW_SHIFT);
    if (this.head.length > 0) this.refresh();
  }

  /**
   * Look at the published bank from now on. The version first: the writer counts it last, so what is found in a bank may be newer
   * than the version that it is remembered under, never older.
   */
  refresh(): void {
    this.version = Atomics.load(this.head, 2);
    this.base = Atomics.load(this.head, 0) * this.capacity;
    this.seed = this.head[1]!;
  }

  /** The row that holds the key, or -1. Its value may be 0: removed. */
  find(a: number, b: number, c: number, d: number, key: number): number {
    const rows = this.rows;
    const mask = this.capacity - 1;
    const base = this.base;
    let slot = hash6(a, b, c, d, key, this.seed) & mask;
    for (;;) {
      const row = base + slot;
      const at = row << ROW_SHIFT;
      const found = rows[at + KEY]!;
      if (found === 0) return -1;
      if (found === key && rows[at + 3] === d && rows[at + 2] === c && rows[at + 1] === b && rows[at] === a) return row;
      slot = (slot + 1) & mask;
    }
  }

  /** The value, or 0. */
  get(a: number, b: number, c: number, d: number, key: number): number {
    const row = this.find(a, b, c, d, key);
    return row < 0 ? 0 : this.rows[(row << ROW_SHIFT) + VALUE]!;
  }
}

/**
 * A row's slot. Words a, b and c are mixed each by itself with the seed, side by side, and the last mix binds them with d and the
 * key: a sum of products, whatever is added to it, leaves keys that meet with every seed. A mix multiplies twice, because once
 * keeps what differs in the highest bits alone there. No host chooses the chain that an address falls into.
 */
function hash6(a: number, b: number, c: number, d: number, key: number, seed: number): number {
  let x = Math.imul(a ^ seed, 0x9e3779b1);
  let y = Math.imul(b ^ seed, 0xc2b2ae35);
  let z = Math.imul(c ^ seed, 0x27d4eb2f);
  x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
  y = Math.imul(y ^ (y >>> 16), 0x165667b1);
  z = Math.imul(z ^ (z >>> 14), 0x85ebca77);
  let h = ((x ^ (x >>> 13)) + (y ^ (y >>> 15)) + (z ^ (z >>> 16)) + Math.imul(key, 0x2545f491)) | 0;
  h = Math.imul(h ^ d, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}

/** Control's side: the only one that writes keys and values. */
export class ExactMatch6Writer {
  readonly table: ExactMatch6;
  private readonly banks: Banks;

  /** @param seed a random int32, chosen once per process. */
  constructor(table: ExactMatch6, heartbeat: Heartbeat, seed: number) {
    this.table = table;
    this.banks = new Banks(table, heartbeat, seed, (row, bank) => {
      const { rows } = table;
      const at = row << ROW_SHIFT;
      const value = rows[at + VALUE]!;
      if (value !== 0) this.place(bank, rows[at]!, rows[at + 1]!, rows[at + 2]!, rows[at + 3]!, rows[at + KEY]!, value);
    });
  }

  /** Most keys. */
  get limit(): number {
    return this.banks.limit;
  }

  get size(): number {
    return this.banks.size;
  }

  /** Store `value` (never 0). */
  set(a: number, b: number, c: number, d: number, key: number, value: number): Stored {
    const { table, banks } = this;
    const row = table.find(a, b, c, d, key);
    if (row >= 0) {
      const at = (row << ROW_SHIFT) + VALUE;
      if (table.rows[at] === 0 && !banks.retake()) return "full";
      Atomics.store(table.rows, at, value);
      this.renew();
      return "stored";
    }
    const taken = banks.take();
    if (taken !== "stored") return taken;
    this.place(banks.bank, a, b, c, d, key, value);
    this.renew();
    return taken;
  }

  /** Withdraw the key. @returns false if it was not there. */
  remove(a: number, b: number, c: number, d: number, key: number): boolean {
    const row = this.table.find(a, b, c, d, key);
    const at = (row << ROW_SHIFT) + VALUE;
    if (row < 0 || this.table.rows[at] === 0) return false;
    Atomics.store(this.table.rows, at, 0);
    this.banks.release();
    this.renew();
    return true;
  }

  /** What readers remember of the table holds no longer than their batch. */
  renew(): void {
    Atomics.add(this.table.head, 2, 1);
  }

  private place(bank: number, a: number, b: number, c: number, d: number, key: number, value: number): void {
    const { rows, capacity, head } = this.table;
    const mask = capacity - 1;
    let slot = hash6(a, b, c, d, key, head[1]!) & mask;
    while (rows[((bank * capacity + slot) << ROW_SHIFT) + KEY] !== 0) slot = (slot + 1) & mask;
    const at = (bank * capacity + slot) << ROW_SHIFT;
    rows[at] = a;
    rows[at + 1] = b;
    rows[at + 2] = c;
    rows[at + 3] = d;
    // A reader passes over a row without a value, whatever of its key it sees.
    Atomics.store(rows, at + KEY, key);
    Atomics.store(rows, at + VALUE, value);
  }
}
