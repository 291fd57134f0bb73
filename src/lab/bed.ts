/**
 * The lab as a whole: up, down, and gateways with cold tables.
 *
 * Order matters. The machines' namespaces exist before the gateways, which make their TAPs inside them; only then can
 * a machine's MAC, address and route be set. With hand-over it is the machine that makes its TAP, sets it up, and gives
 * its gateway the file descriptor (`vtepctl attach`): the way of containers, without them.
 *
 * Cold means that no host or gateway knows another, the article's starting point: the gateways are restarted, and since vtepd leaves
 * its TAPs in place for its successor, the machines' devices are deleted in between, with all they had learned.
 */
import { attachMachine, type Files, startGateways, stopGateways } from "./gateway.ts";
import { createBridge, createNamespace, createVeth, enableIpv6, ipIn, untilDevice } from "./namespace.ts";
import { run } from "./process.ts";
import { claim, clear, type LabState, prefixOf, type Scheme, writeState } from "./state.ts";
import {
  addressOf,
  gatewayOf,
  MACHINE_DEVICE,
  MACHINES,
  type Machine,
  type Mode,
  machinesOf,
  NODES,
  OVERLAY_MTU,
  UNDERLAY_BRIDGE,
  UNDERLAY_DEVICE,
  UNDERLAY_MTU,
  VTEPS,
  type Vtep,
} from "./topology.ts";

const TAP_MS = 10_000;

export const namespaceOf = (state: LabState, node: string) => `${prefixOf(state.name)}${node}`;

/**
 * Bring a lab up under `name` (or a free name), by `make`; the caller's process is its owner. `onClaimed` learns of the lab before
 * anything is made, so that an interrupt can take it down at any moment.
 */
export async function raise(
  name: string | undefined,
  scheme: Scheme,
  say: (text: string) => void,
  onClaimed: (state: LabState) => void,
  make: (state: LabState) => Promise<void>,
): Promise<LabState> {
  const state = await claim(name, scheme, say);
  onClaimed(state);
  try {
    await make(state);
    state.isUp = true;
    writeState(state);
    return state;
  } catch (error) {
    await clear(state, true);
    throw error;
  }
}

/** The article's lab. */
export function bringUp(
  name: string | undefined,
  scheme: Scheme,
  say: (text: string) => void,
  onClaimed: (state: LabState) => void,
): Promise<LabState> {
  return raise(name, scheme, say, onClaimed, async (state) => {
    say(`lab "${state.name}": making ${NODES.length + 1} namespaces`);
    await makeUnderlay(state, VTEPS);
    // All of them in either mode: `centralized` changes the mode of a running lab.
    await Promise.all(MACHINES.map((machine) => createNamespace(namespaceOf(state, machine.name))));
    say(`lab "${state.name}": starting ${VTEPS.map((vtep) => vtep.name).join(", ")}`);
    await startCold(state);
  });
}

/** A bridge, and the namespaces of all who speak over it. */
export async function makeUnderlay(state: LabState, speakers: readonly Vtep[]): Promise<void> {
  const bridge = namespaceOf(state, "underlay");
  await createNamespace(bridge);
  await createBridge(bridge, UNDERLAY_BRIDGE);
  for (const { name, underlay } of speakers) {
    const namespace = namespaceOf(state, name);
    await createNamespace(namespace);
    await createVeth(namespace, UNDERLAY_DEVICE, bridge, `to-${name}`, UNDERLAY_MTU);
    await ipIn(bridge, `link set dev to-${name} master ${UNDERLAY_BRIDGE}`);
    await ipIn(namespace, `addr add ${underlay}/24 dev ${UNDERLAY_DEVICE}`);
  }
}

async function startCold(state: LabState, files?: Files): Promise<void> {
  await startGateways(state, files);
  const machines = machinesOf(state.mode);
  await Promise.all(machines.map((each) => (state.handover ? attachMachine(state, each) : configure(state, each))));
}

/** What a guest's network configuration would do to its eth0; a TAP takes a new MAC while it is up. */
export async function configure(state: LabState, machine: Machine): Promise<void> {
  const namespace = namespaceOf(state, machine.name);
  await untilDevice(namespace, MACHINE_DEVICE, TAP_MS);
  await ipIn(
    namespace,
    `link set dev ${MACHINE_DEVICE} address ${machine.mac}`,
    `link set dev ${MACHINE_DEVICE} mtu ${OVERLAY_MTU}`,
    `link set dev ${MACHINE_DEVICE} up`,
    `addr add ${machine.address}/24 dev ${MACHINE_DEVICE}`,
    `route replace default via ${machine.gateway} dev ${MACHINE_DEVICE}`,
  );
}

/**
 * The IPv6 half of all machines. Later than the other one, so that a walk by IPv4 is without what an IPv6 host has to say when it
 * meets a network.
 */
export async function addIpv6(state: LabState): Promise<void> {
  await Promise.all(
    machinesOf(state.mode).map(async (machine) => {
      const namespace = namespaceOf(state, machine.name);
      await enableIpv6(namespace, MACHINE_DEVICE);
      await ipIn(
        namespace,
        `addr replace ${addressOf(machine, 6)}/64 dev ${MACHINE_DEVICE} nodad`,
        `route replace ::/0 via ${gatewayOf(machine, 6)} dev ${MACHINE_DEVICE}`,
      );
    }),
  );
}

/** Stop the gateways and delete the machines' devices. */
async function stopAll(state: LabState): Promise<void> {
  await stopGateways(state);
  await Promise.all(
    MACHINES.map(({ name }) => run("ip", ["-n", namespaceOf(state, name), "link", "del", "dev", MACHINE_DEVICE])),
  );
}

/** Restart the gateways and reconfigure the machines: all tables are empty. */
export async function makeCold(state: LabState, files?: Files): Promise<void> {
  await stopAll(state);
  await startCold(state, files);
}

/** The same machines under the other scheme. */
export async function changeMode(state: LabState, mode: Mode): Promise<void> {
  await stopAll(state);
  state.mode = mode;
  writeState(state);
  await startCold(state);
}

export async function takeDown(state: LabState, keepFolder: boolean): Promise<void> {
  await clear(state, keepFolder);
}
