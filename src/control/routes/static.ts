/**
 * The operator's routes: next hops (one, or several as ECMP), another VRF, unreachable, prohibit, discard.
 *
 * A next hop is held as an adjacency on the VSI-interface whose subnet contains it. A route names the adjacency, not the
 * resolved MAC, so nothing here changes when a Border comes, goes or moves; only an ECMP set does (next-hop-group.ts).
 * While the tracks of all its next hops are down a route is withdrawn: a shorter prefix takes its packets, or none.
 * `apply` takes the difference and touches only that, holding new next hops before it releases old ones, so that an
 * unchanged next hop stays resolved through a reload. The main thread stands still meanwhile, so what has not changed is
 * not even looked at, unless the VSI-interfaces have: then a next hop may have another home.
 */
import {
  ROUTE_ADJACENCY,
  ROUTE_DISCARD,
  ROUTE_GROUP,
  ROUTE_HOST,
  ROUTE_PROHIBIT,
  ROUTE_UNREACHABLE,
  ROUTE_VRF,
} from "../../tables/fib.ts";
import type { InterfaceObject, Inventory } from "../inventory.ts";
import { bitsOf } from "../ip.ts";
import type { ListDiff, NextHopConfig, Prefix, RouteConfig } from "../plan.ts";
import type { NextHopGroup, NextHopGroups } from "./next-hop-group.ts";
import { Homes, hopsOf, mustHold, type NextHops, nameOf } from "./next-hops.ts";
import { type Routes, routeValue } from "./routes.ts";

const KINDS = { unreachable: ROUTE_UNREACHABLE, prohibit: ROUTE_PROHIBIT, discard: ROUTE_DISCARD } as const;

interface Hop {
  readonly iface: InterfaceObject;
  readonly address: NextHopConfig;
  readonly adjacency: number;
}

interface StaticRoute {
  readonly vrf: number;
  readonly prefix: Prefix;
  readonly kind: RouteConfig["target"]["kind"];
  /** The VRF that it leads to; null: it stays in its own. */
  readonly via: string | null;
  readonly hops: readonly Hop[];
  readonly group: NextHopGroup | null;
  /** Publishes the route with a group's row; 0: withdraws it. */
  readonly user: (row: number) => void;
  /** Publishes or withdraws one with a single next hop. */
  readonly restate: (() => void) | null;
}

/** A next hop of a static route as the views show it. */
export interface NextHopState {
  readonly ip: string;
  readonly interface: string;
  readonly alive: boolean;
  readonly weight: number;
  readonly priority: number;
  readonly track: string | null;
  readonly tunnel: string | null;
}

export class StaticRoutes {
  private readonly routes: Routes;
  private readonly nextHops: NextHops;
  private readonly groups: NextHopGroups;
  private readonly installed = new Map<string, StaticRoute>();

  constructor(routes: Routes, nextHops: NextHops, groups: NextHopGroups) {
    this.routes = routes;
    this.nextHops = nextHops;
    this.groups = groups;
    groups.tracks.onChange((track) => {
      for (const { hops, restate } of this.installed.values()) if (hops[0]?.address.track === track) restate?.();
    });
  }

  /**
   * Make `wanted` the static routes, which differ from those before by `diff`. The VSI-interfaces they need are in
   * `inventory`, and are the same as before unless `isRehomed`; `vrfRow` gives a VRF's row.
   */
  apply(
    wanted: readonly RouteConfig[],
    diff: ListDiff<RouteConfig>,
    inventory: Inventory,
    isRehomed: boolean,
    vrfRow: (name: string) => number,
  ): void {
    const old: StaticRoute[] = [];
    for (const gone of diff.removed) {
      const key = prefixName(gone);
      const route = this.installed.get(key)!;
      this.installed.delete(key);
      this.routes.clear("static", route.vrf, route.prefix.network, route.prefix.length);
      old.push(route);
    }
    const everyHome = new Homes(inventory);
    for (const config of isRehomed ? wanted : [...diff.changed.map(({ to }) => to), ...diff.added]) {
      const key = prefixName(config);
      const homes = homesOf(config, everyHome);
      const before = this.installed.get(key);
      if (before !== undefined && isSame(before, config, homes)) continue;
      this.installed.set(key, this.install(config, homes, vrfRow));
      if (before !== undefined) old.push(before);
    }
    for (const route of old) this.letGo(route);
  }

  /** Routes with next hops. */
  hops(): Iterable<Pick<StaticRoute, "prefix" | "hops">> {
    return this.installed.values();
  }

  /** The VRF that the route leads to; null: it stays in its own, or is not the operator's. */
  viaVrfOf(vrf: string, prefix: string): string | null {
    return this.installed.get(`${vrf} ${prefix}`)?.via ?? null;
  }

