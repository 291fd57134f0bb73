/**
 * The rows that workers see of bindings (tables/bindings.ts). An address is a row, and its MAC two more: the MAC alone, and the
 * link-local address that the MAC gives (RFC 4291 appendix A). Rows that several bindings have in common are counted, so that one binding
 * more or less writes its own rows and looks at no others.
 */
import { type BindingRow, type BindingTable, BindingWriter, bindingKey, MAPPED_IPV4 } from "../../tables/bindings.ts";
import type { Tables } from "../../tables/tables.ts";
import { i32 } from "../../wire/bytes.ts";
import { hiOf, loOf, type Mac } from "../../wire/ethernet.ts";
import { IPV6_ADDRESS_BYTES, wordsOf as ipv6Words, writeLinkLocal } from "../../wire/ipv6.ts";
import type { AcPort } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Timer, Timers } from "../timers.ts";

/** A table that is changing banks is asked again. */
const RETRY_MS = 5;

/** What is bound to an AC. */
export interface Pair {
  readonly mac: Mac;
  readonly ip: Ip;
}

interface Held {
  readonly row: BindingRow;
  /** Bindings that have it. */
  count: number;
}

export class BindingRows {
  private readonly timers: Timers;
  private readonly table: BindingTable;
  private readonly writer: BindingWriter;
  private readonly of = new Map<AcPort, Map<string, Held>>();
  /** Rows that the table had no place for yet. */
  private readonly late = new Map<string, BindingRow>();
  private retry: Timer | null = null;
  /** Rows written and removed, ever. */
  writes = 0;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, seed: number) {
    this.timers = timers;
    this.table = tables.bindings;
    this.writer = new BindingWriter(tables.bindings, tables.heartbeat, seed);
  }

  /** May `mac` behind `port` send from `ip`? */
  has(port: AcPort, mac: Mac, ip: Ip): boolean {
    return this.table.has(...rowOf(port, mac, wordsOf(ip)));
  }

  /** All that is bound to `port` is this. */
  set(port: AcPort, pairs: readonly Pair[]): void {
    const wanted = new Map<string, Held>();
    for (const pair of pairs) for (const row of rowsOf(port, pair)) count(wanted, row);
    const known = this.of.get(port);
    for (const [key, { row }] of known ?? []) if (!wanted.has(key)) this.clear(key, row);
    for (const [key, { row }] of wanted) if (known?.has(key) !== true) this.store(key, row);
    if (wanted.size === 0) this.of.delete(port);
    else this.of.set(port, wanted);
  }

  add(port: AcPort, pair: Pair): void {
    const known = this.of.get(port) ?? new Map<string, Held>();
    this.of.set(port, known);
    for (const row of rowsOf(port, pair)) if (count(known, row) === 1) this.store(keyOf(row), row);
  }

  remove(port: AcPort, pair: Pair): void {
    const known = this.of.get(port);
    if (known === undefined) return;
    for (const row of rowsOf(port, pair)) {
      const key = keyOf(row);
      const held = known.get(key);
      if (held === undefined || --held.count > 0) continue;
      known.delete(key);
      this.clear(key, row);
    }
    if (known.size === 0) this.of.delete(port);
  }

  private store(key: string, row: BindingRow): void {
    this.writes++;
    // Full it cannot be: the limits of leases and of the configuration are less together.
    if (this.writer.add(row) === "stored") return;
    this.late.set(key, row);
    this.retry ??= this.timers.after(RETRY_MS, () => this.again());
  }

  private clear(key: string, row: BindingRow): void {
    this.writes++;
    if (!this.late.delete(key)) this.writer.remove(row);
  }

  private again(): void {
    this.retry = null;
    const late = [...this.late];
    this.late.clear();
    for (const [key, row] of late) this.store(key, row);
  }
}

/** One more binding has `row`. @returns how many have it now. */
function count(rows: Map<string, Held>, row: BindingRow): number {
  const key = keyOf(row);
  const held = rows.get(key);
  if (held === undefined) rows.set(key, { row, count: 1 });
  else held.count++;
  return held?.count ?? 1;
}

function keyOf(row: BindingRow): string {
  return row.join(" ");
}

type Words = readonly [number, number, number, number];
const NO_ADDRESS: Words = [0, 0, 0, 0];

function rowsOf(port: AcPort, { mac, ip }: Pair): BindingRow[] {
  return [NO_ADDRESS, linkLocalOf(mac), wordsOf(ip)].map((words) => rowOf(port, mac, words));
}

function rowOf(port: AcPort, mac: Mac, words: Words): BindingRow {
  return [bindingKey(port.row, hiOf(mac)), loOf(mac), ...words];
}

function wordsOf(ip: Ip): Words {
  return typeof ip === "number" ? [0, 0, MAPPED_IPV4, ip] : ipv6Words(ip);
}

function linkLocalOf(mac: Mac): Words {
  const bytes = new Uint8Array(IPV6_ADDRESS_BYTES);
  writeLinkLocal(bytes, 0, mac);
  return [i32(bytes, 0), i32(bytes, 4), i32(bytes, 8), i32(bytes, 12)];
}
