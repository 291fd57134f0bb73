/**
 * Whose word may be believed? The checks of behaviour.md §10.2 on a message of neighbour discovery, before anything else is done.
 *
 * What RFC 4861 §7.1 says of its bytes the parser has looked at. These are of the same kind as ARP's: the Ethernet source must be
 * the MAC that the message tells, the sender an address that a host of the link may have, and a question for one of the link.
 */
import { DROP } from "../../tables/counters.ts";
import { isGroup } from "../../wire/ethernet.ts";
import { isMulticast6 } from "../../wire/ipv6.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { type InterfaceObject, isHostAddress, subnetOf } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Message } from "../resolution/message.ts";

const LOOPBACK = 1n;
/** ::ffff:0:0/96, an IPv4 address in another form (RFC 4291 §2.5.5.2): no packet has it. */
const MAPPED = 0xffffn;

/** A drop reason, or CONSUMED when nothing is wrong with `message`. `iface` null: a VSI without subnets. */
export function checkNd(message: Message, iface: InterfaceObject | null): Fate {
  if (message.from !== message.senderMac || isGroup(message.senderMac)) return DROP.nd_src_mismatch;
  if (message.kind !== "probe") {
    if (isMartian(message.sender)) return DROP.nd_martian;
    if (iface !== null && subnetOf(iface, message.sender) === null) return DROP.nd_not_local;
    if (iface !== null && !isHostAddress(iface, message.sender)) return DROP.nd_martian;
  }
  const isAsked = message.kind === "question" || message.kind === "probe";
  return iface !== null && isAsked && subnetOf(iface, message.target) === null ? DROP.nd_not_local : CONSUMED;
}

function isMartian(ip: Ip): boolean {
  if (typeof ip === "number") return true;
  return ip === 0n || ip === LOOPBACK || isMulticast6(ip) || ip >> 32n === MAPPED;
}
