/**
 * One VRF between here and the fabric: prefixes that others announce (type 5, RFC 9136 §4.4.1), and hosts of theirs with a label
 * for the VRF (type 2 with two labels, RFC 9135 §9): which gateways lead there, by the L3VNI and each one's router's MAC.
 *
 *   a host        the best claim alone, by mobility (choice.ts): it is in one place, and the others are places it was in
 *   a prefix      of the gateways that announce it those with the highest LOCAL_PREF (RFC 4271 §9.1.2), lowest VTEP addresses
 *                 first, as many as `ecmp` allows; those with less stand by, in the same order
 *   both          the host's: a prefix of that length says no more than a host, and says it of a site
 *
 * The tables are told those that stand by too: BGP says for long that a gateway is there whose tunnel is down (RFC 4271 §9.1.2.1
 * leaves out a next hop that is not reachable), so when the last tunnel of a preference is down the next ones have the flows at once.
 *
 * A next hop is a VTEP, whatever is behind it, so its router's MAC is kept once for all prefixes: the one that was announced last.
 * Control's tables rank all of this below what is configured or heard here (control/routes/routes.ts).
 */
import { bitsOf, type Ip, networkOf, prefixKey } from "../control/ip.ts";
import { LargeMap } from "../control/large-map.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Beliefs } from "./beliefs.ts";
import { bestOf, compareVteps } from "./choice.ts";
import { added, NO_ROUTES, ROUTES_PER_HOST, without } from "./host-table.ts";
import type { Instance } from "./import.ts";
import { ipOf, type MacRoute, type PrefixRoute, preferenceOf } from "./route.ts";
import { Starved } from "./starved.ts";

/** A route that leads somewhere in a VRF. */
export type VrfRoute = MacRoute | PrefixRoute;

/** Most gateways of one prefix that stand by. */
const MOST_STANDING_BY = 8;

/** A gateway that leads to a prefix. */
interface Way {
  readonly vtep: string;
  /** 1: its flows go by it; more: when the tunnels of all below it are down. */
  readonly priority: number;
  /** LOCAL_PREF of its route, the highest where it has several; 0: it is a host's. */
  readonly preference: number;
}

interface Prefix {
  readonly network: Ip;
  readonly length: number;
  hosts: readonly MacRoute[];
  prefixes: readonly PrefixRoute[];
  /** What the tables were told, by priority; none: nothing. */
  ways: readonly Way[];
}

/** A gateway on the L3VNI. */
interface Hop {
  /** How many routes name it with which MAC; the one that was said last stands last. */
  readonly macs: Map<Mac, number>;
  used: Mac | null;
}

export interface IpVrfParts {
  readonly instance: Instance;
  readonly beliefs: Pick<Beliefs, "wantHop" | "unwantHop" | "wantPrefix" | "unwantPrefix" | "isUp">;
  /** There was no room for one. */
  readonly full: () => void;
}

export class IpVrf {
  readonly instance: Instance;
  private readonly parts: IpVrfParts;
  private readonly prefixes = new LargeMap<string, Prefix>();
  private readonly hops = new Map<string, Hop>();
  /** Prefixes and hosts that are in the tables. */
  private installed = 0;
  /** For which the tables had no room: prefixes, and VTEPs as next hops. */
  private readonly starved = new Starved<string>();
  private readonly starvedHops = new Starved<string>();

  constructor(parts: IpVrfParts) {
    this.parts = parts;
    this.instance = parts.instance;
  }

  /**
   * A route that this VRF imports. It is known by identity: one that takes the place of another is added before that one is
   * removed. @returns false: its prefix has too many routes already.
   */
  addRoute(route: VrfRoute): boolean {
    const prefix = this.prefix(route);
    if (prefix.hosts.length + prefix.prefixes.length >= ROUTES_PER_HOST) return false;
    this.holdHop(route);
    if (route.type === 2) prefix.hosts = added(prefix.hosts, route);
    else prefix.prefixes = added(prefix.prefixes, route);
    this.settle(prefix);
    return true;
  }

