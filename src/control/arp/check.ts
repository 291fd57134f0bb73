/**
 * Whose word may be believed? The checks of behaviour.md §3.2 on an ARP message, before anything else is done.
 *
 * RFC 826 has none of them; they are what RFC 5227, RFC 1812 §3.3.2 and thirty years of spoofing have taught: the Ethernet
 * source must be the ARP sender, the sender must be a host address of one of our subnets, and a request must be for one.
 */
import { DROP } from "../../tables/counters.ts";
import { type Ipv4, isMartianSource } from "../../wire/ipv4.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { type InterfaceObject, isHostAddress, subnetOf } from "../inventory.ts";
import { asIpv4 } from "../ip.ts";
import type { Message } from "../resolution/message.ts";

/** A drop reason, or CONSUMED when nothing is wrong with `message`. `iface` null: a VSI without subnets. */
export function checkArp(message: Message, iface: InterfaceObject | null): Fate {
  if (message.from !== message.senderMac) return DROP.arp_src_mismatch;
  if (message.kind !== "probe") {
    const sender = asIpv4(message.sender);
    if (isMartianSource(sender) || isClassE(sender)) return DROP.arp_martian;
    if (iface !== null && subnetOf(iface, sender) === null) return DROP.arp_not_local;
    if (iface !== null && !isHostAddress(iface, sender)) return DROP.arp_martian;
  }
  const isAsked = message.kind === "question" || message.kind === "probe";
  return iface !== null && isAsked && subnetOf(iface, message.target) === null ? DROP.arp_not_local : CONSUMED;
}

function isClassE(ip: Ipv4): boolean {
  return (ip & 0xf0000000) === (0xf0000000 | 0);
}
