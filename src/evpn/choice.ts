/**
 * Which of several routes about one MAC, or one IP, is used (RFC 7432 §15): one that stands before an orphan, a sticky one before others, then the highest
 * sequence, then the lowest VTEP address. What was configured first or heard first never matters, so all gateways choose alike.
 *
 * Prefixes are chosen as BGP does it: by LOCAL_PREF. It says nothing of where a host is: §15 has no place for it before the address,
 * by which two gateways with one host, each from its own side, find the one that yields.
 */
import { parseIpv4 } from "../wire/ipv4.ts";
import { type MacRoute, sequenceOf } from "./route.ts";

/** Who says that it has a host, and how firmly. */
export interface Claim {
  readonly sequence: number;
  readonly isSticky: boolean;
  readonly vtep: string;
  readonly isOrphan?: boolean;
}

export function claimOf(route: MacRoute): Claim {
  return {
    sequence: sequenceOf(route),
    isSticky: route.isSticky,
    vtep: route.nextHop,
    isOrphan: route.isOrphan ?? false,
  };
}

/** Does `a` win against `b`? */
export function beats(a: Claim, b: Claim): boolean {
  if ((a.isOrphan ?? false) !== (b.isOrphan ?? false)) return b.isOrphan ?? false;
  if (a.isSticky !== b.isSticky) return a.isSticky;
  if (a.sequence !== b.sequence) return a.sequence > b.sequence;
  return compareVteps(a.vtep, b.vtep) < 0;
}

/** The route that is used; of several from one VTEP with the same claim, that of the lowest MAC. */
export function bestOf(routes: readonly MacRoute[]): MacRoute | null {
  let best = routes[0] ?? null;
  for (let n = 1; n < routes.length; n++) if (isBetter(routes[n]!, best!)) best = routes[n]!;
  return best;
}

function isBetter(a: MacRoute, b: MacRoute): boolean {
  const [of, than] = [claimOf(a), claimOf(b)];
  return beats(of, than) || (a.mac < b.mac && !beats(than, of));
}

/** By address, as numbers; IPv6 behind IPv4. */
export function compareVteps(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [parseIpv4(a), parseIpv4(b)];
  if (left !== null && right !== null) return (left >>> 0) - (right >>> 0);
  if (left !== null) return -1;
  if (right !== null) return 1;
  return a < b ? -1 : 1;
}
