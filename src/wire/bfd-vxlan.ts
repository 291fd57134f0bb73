/**
 * BFD inside VXLAN (RFC 8971): an Ethernet frame in the management VNI, with an IP packet between VTEPs and a BFD control packet in
 * it. Bytes to where that control packet is, and back; what must not be taken (§6) is none of BFD's.
 *
 * ```
 * VXLAN: the management VNI | Ethernet: to 00-00-5E-00-52-02 | IP: from the VTEP to 127/8, TTL 255 | UDP: to 3784 | BFD
 * ```
 *
 * That MAC and 127/8 are what §5 says SHOULD be written, and what we write. A peer may write its own choice of MAC, and the address of
 * the VTEP that it asks (§5: "Alternatively"): both are taken, since nothing of this VNI is forwarded to anybody.
 */
import { BFD_BYTES, BFD_PORT, BFD_TTL, type BfdPacket, writeBfd } from "./bfd.ts";
import { sameBytes, setU16, u16 } from "./bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, isGroup, readMac, TYPE_IPV4, TYPE_IPV6, writeMac } from "./ethernet.ts";
import { IP_DST, IP_FRAGMENT, IP_LENGTH, IP_PROTOCOL, IP_SRC, IP_TTL, IPV4_BYTES, PROTO_UDP, sum16 } from "./ipv4.ts";
import { UDP_CHECKSUM, UDP_LENGTH } from "./udp.ts";
import { L4_DST_PORT, L4_SRC_PORT, UDP_BYTES } from "./udp-tcp.ts";
import { emitVxlan, VXLAN_HEADER_BYTES } from "./vxlan.ts";

/** IANA's for BFD inside VXLAN (§8): no tenant's, and no VTEP has to be asked for its own. */
export const BFD_VXLAN_MAC = 0x00005e005202;

const IPV6_BYTES = 40;
const IP6_LENGTH = 4;
const IP6_NEXT = 6;
const IP6_HOPS = 7;
const IP6_SRC = 8;
const IP6_DST = 24;
const FRAGMENTED = 0x3fff;
/** ::ffff:127.0.0.0/104. */
const MAPPED_LOOPBACK = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127];
/** With IPv4 options, which no sender of BFD has a use for, no frame that is taken is longer. */
export const MOST_BFD_FRAME = 160;

/** Where the control packet is. */
export interface InnerBfd {
  /** 4 or 16 bytes: the VTEP that sent it. */
  readonly source: Uint8Array;
  readonly hops: number;
  readonly at: number;
  readonly end: number;
}

/** The frame that is bytes `at` to `end`, to the VTEP whose address is `own`; null: it is none of BFD's. */
export function readInnerBfd(bytes: Uint8Array, at: number, end: number, own: Uint8Array): InnerBfd | null {
  if (end - at < ETH_BYTES + IPV4_BYTES + UDP_BYTES || isGroup(readMac(bytes, at + ETH_DST))) return null;
  const type = u16(bytes, at + ETH_TYPE);
  const ip = at + ETH_BYTES;
  if (type === TYPE_IPV4) return readInner4(bytes, ip, end, own);
  return type === TYPE_IPV6 ? readInner6(bytes, ip, end, own) : null;
}

function readInner4(bytes: Uint8Array, ip: number, end: number, own: Uint8Array): InnerBfd | null {
  // Without options, so that the port stands where it is looked for.
  if (bytes[ip] !== 0x45 || sum16(bytes, ip, IPV4_BYTES, 0) !== 0xffff) return null;
  const length = u16(bytes, ip + IP_LENGTH);
  if (length < IPV4_BYTES + UDP_BYTES || ip + length > end) return null;
  if ((u16(bytes, ip + IP_FRAGMENT) & FRAGMENTED) !== 0 || bytes[ip + IP_PROTOCOL] !== PROTO_UDP) return null;
  if (bytes[ip + IP_DST] !== 127 && !sameBytes(bytes.subarray(ip + IP_DST, ip + IPV4_BYTES), own)) return null;
  const pseudo = { from: ip + IP_SRC, addresses: 8 };
  const source = bytes.subarray(ip + IP_SRC, ip + IP_DST);
  return readInnerUdp(bytes, ip + IPV4_BYTES, ip + length, pseudo, source, bytes[ip + IP_TTL]!);
}

function readInner6(bytes: Uint8Array, ip: number, end: number, own: Uint8Array): InnerBfd | null {
  if (end - ip < IPV6_BYTES + UDP_BYTES || bytes[ip]! >> 4 !== 6) return null;
  const length = u16(bytes, ip + IP6_LENGTH);
  if (length < UDP_BYTES || ip + IPV6_BYTES + length > end || bytes[ip + IP6_NEXT] !== PROTO_UDP) return null;
  const to = bytes.subarray(ip + IP6_DST, ip + IPV6_BYTES);
  if (!MAPPED_LOOPBACK.every((byte, n) => to[n] === byte) && !sameBytes(to, own)) return null;
  const pseudo = { from: ip + IP6_SRC, addresses: 32 };
  const source = bytes.subarray(ip + IP6_SRC, ip + IP6_DST);
  return readInnerUdp(bytes, ip + IPV6_BYTES, ip + IPV6_BYTES + length, pseudo, source, bytes[ip + IP6_HOPS]!);
}

