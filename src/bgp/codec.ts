/** Routes as gobgpd's paths; path-reader.ts is the way back. */
import { ENCAP_VXLAN, type EvpnRoute, preferenceOf, split } from "../evpn/route.ts";
import { formatMac } from "../wire/ethernet.ts";
import { formatIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { formatIpv6 } from "../wire/ipv6.ts";
import type { Dialect, Fields } from "./dialect.ts";

export const FAMILY_EVPN = { afi: 25, safi: 70 };
export const ROUTE_TARGET = 2;

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
    wrap("LocalPrefAttribute", { localPref: preferenceOf(route) }),
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
    case 5: {
      const { network } = route;
      const isIpv4 = typeof network === "number";
      return dialect.wrap("EVPNIPPrefixRoute", {
        rd,
        esi,
        ethernetTag: route.tag,
        ipPrefix: isIpv4 ? formatIpv4(network) : formatIpv6(network),
        ipPrefixLen: route.length,
        gwAddress: route.gateway ?? (isIpv4 ? "0.0.0.0" : "::"),
        label: route.label,
      });
    }
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

function bytesOf(address: string): Uint8Array {
  const ip = parseIpv4(address);
  if (ip === null)
    throw new Error(`${address} is no IPv4 address: tunnel identifiers of the other family are not sent`);
  return Uint8Array.of(ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255);
}
