/** Configuration files of the fabric's gateways and of FRR, as a person would write them. */
import type { Places } from "../config-file.ts";
import type { Vtep } from "../topology.ts";
import { AS, GATEWAYS, HOSTS, LEAF, REFLECTORS, ROAMER, ROAMER_PORTS, SPEAKERS, VXLANS } from "./fabric.ts";

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
  return `# ${node}: a gateway in a BGP EVPN fabric. No tunnel is named: VTEPs, MACs and addresses come from routes.
node: ${node}
underlay: {address: ${underlay}}
evpn:
  # gobgpd's gRPC, for this gateway alone.
  engine: {socket: ${engine}}
  as: ${AS}
  # Two route reflectors: losing one costs nothing.
  peers:
${REFLECTORS.map((each) => `    - {address: ${each.underlay}, as: ${AS}}`).join("\n")}
vsis:
${VXLANS.map((vni) => `  - {name: vsi${vni}, vni: ${vni}, evpn: {}}`).join("\n")}
# The same address and the same MAC (\`shared\`) at every gateway, the leaf's too.
interfaces:
${VXLANS.map((vni) => `  - {name: vsi-interface${vni}, vsi: vsi${vni}, address: ${vni}.1.1.1/24}`).join("\n")}
acs:
${acs.join("\n")}
control: {socket: ${places.socket(node)}}
metrics: {listen: 127.0.0.1:9475}
log: {level: info, format: json}
`;
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
router bgp ${AS}
 bgp router-id ${LEAF.underlay}
 no bgp default ipv4-unicast
${each((address) => ` neighbor ${address} remote-as ${AS}\n neighbor ${address} timers 3 9\n neighbor ${address} timers connect 1`)}
 address-family l2vpn evpn
${each((address) => `  neighbor ${address} activate`)}
  advertise-all-vni
 exit-address-family
`;
}
