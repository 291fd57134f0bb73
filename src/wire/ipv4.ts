/**
 * IPv4 (RFC 791): header checks, the TTL step, checksums, address text, fragment cut.
 *
 *     0  version, IHL   1  TOS    2  total length   4  identification   6  flags, fragment offset
 *     8  TTL            9  protocol  10 header checksum  12 source  16 destination  20 options
 *
 * Addresses are signed int32 at frame time (10.1.1.1 is 0x0a010101, 192.0.2.1 is negative) and everywhere else too:
 * one representation, one comparison.
 */
import { i32, setU16 } from "./bytes.ts";
import type { Mac } from "./ethernet.ts";

export const IPV4_BYTES = 20;
export const IP_TOS = 1;
export const IP_LENGTH = 2;
export const IP_ID = 4;
export const IP_FRAGMENT = 6;
export const IP_TTL = 8;
export const IP_PROTOCOL = 9;
export const IP_CHECKSUM = 10;
export const IP_SRC = 12;
export const IP_DST = 16;

export const FRAGMENT_DF = 0x4000;
export const FRAGMENT_MF = 0x2000;
export const FRAGMENT_OFFSET = 0x1fff;

export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;

/** An IPv4 address as a signed int32. */
export type Ipv4 = number;

export const IPV4_OK = 0;
export const IPV4_MALFORMED = 1;
export const IPV4_BAD_CHECKSUM = 2;

/**
 * RFC 1812 §5.2.2: version, IHL, total length against the bytes received (`end` is one past the last), checksum.
 * Padding behind the total length is allowed and never looked at.
 */
export function checkIpv4(view: DataView, at: number, end: number): number {
  if (end - at < IPV4_BYTES) return IPV4_MALFORMED;
  const first = view.getInt32(at);
  const headerBytes = (first >> 22) & 0x3c;
  const total = first & 0xffff;
  if (first >> 28 !== 4 || headerBytes < IPV4_BYTES || total < headerBytes || total > end - at) return IPV4_MALFORMED;
  // Words of 32 bits, each added as two halves (RFC 1071 §2). The usual header is five of them, spelled out: this runs
  // for every routed packet.
  const second = view.getInt32(at + 4);
  const third = view.getInt32(at + 8);
  const source = view.getInt32(at + IP_SRC);
  const destination = view.getInt32(at + IP_DST);
  let sum = (first >>> 16) + total + (second >>> 16) + (second & 0xffff) + (third >>> 16) + (third & 0xffff);
  sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  for (let i = IPV4_BYTES; i < headerBytes; i += 4) {
    const word = view.getInt32(at + i);
    sum += (word >>> 16) + (word & 0xffff);
  }
  sum = (sum & 0xffff) + (sum >> 16);
  return ((sum + (sum >> 16)) & 0xffff) === 0xffff ? IPV4_OK : IPV4_BAD_CHECKSUM;
}

/** Bytes of the IPv4 header at `at` (its IHL, options included). */
export function headerBytes(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & 15) << 2;
}

