/**
 * Neighbour discovery for IPv6 over Ethernet (RFC 4861): ICMPv6 behind the fixed header, alone in its packet.
 *
 *     0  type   1  code = 0   2  checksum      solicitation 135   4  reserved      8  target   24  options
 *                                              advertisement 136  4  R S O flags   8  target   24  options
 *                                              router sol. 133    4  reserved      8  options
 *                                              redirect 137       4  reserved      8  target   24  destination   40  options
 *
 * An option is type, length in units of eight bytes, and what it says. Router advertisements are router-advertisement.ts.
 *
 * A message is parsed once, into an object: it is handled by control, where objects are allowed. What §§6.1, 7.1 and 8.1 say a
 * receiver must not take is null here, with the checksum, and with fragments (RFC 6980 §5). No host puts a header between.
 */
import { setI32, setU16, u16 } from "./bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, type Mac, readMac, TYPE_IPV6, writeMac } from "./ethernet.ts";
import {
  checksum6,
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_ADVERTISEMENT,
  ICMP6_ROUTER_SOLICITATION,
} from "./icmp6.ts";
import {
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  type Ipv6,
  isLinkLocal6,
  isMulticast6,
  PROTO_ICMP6,
  readIpv6,
  writeIpv6,
} from "./ipv6.ts";
import { parseRouterAdvertisement, type RouterAdvertisement } from "./router-advertisement.ts";

/** ff02::1 and ff02::2 (RFC 4291 §2.7.1). */
export const ALL_NODES: Ipv6 = (0xff02n << 112n) | 1n;
export const ALL_ROUTERS: Ipv6 = (0xff02n << 112n) | 2n;
export const UNSPECIFIED: Ipv6 = 0n;

const OPTION_SOURCE_LINK_LAYER = 1;
const OPTION_TARGET_LINK_LAYER = 2;
/** RFC 3971 §5.3.2; RFC 7527 has it tell a host its own probe from another's. */
const OPTION_NONCE = 14;

/** Only a message that has come over no router has it (RFC 4861 §3.1, §11.2). */
export const ND_HOP_LIMIT = 255;
/** From the start of a neighbour's solicitation or advertisement, or a redirect. */
export const ND_TARGET = 8;
const FLAG_ROUTER = 0x80000000 | 0;
const FLAG_SOLICITED = 0x40000000;
const FLAG_OVERRIDE = 0x20000000;
/** Nonces of so many bytes are kept; hosts use six. */
const MAX_NONCE = 30;
/** No solicitation or advertisement of ours is longer. */
export const ND_MAX_BYTES = ETH_BYTES + IPV6_BYTES + 24 + 8 + 2 + MAX_NONCE;

/** What stands around a message. */
export interface NdEnvelope {
  readonly ethDst: Mac;
  readonly ethSrc: Mac;
  readonly src: Ipv6;
  readonly dst: Ipv6;
}

export interface NeighborSolicitation {
  readonly type: typeof ICMP6_NEIGHBOR_SOLICITATION;
  readonly target: Ipv6;
  /** Source link-layer address. */
  readonly mac: Mac | null;
  readonly nonce: Uint8Array | null;
}

export interface NeighborAdvertisement {
  readonly type: typeof ICMP6_NEIGHBOR_ADVERTISEMENT;
  readonly target: Ipv6;
  readonly isRouter: boolean;
  readonly isSolicited: boolean;
  readonly isOverride: boolean;
  /** Target link-layer address. */
  readonly mac: Mac | null;
}

export interface RouterSolicitation {
  readonly type: typeof ICMP6_ROUTER_SOLICITATION;
  readonly mac: Mac | null;
}

export interface Redirect {
  readonly type: typeof ICMP6_REDIRECT;
  readonly target: Ipv6;
  readonly destination: Ipv6;
  readonly mac: Mac | null;
}

export type Nd = NdEnvelope &
  (NeighborSolicitation | NeighborAdvertisement | RouterSolicitation | RouterAdvertisement | Redirect);

/** Is ICMPv6 of `type` neighbour discovery? */
export function isNdType(type: number): boolean {
  return type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT;
}

/** The message in the frame `bytes[at, end)`, or null if it is none, or not valid. Bytes behind the packet do not matter. */
export function parseNd(bytes: Uint8Array, at: number, end: number): Nd | null {
  const l3 = at + ETH_BYTES;
  const l4 = l3 + IPV6_BYTES;
  if (end - at < ETH_BYTES + IPV6_BYTES + 8 || u16(bytes, at + ETH_TYPE) !== TYPE_IPV6 || bytes[l3]! >> 4 !== 6)
    return null;
  const length = u16(bytes, l3 + IP6_LENGTH);
  if (bytes[l3 + IP6_NEXT] !== PROTO_ICMP6 || bytes[l3 + IP6_HOPS] !== ND_HOP_LIMIT) return null;
  if (length < 8 || l4 + length > end || bytes[l4 + 1] !== 0 || checksum6(bytes, l3, length) !== 0xffff) return null;
  const envelope: NdEnvelope = {
    ethDst: readMac(bytes, at + ETH_DST),
    ethSrc: readMac(bytes, at + ETH_SRC),
    src: readIpv6(bytes, l3 + IP6_SRC),
    dst: readIpv6(bytes, l3 + IP6_DST),
  };
  if (isMulticast6(envelope.src)) return null;
  const message = parseMessage(bytes, l4, l4 + length, envelope);
  return message === null ? null : { ...envelope, ...message };
}

