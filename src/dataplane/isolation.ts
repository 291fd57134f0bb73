/**
 * Isolation of hosts from each other on their link (`vsis[].linkLocal: isolate`).
 *
 * Hosts reach each other's addresses of the subnet by the gateway, which sees and may refuse; what is of the link alone is bridged past it
 * (RFC 4291 §2.5.6: no router forwards it). Here that is dropped: packets from or to fe80::/10, and to groups of the link (ff02::/16), mDNS,
 * MLD, and DHCPv6 that is not relayed among them. The gateway's own conversation passes: what is sent to its MAC, and what comes from its
 * link-local address by a tunnel, where the other gateways have it too; at an AC it is a host's lie. What is addressed to that address counts
 * by the MAC that it goes to: a frame reaches who has the MAC, whatever address it names.
 *
 * Where the gateway answers for all addresses (local proxy) no host learns another one's MAC from it, so what a host behind an AC solicits of
 * another one or advertises to it is dropped whatever address it is of: it would lead the other past the gateway, to the MAC that it tells.
 * By a tunnel other gateways ask for hosts, and what hosts say has passed the gateway there.
 */
import { VSI_ISOLATE, VSI_LOCAL_PROXY } from "../tables/vsi.ts";
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES } from "../wire/ethernet.ts";
import { IP6_DST, IP6_SRC, IPV6_BYTES } from "../wire/ipv6.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";
import { isLinkLocal, isOwnLinkLocal } from "./link-local.ts";
import { isToGateway } from "./to-gateway.ts";

/** ff02::/16, by its first half word: the scope of a link is 2 with whatever flags (RFC 4291 §2.7). */
const LINK_GROUP = 0xff02;
const LINK_GROUP_MASK = 0xff0f;
const APART = VSI_ISOLATE | VSI_LOCAL_PROXY;

/** Is the IPv6 frame one from host to host of the link, where those are isolated? */
export function isIsolated(worker: WorkerContext, f: Frame): boolean {
  if ((worker.vsis.flags[f.vsi]! & VSI_ISOLATE) === 0 || f.end < f.at + ETH_BYTES + IPV6_BYTES) return false;
  const from = f.at + ETH_BYTES + IP6_SRC;
  const to = f.at + ETH_BYTES + IP6_DST;
  const { bytes } = f;
  const isOfLink =
    isLinkLocal(i32(bytes, from)) || isLinkLocal(i32(bytes, to)) || (u16(bytes, to) & LINK_GROUP_MASK) === LINK_GROUP;
  if (!isOfLink || isToGateway(worker, f)) return false;
  return f.fromTunnel === 0 || !isOwnLinkLocal(worker, f, from, worker.vsis.interface[f.vsi]!);
}

/** Is the neighbour discovery in hand, to the MAC of a host, one that isolated hosts have no need of? */
export function isApart(worker: WorkerContext, f: Frame): boolean {
  return (worker.vsis.flags[f.vsi]! & APART) === APART && f.fromTunnel === 0;
}
