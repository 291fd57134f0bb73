/**
 * The fabric in namespaces: underlay, reflectors, leaf, and gateways with their engines.
 *
 * The hosts' namespaces exist before the gateways, which make their TAPs inside them. Everything is on record before or as it is
 * made (state.ts), so that a lab that was killed half-way is taken away by the next one of its name.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { configure, makeUnderlay, namespaceOf, raise } from "../bed.ts";
import { until } from "../deadline.ts";
import { accepts, launchGateway, logOf, placesOf, untilReady } from "../gateway.ts";
import {
  createBridge,
  createNamespace,
  createVeth,
  enableIpv6,
  hasIpv6,
  inside,
  ipIn,
  mustIn,
  untilDevice,
} from "../namespace.ts";
import { end, isAlive, launch } from "../process.ts";
import { familiesOf, folderOf, type LabState, type Scheme, writeState } from "../state.ts";
import { addressOf, gatewayOf, inIpv6, MACHINE_DEVICE, type Machine, OVERLAY_MTU } from "../topology.ts";
import { borderFile, gatewayFile, leafFile, reflectorFile } from "./config-file.ts";
import {
  BORDER,
  gatewayMac,
  HOSTS,
  L3VNI,
  LEAF,
  OURS,
  OUTSIDE,
  REFLECTORS,
  ROAMER,
  ROAMER_PORTS,
  ROUTED,
  SPEAKERS,
  VXLANS,
} from "./fabric.ts";
import { startFrr } from "./frr.ts";

const DEVICE_MS = 10_000;
const ENGINE_MS = 10_000;

const FABRIC_SCHEME: Scheme = {
  ...{ mode: "evpn", gatewayMac: "shared", handover: false, offload: true },
  families: hasIpv6 ? [4, 6] : [4],
};

export const bringUpFabric = (
  name: string | undefined,
  say: (text: string) => void,
  onClaimed: (state: LabState) => void,
): Promise<LabState> => raise(name, FABRIC_SCHEME, say, onClaimed, (state) => build(state, say));

async function build(state: LabState, say: (text: string) => void): Promise<void> {
  const nodes = [...REFLECTORS, ...SPEAKERS];
  const hosts = [...HOSTS, ROUTED, OUTSIDE, ROAMER];
  say(`lab "${state.name}": making ${nodes.length + hosts.length + 1} namespaces`);
  await makeUnderlay(state, nodes);
  await Promise.all(hosts.map((each) => createNamespace(namespaceOf(state, each.name))));
  await makeLeaf(state);
  say(`lab "${state.name}": starting FRR on ${[...REFLECTORS, LEAF].map((each) => each.name).join(", ")}`);
  for (const each of REFLECTORS) await startFrr(state, each.name, reflectorFile(each));
  await startFrr(state, LEAF.name, leafFile());
  say(`lab "${state.name}": starting ${OURS.map((each) => each.name).join(", ")}, and a gobgpd beside each`);
  await Promise.all(OURS.map(({ name }) => startEngine(state, name)));
  const places = placesOf(state.name);
  for (const { name } of OURS) {
    const engine = engineSocket(state, name);
    launchGateway(state, name, name === BORDER.name ? borderFile(places, engine) : gatewayFile(name, places, engine));
  }
  await Promise.all(OURS.map(({ name }) => untilReady(state, name)));
  await Promise.all([...HOSTS, ROUTED, OUTSIDE].map((each) => configure(state, each)));
  await makeRoamer(state);
}

/** The hosts' IPv6. Later than IPv4, so that what is told of that is without what an IPv6 host says when it meets a network. */
export async function addHostsIpv6(state: LabState): Promise<void> {
  await Promise.all(
    [...HOSTS, ROUTED, OUTSIDE].map(async (each) => {
      const namespace = namespaceOf(state, each.name);
      await enableIpv6(namespace, MACHINE_DEVICE);
      await ipIn(
        namespace,
        `addr replace ${addressOf(each, 6)}/64 dev ${MACHINE_DEVICE} nodad`,
        `route replace ::/0 via ${gatewayOf(each, 6)} dev ${MACHINE_DEVICE}`,
      );
    }),
  );
}