function parseMessage(bytes: Uint8Array, at: number, end: number, { src, dst }: NdEnvelope) {
  switch (bytes[at]) {
    case ICMP6_NEIGHBOR_SOLICITATION:
      return parseSolicitation(bytes, at, end, src, dst);
    case ICMP6_NEIGHBOR_ADVERTISEMENT:
      return parseAdvertisement(bytes, at, end, src, dst);
    case ICMP6_ROUTER_SOLICITATION:
      return parseRouterSolicitation(bytes, at, end, src);
    case ICMP6_ROUTER_ADVERTISEMENT:
      return isLinkLocal6(src) ? parseRouterAdvertisement(bytes, at, end) : null;
    case ICMP6_REDIRECT:
      return isLinkLocal6(src) ? parseRedirect(bytes, at, end) : null;
    default:
      return null;
  }
}

/** RFC 4861 §7.1.1. */
function parseSolicitation(
  bytes: Uint8Array,
  at: number,
  end: number,
  src: Ipv6,
  dst: Ipv6,
): NeighborSolicitation | null {
  const target = targetAt(bytes, at, end);
  if (target === null || !areOptions(bytes, at + 24, end)) return null;
  const mac = linkLayer(bytes, at + 24, end, OPTION_SOURCE_LINK_LAYER);
  // A probe has no sender to tell of, and goes to those who may have the address (§7.1.1, RFC 4862 §5.4.2).
  if (src === UNSPECIFIED && (mac !== null || dst !== solicitedNode(target))) return null;
  return { type: ICMP6_NEIGHBOR_SOLICITATION, target, mac, nonce: nonceOf(bytes, at + 24, end) };
}

/** RFC 4861 §7.1.2. */
function parseAdvertisement(
  bytes: Uint8Array,
  at: number,
  end: number,
  src: Ipv6,
  dst: Ipv6,
): NeighborAdvertisement | null {
  const target = targetAt(bytes, at, end);
  if (target === null || !areOptions(bytes, at + 24, end) || src === UNSPECIFIED) return null;
  const flags = bytes[at + 4]!;
  const isSolicited = (flags & 0x40) !== 0;
  if (isSolicited && isMulticast6(dst)) return null;
  return {
    type: ICMP6_NEIGHBOR_ADVERTISEMENT,
    target,
    isRouter: (flags & 0x80) !== 0,
    isSolicited,
    isOverride: (flags & 0x20) !== 0,
    mac: linkLayer(bytes, at + 24, end, OPTION_TARGET_LINK_LAYER),
  };
}

/** RFC 4861 §6.1.1. */
function parseRouterSolicitation(bytes: Uint8Array, at: number, end: number, src: Ipv6): RouterSolicitation | null {
  if (!areOptions(bytes, at + 8, end)) return null;
  const mac = linkLayer(bytes, at + 8, end, OPTION_SOURCE_LINK_LAYER);
  return src === UNSPECIFIED && mac !== null ? null : { type: ICMP6_ROUTER_SOLICITATION, mac };
}

/** RFC 4861 §8.1, as far as a message alone tells. */
function parseRedirect(bytes: Uint8Array, at: number, end: number): Redirect | null {
  const target = targetAt(bytes, at, end);
  if (target === null || end - at < 40 || !areOptions(bytes, at + 40, end)) return null;
  const destination = readIpv6(bytes, at + 24);
  if (isMulticast6(destination) || !(isLinkLocal6(target) || target === destination)) return null;
  return { type: ICMP6_REDIRECT, target, destination, mac: linkLayer(bytes, at + 40, end, OPTION_TARGET_LINK_LAYER) };
}

/** Null: it is not there, or a group. */
function targetAt(bytes: Uint8Array, at: number, end: number): Ipv6 | null {
  if (end - at < 24) return null;
  const target = readIpv6(bytes, at + 8);
  return isMulticast6(target) ? null : target;
}

/** Do the options in `bytes[at, end)` end where the message does, each longer than nothing (RFC 4861 §4.6)? */
export function areOptions(bytes: Uint8Array, at: number, end: number): boolean {
  let i = at;
  while (i < end) {
    if (i + 2 > end || bytes[i + 1] === 0) return false;
    i += bytes[i + 1]! << 3;
  }
  return i === end;
}

/** The MAC in the first option of `type`, or null. */
function linkLayer(bytes: Uint8Array, at: number, end: number, type: number): Mac | null {
  for (let i = at; i < end; i += bytes[i + 1]! << 3)
    if (bytes[i] === type && bytes[i + 1] === 1) return readMac(bytes, i + 2);
  return null;
}

