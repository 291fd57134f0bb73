/**
 * The way to the CPU port: which frames are control's, before their destination MAC decides anything.
 *
 * ARP and neighbour discovery go as the VSI's mode says (D14), clients' DHCP where it is relayed. How a frame gets there is punt.ts.
 */
import { DROP, PUNT } from "../tables/counters.ts";
import { VSI_DHCP_RELAY, VSI_DHCP6_RELAY, VSI_LOCAL_PROXY, VSI_ND, VSI_SUPPRESS } from "../tables/vsi.ts";
import { ARP_REQUEST } from "../wire/arp.ts";
import { u16 } from "../wire/bytes.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "../wire/dhcp.ts";
import { DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT } from "../wire/dhcp6.ts";
import { ETH_BYTES, isGroupHi, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import {
  FRAGMENT_OFFSET,
  headerBytes,
  IP_FRAGMENT,
  IP_PROTOCOL,
  IPV4_BYTES,
  PROTO_TCP,
  PROTO_UDP,
} from "../wire/ipv4.ts";
import { IP6_NEXT, IPV6_BYTES, PROTO_ICMP6, UNDETERMINED, upperLayer } from "../wire/ipv6.ts";
import { L4_DST_PORT } from "../wire/udp-tcp.ts";
import type { WorkerContext } from "./context.ts";
import { discovery } from "./discovery.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { isOwnClaim } from "./own-claim.ts";
import { punt, puntCopy } from "./punt.ts";
import { isToGateway } from "./to-gateway.ts";

/** ARP leaves by the CPU port, as the VSI's ARP mode says (D14), clients' DHCP where it is relayed, neighbour discovery where control has it. */
export function toCpu(worker: WorkerContext, f: Frame): Fate {
  const flags = worker.vsis.flags[f.vsi]!;
  if (f.type !== TYPE_ARP) {
    if ((flags & (VSI_DHCP_RELAY | VSI_DHCP6_RELAY | VSI_ND)) === 0) return GO_ON;
    if (f.type === TYPE_IPV4) return (flags & VSI_DHCP_RELAY) !== 0 ? dhcp(worker, f) : GO_ON;
    if (f.type !== TYPE_IPV6) return GO_ON;
    const fate = (flags & VSI_DHCP6_RELAY) !== 0 ? dhcp6(worker, f) : GO_ON;
    return fate === GO_ON && (flags & VSI_ND) !== 0 ? discovery(worker, f) : fate;
  }
  const hasInterface = worker.vsis.interface[f.vsi] !== 0;
  if (!hasInterface && (flags & VSI_SUPPRESS) === 0) return GO_ON;
  if (isOwnClaim(worker, f)) return punt(worker, f, PUNT.arp, 0, 0);
  const group = isGroupHi(f.dstHi);
  if (!group) {
    if (isToGateway(worker, f)) return punt(worker, f, PUNT.arp, 0, 0);
    // To a third MAC: bridged. With suppression control may learn from it all the same.
    if ((flags & VSI_SUPPRESS) !== 0) puntCopy(worker, f, PUNT.arp);
    return GO_ON;
  }
  if ((flags & VSI_LOCAL_PROXY) !== 0) return punt(worker, f, PUNT.arp, 0, 0);
  if ((flags & VSI_SUPPRESS) !== 0 && isRequest(f)) return punt(worker, f, PUNT.arp, 0, 0);
  puntCopy(worker, f, PUNT.arp);
  return GO_ON;
}

/** A client's broadcast goes to the relay, and no AC speaks as a server (control/dhcp/relay.ts). */
function dhcp(worker: WorkerContext, f: Frame): Fate {
  const ip = f.at + ETH_BYTES;
  if (f.head < ETH_BYTES + IPV4_BYTES || f.bytes[ip + IP_PROTOCOL] !== PROTO_UDP) return GO_ON;
  const header = headerBytes(f.bytes, ip);
  // Ports are in a first fragment alone.
  if (
    header < IPV4_BYTES ||
    f.head < ETH_BYTES + header + 4 ||
    (u16(f.bytes, ip + IP_FRAGMENT) & FRAGMENT_OFFSET) !== 0
  )
    return GO_ON;
  const to = u16(f.bytes, ip + header + L4_DST_PORT);
  if (to === DHCP_SERVER_PORT && isGroupHi(f.dstHi)) return punt(worker, f, PUNT.dhcp, 0, 0);
  // From whatever port: a client looks at its own alone.
  return to === DHCP_CLIENT_PORT ? byServer(worker, f) : GO_ON;
}

/** The fate of what may be a server's message to a client: an AC's ends here, unless it is to be routed, as runs are without a look (like-last.ts). */
function byServer(worker: WorkerContext, f: Frame): Fate {
  return f.fromTunnel === 0 && !isToGateway(worker, f) ? DROP.dhcp_guard : GO_ON;
}

/**
 * The same of DHCPv6 (control/dhcp/relay6.ts). Hosts look behind extension headers, so a server's message is looked for there too, and what
 * hides from an AC whether it is one goes no further (RFC 7610 §5).
 */
function dhcp6(worker: WorkerContext, f: Frame): Fate {
  const l3 = f.at + ETH_BYTES;
  const { bytes, end } = f;
  if (end < l3 + IPV6_BYTES) return GO_ON;
  const next = bytes[l3 + IP6_NEXT]!;
  if (next === PROTO_TCP || next === PROTO_ICMP6) return GO_ON;
  const upper = next === PROTO_UDP ? ((l3 + IPV6_BYTES) << 8) | next : upperLayer(bytes, l3, end);
  if (upper === UNDETERMINED) return byServer(worker, f);
  if (upper < 0 || (upper & 0xff) !== PROTO_UDP) return GO_ON;
  const l4 = upper >> 8;
  if (l4 + 4 > end) return byServer(worker, f);
  const to = u16(bytes, l4 + L4_DST_PORT);
  if (to === DHCP6_SERVER_PORT && next === PROTO_UDP && isGroupHi(f.dstHi)) return punt(worker, f, PUNT.dhcp, 0, 0);
  return to === DHCP6_CLIENT_PORT ? byServer(worker, f) : GO_ON;
}

function isRequest(f: Frame): boolean {
  return f.head >= ETH_BYTES + 8 && u16(f.bytes, f.at + ETH_BYTES + 6) === ARP_REQUEST;
}
