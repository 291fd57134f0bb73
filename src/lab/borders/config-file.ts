/** Configuration files of the gateway and the two Borders, as a person would write them. */
import type { Places } from "../config-file.ts";
import { BFD, BORDERS, GATEWAY, INSIDE, MEMBERS, OURS, ROUTERS, VM } from "./plan.ts";

export interface Choice {
  readonly bfd: boolean;
  /** How many of m1 to m5 are next hops of 70.0.0.0/8. */
  readonly members: number;
}

function head(node: string, { bfd }: Choice): string {
  const own = OURS.find(({ name }) => name === node)!;
  const others = OURS.filter(({ name }) => name !== node);
  return `node: ${node}
underlay: {address: ${own.underlay}}
tunnels:
${others.map(({ name, underlay }) => `  - {name: ${name}, remote: ${underlay}}`).join("\n")}
${bfd ? `# Each peer's gateway is asked, ${1000 / BFD.intervalMs} times a second.\nbfd: {intervalMs: ${BFD.intervalMs}, multiplier: ${BFD.multiplier}}\n` : ""}`;
}

const foot = (node: string, places: Places) => `control: {socket: ${places.socket(node)}}
log: {level: info, format: json}
`;

export function gatewayFile(places: Places, choice: Choice): string {
  const acs = [VM, ...MEMBERS].map(
    ({ name }) => `  - {name: ${name}, vsi: vsi10, tap: {device: eth0, netns: ${places.namespace(name)}}}`,
  );
  const members = MEMBERS.slice(0, choice.members).map(({ address }) => address);
  return `# gw1: two Borders are next hops of the way outside. Each is asked by ARP once a second (nextHopProbe).
${head(GATEWAY.name, choice)}vsis:
  - {name: vsi10, vni: 10}
interfaces:
  - {name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}
routes:
  - {prefix: 60.0.0.0/8, nextHops: [${INSIDE.join(", ")}]}
  - {prefix: 70.0.0.0/8, nextHops: [${members.join(", ")}]}
acs:
${acs.join("\n")}
${foot(GATEWAY.name, places)}`;
}

/** @param n its place in BORDERS */
export function borderFile(n: number, places: Places, choice: Choice): string {
  const { name } = BORDERS[n]!;
  const [router, other] = [ROUTERS[n]!, INSIDE[1 - n]!];
  return `# ${name}: a Border. While its line is dead it hands packets to the other one, and asks its peers to leave it.
${head(name, choice)}vsis:
  - {name: vsi10, vni: 10}
  - {name: uplink}
interfaces:
  - {name: inside, vsi: vsi10, address: ${INSIDE[n]}/24, distributed: false}
  - {name: outside, vsi: uplink, address: ${router.gateway}/24, distributed: false}
acs:
  - {name: ${router.name}, vsi: uplink, tap: {device: eth0, netns: ${places.namespace(router.name)}}}
# Is far there, through our own router? The router answers ARP whatever its line does.
tracks:
  - {name: line, icmp: 60.1.1.1, interface: outside, via: ${router.address}}
routes:
  - {prefix: 60.0.0.0/8, nextHops: [{ip: ${router.address}, track: line}, {ip: ${other}, priority: 2}]}
drain: {track: line}
${foot(name, places)}`;
}
