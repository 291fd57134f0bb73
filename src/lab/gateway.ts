/**
 * The lab's gateways: `vtepd run` in a namespace, asked through `vtepctl` like any operator would.
 *
 * Ready means: the control socket accepts, and `vtepctl status -o json` says `ready: true` (configuration applied,
 * socket bound, ACs attached). A daemon that ends before that is an error with the last lines of its log.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Family } from "../web/article.ts";
import { configFile, type Places } from "./config-file.ts";
import { until } from "./deadline.ts";
import type { ArpEntry } from "./judge.ts";
import { inside } from "./namespace.ts";
import { end, isAlive, launch, must, type Outcome, run } from "./process.ts";
import { familiesOf, folderOf, type LabState, prefixOf, writeState } from "./state.ts";
import { MACHINE_DEVICE, type Machine, VTEPS } from "./topology.ts";

export const VTEPD = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
export const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));
const READY_MS = 15_000;
/** The daemon promises to be gone 2 s after SIGTERM. */
const STOP_MS = 4000;

export function placesOf(name: string): Places {
  return {
    namespace: (node) => `${prefixOf(name)}${node}`,
    socket: (node) => join(folderOf(name), `${node}.sock`),
  };
}

const attachSocket = (name: string, node: string) => join(folderOf(name), `${node}.attach.sock`);

export const logOf = (name: string, node: string) => join(folderOf(name), `${node}.log`);

function tailOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-8).join("\n");
  } catch {
    return "(no log)";
  }
}

/** Are configuration files made anew, or kept with what somebody has changed in them? */
export type Files = "made" | "kept";

/** Write the configuration files and start a daemon for each VTEP; resolves when all are ready. */
export async function startGateways(state: LabState, files: Files = "made"): Promise<void> {
  const own = { ...placesOf(state.name), offload: state.offload, families: familiesOf(state) };
  const places = state.handover ? { ...own, attach: (node: string) => attachSocket(state.name, node) } : own;
  for (const { name } of VTEPS) {
    const isMade = files === "made" || !existsSync(configOf(state.name, name));
    launchGateway(state, name, isMade ? configFile(name, state.mode, places, state.gatewayMac) : null);
  }
  await Promise.all(VTEPS.map(({ name }) => untilReady(state, name)));
}

const configOf = (lab: string, node: string) => join(folderOf(lab), `${node}.yaml`);

/** Start the daemon of `node`, by `config` or, null, by the file that is there. */
export function launchGateway(state: LabState, node: string, config: string | null): void {
  const file = configOf(state.name, node);
  if (config !== null) {
    writeFileSync(file, config, { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  const [program, args] = inside(placesOf(state.name).namespace(node), process.execPath, [VTEPD, "run", "-c", file]);
  const identity = launch(program, args, logOf(state.name, node));
  state.processes.push({ label: node, ...identity });
  writeState(state);
}

/** In hand-over: the machine makes its own eth0 and hands it to its gateway; resolves when it has its address. */
export async function attachMachine(state: LabState, { name, behind, mac, address, gateway }: Machine): Promise<void> {
  const namespace = placesOf(state.name).namespace(name);
  const network = ["--mac", mac, "--address", `${address}/24`, "--gateway", gateway];
  const args = [VTEPCTL, "attach", "-s", attachSocket(state.name, behind), "--ac", name, ...network];
  const [program, all] = inside(namespace, process.execPath, args);
  const identity = launch(program, all, logOf(state.name, name));
  state.processes.push({ label: name, ...identity });
  writeState(state);
  await until(`${name} to be attached to ${behind}`, READY_MS, async () => {
    if (!isAlive(identity)) throw new Error(tailOf(logOf(state.name, name)));
    return (await run("ip", ["-n", namespace, "-4", "-o", "address", "show", "dev", MACHINE_DEVICE])).stdout.includes(
      address,
    );
  });
}

export async function untilReady(state: LabState, node: string): Promise<void> {
  const socket = placesOf(state.name).socket(node);
  const daemon = state.processes.find((process) => process.label === node)!;
  const isDead = () => !isAlive(daemon);
  // Connecting costs nothing; a vtepctl costs a process, so it is only asked when somebody listens.
  await until(`control socket of ${node}`, READY_MS, async () => isDead() || (await accepts(socket)));
  await until(`${node} to be ready`, READY_MS, async () => isDead() || (await isReady(state.name, node)), 50);
  if (isDead()) throw new Error(`${node} ended; its last words:\n${tailOf(logOf(state.name, node))}`);
}

export function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket);
    connection.on("connect", () => {
      connection.destroy();
      resolve(true);
    });
    connection.on("error", () => resolve(false));
  });
}

async function isReady(lab: string, node: string): Promise<boolean> {
  const outcome = await vtepctl(lab, node, ["status", "-o", "json"]);
  // Said by `until` when the deadline has passed.
  if (outcome.status !== 0) throw new Error(`vtepctl status: ${outcome.stderr.trim() || outcome.status}`);
  return (JSON.parse(outcome.stdout) as { ready?: unknown }).ready === true;
}

/** Stop every daemon of the lab; their TAPs go with them. */
export async function stopGateways(state: LabState): Promise<void> {
  await end(state.processes, STOP_MS);
  state.processes = [];
  writeState(state);
}

export function vtepctl(lab: string, node: string, args: readonly string[]): Promise<Outcome> {
  return run(process.execPath, [VTEPCTL, "-s", placesOf(lab).socket(node), ...args], 10_000);
}

/** What `vtepctl show … -o json` says. */
export async function show<T>(lab: string, node: string, what: string): Promise<T[]> {
  const text = await must(
    process.execPath,
    [VTEPCTL, "-s", placesOf(lab).socket(node), "show", what, "-o", "json"],
    10_000,
  );
  const parsed = JSON.parse(text) as unknown;
  if (!Array.isArray(parsed)) throw new Error(`vtepctl show ${what} of ${node} gave no list: ${text.slice(0, 200)}`);
  return parsed as T[];
}

interface ShownInterface {
  readonly name: string;
  readonly vsis: readonly string[];
  readonly mac: string;
}

/** The ARP table of a gateway, or with IPv6 its neighbour table. */
export function arpTable(lab: string, node: string, family: Family = 4): Promise<ArpEntry[]> {
  return show<ArpEntry>(lab, node, family === 4 ? "arp" : "nd");
}

/** Gateway MACs of all VTEPs: (VTEP, VSI) to MAC. */
export async function gatewayMacs(lab: string): Promise<(vtep: string, vsi: string) => string> {
  const all = new Map<string, string>();
  await Promise.all(
    VTEPS.map(async ({ name }) => {
      for (const shown of await show<ShownInterface>(lab, name, "interface")) {
        for (const vsi of shown.vsis) all.set(`${name} ${vsi}`, shown.mac.toLowerCase());
      }
    }),
  );
  return (vtep, vsi) => {
    const mac = all.get(`${vtep} ${vsi}`);
    if (mac === undefined) throw new Error(`vtepctl show interface on ${vtep} knows no VSI-interface of ${vsi}`);
    return mac;
  };
}
