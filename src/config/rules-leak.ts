/**
 * Rules between values, routes into another VRF: the VRF exists, and no packet goes round.
 *
 * The data plane looks up in one other VRF and no further, so nothing it does can loop. A file in which a look-up would end there
 * is refused all the same: its author expects the packet to arrive.
 */
import type { Prefix } from "../control/plan.ts";
import { prefixOf } from "./address.ts";
import type { Path } from "./json-schema.ts";
import { type Report, type Sections, suggest } from "./rules-l2.ts";
import type { Subnets } from "./subnets.ts";

type FileRoute = NonNullable<Sections["routes"]>[number];

/** Routes by VRF and prefix. */
export class RouteIndex {
  private readonly routes = new Map<string, FileRoute>();

  constructor(routes: readonly FileRoute[]) {
    for (const route of routes) this.routes.set(keyOf(route.vrf, route.prefix), route);
  }

  /** The longest one of `vrf` that has all of `prefix` in it. */
  around(vrf: string, { network, length }: Prefix): FileRoute | null {
    for (let shorter = length; shorter >= 0; shorter--) {
      const found = this.routes.get(keyOf(vrf, prefixOf(network, shorter)));
      if (found !== undefined) return found;
    }
    return null;
  }
}

function keyOf(vrf: string, { network, length }: Prefix): string {
  return `${vrf} ${typeof network} ${network}/${length}`;
}

interface Known {
  readonly all: RouteIndex;
  readonly subnets: Subnets;
  readonly vrfs: Sections["vrfs"];
}

/** Route `route`, which may have `viaVrf`. @returns whether its next hops can be looked for. */
export function checkLeak(path: Path, route: FileRoute, { all, subnets, vrfs }: Known, report: Report): boolean {
  const { vrf, viaVrf, prefix, action } = route;
  if (viaVrf === undefined) return true;
  const at = [...path, "viaVrf"];
  if (action !== undefined) {
    report(at, "route-target", `${action} leads to no VRF`, "remove viaVrf, or action", "key");
    return false;
  }
  if (viaVrf === vrf) {
    report(at, "same-vrf", `the route is in VRF ${vrf} itself`, "remove viaVrf, or name another VRF");
    return false;
  }
  const isKnown = subnets.hasVrf(viaVrf) || (vrfs?.some(({ name }) => name === viaVrf) ?? true);
  if (!isKnown) {
    const message = `no VSI-interface belongs to VRF ${viaVrf}`;
    report(at, "unknown-vrf", message, suggest(viaVrf, subnets.vrfNames(), "the VRFs of the interfaces"));
    return false;
  }
  if (route.nextHop !== undefined || route.nextHops !== undefined) return true;
  checkRound(at, { vrf, viaVrf, prefix }, all, subnets, report);
  return true;
}

interface Leak {
  readonly vrf: string;
  readonly viaVrf: string;
  readonly prefix: Prefix;
}

/** What does the other VRF say of the prefix as a whole? It must not lead to a VRF again. */
function checkRound(at: Path, { vrf, viaVrf, prefix }: Leak, all: RouteIndex, subnets: Subnets, report: Report): void {
  const further = all.around(viaVrf, prefix);
  if (further?.viaVrf === undefined || further.nextHop !== undefined || further.nextHops !== undefined) return;
  const connected = subnets.find(viaVrf, prefix.network)?.prefix;
  if (connected !== undefined && connected.length <= prefix.length && connected.length >= further.prefix.length) return;
  const where = `VRF ${viaVrf} sends ${further.prefix.text} on to VRF ${further.viaVrf}`;
  const fix = "route the subnets of each VRF into the other one, and no more";
  if (further.viaVrf === vrf) report(at, "vrf-loop", `${where}, and here it comes back`, fix);
  else report(at, "vrf-chain", `${where}, and a packet crosses once`, `write viaVrf: ${further.viaVrf}`);
}
