/**
 * Addresses as keys of a Map.
 *
 * V8 hashes a bigint by its low 64 bits alone. Prefixes of up to 64 bits have none of them, and hosts may have one interface
 * identifier in many prefixes: all of these would be one chain, and who chooses addresses could make a chain of any length. So the
 * low half of a key is mixed with what stands above it, by factors that are chosen once for each process.
 */
import { randomBytes } from "node:crypto";
import type { Ip } from "./ip.ts";

const HALF = 64n;
const IPV6_BITS = 128n;
const [HIGH_FACTOR, ROW_FACTOR] = [randomFactor(), randomFactor()];

function randomFactor(): bigint {
  return randomBytes(8).readBigUInt64LE() | 1n;
}

/** The key of `ip`, or of a larger number with one below it. It is its own inverse: the key of a key is the address. */
export function mapKey<A extends Ip>(ip: A): A;
export function mapKey(ip: Ip): Ip {
  if (typeof ip === "number") return ip;
  const mixed = ip ^ BigInt.asUintN(64, (ip >> HALF) * HIGH_FACTOR);
  const row = ip >> IPV6_BITS;
  return row === 0n ? mixed : mixed ^ BigInt.asUintN(64, row * ROW_FACTOR);
}

/** One key for (row, IP): no two pairs have the same, of whichever families. A double holds that of IPv4 exactly. */
export function ipKey(row: number, ip: Ip): Ip {
  return typeof ip === "number" ? row * 0x100000000 + (ip >>> 0) : mapKey((BigInt(row) << IPV6_BITS) | ip);
}
