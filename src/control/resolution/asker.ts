/** Who asks for an address, and with whose address the question goes on. */
import { addressFor, type InterfaceObject, type PortObject, subnetOf, type VsiObject } from "../inventory.ts";
import { type Ip, isOfLink } from "../ip.ts";
import type { Message, Question } from "./message.ts";

/** Does a route to `ip` leave by the VSI-interface? */
export type RoutesBy = (iface: InterfaceObject, ip: Ip) => boolean;

/**
 * Does a host ask with an address outside our subnets, that we route to by `iface`: one on its loopback? It is answered, so that
 * it reaches its gateway, and not learned: the route says where it is, and keeps saying so.
 */
export function isFromRoute(message: Message, iface: InterfaceObject, isRoutedBy: RoutesBy): message is Question {
  if (message.kind !== "question") return false;
  if (subnetOf(iface, message.sender) !== null || subnetOf(iface, message.target) === null) return false;
  return isRoutedBy(iface, message.sender);
}

/**
 * With whose address all sites are asked. They know none outside the subnet; and one of the link is reached by bridging, at its
 * own MAC: no other host may learn it at ours (RFC 4291 §2.5.6).
 */
export function speakerFor(asker: Ip, iface: InterfaceObject, vsi: VsiObject, target: Ip): Ip {
  if (isOfLink(asker) && !isOfLink(target)) return iface.linkLocal;
  return subnetOf(iface, asker) === null || vsi.config.evpn !== null ? addressFor(iface, target) : asker;
}

/** Is `port` the only one behind which a host of `iface` can be? */
export function isAlone(iface: InterfaceObject, port: PortObject): boolean {
  return iface.vsis.every((vsi) => [...vsi.acs, ...vsi.tunnels].every((each) => each === port || !each.up));
}
