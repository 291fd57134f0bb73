/**
 * Looking into a lab that is up: a shell or a command in a node, vtepctl and the log of a gateway, what passes a
 * device, and what is well. Nothing here changes the lab.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { namespaceOf } from "./bed.ts";
import { type Capture, captureTool, openCapture, pcapBytes } from "./capture.ts";
import { type Captured, decodeEthernet, decodeVxlan, frameText } from "./frame.ts";
import { logOf, placesOf, VTEPCTL, VTEPD, vtepctl } from "./gateway.ts";
import { membersOf, type Port, portsOf } from "./members.ts";
import { inside } from "./namespace.ts";
import { columns, dim, heading, mark, print, say } from "./paint.ts";
import { isAlive } from "./process.ts";
import { find, folderOf, foreignFolderOf, type LabState, labs } from "./state.ts";
import type { Vtep } from "./topology.ts";

const FAILED = 1;
const USAGE = 2;
const NOT_FOUND = 4;
const UNHEALTHY = 7;
/** In place of a gateway's name: all of them in one question. */
const ALL = "all";

function refusal(message: string, status: number): Error {
  return Object.assign(new Error(message), { status });
}

function knownNode({ mode }: LabState, node: string): string {
  const { gateways, others, machines } = membersOf(mode);
  const names = [...gateways, ...others, ...machines].map(({ name }) => name);
  if (!names.includes(node)) throw refusal(`no node ${node}; there are ${names.join(", ")}`, NOT_FOUND);
  return node;
}

function knownGateway(state: LabState, node: string): string {
  const names = membersOf(state.mode).gateways.map(({ name }) => name);
  if (!names.includes(node)) throw refusal(`no gateway ${node}; there are ${names.join(", ")}`, NOT_FOUND);
  return node;
}

const hasNode = (nodes: readonly Vtep[], node: string) => nodes.some(({ name }) => name === node);
const isGateway = ({ mode }: LabState, node: string) => hasNode(membersOf(mode).gateways, node);

/** A folder with `vtepd` and `vtepctl`, run by the Node that runs the lab; and vtysh and gobgp, which then ask those of the node. */
function programsOf(state: LabState): string {
  const folder = join(folderOf(state.name), "bin");
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const [name, program] of [
    ["vtepd", VTEPD],
    ["vtepctl", VTEPCTL],
  ] as const)
    writeFileSync(join(folder, name), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, { mode: 0o755 });
  if (state.mode === "evpn")
    for (const [name, option] of [
      ["vtysh", `--vty_socket "${foreignFolderOf(state.name)}/$VTEPD_NODE"`],
      ["gobgp", `--target "unix://${folderOf(state.name)}/bgp-$VTEPD_NODE/api.sock"`],
    ] as const)
      writeFileSync(join(folder, name), `#!/bin/sh\nexec /usr/bin/${name} ${option} "$@"\n`, { mode: 0o755 });
  return folder;
}

