/** The two Borders' network in namespaces: made, changed by a reload, broken in its places, and mended. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configure, makeUnderlay, namespaceOf, raise } from "../bed.ts";
import { until } from "../deadline.ts";
import { launchGateway, placesOf, show, untilReady, vtepctl } from "../gateway.ts";
import { createNamespace, createVeth, ipIn, mustIn } from "../namespace.ts";
import { end, isAlive } from "../process.ts";
import { folderOf, type LabState, type Scheme } from "../state.ts";
import { MACHINE_DEVICE, OVERLAY_MTU } from "../topology.ts";
import { borderFile, type Choice, gatewayFile } from "./config-file.ts";
import { BORDERS, FAR, FAR_PORTS, GATEWAY, INSIDE, MACHINES, MEMBERS, OURS, ROUTERS } from "./plan.ts";

const WELL_MS = 30_000;
const STOP_MS = 15_000;
/** By it the one who answers is known. */
const TTL = 60;

export const BORDERS_SCHEME: Scheme = { mode: "borders", gatewayMac: "auto", handover: false, offload: true };

export const bringUpBorders = (
  name: string | undefined,
  say: (text: string) => void,
  onClaimed: (state: LabState) => void,
): Promise<LabState> => raise(name, BORDERS_SCHEME, say, onClaimed, (state) => build(state, say));

async function build(state: LabState, say: (text: string) => void): Promise<void> {
  say(`lab "${state.name}": making ${OURS.length + MACHINES.length + 2} namespaces`);
  await makeUnderlay(state, OURS);
  await Promise.all([...MACHINES, FAR].map(({ name }) => createNamespace(namespaceOf(state, name))));
  say(`lab "${state.name}": starting ${OURS.map(({ name }) => name).join(", ")}`);
  for (const { name } of OURS) launchGateway(state, name, fileOf(state, name, PLAIN));
  await Promise.all(MACHINES.map((each) => configure(state, each)));
  await makeFar(state);
  // A Border is ready when its line is there.
  await Promise.all(OURS.map(({ name }) => untilReady(state, name)));
  await makeMembers(state);
  await untilWell(state);
}

/** What the lab begins with. */
export const PLAIN: Choice = { bfd: false, members: 4 };

function fileOf(state: LabState, node: string, choice: Choice): string {
  const places = placesOf(state.name);
  const n = BORDERS.findIndex(({ name }) => name === node);
  return n < 0 ? gatewayFile(places, choice) : borderFile(n, places, choice);
}

const sysctl = (state: LabState, node: string, ...settings: readonly string[]) =>
  mustIn(namespaceOf(state, node), "sysctl", ["-qw", ...settings]);

