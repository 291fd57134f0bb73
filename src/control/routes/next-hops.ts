/**
 * What routes and policies need of the neighbour table: a number for a next hop, before, while and after it is resolved.
 *
 * Two classes implement it: control/neighbor/table.ts, and the tests' own.
 */
import { type InterfaceObject, type Inventory, subnetOf } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Address, NextHopConfig, RouteConfig } from "../plan.ts";

export interface NextHops {
  /**
   * The adjacency of (VSI-interface, IP), kept resolved until it is released as often as it was held. 0: no room.
   * @param behind the tunnel behind which the address is meant, for several gateways have it; null: wherever it is.
   */
  hold(iface: InterfaceObject, ip: Ip, behind?: string | null): number;
  release(adjacency: number): void;
  isAlive(adjacency: number): boolean;
  /** Be told when a held next hop is resolved or lost. */
  onChange(callback: (adjacency: number, alive: boolean) => void): void;
}

/** Finds the VSI-interfaces of next hops; made for one round of questions, between which nothing changes. */
export class Homes {
  private readonly ofVrf = new Map<string, InterfaceObject[]>();
  private readonly found = new Map<string, InterfaceObject>();

  constructor(inventory: Inventory) {
    for (const iface of inventory.interfaces.values()) {
      const others = this.ofVrf.get(iface.vrfName);
      if (others === undefined) this.ofVrf.set(iface.vrfName, [iface]);
      else others.push(iface);
    }
  }

  /** The VSI-interface of `vrf` whose subnet contains `hop`, or that it names: subnets of a VRF never overlap, and the plan promises one. */
  of(vrf: string, hop: Address): InterfaceObject {
    const key = `${vrf} ${hop.text}`;
    const home = this.found.get(key) ?? this.ofVrf.get(vrf)?.find((iface) => isHome(iface, hop));
    if (home === undefined)
      throw new Error(`next hop ${hop.text}: in no subnet of VRF ${vrf}, although the plan was checked`);
    this.found.set(key, home);
    return home;
  }
}

/** A link-local address is in the subnet of every VSI-interface, so it says which one is meant. */
function isHome(iface: InterfaceObject, { text, ip }: Address): boolean {
  const zone = text.indexOf("%");
  return zone < 0 ? subnetOf(iface, ip) !== null : text.slice(zone + 1) === iface.name;
}

/** The next hops of a route, and the VRF that they are in. */
export function hopsOf({ vrf, target }: RouteConfig): {
  readonly vrf: string;
  readonly nextHops: readonly NextHopConfig[];
} {
  if (target.kind === "vrf") return target;
  return { vrf, nextHops: target.kind === "nextHops" ? target.nextHops : [] };
}

/** What tells a next hop from the others of a set: the same text on each gateway that calls its tunnels alike. */
export function nameOf({ text, tunnel }: NextHopConfig): string {
  return tunnel === null ? text : `${text} ${tunnel}`;
}

/** Hold a next hop. Room was checked before anything was changed, so a refusal is a mistake of ours. */
export function mustHold(nextHops: NextHops, iface: InterfaceObject, ip: Ip, behind: string | null = null): number {
  const adjacency = nextHops.hold(iface, ip, behind);
  if (adjacency === 0)
    throw new Error(`no adjacency left for a next hop on ${iface.name}, although the plan was checked`);
  return adjacency;
}
