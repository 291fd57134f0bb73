/**
 * The hosts and addresses of one VSI, as mac-vrf.ts decides about them: what others announce, what is here, what the tables were told.
 *
 * What is counted of them is kept where they change (`setLocal`, `setUsed`, `setHere`, `setTold`): a scrape that walked a hundred
 * thousand of them would hold the main thread.
 */
import type { Ip } from "../control/ip.ts";
import { LargeMap } from "../control/large-map.ts";
import { mapKey } from "../control/map-key.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { LocalHost } from "./beliefs.ts";
import { addressOf, type MacRoute } from "./route.ts";

/** A host at our ACs. */
export interface Local {
  /** Its MAC is configured there. */
  isSticky: boolean;
  sequence: number;
}

export interface Host {
  readonly mac: Mac;
  /** What others announce of it, with and without addresses. */
  routes: readonly MacRoute[];
  readonly local: Local | null;
  /** Addresses that it was heard with at an AC. They stay while its MAC is not known there for a while, and are announced with it. */
  ips: ReadonlySet<Ip>;
  /** Of them, those that are configured. */
  stickyIps: ReadonlySet<Ip>;
  /** The VTEP that the tables were told. */
  readonly used: string | null;
  /** Keys of our routes of it. */
  exported: ReadonlySet<string>;
  /** The sticky claim that was told about. */
  conflict: string | null;
}

export interface Address {
  readonly ip: Ip;
  routes: readonly MacRoute[];
  /** The MAC with which it is at an AC of ours. */
  readonly local: Mac | null;
  /** What the tables were told; the route itself where it says so. */
  readonly used: Pick<MacRoute, "mac" | "nextHop"> | null;
}

/** This table alone writes what it counts. */
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface Counts {
  readonly used: number;
  readonly shadowed: number;
  /** Hosts at our ACs. */
  readonly out: number;
}

/** Most hosts have one route or two, and few of them ever have their own: a list is replaced, and these are shared. */
export const NO_ROUTES: readonly never[] = [];
export const NO_KEYS: ReadonlySet<string> = new Set();
export const NO_IPS: ReadonlySet<Ip> = new Set();

/** Most routes of one MAC, or of one address: what is looked through when one of them changes stays short. */
export const ROUTES_PER_HOST = 1024;

export class HostTable {
  readonly hosts = new LargeMap<Mac, Host>();
  /** By mapKey. */
  readonly addresses = new LargeMap<Ip, Address>();
  private readonly macs = { used: 0, shadowed: 0, out: 0 };
  private readonly ips = { used: 0, shadowed: 0, out: 0 };

  /** Nothing is said of it, and no host here has it. */
  forgetIfUnused({ ip, routes, local }: Address): void {
    if (routes.length === 0 && local === null) this.addresses.delete(mapKey(ip));
  }

  /** Nothing is said of it, and nothing was heard. */
  forgetIfUnknown({ mac, routes, local, ips }: Host): void {
    if (routes.length === 0 && local === null && ips.size === 0) this.hosts.delete(mac);
  }

  host(mac: Mac): Host {
    let host = this.hosts.get(mac);
    if (host === undefined) {
      host = {
        ...{ mac, routes: NO_ROUTES, local: null, ips: NO_IPS, stickyIps: NO_IPS },
        ...{ used: null, exported: NO_KEYS, conflict: null },
      };
      this.hosts.set(mac, host);
    }
    return host;
  }

  find(ip: Ip): Address | undefined {
    return this.addresses.get(mapKey(ip));
  }

  address(ip: Ip): Address {
    let address = this.find(ip);
    if (address === undefined) {
      address = { ip, routes: NO_ROUTES, local: null, used: null };
      this.addresses.set(mapKey(ip), address);
    }
    return address;
  }

  /** It is at an AC now, or at none; its addresses are with it. */
  setLocal(host: Host, local: Local | null): void {
    const isMoving = (host.local === null) !== (local === null);
    if (isMoving) this.tallyWith(host, -1);
    (host as Mutable<Host>).local = local;
    if (isMoving) this.tallyWith(host, 1);
  }

