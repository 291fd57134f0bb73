/**
 * Routes as gobgpd's paths, and back.
 *
 * An absent address comes as the text "<nil>" or "invalid IP", depending on the version; a path whose attributes make no route
 * is null, and is counted where it arrives. What is not understood inside a route (a community of another kind) is left out: RFC
 * 4271 lets a speaker carry what it does not know.
 */
import {
  ENCAP_VXLAN,
  type EvpnRoute,
  type MacRoute,
  type MulticastRoute,
  type PrefixRoute,
  split,
} from "../evpn/route.ts";
import { formatMac, parseMac } from "../wire/ethernet.ts";
import { formatIpv4, type Ipv4, maskOf, parseIpv4 } from "../wire/ipv4.ts";
import type { Dialect, Fields } from "./dialect.ts";

export const FAMILY_EVPN = { afi: 25, safi: 70 };
const ROUTE_TARGET = 2;
const LOCAL_PREFERENCE = 100;

// ---- out -------------------------------------------------------------------------------------------------------------

/** `route` as a path of gobgpd. Types that are never announced throw: it is our mistake. */
export function pathOf(route: EvpnRoute, dialect: Dialect): Fields {
  const { wrap } = dialect;
  const communities = [
    ...route.targets.map((target) => targetOf(target, dialect)),
    wrap("EncapExtended", { tunnelType: route.encap ?? ENCAP_VXLAN }),
    ...communitiesOf(route, dialect),
  ];
  const attributes = [
    wrap("OriginAttribute", { origin: 0 }),
    wrap("NextHopAttribute", { nextHop: route.nextHop }),
    wrap("LocalPrefAttribute", { localPref: LOCAL_PREFERENCE }),
    wrap("ExtendedCommunitiesAttribute", { communities }),
  ];
  if (route.type === 3 && route.pmsi !== null) {
    const { type, label, address } = route.pmsi;
    attributes.push(wrap("PmsiTunnelAttribute", { flags: 0, type, label, id: bytesOf(address ?? route.nextHop) }));
  }
  return { nlri: nlriOf(route, dialect), pattrs: attributes, family: FAMILY_EVPN };
}

function nlriOf(route: EvpnRoute, dialect: Dialect): Fields {
  const rd = distinguisherOf(route.rd, dialect);
  const esi = { type: 0, value: new Uint8Array(9) };
  switch (route.type) {
    case 2:
      return dialect.wrap("EVPNMACIPAdvertisementRoute", {
        rd,
        esi,
        ethernetTag: route.tag,
        macAddress: formatMac(route.mac),
        ipAddress: route.ip ?? "",
        labels: [...route.labels],
      });
    case 3:
      return dialect.wrap("EVPNInclusiveMulticastEthernetTagRoute", {
        rd,
        ethernetTag: route.tag,
        ipAddress: route.originator,
      });
    case 5:
      return dialect.wrap("EVPNIPPrefixRoute", {
        rd,
        esi,
        ethernetTag: route.tag,
        ipPrefix: formatIpv4(route.network),
        ipPrefixLen: route.length,
        gwAddress: route.gateway ?? "0.0.0.0",
        label: route.label,
      });
    default:
      throw new Error(`a route of type ${route.type} is never announced`);
  }
}

function communitiesOf(route: EvpnRoute, { wrap }: Dialect): Fields[] {
  const all: Fields[] = [];
  if (route.type === 2) {
    if (route.isSticky || route.sequence !== null)
      all.push(wrap("MacMobilityExtended", { isSticky: route.isSticky, sequenceNum: route.sequence ?? 0 }));
    if (route.isGateway) all.push(wrap("DefaultGatewayExtended", {}));
  }
  if ((route.type === 2 || route.type === 5) && route.routerMac !== null)
    all.push(wrap("RouterMacExtended", { mac: formatMac(route.routerMac) }));
  return all;
}

