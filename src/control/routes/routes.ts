/**
 * Who owns a prefix? The arbiter of the FIB's route table.
 *
 * Several parties can want the same prefix of a VRF: our own address, a static /32, a resolved neighbour, a VTEP. The
 * table has one slot for each (prefix, VRF), so each slot remembers what every party wants and publishes the most
 * important one; when that one goes, the next is published with one store. The order (RANKS) says:
 *
 *   own > broadcast > connected > static > host > underlay > evpn
 *
 * An address of ours is never anybody else's; what the operator wrote beats what ARP found, and that what the fabric says. The
 * guard around VTEP addresses (ROUTE_UNDERLAY) is needed where a packet would otherwise be routed towards one by a shorter
 * prefix, and stands above what peers announce: none of them takes it away by a route to a VTEP.
 *
 * Prefixes of both families are arbitrated here; the rows are PatientWriter's and, of IPv6, route-rows6.ts's.
 *
 * `fib.lengths` tells workers which lengths 0..31 a VRF has at all, so it is counted here: a bit is set before the first
 * route of a length is published and cleared after the last one has gone. 32 is always tried.
 *
 * The table may be full. What has no room is told (`routes.full`, doctor), remembered, and stored when a route has gone; until
 * then its packets take the next shorter prefix (for a host: the connected one, so they are punted and sent by control).
 */
import {
  HOST_LENGTH6,
  ROUTE_ARG_MASK,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_UNDERLAY,
  ROUTE_VRF,
  routeKey,
  routeKey6,
  vrfOfRoute,
  vrfOfRoute6,
} from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import type { Emit } from "../event.ts";
import { bitsOf, type Family, type Ip, networkOf } from "../ip.ts";
import { LargeMap } from "../large-map.ts";
import { mapKey } from "../map-key.ts";
import { PatientWriter } from "../patient-writer.ts";
import type { Timers } from "../timers.ts";
import { RouteRows6 } from "./route-rows6.ts";

/** Who wants a prefix; the earlier wins. */
export const RANKS = ["own", "broadcast", "connected", "static", "host", "underlay", "evpn"] as const;
export type RouteOrigin = (typeof RANKS)[number];

const HOST = RANKS.indexOf("host");
/** Several routes may go together: one round for all of them. */
const RETRY_MS = 5;
const TELL_MS = 10_000;

/** A route that is published, as the views show it. */
export interface RouteEntry {
  readonly vrf: number;
  readonly network: Ip;
  readonly length: number;
  readonly origin: RouteOrigin;
  /** ROUTE_* and its argument. */
  readonly kind: number;
  readonly argument: number;
}

/** What control's parties want of one prefix, by rank; 0: nothing. */
interface Slot {
  readonly vrf: number;
  readonly network: Ip;
  readonly length: number;
  readonly wants: number[];
  /** What the table holds. */
  published: number;
}

type Row = Pick<Slot, "vrf" | "network" | "length">;

/** The value of a route. */
export function routeValue(kind: number, argument: number): number {
  return (kind << ROUTE_KIND_SHIFT) | argument;
}

/** A number that names (VRF, prefix): one of IPv4 fits a double exactly. */
function slotKey(vrf: number, network: Ip, length: number): Ip {
  if (typeof network === "bigint") return mapKey((BigInt(routeKey6(vrf, length)) << 128n) | network);
  return routeKey(vrf, length) * 0x100000000 + (network >>> 0);
}

