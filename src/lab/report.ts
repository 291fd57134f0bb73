/**
 * The report of a walkthrough: every numbered step of the article, its rows, and under each row what was expected (in
 * symbols: G1.10 is the gateway MAC of VSI-interface10 on gw1) and what was observed (in plain addresses). How to read
 * it stands above it. Row numbers serve programs (record.ts); people read the step and the place.
 */
import type { Family } from "../web/article.ts";
import { type FrameRow, isFrameRow, type Row, type Scenario, type TableRow } from "./expect.ts";
import { frameText, type Seen } from "./frame.ts";
import { type Extra, failures, type Judgement, type Rule, type Verdict } from "./judge.ts";
import { bold, columns, dim, heading, mark, red, yellow } from "./paint.ts";
import { VTEPS } from "./topology.ts";
import type { Walk } from "./walkthrough.ts";

const PAD = "      ";
const ND_KEY = [
  ["NS a,b / c,d", "a neighbour solicitation: the same, asked of the group S.12 of addresses that end in 12"],
  ["NA a,b / c,d by e", "an advertisement: b is at MAC a, told to d by the IPv6 address e, with these flags"],
];
/** A scenario's number, and its family where that is not the article's. */
const numberText = ({ number, family }: Scenario) => `${number}${family === 6 ? " by IPv6" : ""}`;
const tableText = (table: string, family: Family) => `${family === 4 ? "ARP" : "neighbour"} table of ${table}`;

/** How the report is read, for one who sees it for the first time. */
export function keyText(families: readonly Family[] = [4]): string {
  const rows = [
    ["(4)", "a step of the article; below it each frame and each table entry that the step is made of"],
    [mark(true), `it happened as expected (a cross: it did not)   ${dim("–")} it was not needed this time`],
    ["ac vm1", "where the frame was captured: at vm1's eth0, which is an attachment circuit of its gateway"],
    ["tunnel gw1 → gw2", "or in the underlay, inside VXLAN; the outer addresses and ports stand behind it"],
    ["a < b", "Ethernet: to MAC a, from MAC b; ff is broadcast"],
    ["ARP request a,b / c,d", "sender MAC and IP / target MAC and IP; MAC 0: not known yet"],
    ...(families.includes(6) ? ND_KEY : []),
    ["M1, ME", "the MAC of vm1, of the external host"],
    ["G1.10, B.10", "the gateway MAC of VSI-interface10 on gw1, on the Border; B.up is that of its uplink"],
    ["via ac vm1, host", "a table entry: behind which port, and whether it is a host or another gateway"],
  ];
  return `${heading("How to read this")}\n${columns(rows, " ")}\n\n ${bold("MACs of this run")}`;
}

export function walkText(walk: Walk): string {
  const { scenario, judgement } = walk;
  const lines = [heading(`Scenario ${numberText(scenario)}  ${scenario.title}`)];
  for (const [step, text] of stepsOf(scenario)) {
    const verdicts = judgement.verdicts.filter((verdict) => verdict.row.step === step);
    const isMet = verdicts.every((verdict) => verdict.isMet);
    const label = step === undefined ? "   " : `(${step})`;
    lines.push("", ` ${mark(isMet)} ${bold(`${label} ${text}`)}`);
    for (const verdict of verdicts) lines.push(...verdictLines(verdict, scenario.family));
  }
  lines.push("", ...judgement.rules.map(ruleLine));
  lines.push(...extraLines("frames that no step explains", judgement.unexpected, red));
  lines.push(...extraLines("other frames, allowed", judgement.tolerated, dim));
  const echo = walk.ping.echoes[0];
  const isRight = echo?.ttl === scenario.ttl;
  const told =
    echo === undefined ? `no answer ${walk.ping.complaint}` : `ttl=${echo.ttl} time=${echo.rttMs.toFixed(2)} ms`;
  lines.push(
    ` ${mark(isRight)} the ping itself, with every table empty: ${told} ${dim(`(ttl ${scenario.ttl} expected)`)}`,
  );
  return lines.join("\n");
}

