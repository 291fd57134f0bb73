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
import { type Ipv4, maskOf, parseIpv4 } from "../../wire/ipv4.ts";
import { type Inventory, ipv4SubnetsOf } from "../inventory.ts";
import type { Config } from "../plan.ts";
import { type RouteOrigin, type Routes, routeValue } from "./routes.ts";

interface Wanted {
  readonly origin: RouteOrigin;
  readonly vrf: number;
  readonly network: Ipv4;
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
      const subnets = ipv4SubnetsOf(iface);
      const own = subnets.map(({ address }) => address);
      if (iface.config.icmpSource !== null) own.push(iface.config.icmpSource.ip);
      for (const ip of own) this.want("own", iface.vrf, ip, 32, routeValue(ROUTE_LOCAL, iface.row));
      for (const { network, length } of subnets) {
        if (length < 32) this.want("connected", iface.vrf, network, length, routeValue(ROUTE_GLEAN, iface.row));
        if (length > 30) continue;
        this.want("broadcast", iface.vrf, network, 32, routeValue(ROUTE_BROADCAST, 0));
        this.want("broadcast", iface.vrf, network | ~maskOf(length), 32, routeValue(ROUTE_BROADCAST, 0));
      }
    }
    for (const text of [config.underlay.address, ...inventory.tunnels().map((tunnel) => tunnel.config.remote)]) {
      const ip = parseIpv4(text);
      if (ip === null) continue;
      for (const vrf of vrfs) this.want("underlay", vrf, ip, 32, routeValue(ROUTE_UNDERLAY, 0));
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
      this.installed.set(wantedKey("underlay", vrf, ip, 32), {
        origin: "underlay",
        vrf,
        network: ip,
        length: 32,
        value,
      });
      this.routes.set("underlay", vrf, ip, 32, value);
    }
  }

  /** It has gone. */
  unguardVtep(inventory: Inventory, remote: string): void {
    for (const { vrf, ip } of guardsOf(inventory, remote)) {
      this.installed.delete(wantedKey("underlay", vrf, ip, 32));
      this.routes.clear("underlay", vrf, ip, 32);
    }
  }

  private want(origin: RouteOrigin, vrf: number, network: Ipv4, length: number, value: number): void {
    this.wanted.set(wantedKey(origin, vrf, network, length), { origin, vrf, network, length, value });
  }
}

function wantedKey(origin: RouteOrigin, vrf: number, network: Ipv4, length: number): string {
  return `${origin} ${vrf} ${network} ${length}`;
}

/** Where VTEP `remote` is guarded; an IPv6 address is in no table of IPv4 routes. */
function guardsOf({ interfaces }: Inventory, remote: string): { readonly vrf: number; readonly ip: Ipv4 }[] {
  const ip = parseIpv4(remote);
  if (ip === null) return [];
  return [...new Set([...interfaces.values()].map(({ vrf }) => vrf))].map((vrf) => ({ vrf, ip }));
}

/** Most routes that `ConnectedRoutes` can want for `config`, and `otherTunnels` that it does not name. */
export function countConnected(config: Config, otherTunnels = 0): number {
  const vrfs = new Set(config.interfaces.map((iface) => iface.vrf)).size;
  const vteps = config.underlay.family === 4 ? config.tunnels.length + otherTunnels + 1 : 0;
  let count = vteps * vrfs;
  for (const iface of config.interfaces) count += iface.addresses.length * 4 + (iface.icmpSource === null ? 0 : 1);
  return count;
}