  removeRoute(route: VrfRoute): void {
    const { network, length } = placeOf(route);
    const prefix = this.prefixes.get(prefixKey(network, length));
    if (prefix === undefined) return;
    const { hosts, prefixes } = prefix;
    if (route.type === 2) prefix.hosts = without(hosts, route);
    else prefix.prefixes = without(prefixes, route);
    if (prefix.hosts === hosts && prefix.prefixes === prefixes) return;
    this.settle(prefix);
    this.releaseHop(route);
  }

  /** Once a second. */
  tick(): void {
    this.starved.tryAgain((key) => {
      const prefix = this.prefixes.get(key);
      if (prefix === undefined || prefix.ways.length > 0) return false;
      this.settle(prefix);
      return prefix.ways.length === 0;
    });
    this.starvedHops.tryAgain((vtep) => {
      const hop = this.hops.get(vtep);
      if (hop === undefined || hop.used !== null) return false;
      this.useMac(vtep, hop, lastMac(hop));
      return hop.used === null;
    });
  }

  /** All of it goes. */
  close(): void {
    const { beliefs } = this.parts;
    const { vsi } = this.instance;
    for (const { network, length, ways } of this.prefixes.values())
      if (ways.length > 0) beliefs.unwantPrefix(vsi, network, length);
    for (const [vtep, { used }] of this.hops) if (used !== null) beliefs.unwantHop(vsi, vtep, used);
    this.prefixes.clear();
    this.hops.clear();
    this.installed = 0;
  }

  /** Prefixes and hosts that are in the tables. */
  get size(): number {
    return this.installed;
  }

  /** Is the route one of those by which packets go now? */
  useOf(route: VrfRoute): "used" | "shadowed" {
    const { network, length } = placeOf(route);
    const prefix = this.prefixes.get(prefixKey(network, length));
    return prefix !== undefined && this.isInUse(prefix, route) ? "used" : "shadowed";
  }

