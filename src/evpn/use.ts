/** What a route becomes: whose it is, behind which VTEP, and what of it is refused. */
import { parseIpv4 } from "../wire/ipv4.ts";
import type { Beliefs } from "./beliefs.ts";
import { concerns, floodVtepOf, type Importer, type Instance, type Refusal, refusalOf } from "./import.ts";
import type { VrfRoute } from "./ip-vrf.ts";
import type { EvpnRoute, MacRoute } from "./route.ts";

/** One place where a route is entered, as far as it is used there. */
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

export interface Judge {
  readonly importer: Importer;
  readonly vtep: string;
  readonly beliefs: Pick<Beliefs, "isGatewayMac" | "kindOf">;
}

/** Decide about one route. A VSI may use of it what a VRF refuses, and the other way round: the last refusal is told. */
export function useOf(route: EvpnRoute, judge: Judge): Use {
  const entered: Entered[] = [];
  let refused: Refusal | null = null;
  for (const instance of judge.importer.instancesOf(route.targets)) {
    if (!concerns(route, instance)) continue;
    const vtep = route.type === 3 ? floodVtepOf(route) : route.nextHop;
    const wrong = vtep === judge.vtep ? "next_hop" : refusalOf(route, instance);
    if (wrong !== null) refused = wrong;
    else if (route.type !== 2 || instance.vrf !== null) entered.push({ instance, vtep, asIs: route });
    else if (judge.beliefs.isGatewayMac(instance.vsi, route.mac)) refused = "gateway_mac";
    else {
      const bad = route.isGateway ? null : badAddress(judge, instance.vsi, route);
      if (bad !== null) refused = bad;
      entered.push({ instance, vtep, asIs: bad === null ? route : { ...route, ip: null } });
    }
  }
  return { entered, refused };
}

/** What is wrong with the address of a host's route; its MAC is used all the same. */
function badAddress({ beliefs }: Judge, vsi: string, { ip: text }: MacRoute): Refusal | null {
  const ip = text === null ? null : parseIpv4(text);
  if (ip === null) return null;
  const kind = beliefs.kindOf(vsi, ip);
  return kind === "gateway" ? "address" : kind === "foreign" ? "foreign_subnet" : null;
}

/** Nothing follows from looking at it again: the VSIs, the VTEPs and the route itself are the same. */
export function isSameUse(a: Use, b: Use): boolean {
  if (a.refused !== b.refused || a.entered.length !== b.entered.length) return false;
  return a.entered.every(({ instance, vtep, asIs }, n) => {
    const other = b.entered[n]!;
    return instance === other.instance && vtep === other.vtep && asIs === other.asIs;
  });
}

/** Is it one that becomes an entry, beside the tunnel that it needs? */
export function isEntry(route: EvpnRoute): route is VrfRoute {
  return route.type === 2 || route.type === 5;
}

export function isGateway(route: VrfRoute): route is MacRoute & { readonly isGateway: true } {
  return route.type === 2 && route.isGateway;
}
