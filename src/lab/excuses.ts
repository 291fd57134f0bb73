/**
 * Why a frame may be there though no row of a scenario asks for it. Whatever has no excuse here is a frame too many.
 *
 * Hosts' kernels make sure of what they know, and have a life beside the one that is walked through: IPv6 speaks of groups and of
 * addresses of the link, which are bridged as they are (docs/behaviour.md §10).
 */
import type { Family } from "../web/article.ts";
import { TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import { ICMP6_ROUTER_ADVERTISEMENT, ICMP6_ROUTER_SOLICITATION } from "../wire/icmp6.ts";
import { isLinkLocal6, parseIpv6 } from "../wire/ipv6.ts";
import { askingOf, type Seen } from "./frame.ts";
import type { ArpFields } from "./frame6.ts";
import { BORDER6, ROUTER6 } from "./topology.ts";

/** Multicast listener discovery, of both versions (RFC 2710, RFC 3810). */
const LISTENERS = new Set([130, 131, 132, 143]);
const REVALIDATION = "the VM's kernel revalidates an entry by unicast";
const ANNOUNCEMENT = "the gateway announces itself to a new AC";
const NEXT_HOP = "a gateway asks its next hop whether it lives";

/**
 * A function that says why a frame may be there; undefined: it may not. Frames are shown to it in order of time, since a reply
 * is excused by the request before it, and by one only.
 */
export function excuses(gatewayMacs: ReadonlySet<string>, family: Family): (frame: Seen) => string | undefined {
  const asked: Seen[] = [];
  const revalidation = revalidations(gatewayMacs, asked);
  const isOfGateways = ({ source, destination }: Seen) => gatewayMacs.has(source) && gatewayMacs.has(destination);
  const ofLink = (frame: Seen) => (family === 6 ? linkExcuse(frame) : undefined);
  return (frame) => {
    const asking = askingOf(frame);
    if (frame.outer !== undefined) return isOfGateways(frame) && isProbe(frame) ? NEXT_HOP : ofLink(frame);
    if (!isOf(family, frame.type)) return otherType(frame, family);
    if (asking === undefined) return ofLink(frame);
    if (isAnnouncement(frame)) return gatewayMacs.has(frame.source) ? ANNOUNCEMENT : undefined;
    return ofLink(frame) ?? revalidation(frame, asking);
  };
}

/** A malformed packet of the family has no fields either, and no excuse. */
function isOf(family: Family, type: number): boolean {
  return family === 6 ? type === TYPE_IPV6 : type === TYPE_ARP || type === TYPE_IPV4;
}

function otherType({ type }: Seen, family: Family): string {
  if (type === TYPE_ARP || type === TYPE_IPV4 || type === TYPE_IPV6)
    return family === 6 ? "IPv4, of which this walk is not" : "neither IPv4 nor ARP: the VM's kernel";
  return "neither IP nor ARP: the VM's kernel";
}

/** What IPv6 hosts say that is of their link alone. */
function linkExcuse({ nd, ip }: Seen): string | undefined {
  const type = ip?.icmp?.type ?? 0;
  if (LISTENERS.has(type)) return "the VM's kernel tells of the groups it is in";
  if (type === ICMP6_ROUTER_SOLICITATION || type === ICMP6_ROUTER_ADVERTISEMENT) return "routers are looked for";
  if (nd === undefined) return undefined;
  const isHosts = [nd.targetIp, nd.senderIp].some(isHostOfLink);
  return isHosts ? "about an address of the link, which is bridged" : undefined;
}

function isHostOfLink(text: string): boolean {
  const address = parseIpv6(text);
  return address !== null && isLinkLocal6(address) && text !== ROUTER6 && text !== BORDER6;
}

/** Gratuitous ARP, or an advertisement that was not asked for. */
function isAnnouncement({ arp, nd }: Seen): boolean {
  return nd === undefined ? arp?.senderIp === arp?.targetIp : nd.op === "reply" && !nd.flags.includes("solicited");
}

/** A question without a sender (RFC 5227 §2.1.1; RFC 4862 §5.4.2), or the answer to it. */
function isProbe({ arp, nd }: Seen): boolean {
  if (nd !== undefined) return nd.op === "request" ? nd.senderIp === "::" : nd.targetIp === "ff02::1";
  if (arp === undefined) return false;
  return (arp.op === "request" ? arp.senderIp : arp.targetIp) === "0.0.0.0";
}

function revalidations(gatewayMacs: ReadonlySet<string>, asked: Seen[]) {
  return (frame: Seen, { op, senderIp, targetIp }: ArpFields): string | undefined => {
    if (op === "request") {
      if (!gatewayMacs.has(frame.destination)) return undefined;
      asked.push(frame);
      return REVALIDATION;
    }
    const request = asked.findIndex((earlier) => {
      const question = askingOf(earlier)!;
      const isTurned = question.senderIp === targetIp && question.targetIp === senderIp;
      return earlier.place === frame.place && isTurned && earlier.source === frame.destination;
    });
    if (request === -1) return undefined;
    asked.splice(request, 1);
    return REVALIDATION;
  };
}
