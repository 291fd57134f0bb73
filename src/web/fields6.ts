/** The same as fields.ts of an IPv6 packet: its fixed header, ICMPv6, neighbour discovery, ports. */
import { u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_SRC, ETH_TYPE, formatMac, readMac, TYPE_IPV6 } from "../wire/ethernet.ts";
import {
  ICMP6_ECHO_REPLY,
  ICMP6_ECHO_REQUEST,
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_ADVERTISEMENT,
  ICMP6_ROUTER_SOLICITATION,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
} from "../wire/icmp6.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import {
  formatIpv6,
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_ADDRESS_BYTES,
  IPV6_BYTES,
  PROTO_ICMP6,
  readIpv6,
  upperLayer,
} from "../wire/ipv6.ts";
import { ND_TARGET } from "../wire/nd.ts";
import { L4_DST_PORT, L4_SRC_PORT } from "../wire/udp-tcp.ts";
import type { Packet } from "./packet.ts";
import type { Field } from "./said-walk.ts";

const TYPES: Readonly<Record<number, string>> = {
  [ICMP6_UNREACHABLE]: "unreachable",
  [ICMP6_PACKET_TOO_BIG]: "packet too big",
  [ICMP6_TIME_EXCEEDED]: "time exceeded",
  [ICMP6_PARAMETER_PROBLEM]: "parameter problem",
  [ICMP6_ECHO_REQUEST]: "echo request",
  [ICMP6_ECHO_REPLY]: "echo reply",
  [ICMP6_ROUTER_SOLICITATION]: "router solicitation",
  [ICMP6_ROUTER_ADVERTISEMENT]: "router advertisement",
  [ICMP6_NEIGHBOR_SOLICITATION]: "neighbor solicitation",
  [ICMP6_NEIGHBOR_ADVERTISEMENT]: "neighbor advertisement",
  [ICMP6_REDIRECT]: "redirect",
};
const PROTOCOLS: Readonly<Record<number, string>> = { [PROTO_ICMP6]: "ICMPv6", [PROTO_TCP]: "TCP", [PROTO_UDP]: "UDP" };
const ICMP_BYTES = 8;
/** Options of a solicitation and an advertisement of a neighbour begin there. */
const ND_OPTIONS = ND_TARGET + IPV6_ADDRESS_BYTES;
const LINK_LAYER_ADDRESS = new Map([
  [ICMP6_NEIGHBOR_SOLICITATION, 1],
  [ICMP6_NEIGHBOR_ADVERTISEMENT, 2],
]);
const FLAGS = [
  [0x80, "router"],
  [0x40, "solicited"],
  [0x20, "override"],
] as const;

const L3 = ETH_BYTES;
const ipAt = (bytes: Uint8Array, at: number): string => formatIpv6(readIpv6(bytes, at));
const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;

/** Is there a whole fixed header? */
export function isPacket6(bytes: Uint8Array): boolean {
  return bytes.length >= L3 + IPV6_BYTES && u16(bytes, ETH_TYPE) === TYPE_IPV6 && bytes[L3]! >> 4 === 6;
}

/** Where ICMPv6 begins, or -1. */
function icmpAt(bytes: Uint8Array): number {
  const upper = upperLayer(bytes, L3, bytes.length);
  const at = upper >> 8;
  return upper >= 0 && (upper & 0xff) === PROTO_ICMP6 && bytes.length >= at + ICMP_BYTES ? at : -1;
}

/** Does it speak of the link: discovery, or listeners of groups (RFC 2710, RFC 3810)? Such a message is no packet on a way. */
function isOfLink(type: number): boolean {
  return (type >= 130 && type <= ICMP6_REDIRECT) || type === 143;
}

/** A neighbour's solicitation or advertisement; null: it is none, or cut off. */
function resolutionOf(bytes: Uint8Array, icmp: number): Packet["resolution"] {
  const type = bytes[icmp]!;
  if (!LINK_LAYER_ADDRESS.has(type) || bytes.length < icmp + ND_OPTIONS) return null;
  const option = linkLayerAt(bytes, icmp);
  const mac = formatMac(readMac(bytes, option < 0 ? ETH_SRC : option));
  const [source, destination] = [ipAt(bytes, L3 + IP6_SRC), ipAt(bytes, L3 + IP6_DST)];
  const target = ipAt(bytes, icmp + ND_TARGET);
  if (type === ICMP6_NEIGHBOR_SOLICITATION)
    return { isRequest: true, senderMac: mac, senderIp: source, targetIp: target };
  // To all nodes it is an announcement: of itself, as ARP's is.
  return {
    isRequest: false,
    senderMac: mac,
    senderIp: target,
    targetIp: destination === "ff02::1" ? target : destination,
  };
}

