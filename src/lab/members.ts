/** Who is in a lab of a mode: the article's network, the EVPN fabric, or the two Borders. */
import * as borders from "./borders/plan.ts";
import { HOSTS, LEAF, OURS, OUTSIDE, REFLECTORS, ROAMER, ROUTED } from "./evpn/fabric.ts";
import { MACHINES, type Machine, type Mode, VTEPS, type Vtep } from "./topology.ts";

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
