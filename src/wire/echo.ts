/**
 * Echo probes for the underlay: whole IP packets with an ICMP echo request (RFC 792; RFC 4443 §4.1), and what comes back.
 *
 * The IP header is ours: the source is the VTEP's own address whatever the routing table would choose, and Don't Fragment
 * is set, so a probe of a length passes exactly where a tunnel's datagram of that length does. Besides echo replies,
 * routers' "too big" (ICMP 3/4, RFC 1191 §4; ICMPv6 type 2, RFC 4443 §3.2) are read: about our own probe, or about a
 * datagram of a tunnel. They are hints from strangers: a reader checks one against what it has sent.
 *
 * Lengths are of the whole IP packet. Addresses are 4 or 16 bytes.
 */
import { i32, setU16, u16 } from "./bytes.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, ICMP_UNREACHABLE } from "./icmp.ts";
import { FRAGMENT_DF, headerBytes, IP_DST, IP_PROTOCOL, IPV4_BYTES, PROTO_ICMP, PROTO_UDP, sum16 } from "./ipv4.ts";

const IPV6_BYTES = 40;
const IPV6_SRC = 8;
const IPV6_DST = 24;
const PROTO_ICMPV6 = 58;
const ICMPV6_TOO_BIG = 2;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
const CODE_TOO_BIG = 4;
/** Class selector 6, network control (RFC 4594 §3.1): the state of a tunnel hangs on these. */
const TOS = 0xc0;
const HOPS = 64;

/** The shortest probe: headers alone. */
export function shortestEcho(addressBytes: number): number {
  return (addressBytes === 4 ? IPV4_BYTES : IPV6_BYTES) + ICMP_BYTES;
}

/** An echo request of `length` bytes in all, IP header included. */
export function echoRequest(
  source: Uint8Array,
  target: Uint8Array,
  identifier: number,
  sequence: number,
  length: number,
): Uint8Array {
  const out = new Uint8Array(length);
  const l4 = source.length === 4 ? IPV4_BYTES : IPV6_BYTES;
  for (let i = l4 + ICMP_BYTES; i < length; i++) out[i] = i;
  setU16(out, l4 + 4, identifier);
  setU16(out, l4 + 6, sequence);
  if (source.length === 4) {
    out[l4] = ICMP_ECHO_REQUEST;
    emitIpv4(out, 0, length, i32(source, 0), i32(target, 0), PROTO_ICMP, TOS, HOPS, 0, FRAGMENT_DF);
    setU16(out, l4 + 2, ~sum16(out, l4, length - l4, 0) & 0xffff);
    return out;
  }
  out[0] = 0x60 | (TOS >> 4);
  out[1] = (TOS & 15) << 4;
  setU16(out, 4, length - l4);
  out[6] = PROTO_ICMPV6;
  out[7] = HOPS;
  out.set(source, IPV6_SRC);
  out.set(target, IPV6_DST);
  out[l4] = ICMPV6_ECHO_REQUEST;
  // RFC 4443 §2.3: the checksum covers the pseudo-header of RFC 8200 §8.1.
  const pseudo = sum16(out, IPV6_SRC, 32, PROTO_ICMPV6 + (length - l4));
  setU16(out, l4 + 2, ~sum16(out, l4, length - l4, pseudo) & 0xffff);
  return out;
}

/** What a received ICMP packet says. */
export type EchoNews =
  /** Our echo came back. */
  | { readonly kind: "reply"; readonly identifier: number; readonly sequence: number }
  /** A probe was too long for the next hop behind some router; `mtu` 0: it does not say (RFC 1191 §5). */
  | { readonly kind: "probeTooBig"; readonly identifier: number; readonly sequence: number; readonly mtu: number }
  /** A UDP datagram to `port` of `target` was. */
  | { readonly kind: "datagramTooBig"; readonly target: Uint8Array; readonly port: number; readonly mtu: number };

/** Read a packet from a raw ICMP socket (IPv4: with its IP header, as raw(7) gives it). @returns null: nothing for us. */
export function readEcho4(packet: Uint8Array): EchoNews | null {
  if (packet.length < IPV4_BYTES || packet[0]! >> 4 !== 4) return null;
  const at = headerBytes(packet, 0);
  if (at < IPV4_BYTES || packet.length < at + ICMP_BYTES) return null;
  if (sum16(packet, at, packet.length - at, 0) !== 0xffff) return null;
  if (packet[at] === ICMP_ECHO_REPLY)
    return { kind: "reply", identifier: u16(packet, at + 4), sequence: u16(packet, at + 6) };
  if (packet[at] !== ICMP_UNREACHABLE || packet[at + 1] !== CODE_TOO_BIG) return null;
  const mtu = u16(packet, at + 6);
  const quoted = at + ICMP_BYTES;
  if (packet.length < quoted + IPV4_BYTES) return null;
  const l4 = quoted + headerBytes(packet, quoted);
  if (l4 < quoted + IPV4_BYTES || packet.length < l4 + ICMP_BYTES) return null;
  const target = packet.slice(quoted + IP_DST, quoted + IP_DST + 4);
  return aboutQuoted(packet, l4, packet[quoted + IP_PROTOCOL]!, target, mtu);
}

/** Read a packet from a raw ICMPv6 socket, which gives it without its IPv6 header. @returns null: nothing for us. */
export function readEcho6(packet: Uint8Array): EchoNews | null {
  if (packet.length < ICMP_BYTES) return null;
  if (packet[0] === ICMPV6_ECHO_REPLY) return { kind: "reply", identifier: u16(packet, 4), sequence: u16(packet, 6) };
  if (packet[0] !== ICMPV6_TOO_BIG || packet.length < ICMP_BYTES + IPV6_BYTES + ICMP_BYTES) return null;
  // A length beyond 65535 is no MTU of a path that carries VXLAN.
  const mtu = Math.min(i32(packet, 4) >>> 0, 0xffff);
  const to = ICMP_BYTES + IPV6_DST;
  const target = packet.slice(to, to + 16);
  return aboutQuoted(packet, ICMP_BYTES + IPV6_BYTES, packet[ICMP_BYTES + 6]!, target, mtu);
}

/** The first eight bytes of the quoted packet's payload are at `l4`. */
function aboutQuoted(
  packet: Uint8Array,
  l4: number,
  protocol: number,
  target: Uint8Array,
  mtu: number,
): EchoNews | null {
  const isEcho =
    (protocol === PROTO_ICMP && packet[l4] === ICMP_ECHO_REQUEST) ||
    (protocol === PROTO_ICMPV6 && packet[l4] === ICMPV6_ECHO_REQUEST);
  if (isEcho) return { kind: "probeTooBig", identifier: u16(packet, l4 + 4), sequence: u16(packet, l4 + 6), mtu };
  if (protocol === PROTO_UDP) return { kind: "datagramTooBig", target, port: u16(packet, l4 + 2), mtu };
  return null;
}