  /** None where it has none, or is not the operator's. */
  nextHopsOf(vrf: string, prefix: string): NextHopState[] {
    const hops = this.installed.get(`${vrf} ${prefix}`)?.hops ?? [];
    return hops.map(({ iface, address, adjacency }) => ({
      ip: address.text,
      interface: iface.name,
      alive: this.isAlive({ address, adjacency }),
      weight: address.weight,
      priority: address.priority,
      track: address.track,
      tunnel: address.tunnel,
    }));
  }

  /** Routes that are not in the table, for the tracks of all their next hops are down. */
  *withdrawn(): Generator<{ readonly vrf: string; readonly prefix: Prefix; readonly tracks: readonly string[] }> {
    for (const [name, { prefix, hops }] of this.installed) {
      const tracks = hops.flatMap(({ address: { track } }) => (this.groups.tracks.isUp(track) ? [] : [track!]));
      if (hops.length > 0 && tracks.length === hops.length)
        yield { vrf: name.slice(0, name.lastIndexOf(" ")), prefix, tracks: [...new Set(tracks)] };
    }
  }

  /** Is a next hop of the route alive and its track up, or has it none to be dead? null: there is no such route. */
  leads(vrf: string, prefix: string): boolean | null {
    const route = this.installed.get(`${vrf} ${prefix}`);
    if (route === undefined) return null;
    return route.hops.length === 0 || route.hops.some((hop) => this.isAlive(hop));
  }

  private isAlive({ adjacency, address }: Pick<Hop, "adjacency" | "address">): boolean {
    return this.nextHops.isAlive(adjacency) && this.groups.tracks.isUp(address.track);
  }

  private install(
    config: RouteConfig,
    homes: readonly InterfaceObject[],
    vrfRow: (name: string) => number,
  ): StaticRoute {
    const { prefix, target } = config;
    const { nextHops } = hopsOf(config);
    const vrf = vrfRow(config.vrf);
    const set = (kind: number, argument: number) =>
      this.routes.set("static", vrf, prefix.network, prefix.length, routeValue(kind, argument));
    const clear = () => this.routes.clear("static", vrf, prefix.network, prefix.length);
    const user = (row: number) => (row === 0 ? clear() : set(ROUTE_GROUP, row));
    const via = target.kind === "vrf" ? target.vrf : null;
    const common = { vrf, prefix, kind: target.kind, via, user, restate: null };
    if (nextHops.length === 0) {
      if (via !== null) set(ROUTE_VRF, vrfRow(via));
      else set(KINDS[target.kind as keyof typeof KINDS], 0);
      return { ...common, hops: [], group: null };
    }
    const hops = nextHops.map((address, i) => ({
      iface: homes[i]!,
      address,
      adjacency: mustHold(this.nextHops, homes[i]!, address.ip, address.tunnel),
    }));
    if (hops.length === 1) {
      const isItself = prefix.length === bitsOf(prefix.network) && prefix.network === hops[0]!.address.ip;
      const { adjacency, address } = hops[0]!;
      const kind = isItself ? ROUTE_HOST : ROUTE_ADJACENCY;
      const restate = () => (this.groups.tracks.isUp(address.track) ? set(kind, adjacency) : clear());
      restate();
      return { ...common, hops, group: null, restate };
    }
    const members = hops.map(({ adjacency, address }) => {
      const { weight, priority, track } = address;
      return { adjacency, name: nameOf(address), weight, priority, track };
    });
    return { ...common, hops, group: this.groups.join(members, user) };
  }

  private letGo(route: StaticRoute): void {
    if (route.group !== null) this.groups.leave(route.group, route.user);
    for (const hop of route.hops) this.nextHops.release(hop.adjacency);
  }
}

function prefixName({ vrf, prefix }: RouteConfig): string {
  return `${vrf} ${prefix.text}`;
}

/** The VSI-interface of each next hop. */
function homesOf(config: RouteConfig, homes: Homes): InterfaceObject[] {
  const { vrf, nextHops } = hopsOf(config);
  return nextHops.map((hop) => homes.of(vrf, hop));
}

function isSame(route: StaticRoute, config: RouteConfig, homes: readonly InterfaceObject[]): boolean {
  const { target } = config;
  const { nextHops } = hopsOf(config);
  if (route.kind !== target.kind || route.via !== (target.kind === "vrf" ? target.vrf : null)) return false;
  if (nextHops.length !== route.hops.length) return false;
  return route.hops.every(({ iface, address: { ip, weight, priority, track, tunnel } }, i) => {
    const to = nextHops[i]!;
    const isAlike = ip === to.ip && weight === to.weight && priority === to.priority && track === to.track;
    return iface === homes[i] && isAlike && tunnel === to.tunnel;
  });
}
