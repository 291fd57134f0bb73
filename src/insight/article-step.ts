/**
 * The article's step numbers, read off a frame: which step of which scenario is this?
 *
 * S1 same VXLAN, S2 between VXLANs, S3 to the outside; a frame has the same step on every gateway that sees it, the one that
 * the lab's report gives it. Only what the frame and the configuration show is told. A VM that asks for its gateway does so
 * in two scenarios alike, and so it is told: "S2.1/S3.1". What the article leaves out (the way back from the outside, probes,
 * announcements, talk with a gateway itself) has no step.
 *
 * Who asks tells S1 from the rest: a host in whose name its gateway asks, or a gateway in its own. What is asked for tells S3
 * from S2: the next hop of a route or a policy, or, on the Border itself, its own address. IPv6 goes the same steps, with
 * solicitations and advertisements; what hosts say of addresses of the link to each other is none.
 */
import type { ShownParts } from "../api/shown.ts";
import { type InterfaceObject, isOwnAddress, subnetOf, type VsiObject } from "../control/inventory.ts";
import { type Ip, isOfLink } from "../control/ip.ts";
import type { Config } from "../control/plan.ts";
import { ARP_REQUEST, parseArp } from "../wire/arp.ts";
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, readMac, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT, ICMP6_NEIGHBOR_SOLICITATION } from "../wire/icmp6.ts";
import { IP_DST, IP_SRC, IPV4_BYTES } from "../wire/ipv4.ts";
import { IP6_DST, IP6_SRC, IPV6_BYTES, isMulticast6, readIpv6 } from "../wire/ipv6.ts";
import { parseNd, UNSPECIFIED } from "../wire/nd.ts";

export interface Passing {
  readonly bytes: Uint8Array;
  readonly kind: "ac" | "tunnel";
  readonly direction: "in" | "out";
  readonly vsi: VsiObject;
  /** It waits for its neighbour, which is being looked for. */
  readonly isWaiting: boolean;
}

/** What a message of ARP or neighbour discovery says: who asks for whom, or who is told of whom. */
interface Said {
  readonly isQuestion: boolean;
  readonly sender: Ip;
  readonly target: Ip;
}

interface Ends {
  readonly source: Ip;
  readonly destination: Ip;
}

export class ArticleSteps {
  private readonly parts: ShownParts;
  private hopsOf: Config | null = null;
  private hops: ReadonlySet<Ip> = new Set();

  constructor(parts: ShownParts) {
    this.parts = parts;
  }

  /** "S1.2", "S2.1/S3.1" where it may be either, or null: it is none of the article's. */
  of(passing: Passing): string | null {
    const { bytes, vsi, direction } = passing;
    const iface = vsi.interface;
    if (iface === null || bytes.length < ETH_BYTES) return null;
    const said = saidIn(bytes);
    if (said !== null) return this.resolution(said, iface, passing);
    const ends = endsOf(bytes);
    if (ends === null) return null;
    // What is routed comes to the gateway MAC and leaves with it.
    return readMac(bytes, direction === "in" ? ETH_DST : ETH_SRC) === iface.mac ? this.ip(ends, iface, passing) : null;
  }

  private resolution(said: Said, iface: InterfaceObject, passing: Passing): string | null {
    const { isQuestion, sender, target } = said;
    // Of one that probes, or tells of itself, the article has nothing.
    if (sender === 0 || sender === UNSPECIFIED || sender === target) return null;
    const subject = isQuestion ? target : sender;
    if (isOfLink(subject) && !isOwnAddress(iface, subject) && !this.isBorders(iface, subject)) return null;
    if (passing.vsi.config.vni === null) return uplinkStep(said, iface, passing);
    return isQuestion ? this.request(said, iface, passing) : this.reply(said, iface, passing);
  }

  private request({ sender, target }: Said, iface: InterfaceObject, { kind, direction, vsi }: Passing): string | null {
    if (direction === "in" && kind === "ac") return isOwnAddress(iface, target) ? "S2.1/S3.1" : "S1.1";
    // The Border looks for a host: the way back.
    if (this.isBorders(iface, sender)) return null;
    const isGateways = isOwnAddress(iface, sender);
    const isBorderAsked = !iface.config.distributed && isOwnAddress(iface, target);
    if (isBorderAsked || (isGateways && this.isBorders(iface, target))) return "S3.4";
    if (direction === "out" && kind === "ac" && this.isPassedOn(sender, target, iface, vsi))
      return isGateways ? "S2.5" : "S1.5";
    if (isGateways) return "S2.4";
    // A gateway that does not share the others' addresses cannot tell them from hosts'.
    return iface.config.distributed ? "S1.4" : "S1.4/S2.4";
  }

