/**
 * The configuration files of the lab's gateways, as a person would write them.
 *
 * They are text, not dumped objects: a reader of the lab's folder should be able to learn the product from
 * them. Each VXLAN shows another way to the Border that the article allows, so all of them are exercised:
 *
 *     vsi10  policy, `defaultNextHop`: only what no more specific route knows (D11: a match-all `nextHop` would
 *            steal the traffic between VXLANs)
 *     vsi20  policy, `nextHop` for the external prefix, before the routing table
 *     vsi30  static default route
 */
import type { Family } from "../web/article.ts";
import {
  BORDER6,
  type GatewayMac,
  inIpv6,
  MACHINE_DEVICE,
  MACHINES,
  type Machine,
  type Mode,
  ROUTER6,
  VTEPS,
  VXLANS,
  vtep,
} from "./topology.ts";

/** Where a gateway of this lab finds things, and what it leaves alone. */
export interface Places {
  /** Namespace of a node. */
  namespace(node: string): string;
  /** Control socket of a VTEP. */
  socket(node: string): string;
  /** Socket over which the machines hand their TAPs to a VTEP; absent: the VTEP makes them. */
  attach?(node: string): string;
  /** False: no offload of the kernel's is used. */
  readonly offload?: boolean;
  /** Which addresses there are; IPv4 when left out. */
  readonly families?: readonly Family[];
}