/** An interactive shell (or a command) inside a node, with vtepd and vtepctl on the PATH. */
export function shell(node: string, command: readonly string[], name: string | undefined): number {
  const state = find(name);
  const [program = "bash", ...args] = command.length > 0 ? command : [process.env.SHELL ?? "bash"];
  const PATH = [programsOf(state), process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin"].join(delimiter);
  const env = { ...process.env, PATH, PS1: `${knownNode(state, node)}# `, VTEPD_NODE: node };
  if (isGateway(state, node)) Object.assign(env, { VTEPD_SOCKET: placesOf(state.name).socket(node) });
  const [outer, all] = inside(namespaceOf(state, node), program, args);
  return spawnSync(outer, all, { stdio: "inherit", env }).status ?? FAILED;
}

/** A command inside a node. */
export function exec(node: string, command: readonly string[], name: string | undefined): number {
  if (command.length === 0) throw refusal("which command? exec vm1 ping 20.1.1.12", USAGE);
  return shell(node, command, name);
}

/** vtepctl on a gateway, or on all of them as a fleet. */
export function ctl(node: string, args: readonly string[], name: string | undefined): number {
  const state = find(name);
  const asked =
    node === ALL ? ["--fleet", folderOf(state.name)] : ["-s", placesOf(state.name).socket(knownGateway(state, node))];
  return spawnSync(process.execPath, [VTEPCTL, ...asked, ...args], { stdio: "inherit" }).status ?? FAILED;
}

/** The end of a gateway's log, and what is added to it. */
export function logs(node: string, lines: number, isFollowed: boolean, name: string | undefined): number {
  const state = find(name);
  const file = logOf(state.name, knownGateway(state, node));
  const args = ["-n", String(lines), ...(isFollowed ? ["-F"] : []), file];
  return spawnSync("tail", args, { stdio: "inherit" }).status ?? FAILED;
}

/** Print the frames of a node's devices as they pass, each with its device where there are several, or write them to a file, until Ctrl-C or `count` frames. */
export async function capture(
  node: string,
  file: string | undefined,
  count: number,
  name: string | undefined,
): Promise<number> {
  const state = find(name);
  const ports = portsOf(state.mode, knownNode(state, node));
  const widest = Math.max(...ports.map(({ device }) => device.length));
  let start: number | undefined;
  /** For the file alone: what is printed is not kept. */
  const kept: Captured[] = [];
  let seen = 0;
  const show = (frame: Captured, { device, isUnderlay }: Port) => {
    start ??= frame.atMs;
    const vxlan = isUnderlay ? decodeVxlan(frame.bytes) : undefined;
    const inner = vxlan?.inner ?? decodeEthernet(frame.bytes);
    const outer = vxlan && `${vxlan.outer.source} → ${vxlan.outer.destination} VNI ${vxlan.outer.vni}  `;
    const at = ports.length > 1 ? `${device.padEnd(widest)}  ` : "";
    if (inner) print(`${((frame.atMs - start) / 1000).toFixed(6)}  ${at}${outer ?? ""}${frameText(inner)}`);
  };
  let enough = () => {};
  const isOver = new Promise<void>((resolve) => {
    enough = resolve;
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.removeAllListeners(signal).once(signal, enough);
  const take = (port: Port) => (frame: Captured) => {
    if (++seen >= count) enough();
    if (seen > count) return;
    if (file === undefined) show(frame, port);
    else kept.push(frame);
  };
  const tool = captureTool();
  const eyes: Capture[] = [];
  try {
    for (const port of ports) eyes.push(await openCapture(namespaceOf(state, node), port.device, tool, take(port)));
    say(`capturing ${ports.map(({ device }) => device).join(", ")} of ${node}; Ctrl-C ends`);
    const watch = setInterval(() => eyes.some((eye) => eye.failure() !== undefined) && enough(), 200);
    await isOver;
    clearInterval(watch);
  } finally {
    await Promise.all(eyes.map((eye) => eye.stop()));
  }
  const failure = eyes.map((eye) => eye.failure()).find((each) => each !== undefined);
  if (file !== undefined) {
    writeFileSync(file, pcapBytes(kept.sort((a, b) => a.atMs - b.atMs)));
    say(`${kept.length} frames written to ${file}`);
  }
  if (failure !== undefined) throw new Error(failure);
  return 0;
}

/** Which labs are up, and are their gateways ready? */
export async function status(name: string | undefined): Promise<number> {
  const names = name === undefined ? labs() : [find(name).name];
  if (names.length === 0) print("no lab is up");
  let isHealthy = true;
  for (const each of names) {
    const state = find(each);
    const owner = state.owner !== null && isAlive(state.owner) ? `, in use by process ${state.owner.pid}` : "";
    print(heading(`Lab "${each}", ${state.mode}${state.isUp ? "" : ", incomplete"}${owner}`));
    const rows: string[][] = [];
    const { gateways, others, machines } = membersOf(state.mode);
    for (const { name: node, underlay } of gateways) {
      const daemon = state.processes.find((process) => process.label === node);
      const asked = await vtepctl(each, node, ["status", "-o", "json"]);
      const isReady = asked.status === 0 && (JSON.parse(asked.stdout) as { ready?: boolean }).ready === true;
      if (!isReady) isHealthy = false;
      rows.push([mark(isReady), node, underlay, isReady ? "ready" : "not ready", daemon ? `pid ${daemon.pid}` : "-"]);
    }
    for (const { name: node, underlay } of others) {
      const daemons = state.processes.filter(({ label }) => label.startsWith(`${node} `));
      const isWell = daemons.length > 0 && daemons.every(isAlive);
      if (!isWell) isHealthy = false;
      rows.push([
        mark(isWell),
        node,
        underlay,
        isWell ? "runs" : "does not run",
        daemons.map(({ label }) => label).join(", "),
      ]);
    }
    for (const machine of machines)
      rows.push(["", machine.name, machine.address, machine.mac, `behind ${machine.behind}`]);
    print(columns(rows, " "));
    print(dim(`   files: ${folderOf(each)}   namespaces: ${namespaceOf(state, "…")}`));
  }
  return isHealthy ? 0 : UNHEALTHY;
}
