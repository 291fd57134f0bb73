/**
 * Whose word may be believed? The checks of behaviour.md §3.2 on a parsed ARP message, before anything else is done.
 *
 * RFC 826 has none of them; they are what RFC 5227, RFC 1812 §3.3.2 and thirty years of spoofing have taught: the Ethernet
 * source must be the ARP sender, the sender must be a host address of one of our subnets, and a request must be for one.
 */
import { DROP } from "../../tables/counters.ts";
import { ARP_REQUEST, type Arp } from "../../wire/arp.ts";
import { type Ipv4, isMartianSource, maskOf } from "../../wire/ipv4.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { type InterfaceObject, subnetOf } from "../inventory.ts";

/** A drop reason, or CONSUMED when nothing is wrong with `arp`. `iface` null: a VSI without subnets. */
export function checkArp(arp: Arp, iface: InterfaceObject | null): Fate {
  if (arp.ethSrc !== arp.senderMac) return DROP.arp_src_mismatch;
  const isProbe = arp.senderIp === 0 && arp.op === ARP_REQUEST;
  if (!isProbe) {
    if (isMartianSource(arp.senderIp) || isClassE(arp.senderIp)) return DROP.arp_martian;
    if (iface !== null && subnetOf(iface, arp.senderIp) === null) return DROP.arp_not_local;
    if (iface !== null && !isHostAddress(iface, arp.senderIp)) return DROP.arp_martian;
  }
  if (iface !== null && arp.op === ARP_REQUEST && subnetOf(iface, arp.targetIp) === null) return DROP.arp_not_local;
  return CONSUMED;
}

/**
 * Does a host ask with an address outside our subnets, that we route to by `iface`: one on its loopback? It is answered, so that
 * it reaches its gateway, and not learned: the route says where it is, and keeps saying so.
 */
export function isRoutedSender(arp: Arp, iface: InterfaceObject, isRoutedBy: IsRoutedBy): boolean {
  if (arp.op !== ARP_REQUEST || subnetOf(iface, arp.senderIp) !== null || subnetOf(iface, arp.targetIp) === null)
    return false;
  return isRoutedBy(iface, arp.senderIp);
}

/** Does a route to `ip` leave by the VSI-interface? */
export type IsRoutedBy = (iface: InterfaceObject, ip: Ipv4) => boolean;

/** Can `ip` be a host's: in a subnet of `iface`, and neither its network nor its broadcast address (RFC 3021: /31 has none)? */
export function isHostAddress(iface: InterfaceObject, ip: Ipv4): boolean {
  const subnet = subnetOf(iface, ip);
  if (subnet === null) return false;
  if (subnet.length >= 31) return true;
  const hostBits = ~maskOf(subnet.length);
  return (ip & hostBits) !== 0 && (ip & hostBits) !== hostBits;
}

function isClassE(ip: Ipv4): boolean {
  return (ip & 0xf0000000) === (0xf0000000 | 0);
}