/** Lines of the routers to far, which takes what comes by either. */
async function makeFar(state: LabState): Promise<void> {
  const far = namespaceOf(state, FAR.name);
  await sysctl(state, FAR.name, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0");
  for (const [n, { name, address }] of ROUTERS.entries()) {
    const router = namespaceOf(state, name);
    await sysctl(state, name, "net.ipv4.ip_forward=1");
    const line = FAR_PORTS[n]!;
    await createVeth(router, "to-far", far, line, OVERLAY_MTU);
    const subnet = address.replace(/\.1$/, ".0/24");
    await ipIn(router, `addr add 10.9.${n}.1/30 dev to-far`, `route add 60.0.0.0/8 via 10.9.${n}.2`);
    await ipIn(far, `addr add 10.9.${n}.2/30 dev ${line}`, `route add ${subnet} via 10.9.${n}.1`);
  }
  await ipIn(far, `addr add ${FAR.address}/32 dev lo`);
}

/** Each answers for all of 70.1.1.0/24, with a TTL that is its own. */
async function makeMembers(state: LabState): Promise<void> {
  for (const [n, { name }] of MEMBERS.entries()) {
    await sysctl(state, name, `net.ipv4.ip_default_ttl=${TTL + n}`);
    await ipIn(namespaceOf(state, name), "route add local 70.1.1.0/24 dev lo");
  }
}

interface ShownRoute {
  readonly prefix: string;
  readonly nextHops: readonly { readonly ip: string; readonly alive: boolean }[];
}

/** Next hops of gw1's route to `prefix`, and whether each lives. */
export async function nextHopsOf(state: LabState, prefix: string): Promise<Map<string, boolean>> {
  const routes = await show<ShownRoute>(state.name, GATEWAY.name, "route");
  const hops = routes.find((route) => route.prefix === prefix)?.nextHops ?? [];
  return new Map(hops.map(({ ip, alive }) => [ip, alive]));
}

interface ShownTrack {
  readonly state: string;
}

/** Both Borders live, their lines are up, and far is reached by each of many ways. */
export async function untilWell(state: LabState): Promise<void> {
  const look = async () => {
    for (const { name } of BORDERS)
      if ((await show<ShownTrack>(state.name, name, "track")).some((track) => track.state !== "up")) return false;
    // A next hop that was never used is not asked: each flow looks for its own.
    await probe(state, "60.1.1.1", 1);
    const hops = await nextHopsOf(state, "60.0.0.0/8");
    return INSIDE.every((ip) => hops.get(ip) === true);
  };
  await until("both Borders to be well", WELL_MS, look, 200);
}

/** Make the gateways what `choice` says, by a reload. */
export async function reload(state: LabState, choice: Choice): Promise<void> {
  for (const { name } of OURS) {
    writeFileSync(join(folderOf(state.name), `${name}.yaml`), fileOf(state, name, choice), { mode: 0o600 });
    const { status, stderr } = await vtepctl(state.name, name, ["config", "reload"]);
    if (status !== 0) throw new Error(`${name} refuses its configuration: ${stderr}`);
  }
}

interface ShownBfd {
  readonly sessions: readonly { readonly state: string }[];
}

/** All BFD sessions are up. */
export async function untilSessions(state: LabState): Promise<void> {
  await until("BFD", WELL_MS, async () => {
    for (const { name } of OURS) {
      const { stdout } = await vtepctl(state.name, name, ["show", "bfd", "-o", "json"]);
      const { sessions } = JSON.parse(stdout) as ShownBfd;
      if (sessions.length !== OURS.length - 1 || sessions.some((each) => each.state !== "up")) return false;
    }
    return true;
  });
}

const daemonOf = (state: LabState, node: string) => state.processes.find(({ label }) => label === node)!;

export async function kill(state: LabState, node: string): Promise<void> {
  await end([daemonOf(state, node)], 0);
}

/** SIGTERM; resolves when it has ended. */
export async function stop(state: LabState, node: string): Promise<void> {
  await end([daemonOf(state, node)], STOP_MS);
}

export function freeze(state: LabState, node: string, isFrozen: boolean): void {
  const daemon = daemonOf(state, node);
  if (isAlive(daemon)) process.kill(daemon.pid, isFrozen ? "SIGSTOP" : "SIGCONT");
}

/** Start it again by the file that is there, if it does not run. */
export async function restart(state: LabState, node: string): Promise<void> {
  const daemon = daemonOf(state, node);
  freeze(state, node, false);
  await end([daemon], STOP_MS);
  state.processes = state.processes.filter((each) => each !== daemon);
  launchGateway(state, node, null);
  await untilReady(state, node);
}

export async function setUnderlay(state: LabState, node: string, isUp: boolean): Promise<void> {
  await ipIn(namespaceOf(state, "underlay"), `link set dev to-${node} ${isUp ? "up" : "down"}`);
}

/** A router's line to far: its own kernel drops what should go there, and says nothing. */
export async function setLine(state: LabState, router: string, isUp: boolean): Promise<void> {
  await ipIn(namespaceOf(state, router), `route ${isUp ? "del" : "add"} blackhole 60.1.1.0/24`);
}

/** The cable between a machine and its gateway. */
export async function setCable(state: LabState, { name, gateway }: (typeof MACHINES)[number], isUp: boolean) {
  const namespace = namespaceOf(state, name);
  await ipIn(namespace, `link set dev ${MACHINE_DEVICE} ${isUp ? "up" : "down"}`);
  if (isUp) await ipIn(namespace, `route replace default via ${gateway} dev ${MACHINE_DEVICE}`);
}

/** Who answers for `count` addresses from `first` on: the reply's TTL, by address. */
export async function probe(state: LabState, first: string, count: number): Promise<Map<string, number>> {
  const [net, from] = [first.replace(/\d+$/, ""), Number(first.split(".").at(-1))];
  const script = `for n in $(seq ${from} ${from + count - 1}); do ping -n -c 1 -W 1 ${net}$n & done; wait`;
  const text = await mustIn(namespaceOf(state, "vm1"), "sh", ["-c", script], 30_000);
  const answers = text.matchAll(/bytes from ([\d.]+): icmp_seq=1 ttl=(\d+)/g);
  return new Map(Array.from(answers, ([, ip, ttl]) => [ip!, Number(ttl)]));
}
