/**
 * What a lab has made, on record: /run/vtepd-lab/NAME.json (/tmp/vtepd-lab-UID for an ordinary user, see room.ts), written *before* the thing is made where possible.
 *
 * A lab may die at any moment, by Ctrl-C, a bug or kill -9; whatever the record names, the next `up` or `down` of that
 * name takes away. Processes are named by pid and start time (process.ts). Namespaces need no list: their names begin
 * with the lab's prefix, and what runs inside them is found by asking the kernel.
 *
 * The file is also the claim to the name: it is created exclusively, so two labs started at the same moment get two
 * names. `owner` is the process at work on the lab now; when it is dead, or null, anybody may take over.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Family } from "../web/article.ts";
import { deleteNamespace, namespacesWith } from "./namespace.ts";
import { end, type Identity, identityOf, isAlive } from "./process.ts";
import type { GatewayMac, Mode } from "./topology.ts";

/** Are we an ordinary user who is root in a user namespace (room.ts)? */
export const isInRoom = process.env.VTEPD_LABS !== undefined;
const uid = process.getuid?.() ?? 0;
export const LABS = process.env.VTEPD_LABS ?? (uid === 0 ? "/run/vtepd-lab" : `/tmp/vtepd-lab-${uid}`);
const DEFAULT_NAME = "lab";
/** Lower-case and short, since it becomes part of namespace and folder names. */
const NAME = /^[a-z][a-z0-9]{0,11}$/;

export interface Recorded extends Identity {
  readonly label: string;
}

/** What a lab is made to be. */
export interface Scheme {
  readonly mode: Mode;
  readonly gatewayMac: GatewayMac;
  /** The machines hand their TAPs over; else the gateways make them. */
  readonly handover: boolean;
  /** The gateways use the kernel's offloads. */
  readonly offload: boolean;
  /** Which addresses there are; IPv4 when left out. */
  readonly families?: readonly Family[];
}

export interface LabState {
  readonly name: string;
  /** The process that works on this lab, null when it was left up. */
  owner: Identity | null;
  mode: Mode;
  readonly gatewayMac: GatewayMac;
  readonly handover: boolean;
  readonly offload: boolean;
  readonly families?: readonly Family[];
  /** All nodes run and are configured. */
  isUp: boolean;
  processes: Recorded[];
}

export const familiesOf = ({ families = [4] }: Pick<Scheme, "families">): readonly Family[] => families;

const fileOf = (name: string) => join(LABS, `${name}.json`);
export const folderOf = (name: string) => join(LABS, name);
/** Of programs that give up root: LABS is closed to them. */
const foreignFolders = `${LABS}-frr`;
export const foreignFolderOf = (name: string) => join(foreignFolders, name);
export const prefixOf = (name: string) => `vl-${name}-`;

export function checkName(name: string): string {
  if (!NAME.test(name)) throw new Error(`"${name}" is no lab name: a letter, then at most 11 letters or digits`);
  return name;
}

/** The record of a lab; undefined when there is none. A record cut short by a crash is an empty one. */
export function readState(name: string): LabState | undefined {
  if (!existsSync(fileOf(name))) return undefined;
  try {
    return JSON.parse(readFileSync(fileOf(name), "utf8")) as LabState;
  } catch {
    return emptyState(name);
  }
}

/** A record of nothing: clearing it removes what can be found without one. */
export function emptyState(name: string): LabState {
  const scheme: Scheme = { mode: "distributed", gatewayMac: "auto", handover: false, offload: true };
  return { name, owner: null, ...scheme, isUp: false, processes: [] };
}

