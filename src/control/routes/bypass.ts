/**
 * Next hops that are bypassed: a VM behind another distributed gateway as next hop of a policy or a static route.
 *
 * That gateway answers for its VM with its own MAC, as it should; but a packet that comes to its MAC it routes by
 * destination. So the firewall on the way sees nothing, and nothing is lost that anybody could notice. VXLAN has no field
 * that says "to this next hop", so the data plane cannot do it. What can be done is to say so, wherever the next hop is shown.
 *
 * It is no mistake where the next hop is an address of that gateway itself, which looks the same from here.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import { type InterfaceObject, type Inventory, type PortObject, subnetOf, type VsiObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Timers } from "../timers.ts";
import type { Policies } from "./policies.ts";
import type { StaticRoutes } from "./static.ts";

const LOOK_MS = 1000;

export interface BypassParts {
  readonly inventory: Inventory;
  readonly neighbors: {
    /** Where packets to `ip` go; null while that is not known. */
    placeOf(
      iface: InterfaceObject,
      ip: Ip,
    ): { readonly mac: Mac; readonly port: PortObject; readonly vsi: VsiObject } | null;
  };
  readonly peers: {
    /** Is `mac` that of a gateway behind `tunnel`, which stands for host `ip`? */
    isGateway(vsi: VsiObject, tunnel: PortObject, mac: Mac, ip: Ip): boolean;
  };
  readonly policies: Policies;
  readonly staticRoutes: StaticRoutes;
  readonly timers: Timers;
  readonly emit: Emit;
}

/** A next hop that does not see its packets. */
export interface BypassedHop {
  /** "policy p, rule 1", or "route 0.0.0.0/0". */
  readonly of: string;
  readonly ip: string;
  readonly interface: string;
  readonly tunnel: PortObject;
}

export class Bypasses {
  private readonly parts: BypassParts;
  private told = new Set<string>();

  constructor(parts: BypassParts) {
    this.parts = parts;
    parts.timers.every(LOOK_MS, () => this.tellNew());
  }

  /** The tunnel whose gateway answers for next hop `ip` with its own MAC; null: it is reached, or not known. */
  tunnelOf(vrf: string, ip: Ip): PortObject | null {
    const iface = this.homeOf(vrf, ip);
    return iface === undefined ? null : this.tunnelOn(iface, ip);
  }

  private tunnelOn(iface: InterfaceObject, ip: Ip): PortObject | null {
    const place = this.parts.neighbors.placeOf(iface, ip);
    if (place === null) return null;
    const { port, vsi, mac } = place;
    return port.kind === "tunnel" && this.parts.peers.isGateway(vsi, port, mac, ip) ? port : null;
  }

  /** Next hops that are meant behind a tunnel are what answers there: several gateways have the address. */
  list(): BypassedHop[] {
    const { policies, staticRoutes, inventory } = this.parts;
    const all: BypassedHop[] = [];
    const add = (of: string, iface: InterfaceObject | undefined, ip: Ip) => {
      const tunnel = iface === undefined ? null : this.tunnelOn(iface, ip);
      if (tunnel !== null) all.push({ of, ip: formatIp(ip), interface: iface!.name, tunnel });
    };
    for (const { name, interfaces, rules } of policies.list()) {
      const vrfs = new Set(interfaces.map((each) => inventory.interface(each)!.vrfName));
      for (const [i, { rule }] of rules.entries())
        if ("nextHops" in rule.action)
          for (const vrf of vrfs)
            for (const { ip, tunnel } of rule.action.nextHops)
              if (tunnel === null) add(`policy ${name}, rule ${i + 1}`, this.homeOf(vrf, ip), ip);
    }
    for (const { prefix, hops } of staticRoutes.hops())
      for (const { iface, address } of hops)
        if (address.tunnel === null) add(`route ${prefix.text}`, iface, address.ip);
    return all;
  }

  private homeOf(vrf: string, ip: Ip): InterfaceObject | undefined {
    for (const iface of this.parts.inventory.interfaces.values())
      if (iface.vrfName === vrf && subnetOf(iface, ip) !== null) return iface;
    return undefined;
  }

  private tellNew(): void {
    const now = new Set<string>();
    for (const { of, ip, interface: iface, tunnel } of this.list()) {
      const key = `${of} ${ip} ${tunnel.name}`;
      now.add(key);
      if (this.told.has(key)) continue;
      const why = "the gateway there answers for it, and routes by destination";
      this.parts.emit("warn", "next-hop.bypassed", { of, nextHop: ip, interface: iface, tunnel: tunnel.name, why });
    }
    this.told = now;
  }
}