export class Routes {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly writer: PatientWriter;
  private readonly rows6: RouteRows6;
  private readonly slots = new LargeMap<Ip, Slot>();
  /** A /32 or /128 that is published, and that a resolved neighbour alone wants: its value. Most of a large table are such. */
  private readonly hosts = new LargeMap<Ip, number>();
  /** By VRF, length and family: how many prefixes of it are published or about to be. */
  private readonly counts = new Map<number, number>();
  /** By VRF: prefixes by the rank of their owner. */
  private readonly owners = new Map<number, number[]>();
  /** What has no room. */
  private readonly refused = new Set<Slot>();
  private isRetryDue = false;
  private toldMs = Number.NEGATIVE_INFINITY;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, emit: Emit, seed: number) {
    this.tables = tables;
    this.timers = timers;
    this.emit = emit;
    this.writer = new PatientWriter(tables.fib.routes, tables.heartbeat, timers, seed);
    this.rows6 = new RouteRows6(tables, timers, seed);
  }

  /** Rows in use. */
  get size(): number {
    return this.writer.size + this.rows6.size;
  }

  get sizes(): Readonly<Record<Family, number>> {
    return { 4: this.writer.size, 6: this.rows6.size };
  }

  /** Prefixes that are not in the table yet, because it is about to change banks. */
  get pending(): number {
    return this.writer.waiting + this.rows6.waiting;
  }

  /** Prefixes for which it has no room. */
  get withoutRoom(): number {
    return this.refused.size;
  }

  /** A neighbour is resolved: its /32 or /128 goes to `adjacency`. */
  setHost(vrf: number, ip: Ip, adjacency: number): void {
    this.want(HOST, vrf, ip, bitsOf(ip), routeValue(ROUTE_HOST, adjacency));
  }

  /** A neighbour is gone or unresolved again. */
  removeHost(vrf: number, ip: Ip): void {
    this.want(HOST, vrf, ip, bitsOf(ip), 0);
  }

  /** `origin` wants `value` for the prefix. */
  set(origin: RouteOrigin, vrf: number, network: Ip, length: number, value: number): void {
    this.want(RANKS.indexOf(origin), vrf, network, length, value);
  }

  /** `origin` wants nothing there any more. */
  clear(origin: RouteOrigin, vrf: number, network: Ip, length: number): void {
    this.want(RANKS.indexOf(origin), vrf, network, length, 0);
  }

  /** The value of the longest match for `ip` of at least `shortest` bits, without those that guard VTEP addresses; 0: none. */
  find(vrf: number, ip: Ip, shortest = 0): number {
    const value = this.findIn(vrf, ip, shortest);
    if (value >> ROUTE_KIND_SHIFT !== ROUTE_VRF) return value;
    // As workers do: one other VRF, and no further one.
    const other = this.findIn(value & ROUTE_ARG_MASK, ip, 0);
    return other >> ROUTE_KIND_SHIFT === ROUTE_VRF ? 0 : other;
  }

  private findIn(vrf: number, ip: Ip, shortest: number): number {
    for (let length = bitsOf(ip); length >= shortest; length--) {
      const key = this.keyAt(vrf, ip, length);
      if (key === null) continue;
      const slot = this.slots.get(key);
      const value = slot === undefined ? (this.hosts.get(key) ?? 0) : bestOf(slot);
      if (value !== 0 && value >> ROUTE_KIND_SHIFT !== ROUTE_UNDERLAY) return value;
    }
    return 0;
  }

  /** Prefixes of each VRF that has any, by origin; counted without being looked at. */
  countsByOrigin(): Map<number, Record<RouteOrigin, number>> {
    const named = (counts: readonly number[]) =>
      Object.fromEntries(RANKS.map((rank, i) => [rank, counts[i]!])) as Record<RouteOrigin, number>;
    return new Map(Array.from(this.owners, ([vrf, counts]) => [vrf, named(counts)]));
  }

  /** All published routes, unsorted. */
  *list(): Generator<RouteEntry> {
    for (const slot of this.slots.values()) yield entryOf(slot);
    for (const [key, value] of this.hosts) yield entryOf(hostSlot(key, value));
  }

  /** The longest match for `ip`, those that guard VTEP addresses too. */
  match(vrf: number, ip: Ip): RouteEntry | null {
    for (let length = bitsOf(ip); length >= 0; length--) {
      const key = this.keyAt(vrf, ip, length);
      if (key === null) continue;
      const host = this.hosts.get(key);
      const slot = host === undefined ? this.slots.get(key) : hostSlot(key, host);
      if (slot !== undefined) return entryOf(slot);
    }
    return null;
  }

  /** The key of the prefix of `length` bits around `ip`; null where none is of that length. */
  private keyAt(vrf: number, ip: Ip, length: number): Ip | null {
    if (length < bitsOf(ip) && (this.counts.get(countKey(vrf, ip, length)) ?? 0) === 0) return null;
    return slotKey(vrf, networkOf(ip, length), length);
  }

  private want(rank: number, vrf: number, network: Ip, length: number, value: number): void {
    const key = slotKey(vrf, network, length);
    if (rank === HOST && length === bitsOf(network) && this.wantHost(key, vrf, network, length, value)) return;
    let slot = this.slots.get(key) ?? this.unfold(key);
    if (slot === undefined) {
      if (value === 0) return;
      slot = { vrf, network, length, wants: RANKS.map(() => 0), published: 0 };
      this.slots.set(key, slot);
      this.count(slot, 1);
    }
    const owner = ownerOf(slot);
    slot.wants[rank] = value;
    this.countOwner(vrf, owner, ownerOf(slot));
    const best = bestOf(slot);
    if (best !== slot.published) this.publish(slot, best);
    if (best !== 0) return;
    this.slots.delete(key);
    this.refused.delete(slot);
    this.count(slot, -1);
  }

  /** @returns false: others want the prefix too, or there is no room for it. */
  private wantHost(key: Ip, vrf: number, network: Ip, length: number, value: number): boolean {
    if (this.slots.has(key)) return false;
    const old = this.hosts.get(key) ?? 0;
    if (value === 0) {
      if (!this.hosts.delete(key)) return true;
      if (this.removeRow({ network, vrf, length })) this.retryLater();
    } else {
      if (value !== old && !this.setRow({ network, vrf, length }, value)) return false;
      this.hosts.set(key, value);
    }
    this.countOwner(vrf, old === 0 ? -1 : HOST, value === 0 ? -1 : HOST);
    return true;
  }

  /** The slot of what was a host's alone until now. */
  private unfold(key: Ip): Slot | undefined {
    const value = this.hosts.get(key);
    if (value === undefined) return undefined;
    const slot = hostSlot(key, value);
    this.hosts.delete(key);
    this.slots.set(key, slot);
    return slot;
  }

  private publish(slot: Slot, value: number): void {
    if (value === 0) {
      if (this.removeRow(slot)) this.retryLater();
    } else if (!this.setRow(slot, value)) {
      this.refused.add(slot);
      this.tell();
      return;
    }
    slot.published = value;
    this.refused.delete(slot);
  }

  private setRow({ network, vrf, length }: Row, value: number): boolean {
    if (typeof network === "bigint") return this.rows6.set(network, vrf, length, value);
    return this.writer.set(network, routeKey(vrf, length), value);
  }

  private removeRow({ network, vrf, length }: Row): boolean {
    if (typeof network === "bigint") return this.rows6.remove(network, vrf, length);
    return this.writer.remove(network, routeKey(vrf, length));
  }

  private tell(): void {
    const { nowMs } = this.timers;
    if (nowMs - this.toldMs < TELL_MS) return;
    this.toldMs = nowMs;
    this.emit("warn", "routes.full", { routes: this.size, withoutRoom: this.withoutRoom });
  }

  /** There is room again. */
  private retryLater(): void {
    if (this.isRetryDue || this.refused.size === 0) return;
    this.isRetryDue = true;
    this.timers.after(RETRY_MS, () => {
      this.isRetryDue = false;
      this.retry();
    });
  }

  /** Store what was refused; the first refusal ends the round of its family, the others would meet the same. */
  private retry(): void {
    const full = new Set<string>();
    for (const slot of [...this.refused]) {
      const family = typeof slot.network;
      if (full.has(family)) continue;
      this.refused.delete(slot);
      this.publish(slot, bestOf(slot));
      if (this.refused.has(slot)) full.add(family);
    }
  }

  /** A prefix is no longer of rank `was` (-1: of none) but of rank `is`. */
  private countOwner(vrf: number, was: number, is: number): void {
    if (was === is) return;
    const counts = this.owners.get(vrf) ?? RANKS.map(() => 0);
    if (was >= 0) counts[was]!--;
    if (is >= 0) counts[is]!++;
    if (counts.some((count) => count > 0)) this.owners.set(vrf, counts);
    else this.owners.delete(vrf);
  }

  private count({ vrf, network, length }: Slot, step: 1 | -1): void {
    const key = countKey(vrf, network, length);
    const count = (this.counts.get(key) ?? 0) + step;
    this.counts.set(key, count);
    if (typeof network === "bigint") {
      if (count === 0 || (count === 1 && step === 1)) this.rows6.setLength(vrf, length, count > 0);
      return;
    }
    if (length > 31) return;
    const lengths = this.tables.fib.lengths;
    if (count === 1 && step === 1) Atomics.or(lengths, vrf, 1 << length);
    else if (count === 0) Atomics.and(lengths, vrf, ~(1 << length));
  }
}