function nonceOf(bytes: Uint8Array, at: number, end: number): Uint8Array | null {
  for (let i = at; i < end; i += bytes[i + 1]! << 3) {
    const length = (bytes[i + 1]! << 3) - 2;
    if (bytes[i] === OPTION_NONCE && length <= MAX_NONCE) return bytes.slice(i + 2, i + 2 + length);
  }
  return null;
}

/** ff02::1:ff00:0/104 and the last 24 bits of `address` (RFC 4291 §2.7.1). */
export function solicitedNode(address: Ipv6): Ipv6 {
  return 0xff02_0000_0000_0000_0000_0001_ff00_0000n | (address & 0xffffffn);
}

/** 33:33 and the last 32 bits of a group (RFC 2464 §7). */
export function groupMac(group: Ipv6): Mac {
  return 0x333300000000 + Number(group & 0xffffffffn);
}

/** Write a neighbour solicitation, frame and all, at `at`. @returns its length. */
export function emitSolicitation(
  bytes: Uint8Array,
  at: number,
  envelope: NdEnvelope,
  { target, mac, nonce }: Omit<NeighborSolicitation, "type">,
): number {
  const l4 = at + ETH_BYTES + IPV6_BYTES;
  let to = targetTo(bytes, l4, ICMP6_NEIGHBOR_SOLICITATION, 0, target);
  if (mac !== null) to = writeLinkLayer(bytes, to, OPTION_SOURCE_LINK_LAYER, mac);
  if (nonce !== null) to = writeNonce(bytes, to, nonce);
  return finishNd(bytes, at, to, envelope);
}

/** Write a neighbour advertisement, frame and all, at `at`. @returns its length. */
export function emitAdvertisement(
  bytes: Uint8Array,
  at: number,
  envelope: NdEnvelope,
  { target, isRouter, isSolicited, isOverride, mac }: Omit<NeighborAdvertisement, "type">,
): number {
  const l4 = at + ETH_BYTES + IPV6_BYTES;
  const flags = (isRouter ? FLAG_ROUTER : 0) | (isSolicited ? FLAG_SOLICITED : 0) | (isOverride ? FLAG_OVERRIDE : 0);
  let to = targetTo(bytes, l4, ICMP6_NEIGHBOR_ADVERTISEMENT, flags, target);
  if (mac !== null) to = writeLinkLayer(bytes, to, OPTION_TARGET_LINK_LAYER, mac);
  return finishNd(bytes, at, to, envelope);
}

/** Write a router solicitation, frame and all, at `at`. @returns its length. */
export function emitRouterSolicitation(
  bytes: Uint8Array,
  at: number,
  envelope: NdEnvelope,
  { mac }: Omit<RouterSolicitation, "type">,
): number {
  const l4 = at + ETH_BYTES + IPV6_BYTES;
  setI32(bytes, l4, ICMP6_ROUTER_SOLICITATION << 24);
  setI32(bytes, l4 + 4, 0);
  const to = mac === null ? l4 + 8 : writeLinkLayer(bytes, l4 + 8, OPTION_SOURCE_LINK_LAYER, mac);
  return finishNd(bytes, at, to, envelope);
}

function targetTo(bytes: Uint8Array, l4: number, type: number, flags: number, target: Ipv6): number {
  setI32(bytes, l4, type << 24);
  setI32(bytes, l4 + 4, flags);
  writeIpv6(bytes, l4 + 8, target);
  return l4 + 24;
}

/** @returns the place behind it. */
export function writeLinkLayer(bytes: Uint8Array, at: number, type: number, mac: Mac): number {
  bytes[at] = type;
  bytes[at + 1] = 1;
  writeMac(bytes, at + 2, mac);
  return at + 8;
}

function writeNonce(bytes: Uint8Array, at: number, nonce: Uint8Array): number {
  const units = (nonce.length + 2 + 7) >> 3;
  bytes.fill(0, at, at + (units << 3));
  bytes[at] = OPTION_NONCE;
  bytes[at + 1] = units;
  bytes.set(nonce, at + 2);
  return at + (units << 3);
}

/** Ethernet and IPv6 headers and the checksum around a message that ends at `to`. @returns the frame's length. */
export function finishNd(bytes: Uint8Array, at: number, to: number, { ethDst, ethSrc, src, dst }: NdEnvelope): number {
  const l3 = at + ETH_BYTES;
  const l4 = l3 + IPV6_BYTES;
  writeMac(bytes, at + ETH_DST, ethDst);
  writeMac(bytes, at + ETH_SRC, ethSrc);
  setU16(bytes, at + ETH_TYPE, TYPE_IPV6);
  setI32(bytes, l3, 6 << 28);
  setU16(bytes, l3 + IP6_LENGTH, to - l4);
  bytes[l3 + IP6_NEXT] = PROTO_ICMP6;
  bytes[l3 + IP6_HOPS] = ND_HOP_LIMIT;
  writeIpv6(bytes, l3 + IP6_SRC, src);
  writeIpv6(bytes, l3 + IP6_DST, dst);
  setU16(bytes, l4 + 2, 0);
  setU16(bytes, l4 + 2, ~checksum6(bytes, l3, to - l4) & 0xffff);
  return to - at;
}