export function writeState(state: LabState): void {
  const draft = `${fileOf(state.name)}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(draft, fileOf(state.name));
}

/** Names of all labs on record. */
export function labs(): string[] {
  if (!existsSync(LABS)) return [];
  return readdirSync(LABS)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

function isBusy(state: LabState): boolean {
  return state.owner !== null && state.owner.pid !== process.pid && isAlive(state.owner);
}

function refuseBusy(state: LabState): void {
  if (isBusy(state)) {
    throw new Error(`lab "${state.name}" is in use by process ${state.owner!.pid}; choose another with --name`);
  }
}

function tryCreate(name: string, scheme: Scheme): LabState | undefined {
  const state: LabState = { ...emptyState(name), ...scheme, owner: identityOf(process.pid) ?? null };
  try {
    writeFileSync(fileOf(name), JSON.stringify(state, null, 2), { mode: 0o600, flag: "wx" });
    return state;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
}

/**
 * Claim a name for a new lab and clear what an earlier one of that name left behind. Without a name: the first of
 * lab, lab2, lab3 … that is not in use and was not left up on purpose.
 */
export async function claim(name: string | undefined, scheme: Scheme, say: (text: string) => void): Promise<LabState> {
  mkdirSync(LABS, { recursive: true, mode: 0o700 });
  for (let number = 1; number < 100; number++) {
    const candidate = name === undefined ? `${DEFAULT_NAME}${number === 1 ? "" : number}` : checkName(name);
    const old = readState(candidate);
    if (old !== undefined) {
      // Up without an owner: left so on purpose. Up with a dead owner: it crashed.
      const isKept = old.isUp && old.owner === null;
      if (name === undefined && (isBusy(old) || isKept)) continue;
      refuseBusy(old);
      say(`clearing what an earlier lab "${candidate}" left behind`);
      await clear(old);
    }
    const state = tryCreate(candidate, scheme);
    if (state !== undefined) {
      // Namespaces without a record: somebody removed the file, or /run/vtepd-lab was wiped.
      for (const namespace of namespacesWith(prefixOf(candidate))) await deleteNamespace(namespace);
      rmSync(folderOf(candidate), { recursive: true, force: true });
      clearForeign(candidate);
      mkdirSync(folderOf(candidate), { mode: 0o700 });
      return state;
    }
    if (name !== undefined) throw new Error(`lab "${candidate}" was claimed by somebody else just now`);
  }
  throw new Error("too many labs are up; take some down");
}

/** Take over a lab that was left up. Without a name there must be just one. */
export function adopt(name: string | undefined): LabState {
  const state = find(name);
  refuseBusy(state);
  state.owner = identityOf(process.pid) ?? null;
  writeState(state);
  return state;
}

/** The lab a verb means; throws when there is none, or no telling which. */
export function find(name: string | undefined): LabState {
  const names = name === undefined ? labs() : [checkName(name)];
  if (names.length === 0) throw new Error("no lab is up; start one with: npm run lab -- up");
  if (names.length > 1 && name === undefined) {
    throw new Error(`several labs are up (${names.join(", ")}); say which with --name`);
  }
  const state = readState(names[0]!);
  if (state === undefined) throw new Error(`there is no lab "${names[0]}"`);
  return state;
}

/** The labs that `down` means. Another's lab is not taken down by accident: where several are up, one is named, or all are. */
export function labsToEnd(up: readonly string[], name: string | undefined, all: boolean): readonly string[] {
  if (name !== undefined) return [checkName(name)];
  if (up.length < 2 || all) return up;
  throw new Error(`several labs are up (${up.join(", ")}); say which with --name, or --all`);
}

/** Leave a lab to the next command. */
export function release(state: LabState): void {
  state.owner = null;
  writeState(state);
}

/** End all processes of a lab, delete its namespaces and its record. The folder, with logs and captures, stays if asked. */
export async function clear(state: LabState, keepFolder = false): Promise<void> {
  await end(state.processes);
  await Promise.all(namespacesWith(prefixOf(state.name)).map(deleteNamespace));
  if (!keepFolder) {
    rmSync(folderOf(state.name), { recursive: true, force: true });
    clearForeign(state.name);
  }
  rmSync(fileOf(state.name), { force: true });
}

function clearForeign(name: string): void {
  rmSync(foreignFolderOf(name), { recursive: true, force: true });
  if (existsSync(foreignFolders) && readdirSync(foreignFolders).length === 0)
    rmSync(foreignFolders, { recursive: true });
}
