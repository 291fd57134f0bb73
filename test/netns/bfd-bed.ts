/**
 * Two gateways that watch each other by BFD, each with a VM of one subnet:
 *
 *     vm1 - gw1 --- router --- gw2 - vm2        one hop for BFD: the router is a bridge
 */
import type { Tunnel } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { type ConfigObject, type Gateway, type Gateways, openGateways } from "./gateways.ts";

/** Sessions of busy machines take their time. */
export const UP_MS = 15_000;

export interface Pair {
  readonly gateways: Gateways;
  readonly gw1: Gateway;
  readonly gw2: Gateway;
}

export const tunnelOf = async (gateway: Gateway): Promise<Tunnel> => (await gateway.look<Tunnel[]>("/v1/tunnels"))[0]!;

/** Until the session of each is up, with that detection time. */
export async function untilUp(gateways: readonly Gateway[], detectMs: number): Promise<void> {
  for (const gateway of gateways)
    await until(`${gateway.node} up`, UP_MS, async () => {
      const { state, bfd } = await tunnelOf(gateway);
      return state === "up" && bfd?.state === "up" && bfd.detectionMs === detectMs;
    });
}

/** `bfd`: the section of both; `tunnel`: what the tunnel has besides name and remote. */
export async function openPair(label: string, bfd: ConfigObject, tunnel: ConfigObject = {}): Promise<Pair> {
  const gateways = await openGateways(label);
  const { bed } = gateways;
  const configOf = (own: string, remote: string, peer: string, vm: string) => ({
    underlay: { address: own },
    bfd,
    tunnels: [{ name: peer, remote, ...tunnel }],
    vsis: [{ name: "vsi10", vni: 10 }],
    interfaces: [{ name: "vsi-interface10", vsi: "vsi10", address: "10.1.1.1/24" }],
    acs: [{ name: vm, vsi: "vsi10", tap: { device: "eth0", netns: bed.name(vm) } }],
  });
  try {
    for (const name of ["gw1", "gw2", "router", "vm1", "vm2"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "router", "to-gw1");
    await bed.veth("gw2", "ul0", "router", "to-gw2");
    await bed.bridge("router", "br0", ["to-gw1", "to-gw2"]);
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("gw2", "addr add 192.0.2.2/24 dev ul0");
    const gw1 = await gateways.start("gw1", configOf("192.0.2.1", "192.0.2.2", "gw2", "vm1"));
    const gw2 = await gateways.start("gw2", configOf("192.0.2.2", "192.0.2.1", "gw1", "vm2"));
    await bed.ip("vm1", "addr add 10.1.1.11/24 dev eth0", "link set dev eth0 up");
    await bed.ip("vm2", "addr add 10.1.1.12/24 dev eth0", "link set dev eth0 up");
    return { gateways, gw1, gw2 };
  } catch (error) {
    await gateways.remove();
    throw error;
  }
}
