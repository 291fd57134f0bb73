/**
 * Neighbour discovery (RFC 4861) at the CPU port: which of its messages control is to see, whatever MAC they go to.
 *
 * A host asks its gateway for a proxied address by unicast, to our MAC and to an IPv6 address that is not ours: what is found here is
 * never routed. Behind extension headers, which hosts look through, it is looked for as well, so that none is bridged that control
 * would have kept; a fragment of a message is none that a host would take (RFC 6980). What hides in its headers whether it is one, and has
 * the hop limit without which it is none (RFC 4861 §11.2), goes no further (RFC 7113 §3).
 *
 * What is of the link alone (fe80::/10) is bridged, at the hosts' own MACs: a router must not forward it (RFC 4291 §2.5.6), so an
 * answer of ours would draw packets that we then had to drop. But for our own link-local address, and for what another gateway asks;
 * and where hosts are isolated (isolation.ts).
 */
import { DROP, PUNT } from "../tables/counters.ts";
import { VSI_ISOLATE, VSI_LOCAL_PROXY, VSI_RA, VSI_SUPPRESS } from "../tables/vsi.ts";
import { i32 } from "../wire/bytes.ts";
import { ETH_BYTES, isGroupHi } from "../wire/ethernet.ts";
import {
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_SOLICITATION,
} from "../wire/icmp6.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { IP6_HOPS, IP6_NEXT, IP6_SRC, IPV6_BYTES, PROTO_ICMP6, UNDETERMINED, upperLayer } from "../wire/ipv6.ts";
import { ND_HOP_LIMIT, ND_TARGET } from "../wire/nd.ts";
import type { WorkerContext } from "./context.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { isApart, isIsolated } from "./isolation.ts";
import { isLinkLocal, isOwnLinkLocal } from "./link-local.ts";
import { isOwnClaim6 } from "./own-claim.ts";
import { punt, puntCopy } from "./punt.ts";
import { isToGateway } from "./to-gateway.ts";

/** No honest message is longer: its options cost control time, each of them. */
const MOST_BYTES = 1500;

/** An IPv6 frame in a VSI whose neighbour discovery is control's. */
export function discovery(worker: WorkerContext, f: Frame): Fate {
  const l4 = discoveryAt(f);
  if (l4 === 0) return isIsolated(worker, f) ? DROP.link_isolated : GO_ON;
  if (l4 === UNDETERMINED) return DROP.nd_undetermined;
  if (f.length > ETH_BYTES + MOST_BYTES) return DROP.nd_malformed;
  const type = f.bytes[l4]!;
  if (type === ICMP6_NEIGHBOR_SOLICITATION || type === ICMP6_NEIGHBOR_ADVERTISEMENT) return ofHost(worker, f, l4, type);
  const isAnswered = (worker.vsis.flags[f.vsi]! & VSI_RA) !== 0;
  if (isAnswered && type === ICMP6_ROUTER_SOLICITATION && (isGroupHi(f.dstHi) || isToGateway(worker, f)))
    return punt(worker, f, PUNT.nd, 0, 0);
  if (isAnswered && type !== ICMP6_ROUTER_SOLICITATION && f.fromTunnel !== 0) return DROP.nd_ra_guard;
  return isIsolated(worker, f) ? DROP.link_isolated : GO_ON;
}

function ofHost(worker: WorkerContext, f: Frame, l4: number, type: number): Fate {
  const flags = worker.vsis.flags[f.vsi]!;
  if (isOwnClaim6(worker, f, l4, type)) return punt(worker, f, PUNT.nd, 0, 0);
  if (!isGroupHi(f.dstHi)) {
    if (isToGateway(worker, f)) return punt(worker, f, PUNT.nd, 0, 0);
    if (isIsolated(worker, f) || isApart(worker, f)) return DROP.link_isolated;
    // To a third MAC: bridged. With suppression control may learn from it all the same.
    if ((flags & VSI_SUPPRESS) !== 0) puntCopy(worker, f, PUNT.nd);
    return GO_ON;
  }
  const isLink = isOfLink(worker, f, l4);
  if ((flags & VSI_ISOLATE) !== 0 && isLink)
    return type === ICMP6_NEIGHBOR_ADVERTISEMENT ? punt(worker, f, PUNT.nd, 0, 0) : DROP.link_isolated;
  // Our own link-local address is asked for: control answers, and no host of the link needs to hear it.
  if ((flags & VSI_ISOLATE) !== 0 && type === ICMP6_NEIGHBOR_SOLICITATION && isOwnTarget(worker, f, l4))
    return punt(worker, f, PUNT.nd, 0, 0);
  if ((flags & VSI_LOCAL_PROXY) !== 0) {
    if (!isLink) return punt(worker, f, PUNT.nd, 0, 0);
    // It may be somebody's next hop that is elsewhere now.
    if (type === ICMP6_NEIGHBOR_ADVERTISEMENT) puntCopy(worker, f, PUNT.nd);
    return GO_ON;
  }
  if ((flags & VSI_SUPPRESS) !== 0 && type === ICMP6_NEIGHBOR_SOLICITATION) return punt(worker, f, PUNT.nd, 0, 0);
  puntCopy(worker, f, PUNT.nd);
  return GO_ON;
}

/** Is it a link-local address that is spoken of, and neither it nor the speaker is ours? Who speaks with ours at an AC lies. */
function isOfLink(worker: WorkerContext, f: Frame, l4: number): boolean {
  const { bytes } = f;
  const target = l4 + ND_TARGET;
  if (target + 16 > f.end || !isLinkLocal(i32(bytes, target)) || isOwnTarget(worker, f, l4)) return false;
  if (f.fromTunnel === 0) return true;
  return !isOwnLinkLocal(worker, f, f.at + ETH_BYTES + IP6_SRC, worker.vsis.interface[f.vsi]!);
}

/** Is it our own link-local address that is spoken of? */
function isOwnTarget(worker: WorkerContext, f: Frame, l4: number): boolean {
  const target = l4 + ND_TARGET;
  return target + 16 <= f.end && isOwnLinkLocal(worker, f, target, worker.vsis.interface[f.vsi]!);
}

/** Where the message of neighbour discovery in the IPv6 frame in hand begins; 0: it is none; UNDETERMINED: that is hidden. */
function discoveryAt(f: Frame): number {
  const l3 = f.at + ETH_BYTES;
  const { bytes, end } = f;
  if (l3 + IPV6_BYTES > end) return 0;
  const next = bytes[l3 + IP6_NEXT]!;
  if (next === PROTO_TCP || next === PROTO_UDP) return 0;
  let l4 = l3 + IPV6_BYTES;
  if (next !== PROTO_ICMP6) {
    const upper = upperLayer(bytes, l3, end);
    if (upper === UNDETERMINED) return hidden(bytes, l3);
    if (upper < 0 || (upper & 0xff) !== PROTO_ICMP6) return 0;
    l4 = upper >> 8;
  }
  if (l4 >= end) return hidden(bytes, l3);
  const type = bytes[l4]!;
  return type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT ? l4 : 0;
}

function hidden(bytes: Uint8Array, l3: number): number {
  return bytes[l3 + IP6_HOPS] === ND_HOP_LIMIT ? UNDETERMINED : 0;
}
