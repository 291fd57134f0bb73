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
 * `fib.lengths` tells workers which lengths 0..31 a VRF has at all, so it is counted here: a bit is set before the first
 * route of a length is published and cleared after the last one has gone. 32 is always tried.
 *
 * The table may be full. What has no room is told (`routes.full`, doctor), remembered, and stored when a route has gone; until
 * then its packets take the next shorter prefix (for a host: the connected one, so they are punted and sent by control).
 */
import {
  ROUTE_ARG_MASK,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_UNDERLAY,
  ROUTE_VRF,
  routeKey,
  vrfOfRoute,
} from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import { type Ipv4, maskOf } from "../../wire/ipv4.ts";
import type { Emit } from "../event.ts";
import type { Ip } from "../ip.ts";
import { PatientWriter } from "../patient-writer.ts";
import type { Timers } from "../timers.ts";

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
  readonly network: Ipv4;
  readonly length: number;
  readonly origin: RouteOrigin;
  /** ROUTE_* and its argument. */
  readonly kind: number;
  readonly argument: number;
}

/** What control's parties want of one prefix, by rank; 0: nothing. */
interface Slot {
  readonly vrf: number;
  readonly network: Ipv4;
  readonly length: number;
  readonly wants: number[];
  /** What the table holds. */
  published: number;
}

/** The value of a route. */
export function routeValue(kind: number, argument: number): number {
  return (kind << ROUTE_KIND_SHIFT) | argument;
}

/** A number that names (VRF, prefix): fits a double exactly. */
function slotKey(vrf: number, network: Ipv4, length: number): number {
  return routeKey(vrf, length) * 0x100000000 + (network >>> 0);
}

export class Routes {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly writer: PatientWriter;
  private readonly slots = new Map<number, Slot>();
  /** A /32 that is published, and that a resolved neighbour alone wants: its value. Most of a large table are such. */
  private readonly hosts = new Map<number, number>();
  /** By VRF and length: how many prefixes of it are published or about to be. */
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
  }

  /** Rows in use. */
  get size(): number {
    return this.writer.size;
  }

  /** Prefixes that are not in the table yet, because it is about to change banks. */
  get pending(): number {
    return this.writer.waiting;
  }

  /** Prefixes for which it has no room. */
  get withoutRoom(): number {
    return this.refused.size;
  }

  /** A neighbour is resolved: its /32 goes to `adjacency`. */
  setHost(vrf: number, ip: Ipv4, adjacency: number): void {
    this.want(HOST, vrf, ip, 32, routeValue(ROUTE_HOST, adjacency));
  }

  /** A neighbour is gone or unresolved again. */
  removeHost(vrf: number, ip: Ipv4): void {
    this.want(HOST, vrf, ip, 32, 0);
  }

  /** `origin` wants `value` for the prefix. */
  set(origin: RouteOrigin, vrf: number, network: Ip, length: number, value: number): void {
    if (typeof network === "bigint") return;
    this.want(RANKS.indexOf(origin), vrf, network, length, value);
  }

  /** `origin` wants nothing there any more. */
  clear(origin: RouteOrigin, vrf: number, network: Ip, length: number): void {
    if (typeof network === "bigint") return;
    this.want(RANKS.indexOf(origin), vrf, network, length, 0);
  }

  /** The value of the longest match for `ip` of at least `shortest` bits, without those that guard VTEP addresses; 0: none. */
  find(vrf: number, ip: Ipv4, shortest = 0): number {
    const value = this.findIn(vrf, ip, shortest);
    if (value >> ROUTE_KIND_SHIFT !== ROUTE_VRF) return value;
    // As workers do: one other VRF, and no further one.
    const other = this.findIn(value & ROUTE_ARG_MASK, ip, 0);
    return other >> ROUTE_KIND_SHIFT === ROUTE_VRF ? 0 : other;
  }

  private findIn(vrf: number, ip: Ipv4, shortest: number): number {
    for (let length = 32; length >= shortest; length--) {
      const key = slotKey(vrf, ip & maskOf(length), length);
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
  match(vrf: number, ip: Ipv4): RouteEntry | null {
    for (let length = 32; length >= 0; length--) {
      const key = slotKey(vrf, ip & maskOf(length), length);
      const host = this.hosts.get(key);
      const slot = host === undefined ? this.slots.get(key) : hostSlot(key, host);
      if (slot !== undefined) return entryOf(slot);
    }
    return null;
  }

  private want(rank: number, vrf: number, network: Ipv4, length: number, value: number): void {
    const key = slotKey(vrf, network, length);
    if (rank === HOST && length === 32 && this.wantHost(key, vrf, network, value)) return;
    let slot = this.slots.get(key) ?? this.unfold(key);
    if (slot === undefined) {
      if (value === 0) return;
      slot = { vrf, network, length, wants: RANKS.map(() => 0), published: 0 };
      this.slots.set(key, slot);
      this.count(vrf, length, 1);
    }
    const owner = ownerOf(slot);
    slot.wants[rank] = value;
    this.countOwner(vrf, owner, ownerOf(slot));
    const best = bestOf(slot);
    if (best !== slot.published) this.publish(slot, best);
    if (best !== 0) return;
    this.slots.delete(key);
    this.refused.delete(slot);
    this.count(vrf, length, -1);
  }

  /** @returns false: others want the prefix too, or there is no room for it. */
  private wantHost(key: number, vrf: number, ip: Ipv4, value: number): boolean {
    if (this.slots.has(key)) return false;
    const old = this.hosts.get(key) ?? 0;
    if (value === 0) {
      if (!this.hosts.delete(key)) return true;
      if (this.writer.remove(ip, routeKey(vrf, 32))) this.retryLater();
    } else {
      if (value !== old && !this.writer.set(ip, routeKey(vrf, 32), value)) return false;
      this.hosts.set(key, value);
    }
    this.countOwner(vrf, old === 0 ? -1 : HOST, value === 0 ? -1 : HOST);
    return true;
  }

  /** The slot of what was a host's alone until now. */
  private unfold(key: number): Slot | undefined {
    const value = this.hosts.get(key);
    if (value === undefined) return undefined;
    const slot = hostSlot(key, value);
    this.hosts.delete(key);
    this.slots.set(key, slot);
    return slot;
  }

  private publish(slot: Slot, value: number): void {
    const keyB = routeKey(slot.vrf, slot.length);
    if (value === 0) {
      if (this.writer.remove(slot.network, keyB)) this.retryLater();
    } else if (!this.writer.set(slot.network, keyB, value)) {
      this.refused.add(slot);
      this.tell();
      return;
    }
    slot.published = value;
    this.refused.delete(slot);
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

  /** Store what was refused; the first refusal ends the round, the others would meet the same. */
  private retry(): void {
    for (const slot of this.refused) {
      this.refused.delete(slot);
      this.publish(slot, bestOf(slot));
      if (this.refused.has(slot)) return;
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

  private count(vrf: number, length: number, step: 1 | -1): void {
    if (length > 31) return;
    const key = vrf * 32 + length;
    const count = (this.counts.get(key) ?? 0) + step;
    this.counts.set(key, count);
    const lengths = this.tables.fib.lengths;
    if (count === 1 && step === 1) Atomics.or(lengths, vrf, 1 << length);
    else if (count === 0) Atomics.and(lengths, vrf, ~(1 << length));
  }
}

/** A host's prefix as a slot like any other. */
function hostSlot(key: number, value: number): Slot {
  const vrf = vrfOfRoute(Math.floor(key / 0x100000000));
  return {
    vrf,
    network: key | 0,
    length: 32,
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