interface Pseudo {
  /** Where the addresses are, and how many bytes. */
  readonly from: number;
  readonly addresses: number;
}

function readInnerUdp(
  bytes: Uint8Array,
  udp: number,
  end: number,
  pseudo: Pseudo,
  source: Uint8Array,
  hops: number,
): InnerBfd | null {
  const length = u16(bytes, udp + UDP_LENGTH);
  if (length < UDP_BYTES || udp + length > end || u16(bytes, udp + L4_DST_PORT) !== BFD_PORT) return null;
  const hasSum = u16(bytes, udp + UDP_CHECKSUM) !== 0;
  // Over IPv6 there is always one (RFC 8200 §8.1).
  if (!hasSum && pseudo.addresses > 8) return null;
  if (hasSum && udpSum(bytes, udp, length, pseudo) !== 0xffff) return null;
  return { source, hops, at: udp + UDP_BYTES, end: udp + length };
}

function udpSum(bytes: Uint8Array, udp: number, length: number, { from, addresses }: Pseudo): number {
  return sum16(bytes, udp, length, sum16(bytes, from, addresses, 0) + PROTO_UDP + length);
}

export interface OuterBfd {
  readonly vni: number;
  /** Ours: 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly sourcePort: number;
}

/** A VXLAN datagram's payload with the packet: the header, the frame. */
export function bfdDatagram({ vni, source, sourcePort }: OuterBfd, packet: BfdPacket): Uint8Array {
  const isIpv6 = source.length === 16;
  const udpBytes = UDP_BYTES + BFD_BYTES;
  const bytes = new Uint8Array(VXLAN_HEADER_BYTES + ETH_BYTES + (isIpv6 ? IPV6_BYTES : IPV4_BYTES) + udpBytes);
  emitVxlan(new DataView(bytes.buffer), 0, vni);
  const ethernet = VXLAN_HEADER_BYTES;
  writeMac(bytes, ethernet + ETH_DST, BFD_VXLAN_MAC);
  // The VTEP's own: locally administered, and of its address.
  bytes.set([2, 0, ...source.subarray(-4)], ethernet + ETH_SRC);
  setU16(bytes, ethernet + ETH_TYPE, isIpv6 ? TYPE_IPV6 : TYPE_IPV4);
  const ip = ethernet + ETH_BYTES;
  const pseudo = isIpv6 ? writeIpv6(bytes, ip, source, udpBytes) : writeIpv4(bytes, ip, source, udpBytes);
  const udp = bytes.length - udpBytes;
  setU16(bytes, udp + L4_SRC_PORT, sourcePort);
  setU16(bytes, udp + L4_DST_PORT, BFD_PORT);
  setU16(bytes, udp + UDP_LENGTH, udpBytes);
  writeBfd(packet, bytes, udp + UDP_BYTES);
  const sum = ~udpSum(bytes, udp, udpBytes, pseudo) & 0xffff;
  setU16(bytes, udp + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
  return bytes;
}

function writeIpv4(bytes: Uint8Array, ip: number, source: Uint8Array, length: number): Pseudo {
  bytes[ip] = 0x45;
  // Internetwork control, as BFD's own packets (RFC 5881 leaves it open; RFC 2474 §4.2.2.1).
  bytes[ip + 1] = 0xc0;
  setU16(bytes, ip + IP_LENGTH, IPV4_BYTES + length);
  bytes[ip + IP_TTL] = BFD_TTL;
  bytes[ip + IP_PROTOCOL] = PROTO_UDP;
  bytes.set(source, ip + IP_SRC);
  bytes.set([127, 0, 0, 1], ip + IP_DST);
  setU16(bytes, ip + 10, ~sum16(bytes, ip, IPV4_BYTES, 0) & 0xffff);
  return { from: ip + IP_SRC, addresses: 8 };
}

function writeIpv6(bytes: Uint8Array, ip: number, source: Uint8Array, length: number): Pseudo {
  bytes[ip] = 0x6c;
  setU16(bytes, ip + IP6_LENGTH, length);
  bytes[ip + IP6_NEXT] = PROTO_UDP;
  bytes[ip + IP6_HOPS] = BFD_TTL;
  bytes.set(source, ip + IP6_SRC);
  bytes.set([...MAPPED_LOOPBACK, 0, 0, 1], ip + IP6_DST);
  return { from: ip + IP6_SRC, addresses: 32 };
}