/** An address in each family, as a list where there are two. */
function addresses(ipv4: string, { families = [4] }: Places): string {
  const texts = families.map((family) => (family === 4 ? `${ipv4}/24` : `"${inIpv6(ipv4)}/64"`));
  return texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`;
}

/** What there is to say of each family, in lines. */
function inEach({ families = [4] }: Places, ipv4: string, ipv6: string): string {
  return families.map((family) => (family === 4 ? ipv4 : ipv6)).join("\n");
}

const NO_OFFLOAD = `  # Frame by frame, as on a kernel without any of it.
  offload: {tapTso: false, tapUso: false, coalesce: false, udpGso: false, udpGro: false}
`;

function head(node: string, purpose: string, { offload = true }: Places): string {
  const peers = VTEPS.filter((peer) => peer.name !== node);
  return `# ${purpose}
node: ${node}
underlay:
  address: ${vtep(node).underlay}
${offload ? "" : NO_OFFLOAD}tunnels:
${peers.map((peer) => `  - {name: ${peer.name}, remote: ${peer.underlay}}`).join("\n")}
`;
}

function acs(machines: readonly Machine[], places: Places): string {
  const lines = machines.map((machine) => {
    const vsi = machine.vxlan === undefined ? "uplink" : `vsi${machine.vxlan}`;
    if (places.attach !== undefined) return `  - {name: ${machine.name}, vsi: ${vsi}, handover: true}`;
    const tap = `{device: ${MACHINE_DEVICE}, netns: ${places.namespace(machine.name)}}`;
    return `  - {name: ${machine.name}, vsi: ${vsi}, tap: ${tap}}`;
  });
  const origin =
    places.attach === undefined ? "that vtepd makes in the machine's own namespace" : "that the machine hands over";
  return `# Each AC is a TAP ${origin}: the machine's ${MACHINE_DEVICE} is our port.
acs:
${lines.join("\n")}
`;
}

function foot(node: string, places: Places): string {
  return `control: {socket: ${places.socket(node)}}
${places.attach === undefined ? "" : `attach: {socket: ${places.attach(node)}}\n`}metrics: {listen: 127.0.0.1:9475}
log: {level: info, format: json}
`;
}

function vsis(mode: string): string {
  return `vsis:\n${VXLANS.map((vni) => `  - {name: vsi${vni}, vni: ${vni}, ${mode}}`).join("\n")}\n`;
}

function interfaces(places: Places, host: number, distributed: boolean, mac: GatewayMac, linkLocal?: string): string {
  const own = linkLocal !== undefined && places.families?.includes(6) ? `, linkLocal: "${linkLocal}"` : "";
  const lines = VXLANS.map((vni) => {
    const address = `address: ${addresses(`${vni}.1.1.${host}`, places)}`;
    return `  - {name: vsi-interface${vni}, vsi: vsi${vni}, ${address}, mac: ${mac}, distributed: ${distributed}${own}}`;
  });
  return `interfaces:\n${lines.join("\n")}\n`;
}

/** gw1 and gw2 of the distributed scheme: every VTEP is the gateway of its own site. */
function distributedGateway(node: string, mac: GatewayMac, places: Places): string {
  return `${head(node, `${node}: distributed VXLAN IP gateway. The VSI-interfaces have the same addresses on every gateway.`, places)}
# Local proxy ARP: hosts of the own subnet are answered with the gateway's MAC, so all traffic is routed here.
${vsis("arp: localProxy")}
${interfaces(places, 1, true, mac)}
${acs(
  MACHINES.filter((machine) => machine.behind === node),
  places,
)}
# Three ways to the outside, all by the Border's VSI-interface in the same VXLAN.
routes:
  # VXLAN 30 (and whatever no policy claims): a static default route.
${inEach(places, "  - {prefix: 0.0.0.0/0, nextHop: 30.1.1.2}", `  - {prefix: "::/0", nextHop: "${inIpv6("30.1.1.2")}"}`)}
policies:
  # VXLAN 10: where the table knows nothing better than a default route. Connected subnets win.
  - name: vxlan10-outside
    interfaces: [vsi-interface10]
    rules:
${inEach(places, "      - {match: {}, defaultNextHop: 10.1.1.2}", `      - {match: {}, defaultNextHop: "${inIpv6("10.1.1.2")}"}`)}
  # VXLAN 20: for the external prefix, before the table is asked.
  - name: vxlan20-outside
    interfaces: [vsi-interface20]
    rules:
${inEach(
  places,
  "      - {match: {destination: 50.1.1.0/24}, nextHop: 20.1.1.2}",
  `      - {match: {destination: "2001:db8:50::/64"}, nextHop: "${inIpv6("20.1.1.2")}"}`,
)}
${foot(node, places)}`;
}

/** The Border: VSI-interfaces with addresses of their own, and an uplink (a VSI without VNI) to the outside. */
function border(places: Places): string {
  const lines = VXLANS.map((vni) => `  - {name: vsi${vni}, vni: ${vni}}`);
  return `${head("border", "border: no special code, a node with VSI-interfaces of its own and an uplink.", places)}
vsis:
${lines.join("\n")}
  - {name: uplink}               # no VNI: a local VSI
${interfaces(places, 2, false, "auto", BORDER6)}  - {name: uplink-interface, vsi: uplink, address: ${addresses("50.1.1.254", places)}, distributed: false}
${acs(
  MACHINES.filter((machine) => machine.behind === "border"),
  places,
)}
${foot("border", places)}`;
}

/** gw1 and gw2 of the centralised scheme: they bridge and know no address. */
function plainVtep(node: string, places: Places): string {
  return `${head(node, `${node}: a plain L2 VTEP. ARP is flooded like any broadcast; the gateway is elsewhere.`, places)}
${vsis("arp: flood")}
${acs(
  MACHINES.filter((machine) => machine.behind === node),
  places,
)}
${foot(node, places)}`;
}

/** The one gateway of the centralised scheme: all VSI-interfaces, no machines. */
function central(places: Places): string {
  return `${head("border", "The central gateway: it routes for all VXLANs and has no site of its own.", places)}
${vsis("arp: localProxy")}
${interfaces(places, 1, false, "auto", ROUTER6)}
${foot("border", places)}`;
}

/** The text of a VTEP's configuration file. */
export function configFile(node: string, mode: Mode, places: Places, mac: GatewayMac = "auto"): string {
  if (mode === "centralized") return node === "border" ? central(places) : plainVtep(node, places);
  return node === "border" ? border(places) : distributedGateway(node, mac, places);
}
