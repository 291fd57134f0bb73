/** The hosts and addresses of one VSI, as mac-vrf.ts decides about them: what others announce, what is here, what the tables were told. */
import type { Mac } from "../wire/ethernet.ts";
import { type Ipv4, parseIpv4 } from "../wire/ipv4.ts";
import type { MacRoute } from "./route.ts";

/** A host at our ACs. */
export interface Local {
  isSticky: boolean;
  sequence: number;
  readonly ips: Set<Ipv4>;
}

export interface Host {
  readonly mac: Mac;
  /** What others announce of it, with and without addresses. */
  routes: readonly MacRoute[];
  local: Local | null;
  /** The VTEP that the tables were told. */
  used: string | null;
  /** Keys of our routes of it. */
  exported: ReadonlySet<string>;
  /** The sticky claim that was told about. */
  conflict: string | null;
}

export interface Address {
  readonly ip: Ipv4;
  routes: readonly MacRoute[];
  /** The MAC with which it is at an AC of ours. */
  local: Mac | null;
  used: { readonly mac: Mac; readonly vtep: string } | null;
}

export interface Counts {
  readonly used: number;
  readonly shadowed: number;
  /** Hosts at our ACs. */
  readonly out: number;
}

/** Most hosts have one route or two, and few of them ever have their own: a list is replaced, and these are shared. */
export const NO_ROUTES: readonly never[] = [];
export const NO_KEYS: ReadonlySet<string> = new Set();

/** Most routes of one MAC, or of one address: what is looked through when one of them changes stays short. */
export const ROUTES_PER_HOST = 1024;

export class HostTable {
  readonly hosts = new Map<Mac, Host>();
  readonly addresses = new Map<Ipv4, Address>();

  forgetIfIdle(host: Host, address: Address): void {
    if (host.routes.length === 0 && host.local === null) this.hosts.delete(host.mac);
    if (address.routes.length === 0 && address.local === null) this.addresses.delete(address.ip);
  }

  host(mac: Mac): Host {
    let host = this.hosts.get(mac);
    if (host === undefined) {
      host = { mac, routes: NO_ROUTES, local: null, used: null, exported: NO_KEYS, conflict: null };
      this.hosts.set(mac, host);
    }
    return host;
  }

  address(ip: Ipv4): Address {
    let address = this.addresses.get(ip);
    if (address === undefined) {
      address = { ip, routes: NO_ROUTES, local: null, used: null };
      this.addresses.set(ip, address);
    }
    return address;
  }

  /** Entries by what became of them; `shadowed`: a host at an AC is used instead. */
  counts(): { readonly macs: Counts; readonly ips: Counts } {
    const macs = { used: 0, shadowed: 0, out: 0 };
    for (const { used, local } of this.hosts.values()) {
      if (used !== null) macs[local === null ? "used" : "shadowed"]++;
      if (local !== null) macs.out++;
    }
    const ips = { used: 0, shadowed: 0, out: 0 };
    for (const { used, local } of this.addresses.values()) {
      if (used !== null) ips[local === null ? "used" : "shadowed"]++;
      if (local !== null) ips.out++;
    }
    return { macs, ips };
  }
}

/** Addresses that are said of a host, or heard of it here. */
export function addressesOf(host: Host): Set<Ipv4> {
  const ips = new Set<Ipv4>(host.local?.ips ?? []);
  for (const { ip } of host.routes) {
    const address = ip === null ? null : parseIpv4(ip);
    if (address !== null) ips.add(address);
  }
  return ips;
}

export function added<R>(routes: readonly R[], route: R): readonly R[] {
  return routes.length === 0 ? [route] : [...routes, route];
}

/** Without `route` itself. The same list: it was not in it. */
export function without<R>(routes: readonly R[], route: R): readonly R[] {
  const at = routes.indexOf(route);
  if (at < 0) return routes;
  return routes.length === 1 ? NO_ROUTES : routes.toSpliced(at, 1);
}
