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
  isSource6,
  PROTO_ICMP6,
  upperLayer,
} from "./ipv6.ts";

export const ICMP6_BYTES = 8;
export const ICMP6_PACKET_TOO_BIG = 2;
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
 * May the packet in `bytes[at, end)` be answered with packet too big? Not about an error or a redirect, nor to a source that
 * is no single node (RFC 4443 §2.4 e.1, e.2, e.6); nor where that cannot be told: of a later fragment, and of headers
 * that do not end. A group as destination is no reason for silence here (e.3).
 */
export function mayAnswerTooBig(bytes: Uint8Array, at: number, end: number): boolean {
  const upper = upperLayer(bytes, at, end);
  if (upper < 0 || !isSource6(bytes, at + IP6_SRC)) return false;
  if ((upper & 0xff) !== PROTO_ICMP6) return true;
  const l4 = upper >> 8;
  return l4 < end && bytes[l4]! >= ICMP6_INFORMATIONAL && bytes[l4] !== ICMP6_REDIRECT;
}

/**
 * Write an IPv6 packet with packet too big (RFC 4443 §3.2) about the packet `quoted[at, end)` to `out[to..]`. Its source
 * address stands there already: the caller knows who it is.
 * @param most bytes that may be written, at most ICMP6_ERROR_MAX_BYTES.
 * @returns bytes written, the IPv6 header included.
 */
export function emitTooBig(
  out: Uint8Array,
  to: number,
  quoted: Uint8Array,
  at: number,
  end: number,
  mtu: number,
  most: number,
): number {
  const quote = Math.min(end - at, most - IPV6_BYTES - ICMP6_BYTES);
  const length = ICMP6_BYTES + quote;
  const l4 = to + IPV6_BYTES;
  setI32(out, to, 6 << 28);
  setU16(out, to + IP6_LENGTH, length);
  out[to + IP6_NEXT] = PROTO_ICMP6;
  out[to + IP6_HOPS] = 64;
  for (let i = 0; i < IPV6_ADDRESS_BYTES; i++) out[to + IP6_DST + i] = quoted[at + IP6_SRC + i]!;
  out[l4] = ICMP6_PACKET_TOO_BIG;
  out[l4 + 1] = 0;
  setU16(out, l4 + 2, 0);
  setI32(out, l4 + 4, mtu);
  for (let i = 0; i < quote; i++) out[l4 + ICMP6_BYTES + i] = quoted[at + i]!;
  setU16(out, l4 + 2, ~checksum6(out, to, length) & 0xffff);
  return IPV6_BYTES + length;
}

/**
 * Sum over the message of `length` bytes behind the fixed header at `at`, pseudo-header included: 0xffff of an intact one.
 * TCP and UDP have the same one with their own `protocol`.
 */
export function checksum6(bytes: Uint8Array, at: number, length: number, protocol = PROTO_ICMP6): number {
  const pseudo = sum16(bytes, at + IP6_SRC, 2 * IPV6_ADDRESS_BYTES, length + protocol);
  return sum16(bytes, at + IPV6_BYTES, length, pseudo);
}
