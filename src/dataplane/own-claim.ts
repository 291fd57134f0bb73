/**
 * Does an AC speak for the gateway? What claims one of the addresses of its VSI-interface is control's (resolution/defence.ts), whatever
 * MAC it goes to.
 *
 * A claim to a group comes to control anyway. One in a frame to another host's MAC, or in a solicitation of a link-local address, which
 * is bridged, would be heard by that host alone, and believed: RFC 826 and RFC 4861 §7.2.3 have it learn from whatever comes.
 */
import {
  HOST_LENGTH,
  HOST_LENGTH6,
  ROUTE_ARG_MASK,
  ROUTE_KIND_SHIFT,
  ROUTE_LOCAL,
  routeKey,
  routeKey6,
} from "../tables/fib.ts";
import { ARP_BYTES, ARP_SENDER_IP } from "../wire/arp.ts";
import { ETH_BYTES } from "../wire/ethernet.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT } from "../wire/icmp6.ts";
import { IP6_SRC } from "../wire/ipv6.ts";
import { ND_TARGET } from "../wire/nd.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";
import { isOwnLinkLocal } from "./link-local.ts";

/** The ARP message in hand. */
export function isOwnClaim(worker: WorkerContext, f: Frame): boolean {
  if (f.fromTunnel !== 0 || f.head < ETH_BYTES + ARP_BYTES) return false;
  const iface = worker.vsis.interface[f.vsi]!;
  const sender = f.view.getInt32(f.at + ETH_BYTES + ARP_SENDER_IP);
  const found = worker.fib.routes.get(sender, routeKey(worker.interfaces.vrf[iface]!, HOST_LENGTH));
  return isLocal(found, iface);
}

/** The solicitation or advertisement of `type` at `l4`. */
export function isOwnClaim6(worker: WorkerContext, f: Frame, l4: number, type: number): boolean {
  if (f.fromTunnel !== 0) return false;
  const at = type === ICMP6_NEIGHBOR_ADVERTISEMENT ? l4 + ND_TARGET : f.at + ETH_BYTES + IP6_SRC;
  if (at + 16 > f.end) return false;
  const iface = worker.vsis.interface[f.vsi]!;
  if (isOwnLinkLocal(worker, f, at, iface)) return true;
  const { view } = f;
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  const d = view.getInt32(at + 12);
  return isLocal(worker.fib.routes6.get(a, b, c, d, routeKey6(worker.interfaces.vrf[iface]!, HOST_LENGTH6)), iface);
}

/** Is it the route of an address of `iface`? */
function isLocal(found: number, iface: number): boolean {
  return iface !== 0 && found >> ROUTE_KIND_SHIFT === ROUTE_LOCAL && (found & ROUTE_ARG_MASK) === iface;
}
