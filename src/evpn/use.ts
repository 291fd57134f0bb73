/** What a route has become here: the VSIs that it was entered in, with the VTEP that it leads to, and why it is not used as it is. */
import type { Instance, Refusal } from "./import.ts";
import type { EvpnRoute } from "./route.ts";

export interface Entered {
  readonly instance: Instance;
  readonly vtep: string;
  /** The route as it is used: without its address where that was refused. */
  readonly asIs: EvpnRoute;
}

export interface Use {
  readonly entered: readonly Entered[];
  readonly refused: Refusal | null;
}

/** Nothing follows from looking at it again: the VSIs, the VTEPs and the route itself are the same. */
export function isSameUse(a: Use, b: Use): boolean {
  if (a.refused !== b.refused || a.entered.length !== b.entered.length) return false;
  return a.entered.every(({ instance, vtep, asIs }, n) => {
    const other = b.entered[n]!;
    return instance === other.instance && vtep === other.vtep && asIs === other.asIs;
  });
}
