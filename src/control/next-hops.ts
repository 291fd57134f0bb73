/**
 * What routes and policies need of the neighbour table: a number for a next hop, before, while and after it is resolved.
 *
 * Two classes implement it: neighbor.ts, and the tests' own.
 */
import type { Ipv4 } from "../wire/ipv4.ts";
import { type InterfaceObject, type Inventory, subnetOf } from "./inventory.ts";

export interface NextHops {
  /** The adjacency of (VSI-interface, IP), kept resolved until it is released as often as it was held. 0: no room. */
  hold(on: InterfaceObject, ip: Ipv4): number;
  release(adjacency: number): void;
  isAlive(adjacency: number): boolean;
  /** Be told when a held next hop is resolved or lost. */
  onChange(callback: (adjacency: number, alive: boolean) => void): void;
}

/** The VSI-interface of `vrf` whose subnet contains `ip`. Subnets of a VRF never overlap, so there is one at most. */
export function homeOf(inventory: Inventory, vrf: string, ip: Ipv4): InterfaceObject | null {
  for (const on of inventory.interfaces.values()) if (on.vrfName === vrf && subnetOf(on, ip) !== null) return on;
  return null;
}

/** Hold a next hop. Room was checked before anything was changed, so a refusal is a mistake of ours. */
export function mustHold(nextHops: NextHops, on: InterfaceObject, ip: Ipv4): number {
  const adjacency = nextHops.hold(on, ip);
  if (adjacency === 0) throw new Error(`no adjacency left for a next hop on ${on.name}, although the plan was checked`);
  return adjacency;
}
