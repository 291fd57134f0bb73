/**
 * A described packet as bytes: "icmp 10.1.1.11 > 20.1.1.12" becomes the Ethernet frame that a VM would send.
 *
 * Not in the path of frames: it may allocate.
 */
import { asIpv4, asIpv6, type Ip } from "../control/ip.ts";
import { ARP_FRAME_BYTES, ARP_REQUEST, emitArp } from "../wire/arp.ts";
import { setU16 } from "../wire/bytes.ts";
import {
  BROADCAST,
  ETH_BYTES,
  ETH_TYPE,
  type Mac,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_VLAN,
  VLAN_TAG_BYTES,
  writeMac,
} from "../wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import { checksum6, ICMP6_ECHO_REQUEST } from "../wire/icmp6.ts";
import { FRAGMENT_DF, IPV4_BYTES, PROTO_ICMP, PROTO_TCP, PROTO_UDP, pseudoSum, sum16 } from "../wire/ipv4.ts";
import { IP6_DST, IP6_HOPS, IP6_LENGTH, IP6_NEXT, IP6_SRC, IPV6_BYTES, PROTO_ICMP6, writeIpv6 } from "../wire/ipv6.ts";
import { emitSolicitation, groupMac, ND_MAX_BYTES, solicitedNode, UNSPECIFIED } from "../wire/nd.ts";
import { TCP_BYTES, TCP_CHECKSUM, TCP_FLAGS, TCP_OFFSET, TCP_SYN, UDP_BYTES } from "../wire/udp-tcp.ts";

/** `arp` is IPv4's alone, `nd` IPv6's. */
export type DescribedProtocol = "icmp" | "tcp" | "udp" | "arp" | "nd";

export interface DescribedPacket {
  readonly protocol: DescribedProtocol;
  /** Of one family. */
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourceMac: Mac;
  readonly destinationMac: Mac;
  /** TTL, or hop limit. */
  readonly ttl: number;
  readonly dscp: number;
  /** Bytes of the IP packet; less than its headers is as long as those. */
  readonly size: number;
  /** IPv6 packets have it always. */
  readonly df: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

type L4 = "icmp" | "tcp" | "udp";

const HEADERS = { icmp: ICMP_BYTES, tcp: TCP_BYTES, udp: UDP_BYTES } as const;
const NUMBERS = { icmp: PROTO_ICMP, tcp: PROTO_TCP, udp: PROTO_UDP } as const;
const NUMBERS6 = { ...NUMBERS, icmp: PROTO_ICMP6 } as const;
const CHECKSUMS = { icmp: 2, tcp: TCP_CHECKSUM, udp: 6 } as const;

/**
 * The frame: an echo request, a SYN, a datagram, an ARP request or a neighbour solicitation for `destination` (from ::, the probe for a
 * duplicate). All checksums are right.
 */
export function frameOf(packet: DescribedPacket): Uint8Array {
  if (packet.protocol === "arp") return question(packet);
  return packet.protocol === "nd" ? solicitation(packet) : ipFrame(packet, packet.protocol);
}

function question({ source, destination, sourceMac }: DescribedPacket): Uint8Array {
  const frame = new Uint8Array(ARP_FRAME_BYTES);
  const hosts = { senderMac: sourceMac, senderIp: asIpv4(source), targetMac: 0, targetIp: asIpv4(destination) };
  emitArp(frame, 0, { ethDst: BROADCAST, ethSrc: sourceMac, op: ARP_REQUEST, ...hosts });
  return frame;
}

function solicitation({ source, destination, sourceMac }: DescribedPacket): Uint8Array {
  const frame = new Uint8Array(ND_MAX_BYTES);
  const [src, target] = [asIpv6(source), asIpv6(destination)];
  const dst = solicitedNode(target);
  const envelope = { ethDst: groupMac(dst), ethSrc: sourceMac, src, dst };
  const mac = src === UNSPECIFIED ? null : sourceMac;
  return frame.slice(0, emitSolicitation(frame, 0, envelope, { target, mac, nonce: null }));
}

function ipFrame(packet: DescribedPacket, protocol: L4): Uint8Array {
  const isIpv6 = typeof packet.source === "bigint";
  const headers = isIpv6 ? IPV6_BYTES : IPV4_BYTES;
  const total = Math.max(packet.size, headers + HEADERS[protocol]);
  const frame = new Uint8Array(ETH_BYTES + total);
  writeMac(frame, 0, packet.destinationMac);
  writeMac(frame, 6, packet.sourceMac);
  if (isIpv6) header6(frame, packet, NUMBERS6[protocol], total - IPV6_BYTES);
  else header4(frame, packet, NUMBERS[protocol], total);
  const l4 = ETH_BYTES + headers;
  const bytes = total - headers;
  payload(frame, l4, packet, protocol);
  const found = isIpv6
    ? checksum6(frame, ETH_BYTES, bytes, NUMBERS6[protocol])
    : sum16(frame, l4, bytes, protocol === "icmp" ? 0 : pseudoSum(frame, ETH_BYTES, bytes));
  const sum = ~found & 0xffff;
  // RFC 768: a UDP checksum that comes out as zero is sent as all ones.
  setU16(frame, l4 + CHECKSUMS[protocol], protocol === "udp" && sum === 0 ? 0xffff : sum);
  return frame;
}

function header4(frame: Uint8Array, packet: DescribedPacket, number: number, total: number): void {
  const { source, destination, dscp, ttl, df } = packet;
  const [from, to] = [asIpv4(source), asIpv4(destination)];
  setU16(frame, ETH_TYPE, TYPE_IPV4);
  emitIpv4(frame, ETH_BYTES, total, from, to, number, dscp << 2, ttl, 1, df ? FRAGMENT_DF : 0);
}

function header6(frame: Uint8Array, packet: DescribedPacket, number: number, bytes: number): void {
  const { source, destination, dscp, ttl } = packet;
  setU16(frame, ETH_TYPE, TYPE_IPV6);
  setU16(frame, ETH_BYTES, (6 << 12) | (dscp << 6));
  setU16(frame, ETH_BYTES + IP6_LENGTH, bytes);
  frame[ETH_BYTES + IP6_NEXT] = number;
  frame[ETH_BYTES + IP6_HOPS] = ttl;
  writeIpv6(frame, ETH_BYTES + IP6_SRC, asIpv6(source));
  writeIpv6(frame, ETH_BYTES + IP6_DST, asIpv6(destination));
}

/** The header at `l4`, without its checksum. */
function payload(frame: Uint8Array, l4: number, packet: DescribedPacket, protocol: L4): void {
  if (protocol === "icmp") {
    frame[l4] = typeof packet.source === "bigint" ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
    setU16(frame, l4 + 6, 1);
    return;
  }
  setU16(frame, l4, packet.sourcePort);
  setU16(frame, l4 + 2, packet.destinationPort);
  if (protocol === "tcp") {
    frame[l4 + TCP_OFFSET] = (TCP_BYTES >> 2) << 4;
    frame[l4 + TCP_FLAGS] = TCP_SYN;
  } else setU16(frame, l4 + 4, frame.length - l4);
}

/** The same frame with an 802.1Q tag of VLAN `vlan`. */
export function withTag(frame: Uint8Array, vlan: number): Uint8Array {
  const out = new Uint8Array(frame.length + VLAN_TAG_BYTES);
  out.set(frame.slice(0, ETH_TYPE));
  setU16(out, ETH_TYPE, TYPE_VLAN);
  setU16(out, ETH_TYPE + 2, vlan);
  out.set(frame.slice(ETH_TYPE), ETH_TYPE + VLAN_TAG_BYTES);
  return out;
}