  /** The longest prefix that leads to `ip`, with the routes that say so. */
  match(ip: Ip): { readonly network: Ip; readonly length: number; readonly routes: readonly VrfRoute[] } | null {
    for (let length = bitsOf(ip); length >= 0; length--) {
      const network = networkOf(ip, length);
      const prefix = this.prefixes.get(prefixKey(network, length));
      if (prefix === undefined || prefix.ways.length === 0) continue;
      const all: VrfRoute[] = [...prefix.hosts, ...prefix.prefixes];
      return { network, length, routes: all.filter((route) => this.isInUse(prefix, route)) };
    }
    return null;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  private prefix(route: VrfRoute): Prefix {
    const { network, length } = placeOf(route);
    const key = prefixKey(network, length);
    let prefix = this.prefixes.get(key);
    if (prefix === undefined) {
      prefix = { network, length, hosts: NO_ROUTES, prefixes: NO_ROUTES, ways: [] };
      this.prefixes.set(key, prefix);
    }
    return prefix;
  }

  /** Decide about one prefix, and tell the tables. */
  private settle(prefix: Prefix): void {
    const { beliefs, full } = this.parts;
    const { vsi } = this.instance;
    const { network, length, ways: before } = prefix;
    const ways = this.waysOf(prefix);
    const vteps = ways.map(({ vtep }) => vtep);
    const priorities = ways.map(({ priority }) => priority);
    if (textOf(ways) === textOf(before)) this.note(prefix, ways);
    else if (ways.length === 0) {
      beliefs.unwantPrefix(vsi, network, length);
      this.note(prefix, []);
    } else if (beliefs.wantPrefix(vsi, network, length, vteps, priorities)) this.note(prefix, ways);
    else {
      // What it was before leads where no route says any more.
      if (before.length > 0) beliefs.unwantPrefix(vsi, network, length);
      this.note(prefix, []);
      if (this.starved.add(prefixKey(network, length))) full();
    }
    if (prefix.hosts.length + prefix.prefixes.length === 0) this.prefixes.delete(prefixKey(network, length));
  }

  /** The tables were told. */
  private note(prefix: Prefix, ways: readonly Way[]): void {
    this.installed += Math.sign(ways.length) - Math.sign(prefix.ways.length);
    prefix.ways = ways;
  }

  private waysOf({ hosts, prefixes }: Prefix): Way[] {
    const host = bestOf(hosts);
    if (host !== null) return [{ vtep: host.nextHop, priority: 1, preference: 0 }];
    const preferences = new Map<string, number>();
    for (const route of prefixes)
      preferences.set(route.nextHop, Math.max(preferenceOf(route), preferences.get(route.nextHop) ?? 0));
    const order = [...preferences].sort(([a, left], [b, right]) => right - left || compareVteps(a, b));
    const highest = order[0]?.[1];
    const first = order.filter(([, preference]) => preference === highest).slice(0, this.instance.vrf!.ecmp);
    const others = order.filter(([, preference]) => preference !== highest).slice(0, MOST_STANDING_BY);
    let priority = 0;
    let last: number | null = null;
    return [...first, ...others].map(([vtep, preference]) => {
      if (preference !== last) priority++;
      last = preference;
      return { vtep, priority, preference };
    });
  }

  /**
   * Is it one of those by which the prefix is reached? Where all tunnels are down, it would be the first ones. A next hop that
   * found no room leads nowhere.
   */
  private isInUse({ hosts, ways }: Prefix, route: VrfRoute): boolean {
    if (hosts.length > 0 !== (route.type === 2) || this.hops.get(route.nextHop)?.used == null) return false;
    const { priority } = ways.find(({ vtep }) => this.parts.beliefs.isUp(vtep)) ?? { priority: 1 };
    const way = ways.find(({ vtep }) => vtep === route.nextHop);
    return way?.priority === priority && (route.type === 2 || preferenceOf(route) === way.preference);
  }

  private holdHop({ nextHop: vtep, routerMac }: VrfRoute): void {
    const mac = routerMac!;
    const hop = this.hops.get(vtep) ?? { macs: new Map<Mac, number>(), used: null };
    this.hops.set(vtep, hop);
    const count = hop.macs.get(mac) ?? 0;
    hop.macs.delete(mac);
    hop.macs.set(mac, count + 1);
    this.useMac(vtep, hop, mac);
  }

  private releaseHop({ nextHop: vtep, routerMac }: VrfRoute): void {
    const hop = this.hops.get(vtep);
    const count = hop?.macs.get(routerMac!) ?? 0;
    if (hop === undefined || count === 0) return;
    if (count > 1) hop.macs.set(routerMac!, count - 1);
    else hop.macs.delete(routerMac!);
    if (hop.macs.size === 0) {
      this.hops.delete(vtep);
      if (hop.used !== null) this.parts.beliefs.unwantHop(this.instance.vsi, vtep, hop.used);
    } else if (hop.used !== null && !hop.macs.has(hop.used)) this.useMac(vtep, hop, lastMac(hop));
  }

  private useMac(vtep: string, hop: Hop, mac: Mac): void {
    if (hop.used === mac) return;
    const { beliefs, full } = this.parts;
    const { vsi } = this.instance;
    const { used: was } = hop;
    hop.used = beliefs.wantHop(vsi, vtep, mac, was) ? mac : null;
    if (hop.used !== null) return;
    // What it was before is no router's MAC of it any more.
    if (was !== null) beliefs.unwantHop(vsi, vtep, was);
    if (this.starvedHops.add(vtep)) full();
  }
}

/** The one that was said last. */
function lastMac({ macs }: Hop): Mac {
  return [...macs.keys()].at(-1)!;
}

function textOf(ways: readonly Way[]): string {
  return ways.map(({ vtep, priority }) => `${vtep} ${priority}`).join();
}

/** The prefix that a route is about; a host is all bits of one. */
function placeOf(route: VrfRoute): { readonly network: Ip; readonly length: number } {
  if (route.type === 5) return { network: route.network, length: route.length };
  const network = ipOf(route)!;
  return { network, length: bitsOf(network) };
}
