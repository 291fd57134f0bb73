/**
 * RA guard (RFC 6105, RFC 7113): router advertisements and redirects from an AC whose hosts are no routers.
 *
 * One advertisement from one VM makes it the default router of every VM of all sites, for IPv6 is bridged. Each gateway guards its
 * own ACs (PORT_RA_GUARD); what comes by a tunnel has passed the guard of the gateway there.
 *
 * Nearly all IPv6 has a header here that decides at once. Behind extension headers the message is looked for as far as its first
 * fragment tells; a packet that hides its end there, and that hosts would take for a message of the link (RFC 4861 §6.1.2:
 * link-local source, hop limit 255), goes no further. A later fragment passes: without its first one it is nothing.
 * Tags, one in the other, are no disguise either: hosts may take them off. Nor is LLC and SNAP, in which no honest host sends IPv6 (RFC 2464 §3).
 */
import { DROP } from "../tables/counters.ts";
import { PORT_RA_GUARD } from "../tables/vsi.ts";
import { i32, u16 } from "../wire/bytes.ts";
import {
  ETH_BYTES,
  LEAST_TYPE,
  snapType,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_QINQ,
  TYPE_VLAN,
  VLAN_TAG_BYTES,
} from "../wire/ethernet.ts";
import { ICMP6_REDIRECT, ICMP6_ROUTER_ADVERTISEMENT } from "../wire/icmp6.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { IP6_HOPS, IP6_NEXT, IP6_SRC, IPV6_BYTES, PROTO_ICMP6, UNDETERMINED, upperLayer } from "../wire/ipv6.ts";
import type { WorkerContext } from "./context.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { isLinkLocal } from "./link-local.ts";

/** Tags that are looked through. */
const MAX_TAGS = 4;

/** IPv6 from an AC: does it speak as a router where there must be none? */
export function raGuard(worker: WorkerContext, f: Frame): Fate {
  if (f.type === TYPE_IPV4) return GO_ON;
  if (f.fromTunnel !== 0 || (worker.ports.flags[f.port]! & PORT_RA_GUARD) === 0) return GO_ON;
  const { bytes, end } = f;
  let l3 = f.at + ETH_BYTES;
  let type = f.type;
  for (let n = 0; type === TYPE_VLAN || type === TYPE_QINQ; n++) {
    if (l3 + VLAN_TAG_BYTES > end) return GO_ON;
    if (n === MAX_TAGS) return DROP.nd_undetermined;
    type = u16(bytes, l3 + 2);
    l3 += VLAN_TAG_BYTES;
  }
  if (type < LEAST_TYPE && isHiding(snapType(bytes, l3, end))) return DROP.nd_undetermined;
  return type === TYPE_IPV6 && l3 + IPV6_BYTES <= end ? ofRouter(bytes, l3, end) : GO_ON;
}

function isHiding(type: number): boolean {
  return type === TYPE_IPV6 || type === TYPE_VLAN || type === TYPE_QINQ;
}

function ofRouter(bytes: Uint8Array, l3: number, end: number): Fate {
  const next = bytes[l3 + IP6_NEXT]!;
  if (next === PROTO_TCP || next === PROTO_UDP) return GO_ON;
  const upper = upperLayer(bytes, l3, end);
  const isCut = upper === UNDETERMINED || ((upper & 0xff) === PROTO_ICMP6 && upper >> 8 >= end);
  if (isCut) return isOfLink(bytes, l3) ? DROP.nd_undetermined : GO_ON;
  if (upper < 0 || (upper & 0xff) !== PROTO_ICMP6) return GO_ON;
  const type = bytes[upper >> 8]!;
  return type === ICMP6_ROUTER_ADVERTISEMENT || type === ICMP6_REDIRECT ? DROP.nd_ra_guard : GO_ON;
}

/** Would a host take it for a message of its link? */
function isOfLink(bytes: Uint8Array, l3: number): boolean {
  return bytes[l3 + IP6_HOPS] === 255 && isLinkLocal(i32(bytes, l3 + IP6_SRC));
}
