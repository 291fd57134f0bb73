/**
 * Bindings as the workers see them: which (MAC, address) an AC with `antiSpoof: strict` may send from.
 *
 * One exact-match table whose key is (AC, MAC, address), so that a frame costs one look-up whatever its family. An address
 * is four words: IPv6 as it is, IPv4 behind ::ffff:0:0/96 (RFC 4291 §2.5.5.2), and :: is "this MAC, whatever the address": for what has
 * none (RFC 5227's probes, duplicate address detection, DHCP, other protocols). A row is 32 bytes, two of them a cache line.
 *
 * Writer: control (control/security/bindings.ts), by the rules of exact-match.ts: a published key never changes, a removal
 * leaves the key, and what is left of removed keys is cleared by a change of banks.
 */
import { Banks, type Stored } from "./banks.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Carver } from "./layout.ts";

/** Most rows; an address is one, and each MAC two more. */
export const MAX_BINDING_ROWS = 65_536;

/** Words of a row: (AC << 16) | the MAC's first two bytes, the other four, the address, 1 or (removed) 0. */
const ROW_WORDS = 8;
const KEY_WORDS = 6;
const VALUE = 6;
/** Bits 64 to 95 of an IPv4 address as an IPv6 one. */
export const MAPPED_IPV4 = 0xffff;

/** The first word of a key. */
export function bindingKey(port: number, macHi: number): number {
  return (port << 16) | macHi;
}

export class BindingTable {
  /** Rows of one bank, a power of two. */
  readonly capacity: number;
  /** Both banks. */
  readonly rows: Int32Array;
  /** [0] the published bank, [1] the hash seed. */
  readonly head: Int32Array;
  private base = 0;

  constructor(carver: Carver, limit = MAX_BINDING_ROWS) {
    this.capacity = limit * 2;
    this.head = carver.int32(2);
    this.rows = carver.int32(this.capacity * 2 * ROW_WORDS);
    if (this.head.length > 0) this.refresh();
  }

  /** Look at the published bank from now on. */
  refresh(): void {
    this.base = Atomics.load(this.head, 0) * this.capacity;
  }

  /** May `key` (bindingKey) with the MAC's last four bytes send from the address in four words? */
  has(key: number, macLo: number, a: number, b: number, c: number, d: number): boolean {
    const row = this.find(key, macLo, a, b, c, d);
    return row >= 0 && this.rows[row * ROW_WORDS + VALUE] !== 0;
  }

  /** The row that holds the key, or -1. It may be a removed one. */
  find(key: number, macLo: number, a: number, b: number, c: number, d: number): number {
    const { rows, base } = this;
    const mask = this.capacity - 1;
    let slot = hash(key, macLo, a, b, c, d, this.head[1]!) & mask;
    for (;;) {
      const row = base + slot;
      const at = row * ROW_WORDS;
      const first = rows[at]!;
      // No AC has row 0.
      if (first === 0) return -1;
      if (
        first === key &&
        rows[at + 1] === macLo &&
        rows[at + 5] === d &&
        rows[at + 4] === c &&
        rows[at + 3] === b &&
        rows[at + 2] === a
      )
        return row;
      slot = (slot + 1) & mask;
    }
  }
}

function hash(key: number, macLo: number, a: number, b: number, c: number, d: number, seed: number): number {
  let h = Math.imul(key ^ seed, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15) ^ macLo, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ a, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16) ^ b, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15) ^ c, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ d, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A key: what `find` takes. */
export type BindingRow = readonly [key: number, macLo: number, a: number, b: number, c: number, d: number];

/** Control's side of it: the only one that writes. */
export class BindingWriter {
  private readonly table: BindingTable;
  private readonly banks: Banks;

  /** @param seed a random int32, chosen once per process. */
  constructor(table: BindingTable, heartbeat: Heartbeat, seed: number) {
    this.table = table;
    this.banks = new Banks(table, heartbeat, seed, (row, bank) => {
      const { rows } = table;
      const at = row * ROW_WORDS;
      if (rows[at + VALUE] !== 0) this.place(bank, [...rows.subarray(at, at + KEY_WORDS)] as unknown as BindingRow);
    });
  }

  get limit(): number {
    return this.banks.limit;
  }

  get size(): number {
    return this.banks.size;
  }

  add(row: BindingRow): Stored {
    const at = this.table.find(...row);
    if (at >= 0) {
      const value = at * ROW_WORDS + VALUE;
      if (this.table.rows[value] !== 0) return "stored";
      if (!this.banks.retake()) return "full";
      Atomics.store(this.table.rows, value, 1);
      return "stored";
    }
    const taken = this.banks.take();
    if (taken === "stored") this.place(this.banks.bank, row);
    return taken;
  }

  /** @returns false if it was not there. */
  remove(row: BindingRow): boolean {
    const at = this.table.find(...row);
    if (at < 0 || this.table.rows[at * ROW_WORDS + VALUE] === 0) return false;
    Atomics.store(this.table.rows, at * ROW_WORDS + VALUE, 0);
    this.banks.release();
    return true;
  }

  private place(bank: number, row: BindingRow): void {
    const { rows, capacity, head } = this.table;
    const mask = capacity - 1;
    let slot = hash(...row, head[1]!) & mask;
    while (rows[(bank * capacity + slot) * ROW_WORDS] !== 0) slot = (slot + 1) & mask;
    const at = (bank * capacity + slot) * ROW_WORDS;
    // The first word last: until then a look-up takes the slot for an empty one, and then all of the key is there.
    for (let i = KEY_WORDS - 1; i > 0; i--) rows[at + i] = row[i]!;
    rows[at + VALUE] = 1;
    Atomics.store(rows, at, row[0]);
  }
}
