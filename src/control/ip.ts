/**
 * An address of either family, as control holds it: IPv4 as its int32, IPv6 as a bigint.
 *
 * `typeof` is the family. Both are values: `===` compares them, a Map finds them, nothing is interned. Workers never see a
 * bigint (they have no allocation to spare); what they share with control of a neighbour is the number of its adjacency.
 */
import { formatIpv4, type Ipv4, maskOf, parseIpv4 } from "../wire/ipv4.ts";
import { formatIpv6, type Ipv6, isLinkLocal6, parseIpv6 } from "../wire/ipv6.ts";

export type Ip = number | bigint;

const IPV6_BITS = 128;

/** Which addresses are meant; null: all. */
export type Family = 4 | 6;

export function isOfFamily(ip: Ip, family: Family | null): boolean {
  return family === null || (typeof ip === "number") === (family === 4);
}

/** An address of either family, or null if `text` is none. */
export function parseIp(text: string): Ip | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** A prefix in a text that no other one has, sooner made than the one for people. */
export function prefixKey(network: Ip, length: number): string {
  return typeof network === "number" ? `${network} ${length}` : `${network.toString(16)}/${length}`;
}

export function formatIp(ip: Ip): string {
  return typeof ip === "number" ? formatIpv4(ip) : formatIpv6(ip);
}

/** The address as code that knows IPv4 alone holds it. Another one there is our own mistake. */
export function asIpv4(ip: Ip): Ipv4 {
  if (typeof ip === "bigint") throw new Error(`${formatIp(ip)}: an IPv4 address was promised`);
  return ip;
}

/** The same of IPv6. */
export function asIpv6(ip: Ip): Ipv6 {
  if (typeof ip === "number") throw new Error(`${formatIp(ip)}: an IPv6 address was promised`);
  return ip;
}

export function isSameFamily(a: Ip, b: Ip): boolean {
  return typeof a === typeof b;
}

/** Does it mean one link alone, over which no router forwards (RFC 4291 §2.5.6)? IPv4's are routed like others. */
export function isOfLink(ip: Ip): boolean {
  return typeof ip === "bigint" && isLinkLocal6(ip);
}

/** IPv4 before IPv6, each in the order of its numbers. */
export function compareIp(a: Ip, b: Ip): number {
  if (typeof a === "number" && typeof b === "number") return (a >>> 0) - (b >>> 0);
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}

/** The network of length `length` that `ip` lies in. */
export function networkOf<A extends Ip>(ip: A, length: number): A;
export function networkOf(ip: Ip, length: number): Ip {
  if (typeof ip === "number") return ip & maskOf(length);
  const hostBits = BigInt(IPV6_BITS - length);
  return (ip >> hostBits) << hostBits;
}

/** Bits of an address of the family of `ip`: the length of a host's own prefix. */
export function bitsOf(ip: Ip): number {
  return typeof ip === "number" ? 32 : IPV6_BITS;
}

/** Does `ip` lie in network/length? */
export function isWithin(ip: Ip, network: Ip, length: number): boolean {
  if (typeof ip === "number" && typeof network === "number") return ((ip ^ network) & maskOf(length)) === 0;
  if (typeof ip === "bigint" && typeof network === "bigint") return (ip ^ network) >> BigInt(IPV6_BITS - length) === 0n;
  return false;
}

/**
 * Can `ip`, of a subnet of `length`, be a host's? IPv4: neither its network nor its broadcast address (RFC 3021: /31 has
 * none). IPv6: not the anycast address of the subnet's routers (RFC 4291 §2.6.1; RFC 6164 §5: /127 has none).
 */
export function isHostIn(ip: Ip, length: number): boolean {
  if (typeof ip === "bigint") return length >= IPV6_BITS - 1 || BigInt.asUintN(IPV6_BITS - length, ip) !== 0n;
  if (length >= 31) return true;
  const hostBits = ~maskOf(length);
  return (ip & hostBits) !== 0 && (ip & hostBits) !== hostBits;
}
