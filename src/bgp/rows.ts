/** Paths of gobgpd as rows, and rows as it wants them back. */
import { type EvpnRoute, keyOf } from "../evpn/route.ts";
import { parseIpv4 } from "../wire/ipv4.ts";
import type { Calls } from "./calls.ts";
import { routeOf } from "./codec.ts";
import type { Fields } from "./dialect.ts";
import type { RouteRow } from "./engine.ts";

/**
 * A route as its withdrawal names it. gobgpd compares the sequence of whatever it is given with the highest it knows of that MAC, and
 * refuses a lower one: a host that has moved away could never be withdrawn.
 */
export function withoutMobility(route: EvpnRoute): EvpnRoute {
  return route.type === 2 ? { ...route, sequence: null, isSticky: false } : route;
}

/** null: it is none. */
export function rowOf(path: Fields, { dialect }: Calls): RouteRow | null {
  const route = routeOf(path, dialect);
  if (route === null) return null;
  const from = String(path.neighborIp ?? "");
  const isPeer = parseIpv4(from) !== null ? from !== "0.0.0.0" : /^[0-9a-f:]*:[0-9a-f:]+$/i.test(from) && from !== "::";
  return { key: keyOf(route), route, isWithdrawn: path.isWithdraw === true, peer: isPeer ? from : null };
}
