/**
 * FRR in a node of the lab: zebra and bgpd with files of their own, and vtysh to ask them.
 *
 * Its daemons give up root for user frr, and must then reach their files: the lab's own folder is for its user alone, so they have
 * one beside it, which goes with the lab (state.ts).
 */
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { namespaceOf } from "../bed.ts";
import { until } from "../deadline.ts";
import { inside } from "../namespace.ts";
import { end, isAlive, launch, must, run } from "../process.ts";
import { foreignFolderOf, type LabState, writeState } from "../state.ts";

const PROGRAMS = "/usr/lib/frr";
const READY_MS = 15_000;
const DAEMONS = ["zebra", "bgpd"] as const;

export const frrFolder = (state: LabState, node: string) => join(foreignFolderOf(state.name), node);
const labelOf = (node: string, daemon: string) => `${node} ${daemon}`;

/** The user that Debian's package made. */
function frrUser(): { uid: number; gid: number } {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((each) => each.startsWith("frr:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (gid === undefined) throw new Error("there is no user frr: Debian's package frr makes it");
  return { uid: Number(uid), gid: Number(gid) };
}

/** Write the configuration of `node` and start its daemons; resolves when they answer. */
export async function startFrr(state: LabState, node: string, config: string): Promise<void> {
  const { uid, gid } = frrUser();
  mkdirSync(foreignFolderOf(state.name), { recursive: true, mode: 0o755 });
  const folder = frrFolder(state, node);
  mkdirSync(folder, { mode: 0o755 });
  writeFileSync(join(folder, "frr.conf"), config, { mode: 0o644 });
  for (const path of [folder, join(folder, "frr.conf")]) chownSync(path, uid, gid);
  for (const daemon of DAEMONS) await startDaemon(state, node, daemon);
}

export async function startDaemon(state: LabState, node: string, daemon: (typeof DAEMONS)[number]): Promise<void> {
  const folder = frrFolder(state, node);
  rmSync(join(folder, `${daemon}.vty`), { force: true });
  const args = [
    ...["-f", join(folder, "frr.conf"), "-z", join(folder, "zserv.api"), "--vty_socket", folder],
    ...["-i", join(folder, `${daemon}.pid`), "-u", "frr", "-g", "frr"],
  ];
  const log = join(folder, `${daemon}.log`);
  const [program, all] = inside(namespaceOf(state, node), join(PROGRAMS, daemon), args);
  const identity = launch(program, all, log);
  state.processes.push({ label: labelOf(node, daemon), ...identity });
  writeState(state);
  await until(`${daemon} of ${node}`, READY_MS, async () => {
    if (!isAlive(identity)) throw new Error(readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join("\n"));
    return (await run(...vtysh(state, node, ["-d", daemon, "-c", "show version"]))).status === 0;
  });
}

/** End a daemon at once, as a crash does. */
export async function killDaemon(state: LabState, node: string, daemon: (typeof DAEMONS)[number]): Promise<void> {
  const label = labelOf(node, daemon);
  await end(
    state.processes.filter((each) => each.label === label),
    0,
  );
  state.processes = state.processes.filter((each) => each.label !== label);
  writeState(state);
}

function vtysh(state: LabState, node: string, words: readonly string[]): [string, string[]] {
  return inside(namespaceOf(state, node), "vtysh", ["--vty_socket", frrFolder(state, node), ...words]);
}

/** End the EVPN sessions of a node; they begin anew, with all routes. */
export async function resetSessions(state: LabState, node: string): Promise<void> {
  await must(...vtysh(state, node, ["-c", "clear bgp l2vpn evpn *"]));
}

/** What `vtysh -c COMMAND` says as JSON. */
export async function askFrr<T>(state: LabState, node: string, command: string): Promise<T> {
  return JSON.parse(await must(...vtysh(state, node, ["-c", `${command} json`]))) as T;
}