/** One's-complement sum of `length` bytes plus `sum`, folded to 16 bits (RFC 1071). An odd last byte is padded with zero. */
export function sum16(bytes: Uint8Array, at: number, length: number, sum: number): number {
  const even = at + (length & ~1);
  let i = at;
  for (; i < even; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (length & 1) sum += bytes[i]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** Compute and store the header checksum (RFC 791 §3.1). */
export function setHeaderChecksum(bytes: Uint8Array, at: number): void {
  setU16(bytes, at + IP_CHECKSUM, 0);
  setU16(bytes, at + IP_CHECKSUM, ~sum16(bytes, at, headerBytes(bytes, at), 0) & 0xffff);
}

/**
 * Take one from the TTL and repair the checksum (RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m')).
 * With m' = m - 0x0100 the step is ~HC + 0xfeff, one's complement.
 */
export function decrementTtl(view: DataView, at: number): void {
  // TTL, protocol and checksum are one word.
  const word = view.getInt32(at + IP_TTL);
  view.setInt32(at + IP_TTL, ((word - 0x01000000) & 0xffff0000) | checksumAfterTtlStep(word & 0xffff));
}

/** The checksum step of `decrementTtl` alone: a pure function over 16 bits, so that a test can try them all. */
export function checksumAfterTtlStep(checksum: number): number {
  let sum = (~checksum & 0xffff) + 0xfeff;
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** Sum of the pseudo-header of RFC 793/768: addresses, protocol, L4 length; folded, not inverted. */
export function pseudoSum(bytes: Uint8Array, at: number, l4Bytes: number): number {
  return sum16(bytes, at + IP_SRC, 8, bytes[at + IP_PROTOCOL]! + l4Bytes);
}

/** "10.1.1.1". */
export function formatIpv4(address: Ipv4): string {
  return `${(address >>> 24) & 255}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The address that `text` spells in four decimal parts without leading zeros, or null. */
export function parseIpv4(text: string): Ipv4 | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (parts === null) return null;
  let address = 0;
  for (let i = 1; i <= 4; i++) {
    const part = parts[i]!;
    if (Number(part) > 255 || (part.length > 1 && part[0] === "0")) return null;
    address = (address << 8) | Number(part);
  }
  return address | 0;
}

/** The mask of a prefix length 0..32 as an int32. */
export function maskOf(length: number): number {
  return length === 0 ? 0 : (-1 << (32 - length)) | 0;
}

/** 224/4. */
export function isMulticast(address: Ipv4): boolean {
  return (address & 0xf0000000) === (0xe0000000 | 0);
}

/** 01:00:5e and the last 23 bits of a group (RFC 1112 §6.4). */
export function groupMac4(group: Ipv4): Mac {
  return 0x01005e000000 + (group & 0x7fffff);
}

/** 127/8. */
export function isLoopback(address: Ipv4): boolean {
  return (address & 0xff000000) === 0x7f000000;
}

/** 0/8, "this network" (RFC 1122 §3.2.1.3). */
export function isThisNetwork(address: Ipv4): boolean {
  return (address & 0xff000000) === 0;
}

/** 169.254/16 (RFC 3927 §2.7: never forwarded). */
export function isLinkLocal(address: Ipv4): boolean {
  return (address & 0xffff0000) === (0xa9fe0000 | 0);
}

/** A source no forwarder may accept (RFC 1812 §5.3.7): 0/8, 127/8, 224/4, broadcast. */
export function isMartianSource(address: Ipv4): boolean {
  const first = address >>> 24;
  return first === 0 || first === 127 || (first >= 224 && (first < 240 || address === -1));
}

/** An inner source route (LSRR 131, SSRR 137) or an option list that does not parse (RFC 791 §3.1)? */
export function hasForbiddenOptions(bytes: Uint8Array, at: number): boolean {
  const end = at + headerBytes(bytes, at);
  let i = at + IPV4_BYTES;
  while (i < end) {
    const kind = bytes[i]!;
    if (kind === 0) return false;
    if (kind === 1) {
      i++;
      continue;
    }
    if (kind === 131 || kind === 137) return true;
    if (i + 1 >= end) return true;
    const length = bytes[i + 1]!;
    if (length < 2 || i + length > end) return true;
    i += length;
  }
  return false;
}

/**
 * Bytes of options that a non-first fragment must carry: those with the copied flag (RFC 791 §3.1), written at `to`,
 * padded to a multiple of four. The options at `at` have passed `hasForbiddenOptions`.
 */
export function copyFragmentOptions(bytes: Uint8Array, at: number, to: number): number {
  const end = at + headerBytes(bytes, at);
  let i = at + IPV4_BYTES;
  let n = 0;
  while (i < end) {
    const kind = bytes[i]!;
    if (kind === 0) break;
    const length = kind === 1 ? 1 : bytes[i + 1]!;
    if (kind & 0x80) for (let k = 0; k < length; k++) bytes[to + n++] = bytes[i + k]!;
    i += length;
  }
  while (n & 3) bytes[to + n++] = 0;
  return n;
}

/** Source and destination at once, for readers that only want to print. */
export function addressesAt(bytes: Uint8Array, at: number): { source: Ipv4; destination: Ipv4 } {
  return { source: i32(bytes, at + IP_SRC), destination: i32(bytes, at + IP_DST) };
}