  private reply({ sender, target }: Said, iface: InterfaceObject, { kind, direction }: Passing): string | null {
    const isForUs = isOwnAddress(iface, target);
    if (direction === "out" && kind === "ac") return isOwnAddress(iface, sender) ? "S2.2/S3.2" : "S1.2";
    if (this.isBorders(iface, target)) return null;
    if (direction === "in" && kind === "ac") return isForUs ? "S2.6" : "S1.6";
    if (this.isBorders(iface, sender)) return "S3.5";
    return isForUs ? "S2.7" : "S1.7";
  }

  private ip({ source, destination }: Ends, iface: InterfaceObject, passing: Passing): string | null {
    const { kind, direction, isWaiting } = passing;
    if (isOfLink(source) || isOfLink(destination)) return null;
    const interfaces = [...this.parts.inventory.interfaces.values()].filter(({ vrf }) => vrf === iface.vrf);
    if (interfaces.some((each) => isOwnAddress(each, source) || isOwnAddress(each, destination))) return null;
    const inside = interfaces.filter(({ vsis }) => vsis.some(({ config }) => config.vni !== null));
    const from = inside.find((each) => subnetOf(each, source) !== null);
    const to = inside.find((each) => subnetOf(each, destination) !== null);
    if (from === undefined) return null;
    if (to === undefined) {
      if (kind === "tunnel") return "S3.7";
      return direction === "in" ? "S3.3" : "S3.8";
    }
    if (from === to) return "S1.9";
    return direction === "in" && kind === "ac" && isWaiting ? "S2.3" : "S2.9";
  }

  /** Is it the Border's: a next hop of ours, or, where we are the one that others route to, our own? */
  private isBorders(iface: InterfaceObject, ip: Ip): boolean {
    const { config } = this.parts.topology;
    if (config !== this.hopsOf) {
      this.hopsOf = config;
      this.hops = config === null ? new Set() : nextHopsOf(config);
    }
    return this.hops.has(ip) || (!iface.config.distributed && isOwnAddress(iface, ip));
  }

  /** A question on its way into our site: does it come from another one, or is it ours, or our own host's? */
  private isPassedOn(sender: Ip, target: Ip, iface: InterfaceObject, vsi: VsiObject): boolean {
    const { agent } = this.parts;
    const port = isOwnAddress(iface, sender) ? undefined : agent.neighbors.find(iface, sender)?.place?.port;
    const { relays } = typeof target === "number" ? agent.arp : agent.nd;
    return port === undefined ? relays.hasRelayed(vsi, target) : port.kind === "tunnel";
  }
}

/** On the uplink the Border looks for the outside's hosts. */
function uplinkStep(
  { isQuestion, sender, target }: Said,
  iface: InterfaceObject,
  { direction }: Passing,
): string | null {
  const isOurs = isQuestion ? direction === "out" : direction === "in";
  return isOurs && isOwnAddress(iface, isQuestion ? sender : target) ? "S3.8" : null;
}

/** Null: it resolves nothing. */
function saidIn(bytes: Uint8Array): Said | null {
  const type = u16(bytes, ETH_TYPE);
  if (type === TYPE_ARP) {
    const arp = parseArp(bytes, 0, bytes.length);
    return arp === null ? null : { isQuestion: arp.op === ARP_REQUEST, sender: arp.senderIp, target: arp.targetIp };
  }
  const nd = type === TYPE_IPV6 ? parseNd(bytes, 0, bytes.length) : null;
  if (nd?.type === ICMP6_NEIGHBOR_SOLICITATION) return { isQuestion: true, sender: nd.src, target: nd.target };
  if (nd?.type !== ICMP6_NEIGHBOR_ADVERTISEMENT || isMulticast6(nd.dst)) return null;
  return { isQuestion: false, sender: nd.target, target: nd.dst };
}

/** Null: it is no IP packet, or one of discovery to all. */
function endsOf(bytes: Uint8Array): Ends | null {
  const type = u16(bytes, ETH_TYPE);
  if (type === TYPE_IPV4 && bytes.length >= ETH_BYTES + IPV4_BYTES)
    return { source: i32(bytes, ETH_BYTES + IP_SRC), destination: i32(bytes, ETH_BYTES + IP_DST) };
  if (type !== TYPE_IPV6 || bytes.length < ETH_BYTES + IPV6_BYTES) return null;
  const destination = readIpv6(bytes, ETH_BYTES + IP6_DST);
  return isMulticast6(destination) ? null : { source: readIpv6(bytes, ETH_BYTES + IP6_SRC), destination };
}

function nextHopsOf({ routes, policies }: Config): ReadonlySet<Ip> {
  const ofRoutes = routes.flatMap(({ target }) => ("nextHops" in target ? target.nextHops : []));
  const ofPolicies = policies.flatMap(({ rules }) =>
    rules.flatMap(({ action }) => ("nextHops" in action ? action.nextHops : [])),
  );
  return new Set([...ofRoutes, ...ofPolicies].map(({ ip }) => ip));
}
