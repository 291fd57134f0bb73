/**
 * Router advertisement (RFC 4861 §4.2), the message behind the IPv6 header:
 *
 *     0  type = 134   1  code   2  checksum   4  hop limit   5  flags M O .. preference (RFC 4191)   6  lifetime
 *     8  reachable time   12  retransmission time   16  options
 *
 * Options: 1 source link-layer address, 3 prefix, 5 MTU (§4.6), 25 recursive DNS servers, 31 DNS search list (RFC 8106).
 */
import { setI32, setU16, u16, u32 } from "./bytes.ts";
import { type Mac, readMac } from "./ethernet.ts";
import { ICMP6_ROUTER_ADVERTISEMENT } from "./icmp6.ts";
import { type Ipv6, readIpv6, writeIpv6 } from "./ipv6.ts";

const OPTION_SOURCE_LINK_LAYER = 1;
const OPTION_PREFIX = 3;
const OPTION_MTU = 5;
const OPTION_RDNSS = 25;
const OPTION_DNSSL = 31;
const FLAG_MANAGED = 0x80;
const FLAG_OTHER = 0x40;
const PREFIX_ON_LINK = 0x80;
const PREFIX_AUTONOMOUS = 0x40;

/** RFC 4191 §2.1: two bits, signed; 2 is reserved and means medium. */
const PREFERENCES = ["medium", "high", "medium", "low"] as const;
export type RouterPreference = "high" | "medium" | "low";

export interface AdvertisedPrefix {
  readonly network: Ipv6;
  readonly length: number;
  /** L: hosts of it are neighbours. */
  readonly onLink: boolean;
  /** A: a host may make its own address of it (RFC 4862). */
  readonly autonomous: boolean;
  readonly validSeconds: number;
  readonly preferredSeconds: number;
}

export interface RouterAdvertisement {
  readonly type: typeof ICMP6_ROUTER_ADVERTISEMENT;
  /** 0: it says nothing. */
  readonly hopLimit: number;
  readonly managed: boolean;
  readonly other: boolean;
  readonly preference: RouterPreference;
  /** 0: no default router. */
  readonly lifetimeSeconds: number;
  readonly mac: Mac | null;
  readonly mtu: number | null;
  readonly prefixes: readonly AdvertisedPrefix[];
  readonly dns: readonly Ipv6[];
  readonly search: readonly string[];
  /** Of DNS servers and search list. */
  readonly dnsSeconds: number;
}

/** The message in `bytes[at, end)`, whose checksum and code are right, or null (RFC 4861 §6.1.2). */
export function parseRouterAdvertisement(bytes: Uint8Array, at: number, end: number): RouterAdvertisement | null {
  if (end - at < 16) return null;
  let mac: Mac | null = null;
  let mtu: number | null = null;
  let dnsSeconds = 0;
  const prefixes: AdvertisedPrefix[] = [];
  const dns: Ipv6[] = [];
  const search: string[] = [];
  for (let i = at + 16; i < end; ) {
    const length = i + 2 > end ? 0 : bytes[i + 1]! << 3;
    if (length === 0 || i + length > end) return null;
    const type = bytes[i]!;
    if (type === OPTION_SOURCE_LINK_LAYER && length === 8) mac = readMac(bytes, i + 2);
    if (type === OPTION_MTU && length === 8) mtu = u32(bytes, i + 4);
    if (type === OPTION_PREFIX && length === 32) prefixes.push(prefixAt(bytes, i));
    if (type === OPTION_RDNSS && length >= 24) {
      dnsSeconds = u32(bytes, i + 4);
      for (let k = i + 8; k + 16 <= i + length; k += 16) dns.push(readIpv6(bytes, k));
    }
    if (type === OPTION_DNSSL && length >= 16) {
      dnsSeconds = u32(bytes, i + 4);
      search.push(...namesIn(bytes, i + 8, i + length));
    }
    i += length;
  }
  const flags = bytes[at + 5]!;
  return {
    type: ICMP6_ROUTER_ADVERTISEMENT,
    hopLimit: bytes[at + 4]!,
    managed: (flags & FLAG_MANAGED) !== 0,
    other: (flags & FLAG_OTHER) !== 0,
    preference: PREFERENCES[(flags >> 3) & 3]!,
    lifetimeSeconds: u16(bytes, at + 6),
    ...{ mac, mtu, prefixes, dns, search, dnsSeconds },
  };
}