function targetOf(target: string, { wrap }: Dialect): Fields {
  const [admin, number] = split(target);
  const common = { isTransitive: true, subType: ROUTE_TARGET, localAdmin: Number(number) };
  if (admin.includes(".")) return wrap("IPv4AddressSpecificExtended", { ...common, address: admin });
  const asn = Number(admin);
  return wrap(asn > 0xffff ? "FourOctetAsSpecificExtended" : "TwoOctetAsSpecificExtended", { ...common, asn });
}

function distinguisherOf(rd: string, { wrap }: Dialect): Fields {
  const [admin, number] = split(rd);
  const assigned = Number(number);
  if (admin.includes(".")) return wrap("RouteDistinguisherIPAddress", { admin, assigned });
  const asn = Number(admin);
  const kind = asn > 0xffff ? "RouteDistinguisherFourOctetASN" : "RouteDistinguisherTwoOctetASN";
  return wrap(kind, { admin: asn, assigned });
}

// ---- in --------------------------------------------------------------------------------------------------------------

/** What the attributes of a path say. */
interface Attributes {
  nextHop: string | null;
  targets: string[];
  encap: number | null;
  sequence: number | null;
  isSticky: boolean;
  isGateway: boolean;
  routerMac: number | null;
  pmsi: MulticastRoute["pmsi"];
}

/** The route that a path is; null: it is none (the mark of an end, or it cannot be read). */
export function routeOf(path: Fields, dialect: Dialect): EvpnRoute | null {
  if (path.nlri == null) return null;
  const { name, fields } = dialect.unwrap(path.nlri as Fields);
  if (fields === null) return null;
  const rd = fields.rd == null ? null : distinguisherText(dialect.unwrap(fields.rd as Fields));
  if (rd === null) return null;
  const said = attributesOf((path.pattrs ?? []) as Fields[], dialect);
  // A withdrawal may come with its NLRI alone.
  const nextHop = said.nextHop ?? (path.isWithdraw === true ? "0.0.0.0" : null);
  if (nextHop === null) return null;
  const common = { rd, tag: number(fields.ethernetTag), nextHop, targets: said.targets, encap: said.encap };
  switch (name) {
    case "EVPNMACIPAdvertisementRoute":
      return macRouteOf(fields, common, said);
    case "EVPNInclusiveMulticastEthernetTagRoute": {
      const originator = address(fields.ipAddress);
      return originator === null ? null : { ...common, type: 3, originator, pmsi: said.pmsi };
    }
    case "EVPNIPPrefixRoute":
      return prefixRouteOf(fields, common, said);
    case "EVPNEthernetAutoDiscoveryRoute":
      return { ...common, type: 1, name: segment(fields.esi as Fields | null) ?? "0" };
    case "EVPNEthernetSegmentRoute":
      return {
        ...common,
        type: 4,
        name: `${segment(fields.esi as Fields | null) ?? "0"} ${address(fields.ipAddress)}`,
      };
    default:
      return null;
  }
}

type Common = Pick<EvpnRoute, "rd" | "tag" | "nextHop" | "targets" | "encap">;

function macRouteOf(fields: Fields, common: Common, said: Attributes): MacRoute | null {
  const mac = parseMac(String(fields.macAddress));
  if (mac === null) return null;
  const { sequence, isSticky, isGateway, routerMac } = said;
  const labels = ((fields.labels ?? []) as number[]).map(Number);
  const ip = address(fields.ipAddress);
  const esi = segment(fields.esi as Fields | null);
  return { ...common, type: 2, mac, ip, labels, segment: esi, sequence, isSticky, isGateway, routerMac };
}

