/** The IPv6 half of a captured frame: neighbour discovery in the form that ARP has, and the fixed header with an echo or another ICMPv6 message. */
import { u16 } from "../wire/bytes.ts";
import { ETH_BYTES, formatMac } from "../wire/ethernet.ts";
import { checksum6, ICMP6_NEIGHBOR_ADVERTISEMENT, ICMP6_NEIGHBOR_SOLICITATION } from "../wire/icmp6.ts";
import {
  formatIpv6,
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_SRC,
  IPV6_BYTES,
  PROTO_ICMP6,
  readIpv6,
  upperLayer,
} from "../wire/ipv6.ts";
import { parseNd } from "../wire/nd.ts";

export interface ArpFields {
  readonly op: "request" | "reply";
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

/** A solicitation (request) or an advertisement (reply): who asks, or has what was asked for; who is asked, or has asked. */
export interface NdFields extends ArpFields {
  /** IPv6 source and destination. */
  readonly by: string;
  readonly to: string;
  /** "solicited override" of an advertisement. */
  readonly flags: string;
}

export interface IpFields {
  readonly source: string;
  readonly destination: string;
  /** TTL, or hop limit. */
  readonly ttl: number;
  readonly protocol: number;
  /** IPv4: of the header; IPv6, which has none: of the ICMPv6 message. */
  readonly isChecksumRight: boolean;
  readonly icmp?: { readonly type: number; readonly code: number };
}

const NO_MAC = "00:00:00:00:00:00";

/** Undefined: the frame is no valid solicitation or advertisement. */
export function ndFields(bytes: Uint8Array): NdFields | undefined {
  const nd = parseNd(bytes, 0, bytes.length);
  if (nd?.type !== ICMP6_NEIGHBOR_SOLICITATION && nd?.type !== ICMP6_NEIGHBOR_ADVERTISEMENT) return undefined;
  const [by, to, target] = [nd.src, nd.dst, nd.target].map(formatIpv6) as [string, string, string];
  const mac = nd.mac === null ? NO_MAC : formatMac(nd.mac);
  if (nd.type === ICMP6_NEIGHBOR_SOLICITATION)
    return { op: "request", senderMac: mac, senderIp: by, targetMac: NO_MAC, targetIp: target, by, to, flags: "" };
  const flags = [nd.isRouter ? "router" : "", nd.isSolicited ? "solicited" : "", nd.isOverride ? "override" : ""]
    .filter((flag) => flag !== "")
    .join(" ");
  const targetMac = formatMac(nd.ethDst);
  return { op: "reply", senderMac: mac, senderIp: target, targetMac, targetIp: to, by, to, flags };
}

/** Undefined: the frame is no IPv6 packet, or cut off. */
export function ipv6Fields(bytes: Uint8Array): IpFields | undefined {
  if (bytes.length < ETH_BYTES + IPV6_BYTES || bytes[ETH_BYTES]! >> 4 !== 6) return undefined;
  const end = ETH_BYTES + IPV6_BYTES + u16(bytes, ETH_BYTES + IP6_LENGTH);
  if (end > bytes.length) return undefined;
  const upper = upperLayer(bytes, ETH_BYTES, end);
  const [protocol, at] = upper < 0 ? [-1, 0] : [upper & 0xff, upper >> 8];
  const hasIcmp = protocol === PROTO_ICMP6 && at + 4 <= end;
  // Behind further headers the pseudo-header has another length than the fixed one says.
  const isPlain = hasIcmp && at === ETH_BYTES + IPV6_BYTES;
  return {
    source: formatIpv6(readIpv6(bytes, ETH_BYTES + IP6_SRC)),
    destination: formatIpv6(readIpv6(bytes, ETH_BYTES + IP6_DST)),
    ttl: bytes[ETH_BYTES + IP6_HOPS]!,
    protocol,
    isChecksumRight: !isPlain || checksum6(bytes, ETH_BYTES, end - at) === 0xffff,
    ...(hasIcmp && { icmp: { type: bytes[at]!, code: bytes[at + 1]! } }),
  };
}
