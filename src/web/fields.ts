/** Bytes of a frame to its fields, each with its place: what the page marks where two frames differ. Pure; a frame may be cut off. */
import { ARP_BYTES, ARP_REQUEST, parseArp } from "../wire/arp.ts";
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, formatMac, readMac, TYPE_ARP, TYPE_IPV4 } from "../wire/ethernet.ts";
import { ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../wire/icmp.ts";
import {
  FRAGMENT_DF,
  formatIpv4,
  headerBytes,
  IP_CHECKSUM,
  IP_DST,
  IP_FRAGMENT,
  IP_ID,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TOS,
  IP_TTL,
  IPV4_BYTES,
  PROTO_ICMP,
  PROTO_TCP,
  PROTO_UDP,
} from "../wire/ipv4.ts";
import { L4_DST_PORT, L4_SRC_PORT } from "../wire/udp-tcp.ts";
import { fields6Of, isPacket6, packet6Of } from "./fields6.ts";
import type { Packet } from "./packet.ts";
import type { Field } from "./said-walk.ts";

const ICMP_TYPES: Readonly<Record<number, string>> = {
  [ICMP_ECHO_REPLY]: "echo reply",
  [ICMP_UNREACHABLE]: "unreachable",
  [ICMP_ECHO_REQUEST]: "echo request",
  [ICMP_TIME_EXCEEDED]: "time exceeded",
};
/** Of an unreachable (RFC 1191 §4). */
const CODE_FRAGMENTATION_NEEDED = 4;
const PROTOCOLS: Readonly<Record<number, string>> = { [PROTO_ICMP]: "ICMP", [PROTO_TCP]: "TCP", [PROTO_UDP]: "UDP" };

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;
const macAt = (bytes: Uint8Array, at: number): string => formatMac(readMac(bytes, at));
const ipAt = (bytes: Uint8Array, at: number): string => formatIpv4(i32(bytes, at));

/** Length of a whole IPv4 header at the start of the payload; 0: there is none. */
function ipHeader(bytes: Uint8Array): number {
  if (bytes.length < ETH_BYTES + IPV4_BYTES || u16(bytes, ETH_TYPE) !== TYPE_IPV4) return 0;
  if (bytes[ETH_BYTES]! >> 4 !== 4) return 0;
  const length = headerBytes(bytes, ETH_BYTES);
  return length >= IPV4_BYTES && bytes.length >= ETH_BYTES + length ? length : 0;
}

function icmpAt(bytes: Uint8Array): number {
  const header = ipHeader(bytes);
  const at = ETH_BYTES + header;
  const isFirst = header > 0 && (u16(bytes, ETH_BYTES + IP_FRAGMENT) & 0x1fff) === 0;
  return isFirst && bytes[ETH_BYTES + IP_PROTOCOL] === PROTO_ICMP && bytes.length >= at + ICMP_BYTES ? at : -1;
}

/** @returns null: shorter than an Ethernet header. */
export function packetOf(bytes: Uint8Array): Packet | null {
  if (bytes.length < ETH_BYTES) return null;
  const macs = { destination: macAt(bytes, ETH_DST), source: macAt(bytes, ETH_SRC) };
  if (isPacket6(bytes)) return { ...macs, ...packet6Of(bytes) };
  const arp = u16(bytes, ETH_TYPE) === TYPE_ARP ? parseArp(bytes, 0, bytes.length) : null;
  const l3 = ETH_BYTES;
  const icmp = icmpAt(bytes);
  return {
    ...macs,
    resolution:
      arp === null
        ? null
        : {
            isRequest: arp.op === ARP_REQUEST,
            senderMac: formatMac(arp.senderMac),
            senderIp: formatIpv4(arp.senderIp),
            targetIp: formatIpv4(arp.targetIp),
          },
    ip:
      ipHeader(bytes) === 0
        ? null
        : { source: ipAt(bytes, l3 + IP_SRC), destination: ipAt(bytes, l3 + IP_DST), ttl: bytes[l3 + IP_TTL]! },
    icmp:
      icmp < 0
        ? null
        : {
            type: bytes[icmp]!,
            code: bytes[icmp + 1]!,
            what: ICMP_TYPES[bytes[icmp]!] ?? `type ${bytes[icmp]}`,
            echo: `${u16(bytes, icmp + 4)}/${u16(bytes, icmp + 6)}`,
          },
  };
}

export function fieldsOf(bytes: Uint8Array): Field[] {
  if (bytes.length < ETH_BYTES) return [];
  const fields: Field[] = [];
  const add = (layer: Field["layer"], name: string, at: number, length: number, text: string): void => {
    fields.push({ layer, name, text, at, length });
  };
  add("Ethernet", "destination", ETH_DST, 6, macAt(bytes, ETH_DST));
  add("Ethernet", "source", ETH_SRC, 6, macAt(bytes, ETH_SRC));
  add("Ethernet", "type", ETH_TYPE, 2, hex(u16(bytes, ETH_TYPE), 4));
  const m = ETH_BYTES;
  if (isPacket6(bytes)) {
    fields6Of(bytes, add);
    return fields;
  }
  if (u16(bytes, ETH_TYPE) === TYPE_ARP && bytes.length >= m + ARP_BYTES) {
    add("ARP", "operation", m + 6, 2, u16(bytes, m + 6) === ARP_REQUEST ? "request" : "reply");
    add("ARP", "sender MAC", m + 8, 6, macAt(bytes, m + 8));
    add("ARP", "sender IP", m + 14, 4, ipAt(bytes, m + 14));
    add("ARP", "target MAC", m + 18, 6, macAt(bytes, m + 18));
    add("ARP", "target IP", m + 24, 4, ipAt(bytes, m + 24));
    return fields;
  }
  const header = ipHeader(bytes);
  if (header === 0) return fields;
  const flags = u16(bytes, m + IP_FRAGMENT);
  add("IPv4", "source", m + IP_SRC, 4, ipAt(bytes, m + IP_SRC));
  add("IPv4", "destination", m + IP_DST, 4, ipAt(bytes, m + IP_DST));
  add("IPv4", "TTL", m + IP_TTL, 1, String(bytes[m + IP_TTL]));
  add("IPv4", "DSCP and ECN", m + IP_TOS, 1, hex(bytes[m + IP_TOS]!, 2));
  add("IPv4", "length", m + IP_LENGTH, 2, String(u16(bytes, m + IP_LENGTH)));
  add("IPv4", "identification", m + IP_ID, 2, hex(u16(bytes, m + IP_ID), 4));
  add("IPv4", "fragments", m + IP_FRAGMENT, 2, (flags & FRAGMENT_DF) !== 0 ? "not allowed (DF)" : hex(flags, 4));
  const protocol = bytes[m + IP_PROTOCOL]!;
  add("IPv4", "protocol", m + IP_PROTOCOL, 1, PROTOCOLS[protocol] ?? String(protocol));
  add("IPv4", "checksum", m + IP_CHECKSUM, 2, hex(u16(bytes, m + IP_CHECKSUM), 4));
  const l4 = m + header;
  if (icmpAt(bytes) > 0) {
    const [type, code] = [bytes[l4]!, bytes[l4 + 1]!];
    const isTooBig = type === ICMP_UNREACHABLE && code === CODE_FRAGMENTATION_NEEDED;
    const what = ICMP_TYPES[type] ?? `type ${type}, code ${code}`;
    add("ICMP", "message", l4, 2, isTooBig ? `${what}: fragmentation needed` : what);
    add("ICMP", "checksum", l4 + 2, 2, hex(u16(bytes, l4 + 2), 4));
    if (isTooBig) add("ICMP", "next-hop MTU", l4 + 6, 2, String(u16(bytes, l4 + 6)));
    else if (type === ICMP_ECHO_REQUEST || type === ICMP_ECHO_REPLY)
      add("ICMP", "id and sequence", l4 + 4, 4, `${u16(bytes, l4 + 4)}, ${u16(bytes, l4 + 6)}`);
  } else if ((protocol === PROTO_TCP || protocol === PROTO_UDP) && bytes.length >= l4 + 4) {
    add("ports", "source", l4 + L4_SRC_PORT, 2, String(u16(bytes, l4 + L4_SRC_PORT)));
    add("ports", "destination", l4 + L4_DST_PORT, 2, String(u16(bytes, l4 + L4_DST_PORT)));
  }
  return fields;
}
