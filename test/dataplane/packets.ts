/** Frames for tests, spelled out field by field. */
import { ARP_FRAME_BYTES, type Arp, emitArp } from "../../src/wire/arp.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, type Mac, TYPE_IPV4, writeMac } from "../../src/wire/ethernet.ts";
import { emitIpv4 } from "../../src/wire/icmp.ts";
import { IPV4_BYTES, PROTO_TCP, PROTO_UDP, pseudoSum, setHeaderChecksum, sum16 } from "../../src/wire/ipv4.ts";
import { emitVxlan } from "../../src/wire/vxlan.ts";

export type UdpFields = {
  dst: Mac;
  src: Mac;
  from: number;
  to: number;
  ttl?: number;
  tos?: number;
  sport?: number;
  dport?: number;
  payload?: number;
  df?: boolean;
};

/** An Ethernet frame with a UDP packet of `payload` bytes (checksum 0: absent). */
export function udpFrame(f: UdpFields): Uint8Array {
  const payload = f.payload ?? 18;
  const frame = new Uint8Array(ETH_BYTES + IPV4_BYTES + 8 + payload);
  writeMac(frame, 0, f.dst);
  writeMac(frame, 6, f.src);
  setU16(frame, 12, TYPE_IPV4);
  emitIpv4(
    frame,
    ETH_BYTES,
    IPV4_BYTES + 8 + payload,
    f.from,
    f.to,
    PROTO_UDP,
    f.tos ?? 0,
    f.ttl ?? 64,
    7,
    f.df === false ? 0 : 0x4000,
  );
  const l4 = ETH_BYTES + IPV4_BYTES;
  setU16(frame, l4, f.sport ?? 1000);
  setU16(frame, l4 + 2, f.dport ?? 2000);
  setU16(frame, l4 + 4, 8 + payload);
  for (let i = 0; i < payload; i++) frame[l4 + 8 + i] = i;
  return frame;
}

/** An Ethernet frame with a TCP segment of `payload` bytes and, when it is a SYN, an MSS option; its checksum is right. */
export function tcpFrame(f: UdpFields & { flags?: number; mss?: number }): Uint8Array {
  const payload = f.payload ?? 18;
  const header = f.mss === undefined ? 20 : 24;
  const frame = udpFrame({ ...f, payload: header - 8 + payload });
  const l4 = ETH_BYTES + IPV4_BYTES;
  frame[ETH_BYTES + 9] = PROTO_TCP;
  setHeaderChecksum(frame, ETH_BYTES);
  frame.fill(0, l4 + 4);
  setU16(frame, l4 + 6, 1);
  frame[l4 + 12] = (header >> 2) << 4;
  frame[l4 + 13] = f.flags ?? 0x10;
  setU16(frame, l4 + 14, 65535);
  if (f.mss !== undefined) {
    setU16(frame, l4 + 20, 0x0204);
    setU16(frame, l4 + 22, f.mss);
  }
  for (let i = 0; i < payload; i++) frame[l4 + header + i] = i;
  const bytes = header + payload;
  setU16(frame, l4 + 16, ~sum16(frame, l4, bytes, pseudoSum(frame, ETH_BYTES, bytes)) & 0xffff);
  return frame;
}

/** Is the TCP or UDP checksum of the plain IPv4 frame right? */
export function l4IsRight(frame: Uint8Array): boolean {
  const bytes = frame.length - ETH_BYTES - IPV4_BYTES;
  return sum16(frame, ETH_BYTES + IPV4_BYTES, bytes, pseudoSum(frame, ETH_BYTES, bytes)) === 0xffff;
}

/** An Ethernet frame with a UDP packet over IPv6 from fd00::1 to fd00::2, ports 1000 and 2000. */
export function ipv6Frame(f: { dst: Mac; src: Mac; trafficClass: number; payload?: number }): Uint8Array {
  const length = 8 + (f.payload ?? 10);
  const frame = ethernet(f.dst, f.src, 0x86dd, 40 + length);
  frame.set([0x60 | (f.trafficClass >> 4), (f.trafficClass & 15) << 4, 0, 0], ETH_BYTES);
  frame.set([length >> 8, length & 255, 17, 64], ETH_BYTES + 4);
  frame.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], ETH_BYTES + 8);
  frame.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], ETH_BYTES + 24);
  frame.set([3, 232, 7, 208, length >> 8, length & 255, 0x12, 0x34], ETH_BYTES + 40);
  return frame;
}

export function arpFrame(arp: Arp): Uint8Array {
  const frame = new Uint8Array(ARP_FRAME_BYTES);
  emitArp(frame, 0, arp);
  return frame;
}

/** An Ethernet frame of any type with `payload` counted bytes. */
export function ethernet(dst: Mac, src: Mac, type: number, payload: number, first = 0): Uint8Array {
  const frame = new Uint8Array(ETH_BYTES + payload);
  writeMac(frame, 0, dst);
  writeMac(frame, 6, src);
  setU16(frame, 12, type);
  for (let i = 0; i < payload; i++) frame[ETH_BYTES + i] = first + i;
  return frame;
}

/** The same frame with an 802.1Q tag. */
export function tagged(frame: Uint8Array, tci: number): Uint8Array {
  const out = new Uint8Array(frame.length + 4);
  out.set(frame.slice(0, 12));
  setU16(out, 12, 0x8100);
  setU16(out, 14, tci);
  out.set(frame.slice(12), 16);
  return out;
}

/** `frame` as LLC and SNAP (RFC 1042): its length, then aa aa 03, organization 0 and its type. */
export function snapped(frame: Uint8Array): Uint8Array {
  const out = new Uint8Array(frame.length + 8);
  out.set(frame.subarray(0, 12));
  setU16(out, 12, frame.length - 14 + 8);
  out.set([0xaa, 0xaa, 3, 0, 0, 0], 14);
  out.set(frame.subarray(12), 20);
  return out;
}

/** A copy of `frame` after `change`, with its IPv4 header checksum made right again. */
export function changed(frame: Uint8Array, change: (frame: Uint8Array) => void): Uint8Array {
  const out = frame.slice();
  change(out);
  setHeaderChecksum(out, ETH_BYTES);
  return out;
}

/** A copy of `frame` with IPv4 `options` (padded with zeros to words). */
export function withOptions(frame: Uint8Array, options: number[]): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const out = new Uint8Array(frame.length + padded.length);
  const behind = ETH_BYTES + IPV4_BYTES;
  out.set(frame.slice(0, behind));
  out.set(padded, behind);
  out.set(frame.slice(behind), behind + padded.length);
  return changed(out, (b) => {
    b[ETH_BYTES] = 0x45 + padded.length / 4;
    setU16(b, ETH_BYTES + 2, out.length - ETH_BYTES);
  });
}

/** A VXLAN datagram around `inner`. */
export function vxlan(vni: number, inner: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(8 + inner.length);
  emitVxlan(new DataView(datagram.buffer), 0, vni);
  datagram.set(inner, 8);
  return datagram;
}

/** Is the IPv4 header checksum of the frame right? */
export function headerIsRight(frame: Uint8Array, at = ETH_BYTES): boolean {
  return sum16(frame, at, (frame[at]! & 15) << 2, 0) === 0xffff;
}
