/**
 * gobgpd's API of version 4 (4.8 in Debian sid): a place for one of several messages has a field for each of them;
 * enumerations begin at 1, 0 being "unspecified".
 */
import protobuf from "protobufjs";
import type { Dialect, Fields, Wrapped } from "./dialect.ts";
import { messagesOf } from "./messages.ts";

const PACKAGE = "api";

/** The fields of each union that are used here: number, name, message. Others are of kinds that are not EVPN's. */
const UNIONS = {
  NLRI: [
    [5, "evpn_ethernet_ad", "EVPNEthernetAutoDiscoveryRoute"],
    [6, "evpn_macadv", "EVPNMACIPAdvertisementRoute"],
    [7, "evpn_multicast", "EVPNInclusiveMulticastEthernetTagRoute"],
    [8, "evpn_ethernet_segment", "EVPNEthernetSegmentRoute"],
    [9, "evpn_ip_prefix", "EVPNIPPrefixRoute"],
  ],
  Attribute: [
    [2, "origin", "OriginAttribute"],
    [4, "next_hop", "NextHopAttribute"],
    [6, "local_pref", "LocalPrefAttribute"],
    [12, "mp_reach", "MpReachNLRIAttribute"],
    [14, "extended_communities", "ExtendedCommunitiesAttribute"],
    [17, "pmsi_tunnel", "PmsiTunnelAttribute"],
  ],
  ExtendedCommunity: [
    [2, "two_octet_as_specific", "TwoOctetAsSpecificExtended"],
    [3, "ipv4_address_specific", "IPv4AddressSpecificExtended"],
    [4, "four_octet_as_specific", "FourOctetAsSpecificExtended"],
    [8, "encap", "EncapExtended"],
    [9, "default_gateway", "DefaultGatewayExtended"],
    [13, "mac_mobility", "MacMobilityExtended"],
    [14, "router_mac", "RouterMacExtended"],
  ],
  RouteDistinguisher: [
    [1, "two_octet_asn", "RouteDistinguisherTwoOctetASN"],
    [2, "ip_address", "RouteDistinguisherIPAddress"],
    [3, "four_octet_asn", "RouteDistinguisherFourOctetASN"],
  ],
} as const;

/** The first byte of an Attribute that is one: the field's number, and that a length follows. */
const REACH_TAG = (12 << 3) | 2;

export function gobgp4(): Dialect {
  const unions = { nlri: "NLRI", attribute: "Attribute", community: "ExtendedCommunity", rd: "RouteDistinguisher" };
  const declarations = Object.entries(UNIONS)
    .map(([union, fields]) => {
      const lines = fields.map(([number, field, message]) => `    ${message} ${field} = ${number};`);
      return `message ${union} {\n  oneof one {\n${lines.join("\n")}\n  }\n}`;
    })
    .join("\n");
  const { root } = protobuf.parse(messagesOf({ package: PACKAGE, unions, declarations }));
  const fieldOf = new Map<string, string>();
  const messageOf = new Map<string, string>();
  for (const [, field, message] of Object.values(UNIONS).flat()) {
    const name = protobuf.util.camelCase(field);
    fieldOf.set(message, name);
    messageOf.set(name, message);
  }
  const unwrap: Dialect["unwrap"] = (union) => {
    const field = (union as { one?: string }).one;
    if (field === undefined) return { name: "", fields: null };
    return { name: messageOf.get(field)!, fields: (union as Record<string, Wrapped["fields"]>)[field]! };
  };
  const type = (name: string) => root.lookupType(`${PACKAGE}.${name}`);
  const places = { nlri: type("NLRI"), attribute: type("Attribute") };
  return {
    name: "v4",
    service: "/api.GoBgpService/",
    type,
    enumBase: 1,
    wrap: (name, fields) => ({ [fieldOf.get(name)!]: fields }),
    unwrap,
    open: (place, bytes) => unwrap(places[place].decode(bytes) as unknown as Fields),
    isReach: (attribute) => attribute[0] === REACH_TAG,
  };
}
