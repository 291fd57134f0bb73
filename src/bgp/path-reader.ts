/**
 * gobgpd's paths as routes: of a hundred thousand each has a kilobyte of attributes, and nearly all of them are those of its VTEP's
 * other hosts. So what a set of attributes says is remembered by its bytes, and one copy of it serves all routes that have it.
 *
 * An absent address comes as the text "<nil>" or "invalid IP", depending on the version; a path whose attributes make no route
 * is null, and is counted where it arrives. What is not understood inside a route (a community of another kind) is left out: RFC
 * 4271 lets a speaker carry what it does not know.
 */
import {
  DEFAULT_PREFERENCE,
  ENCAP_VXLAN,
  type EvpnRoute,
  type HostAttributes,
  HostRoute,
  type MacRoute,
  type MulticastRoute,
  type PrefixRoute,
} from "../evpn/route.ts";
import { parseMac } from "../wire/ethernet.ts";
import { formatIpv4, type Ipv4, maskOf, parseIpv4 } from "../wire/ipv4.ts";
import { parseIpv6 } from "../wire/ipv6.ts";
import { ROUTE_TARGET } from "./codec.ts";
import type { Dialect, Fields } from "./dialect.ts";

/** What the attributes of a path say. */
interface Attributes {
  nextHop: string | null;
  targets: string[];
  encap: number | null;
  /** LOCAL_PREF; undefined: none, or the default. */
  preference: number | undefined;
  sequence: number | null;
  isSticky: boolean;
  isGateway: boolean;
  routerMac: number | null;
  pmsi: MulticastRoute["pmsi"];
  /** Attributes of hosts that were made of it, by what their NLRI adds. */
  readonly hosts: Map<string, HostAttributes>;
}

/** Sets of attributes that are remembered, and how long one of them may be: a peer that invents them only makes it begin anew. */
const MOST = 4096;
const LONGEST = 1024;