  /** The tables were told that it is behind this VTEP; null: nothing. */
  setUsed(host: Host, used: string | null): void {
    this.tally(host, -1);
    (host as Mutable<Host>).used = used;
    this.tally(host, 1);
  }

  /** A host at an AC has the address; null: none has. */
  setHere(address: Address, local: Mac | null): void {
    this.tallyAddress(address, -1);
    (address as Mutable<Address>).local = local;
    this.tallyAddress(address, 1);
  }

  /** What the tables were told of the address. */
  setTold(address: Address, used: Address["used"]): void {
    this.tallyAddress(address, -1);
    (address as Mutable<Address>).used = used;
    this.tallyAddress(address, 1);
  }

  /** All of it goes. */
  clear(): void {
    this.hosts.clear();
    this.addresses.clear();
    for (const counts of [this.macs, this.ips]) Object.assign(counts, { used: 0, shadowed: 0, out: 0 });
  }

  /** What is believed to be at an AC, and is not among `locals`. */
  notAmong(locals: readonly LocalHost[]): { readonly macs: Mac[]; readonly ips: Ip[] } {
    const known = new Set(locals.map(({ mac }) => mac));
    const addresses = new Set(locals.map(({ ip }) => ip));
    const macs = [...this.hosts.values()].filter(({ mac, local }) => local !== null && !known.has(mac));
    const ips = [...this.addresses.values()].filter(({ ip, local }) => local !== null && !addresses.has(ip));
    return { macs: macs.map(({ mac }) => mac), ips: ips.map(({ ip }) => ip) };
  }

  /** Entries by what became of them; `shadowed`: a host at an AC is used instead. */
  counts(): { readonly macs: Counts; readonly ips: Counts } {
    return { macs: this.macs, ips: this.ips };
  }

  private tally({ used, local }: Host, step: 1 | -1): void {
    if (used !== null) this.macs[local === null ? "used" : "shadowed"] += step;
    if (local !== null) this.macs.out += step;
  }

  private tallyAddress({ used, local }: Address, step: 1 | -1): void {
    const isHere = local !== null && this.hosts.get(local)?.local != null;
    if (used !== null) this.ips[isHere ? "shadowed" : "used"] += step;
    if (isHere) this.ips.out += step;
  }

  /** The host, and the addresses that it was heard with. */
  private tallyWith(host: Host, step: 1 | -1): void {
    this.tally(host, step);
    for (const ip of host.ips) {
      const address = this.find(ip);
      if (address?.local === host.mac) this.tallyAddress(address, step);
    }
  }
}

/** Does it stay, whatever others say (RFC 7432 §15.2)? Its MAC is configured, or an address of it is. */
export function isSticky({ local, stickyIps }: Host): boolean {
  return local?.isSticky === true || stickyIps.size > 0;
}

/** Addresses that are said of a host, or heard of it here. */
export function addressesOf(host: Host): Ip[] {
  const keys = new Set<Ip>(Array.from(host.ips, mapKey));
  for (const route of host.routes) {
    const address = addressOf(route);
    if (address !== null) keys.add(mapKey(address));
  }
  return Array.from(keys, mapKey);
}

export function withIp(ips: ReadonlySet<Ip>, ip: Ip): ReadonlySet<Ip> {
  return ips.has(ip) ? ips : new Set([...ips, ip]);
}

export function withoutIp(ips: ReadonlySet<Ip>, ip: Ip): ReadonlySet<Ip> {
  if (!ips.has(ip)) return ips;
  return ips.size === 1 ? NO_IPS : new Set([...ips].filter((each) => each !== ip));
}

export function added<R>(routes: readonly R[], route: R): readonly R[] {
  // Not by a spread, which leaves room for more in each of a hundred thousand lists.
  return routes.length === 0 ? [route] : routes.concat([route]);
}

/** Without `route` itself. The same list: it was not in it. */
export function without<R>(routes: readonly R[], route: R): readonly R[] {
  const at = routes.indexOf(route);
  if (at < 0) return routes;
  return routes.length === 1 ? NO_ROUTES : routes.toSpliced(at, 1);
}
