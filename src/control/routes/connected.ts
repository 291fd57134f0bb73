/**
 * Routes that follow from what exists: our own addresses, the connected subnets and their ends, the VTEPs' addresses.
 *
 *   10.1.1.1/32    own         to control (echo, and whatever else is ours)
 *   10.1.1.0/24    connected   glean: the host is not resolved, control finds it
 *   10.1.1.0/32    broadcast   network and directed broadcast address: not routed (RFC 2644); /31 and /32 have none (RFC 3021)
 *   192.0.2.1/32   underlay    in every VRF: a tenant must not reach a VTEP's VXLAN port through the overlay
 *
 * The whole set is computed anew and compared with what stands, so nothing that stays is touched.
 */
import { ROUTE_BROADCAST, ROUTE_GLEAN, ROUTE_LOCAL, ROUTE_UNDERLAY } from "../../tables/fib.ts";
import { maskOf, parseIpv4 } from "../../wire/ipv4.ts";
import { isLinkLocal6, parseIpv6 } from "../../wire/ipv6.ts";
import type { InterfaceObject, Inventory, Subnet } from "../inventory.ts";
import { bitsOf, type Ip } from "../ip.ts";
import type { Config } from "../plan.ts";
import { type RouteOrigin, type Routes, routeValue } from "./routes.ts";

interface Wanted {
  readonly origin: RouteOrigin;
  readonly vrf: number;
  readonly network: Ip;
  readonly length: number;
  readonly value: number;
}

export class ConnectedRoutes {
  private readonly routes: Routes;
  private installed = new Map<string, Wanted>();
  private wanted = new Map<string, Wanted>();

  constructor(routes: Routes) {
    this.routes = routes;
  }

  /** Take away what does not follow from `inventory` and `config` any more. */
  withdraw(inventory: Inventory, config: Config): void {
    this.wanted = new Map();
    const vrfs = new Set<number>();
    for (const iface of inventory.interfaces.values()) {
      vrfs.add(iface.vrf);
      const subnets = routedSubnetsOf(iface);
      const { icmpSource, icmpSource6 } = iface.config;
      const own = [
        ...subnets.map(({ address }) => address),
        ...[icmpSource, icmpSource6].flatMap((each) => each?.ip ?? []),
      ];
      for (const ip of own) this.want("own", iface.vrf, ip, bitsOf(ip), routeValue(ROUTE_LOCAL, iface.row));
      for (const { network, length } of subnets) {
        if (length < bitsOf(network))
          this.want("connected", iface.vrf, network, length, routeValue(ROUTE_GLEAN, iface.row));
        for (const end of endsOf(network, length))
          this.want("broadcast", iface.vrf, end, bitsOf(end), routeValue(ROUTE_BROADCAST, 0));
      }
    }
    for (const text of [config.underlay.address, ...inventory.tunnels().map((tunnel) => tunnel.config.remote)]) {
      const ip = vtepOf(text);
      for (const vrf of vrfs) this.want("underlay", vrf, ip, bitsOf(ip), routeValue(ROUTE_UNDERLAY, 0));
    }
    for (const [key, { origin, vrf, network, length }] of this.installed)
      if (!this.wanted.has(key)) this.routes.clear(origin, vrf, network, length);
  }

  /** Store what is new or different. Called after `withdraw`. */
  publish(): void {
    for (const [key, { origin, vrf, network, length, value }] of this.wanted)
      if (this.installed.get(key)?.value !== value) this.routes.set(origin, vrf, network, length, value);
    this.installed = this.wanted;
  }

  /** A VTEP that no reload brings: its address is guarded in every VRF. */
  guardVtep(inventory: Inventory, remote: string): void {
    const value = routeValue(ROUTE_UNDERLAY, 0);
    for (const { vrf, ip } of guardsOf(inventory, remote)) {
      const length = bitsOf(ip);
      this.installed.set(wantedKey("underlay", vrf, ip, length), {
        origin: "underlay",
        vrf,
        network: ip,
        length,
        value,
      });
      this.routes.set("underlay", vrf, ip, length, value);
    }
  }

  /** It has gone. */
  unguardVtep(inventory: Inventory, remote: string): void {
    for (const { vrf, ip } of guardsOf(inventory, remote)) {
      this.installed.delete(wantedKey("underlay", vrf, ip, bitsOf(ip)));
      this.routes.clear("underlay", vrf, ip, bitsOf(ip));
    }
  }

  private want(origin: RouteOrigin, vrf: number, network: Ip, length: number, value: number): void {
    this.wanted.set(wantedKey(origin, vrf, network, length), { origin, vrf, network, length, value });
  }
}

function wantedKey(origin: RouteOrigin, vrf: number, network: Ip, length: number): string {
  return `${origin} ${vrf} ${network} ${length}`;
}

/** What workers route by: link-local addresses are in every subnet, and in no table. */
function routedSubnetsOf(iface: InterfaceObject): Subnet[] {
  return iface.subnets.filter(({ address }) => typeof address === "number" || !isLinkLocal6(address));
}

/**
 * Addresses of a subnet that no host has: IPv4's network and directed broadcast address (none in /31 and /32), IPv6's anycast
 * address of all routers (RFC 4291 §2.6.1; none in /127 and /128).
 */
function endsOf(network: Ip, length: number): Ip[] {
  if (typeof network === "bigint") return length < 127 ? [network] : [];
  return length > 30 ? [] : [network, network | ~maskOf(length)];
}

/** A VTEP's address; the plan has checked it. */
function vtepOf(text: string): Ip {
  return parseIpv4(text) ?? parseIpv6(text)!;
}

/** Where VTEP `remote` is guarded. */
function guardsOf({ interfaces }: Inventory, remote: string): { readonly vrf: number; readonly ip: Ip }[] {
  const ip = vtepOf(remote);
  return [...new Set([...interfaces.values()].map(({ vrf }) => vrf))].map((vrf) => ({ vrf, ip }));
}

/** Most routes of `family` that `ConnectedRoutes` can want for `config`, and `otherTunnels` that it does not name. */
export function countConnected(config: Config, otherTunnels = 0, family: 4 | 6 = 4): number {
  const vrfs = new Set(config.interfaces.map((iface) => iface.vrf)).size;
  const vteps = config.underlay.family === family ? config.tunnels.length + otherTunnels + 1 : 0;
  const kind = family === 4 ? "number" : "bigint";
  let count = vteps * vrfs;
  for (const { addresses, icmpSource, icmpSource6 } of config.interfaces) {
    count += addresses.filter(({ ip }) => typeof ip === kind).length * 4;
    if ((family === 4 ? icmpSource : icmpSource6) !== null) count++;
  }
  return count;
}
