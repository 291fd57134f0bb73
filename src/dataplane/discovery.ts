/**
 * Neighbour discovery (RFC 4861): the messages that control is to see, whatever MAC they go to.
 *
 * A host asks its gateway for a proxied address by unicast, to our MAC and to an IPv6 address that is not ours: what is found here is
 * never routed. Behind extension headers, which hosts look through, it is looked for as well; a fragment of a message is none that a
 * host would take (RFC 6980).
 */
import { ETH_BYTES } from "../wire/ethernet.ts";
import { ICMP6_REDIRECT, ICMP6_ROUTER_SOLICITATION } from "../wire/icmp6.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { IP6_NEXT, IPV6_BYTES, PROTO_ICMP6, upperLayer } from "../wire/ipv6.ts";
import type { Frame } from "./frame.ts";

/** Is the IPv6 frame in hand a message of neighbour discovery? */
export function isDiscovery(f: Frame): boolean {
  const l3 = f.at + ETH_BYTES;
  const { bytes, end } = f;
  if (l3 + IPV6_BYTES > end) return false;
  const next = bytes[l3 + IP6_NEXT]!;
  if (next === PROTO_TCP || next === PROTO_UDP) return false;
  const upper = next === PROTO_ICMP6 ? ((l3 + IPV6_BYTES) << 8) | PROTO_ICMP6 : upperLayer(bytes, l3, end);
  if (upper < 0 || (upper & 0xff) !== PROTO_ICMP6 || upper >> 8 >= end) return false;
  const type = bytes[upper >> 8]!;
  return type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT;
}
