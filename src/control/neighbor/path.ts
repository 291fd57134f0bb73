/**
 * The way to a neighbour in the data plane: its adjacency, the rewrite behind it, its host route, and where it is counted.
 *
 * An entry holds its adjacency while it is known; routes and policies may hold the same one, before and after. Whatever
 * is not published here is punted.
 */
import { DROP } from "../../tables/counters.ts";
import type { Tables } from "../../tables/tables.ts";
import { isLinkLocal6 } from "../../wire/ipv6.ts";
import { type Fate, REINJECTED } from "../fate.ts";
import { Feed, kindOf } from "../feed.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import type { InterfaceObject, PortObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Timers } from "../timers.ts";
import { Adjacencies } from "./adjacency.ts";
import { type KnownPlace, knownAt, type Neighbor, type NeighborChange, samePlace } from "./entry.ts";
import type { FamilyCensus } from "./quota.ts";

/** Where resolved neighbours become /32 and /128 routes: control/routes/routes.ts, or a test's own. */
export interface HostRoutes {
  setHost(vrf: number, ip: Ip, adjacency: number): void;
  removeHost(vrf: number, ip: Ip): void;
}

/**
 * A link-local address is of one link, not of a VRF: it is a next hop's at most. So is one that is meant behind a tunnel: the
 * address itself has an entry of its own; and what is at an L3VNI, a VTEP, whose address is the underlay's.
 */
function isRouted({ iface, ip, behind }: Neighbor): boolean {
  return behind === null && iface.subnets.length > 0 && (typeof ip === "number" || !isLinkLocal6(ip));
}

export class NeighborPaths {
  readonly adjacencies: Adjacencies;
  /** Where packets to neighbours go: what becomes of it. */
  readonly changes = new Feed<NeighborChange>();
  private readonly injector: Injector;
  private readonly routes: HostRoutes;
  private readonly census: FamilyCensus;

  constructor(tables: Tables, timers: Timers, injector: Injector, routes: HostRoutes, census: FamilyCensus) {
    this.adjacencies = new Adjacencies(tables, timers);
    this.injector = injector;
    this.routes = routes;
    this.census = census;
  }

  /** Packets to `entry` go to its place from now on. @returns false when there is no room for that. */
  publish(entry: Neighbor): boolean {
    const { iface, ip, place, behind } = entry;
    if (entry.adjacency === 0) entry.adjacency = this.adjacencies.hold(iface, ip, behind);
    const id = entry.adjacency;
    // What is said from outside has a limit of its own (candidates.ts).
    const counted = entry.origin === "evpn" ? null : place!.port;
    if (entry.counted !== counted) this.count(entry, counted);
    if (id === 0 || !this.adjacencies.program(id, place!.mac, place!.vsi.row, place!.port.row)) return false;
    if (isRouted(entry)) this.routes.setHost(iface.vrf, ip, id);
    this.tell(entry, knownAt(place!, entry.origin));
    return true;
  }

  /** Packets to `entry` are punted from now on, and routes through it are dead. */
  withdraw(entry: Neighbor): void {
    const id = this.numberOf(entry);
    if (entry.adjacency !== 0) {
      if (isRouted(entry)) this.routes.removeHost(entry.iface.vrf, entry.ip);
      this.adjacencies.withdraw(entry.adjacency);
      this.adjacencies.release(entry.adjacency);
      entry.adjacency = 0;
    }
    this.count(entry, null);
    this.tell(entry, null);
    entry.challenger = null;
    this.adjacencies.setAlive(id, false);
  }

  /** Send a packet to a known neighbour. */
  send(entry: Neighbor, frame: HeldFrame): Fate {
    return this.injector.viaAdjacency(entry.adjacency, frame) ? REINJECTED : DROP.pool_exhausted;
  }

  /** Has a packet gone to `entry` since this was last asked? */
  takeUse(entry: Neighbor): boolean {
    return this.adjacencies.takeHit(entry.adjacency);
  }

  /** Does a route or a policy want it, or does only something else? */
  isHeld(entry: Neighbor): boolean {
    const id = this.numberOf(entry);
    return id !== 0 && this.adjacencies.holders(id) > (entry.adjacency === 0 ? 0 : 1);
  }

  /** Does a route or a policy use (on, ip), which has `entry` or none, as next hop? */
  isNextHop(iface: InterfaceObject, ip: Ip, entry: Neighbor | undefined): boolean {
    return entry === undefined ? this.adjacencies.find(iface, ip) !== 0 : this.isHeld(entry);
  }

  setAlive(entry: Neighbor, alive: boolean): void {
    this.adjacencies.setAlive(this.numberOf(entry), alive);
  }

  private numberOf({ iface, ip, behind }: Neighbor): number {
    return this.adjacencies.find(iface, ip, behind);
  }

  /** Packets to it go to `is` (null: nowhere) from now on. */
  private tell(entry: Neighbor, is: KnownPlace | null): void {
    const { iface, ip, published: was, behind } = entry;
    if (was === is || (was !== null && is !== null && samePlace(was, is) && was.origin === is.origin)) return;
    entry.published = is;
    if (this.changes.isFollowed && behind === null)
      this.changes.tell({ kind: kindOf(was, is), iface: iface, ip, was, is });
  }

  /** Count it behind `port`, or (null) as not known. */
  private count(entry: Neighbor, port: PortObject | null): void {
    if (entry.counted !== null) this.census.of(entry.ip).count(entry.iface, entry.counted, -1);
    if (port !== null) this.census.of(entry.ip).count(entry.iface, port, 1);
    entry.counted = port;
  }
}
