/**
 * Which frames a capture is about, by host and by protocol: a few words that a worker compares a frame's bytes with before it
 * copies one, and main again for each capture of its own, when several want different ones.
 *
 * Word 0: PROTOCOLS as bits, 0: all. Word 1: hosts that follow, 0: all. Main writes while workers read; a worker that sees half
 * of a change keeps or leaves out a few frames of that moment, and main looks again at what is kept.
 */
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, TYPE_VLAN } from "../wire/ethernet.ts";
import { IP_DST, IP_PROTOCOL, IP_SRC, IPV4_BYTES, type Ipv4, PROTO_ICMP, PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";

export const PROTOCOLS = ["arp", "icmp", "tcp", "udp", "ipv6", "other"] as const;
export type Protocol = (typeof PROTOCOLS)[number];
export const MOST_HOSTS = 16;
export const FILTER_WORDS = 2 + MOST_HOSTS;

const MASK = 0;
const COUNT = 1;
const HOSTS = 2;
const bit = (protocol: Protocol) => 1 << PROTOCOLS.indexOf(protocol);
const [ARP, ICMP, TCP, UDP, IPV6, OTHER] = PROTOCOLS.map(bit) as [number, number, number, number, number, number];
/** Sender and target address in an IPv4-over-Ethernet ARP message (RFC 826). */
const ARP_SENDER = 14;
const ARP_TARGET = 24;
const ARP_BYTES = 28;

/** Fill `words`; null: all. More hosts than there is room for are all hosts. */
export function setFilter(
  words: Int32Array,
  protocols: Iterable<Protocol> | null,
  hosts: ReadonlySet<Ipv4> | null,
): void {
  let mask = 0;
  for (const protocol of protocols ?? []) mask |= bit(protocol);
  const list = hosts === null || hosts.size > MOST_HOSTS ? [] : [...hosts];
  // No hosts while the list is in the making.
  Atomics.store(words, COUNT, 0);
  for (const [i, host] of list.entries()) words[HOSTS + i] = host;
  Atomics.store(words, MASK, mask);
  Atomics.store(words, COUNT, list.length);
}

/** Is the Ethernet frame of which `here` bytes lie at `at` one of those? A tag is looked behind. */
export function isMeant(words: Int32Array, bytes: Uint8Array, at: number, here: number): boolean {
  const mask = words[MASK]!;
  const count = words[COUNT]!;
  if (mask === 0 && count === 0) return true;
  if (here < ETH_BYTES) return count === 0 && (mask & OTHER) !== 0;
  let l3 = at + ETH_BYTES;
  let type = u16(bytes, at + ETH_TYPE);
  if (type === TYPE_VLAN && here >= ETH_BYTES + 4) {
    type = u16(bytes, l3 + 2);
    l3 += 4;
  }
  const room = at + here - l3;
  if (type === TYPE_ARP && room >= ARP_BYTES)
    return (mask === 0 || (mask & ARP) !== 0) && isHost(words, count, bytes, l3 + ARP_SENDER, l3 + ARP_TARGET);
  if (type === TYPE_IPV4 && room >= IPV4_BYTES) {
    const of = protocolBit(bytes[l3 + IP_PROTOCOL]!);
    return (mask === 0 || (mask & of) !== 0) && isHost(words, count, bytes, l3 + IP_SRC, l3 + IP_DST);
  }
  return count === 0 && (mask & (type === TYPE_IPV6 ? IPV6 : OTHER)) !== 0;
}

function protocolBit(number: number): number {
  if (number === PROTO_ICMP) return ICMP;
  if (number === PROTO_TCP) return TCP;
  return number === PROTO_UDP ? UDP : OTHER;
}

function isHost(words: Int32Array, count: number, bytes: Uint8Array, one: number, other: number): boolean {
  if (count === 0) return true;
  const a = i32(bytes, one);
  const b = i32(bytes, other);
  for (let i = HOSTS; i < HOSTS + count; i++) if (words[i] === a || words[i] === b) return true;
  return false;
}
