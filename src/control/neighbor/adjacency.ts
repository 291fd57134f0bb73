/**
 * Adjacencies: stable numbers for next hops, and the rewrite rows they point to (fib.ts explains the two levels).
 *
 * Writer of `fib.rewrite`, `fib.adjacency*` and the rewrite rows. A number belongs to one (VSI-interface, IP) for as long
 * as somebody holds it: a neighbour entry, or routes and policies whose next hop it is. A rewrite row is filled while
 * no worker reads it and published by one store of its number; the old one comes back when every worker has left its batch.
 *
 * Workers name numbers in what they punt, so a number that is no longer held keeps its meaning for LINGER_MS: by then the
 * records that name it have been read.
 */
import { REWRITE_BYTES } from "../../tables/fib.ts";
import { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import { type Mac, writeMac } from "../../wire/ethernet.ts";
import type { InterfaceObject } from "../inventory.ts";
import { type Ip, ipKey } from "../ip.ts";
import type { Timers } from "../timers.ts";

interface Adjacency {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  readonly key: Ip;
  holders: number;
  /** Its rewrite row, 0 while unresolved, and what is in it. */
  row: number;
  mac: Mac;
  source: Mac;
  vsi: number;
  port: number;
  alive: boolean;
}

export function neighborKey(iface: InterfaceObject, ip: Ip): Ip {
  return ipKey(iface.row, ip);
}

/** A punt ring is drained many times in that time. */
const LINGER_MS = 1000;

export class Adjacencies {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly ids: RowPool;
  private readonly rows: RowPool;
  private readonly byId = new Map<number, Adjacency>();
  private readonly byKey = new Map<Ip, number>();
  /** Numbers that are no longer held, oldest first. */
  private readonly lingering: { readonly id: number; readonly dueMs: number }[] = [];
  private readonly callbacks: ((adjacency: number, alive: boolean) => void)[] = [];

  constructor(tables: Tables, timers: Timers) {
    this.tables = tables;
    this.timers = timers;
    this.ids = new RowPool(tables.heartbeat, tables.fib.rewrite.length);
    this.rows = new RowPool(tables.heartbeat, tables.fib.rewritePort.length);
  }

  /** Hold the adjacency of (on, ip), made if need be. @returns its number, or 0 when none is left. */
  hold(iface: InterfaceObject, ip: Ip): number {
    const key = neighborKey(iface, ip);
    let id = this.byKey.get(key) ?? 0;
    if (id === 0) {
      id = this.take();
      if (id === 0) return 0;
      const fib = this.tables.fib;
      fib.adjacencyInterface[id] = iface.row;
      fib.adjacencyHit[id] = 0;
      Atomics.store(fib.rewrite, id, 0);
      this.byId.set(id, { iface, ip, key, holders: 0, row: 0, mac: 0, source: 0, vsi: 0, port: 0, alive: true });
      this.byKey.set(key, id);
    }
    this.byId.get(id)!.holders++;
    return id;
  }

  /** Let go of it. The last holder has first taken away every route and rule that names the number. */
  release(id: number): void {
    const adjacency = this.byId.get(id);
    if (adjacency === undefined || --adjacency.holders > 0) return;
    this.withdraw(id);
    this.byKey.delete(adjacency.key);
    this.lingering.push({ id, dueMs: this.timers.nowMs + LINGER_MS });
  }

  /** A free number, or 0. Where there is none, one that lingers is better than none. */
  private take(): number {
    const { nowMs } = this.timers;
    while (this.lingering.length > 0 && this.lingering[0]!.dueMs <= nowMs) this.retireOldest();
    const id = this.ids.take();
    if (id !== 0 || this.lingering.length === 0) return id;
    this.retireOldest();
    return this.ids.take();
  }

  private retireOldest(): void {
    const { id } = this.lingering.shift()!;
    this.byId.delete(id);
    this.ids.retire(id);
  }

  /** Whose number `id` is, or was until a moment ago; null: no neighbour's. */
  nextHop(id: number): { readonly iface: InterfaceObject; readonly ip: Ip } | null {
    return this.byId.get(id) ?? null;
  }

  /** The number of (on, ip), or 0. */
  find(iface: InterfaceObject, ip: Ip): number {
    return this.byKey.get(neighborKey(iface, ip)) ?? 0;
  }

  holders(id: number): number {
    return this.byId.get(id)?.holders ?? 0;
  }

  /** Is it not known to be dead? One that was not used yet is alive. */
  isAlive(id: number): boolean {
    return this.byId.get(id)?.alive ?? false;
  }

  /** It was heard, or failed; those who asked `onChange` are told if that is news. */
  setAlive(id: number, alive: boolean): void {
    const a = this.byId.get(id);
    if (a === undefined || a.alive === alive) return;
    a.alive = alive;
    for (const callback of this.callbacks) callback(id, alive);
  }

  onChange(callback: (adjacency: number, alive: boolean) => void): void {
    this.callbacks.push(callback);
  }

  /** Publish where packets to it go. @returns false when no rewrite row is left: it stays as it was. */
  program(id: number, mac: Mac, vsi: number, port: number): boolean {
    const a = this.byId.get(id)!;
    const source = a.iface.mac;
    if (a.row !== 0 && a.mac === mac && a.source === source && a.vsi === vsi && a.port === port) return true;
    const row = this.rows.take();
    if (row === 0) return false;
    const fib = this.tables.fib;
    writeMac(fib.rewriteMacs, row * REWRITE_BYTES, mac);
    writeMac(fib.rewriteMacs, row * REWRITE_BYTES + 6, source);
    fib.rewritePort[row] = port;
    fib.rewriteVsi[row] = vsi;
    Atomics.store(fib.rewrite, id, row);
    if (a.row !== 0) this.rows.retire(a.row);
    Object.assign(a, { row, mac, source, vsi, port });
    return true;
  }

  /** Unresolved from now on: packets are punted. */
  withdraw(id: number): void {
    const a = this.byId.get(id);
    if (a === undefined || a.row === 0) return;
    Atomics.store(this.tables.fib.rewrite, id, 0);
    this.rows.retire(a.row);
    a.row = 0;
  }

  /** Has a worker used it since the last call? */
  takeHit(id: number): boolean {
    const hit = this.tables.fib.adjacencyHit[id] === 1;
    this.tables.fib.adjacencyHit[id] = 0;
    return hit;
  }
}
