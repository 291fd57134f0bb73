/**
 * The report for programs (`--json FILE`): who is in the lab; of each walkthrough the rows with what was expected and what was
 * observed, every captured frame with its time, all ARP tables before and after, and the ping; then what went wrong. The same
 * facts as the printed report, from the same values.
 */
import { writeFileSync } from "node:fs";
import { wallOffsetMs } from "./capture.ts";
import { type FrameRow, isFrameRow, type Row } from "./expect.ts";
import type { Seen } from "./frame.ts";
import { frameText } from "./frame.ts";
import type { Extra, Verdict } from "./judge.ts";
import { expectedText } from "./report.ts";
import { familiesOf, type Scheme } from "./state.ts";
import { type Machine, machinesOf, VTEPS, type Vtep } from "./topology.ts";
import type { ArpTables, Walk } from "./walkthrough.ts";

/** What became of a frame in the judgement. */
type Standing = "expected" | "differs" | "allowed" | "unexpected";

export interface LabRecord {
  readonly scheme: Scheme;
  readonly holds: boolean;
  readonly complaints: readonly string[];
  /** Who is in the lab, and behind whom. */
  readonly vteps: readonly Vtep[];
  readonly machines: readonly Machine[];
  readonly scenarios: readonly object[];
}

export function writeRecord(file: string, scheme: Scheme, walks: readonly Walk[], complaints: readonly string[]): void {
  writeFileSync(file, `${JSON.stringify(recordOf(scheme, walks, complaints), null, 2)}\n`);
}

export function recordOf(made: Scheme, walks: readonly Walk[], complaints: readonly string[]): LabRecord {
  const { mode, gatewayMac, handover, offload } = made;
  const scheme = { mode, gatewayMac, handover, offload, families: familiesOf(made) };
  const cast = { vteps: VTEPS, machines: machinesOf(mode) };
  return { scheme, holds: complaints.length === 0, complaints, ...cast, scenarios: walks.map(walkRecord) };
}

function walkRecord({ scenario, names, judgement, ping, before, after }: Walk): object {
  const { number, family, title, from, to, ttl, steps } = scenario;
  const { verdicts, unexpected, tolerated, rules } = judgement;
  const frames = framesOf(verdicts, unexpected, tolerated);
  const start = frames[0]?.frame.atMs ?? 0;
  const index = new Map(frames.map(({ frame }, at) => [frame, at]));
  const [echo] = ping.echoes;
  return {
    number,
    family,
    title,
    from,
    to,
    startedAt: frames.length === 0 ? null : new Date(start + wallOffsetMs()).toISOString(),
    names: Object.fromEntries(names),
    steps: Object.entries(steps).map(([step, text]) => ({
      step: Number(step),
      text,
      holds: verdicts.every(({ row, isMet }) => row.step !== Number(step) || isMet),
    })),
    rows: verdicts.map((verdict) => rowRecord(verdict, index)),
    rules: rules.map((rule) => ({
      text: rule.text,
      holds: rule.violations.length === 0,
      frames: rule.violations.map((frame) => index.get(frame) ?? null),
    })),
    ping: { expectedTtl: ttl, ttl: echo?.ttl ?? null, milliseconds: echo?.rttMs ?? null },
    tables: { before: tablesRecord(before), after: tablesRecord(after) },
    frames: frames.map(({ frame, standing, note }) => frameRecord(frame, start, standing, note)),
  };
}

/** Gateways' entries as `vtepctl show arp` gives them; of machines, IP to MAC. */
function tablesRecord({ arpTables, neighbours }: ArpTables): object {
  return {
    vteps: Object.fromEntries(arpTables),
    machines: Object.fromEntries(Array.from(neighbours, ([name, table]) => [name, Object.fromEntries(table)])),
  };
}

/** All frames in order of time: those of the rows, the allowed and the unexpected. */
function framesOf(
  verdicts: readonly Verdict[],
  unexpected: readonly Extra[],
  tolerated: readonly Extra[],
): { frame: Seen; standing: Standing; note: string | null }[] {
  const all = new Map<Seen, { frame: Seen; standing: Standing; note: string | null }>();
  for (const { frame, note } of tolerated) all.set(frame, { frame, standing: "allowed", note });
  for (const { frame, note } of unexpected) all.set(frame, { frame, standing: "unexpected", note });
  for (const { frame, isMet, note } of verdicts)
    if (frame !== undefined) all.set(frame, { frame, standing: isMet ? "expected" : "differs", note: note ?? null });
  return [...all.values()].sort((a, b) => a.frame.atMs - b.frame.atMs);
}

function rowRecord({ row, isMet, frame, entry, note }: Verdict, index: ReadonlyMap<Seen, number>): object {
  const observed = frame === undefined ? (entry ?? null) : frameText(frame);
  return {
    row: row.row,
    step: row.step ?? null,
    ...placeOf(row),
    holds: isMet,
    needed: row.optional === undefined || observed !== null,
    expected: expectedText(row),
    observed,
    frame: frame === undefined ? null : index.get(frame)!,
    note: note ?? null,
  };
}

function placeOf(row: Row): object {
  if (!isFrameRow(row)) return { arpTableOf: row.table };
  return { place: row.place, vni: (row as FrameRow).vni ?? null };
}

function frameRecord(frame: Seen, start: number, standing: Standing, note: string | null): object {
  const { place, atMs, outer, bytes } = frame;
  return {
    milliseconds: Math.round((atMs - start) * 1000) / 1000,
    place,
    standing,
    note,
    text: frameText(frame),
    outer: outer === undefined ? null : { ...outer },
    hex: Buffer.from(bytes).toString("hex"),
  };
}