export class PathReader {
  private readonly dialect: Dialect;
  private readonly known = new Map<string, Attributes>();

  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  /** The route that a path is; null: it is none (the mark of an end, or it cannot be read). */
  routeOf(path: Fields): EvpnRoute | null {
    const { dialect } = this;
    const nlri = (path.nlri ?? new Uint8Array()) as Uint8Array;
    if (nlri.length === 0) return null;
    const { name, fields } = dialect.open("nlri", nlri);
    if (fields === null) return null;
    const rd = fields.rd == null ? null : distinguisherText(dialect.unwrap(fields.rd as Fields));
    if (rd === null) return null;
    const said = this.attributesOf((path.pattrs ?? []) as Uint8Array[]);
    // A withdrawal may come with its NLRI alone.
    const nextHop = said.nextHop ?? (path.isWithdraw === true ? "0.0.0.0" : null);
    if (nextHop === null) return null;
    const common = commonOf(rd, number(fields.ethernetTag), nextHop, said);
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

  /** The same bytes say the same. The one attribute that names the route itself is read each time, for its next hop. */
  private attributesOf(list: readonly Uint8Array[]): Attributes {
    const { dialect } = this;
    let reach: Uint8Array | null = null;
    let name = "";
    for (const each of list) {
      if (dialect.isReach(each)) reach = each;
      else name += `${each.length} ${latin1(each)}`;
    }
    const fields = reach === null ? null : dialect.open("attribute", reach).fields;
    const hop = fields === null ? null : address((fields.nextHops as string[])[0]);
    name = `${hop} ${name}`;
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const said = this.read(list.filter((each) => each !== reach));
    said.nextHop = hop ?? said.nextHop;
    if (name.length > LONGEST) return said;
    if (this.known.size >= MOST) this.known.clear();
    this.known.set(name, said);
    return said;
  }

  private read(list: readonly Uint8Array[]): Attributes {
    const said: Attributes = {
      ...{
        nextHop: null,
        targets: [],
        encap: null,
        preference: undefined,
        sequence: null,
        isSticky: false,
        isGateway: false,
      },
      ...{ routerMac: null, pmsi: null, hosts: new Map() },
    };
    for (const each of list) {
      const { name, fields } = this.dialect.open("attribute", each);
      if (fields === null) continue;
      if (name === "NextHopAttribute") said.nextHop ??= address(fields.nextHop);
      else if (name === "LocalPrefAttribute") {
        const preference = number(fields.localPref);
        said.preference = preference === DEFAULT_PREFERENCE ? undefined : preference;
      } else if (name === "PmsiTunnelAttribute")
        said.pmsi = {
          type: number(fields.type),
          label: number(fields.label),
          address: addressOf(fields.id as Uint8Array),
        };
      else if (name === "ExtendedCommunitiesAttribute")
        for (const community of fields.communities as Fields[]) noteCommunity(said, this.dialect.unwrap(community));
    }
    return said;
  }
}

type Common = Pick<EvpnRoute, "rd" | "tag" | "nextHop" | "targets" | "encap" | "preference">;

/** What a route of any type says. */
function commonOf(rd: string, tag: number, nextHop: string, { targets, encap, preference }: Attributes): Common {
  const common = { rd, tag, nextHop, targets, encap };
  return preference === undefined ? common : { ...common, preference };
}

function macRouteOf(fields: Fields, common: Common, said: Attributes): MacRoute | null {
  const mac = parseMac(String(fields.macAddress));
  if (mac === null) return null;
  const { sequence, isSticky, isGateway, routerMac } = said;
  const labels = ((fields.labels ?? []) as number[]).map(Number);
  const ip = address(fields.ipAddress);
  const esi = segment(fields.esi as Fields | null);
  const name = `${common.rd} ${common.tag} ${common.nextHop} ${labels.join(",")} ${esi}`;
  let attributes = said.hosts.get(name);
  if (attributes === undefined) {
    attributes = { ...common, labels, segment: esi, sequence, isSticky, isGateway, routerMac };
    if (said.hosts.size >= MOST) said.hosts.clear();
    said.hosts.set(name, attributes);
  }
  return new HostRoute(attributes, mac, ip === null ? null : (parseIpv4(ip) ?? parseIpv6(ip)));
}

function prefixRouteOf(fields: Fields, common: Common, { routerMac }: Attributes): EvpnRoute | null {
  const text = String(fields.ipPrefix).split("/")[0]!;
  const length = number(fields.ipPrefixLen);
  const network = networkOf(text, length);
  if (network === null) return null;
  const gateway = address(fields.gwAddress);
  const route: PrefixRoute = {
    ...common,
    type: 5,
    network,
    length,
    label: number(fields.label),
    gateway: gateway === "0.0.0.0" || gateway === "::" ? null : gateway,
    segment: segment(fields.esi as Fields | null),
    routerMac,
  };
  return route;
}

/** The prefix of `length` bits of an address of either family; null: there is none. */
function networkOf(text: string, length: number): PrefixRoute["network"] | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return length > 32 ? null : ipv4 & maskOf(length);
  const ipv6 = parseIpv6(text);
  if (ipv6 === null || length > 128) return null;
  const hostBits = BigInt(128 - length);
  return (ipv6 >> hostBits) << hostBits;
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
      // One of each that the VTEP takes (RFC 8365 §5.1).
      if (said.encap !== ENCAP_VXLAN) said.encap = number(fields.tunnelType);
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
  if (isZero(value)) return null;
  return Buffer.from([number(esi!.type), ...value]).toString("hex");
}

/** An address that is one; versions write what is absent as "<nil>", "invalid IP" or nothing. */
function address(text: unknown): string | null {
  if (typeof text !== "string") return null;
  return parseIpv4(text) !== null || parseIpv6(text) !== null ? text : null;
}

function number(value: unknown): number {
  return Number(value ?? 0);
}

function addressOf(bytes: Uint8Array): string | null {
  if (bytes.length !== 4) return null;
  const ip: Ipv4 = (bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
  return formatIpv4(ip);
}

function isZero(bytes: Uint8Array): boolean {
  for (let n = 0; n < bytes.length; n++) if (bytes[n] !== 0) return false;
  return true;
}

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}
