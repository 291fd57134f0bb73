/**
 * Routes that a fabric announces: prefixes and hosts of a VRF behind other gateways, by its L3VNI.
 *
 * A next hop is a VTEP on the VSI-interface of the L3VNI, which is unnumbered: its adjacency rewrites to the router's MAC
 * behind the VTEP's tunnel, for packets of either family. Several of them share the next-hop groups of static routes (ECMP),
 * so one whose tunnel is down leaves its places to the others of its priority, and the last of a priority to those of the next
 * one. They come and go one by one, without a reload, and rank below all that is configured or heard here (routes.ts).
 *
 * What peers may use up is bounded: rows, and sets of next hops. A set for which there is no room is reduced to its first, until
 * there is; a few rows are always left for the configuration, which cannot wait.
 */
import { ROUTE_ADJACENCY, ROUTE_GROUP } from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import type { InterfaceObject } from "../inventory.ts";
import { formatIp, type Ip, prefixKey } from "../ip.ts";
import { LargeMap } from "../large-map.ts";
import type { Timers } from "../timers.ts";
import type { NextHopGroup, NextHopGroups } from "./next-hop-group.ts";
import type { NextHops } from "./next-hops.ts";
import { type Routes, routeValue } from "./routes.ts";
import type { NextHopState } from "./static.ts";

/** Most sets of several next hops that a fabric has; the others are the configuration's. */
export const MAX_FABRIC_GROUPS = 256;
/** Rows of groups that stay free. */
const SPARE_GROUPS = 128;
const RETRY_MS = 1000;
/** Reduced sets that are tried again at once. */
const RETRIED = 256;

interface FabricRoute {
  readonly iface: InterfaceObject;
  readonly network: Ip;
  readonly length: number;
  readonly hops: readonly { readonly ip: Ip; readonly adjacency: number; readonly priority: number }[];
  readonly group: NextHopGroup | null;
  /** Publishes the route with a group's row. */
  readonly user: (row: number) => void;
}

export interface FabricRoutesParts {
  readonly routes: Pick<Routes, "set" | "clear">;
  readonly nextHops: NextHops;
  readonly groups: NextHopGroups;
  readonly timers: Timers;
  /** Most routes of each family. */
  readonly limits: Pick<Tables["sizes"], "neighbors" | "neighbors6">;
}

export class FabricRoutes {
  private readonly parts: FabricRoutesParts;
  private readonly installed = new LargeMap<string, FabricRoute>();
  /** Sets of several next hops in use, and by how many routes. */
  private readonly sets = new Map<NextHopGroup, number>();
  /** Keys of routes with several next hops that have no group. */
  private readonly reduced = new Set<string>();
  private isRetryDue = false;
  /** How many more there may be, of each family. */
  private readonly room: { number: number; bigint: number };

  constructor(parts: FabricRoutesParts) {
    this.parts = parts;
    const { neighbors, neighbors6 } = parts.limits;
    this.room = { number: neighbors, bigint: neighbors6 };
  }

  get size(): number {
    return this.installed.size;
  }

  /** Different sets of several next hops. */
  get groupCount(): number {
    return this.sets.size;
  }

  /**
   * Packets to the prefix go by the L3VNI of `iface` to the VTEPs `hops` (one at least, the most preferred first), whatever was
   * said of it before; `priorities` are theirs in that order, 1 where none is given. @returns false when there is no room for it; then it is as before.
   */
  set(
    iface: InterfaceObject,
    network: Ip,
    length: number,
    hops: readonly Ip[],
    priorities: readonly number[] = [],
  ): boolean {
    const key = keyOf(iface.vrfName, network, length);
    const before = this.installed.get(key);
    if (before === undefined && this.room[familyOf(network)] === 0) return false;
    const held = this.hold(iface, hops, priorities);
    if (held === null) return false;
    if (before === undefined) this.room[familyOf(network)]--;
    const route = this.install(iface, network, length, held);
    this.installed.set(key, route);
    if (hops.length > 1 && route.group === null) this.reduce(key);
    else this.reduced.delete(key);
    // New next hops are held before old ones are released, so one that stays is not touched.
    if (before !== undefined) this.letGo(before);
    return true;
  }