/** One line for each step. */
export function briefText({ scenario, judgement, ping }: Walk): string {
  const lines = [heading(`Scenario ${numberText(scenario)}  ${scenario.title}`)];
  for (const [step, text] of stepsOf(scenario)) {
    const verdicts = judgement.verdicts.filter((verdict) => verdict.row.step === step);
    const met = verdicts.filter(({ isMet }) => isMet).length;
    const count = met === verdicts.length ? "" : red(`  ${verdicts.length - met} of ${verdicts.length} differ`);
    lines.push(
      ` ${mark(met === verdicts.length)} ${(step === undefined ? "" : `(${step})`).padEnd(4)} ${text}${count}`,
    );
  }
  const broken = judgement.rules.filter((rule) => rule.violations.length > 0);
  const extra = judgement.unexpected.length;
  for (const rule of broken) lines.push(` ${mark(false)} ${red(`not kept: ${rule.text}`)}`);
  if (extra > 0) lines.push(` ${mark(false)} ${red(`${extra} frames that nothing explains`)}`);
  const [echo] = ping.echoes;
  const told = echo === undefined ? "no answer" : `ttl=${echo.ttl} time=${echo.rttMs.toFixed(2)} ms`;
  lines.push(` ${mark(echo?.ttl === scenario.ttl)}      ping ${scenario.from} → ${scenario.to}: ${told}`);
  return lines.join("\n");
}

/** Number of things that went wrong in a walk, the ping included. */
export function walkFailures(walk: Walk): number {
  return failures(walk.judgement) + (walk.ping.echoes[0]?.ttl === walk.scenario.ttl ? 0 : 1);
}

/** One line for each thing that went wrong. */
export function walkComplaints(walk: Walk): string[] {
  const { scenario, judgement } = walk;
  const where = (row: Row) => (isFrameRow(row) ? row.place : tableText(row.table, scenario.family));
  return [
    ...judgement.verdicts
      .filter((verdict) => !verdict.isMet)
      .map(({ row, note, entry }) => `${stepText(row)}, ${where(row)}: ${note ?? entry ?? ""}`),
    ...judgement.unexpected.map(({ frame, note }) => `${frame.place}: ${frameText(frame)} (${note})`),
    ...judgement.rules.filter((rule) => rule.violations.length > 0).map((rule) => `not kept: ${rule.text}`),
    ...(walk.ping.echoes[0]?.ttl === scenario.ttl ? [] : [`ping ${scenario.from} → ${scenario.to} failed`]),
  ].map((complaint) => `scenario ${numberText(scenario)}, ${complaint}`);
}

function stepText({ step }: Row): string {
  return step === undefined ? "after the last step" : `step ${step}`;
}

function stepsOf(scenario: Scenario): [number | undefined, string][] {
  const steps: [number | undefined, string][] = Object.entries(scenario.steps).map(([step, text]) => [
    Number(step),
    text,
  ]);
  return [...steps, [undefined, "the answer finds its way back (the article stops before this)"]];
}

function verdictLines(verdict: Verdict, family: Family): string[] {
  const { row, frame, note, entry } = verdict;
  const wasSeen = frame !== undefined || entry !== undefined;
  if (row.optional !== undefined && !wasSeen) {
    return [`   ${dim("–")} ${dim(`${placeText(row, family)}: not needed, ${row.optional}`)}`];
  }
  const lines = [`   ${mark(verdict.isMet)} ${placeText(row, family)}${frame ? dim(frameMargin(frame)) : ""}`];
  lines.push(`${PAD}${dim("expected")}  ${expectedText(row)}`);
  const observed = frame === undefined ? (entry ?? "nothing") : frameText(frame);
  const shown = verdict.isMet ? observed : red(observed);
  lines.push(`${PAD}${dim("observed")}  ${shown}`);
  if (note !== undefined) lines.push(`${PAD}${verdict.isMet ? dim(note) : red(note)}`);
  return lines;
}

