/**
 * Which frames a capture is about, by host and by protocol: a few words that a worker compares a frame's bytes with before it
 * copies one, and main again for each capture of its own, when several want different ones.
 *
 * Word 0: PROTOCOLS as bits, 0: all. Words 1 and 2: hosts of IPv4 and of IPv6 that follow; neither: all. Main writes while workers
 * read; a worker that sees half of a change keeps or leaves out a few frames of that moment, and main looks again at what is kept.
 */
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, TYPE_VLAN } from "../wire/ethernet.ts";
import {
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_SOLICITATION,
} from "../wire/icmp6.ts";
import { IP_DST, IP_PROTOCOL, IP_SRC, IPV4_BYTES, type Ipv4, PROTO_ICMP, PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import {
  IP6_DST,
  IP6_SRC,
  IPV6_ADDRESS_BYTES,
  IPV6_BYTES,
  type Ipv6,
  PROTO_ICMP6,
  upperLayer,
  wordsOf,
} from "../wire/ipv6.ts";
import { ND_TARGET } from "../wire/nd.ts";

/** icmp, tcp and udp of both families; nd is neighbour discovery, ipv6 all of that family. */
export const PROTOCOLS = ["arp", "icmp", "tcp", "udp", "ipv6", "other", "nd"] as const;
export type Protocol = (typeof PROTOCOLS)[number];
export const MOST_HOSTS = 16;
const WORDS6 = 4;
export const FILTER_WORDS = 3 + MOST_HOSTS * (1 + WORDS6);

const MASK = 0;
const COUNT = 1;
const COUNT6 = 2;
const HOSTS = 3;
const HOSTS6 = HOSTS + MOST_HOSTS;
const bit = (protocol: Protocol) => 1 << PROTOCOLS.indexOf(protocol);
const [ARP, ICMP, TCP, UDP, IPV6, OTHER, ND] = PROTOCOLS.map(bit) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
/** Sender and target address in an IPv4-over-Ethernet ARP message (RFC 826). */
const ARP_SENDER = 14;
const ARP_TARGET = 24;
const ARP_BYTES = 28;

/** Fill `words`; null: all. More hosts than there is room for are all hosts. */
export function setFilter(
  words: Int32Array,
  protocols: Iterable<Protocol> | null,
  hosts: ReadonlySet<Ipv4 | Ipv6> | null,
): void {
  let mask = 0;
  for (const protocol of protocols ?? []) mask |= bit(protocol);
  const list = hosts === null || hosts.size > MOST_HOSTS ? [] : [...hosts];
  // No hosts while the lists are in the making.
  Atomics.store(words, COUNT, 0);
  Atomics.store(words, COUNT6, 0);
  let [count, count6] = [0, 0];
  for (const host of list)
    if (typeof host === "number") words[HOSTS + count++] = host;
    else words.set(wordsOf(host), HOSTS6 + WORDS6 * count6++);
  Atomics.store(words, MASK, mask);
  Atomics.store(words, COUNT, count);
  Atomics.store(words, COUNT6, count6);
}

/** Is the Ethernet frame of which `here` bytes lie at `at` one of those? A tag is looked behind. */
export function isMeant(words: Int32Array, bytes: Uint8Array, at: number, here: number): boolean {
  const mask = words[MASK]!;
  const isOfAll = words[COUNT] === 0 && words[COUNT6] === 0;
  if (mask === 0 && isOfAll) return true;
  if (here < ETH_BYTES) return isOfAll && (mask & OTHER) !== 0;
  let l3 = at + ETH_BYTES;
  let type = u16(bytes, at + ETH_TYPE);
  if (type === TYPE_VLAN && here >= ETH_BYTES + 4) {
    type = u16(bytes, l3 + 2);
    l3 += 4;
  }
  const room = at + here - l3;
  if (type === TYPE_ARP && room >= ARP_BYTES) {
    if (mask !== 0 && (mask & ARP) === 0) return false;
    return isOfAll || isHost(words, bytes, l3 + ARP_SENDER) || isHost(words, bytes, l3 + ARP_TARGET);
  }
  if (type === TYPE_IPV4 && room >= IPV4_BYTES) {
    if (mask !== 0 && (mask & protocolBit(bytes[l3 + IP_PROTOCOL]!)) === 0) return false;
    return isOfAll || isHost(words, bytes, l3 + IP_SRC) || isHost(words, bytes, l3 + IP_DST);
  }
  if (type === TYPE_IPV6 && room >= IPV6_BYTES) return isMeant6(words, bytes, l3, at + here);
  return isOfAll && (mask & (type === TYPE_IPV6 ? IPV6 : OTHER)) !== 0;
}

/** The IPv6 packet at `l3`, of which bytes before `end` lie there. What is asked for and told in its discovery is a host as well. */
function isMeant6(words: Int32Array, bytes: Uint8Array, l3: number, end: number): boolean {
  const mask = words[MASK]!;
  const isOfAll = words[COUNT] === 0 && words[COUNT6] === 0;
  const upper = upperLayer(bytes, l3, end);
  const l4 = upper < 0 ? end : upper >> 8;
  const protocol = upper < 0 ? -1 : upper & 0xff;
  const type = protocol === PROTO_ICMP6 && l4 < end ? bytes[l4]! : 0;
  const isNd = type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT;
  const own = isNd
    ? ND
    : protocol === PROTO_ICMP6
      ? ICMP
      : protocol === PROTO_TCP
        ? TCP
        : protocol === PROTO_UDP
          ? UDP
          : 0;
  if (mask !== 0 && (mask & (own | IPV6)) === 0) return false;
  if (isOfAll || isHost6(words, bytes, l3 + IP6_SRC) || isHost6(words, bytes, l3 + IP6_DST)) return true;
  const target = l4 + ND_TARGET;
  const hasTarget = type === ICMP6_NEIGHBOR_SOLICITATION || type === ICMP6_NEIGHBOR_ADVERTISEMENT;
  return hasTarget && target + IPV6_ADDRESS_BYTES <= end && isHost6(words, bytes, target);
}

function protocolBit(number: number): number {
  if (number === PROTO_ICMP) return ICMP;
  if (number === PROTO_TCP) return TCP;
  return number === PROTO_UDP ? UDP : OTHER;
}

function isHost(words: Int32Array, bytes: Uint8Array, at: number): boolean {
  const address = i32(bytes, at);
  for (let i = HOSTS; i < HOSTS + words[COUNT]!; i++) if (words[i] === address) return true;
  return false;
}

function isHost6(words: Int32Array, bytes: Uint8Array, at: number): boolean {
  const end = HOSTS6 + WORDS6 * words[COUNT6]!;
  for (let i = HOSTS6; i < end; i += WORDS6)
    if (
      words[i] === i32(bytes, at) &&
      words[i + 1] === i32(bytes, at + 4) &&
      words[i + 2] === i32(bytes, at + 8) &&
      words[i + 3] === i32(bytes, at + 12)
    )
      return true;
  return false;
}