/** One number for VRF, length and family. */
function countKey(vrf: number, ip: Ip, length: number): number {
  return vrf * 512 + length + (typeof ip === "bigint" ? 256 : 0);
}

/** A host's prefix as a slot like any other. */
function hostSlot(key: Ip, value: number): Slot {
  const isIpv4 = typeof key === "number";
  return {
    vrf: isIpv4 ? vrfOfRoute(Math.floor(key / 0x100000000)) : vrfOfRoute6(Number(key >> 128n)),
    network: isIpv4 ? key | 0 : BigInt.asUintN(128, mapKey(key)),
    length: isIpv4 ? 32 : HOST_LENGTH6,
    wants: RANKS.map((_, rank) => (rank === HOST ? value : 0)),
    published: value,
  };
}

function entryOf(slot: Slot): RouteEntry {
  const { vrf, network, length } = slot;
  const rank = ownerOf(slot);
  const value = slot.wants[rank]!;
  const kind = value >> ROUTE_KIND_SHIFT;
  return { vrf, network, length, origin: RANKS[rank]!, kind, argument: value & ROUTE_ARG_MASK };
}

/** The rank that wins, -1: no origin wants it. */
function ownerOf({ wants }: Slot): number {
  return wants.findIndex((value) => value !== 0);
}

function bestOf(slot: Slot): number {
  for (const value of slot.wants) if (value !== 0) return value;
  return 0;
}