function placeText(row: Row, family: Family): string {
  if (!isFrameRow(row)) return tableText(row.table, family);
  return row.vni === undefined ? row.place : `tunnel ${row.place.replace(">", " → ")}, VNI ${row.vni}`;
}

/** No times: captures are stamped by the processes that take them, which says nothing about microseconds. */
function frameMargin(frame: Seen): string {
  if (frame.outer === undefined) return "";
  const { source, sourcePort, destination } = frame.outer;
  return `  outer ${source}:${sourcePort} → ${destination}:4789`;
}

/** What a row asks for, in symbols. */
export function expectedText(row: Row): string {
  return isFrameRow(row) ? expectedFrame(row) : expectedEntry(row);
}

function expectedFrame(row: FrameRow): string {
  const eth = `${row.eth[0]} < ${row.eth[1]}`;
  if (row.arp !== undefined) {
    const [op, senderMac, senderIp, targetMac, targetIp] = row.arp;
    return `${eth}  ARP ${op} ${senderMac},${senderIp} / ${targetMac},${targetIp}`;
  }
  if (row.nd !== undefined) {
    const { asks, by, flags } = row.nd;
    const [op, senderMac, senderIp, targetMac, targetIp] = asks;
    const between = `${senderMac},${senderIp} / ${targetMac},${targetIp}`;
    return op === "request" ? `${eth}  NS ${between}` : `${eth}  NA ${between} by ${by} ${flags}`;
  }
  if (row.ip === undefined) return eth;
  const [source, destination, ttl, message] = row.ip;
  return `${eth}  IP ${source} → ${destination} ttl ${ttl} ${message}`;
}

function expectedEntry(row: TableRow): string {
  if (row.isAbsent === true) return `no ${row.kind ?? ""} entry for ${row.ip}`;
  const via = row.via === undefined ? "" : ` via ${row.via}`;
  return `${row.ip} at ${row.mac}${via}${row.kind === undefined ? "" : `, ${row.kind}`}`;
}

function ruleLine(rule: Rule): string {
  const isKept = rule.violations.length === 0;
  const shown = rule.violations.map((frame) => red(`\n${PAD}${frame.place}: ${frameText(frame)}`)).join("");
  return ` ${mark(isKept)} ${rule.text}${shown}`;
}

function extraLines(title: string, extras: readonly Extra[], paint: (text: string) => string): string[] {
  if (extras.length === 0) return [];
  const sign = paint === red ? mark(false) : dim("–");
  const lines = extras.map(({ frame, note }) =>
    paint(`${PAD}${frame.place}${frameMargin(frame)}\n${PAD}    ${frameText(frame)}  ${note}`),
  );
  return [` ${sign} ${paint(title)}`, ...lines];
}

/** What the symbols of the expected rows stand for in this run. */
export function legendText(names: ReadonlyMap<string, string>): string {
  const entries = [...names].filter(([name]) => name !== "ff" && name !== "0");
  const cells = entries.map(([name, mac]) => `${bold(name.padEnd(5))} ${mac}`);
  const perRow = 4;
  const rows: string[][] = [];
  for (let i = 0; i < cells.length; i += perRow) rows.push(cells.slice(i, i + perRow));
  const underlay = VTEPS.map((vtep) => `${vtep.name} ${vtep.underlay}`).join("   ");
  return `${columns(rows, "   ")}\n   ${dim(`underlay: ${underlay}`)}`;
}

/** Rows met and rows in all, for the last line. */
export function tally(walks: readonly Walk[]): { met: number; all: number; optional: number } {
  const verdicts = walks.flatMap((walk) => [...walk.judgement.verdicts]);
  const missing = verdicts.filter(({ row, frame, entry }) => row.optional !== undefined && !frame && !entry);
  return { met: verdicts.filter(({ isMet }) => isMet).length, all: verdicts.length, optional: missing.length };
}

export function unexpectedIn(judgements: readonly Judgement[]): string {
  const count = judgements.reduce((sum, judgement) => sum + judgement.unexpected.length, 0);
  return count === 0 ? "no frame too many" : yellow(`${count} frames too many`);
}
