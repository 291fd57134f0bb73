/** Who is in a lab of a mode, and by which devices: the article's network, the EVPN fabric, or the two Borders. */
import * as borders from "./borders/plan.ts";
import { HOSTS, LEAF, OURS, OUTSIDE, REFLECTORS, ROAMER, ROAMER_PORTS, ROUTED } from "./evpn/fabric.ts";
import { MACHINE_DEVICE, MACHINES, type Machine, type Mode, UNDERLAY_DEVICE, VTEPS, type Vtep } from "./topology.ts";

export interface Members {
  /** Gateways of ours. */
  readonly gateways: readonly Vtep[];
  /** Nodes in the underlay that are none. */
  readonly others: readonly Vtep[];
  readonly machines: readonly Machine[];
}

export function membersOf(mode: Mode): Members {
  if (mode === "borders") return { gateways: borders.OURS, others: [], machines: [...borders.MACHINES, borders.FAR] };
  if (mode !== "evpn") return { gateways: VTEPS, others: [], machines: MACHINES };
  return { gateways: OURS, others: [LEAF, ...REFLECTORS], machines: [...HOSTS, ROUTED, OUTSIDE, ROAMER] };
}

/** A device where a node's frames pass. */
export interface Port {
  readonly device: string;
  /** Is what passes there VXLAN? */
  readonly isUnderlay: boolean;
}

/** Where to look at what a node sends and receives: a machine has one port, but for those that several gateways lead to. */
export function portsOf(mode: Mode, node: string): readonly Port[] {
  const { gateways, others } = membersOf(mode);
  const isUnderlay = [...gateways, ...others].some(({ name }) => name === node);
  return devicesOf(mode, node, isUnderlay).map((device) => ({ device, isUnderlay }));
}

function devicesOf(mode: Mode, node: string, isUnderlay: boolean): readonly string[] {
  if (isUnderlay) return [UNDERLAY_DEVICE];
  if (mode === "evpn" && node === ROAMER.name) return Object.values(ROAMER_PORTS);
  if (mode === "borders" && node === borders.FAR.name) return borders.FAR_PORTS;
  return [MACHINE_DEVICE];
}
