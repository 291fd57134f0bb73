/**
 * IPv6 (RFC 8200): the fixed header, the chain of headers behind it, and addresses.
 *
 *     0  version, traffic class, flow label   4  payload length   6  next header   7  hop limit
 *     8  source                              24  destination     40  the next header
 *
 * Addresses are 128-bit integers (RFC 4291) in control: equal ones are `===`, and a Map finds them by value. Never at frame
 * time, where an address is four int32.
 */
import { i32, setI32, setU16, u16 } from "./bytes.ts";
import { type Mac, writeMac } from "./ethernet.ts";
import { parseIpv4 } from "./ipv4.ts";

export const IPV6_BYTES = 40;
export const IP6_LENGTH = 4;
export const IP6_NEXT = 6;
export const IP6_HOPS = 7;
export const IP6_SRC = 8;
export const IP6_DST = 24;
export const IPV6_ADDRESS_BYTES = 16;
/** Every link carries packets of this length (RFC 8200 §5). */
export const IPV6_LEAST_MTU = 1280;

export const PROTO_ICMP6 = 58;
const HOP_BY_HOP = 0;
const ROUTING = 43;
export const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;
const MOBILITY = 135;
const HOST_IDENTITY = 139;
const SHIM6 = 140;

/** Extension headers that are looked through; more of them are not sent by honest hosts (RFC 7113 §2). */
export const MAX_EXTENSION_HEADERS = 8;
/** What `upperLayer` says of a chain that does not end within the bytes, or is too long. */
export const UNDETERMINED = -1;
/** Of a fragment that is not the first: its first one has the chain. */
export const LATER_FRAGMENT = -2;

/**
 * The header behind all extension headers (RFC 8200 §4) of the packet at `at`.
 * @returns (its offset << 8) | its number, or UNDETERMINED, or LATER_FRAGMENT. No byte at `end` or behind is read; the header
 * found may itself lie there.
 */
export function upperLayer(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < IPV6_BYTES) return UNDETERMINED;
  let next = bytes[at + IP6_NEXT]!;
  let i = at + IPV6_BYTES;
  for (let n = 0; n <= MAX_EXTENSION_HEADERS; n++) {
    if (!isExtension(next)) return (i << 8) | next;
    if (i + 8 > end) return UNDETERMINED;
    if (next === FRAGMENT && (u16(bytes, i + 2) & 0xfff8) !== 0) return LATER_FRAGMENT;
    // RFC 4302 §2.2 counts words of four bytes, all others eight. A fragment header has eight bytes, whatever it says.
    const length =
      next === FRAGMENT ? 8 : next === AUTHENTICATION ? (bytes[i + 1]! + 2) << 2 : (bytes[i + 1]! + 1) << 3;
    next = bytes[i]!;
    i += length;
  }
  return UNDETERMINED;
}

/** Of a LATER_FRAGMENT at `at`: the number of the header with which what was cut begins. The chain up to there is in the bytes. */
export function protocolOfFragment(bytes: Uint8Array, at: number): number {
  let next = bytes[at + IP6_NEXT]!;
  let i = at + IPV6_BYTES;
  while (next !== FRAGMENT) {
    const length = next === AUTHENTICATION ? (bytes[i + 1]! + 2) << 2 : (bytes[i + 1]! + 1) << 3;
    next = bytes[i]!;
    i += length;
  }
  return bytes[i]!;
}

function isExtension(next: number): boolean {
  switch (next) {
    case HOP_BY_HOP:
    case ROUTING:
    case FRAGMENT:
    case AUTHENTICATION:
    case DESTINATION_OPTIONS:
    case MOBILITY:
    case HOST_IDENTITY:
    case SHIM6:
      return true;
    default:
      return false;
  }
}

/** ff00::/8. */
export function isGroup6(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xff;
}

/** Can the address at `at` be a packet's source: neither :: nor ::1 nor a group (RFC 4291 §2.5.2, §2.5.3, §2.7)? */
export function isSource6(bytes: Uint8Array, at: number): boolean {
  const isLow = (i32(bytes, at) | i32(bytes, at + 4) | i32(bytes, at + 8)) === 0;
  const last = i32(bytes, at + 12);
  return !isGroup6(bytes, at) && !(isLow && (last === 0 || last === 1));
}

