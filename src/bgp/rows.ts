/** Paths of gobgpd as rows, and rows as it wants them back. */
import { type EvpnRoute, type MacRoute, plainOf } from "../evpn/route.ts";
import { parseIpv4 } from "../wire/ipv4.ts";
import type { Calls } from "./calls.ts";
import { FAMILY_EVPN } from "./codec.ts";
import type { Fields } from "./dialect.ts";
import type { RouteRow } from "./engine.ts";

/**
 * A route as its withdrawal names it. gobgpd compares the sequence of whatever it is given with the highest it knows of that MAC, and
 * refuses a lower one: a host that has moved away could never be withdrawn.
 */
export function withoutMobility(route: EvpnRoute): EvpnRoute {
  return route.type === 2 ? { ...(plainOf(route) as MacRoute), sequence: null, isSticky: false } : route;
}

/** null: it is none, or cannot be read: what a peer sends and the engine passes on is nothing to end for. */
export function rowOf(path: Fields, { paths }: Calls): RouteRow | null {
  try {
    const route = paths.routeOf(path);
    return route === null ? null : { route, isWithdrawn: path.isWithdraw === true, peer: peerOf(path) };
  } catch {
    return null;
  }
}

/** Is it the mark of EVPN's end (RFC 4724 §2), which is a path of nothing? A session may have other families, whose paths tell nothing here. */
export function isMark({ nlri, family }: Fields): boolean {
  const { afi, safi } = (family ?? {}) as Fields;
  return afi === FAMILY_EVPN.afi && safi === FAMILY_EVPN.safi && ((nlri ?? "") as Uint8Array).length === 0;
}

function peerOf({ neighborIp }: Fields): string | null {
  const from = String(neighborIp ?? "");
  const isPeer = parseIpv4(from) !== null ? from !== "0.0.0.0" : /^[0-9a-f:]*:[0-9a-f:]+$/i.test(from) && from !== "::";
  return isPeer ? from : null;
}
