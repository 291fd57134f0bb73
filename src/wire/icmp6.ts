/**
 * ICMP for IPv6 (RFC 4443): errors, built into a caller's buffer.
 *
 *     0  type   1  code   2  checksum (with the pseudo-header of RFC 8200 §8.1)   4  MTU, or what the type wants
 */
import { setI32, setU16 } from "./bytes.ts";
import { sum16 } from "./ipv4.ts";
import {
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_ADDRESS_BYTES,
  IPV6_BYTES,
  IPV6_LEAST_MTU,
  isGroup6,
  isSource6,
  PROTO_ICMP6,
  upperLayer,
} from "./ipv6.ts";

export const ICMP6_BYTES = 8;
export const ICMP6_UNREACHABLE = 1;
export const ICMP6_PACKET_TOO_BIG = 2;
export const ICMP6_TIME_EXCEEDED = 3;
export const ICMP6_PARAMETER_PROBLEM = 4;
export const ICMP6_ECHO_REQUEST = 128;
export const ICMP6_ECHO_REPLY = 129;
/** Of unreachable (RFC 4443 §3.1). */
export const CODE6_NO_ROUTE = 0;
export const CODE6_PROHIBITED = 1;
export const CODE6_ADDRESS = 3;
export const CODE6_PORT = 4;
/** Of a parameter problem (§3.4): a next header that is not known. */
export const CODE6_NEXT_HEADER = 1;
/** The first that is no error (RFC 4443 §2.1). */
const ICMP6_INFORMATIONAL = 128;
export const ICMP6_ROUTER_SOLICITATION = 133;
export const ICMP6_ROUTER_ADVERTISEMENT = 134;
export const ICMP6_NEIGHBOR_SOLICITATION = 135;
export const ICMP6_NEIGHBOR_ADVERTISEMENT = 136;
export const ICMP6_REDIRECT = 137;

/** RFC 4443 §2.4 (c): an error quotes as much as fits into the least MTU of IPv6. */
export const ICMP6_ERROR_MAX_BYTES = IPV6_LEAST_MTU;

/**
 * May the packet in `bytes[at, end)` be answered with an error? Not about an error or a redirect, nor to a source that is no single
 * node (RFC 4443 §2.4 e.1, e.2, e.6), nor about a packet to a group, unless `toGroup`: packet too big is due all the same (e.3).
 * Nor where that cannot be told: of a later fragment, and of headers that do not end.
 */
export function mayAnswerError6(bytes: Uint8Array, at: number, end: number, toGroup = false): boolean {
  const upper = upperLayer(bytes, at, end);
  if (upper < 0 || !isSource6(bytes, at + IP6_SRC) || (!toGroup && isGroup6(bytes, at + IP6_DST))) return false;
  if ((upper & 0xff) !== PROTO_ICMP6) return true;
  const l4 = upper >> 8;
  return l4 < end && bytes[l4]! >= ICMP6_INFORMATIONAL && bytes[l4] !== ICMP6_REDIRECT;
}

/** The same of packet too big. */
export function mayAnswerTooBig(bytes: Uint8Array, at: number, end: number): boolean {
  return mayAnswerError6(bytes, at, end, true);
}

/**
 * Write an IPv6 packet with an error (RFC 4443 §3) about the packet `quoted[at, end)` to `out[to..]`. Its source address stands
 * there already: the caller knows who it is.
 * @param rest the word behind the checksum: an MTU, or a pointer. @param most bytes that may be written, at most ICMP6_ERROR_MAX_BYTES.
 * @returns bytes written, the IPv6 header included.
 */
export function emitError6(
  out: Uint8Array,
  to: number,
  quoted: Uint8Array,
  { at, end }: { readonly at: number; readonly end: number },
  { type, code, rest }: { readonly type: number; readonly code: number; readonly rest: number },
  most: number,
): number {
  const quote = Math.min(end - at, most - IPV6_BYTES - ICMP6_BYTES);
  const length = ICMP6_BYTES + quote;
  const l4 = to + IPV6_BYTES;
  for (let i = 0; i < IPV6_ADDRESS_BYTES; i++) out[to + IP6_DST + i] = quoted[at + IP6_SRC + i]!;
  out[l4] = type;
  out[l4 + 1] = code;
  setI32(out, l4 + 4, rest);
  for (let i = 0; i < quote; i++) out[l4 + ICMP6_BYTES + i] = quoted[at + i]!;
  sealIcmp6(out, to, length);
  return IPV6_BYTES + length;
}

/** Packet too big (RFC 4443 §3.2). */
export function emitTooBig(
  out: Uint8Array,
  to: number,
  quoted: Uint8Array,
  at: number,
  end: number,
  mtu: number,
  most: number,
): number {
  return emitError6(out, to, quoted, { at, end }, { type: ICMP6_PACKET_TOO_BIG, code: 0, rest: mtu }, most);
}

/** The fixed header at `to`, without its addresses, which stand there, and the checksum of the `length` bytes behind it. */
export function sealIcmp6(out: Uint8Array, to: number, length: number): void {
  setI32(out, to, 6 << 28);
  setU16(out, to + IP6_LENGTH, length);
  out[to + IP6_NEXT] = PROTO_ICMP6;
  out[to + IP6_HOPS] = 64;
  setU16(out, to + IPV6_BYTES + 2, 0);
  setU16(out, to + IPV6_BYTES + 2, ~checksum6(out, to, length) & 0xffff);
}

/**
 * Sum over the message of `length` bytes behind the fixed header at `at`, pseudo-header included: 0xffff of an intact one.
 * TCP and UDP have the same one with their own `protocol`.
 */
export function checksum6(bytes: Uint8Array, at: number, length: number, protocol = PROTO_ICMP6): number {
  const pseudo = sum16(bytes, at + IP6_SRC, 2 * IPV6_ADDRESS_BYTES, length + protocol);
  return sum16(bytes, at + IPV6_BYTES, length, pseudo);
}