/** The link-local address that a MAC gives (RFC 4291 §2.5.6 and appendix A), written at `at`. */
export function writeLinkLocal(bytes: Uint8Array, at: number, mac: Mac): void {
  bytes.fill(0, at, at + IPV6_ADDRESS_BYTES);
  setU16(bytes, at, 0xfe80);
  writeMac(bytes, at + 8, mac);
  bytes.copyWithin(at + 13, at + 11, at + 14);
  bytes[at + 8]! ^= 0x02;
  setU16(bytes, at + 11, 0xfffe);
}

/** The same as an address. */
export function linkLocalOfMac(mac: Mac): Ipv6 {
  const bytes = new Uint8Array(IPV6_ADDRESS_BYTES);
  writeLinkLocal(bytes, 0, mac);
  return readIpv6(bytes, 0);
}

export type Ipv6 = bigint;

/** The MAC that made a link-local address (RFC 4291 appendix A); null: it was made otherwise. */
export function macOfLinkLocal(address: Ipv6): Mac | null {
  if (address >> 64n !== 0xfe80n << 48n || ((address >> 24n) & 0xffffn) !== 0xfffen) return null;
  const upper = ((address >> 40n) & 0xffffffn) ^ 0x020000n;
  return Number((upper << 24n) | (address & 0xffffffn));
}

/** ff00::/8. */
export function isMulticast6(address: Ipv6): boolean {
  return address >> 120n === 0xffn;
}

/** fe80::/10. */
export function isLinkLocal6(address: Ipv6): boolean {
  return address >> 118n === 0x3fan;
}

/** The address at `at`. */
export function readIpv6(bytes: Uint8Array, at: number): Ipv6 {
  let address = 0n;
  for (let i = 0; i < IPV6_ADDRESS_BYTES; i += 4)
    address = (address << 32n) | BigInt.asUintN(32, BigInt(i32(bytes, at + i)));
  return address;
}

/** Write `address` at `at`. */
export function writeIpv6(bytes: Uint8Array, at: number, address: Ipv6): void {
  for (let i = 0; i < IPV6_ADDRESS_BYTES; i += 4)
    setI32(bytes, at + i, Number(BigInt.asIntN(32, address >> BigInt(96 - 8 * i))));
}

/** The four int32 of `address`, as workers have it. */
export function wordsOf(address: Ipv6): [number, number, number, number] {
  const word = (shift: bigint) => Number(BigInt.asIntN(32, address >> shift));
  return [word(96n), word(64n), word(32n), word(0n)];
}

/** The address that `text` is (RFC 4291 §2.2), without zone or length; null: none. */
export function parseIpv6(text: string): Ipv6 | null {
  const halves = text.split("::");
  if (halves.length > 2 || text.length > 45) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":").flatMap(groupsOf)));
  const groups = head!.length + (tail?.length ?? 0);
  if (tail === undefined ? groups !== 8 : groups > 7) return null;
  const all = [...head!, ...new Array<number>(8 - groups).fill(0), ...(tail ?? [])];
  if (all.some(Number.isNaN)) return null;
  return all.reduce((address, group) => (address << 16n) | BigInt(group), 0n);
}

/** One group, or the two that an IPv4 address at the end is. */
function groupsOf(text: string): number[] {
  if (/^[0-9a-f]{1,4}$/i.test(text)) return [Number.parseInt(text, 16)];
  const ipv4 = text.includes(".") ? parseIpv4(text) : null;
  return ipv4 === null ? [Number.NaN] : [ipv4 >>> 16, ipv4 & 0xffff];
}

/** "2001:db8::1" (RFC 5952 §4: no leading zeros, the longest run of two or more zero groups, the first of equals, is "::"). */
export function formatIpv6(address: Ipv6): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(112 - 16 * i)) & 0xffffn));
  let run = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > run.length) run = { at, length };
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return run.length < 2 ? text(0, 8) : `${text(0, run.at)}::${text(run.at + run.length, 8)}`;
}
