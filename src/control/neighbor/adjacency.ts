/**
 * Adjacencies: stable numbers for next hops, and the rewrite rows they point to (fib.ts explains the two levels).
 *
 * Writer of `fib.rewrite`, `fib.adjacency*` and the rewrite rows. A number belongs to one (VSI-interface, IP), or to one that
 * is meant behind a tunnel (table.ts), for as long as somebody holds it: a neighbour entry, or routes and policies whose next hop it is. A rewrite row is filled while
 * no worker reads it and published by one store of its number; the old one comes back when every worker has left its batch.
 * What is published is remembered nowhere else: there are as many of them as hosts of the fabric.
 *
 * Workers name numbers in what they punt, so a number that is no longer held keeps its meaning for LINGER_MS: by then the
 * records that name it have been read.
 */
import { REWRITE_BYTES } from "../../tables/fib.ts";
import { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import { type Mac, readMac, writeMac } from "../../wire/ethernet.ts";
import type { InterfaceObject, PortObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import { LargeMap } from "../large-map.ts";
import { ipKey } from "../map-key.ts";
import type { Timers } from "../timers.ts";

export function neighborKey(iface: InterfaceObject, ip: Ip): Ip {
  return ipKey(iface.row, ip);
}

/** What a neighbour is found by: a text of one that is meant behind a tunnel. */
export type EntryKey = Ip | string;

export function entryKey(iface: InterfaceObject, ip: Ip, behind: string | null): EntryKey {
  const key = neighborKey(iface, ip);
  return behind === null ? key : `${key} ${behind}`;
}

/** Whose number an adjacency is. */
export interface NumberOwner {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  /** The tunnel behind which it is meant; null: wherever it is. */
  readonly behind: string | null;
}

/** A punt ring is drained many times in that time. */
const LINGER_MS = 1000;
/** Numbers that have lingered long enough and are given back when one is taken: more than one is taken for each that is let go. */
const GIVEN_BACK = 4;
/** Those that are gone stay in front of the list until there are so many of them. */
const GONE = 1024;

export class Adjacencies {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly ids: RowPool;
  private readonly rows: RowPool;
  private readonly byKey = new LargeMap<EntryKey, number>();
  /** By number: whose it is (undefined: no neighbour's), how many hold it, whether it is known to be dead. */
  private readonly owners: (NumberOwner | undefined)[] = [];
  /** Numbers of those that are meant behind a tunnel. */
  private behindTunnels = 0;
  private readonly held: Int32Array;
  private readonly dead: Uint8Array;
  /** Numbers that are no longer held, oldest first, from `oldest` on. */
  private readonly lingering: { readonly id: number; readonly dueMs: number }[] = [];
  private oldest = 0;
  private readonly callbacks: ((adjacency: number, alive: boolean) => void)[] = [];

  constructor(tables: Tables, timers: Timers) {
    this.tables = tables;
    this.timers = timers;
    const most = tables.fib.rewrite.length;
    this.ids = new RowPool(tables.heartbeat, most);
    this.held = new Int32Array(most);
    this.dead = new Uint8Array(most);
    this.rows = new RowPool(tables.heartbeat, tables.fib.rewritePort.length);
  }

  /** Hold the adjacency of (on, ip, behind), made if need be. @returns its number, or 0 when none is left. */
  hold(iface: InterfaceObject, ip: Ip, behind: string | null = null): number {
    const key = entryKey(iface, ip, behind);
    let id = this.byKey.get(key) ?? 0;
    if (id === 0) {
      id = this.take();
      if (id === 0) return 0;
      const fib = this.tables.fib;
      fib.adjacencyInterface[id] = iface.row;
      fib.adjacencyHit[id] = 0;
      Atomics.store(fib.rewrite, id, 0);
      this.owners[id] = { iface, ip, behind };
      if (behind !== null) this.behindTunnels++;
      this.held[id] = 0;
      this.dead[id] = 0;
      this.byKey.set(key, id);
    }
    this.held[id]!++;
    return id;
  }

  /** Let go of it. The last holder has first taken away every route and rule that names the number. */
  release(id: number): void {
    const hop = this.nextHop(id);
    if (hop === null || --this.held[id]! > 0) return;
    this.withdraw(id);
    this.byKey.delete(entryKey(hop.iface, hop.ip, hop.behind));
    if (hop.behind !== null) this.behindTunnels--;
    this.lingering.push({ id, dueMs: this.timers.nowMs + LINGER_MS });
  }

  /** A free number, or 0. Where there is none, one that lingers is better than none. */
  private take(): number {
    const { nowMs } = this.timers;
    for (let left = GIVEN_BACK; left > 0 && (this.lingering[this.oldest]?.dueMs ?? Infinity) <= nowMs; left--)
      this.retireOldest();
    const id = this.ids.take();
    if (id !== 0 || this.oldest === this.lingering.length) return id;
    this.retireOldest();
    return this.ids.take();
  }

  private retireOldest(): void {
    const { id } = this.lingering[this.oldest++]!;
    this.owners[id] = undefined;
    this.ids.retire(id);
    if (this.oldest < GONE && this.oldest < this.lingering.length) return;
    this.lingering.splice(0, this.oldest);
    this.oldest = 0;
  }

  /** Whose number `id` is, or was until a moment ago; null: no neighbour's. */
  nextHop(id: number): NumberOwner | null {
    return this.owners[id] ?? null;
  }

  /** The number of (on, ip, behind), or 0. */
  find(iface: InterfaceObject, ip: Ip, behind: string | null = null): number {
    return this.byKey.get(entryKey(iface, ip, behind)) ?? 0;
  }

  /** The tunnel by which `ip` behind `port` is one of those that are meant apart; null: it is not. */
  behind(iface: InterfaceObject, ip: Ip, port: PortObject): string | null {
    if (this.behindTunnels === 0 || port.kind !== "tunnel") return null;
    return this.find(iface, ip, port.name) === 0 ? null : port.name;
  }

  holders(id: number): number {
    return this.owners[id] === undefined ? 0 : this.held[id]!;
  }

  /** Is it not known to be dead? One that was not used yet is alive. */
  isAlive(id: number): boolean {
    return this.owners[id] !== undefined && this.dead[id] === 0;
  }

  /** It was heard, or failed; those who asked `onChange` are told if that is news. */
  setAlive(id: number, alive: boolean): void {
    if (this.owners[id] === undefined || (this.dead[id] === 0) === alive) return;
    this.dead[id] = alive ? 0 : 1;
    for (const callback of this.callbacks) callback(id, alive);
  }

  onChange(callback: (adjacency: number, alive: boolean) => void): void {
    this.callbacks.push(callback);
  }

  /** Publish where packets to it go. @returns false when no rewrite row is left: it stays as it was. */
  program(id: number, mac: Mac, vsi: number, port: number): boolean {
    const { fib } = this.tables;
    const source = this.owners[id]!.iface.mac;
    const before = fib.rewrite[id]!;
    if (before !== 0 && this.isRow(before, mac, source, vsi, port)) return true;
    const row = this.rows.take();
    if (row === 0) return false;
    writeMac(fib.rewriteMacs, row * REWRITE_BYTES, mac);
    writeMac(fib.rewriteMacs, row * REWRITE_BYTES + 6, source);
    fib.rewritePort[row] = port;
    fib.rewriteVsi[row] = vsi;
    Atomics.store(fib.rewrite, id, row);
    if (before !== 0) this.rows.retire(before);
    return true;
  }

  /** Unresolved from now on: packets are punted. */
  withdraw(id: number): void {
    const { fib } = this.tables;
    const row = fib.rewrite[id]!;
    if (this.owners[id] === undefined || row === 0) return;
    Atomics.store(fib.rewrite, id, 0);
    this.rows.retire(row);
  }

  /** Does the rewrite row say that already? Only we write it. */
  private isRow(row: number, mac: Mac, source: Mac, vsi: number, port: number): boolean {
    const { rewriteMacs, rewritePort, rewriteVsi } = this.tables.fib;
    const at = row * REWRITE_BYTES;
    return (
      rewritePort[row] === port &&
      rewriteVsi[row] === vsi &&
      readMac(rewriteMacs, at) === mac &&
      readMac(rewriteMacs, at + 6) === source
    );
  }

  /** Has a worker used it since the last call? */
  takeHit(id: number): boolean {
    const hit = this.tables.fib.adjacencyHit[id] === 1;
    this.tables.fib.adjacencyHit[id] = 0;
    return hit;
  }
}
