/**
 * The article's network as a test bed: the topology and the configuration files of the lab, under names of our own.
 *
 *     vm1 vm2 vm3 - gw1 -+- gw2 - vm4 vm5 vm6          VXLANs 10, 20, 30; underlay 192.0.2.0/24, MTU 1500
 *                        +- border - ext
 *
 * The underlay devices do their checksums and cuts in software (`ethtool -K`), so that a capture there shows what would
 * be on a wire: with offloads on, a veth carries unfinished checksums and super-frames, and nothing could be verified.
 */

import { configFile } from "../../src/lab/config-file.ts";
import { enableIpv6 } from "../../src/lab/namespace.ts";
import {
  type GatewayMac,
  gatewayOf,
  MACHINE_DEVICE,
  type Machine,
  type Mode,
  machine as machineOf,
  machinesOf,
  addressOf as ofFamily,
  UNDERLAY_BRIDGE,
  UNDERLAY_DEVICE,
  VTEPS,
} from "../../src/lab/topology.ts";
import type { Family } from "../../src/web/article.ts";
import type { Bed } from "./bed.ts";
import { type Gateway, type Gateways, openGateways } from "./gateways.ts";

export interface ArticleOptions {
  readonly mode?: Mode;
  /** Without offloads on the underlay; for captures that check sums. */
  readonly isPlainWire?: boolean;
  /** Gateway MACs of gw1 and gw2: one for each, or one for both. */
  readonly mac?: GatewayMac;
  /** Which addresses there are; IPv4 when left out. */
  readonly families?: readonly Family[];
  /** The last word on a node's configuration file. */
  readonly shape?: (node: string, text: string) => string;
}

export interface Article {
  readonly gateways: Gateways;
  readonly bed: Bed;
  readonly gw1: Gateway;
  readonly gw2: Gateway;
  readonly border: Gateway;
  /** A node's configuration file, as `shape` has it now: to start it again with another one. */
  readonly textOf: (node: string) => string;
}

export const addressOf = (machine: string) => machineOf(machine).address;
export const address6Of = (machine: string) => ofFamily(machineOf(machine), 6);
export const macOf = (machine: string) => machineOf(machine).mac;

export async function openArticle(label: string, options: ArticleOptions = {}): Promise<Article> {
  const {
    mode = "distributed",
    isPlainWire = false,
    mac = "auto",
    families = [4],
    shape = (_node: string, text: string) => text,
  } = options;
  const gateways = await openGateways(label);
  const { bed } = gateways;
  try {
    await bed.namespace("underlay");
    const machines = machinesOf(mode);
    await Promise.all([...VTEPS, ...machines].map(({ name }) => bed.namespace(name)));
    for (const { name, underlay } of VTEPS) {
      await bed.veth(name, UNDERLAY_DEVICE, "underlay", `to-${name}`);
      await bed.ip(name, `addr add ${underlay}/24 dev ${UNDERLAY_DEVICE}`);
      if (isPlainWire)
        await bed.must(name, "ethtool", ["-K", UNDERLAY_DEVICE, "tx", "off", "gso", "off", "tso", "off"]);
    }
    await bed.bridge(
      "underlay",
      UNDERLAY_BRIDGE,
      VTEPS.map(({ name }) => `to-${name}`),
    );
    const places = { namespace: bed.name, socket: gateways.socket, families };
    const textOf = (node: string) => shape(node, configFile(node, mode, places, mac));
    const [gw1, gw2, border] = (await Promise.all(VTEPS.map(({ name }) => gateways.start(name, textOf(name))))) as [
      Gateway,
      Gateway,
      Gateway,
    ];
    await Promise.all(machines.map((machine) => setUp(bed, machine)));
    if (families.includes(6)) await Promise.all(machines.map((machine) => setUp6(bed, machine)));
    return { gateways, bed, gw1, gw2, border, textOf };
  } catch (error) {
    await gateways.remove();
    throw error;
  }
}

/** What a guest does to its network card. The MTU is the gateway's to set, and stays as it is. */
export async function setUp(bed: Bed, { name, mac, address, gateway }: Machine): Promise<void> {
  await bed.ip(
    name,
    `link set dev ${MACHINE_DEVICE} address ${mac} up`,
    `addr add ${address}/24 dev ${MACHINE_DEVICE}`,
    `route replace default via ${gateway} dev ${MACHINE_DEVICE}`,
  );
}

/** The IPv6 half of it. */
export async function setUp6(bed: Bed, machine: Machine): Promise<void> {
  await enableIpv6(bed.name(machine.name), MACHINE_DEVICE);
  await bed.ip(
    machine.name,
    `addr replace ${ofFamily(machine, 6)}/64 dev ${MACHINE_DEVICE} nodad`,
    `route replace ::/0 via ${gatewayOf(machine, 6)} dev ${MACHINE_DEVICE}`,
  );
}
