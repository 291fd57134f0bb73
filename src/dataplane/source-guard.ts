/**
 * Source guard: an AC with `antiSpoof: strict` (PORT_STRICT) sends from its bindings and from nothing else.
 *
 * Before anything is learned, answered or forwarded: the MAC must be bound to the AC, and with it the IPv4 or IPv6 source, or the
 * sender of an ARP message, whose MAC must be the frame's own. One look-up in one table (tables/bindings.ts) says all of it; what a
 * message of neighbour discovery claims is one more (claim.ts).
 * What carries no address of its own (an ARP probe, duplicate address detection, other protocols) needs a bound MAC alone. What hides
 * one (a tag behind the AC's own, IP or ARP in LLC and SNAP, a header that is cut off) goes nowhere.
 *
 * A client has to ask for its first lease before it has a binding, so where the VSI-interface relays DHCP a request to a server
 * from any MAC goes to control. It goes only there: its MAC is not learned, or an AC could take a neighbour's MAC with it. A renewal at
 * the server's own address, which would be routed past the relay, goes there too: its binding must not end while its lease goes on.
 */

import { bindingKey, MAPPED_IPV4 } from "../tables/bindings.ts";
import { DROP, PUNT } from "../tables/counters.ts";
import { VSI_DHCP_RELAY, VSI_DHCP6_RELAY } from "../tables/vsi.ts";
import { ARP_BYTES, ARP_SENDER_IP, ARP_SENDER_MAC, isIpv4Arp } from "../wire/arp.ts";
import { u16 } from "../wire/bytes.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "../wire/dhcp.ts";
import { DHCP6_SERVER_PORT } from "../wire/dhcp6.ts";
import {
  ETH_BYTES,
  LEAST_TYPE,
  snapType,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_QINQ,
  TYPE_VLAN,
} from "../wire/ethernet.ts";
import { FRAGMENT_OFFSET, headerBytes, IP_FRAGMENT, IP_PROTOCOL, IP_SRC, IPV4_BYTES, PROTO_UDP } from "../wire/ipv4.ts";
import { IP6_NEXT, IP6_SRC, IPV6_BYTES } from "../wire/ipv6.ts";
import { L4_DST_PORT, L4_SRC_PORT } from "../wire/udp-tcp.ts";
import { isClaimBound } from "./claim.ts";
import type { WorkerContext } from "./context.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { punt, tellUnbound } from "./punt.ts";

/** The frame in hand is from an AC with PORT_STRICT: may it send from there? */
export function sourceGuard(worker: WorkerContext, f: Frame): Fate {
  const isAsking = f.type === TYPE_IPV4 ? isDhcpRequest(worker, f) : f.type === TYPE_IPV6 && isDhcp6Request(worker, f);
  if (isAsking) return punt(worker, f, PUNT.dhcp, 0, 0);
  if (isBound(worker, f)) return GO_ON;
  tellUnbound(worker, f);
  return DROP.port_security;
}

function isBound(worker: WorkerContext, f: Frame): boolean {
  const l3 = f.at + ETH_BYTES;
  switch (f.type) {
    case TYPE_IPV4:
      return f.head >= ETH_BYTES + IPV4_BYTES && isIpv4Bound(worker, f, f.view.getInt32(l3 + IP_SRC));
    case TYPE_IPV6:
      return f.head >= ETH_BYTES + IPV6_BYTES && isIpv6Bound(worker, f, l3 + IP6_SRC) && isClaimBound(worker, f, l3);
    case TYPE_ARP:
      return (
        f.head >= ETH_BYTES + ARP_BYTES &&
        isIpv4Arp(f.bytes, l3) &&
        f.view.getUint16(l3 + ARP_SENDER_MAC) === f.srcHi &&
        f.view.getInt32(l3 + ARP_SENDER_MAC + 2) === f.srcLo &&
        isIpv4Bound(worker, f, f.view.getInt32(l3 + ARP_SENDER_IP))
      );
    case TYPE_VLAN:
    case TYPE_QINQ:
      return false;
    default:
      if (f.type < LEAST_TYPE && hasAddress(snapType(f.bytes, l3, f.end))) return false;
      return worker.bindings.has(bindingKey(f.port, f.srcHi), f.srcLo, 0, 0, 0, 0);
  }
}

/** May what has this type carry an address? */
function hasAddress(type: number): boolean {
  return type === TYPE_IPV4 || type === TYPE_IPV6 || type === TYPE_ARP || type === TYPE_VLAN || type === TYPE_QINQ;
}

/** 0.0.0.0 is no address: the MAC alone counts. */
function isIpv4Bound(worker: WorkerContext, f: Frame, source: number): boolean {
  const mapped = source === 0 ? 0 : MAPPED_IPV4;
  return worker.bindings.has(bindingKey(f.port, f.srcHi), f.srcLo, 0, 0, mapped, source);
}

function isIpv6Bound(worker: WorkerContext, f: Frame, at: number): boolean {
  const view = f.view;
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  return worker.bindings.has(bindingKey(f.port, f.srcHi), f.srcLo, a, b, c, view.getInt32(at + 12));
}

/** From a client's port to a server's, in a VSI whose VSI-interface relays? */
function isDhcpRequest(worker: WorkerContext, f: Frame): boolean {
  if ((worker.vsis.flags[f.vsi]! & VSI_DHCP_RELAY) === 0 || f.head < ETH_BYTES + IPV4_BYTES) return false;
  const ip = f.at + ETH_BYTES;
  if (f.bytes[ip + IP_PROTOCOL] !== PROTO_UDP || (u16(f.bytes, ip + IP_FRAGMENT) & FRAGMENT_OFFSET) !== 0) return false;
  const header = headerBytes(f.bytes, ip);
  if (header < IPV4_BYTES || f.head < ETH_BYTES + header + 4) return false;
  const isFromClient = u16(f.bytes, ip + header + L4_SRC_PORT) === DHCP_CLIENT_PORT;
  return isFromClient && u16(f.bytes, ip + header + L4_DST_PORT) === DHCP_SERVER_PORT;
}

/** DHCPv6 to a server, from whatever port: RFC 8415 names none for it. */
function isDhcp6Request(worker: WorkerContext, f: Frame): boolean {
  if ((worker.vsis.flags[f.vsi]! & VSI_DHCP6_RELAY) === 0) return false;
  const ip = f.at + ETH_BYTES;
  if (f.head < ETH_BYTES + IPV6_BYTES + 4 || f.bytes[ip + IP6_NEXT] !== PROTO_UDP) return false;
  return u16(f.bytes, ip + IPV6_BYTES + L4_DST_PORT) === DHCP6_SERVER_PORT;
}
