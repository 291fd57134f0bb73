/**
 * ICMP for IPv4 (RFC 792): echo and errors, built into a caller's buffer.
 *
 * What may never be answered with an error is decided by `mayAnswerError` alone (RFC 1812 §4.3.2.7, RFC 1122 §3.2.2):
 * one place, one test.
 */
import { i32, setI32, setU16, u16 } from "./bytes.ts";
import {
  FRAGMENT_OFFSET,
  headerBytes,
  IP_CHECKSUM,
  IP_DST,
  IP_FRAGMENT,
  IP_ID,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TOS,
  IP_TTL,
  IPV4_BYTES,
  type Ipv4,
  isLoopback,
  isMartianSource,
  isMulticast,
  PROTO_ICMP,
  setHeaderChecksum,
  sum16,
} from "./ipv4.ts";

export const ICMP_BYTES = 8;
export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;

export const CODE_NET_UNREACHABLE = 0;
export const CODE_HOST_UNREACHABLE = 1;
export const CODE_PROTOCOL_UNREACHABLE = 2;
export const CODE_PORT_UNREACHABLE = 3;
export const CODE_FRAGMENTATION_NEEDED = 4;
export const CODE_PROHIBITED = 13;

/** RFC 1812 §4.3.2.3: an error quotes as much as fits into 576 bytes in all. */
export const ICMP_ERROR_MAX_BYTES = 576;

/**
 * May the IPv4 packet at `at` be answered with an ICMP error? Not about an ICMP error (or any ICMP that is not a query),
 * a non-first fragment, a group or broadcast destination, a martian or class E source. The packet has passed `checkIpv4`.
 */
export function mayAnswerError(bytes: Uint8Array, at: number): boolean {
  const source = i32(bytes, at + IP_SRC);
  const destination = i32(bytes, at + IP_DST);
  if (isMartianSource(source) || (source & 0xf0000000) === (0xf0000000 | 0)) return false;
  if (isMulticast(destination) || destination === -1 || isLoopback(destination)) return false;
  if ((u16(bytes, at + IP_FRAGMENT) & FRAGMENT_OFFSET) !== 0) return false;
  if (bytes[at + IP_PROTOCOL] !== PROTO_ICMP) return true;
  const l4 = at + headerBytes(bytes, at);
  if (u16(bytes, at + IP_LENGTH) < headerBytes(bytes, at) + 1) return false;
  const type = bytes[l4]!;
  return type === ICMP_ECHO_REQUEST || type === ICMP_ECHO_REPLY || (type >= 13 && type <= 18);
}

/**
 * Write an IPv4 packet with an ICMP error about the packet `quoted[at..]` to `out[to..]`.
 * @param rest the second word of the ICMP header: 0, or the next-hop MTU for 3/4 (RFC 1191 §4).
 * @returns bytes written (IPv4 header included), at most 576; the quote never reads past the packet's total length.
 */
export function emitIcmpError(
  out: Uint8Array,
  to: number,
  quoted: Uint8Array,
  at: number,
  from: Ipv4,
  type: number,
  code: number,
  rest: number,
): number {
  const quote = Math.min(u16(quoted, at + IP_LENGTH), ICMP_ERROR_MAX_BYTES - IPV4_BYTES - ICMP_BYTES);
  const total = IPV4_BYTES + ICMP_BYTES + quote;
  const l4 = to + IPV4_BYTES;
  out[l4] = type;
  out[l4 + 1] = code;
  setU16(out, l4 + 2, 0);
  setI32(out, l4 + 4, rest);
  for (let i = 0; i < quote; i++) out[l4 + ICMP_BYTES + i] = quoted[at + i]!;
  setU16(out, l4 + 2, ~sum16(out, l4, ICMP_BYTES + quote, 0) & 0xffff);
  // RFC 1812 §4.3.2.5: errors carry precedence 6 (internetwork control).
  emitIpv4(out, to, total, from, i32(quoted, at + IP_SRC), PROTO_ICMP, 0xc0, 64, 0);
  return total;
}

/** Write a 20-byte IPv4 header. `fragment` is the flags-and-offset word. */
export function emitIpv4(
  out: Uint8Array,
  to: number,
  total: number,
  source: Ipv4,
  destination: Ipv4,
  protocol: number,
  tos: number,
  ttl: number,
  id: number,
  fragment = 0,
): void {
  out[to] = 0x45;
  out[to + IP_TOS] = tos;
  setU16(out, to + IP_LENGTH, total);
  setU16(out, to + IP_ID, id);
  setU16(out, to + IP_FRAGMENT, fragment);
  out[to + IP_TTL] = ttl;
  out[to + IP_PROTOCOL] = protocol;
  setU16(out, to + IP_CHECKSUM, 0);
  setI32(out, to + IP_SRC, source);
  setI32(out, to + IP_DST, destination);
  setHeaderChecksum(out, to);
}

/** Is the ICMP message of `length` bytes at `at` intact (RFC 792: checksum over the whole message)? */
export function isIcmpIntact(bytes: Uint8Array, at: number, length: number): boolean {
  return length >= ICMP_BYTES && sum16(bytes, at, length, 0) === 0xffff;
}

/** Turn the echo request of `length` bytes at `at` into its reply, in place (RFC 792: type and checksum change). */
export function echoReply(bytes: Uint8Array, at: number, length: number): void {
  bytes[at] = ICMP_ECHO_REPLY;
  setU16(bytes, at + 2, 0);
  setU16(bytes, at + 2, ~sum16(bytes, at, length, 0) & 0xffff);
}