  /** Nothing is said of the prefix any more. */
  clear(iface: InterfaceObject, network: Ip, length: number): void {
    const key = keyOf(iface.vrfName, network, length);
    const route = this.installed.get(key);
    if (route !== undefined && route.iface === iface) this.withdraw(key, route);
  }

  /** These VSI-interfaces go away. */
  forget(ifaces: Pick<ReadonlySet<InterfaceObject>, "has" | "size">): void {
    if (ifaces.size === 0) return;
    for (const [key, route] of this.installed) if (ifaces.has(route.iface)) this.withdraw(key, route);
  }

  /** None where the prefix is not the fabric's. */
  nextHopsOf(vrf: string, network: Ip, length: number): NextHopState[] {
    const route = this.installed.get(keyOf(vrf, network, length));
    return (route?.hops ?? []).map(({ ip, adjacency, priority }) => ({
      ip: formatIp(ip),
      interface: route!.iface.name,
      alive: this.parts.nextHops.isAlive(adjacency),
      ...{ weight: 1, priority, track: null, tunnel: null },
    }));
  }

  private hold(iface: InterfaceObject, hops: readonly Ip[], priorities: readonly number[]): FabricRoute["hops"] | null {
    const { nextHops } = this.parts;
    const held: { ip: Ip; adjacency: number; priority: number }[] = [];
    for (const [n, ip] of hops.entries()) {
      const adjacency = nextHops.hold(iface, ip);
      if (adjacency === 0) {
        for (const each of held) nextHops.release(each.adjacency);
        return null;
      }
      held.push({ ip, adjacency, priority: priorities[n] ?? 1 });
    }
    return held;
  }

  private install(iface: InterfaceObject, network: Ip, length: number, hops: FabricRoute["hops"]): FabricRoute {
    const set = (kind: number, argument: number) =>
      this.parts.routes.set("evpn", iface.vrf, network, length, routeValue(kind, argument));
    const user = (row: number) => set(ROUTE_GROUP, row);
    const common = { iface, network, length, hops, user };
    const members = hops.map(({ ip, adjacency, priority }) => ({
      ...{ adjacency, name: formatIp(ip), weight: 1, priority },
    }));
    if (hops.length > 1 && (this.hasRoom || this.parts.groups.has(members))) {
      const group = this.parts.groups.join(members, user);
      this.sets.set(group, (this.sets.get(group) ?? 0) + 1);
      return { ...common, group };
    }
    set(ROUTE_ADJACENCY, hops[0]!.adjacency);
    return { ...common, group: null };
  }

  private reduce(key: string): void {
    this.reduced.add(key);
    this.retryLater();
  }

  private retryLater(): void {
    if (this.isRetryDue || this.reduced.size === 0) return;
    this.isRetryDue = true;
    this.parts.timers.after(RETRY_MS, () => {
      this.isRetryDue = false;
      this.retryReduced();
      this.retryLater();
    });
  }

  private retryReduced(): void {
    for (const key of [...this.reduced].slice(0, this.hasRoom ? RETRIED : 0)) {
      // One that goes back stands behind the others.
      this.reduced.delete(key);
      const { iface, network, length, hops } = this.installed.get(key)!;
      const ips = hops.map(({ ip }) => ip);
      const priorities = hops.map(({ priority }) => priority);
      this.set(iface, network, length, ips, priorities);
    }
  }

  private get hasRoom(): boolean {
    return this.sets.size < MAX_FABRIC_GROUPS && this.parts.groups.room > SPARE_GROUPS;
  }

  private withdraw(key: string, route: FabricRoute): void {
    this.installed.delete(key);
    this.room[familyOf(route.network)]++;
    this.reduced.delete(key);
    this.parts.routes.clear("evpn", route.iface.vrf, route.network, route.length);
    this.letGo(route);
  }

  private letGo({ group, user, hops }: FabricRoute): void {
    if (group !== null) {
      const left = this.sets.get(group)! - 1;
      if (left === 0) this.sets.delete(group);
      else this.sets.set(group, left);
      this.parts.groups.leave(group, user);
    }
    for (const { adjacency } of hops) this.parts.nextHops.release(adjacency);
  }
}

function keyOf(vrf: string, network: Ip, length: number): string {
  return `${vrf} ${prefixKey(network, length)}`;
}

function familyOf(network: Ip): "number" | "bigint" {
  return typeof network as "number" | "bigint";
}
