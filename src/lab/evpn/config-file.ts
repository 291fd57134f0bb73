/** Configuration files of the fabric's gateways and of FRR, as a person would write them. */
import type { Places } from "../config-file.ts";
import { inIpv6, type Vtep } from "../topology.ts";
import {
  AS,
  BORDER,
  GATEWAYS,
  HOSTS,
  L3VNI,
  LEAF,
  OUTSIDE,
  REFLECTORS,
  ROAMER,
  ROAMER_PORTS,
  SPEAKERS,
  VXLANS,
} from "./fabric.ts";

/** @param engine gobgpd's socket */
export function gatewayFile(node: string, places: Places, engine: string): string {
  const { underlay } = GATEWAYS.find(({ name }) => name === node)!;
  const ports = [
    ...HOSTS.filter(({ behind }) => behind === node).map(({ name, vxlan }) => ({ name, vxlan, device: "eth0" })),
    { name: ROAMER.name, vxlan: ROAMER.vxlan, device: ROAMER_PORTS[node]! },
  ];
  const acs = ports.map(
    ({ name, vxlan, device }) =>
      `  - {name: ${name}, vsi: vsi${vxlan}, tap: {device: ${device}, netns: ${places.namespace(name)}}}`,
  );
  return `# ${node}: a gateway in a BGP EVPN fabric. No tunnel is named: VTEPs, MACs, addresses and prefixes come from routes.
${head(node, underlay, engine)}# What another gateway announces of this VRF is routed to it, by this VNI.
vrfs:
  - {name: main, l3vni: ${L3VNI}}
vsis:
${VXLANS.map((vni) => `  - {name: vsi${vni}, vni: ${vni}, evpn: {}}`).join("\n")}
# The same address and the same MAC (\`shared\`) at every gateway, the leaf's too.
interfaces:
${VXLANS.map((vni) => `  - {name: vsi-interface${vni}, vsi: vsi${vni}, address: ${both(`${vni}.1.1.1`)}}`).join("\n")}
acs:
${acs.join("\n")}
${foot(node, places)}`;
}

/** An address in each family. */
const both = (ipv4: string) => `[${ipv4}/24, "${inIpv6(ipv4)}/64"]`;

function head(node: string, underlay: string, engine: string): string {
  return `node: ${node}
underlay: {address: ${underlay}}
evpn:
  # gobgpd's gRPC, for this gateway alone.
  engine: {socket: ${engine}}
  as: ${AS}
  # Two route reflectors: losing one costs nothing.
  peers:
${REFLECTORS.map((each) => `    - {address: ${each.underlay}, as: ${AS}}`).join("\n")}
`;
}

function foot(node: string, places: Places): string {
  return `control: {socket: ${places.socket(node)}}
metrics: {listen: 127.0.0.1:9475}
log: {level: info, format: json}
`;
}

export function borderFile(places: Places, engine: string): string {
  const { name, address, gateway, address6 } = OUTSIDE;
  return `# ${BORDER.name}: the way out of the VRF. It has no VNI of a subnet: the default route that it announces (type 5) is enough.
${head(BORDER.name, BORDER.underlay, engine)}vrfs:
  - {name: main, l3vni: ${L3VNI}, evpn: {advertise: {default: true}}}
vsis:
  - {name: uplink}
interfaces:
  - {name: uplink-interface, vsi: uplink, address: ${both(gateway)}, distributed: false}
routes:
  - {prefix: 0.0.0.0/0, nextHop: ${address}}
  - {prefix: "::/0", nextHop: "${address6}"}
acs:
  - {name: ${name}, vsi: uplink, tap: {device: eth0, netns: ${places.namespace(name)}}}
${foot(BORDER.name, places)}`;
}

/** A reflector: all others dial it. */
export function reflectorFile({ name, underlay }: Vtep): string {
  const each = (lines: (address: string) => string) => SPEAKERS.map((speaker) => lines(speaker.underlay)).join("\n");
  return `! ${name}: route reflector
hostname ${name}
router bgp ${AS}
 bgp router-id ${underlay}
 no bgp default ipv4-unicast
${each((address) => ` neighbor ${address} remote-as ${AS}\n neighbor ${address} timers 3 9\n neighbor ${address} passive`)}
 address-family l2vpn evpn
${each((address) => `  neighbor ${address} activate\n  neighbor ${address} route-reflector-client`)}
 exit-address-family
`;
}

export function leafFile(): string {
  const each = (lines: (address: string) => string) => REFLECTORS.map(({ underlay }) => lines(underlay)).join("\n");
  return `! ${LEAF.name}: a leaf that announces all its VNIs
hostname ${LEAF.name}
! The L3VNI of the default VRF.
vni ${L3VNI}
router bgp ${AS}
 bgp router-id ${LEAF.underlay}
 no bgp default ipv4-unicast
${each((address) => ` neighbor ${address} remote-as ${AS}\n neighbor ${address} timers 3 9\n neighbor ${address} timers connect 1`)}
 address-family l2vpn evpn
${each((address) => `  neighbor ${address} activate`)}
  advertise-all-vni
  ! What is connected is announced by type 5.
  advertise ipv4 unicast
  advertise ipv6 unicast
 exit-address-family
 address-family ipv4 unicast
  redistribute connected route-map tenant
 exit-address-family
 address-family ipv6 unicast
  redistribute connected route-map tenant6
 exit-address-family
! Not the underlay, which is in the same (default) VRF here.
ip prefix-list tenant seq 5 permit 60.1.1.0/24
route-map tenant permit 10
 match ip address prefix-list tenant
ipv6 prefix-list tenant6 seq 5 permit 2001:db8:60::/64
route-map tenant6 permit 10
 match ipv6 address prefix-list tenant6
`;
}
