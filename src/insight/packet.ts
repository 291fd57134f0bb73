/**
 * A described packet as bytes: "icmp 10.1.1.11 > 20.1.1.12" becomes the Ethernet frame that a VM would send.
 *
 * Not in the path of frames: it may allocate.
 */
import { ARP_FRAME_BYTES, ARP_REQUEST, emitArp } from "../wire/arp.ts";
import { setU16 } from "../wire/bytes.ts";
import {
  BROADCAST,
  ETH_BYTES,
  ETH_TYPE,
  type Mac,
  TYPE_IPV4,
  TYPE_VLAN,
  VLAN_TAG_BYTES,
  writeMac,
} from "../wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import {
  FRAGMENT_DF,
  IPV4_BYTES,
  type Ipv4,
  PROTO_ICMP,
  PROTO_TCP,
  PROTO_UDP,
  pseudoSum,
  sum16,
} from "../wire/ipv4.ts";
import { TCP_BYTES, TCP_CHECKSUM, TCP_FLAGS, TCP_OFFSET, TCP_SYN, UDP_BYTES } from "../wire/udp-tcp.ts";

export type DescribedProtocol = "icmp" | "tcp" | "udp" | "arp";

export interface DescribedPacket {
  readonly protocol: DescribedProtocol;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly sourceMac: Mac;
  readonly destinationMac: Mac;
  readonly ttl: number;
  readonly dscp: number;
  /** Bytes of the IP packet; less than its headers is as long as those. */
  readonly size: number;
  readonly df: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const HEADERS = { icmp: ICMP_BYTES, tcp: TCP_BYTES, udp: UDP_BYTES } as const;
const NUMBERS = { icmp: PROTO_ICMP, tcp: PROTO_TCP, udp: PROTO_UDP } as const;

/** The frame: an echo request, a SYN, a datagram, or an ARP request for `destination`. All checksums are right. */
export function frameOf(packet: DescribedPacket): Uint8Array {
  return packet.protocol === "arp" ? question(packet) : ipFrame(packet, packet.protocol);
}

function question({ source, destination, sourceMac }: DescribedPacket): Uint8Array {
  const frame = new Uint8Array(ARP_FRAME_BYTES);
  const hosts = { senderMac: sourceMac, senderIp: source, targetMac: 0, targetIp: destination };
  emitArp(frame, 0, { ethDst: BROADCAST, ethSrc: sourceMac, op: ARP_REQUEST, ...hosts });
  return frame;
}

function ipFrame(packet: DescribedPacket, protocol: "icmp" | "tcp" | "udp"): Uint8Array {
  const header = HEADERS[protocol];
  const total = Math.max(packet.size, IPV4_BYTES + header);
  const frame = new Uint8Array(ETH_BYTES + total);
  writeMac(frame, 0, packet.destinationMac);
  writeMac(frame, 6, packet.sourceMac);
  setU16(frame, ETH_TYPE, TYPE_IPV4);
  const { source, destination, dscp, ttl, df } = packet;
  const number = NUMBERS[protocol];
  emitIpv4(frame, ETH_BYTES, total, source, destination, number, dscp << 2, ttl, 1, df ? FRAGMENT_DF : 0);
  const l4 = ETH_BYTES + IPV4_BYTES;
  const bytes = total - IPV4_BYTES;
  if (protocol === "icmp") {
    frame[l4] = ICMP_ECHO_REQUEST;
    setU16(frame, l4 + 6, 1);
    setU16(frame, l4 + 2, ~sum16(frame, l4, bytes, 0) & 0xffff);
    return frame;
  }
  setU16(frame, l4, packet.sourcePort);
  setU16(frame, l4 + 2, packet.destinationPort);
  if (protocol === "tcp") {
    frame[l4 + TCP_OFFSET] = (TCP_BYTES >> 2) << 4;
    frame[l4 + TCP_FLAGS] = TCP_SYN;
  } else setU16(frame, l4 + 4, bytes);
  const sum = ~sum16(frame, l4, bytes, pseudoSum(frame, ETH_BYTES, bytes)) & 0xffff;
  // RFC 768: a UDP checksum that comes out as zero is sent as all ones.
  setU16(frame, protocol === "tcp" ? l4 + TCP_CHECKSUM : l4 + 6, protocol === "udp" && sum === 0 ? 0xffff : sum);
  return frame;
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
