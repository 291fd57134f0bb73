/**
 * The IPv6 rows of the FIB, written with patience: what an unsettled table refuses for the moment is stored by timer
 * (patient-writer.ts says why). Keys are bigints here, and words of a row in the table.
 */
import { ExactMatch6Writer } from "../../tables/exact-match6.ts";
import { LENGTHS6_WORDS, routeKey6 } from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import { wordsOf } from "../../wire/ipv6.ts";
import type { Timers } from "../timers.ts";

const RETRY_MS = 5;
const PREFIX_BITS = 128n;

export class RouteRows6 {
  private readonly writer: ExactMatch6Writer;
  private readonly lengths: Int32Array;
  private readonly timers: Timers;
  /** Values that wait for the table to settle, by (key, network) in one number. */
  private readonly late = new Map<bigint, number>();

  /** @param seed a random int32 for the table's hash. */
  constructor({ fib, heartbeat }: Tables, timers: Timers, seed: number) {
    this.writer = new ExactMatch6Writer(fib.routes6, heartbeat, seed);
    this.lengths = fib.lengths6;
    this.timers = timers;
  }

  /** Rows in use. */
  get size(): number {
    return this.writer.size;
  }

  /** Rows that will be in the table as soon as it has settled. */
  get waiting(): number {
    return this.late.size;
  }

  /** @returns false when there is no room. */
  set(network: bigint, vrf: number, length: number, value: number): boolean {
    const name = nameOf(network, vrf, length);
    const isFull = this.writer.size + this.late.size >= this.writer.limit;
    if (this.late.size > 0 && !this.late.has(name) && isFull && !this.has(name)) return false;
    const stored = this.store(name, value);
    if (stored === "unsettled") this.wait(name, value);
    else if (this.late.size > 0) this.late.delete(name);
    return stored !== "full";
  }

  /** @returns false if it was neither stored nor waiting. */
  remove(network: bigint, vrf: number, length: number): boolean {
    const name = nameOf(network, vrf, length);
    const waited = this.late.size > 0 && this.late.delete(name);
    return this.writer.remove(...wordsOf(network), routeKey6(vrf, length)) || waited;
  }

  /** Some prefix of that length exists in `vrf`, or none does. */
  setLength(vrf: number, length: number, exists: boolean): void {
    if (length === 128) return;
    const at = vrf * LENGTHS6_WORDS + (length >> 5);
    const bit = 1 << (length & 31);
    if (exists) Atomics.or(this.lengths, at, bit);
    else Atomics.and(this.lengths, at, ~bit);
    this.writer.renew();
  }

  private has(name: bigint): boolean {
    return this.writer.table.get(...wordsOf(BigInt.asUintN(128, name)), Number(name >> PREFIX_BITS)) !== 0;
  }

  private store(name: bigint, value: number) {
    return this.writer.set(...wordsOf(BigInt.asUintN(128, name)), Number(name >> PREFIX_BITS), value);
  }

  private wait(name: bigint, value: number): void {
    if (this.late.size === 0) this.timers.after(RETRY_MS, () => this.retry());
    this.late.set(name, value);
  }

  /** The first that has to wait on ends the round: the others would meet the same. */
  private retry(): void {
    for (const [name, value] of this.late) {
      if (this.store(name, value) !== "stored") break;
      this.late.delete(name);
    }
    if (this.late.size > 0) this.timers.after(RETRY_MS, () => this.retry());
  }
}

function nameOf(network: bigint, vrf: number, length: number): bigint {
  return (BigInt(routeKey6(vrf, length)) << PREFIX_BITS) | network;
}
