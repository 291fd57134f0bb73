/** Where a described packet enters: the AC or the tunnel that is named, or where its source is known. */
import type { TraceRequest } from "../api/schema-trace.ts";
import type { ShownParts } from "../api/shown.ts";
import type { TraceRefusal } from "../api/trace.ts";
import { vrfNames, vrfsWith } from "../api/vrfs.ts";
import { ambiguous } from "../api/why.ts";
import { type Inventory, type PortObject, subnetOf, type TunnelPort, type VsiObject } from "../control/inventory.ts";
import { formatIp, type Ip, isOfLink, parseIp } from "../control/ip.ts";

/** `vsi` null: of no VSI. */
export interface Place {
  readonly port: PortObject;
  readonly vni: number | null;
  readonly vsi: VsiObject | null;
}

type Parts = Pick<ShownParts, "inventory" | "topology" | "agent">;

export const refusal = (message: string, hint: string): TraceRefusal => ({ missing: false, message, hint });
const missing = (message: string, hint: string): TraceRefusal => ({ missing: true, message, hint });

export function placeOf(request: TraceRequest, parts: Parts): Place | TraceRefusal {
  const { ac, tunnel, peer, vrf, source, hex } = request;
  const named = [ac, tunnel, peer].filter((each) => each !== undefined).length;
  if (vrf !== undefined && !vrfNames(parts).has(vrf))
    return missing(`there is no VRF ${vrf}`, "vtepctl show vrf lists them");
  const ip = hex === undefined && source !== undefined ? parseIp(source) : null;
  if (named === 0 && ip !== null) return sourcePlace(ip, source!, vrf, parts);
  if (named !== 1) return refusal("say where it arrives", "name an AC, a tunnel or a peer, one of them");
  const place = namedPlace(request, parts.inventory);
  if ("message" in place || vrf === undefined) return place;
  const own = place.vsi?.interface?.vrfName ?? null;
  if (own === vrf) return place;
  const where = `${place.port.kind === "ac" ? "AC" : "tunnel"} ${place.port.name}`;
  const what = own === null ? "is in no VRF: its VSI has no VSI-interface" : `is in VRF ${own}`;
  return refusal(`what arrives by ${where} ${what}`, own === null ? "leave vrf out" : `leave vrf out, or name ${own}`);
}

function namedPlace({ ac, tunnel, peer, vni }: TraceRequest, inventory: Inventory): Place | TraceRefusal {
  if (ac !== undefined) {
    if (vni !== undefined) return refusal("a VNI needs a tunnel", "an AC's frames are in the VSI of the AC");
    const port = inventory.ac(ac);
    if (port === undefined) return missing(`there is no AC ${ac}`, "vtepctl show ac lists them");
    return { port, vni: null, vsi: port.vsi };
  }
  const port = tunnel === undefined ? tunnelTo(peer!, inventory) : inventory.tunnel(tunnel);
  const what = tunnel === undefined ? `tunnel to ${peer}` : `tunnel ${tunnel}`;
  if (port === undefined) return missing(`there is no ${what}`, "vtepctl show tunnel lists them");
  if (vni === undefined) return refusal("a tunnel needs a VNI", "vtepctl show vsi lists them");
  const vsi = [...inventory.vsis.values()].find((each) => each.config.vni === vni) ?? null;
  return { port, vni, vsi };
}

function tunnelTo(address: string, inventory: Inventory): TunnelPort | undefined {
  return inventory.tunnelTo(formatIp(parseIp(address)!));
}

/** Behind which port the source is, in `vrf`, or in the one VRF that has such an address. */
function sourcePlace(ip: Ip, text: string, vrf: string | undefined, { inventory, agent }: Parts) {
  if (isOfLink(ip))
    return refusal(`${text} is of a link: say where it arrives`, "name an AC, a tunnel or a peer, one of them");
  const vrfs = vrfsWith(inventory, ip).filter((each) => vrf === undefined || each === vrf);
  if (vrfs.length > 1) {
    const { message, hint } = ambiguous(text, vrfs).error;
    return refusal(message, `${hint}, or name the AC`);
  }
  const home = [...inventory.interfaces.values()].find(
    (iface) => iface.vrfName === vrfs[0] && subnetOf(iface, ip) !== null,
  );
  const known = home === undefined ? null : (agent.neighbors.find(home, ip)?.place ?? null);
  if (known !== null) {
    const vni = known.port.kind === "tunnel" ? known.vsi.config.vni : null;
    return { port: known.port, vni, vsi: known.vsi };
  }
  const where = vrf === undefined ? "here" : `in VRF ${vrf}`;
  const what = home === undefined ? `${text} is in no subnet ${where}` : `${text} is not known on ${home.name}`;
  return refusal(`${what}: say where it arrives`, "name an AC, a tunnel or a peer, one of them");
}