function prefixRouteOf(fields: Fields, common: Common, { routerMac }: Attributes): EvpnRoute | null {
  const text = String(fields.ipPrefix).split("/")[0]!;
  const length = number(fields.ipPrefixLen);
  const network = parseIpv4(text);
  // Prefixes of the other family are counted, and nothing is made of them.
  if (network === null) return text.includes(":") ? { ...common, type: 0, name: `5 ${text}/${length}` } : null;
  if (length > 32) return null;
  const gateway = address(fields.gwAddress);
  const route: PrefixRoute = {
    ...common,
    type: 5,
    network: network & maskOf(length),
    length,
    label: number(fields.label),
    gateway: gateway === "0.0.0.0" ? null : gateway,
    segment: segment(fields.esi as Fields | null),
    routerMac,
  };
  return route;
}

function attributesOf(list: readonly Fields[], dialect: Dialect): Attributes {
  const said: Attributes = {
    nextHop: null,
    targets: [],
    encap: null,
    sequence: null,
    isSticky: false,
    isGateway: false,
    routerMac: null,
    pmsi: null,
  };
  for (const each of list) {
    const { name, fields } = dialect.unwrap(each);
    if (fields === null) continue;
    if (name === "NextHopAttribute") said.nextHop ??= address(fields.nextHop);
    else if (name === "MpReachNLRIAttribute") said.nextHop = address((fields.nextHops as string[])[0]) ?? said.nextHop;
    else if (name === "PmsiTunnelAttribute")
      said.pmsi = {
        type: number(fields.type),
        label: number(fields.label),
        address: addressOf(fields.id as Uint8Array),
      };
    else if (name === "ExtendedCommunitiesAttribute")
      for (const community of fields.communities as Fields[]) noteCommunity(said, dialect.unwrap(community));
  }
  return said;
}

function noteCommunity(said: Attributes, { name, fields }: { name: string; fields: Fields | null }): void {
  if (fields === null) return;
  switch (name) {
    case "TwoOctetAsSpecificExtended":
    case "FourOctetAsSpecificExtended":
      if (fields.subType === ROUTE_TARGET) said.targets.push(`${number(fields.asn)}:${number(fields.localAdmin)}`);
      break;
    case "IPv4AddressSpecificExtended":
      if (fields.subType === ROUTE_TARGET) said.targets.push(`${fields.address}:${number(fields.localAdmin)}`);
      break;
    case "EncapExtended":
      said.encap = number(fields.tunnelType);
      break;
    case "MacMobilityExtended":
      said.sequence = number(fields.sequenceNum);
      said.isSticky = fields.isSticky === true;
      break;
    case "DefaultGatewayExtended":
      said.isGateway = true;
      break;
    case "RouterMacExtended":
      said.routerMac = parseMac(String(fields.mac));
      break;
  }
}

function distinguisherText({ name, fields }: { name: string; fields: Fields | null }): string | null {
  if (fields === null || !name.startsWith("RouteDistinguisher")) return null;
  return `${fields.admin}:${number(fields.assigned)}`;
}

/** 0 and the identifier of zeros both mean: no segment (RFC 7432 §5). */
function segment(esi: Fields | null): string | null {
  const value = (esi?.value ?? new Uint8Array()) as Uint8Array;
  if (value.every((byte) => byte === 0)) return null;
  return Buffer.from([number(esi!.type), ...value]).toString("hex");
}

/** An address that is one; versions write what is absent as "<nil>", "invalid IP" or nothing. */
function address(text: unknown): string | null {
  if (typeof text !== "string") return null;
  return parseIpv4(text) !== null || (text.includes(":") && /^[0-9a-f:.]+$/i.test(text)) ? text : null;
}

function number(value: unknown): number {
  return Number(value ?? 0);
}

function bytesOf(address: string): Uint8Array {
  const ip = parseIpv4(address);
  if (ip === null)
    throw new Error(`${address} is no IPv4 address: tunnel identifiers of the other family are not sent`);
  return Uint8Array.of(ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255);
}

function addressOf(bytes: Uint8Array): string | null {
  if (bytes.length !== 4) return null;
  const ip: Ipv4 = (bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
  return formatIpv4(ip);
}