function prefixAt(bytes: Uint8Array, at: number): AdvertisedPrefix {
  const flags = bytes[at + 3]!;
  return {
    network: readIpv6(bytes, at + 16),
    length: bytes[at + 2]!,
    onLink: (flags & PREFIX_ON_LINK) !== 0,
    autonomous: (flags & PREFIX_AUTONOMOUS) !== 0,
    validSeconds: u32(bytes, at + 4),
    preferredSeconds: u32(bytes, at + 8),
  };
}

/** Names as sequences of labels, each ended by an empty one (RFC 1035 §3.1, without compression); zeros behind them. */
function namesIn(bytes: Uint8Array, at: number, end: number): string[] {
  const names: string[] = [];
  let labels: string[] = [];
  for (let i = at; i < end; ) {
    const length = bytes[i]!;
    if (length === 0) {
      if (labels.length > 0) names.push(labels.join("."));
      labels = [];
      i++;
      continue;
    }
    if (length > 63 || i + 1 + length > end) break;
    labels.push(String.fromCharCode(...bytes.subarray(i + 1, i + 1 + length)));
    i += 1 + length;
  }
  return names;
}

/** Write the message at `l4`; its checksum is not its own matter. @returns the place behind it. */
export function writeRouterAdvertisement(bytes: Uint8Array, l4: number, ra: Omit<RouterAdvertisement, "type">): number {
  setI32(bytes, l4, ICMP6_ROUTER_ADVERTISEMENT << 24);
  bytes[l4 + 4] = ra.hopLimit;
  const preference = ra.preference === "medium" ? 0 : ra.preference === "high" ? 1 : 3;
  bytes[l4 + 5] = (ra.managed ? FLAG_MANAGED : 0) | (ra.other ? FLAG_OTHER : 0) | (preference << 3);
  setU16(bytes, l4 + 6, ra.lifetimeSeconds);
  setI32(bytes, l4 + 8, 0);
  setI32(bytes, l4 + 12, 0);
  let to = l4 + 16;
  if (ra.mac !== null) {
    setU16(bytes, to, (OPTION_SOURCE_LINK_LAYER << 8) | 1);
    setU16(bytes, to + 2, Math.floor(ra.mac / 0x100000000));
    setI32(bytes, to + 4, ra.mac | 0);
    to += 8;
  }
  if (ra.mtu !== null) {
    setI32(bytes, to, (OPTION_MTU << 24) | (1 << 16));
    setI32(bytes, to + 4, ra.mtu);
    to += 8;
  }
  for (const prefix of ra.prefixes) to = writePrefix(bytes, to, prefix);
  if (ra.dns.length > 0) {
    setI32(bytes, to, (OPTION_RDNSS << 24) | ((1 + 2 * ra.dns.length) << 16));
    setI32(bytes, to + 4, ra.dnsSeconds | 0);
    for (const [i, server] of ra.dns.entries()) writeIpv6(bytes, to + 8 + 16 * i, server);
    to += 8 + 16 * ra.dns.length;
  }
  return ra.search.length > 0 ? writeSearch(bytes, to, ra.search, ra.dnsSeconds) : to;
}

function writePrefix(bytes: Uint8Array, at: number, prefix: AdvertisedPrefix): number {
  bytes[at] = OPTION_PREFIX;
  bytes[at + 1] = 4;
  bytes[at + 2] = prefix.length;
  bytes[at + 3] = (prefix.onLink ? PREFIX_ON_LINK : 0) | (prefix.autonomous ? PREFIX_AUTONOMOUS : 0);
  setI32(bytes, at + 4, prefix.validSeconds | 0);
  setI32(bytes, at + 8, prefix.preferredSeconds | 0);
  setI32(bytes, at + 12, 0);
  writeIpv6(bytes, at + 16, prefix.network);
  return at + 32;
}

function writeSearch(bytes: Uint8Array, at: number, names: readonly string[], seconds: number): number {
  let to = at + 8;
  for (const name of names) {
    for (const label of name.split(".")) {
      bytes[to++] = label.length;
      for (let i = 0; i < label.length; i++) bytes[to++] = label.charCodeAt(i);
    }
    bytes[to++] = 0;
  }
  while (((to - at) & 7) !== 0) bytes[to++] = 0;
  setI32(bytes, at, (OPTION_DNSSL << 24) | (((to - at) >> 3) << 16));
  setI32(bytes, at + 4, seconds | 0);
  return to;
}
