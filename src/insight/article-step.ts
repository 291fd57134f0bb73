/**
 * The article's step numbers, read off a frame: which step of which scenario is this?
 *
 * S1 same VXLAN, S2 between VXLANs, S3 to the outside; the numbers are behaviour.md §2's column "Art.". Only what the frame
 * and its way show is told: ARP by who asks whom, a routed packet by where it is from and where it goes.
 */

import { type InterfaceObject, isOwnAddress, subnetOf, type VsiObject } from "../control/inventory.ts";
import { ARP_REQUEST, type Arp, parseArp } from "../wire/arp.ts";
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_TYPE, readMac, TYPE_ARP, TYPE_IPV4 } from "../wire/ethernet.ts";
import { IP_DST, IP_SRC, IPV4_BYTES } from "../wire/ipv4.ts";

export interface Passing {
  readonly bytes: Uint8Array;
  readonly kind: "ac" | "tunnel";
  readonly direction: "in" | "out";
  readonly vsi: VsiObject;
  /** All VSI-interfaces. */
  readonly interfaces: Iterable<InterfaceObject>;
  /** Where it goes, once it is routed: VSI and port; null: it is not, or that is not known. */
  readonly to: { readonly vsi: VsiObject; readonly kind: "ac" | "tunnel" } | null;
}

/** "S1.2", or null: it is none of the article's. */
export function articleStep(passing: Passing): string | null {
  const { bytes, vsi } = passing;
  const on = vsi.interface;
  if (on === null || bytes.length < ETH_BYTES) return null;
  const type = u16(bytes, ETH_TYPE);
  if (type === TYPE_ARP) {
    const arp = parseArp(bytes, 0, bytes.length);
    return arp === null ? null : arpStep(arp, on, passing);
  }
  // Only what is sent to the gateway MAC is routed.
  if (type !== TYPE_IPV4 || bytes.length < ETH_BYTES + IPV4_BYTES || readMac(bytes, ETH_DST) !== on.mac) return null;
  return ipStep(passing);
}

function arpStep(arp: Arp, on: InterfaceObject, { kind, direction }: Passing): string {
  const place = `${direction} ${kind}`;
  if (arp.op === ARP_REQUEST) {
    // Who is said to ask: a host (scenario 1), or a gateway on its own behalf (scenario 2).
    const scenario = isOwnAddress(on, arp.senderIp) ? "S2" : "S1";
    if (place === "in ac") return isOwnAddress(on, arp.targetIp) ? "S2.1" : "S1.1";
    return place === "out tunnel" ? `${scenario}.4` : `${scenario}.5`;
  }
  const scenario = isOwnAddress(on, arp.targetIp) ? "S2" : "S1";
  if (place === "out ac") return isOwnAddress(on, arp.senderIp) ? "S2.2" : "S1.2";
  if (place === "in ac") return `${scenario}.6`;
  return place === "out tunnel" ? `${scenario}.7` : `${scenario}.8`;
}

function ipStep({ bytes, to, interfaces }: Passing): string | null {
  const out = to?.vsi.interface ?? null;
  if (to === null || out === null) return null;
  const source = i32(bytes, ETH_BYTES + IP_SRC);
  const destination = i32(bytes, ETH_BYTES + IP_DST);
  if (subnetOf(out, destination) === null || to.vsi.config.vni === null) return to.kind === "tunnel" ? "S3.7" : "S3.8";
  // At the second gateway it comes in by the VXLAN of its destination: where it is from, its source tells.
  if (subnetOf(out, source) !== null) return "S1.9";
  const isFromVxlan = (on: InterfaceObject) =>
    subnetOf(on, source) !== null && on.vsis.some((vsi) => vsi.config.vni !== null);
  return [...interfaces].some(isFromVxlan) ? "S2.9" : null;
}