/** For each VXLAN a bridge with the gateway's address and MAC, a vxlan device that learns nothing by itself, and ports. */
async function makeLeaf(state: LabState): Promise<void> {
  const leaf = namespaceOf(state, LEAF.name);
  const sysctl = (...settings: readonly string[]) => mustIn(leaf, "sysctl", ["-qw", ...settings]);
  await sysctl("net.ipv4.ip_forward=1");
  const isDual = familiesOf(state).includes(6);
  const of6 = (device: string, ...settings: readonly string[]) =>
    isDual ? sysctl(...settings.map((each) => `net.ipv6.conf.${device}.${each}`)) : undefined;
  await of6("all", "forwarding=1");
  await of6("default", "forwarding=1", "accept_dad=0");
  for (const vni of [...VXLANS, L3VNI]) {
    await createBridge(leaf, `br${vni}`);
    await ipIn(
      leaf,
      `link add vxlan${vni} type vxlan id ${vni} local ${LEAF.underlay} dstport 4789 nolearning`,
      `link set vxlan${vni} master br${vni} addrgenmode none`,
      `link set vxlan${vni} type bridge_slave ${vni === L3VNI ? "" : "neigh_suppress on "}learning off`,
      `link set vxlan${vni} up`,
    );
  }
  for (const vni of VXLANS) {
    await ipIn(leaf, `link set br${vni} address ${gatewayMac(vni)}`, `addr add ${vni}.1.1.1/24 dev br${vni}`);
    // A silent host's answer to a question of ours is learned, and so announced.
    await sysctl(`net.ipv4.conf.br${vni}.arp_accept=1`);
    await of6(`br${vni}`, "disable_ipv6=0", "accept_untracked_na=1");
    if (isDual) await ipIn(leaf, `addr add ${inIpv6(`${vni}.1.1.1`)}/64 dev br${vni} nodad`);
  }
  // What comes by it is routed.
  await of6(`br${L3VNI}`, "disable_ipv6=0");
  const port = async (host: Machine, device: string) => {
    await createVeth(namespaceOf(state, host.name), device, leaf, `to-${host.name}`, OVERLAY_MTU);
    await ipIn(leaf, `link set to-${host.name} master br${host.vxlan}`);
  };
  for (const each of HOSTS.filter(({ behind }) => behind === LEAF.name)) await port(each, MACHINE_DEVICE);
  await port(ROAMER, ROAMER_PORTS[LEAF.name]!);
  // A routed port: no VXLAN of its own.
  await createVeth(namespaceOf(state, ROUTED.name), MACHINE_DEVICE, leaf, `to-${ROUTED.name}`, OVERLAY_MTU);
  await ipIn(leaf, `addr add ${ROUTED.gateway}/24 dev to-${ROUTED.name}`);
  await of6(`to-${ROUTED.name}`, "disable_ipv6=0");
  if (isDual) await ipIn(leaf, `addr add ${gatewayOf(ROUTED, 6)}/64 dev to-${ROUTED.name} nodad`);
}

/** All its ports are up; the ones that it is not behind have a MAC of their own and no address, so that nothing answers there. */
async function makeRoamer(state: LabState): Promise<void> {
  const namespace = namespaceOf(state, ROAMER.name);
  // Asked at one port, its kernel would answer for the address of another.
  await mustIn(namespace, "sysctl", ["-qw", "net.ipv4.conf.all.arp_ignore=1"]);
  for (const [place, device] of Object.entries(ROAMER_PORTS)) {
    await untilDevice(namespace, device, DEVICE_MS);
    // What a hypervisor's machine does when it has arrived: it announces its address.
    await mustIn(namespace, "sysctl", ["-qw", `net.ipv4.conf.${device}.arp_notify=1`]);
    await ipIn(
      namespace,
      `link set dev ${device} address ${idleMac(place)} mtu ${OVERLAY_MTU}`,
      `link set dev ${device} up`,
    );
  }
  await arrive(state, ROAMER.behind);
}

const idleMac = (place: string) =>
  `02:00:00:00:00:${String(Object.keys(ROAMER_PORTS).indexOf(place) + 1).padStart(2, "0")}`;

/** The machine stops at one place, and is at another: in one process. Its last step, the change of MAC, makes it announce its address. */
async function arrive(state: LabState, to: string, from: string | null = null): Promise<void> {
  const [old, fresh] = [from === null ? null : ROAMER_PORTS[from]!, ROAMER_PORTS[to]!];
  const { name, mac, address, gateway } = ROAMER;
  await ipIn(
    namespaceOf(state, name),
    ...(old === null ? [] : [`addr del ${address}/24 dev ${old}`, `link set dev ${old} address ${idleMac(from!)}`]),
    `addr add ${address}/24 dev ${fresh}`,
    `route replace default via ${gateway} dev ${fresh}`,
    `link set dev ${fresh} address ${mac}`,
  );
}

export const moveRoamer = (state: LabState, from: string, to: string) => arrive(state, to, from);

const engineFolder = (state: LabState, node: string) => join(folderOf(state.name), `bgp-${node}`);
const engineSocket = (state: LabState, node: string) => join(engineFolder(state, node), "api.sock");
const engineLabel = (node: string) => `${node} gobgpd`;

/** gobgpd beside a gateway: in its namespace, with a socket that is for root alone, and no port. */
export async function startEngine(state: LabState, node: string): Promise<void> {
  const socket = engineSocket(state, node);
  mkdirSync(engineFolder(state, node), { recursive: true, mode: 0o700 });
  // It does not take over a socket of before.
  rmSync(socket, { force: true });
  const args = ["--api-hosts", `unix://${socket}`, "--pprof-disable", "--log-level=warn"];
  const [program, all] = inside(namespaceOf(state, node), "gobgpd", args);
  const identity = launch(program, all, logOf(state.name, `${node}.gobgpd`));
  state.processes.push({ label: engineLabel(node), ...identity });
  writeState(state);
  await until(`gobgpd of ${node}`, ENGINE_MS, async () => {
    if (!isAlive(identity)) throw new Error(`it ended, see ${logOf(state.name, `${node}.gobgpd`)}`);
    return await accepts(socket);
  });
}

/** End it at once, as a crash does. */
export async function killEngine(state: LabState, node: string): Promise<void> {
  await end(
    state.processes.filter(({ label }) => label === engineLabel(node)),
    0,
  );
  state.processes = state.processes.filter(({ label }) => label !== engineLabel(node));
  writeState(state);
}