/** Where the MAC in the option of the message at `icmp` stands, or -1. */
function linkLayerAt(bytes: Uint8Array, icmp: number): number {
  const wanted = LINK_LAYER_ADDRESS.get(bytes[icmp]!);
  for (let at = icmp + ND_OPTIONS; at + 8 <= bytes.length; at += bytes[at + 1]! << 3) {
    if (bytes[at] === wanted) return at + 2;
    if (bytes[at + 1] === 0) return -1;
  }
  return -1;
}

/** What a walk needs of an IPv6 packet: see `Packet`. */
export function packet6Of(bytes: Uint8Array): Pick<Packet, "resolution" | "ip" | "icmp"> {
  const icmp = icmpAt(bytes);
  const type = icmp < 0 ? -1 : bytes[icmp]!;
  if (isOfLink(type)) return { resolution: resolutionOf(bytes, icmp), ip: null, icmp: null };
  return {
    resolution: null,
    ip: { source: ipAt(bytes, L3 + IP6_SRC), destination: ipAt(bytes, L3 + IP6_DST), ttl: bytes[L3 + IP6_HOPS]! },
    icmp:
      icmp < 0
        ? null
        : {
            type,
            code: bytes[icmp + 1]!,
            what: TYPES[type] ?? `type ${type}`,
            echo: `IPv6 ${u16(bytes, icmp + 4)}/${u16(bytes, icmp + 6)}`,
          },
  };
}

type Add = (layer: Field["layer"], name: string, at: number, length: number, text: string) => void;

/** The fields behind the Ethernet header. */
export function fields6Of(bytes: Uint8Array, add: Add): void {
  add("IPv6", "source", L3 + IP6_SRC, IPV6_ADDRESS_BYTES, ipAt(bytes, L3 + IP6_SRC));
  add("IPv6", "destination", L3 + IP6_DST, IPV6_ADDRESS_BYTES, ipAt(bytes, L3 + IP6_DST));
  add("IPv6", "hop limit", L3 + IP6_HOPS, 1, String(bytes[L3 + IP6_HOPS]));
  add("IPv6", "traffic class", L3, 2, hex((u16(bytes, L3) >> 4) & 0xff, 2));
  add("IPv6", "flow label", L3 + 1, 3, hex(((bytes[L3 + 1]! & 15) << 16) | u16(bytes, L3 + 2), 5));
  add("IPv6", "payload length", L3 + IP6_LENGTH, 2, String(u16(bytes, L3 + IP6_LENGTH)));
  const next = bytes[L3 + IP6_NEXT]!;
  add("IPv6", "next header", L3 + IP6_NEXT, 1, PROTOCOLS[next] ?? String(next));
  const icmp = icmpAt(bytes);
  if (icmp >= 0) {
    icmpFields(bytes, icmp, add);
    return;
  }
  const upper = upperLayer(bytes, L3, bytes.length);
  const l4 = upper >> 8;
  if (upper < 0 || ![PROTO_TCP, PROTO_UDP].includes(upper & 0xff) || bytes.length < l4 + 4) return;
  add("ports", "source", l4 + L4_SRC_PORT, 2, String(u16(bytes, l4 + L4_SRC_PORT)));
  add("ports", "destination", l4 + L4_DST_PORT, 2, String(u16(bytes, l4 + L4_DST_PORT)));
}

function icmpFields(bytes: Uint8Array, at: number, add: Add): void {
  const type = bytes[at]!;
  const layer = isOfLink(type) ? "ND" : "ICMPv6";
  add(layer, "message", at, 2, TYPES[type] ?? `type ${type}, code ${bytes[at + 1]}`);
  if (LINK_LAYER_ADDRESS.has(type) && bytes.length >= at + ND_OPTIONS) {
    add(layer, "target address", at + ND_TARGET, IPV6_ADDRESS_BYTES, ipAt(bytes, at + ND_TARGET));
    const option = linkLayerAt(bytes, at);
    if (option >= 0) add(layer, "link-layer address", option, 6, formatMac(readMac(bytes, option)));
    if (type === ICMP6_NEIGHBOR_ADVERTISEMENT) add(layer, "flags", at + 4, 1, flagsOf(bytes[at + 4]!));
  }
  add(layer, "checksum", at + 2, 2, hex(u16(bytes, at + 2), 4));
  if (type === ICMP6_PACKET_TOO_BIG)
    add(layer, "next-hop MTU", at + 4, 4, String(u16(bytes, at + 4) * 0x10000 + u16(bytes, at + 6)));
  if (type === ICMP6_ECHO_REQUEST || type === ICMP6_ECHO_REPLY)
    add(layer, "id and sequence", at + 4, 4, `${u16(bytes, at + 4)}, ${u16(bytes, at + 6)}`);
}

function flagsOf(byte: number): string {
  const names = FLAGS.filter(([bit]) => (byte & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? "none" : names.join(", ");
}
