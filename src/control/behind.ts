/**
 * What is behind ports and shall be forgotten: all of it, or what is of VSIs that have lost a tunnel which stays.
 *
 * Many ports at once, for each table is looked through once: a reload takes hundreds of tunnels from a VSI.
 */
import type { Inventory, PortObject, VsiObject } from "./inventory.ts";

/** Tunnels, and the VSIs that each has left. */
export type LeftTunnels = ReadonlyMap<PortObject, ReadonlySet<VsiObject>>;

export interface Behind {
  readonly ports: readonly PortObject[];
  /** null: those that have lost nothing are behind it too. */
  readonly vsis: ReadonlySet<VsiObject> | null;
  /** It does not come back. */
  readonly isGone: boolean;
  has(port: PortObject, vsi: VsiObject): boolean;
}

export function behindPort(port: PortObject, { ports }: Inventory): Behind {
  return { ports: [port], vsis: null, isGone: ports.get(port.row) !== port, has: (other) => other === port };
}

export function behindLeft(left: LeftTunnels): Behind {
  const vsis = new Set([...left.values()].flatMap((each) => [...each]));
  return { ports: [...left.keys()], vsis, isGone: true, has: (port, vsi) => left.get(port)?.has(vsi) === true };
}
