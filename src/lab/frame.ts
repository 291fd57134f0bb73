/**
 * A captured frame as the walkthrough needs it: which place, which addresses, which ARP or IP fields.
 *
 * The same header functions as the product's are used (src/wire), on bytes that came from the *kernel's* side of a TAP
 * or from the underlay's wire; tests compare this decoder with tshark's.
 *
 * A place is where a frame was seen: "ac vm1" (a machine's TAP, both directions), or "gw1>gw2" (a VXLAN datagram, seen
 * as it leaves its sender). Frames that merely arrive are not counted a second time.
 */
import { ARP_REQUEST, parseArp } from "../wire/arp.ts";
import { u16 } from "../wire/bytes.ts";
import {
  ETH_BYTES,
  ETH_DST,
  ETH_SRC,
  ETH_TYPE,
  formatMac,
  readMac,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
} from "../wire/ethernet.ts";
import { ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import {
  addressesAt,
  formatIpv4,
  headerBytes,
  IP_FRAGMENT,
  IP_PROTOCOL,
  IP_TTL,
  IPV4_BYTES,
  PROTO_ICMP,
  PROTO_UDP,
  sum16,
} from "../wire/ipv4.ts";
import { L4_DST_PORT, L4_SRC_PORT, UDP_BYTES } from "../wire/udp-tcp.ts";
import { hasReservedBits, hasVni, VXLAN_HEADER_BYTES, VXLAN_PORT, vniAt } from "../wire/vxlan.ts";
import { type ArpFields, type IpFields, ipv6Fields, type NdFields, ndFields } from "./frame6.ts";

/** One frame as a capture delivered it; `atMs` on the monotonic clock that all processes share. */
export interface Captured {
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

/** An Ethernet frame; nothing but its type for what is neither IPv4 nor IPv6 nor resolves addresses of either. */
export interface Inner {
  readonly destination: string;
  readonly source: string;
  readonly type: number;
  readonly arp?: ArpFields;
  readonly nd?: NdFields;
  readonly ip?: IpFields;
  /** Ethernet header to end; padding included. */
  readonly bytes: Uint8Array;
}

export interface Outer {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly vni: number;
  /** I flag set, nothing else (RFC 7348 §5). */
  readonly isPlain: boolean;
}

export interface Seen extends Inner {
  readonly place: string;
  readonly atMs: number;
  readonly outer?: Outer;
}

/** The Ethernet frame in `bytes`; undefined for a runt. */
export function decodeEthernet(bytes: Uint8Array): Inner | undefined {
  if (bytes.length < ETH_BYTES) return undefined;
  const type = u16(bytes, ETH_TYPE);
  const arp = type === TYPE_ARP ? arpFields(bytes) : undefined;
  const nd = type === TYPE_IPV6 ? ndFields(bytes) : undefined;
  const ip = type === TYPE_IPV4 ? ipFields(bytes) : type === TYPE_IPV6 ? ipv6Fields(bytes) : undefined;
  return {
    destination: formatMac(readMac(bytes, ETH_DST)),
    source: formatMac(readMac(bytes, ETH_SRC)),
    type,
    ...(arp && { arp }),
    ...(nd && { nd }),
    ...(ip && { ip }),
    bytes,
  };
}

function arpFields(bytes: Uint8Array): ArpFields | undefined {
  const arp = parseArp(bytes, 0, bytes.length);
  if (arp === null) return undefined;
  return {
    op: arp.op === ARP_REQUEST ? "request" : "reply",
    senderMac: formatMac(arp.senderMac),
    senderIp: formatIpv4(arp.senderIp),
    targetMac: formatMac(arp.targetMac),
    targetIp: formatIpv4(arp.targetIp),
  };
}

function ipFields(bytes: Uint8Array): IpFields | undefined {
  if (bytes.length < ETH_BYTES + IPV4_BYTES || bytes[ETH_BYTES]! >> 4 !== 4) return undefined;
  const header = headerBytes(bytes, ETH_BYTES);
  if (header < IPV4_BYTES || bytes.length < ETH_BYTES + header) return undefined;
  const { source, destination } = addressesAt(bytes, ETH_BYTES);
  const protocol = bytes[ETH_BYTES + IP_PROTOCOL]!;
  const at = ETH_BYTES + header;
  const isFirst = (u16(bytes, ETH_BYTES + IP_FRAGMENT) & 0x1fff) === 0;
  const hasIcmp = protocol === PROTO_ICMP && isFirst && bytes.length >= at + ICMP_BYTES;
  return {
    source: formatIpv4(source),
    destination: formatIpv4(destination),
    ttl: bytes[ETH_BYTES + IP_TTL]!,
    protocol,
    isChecksumRight: sum16(bytes, ETH_BYTES, header, 0) === 0xffff,
    ...(hasIcmp && { icmp: { type: bytes[at]!, code: bytes[at + 1]! } }),
  };
}

/** The VXLAN datagram in an underlay frame, and the frame inside; undefined for anything else. */
export function decodeVxlan(bytes: Uint8Array): { outer: Outer; inner: Inner } | undefined {
  const { type, ip } = decodeEthernet(bytes) ?? {};
  if (type !== TYPE_IPV4 || ip?.protocol !== PROTO_UDP) return undefined;
  const udp = ETH_BYTES + headerBytes(bytes, ETH_BYTES);
  const vxlan = udp + UDP_BYTES;
  if (bytes.length < vxlan + VXLAN_HEADER_BYTES || u16(bytes, udp + L4_DST_PORT) !== VXLAN_PORT) return undefined;
  if (!hasVni(bytes, vxlan)) return undefined;
  const inner = decodeEthernet(bytes.subarray(vxlan + VXLAN_HEADER_BYTES));
  if (inner === undefined) return undefined;
  return {
    outer: {
      source: ip.source,
      destination: ip.destination,
      sourcePort: u16(bytes, udp + L4_SRC_PORT),
      vni: vniAt(bytes, vxlan),
      isPlain: !hasReservedBits(bytes, vxlan),
    },
    inner,
  };
}

/** What a frame asks or answers about an address, in either family. */
export function askingOf({ arp, nd }: Inner): ArpFields | undefined {
  return arp ?? nd;
}

/** A frame of a machine's TAP. */
export function seenOnAc(machine: string, frame: Captured): Seen | undefined {
  const inner = decodeEthernet(frame.bytes);
  return inner && { ...inner, place: `ac ${machine}`, atMs: frame.atMs };
}

/** A datagram that `vtep` sends, seen on its underlay device; undefined for what arrives and what is not VXLAN. */
export function seenLeaving(
  vtep: { name: string; underlay: string },
  frame: Captured,
  nameOf: (underlay: string) => string,
): Seen | undefined {
  const found = decodeVxlan(frame.bytes);
  if (found === undefined || found.outer.source !== vtep.underlay) return undefined;
  return {
    ...found.inner,
    place: `${vtep.name}>${nameOf(found.outer.destination)}`,
    atMs: frame.atMs,
    outer: found.outer,
  };
}

const ICMP_NAMES: Record<number, string> = {
  [ICMP_ECHO_REPLY]: "echo reply",
  3: "unreachable",
  5: "redirect",
  [ICMP_ECHO_REQUEST]: "echo request",
  11: "time exceeded",
};

const ICMP6_NAMES: Record<number, string> = {
  1: "unreachable",
  2: "packet too big",
  3: "time exceeded",
  128: "echo request",
  129: "echo reply",
  130: "listener query",
  131: "listener report",
  132: "listener done",
  133: "router solicitation",
  134: "router advertisement",
  137: "redirect",
  143: "listener report",
};

/** "ff:ff:ff:ff:ff:ff < 02:00:00:00:01:11  ARP request 02:… 10.1.1.11 → 00:… 10.1.1.12", the frame on one line. */
export function frameText(inner: Inner, macText: (mac: string) => string = (mac) => mac): string {
  const eth = `${macText(inner.destination)} < ${macText(inner.source)}`;
  if (inner.arp !== undefined) {
    const { op, senderMac, senderIp, targetMac, targetIp } = inner.arp;
    return `${eth}  ARP ${op} ${macText(senderMac)},${senderIp} / ${macText(targetMac)},${targetIp}`;
  }
  if (inner.nd !== undefined) {
    const { op, senderMac, senderIp, targetMac, targetIp, by, flags } = inner.nd;
    const between = `${macText(senderMac)},${senderIp} / ${macText(targetMac)},${targetIp}`;
    return op === "request" ? `${eth}  NS ${between}` : `${eth}  NA ${between} by ${by} ${flags}`;
  }
  if (inner.ip === undefined) return `${eth}  type 0x${inner.type.toString(16).padStart(4, "0")}`;
  const { source, destination, ttl, protocol, icmp } = inner.ip;
  const names = inner.type === TYPE_IPV6 ? ICMP6_NAMES : ICMP_NAMES;
  const what = icmp === undefined ? `protocol ${protocol}` : (names[icmp.type] ?? `ICMP ${icmp.type}`);
  return `${eth}  IP ${source} → ${destination} ttl ${ttl} ${what}`;
}
