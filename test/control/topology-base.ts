/** A plan with two VSIs to change this and that in. */
import type { Config } from "../../src/control/plan.ts";
import { Bed, plan } from "./topology-bed.ts";

export const BASE = `
tunnels:
  - {name: gw2, remote: 192.0.2.2}
  - {name: gw3, remote: 192.0.2.3}
vsis:
  - {name: vsi10, vni: 10, tunnels: [gw2, gw3]}
  - {name: vsi20, vni: 20, tunnels: [gw2, gw3]}
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24, arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:09", ac: vm1}]}}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
acs:
  - {name: vm1, vsi: vsi10, tap: {device: tap1}}
  - {name: vm2, vsi: vsi20, tap: {device: tap2}}
routes: [{prefix: 0.0.0.0/0, nextHops: [10.1.1.2, 20.1.1.2]}]
policies: [{name: p, interfaces: [if10], rules: [{match: {}, defaultNextHop: 10.1.1.2}]}]
`;

/** BASE with replacements; each must really occur. */
export function changed(...replacements: readonly [string, string][]): Config {
  let text = BASE;
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`not in the base plan: ${from}`);
    text = text.replaceAll(from, to);
  }
  return plan(text);
}

export function started(config = plan(BASE)): Bed {
  const bed = new Bed();
  bed.apply(config);
  bed.learners.take();
  bed.opener.take();
  bed.commands.notes.length = 0;
  return bed;
}
