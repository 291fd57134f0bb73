/** The next hop of a packet that workers could not send on: what they name is a number, or nothing but the packet itself. */
import { i32, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV6 } from "../../wire/ethernet.ts";
import { IP_DST } from "../../wire/ipv4.ts";
import { IP6_DST, readIpv6 } from "../../wire/ipv6.ts";
import type { InterfaceObject, Inventory } from "../inventory.ts";
import type { Ip } from "../ip.ts";

/** Of the packet in an Ethernet frame. */
function destinationOf(frame: Uint8Array): Ip {
  if (u16(frame, ETH_TYPE) === TYPE_IPV6) return readIpv6(frame, ETH_BYTES + IP6_DST);
  return i32(frame, ETH_BYTES + IP_DST);
}

export interface Hop {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  /** The tunnel behind which it is meant. */
  readonly behind?: string | null;
}

/**
 * @param frame an Ethernet frame with a packet that was routed.
 * @param row the VSI-interface it would leave by.
 * @param adjacency its next hop's; 0: that is its destination, which has none.
 * @returns null: the VSI-interface has gone meanwhile.
 */
export function hopOf(
  frame: Uint8Array,
  row: number,
  adjacency: number,
  { interfaces }: Inventory,
  numbers: { nextHop(adjacency: number): Hop | null },
): Hop | null {
  if (adjacency !== 0) {
    const hop = numbers.nextHop(adjacency);
    return hop !== null && interfaces.get(hop.iface.row) === hop.iface ? hop : null;
  }
  const iface = interfaces.get(row);
  return iface === undefined ? null : { iface, ip: destinationOf(frame) };
}

/** Did the frame come by a VSI without a VNI: from outside the overlay? */
export function isFromUplink({ vsi }: { readonly vsi: number }, { vsis }: Inventory): boolean {
  return vsis.get(vsi)?.config.vni === null;
}
