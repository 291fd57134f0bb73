/** The report of the fabric: every step, its rows, and under each row what was expected and observed; and the same for programs. */
import { bold, columns, dim, heading, mark, red } from "../paint.ts";
import type { Loss } from "./changes.ts";
import { HOSTS, LEAF, OURS, OUTSIDE, REFLECTORS, ROAMER, ROUTED } from "./fabric.ts";
import type { FabricPart, FabricRow, FabricStep } from "./rows.ts";

const PAD = "      ";

const holds = (step: FabricStep) => step.rows.every((row) => row.holds);
const rowsOf = (parts: readonly FabricPart[]) => parts.flatMap(({ steps }) => steps.flatMap(({ rows }) => rows));

/** How the report is read, and who is in the fabric. */
export function keyText(): string {
  const behind = (name: string) =>
    [...HOSTS, ROUTED, OUTSIDE]
      .filter((host) => host.behind === name)
      .map((host) => `${host.name} ${host.address}`)
      .join(", ");
  const nodes = [
    ...OURS.map((each) => [each.name, each.underlay, "vtepd, gobgpd beside it", behind(each.name)]),
    [LEAF.name, LEAF.underlay, "FRR, the kernel's vxlan", behind(LEAF.name)],
    ...REFLECTORS.map((each) => [each.name, each.underlay, "FRR, route reflector", ""]),
    [ROAMER.name, ROAMER.address, "moves", "a port at gw1, gw2 and leaf; it is behind one of them at a time"],
  ];
  const rows = [
    ["(4)", "a step; below it each look at the fabric that the step is made of"],
    [mark(true), "what was observed is what was expected (a cross: it is not)"],
    ["route of vm1, seen at leaf", "a BGP route as the other end has it: RD, next hop, sequence of moves"],
    [
      "FDB, neighbours of leaf",
      "the entries that it made in the leaf's kernel: a MAC behind a VTEP, the MAC of an address",
    ],
    ["MAC, ARP, ND table of gw1", "the same at a gateway of ours"],
    ["routes of gw1", "prefixes in the table that packets go by"],
    [
      "[2]:[0]:[48]:[MAC]:[32]:[IP]",
      "a route of type 2 (MAC and address), as FRR writes it; [3]:…:[VTEP] is type 3, [5]:…:[prefix] type 5",
    ],
    ["by IPv6", "all but vm7 have it: 10.1.1.11 is also 2001:db8:10::11"],
    ["frames vm1 → vm4", "pings, a hundred a second; a frame is lost on the way there, or its answer on the way back"],
  ];
  return `${heading("How to read this")}\n${columns(rows, " ")}\n\n${columns(nodes, " ")}`;
}

export function partText(part: FabricPart): string {
  const lines = [heading(part.title)];
  for (const step of part.steps) {
    lines.push("", ` ${mark(holds(step))} ${bold(`(${step.number}) ${step.text}`)}`);
    for (const row of step.rows) lines.push(...rowLines(row));
  }
  return lines.join("\n");
}

function rowLines({ place, expected, observed, holds: isMet, note }: FabricRow): string[] {
  return [
    `   ${mark(isMet)} ${place}`,
    `${PAD}${dim("expected")}  ${expected}`,
    `${PAD}${dim("observed")}  ${isMet ? observed : red(observed)}`,
    ...(note === undefined ? [] : [`${PAD}${dim(note)}`]),
  ];
}

/** One line for each step, and the figures that it is about. */
export function briefPartText(part: FabricPart): string {
  const lines = [heading(part.title)];
  for (const step of part.steps) {
    const met = step.rows.filter((row) => row.holds).length;
    const count = met === step.rows.length ? "" : red(`  ${step.rows.length - met} of ${step.rows.length} differ`);
    lines.push(` ${mark(holds(step))} ${`(${step.number})`.padEnd(4)} ${step.text}${count}`);
    for (const { place, observed } of step.rows)
      if (/^(ping|frames) /.test(place)) lines.push(`${PAD}  ${dim(`${place}: ${observed}`)}`);
  }
  return lines.join("\n");
}

export function lossText(losses: readonly Loss[]): string {
  const head = ["", "frames", "sent", "lost there", "lost back", "longest without an answer"].map(bold);
  const rows = losses.map(({ event, from, to, sent, there, back, silentMs }) => [
    event,
    `${from} → ${to}`,
    String(sent),
    String(there),
    String(back),
    there + back === 0 ? "-" : `${silentMs} ms`,
  ]);
  return `${heading("Lost, in a table")}\n${columns([head, ...rows], " ")}`;
}

export function resultText(parts: readonly FabricPart[]): string {
  const rows = rowsOf(parts);
  const met = rows.filter((row) => row.holds).length;
  return `${heading("Result")}\n ${mark(met === rows.length)} ${met} of ${rows.length} routes, entries, pings and losses are as expected`;
}

/** One line for each row that does not hold. */
export function fabricComplaints(parts: readonly FabricPart[]): string[] {
  return parts.flatMap(({ steps }) =>
    steps.flatMap(({ number, rows }) =>
      rows
        .filter((row) => !row.holds)
        .map(({ place, expected, observed }) => `step ${number}, ${place}: ${observed}, expected ${expected}`),
    ),
  );
}

/** The same facts for programs. */
export function fabricRecord(parts: readonly FabricPart[], losses: readonly Loss[]): object {
  const complaints = fabricComplaints(parts);
  return {
    scheme: { mode: "evpn" },
    holds: complaints.length === 0,
    complaints,
    vteps: [...OURS, LEAF],
    reflectors: REFLECTORS,
    machines: [...HOSTS, ROUTED, OUTSIDE, ROAMER],
    parts: parts.map(({ title, steps }) => ({
      title,
      steps: steps.map((step) => ({ step: step.number, text: step.text, holds: holds(step), rows: step.rows })),
    })),
    losses,
  };
}
