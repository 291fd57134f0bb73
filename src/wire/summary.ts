/**
 * A frame in one line, for people: "icmp echo-request 10.1.1.11 > 20.1.1.12 ttl 64, 84 bytes".
 *
 * It may be cut off, and it may be hostile: whatever is not there is not told.
 */
import { ARP_REQUEST, parseArp } from "./arp.ts";
import { i32, u16 } from "./bytes.ts";
import { ETH_BYTES, ETH_TYPE, formatMac, readMac, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, TYPE_VLAN } from "./ethernet.ts";
import { ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "./icmp.ts";
import {
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_ADVERTISEMENT,
} from "./icmp6.ts";
import {
  FRAGMENT_DF,
  FRAGMENT_OFFSET,
  formatIpv4,
  headerBytes,
  IP_DST,
  IP_FRAGMENT,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TTL,
  IPV4_BYTES,
  PROTO_ICMP,
  PROTO_TCP,
  PROTO_UDP,
} from "./ipv4.ts";
import {
  formatIpv6,
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  LATER_FRAGMENT,
  PROTO_ICMP6,
  readIpv6,
  upperLayer,
} from "./ipv6.ts";
import { type Nd, parseNd, UNSPECIFIED } from "./nd.ts";

const ICMP_TYPES: Readonly<Record<number, string>> = {
  [ICMP_ECHO_REPLY]: "echo-reply",
  [ICMP_UNREACHABLE]: "unreachable",
  [ICMP_ECHO_REQUEST]: "echo-request",
  [ICMP_TIME_EXCEEDED]: "time-exceeded",
};

const ICMP6_TYPES: Readonly<Record<number, string>> = {
  1: "unreachable",
  [ICMP6_PACKET_TOO_BIG]: "too-big",
  3: "time-exceeded",
  128: "echo-request",
  129: "echo-reply",
  133: "router-solicitation",
  [ICMP6_ROUTER_ADVERTISEMENT]: "router-advertisement",
  [ICMP6_NEIGHBOR_SOLICITATION]: "neighbor-solicitation",
  [ICMP6_NEIGHBOR_ADVERTISEMENT]: "neighbor-advertisement",
  [ICMP6_REDIRECT]: "redirect",
};

/** What is in the Ethernet frame `bytes`, of which `length` bytes were on the wire. */
export function summaryOf(bytes: Uint8Array, length = bytes.length): string {
  if (bytes.length < ETH_BYTES) return `${length} bytes`;
  let at = ETH_BYTES;
  let type = u16(bytes, ETH_TYPE);
  let tag = "";
  if (type === TYPE_VLAN && bytes.length >= ETH_BYTES + 4) {
    tag = `tag ${u16(bytes, ETH_BYTES) & 0xfff} `;
    type = u16(bytes, ETH_BYTES + 2);
    at += 4;
  }
  if (type === TYPE_IPV4 && bytes.length >= at + IPV4_BYTES && bytes[at]! >> 4 === 4) return tag + ipv4(bytes, at);
  const nd = type === TYPE_IPV6 && at === ETH_BYTES ? parseNd(bytes, 0, bytes.length) : null;
  if (nd !== null) return discovery(nd);
  if (type === TYPE_IPV6 && bytes.length >= at + IPV6_BYTES && bytes[at]! >> 4 === 6) return tag + ipv6(bytes, at);
  // An ARP message without its tag is where the parser expects it.
  const arp = type === TYPE_ARP && at === ETH_BYTES ? parseArp(bytes, 0, bytes.length) : null;
  if (arp !== null) {
    const [sender, target] = [formatIpv4(arp.senderIp), formatIpv4(arp.targetIp)];
    return arp.op === ARP_REQUEST
      ? `arp who has ${target} tell ${sender} (${formatMac(arp.senderMac)})`
      : `arp ${sender} is at ${formatMac(arp.senderMac)}, to ${target}`;
  }
  const macs = `${formatMac(readMac(bytes, 6))} > ${formatMac(readMac(bytes, 0))}`;
  const what = type === TYPE_IPV6 ? "ipv6" : type === TYPE_ARP ? "arp" : `type 0x${type.toString(16).padStart(4, "0")}`;
  return `${tag}${what} ${macs}, ${length} bytes`;
}

/** Neighbour discovery that a receiver may take, in ARP's words. */
function discovery(nd: Nd): string {
  const [from, to] = [formatIpv6(nd.src), formatIpv6(nd.dst)];
  switch (nd.type) {
    case ICMP6_NEIGHBOR_SOLICITATION: {
      const target = formatIpv6(nd.target);
      if (nd.src === UNSPECIFIED) return `nd has anyone ${target} (${formatMac(nd.ethSrc)})`;
      return `nd who has ${target} tell ${from} (${formatMac(nd.mac ?? nd.ethSrc)})`;
    }
    case ICMP6_NEIGHBOR_ADVERTISEMENT:
      return `nd ${nd.isRouter ? "router " : ""}${formatIpv6(nd.target)} is at ${formatMac(nd.mac ?? nd.ethSrc)}, to ${to}`;
    case ICMP6_ROUTER_ADVERTISEMENT: {
      const prefixes = nd.prefixes.map(({ network, length }) => ` ${formatIpv6(network)}/${length}`).join("");
      return `nd router ${from} for ${nd.lifetimeSeconds} s${prefixes}, to ${to}`;
    }
    case ICMP6_REDIRECT:
      return `nd redirect of ${formatIpv6(nd.destination)} to ${formatIpv6(nd.target)}, from ${from}`;
    default:
      return `nd who is router, asks ${from} (${formatMac(nd.ethSrc)})`;
  }
}

function ipv6(bytes: Uint8Array, l3: number): string {
  const upper = upperLayer(bytes, l3, bytes.length);
  const [l4, protocol] = upper < 0 ? [bytes.length, bytes[l3 + IP6_NEXT]!] : [upper >> 8, upper & 0xff];
  const hasPorts = (protocol === PROTO_TCP || protocol === PROTO_UDP) && l4 + 4 <= bytes.length;
  const address = (at: number, offset: number) => {
    const text = formatIpv6(readIpv6(bytes, l3 + at));
    return hasPorts ? `[${text}]:${u16(bytes, l4 + offset)}` : text;
  };
  let name = protocol === PROTO_TCP ? "tcp" : protocol === PROTO_UDP ? "udp" : `protocol ${protocol}`;
  if (protocol === PROTO_ICMP6) {
    const type = l4 < bytes.length ? bytes[l4]! : -1;
    name = type < 0 ? "icmp6" : `icmp6 ${ICMP6_TYPES[type] ?? `type ${type}`}`;
  }
  const rest = upper === LATER_FRAGMENT ? ", fragment" : "";
  const length = IPV6_BYTES + u16(bytes, l3 + IP6_LENGTH);
  return `${name} ${address(IP6_SRC, 0)} > ${address(IP6_DST, 2)} hops ${bytes[l3 + IP6_HOPS]}, ${length} bytes${rest}`;
}

function ipv4(bytes: Uint8Array, l3: number): string {
  const protocol = bytes[l3 + IP_PROTOCOL]!;
  const l4 = l3 + headerBytes(bytes, l3);
  const fragment = u16(bytes, l3 + IP_FRAGMENT);
  const isLater = (fragment & FRAGMENT_OFFSET) !== 0;
  const hasPorts = !isLater && (protocol === PROTO_TCP || protocol === PROTO_UDP) && l4 + 4 <= bytes.length;
  const ports = (offset: number) => (hasPorts ? `:${u16(bytes, l4 + offset)}` : "");
  let name = protocol === PROTO_TCP ? "tcp" : protocol === PROTO_UDP ? "udp" : `protocol ${protocol}`;
  if (protocol === PROTO_ICMP) {
    const type = !isLater && l4 < bytes.length ? bytes[l4]! : -1;
    name = type < 0 ? "icmp" : `icmp ${ICMP_TYPES[type] ?? `type ${type}`}`;
  }
  const from = `${formatIpv4(i32(bytes, l3 + IP_SRC))}${ports(0)}`;
  const to = `${formatIpv4(i32(bytes, l3 + IP_DST))}${ports(2)}`;
  const rest = `${(fragment & FRAGMENT_DF) !== 0 ? ", df" : ""}${isLater ? ", fragment" : ""}`;
  return `${name} ${from} > ${to} ttl ${bytes[l3 + IP_TTL]}, ${u16(bytes, l3 + IP_LENGTH)} bytes${rest}`;
}
