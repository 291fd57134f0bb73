/**
 * One walkthrough: captures everywhere, one ping, all frames and tables collected, and judged.
 *
 * The gateways must be cold when it starts (bed.ts `makeCold`). Machines' TAPs are captured from inside the machines,
 * the underlay at each VTEP; a datagram is taken where it leaves. The collection ends when every required row has its
 * frame (or three seconds have passed) and then nothing was seen for a while: extra frames are part of the judgement.
 */

import { join } from "node:path";
import type { Family } from "../web/article.ts";
import { namespaceOf } from "./bed.ts";
import { type Capture, openCapture, type Tool, untilQuiet, writePcap } from "./capture.ts";
import { until } from "./deadline.ts";
import { isFrameRow, macNames, type Scenario } from "./expect.ts";
import { type Seen, seenLeaving, seenOnAc } from "./frame.ts";
import { arpTable, gatewayMacs } from "./gateway.ts";
import { type Judgement, judge, type Observation } from "./judge.ts";
import { type PingResult, ping } from "./measure.ts";
import { neighboursOf } from "./namespace.ts";
import { familiesOf, folderOf, type LabState } from "./state.ts";
import { addressOf, MACHINE_DEVICE, machine, machinesOf, UNDERLAY_DEVICE, VTEPS } from "./topology.ts";

const ROWS_MS = 3000;
const QUIET_MS = 400;
const QUIET_DEADLINE_MS = 3000;

/** ARP tables of the VTEPs and of the machines, by name. */
export type ArpTables = Pick<Observation, "arpTables" | "neighbours">;

export interface Walk {
  readonly scenario: Scenario;
  readonly names: ReadonlyMap<string, string>;
  readonly judgement: Judgement;
  readonly ping: PingResult;
  readonly before: ArpTables;
  readonly after: ArpTables;
}

interface Eye {
  readonly node: string;
  readonly capture: Capture;
}

/** Captures on the TAPs of all machines and on the underlay of all VTEPs. */
export async function openEyes(state: LabState, tool: Tool): Promise<Eye[]> {
  const devices = [
    ...machinesOf(state.mode).map(({ name }) => ({ node: name, device: MACHINE_DEVICE })),
    ...VTEPS.map(({ name }) => ({ node: name, device: UNDERLAY_DEVICE })),
  ];
  return await Promise.all(
    devices.map(async ({ node, device }) => ({
      node,
      capture: await openCapture(namespaceOf(state, node), device, tool),
    })),
  );
}

export async function closeEyes(eyes: readonly Eye[]): Promise<void> {
  await Promise.all(eyes.map((eye) => eye.capture.stop()));
}

function nameOfUnderlay(address: string): string {
  return VTEPS.find((vtep) => vtep.underlay === address)?.name ?? address;
}

/** Everything the eyes have seen so far, decoded, in order of time. */
export function seenBy(eyes: readonly Eye[]): Seen[] {
  const all: Seen[] = [];
  for (const { node, capture } of eyes) {
    const vtep = VTEPS.find((candidate) => candidate.name === node);
    for (const frame of capture.frames) {
      const seen = vtep === undefined ? seenOnAc(node, frame) : seenLeaving(vtep, frame, nameOfUnderlay);
      if (seen !== undefined) all.push(seen);
    }
  }
  return all.sort((a, b) => a.atMs - b.atMs);
}

export async function walk(state: LabState, scenario: Scenario, tool: Tool): Promise<Walk> {
  const { family } = scenario;
  const names = macNames(await gatewayMacs(state.name), Math.max(...familiesOf(state)) as Family);
  const before = await readTables(state, family);
  const eyes = await openEyes(state, tool);
  try {
    const result = await ping(namespaceOf(state, scenario.from), addressOf(machine(scenario.to), family), 1);
    await allRowsSeen(eyes, scenario, names);
    const captures = eyes.map((eye) => eye.capture);
    await untilQuiet(captures, QUIET_MS, QUIET_DEADLINE_MS);
    const after = await readTables(state, family);
    for (const capture of captures) {
      const failure = capture.failure();
      if (failure !== undefined) throw new Error(failure);
    }
    const judgement = judge(scenario, names, { frames: seenBy(eyes), ...after });
    return { scenario, names, judgement, ping: result, before, after };
  } finally {
    await closeEyes(eyes);
    for (const { node, capture } of eyes) {
      const name = `scenario${scenario.number}${family === 6 ? "-ipv6" : ""}-${node}.pcap`;
      writePcap(join(folderOf(state.name), name), capture.frames);
    }
  }
}

/** Returns when every required frame row has its frame, or when it has waited long enough for it. */
async function allRowsSeen(
  eyes: readonly Eye[],
  scenario: Scenario,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const isComplete = () => {
    const nothing = { arpTables: new Map(), neighbours: new Map() };
    const { verdicts } = judge(scenario, names, { frames: seenBy(eyes), ...nothing });
    return verdicts.every((verdict) => !isFrameRow(verdict.row) || verdict.isMet);
  };
  try {
    await until("all rows", ROWS_MS, isComplete, 50);
  } catch {
    // The judgement will say which are missing.
  }
}

async function readTables(state: LabState, family: Family): Promise<ArpTables> {
  const [arpTables, neighbours] = await Promise.all([
    Promise.all(VTEPS.map(async ({ name }) => [name, await arpTable(state.name, name, family)] as const)),
    Promise.all(
      machinesOf(state.mode).map(
        async ({ name }) => [name, await neighboursOf(namespaceOf(state, name), family)] as const,
      ),
    ),
  ]);
  return { arpTables: new Map(arpTables), neighbours: new Map(neighbours) };
}
