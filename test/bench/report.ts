/**
 * Figures to text: the goals against what was measured, and a table of every metric by peer.
 *
 * A goal is a row of data: where its value comes from, what is enough and what would be fine. A row whose figures are
 * missing says so; it is not left out.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { columns } from "../../src/lab/paint.ts";
import { digits, type Figures, median, ratio, spread, valuesOf } from "./figures.ts";
import { COLLECTIONS, forwardMetric } from "./in-process.ts";
import { loadedMetric, REQUESTS } from "./latency-rounds.ts";
import { FULL, OTHER, OURS, ROOT } from "./peer.ts";
import { OVERLOADED, RESIDENT, tcpMetric, udpMetric, WITHOUT_LOSS } from "./rounds.ts";

export const PEERS = ["kernel", "ovs", OURS, OTHER, FULL];

interface Goal {
  readonly what: string;
  readonly value: (figures: Figures) => number | undefined;
  readonly enough: number;
  readonly aim: number;
  readonly isLess: boolean;
}

const more = (what: string, value: Goal["value"], enough: number, aim: number): Goal => ({
  what,
  value,
  enough,
  aim,
  isLess: false,
});
const less = (what: string, value: Goal["value"], enough: number, aim: number): Goal => ({
  what,
  value,
  enough,
  aim,
  isLess: true,
});
const against = (metric: string, other: string) => (figures: Figures) => ratio(figures, metric, OURS, other);
const own =
  (metric: string, peer = OURS) =>
  (figures: Figures) =>
    median(valuesOf(figures, metric, peer));
const fullAgainst = (metric: string) => (figures: Figures) => ratio(figures, metric, FULL, OURS);

const GOALS: readonly Goal[] = [
  more("TCP passthrough, 1 stream, × kernel", against(tcpMetric("passthrough", 1, false), "kernel"), 0.9, 1),
  more("TCP passthrough, 4 streams, × kernel", against(tcpMetric("passthrough", 4, false), "kernel"), 0.45, 0.65),
  more("TCP wire, gro off, 1 stream, × kernel", against(tcpMetric("wire, gro off", 1, false), "kernel"), 0.95, 1.1),
  more("TCP wire, gro off, 4 streams, × kernel", against(tcpMetric("wire, gro off", 4, false), "kernel"), 0.95, 1.1),
  more("TCP wire, gro on, 1 stream, × kernel", against(tcpMetric("wire, gro on", 1, false), "kernel"), 1, 1.25),
  more("TCP wire, gro on, 4 streams, × kernel", against(tcpMetric("wire, gro on", 4, false), "kernel"), 1, 1.25),
  more("TCP passthrough, 1 stream, × OVS", against(tcpMetric("passthrough", 1, false), "ovs"), 6, 9),
  more(
    "UDP 18 B, 1 flow, ≤ 1 % loss, × kernel",
    against(udpMetric("passthrough", 18, 1, WITHOUT_LOSS), "kernel"),
    2.5,
    4,
  ),
  more(
    "UDP 18 B, 64 flows, ≤ 1 % loss, × kernel",
    against(udpMetric("passthrough", 18, 64, WITHOUT_LOSS), "kernel"),
    2.5,
    4,
  ),
  more("UDP 18 B, 1 flow, overload, × kernel", against(udpMetric("passthrough", 18, 1, OVERLOADED), "kernel"), 2.5, 4),
  less("RTT idle p50, × kernel", against("RTT idle, p50, µs", "kernel"), 2.5, 2),
  less("RTT idle p99.9, µs", own("RTT idle, p99.9, µs"), 1000, 500),
  less("RTT under TCP load, cubic, 1 stream, p50, × kernel", against(loadedMetric("cubic", 1, "p50"), "kernel"), 6, 4),
  less("RTT under TCP load, cubic, 4 streams, p50, × kernel", against(loadedMetric("cubic", 4, "p50"), "kernel"), 6, 4),
  more("requests a second (TCP_RR), × kernel", against(REQUESTS, "kernel"), 0.35, 0.6),
  less("forward(), route and encapsulate, ns", own(forwardMetric("route and encapsulate")), 60, 35),
  less("collections in 10 M frames", own(COLLECTIONS), 0, 0),
  more("TCP with full tables, × empty", fullAgainst("full tables: TCP passthrough, 1 stream, Gbit/s"), 0.9, 0.97),
  more("UDP with full tables, × empty", fullAgainst("full tables: UDP 18 B, 64 flows, overload, kpps"), 0.9, 0.97),
  less("CPU of an idle VTEP, %", own("CPU of an idle VTEP, %"), 1, 1),
  less("resident memory, empty tables, MB", own(RESIDENT), 80, 80),
  less("resident memory, full tables, MB", own(RESIDENT, FULL), 256, 256),
];

/** The verdict on a goal, in a word. */
function verdict({ isLess, enough, aim }: Goal, value: number | undefined): string {
  if (value === undefined) return "not measured";
  const reaches = (limit: number) => (isLess ? value <= limit : value >= limit);
  return reaches(aim) ? "aim" : reaches(enough) ? "enough" : "short";
}

function goalRows(figures: Figures): string[][] {
  return GOALS.map((goal) => {
    const value = goal.value(figures);
    const limit = (n: number) => `${goal.isLess ? "≤" : "≥"} ${n}`;
    return [goal.what, digits(value), limit(goal.enough), limit(goal.aim), verdict(goal, value)];
  });
}

/** Every metric with its peers: median (lowest–highest), and ratios to the peers. */
function metricRows(figures: Figures): string[][] {
  return [...figures].map(([metric, byPeer]) => {
    const cells = present(figures, PEERS).map((peer) => spread(byPeer.get(peer) ?? []));
    const ratios = present(figures, COMPARED).map((peer) => digits(ratio(figures, metric, OURS, peer)));
    return [metric, ...cells, ...ratios];
  });
}

/** Whom our own figures are divided by. */
const COMPARED = ["kernel", "ovs", OTHER];

/** Those of `peers` that have taken part. */
const present = (figures: Figures, peers: readonly string[]) =>
  peers.filter((peer) => [...figures.values()].some((byPeer) => byPeer.has(peer)));

const metricHead = (figures: Figures) => [
  "",
  ...present(figures, PEERS),
  ...present(figures, COMPARED).map((peer) => `× ${peer}`),
];

export interface MachineNoise {
  readonly startLoad: number;
  readonly endLoad: number;
  readonly stealSeconds: number;
  /** Rows in which some peer's rounds are more than 30 % apart. */
  readonly unsteady: readonly string[];
}

/** What else the machine did, and which rows are not to be believed. */
export function noiseText({ startLoad, endLoad, stealSeconds, unsteady }: MachineNoise): string {
  const rows = unsteady.length === 0 ? "no row" : `${unsteady.length} rows, each marked with a "!"`;
  const load = `load ${startLoad.toFixed(1)} at the start, ${endLoad.toFixed(1)} at the end`;
  return `noise: ${load}; ${stealSeconds.toFixed(1)} s stolen by the host; a peer's rounds are more than 30 % apart in ${rows}`;
}

const GOAL_HEAD = ["", "now", "at least", "aim", ""];

export function tables(figures: Figures): string {
  const parts = [columns([metricHead(figures), ...metricRows(figures)]), columns([GOAL_HEAD, ...goalRows(figures)])];
  return parts.join("\n\n");
}

/** With the congestion control that the loads have from it: with BBR, which paces, everybody's TCP is another figure. */
export const machine = () => {
  const kernelSays = (file: string) => readFileSync(`/proc/sys/${file}`, "utf8").trim();
  const kernel = `Linux ${kernelSays("kernel/osrelease")} with ${kernelSays("net/ipv4/tcp_congestion_control")}`;
  return `${cpus().length} CPUs (${cpus()[0]?.model.trim() ?? "?"}), ${kernel}, Node ${process.versions.node}`;
};

// ---- the page ------------------------------------------------------------------------------------------------------

const OPEN = "<!-- bench -->";
const CLOSE = "<!-- /bench -->";
const markdown = (rows: readonly (readonly string[])[]) => {
  const [head, ...body] = rows.map((row) => `| ${row.join(" | ")} |`);
  return [head, `|${"---|".repeat(rows[0]!.length)}`, ...body].join("\n");
};

function pageTable(figures: Figures, circumstances: string, missing: readonly string[]): string {
  const shown = [...figures].filter(([metric]) =>
    /^(TCP|UDP).*(Gbit\/s|loss, kpps)$|^RTT|^requests|a gateway core/.test(metric),
  );
  const rows = shown.map(([metric]) => {
    const cells = ["kernel", "ovs", OURS].map((peer) => digits(median(valuesOf(figures, metric, peer))));
    return [metric, ...cells, digits(ratio(figures, metric, OURS, "kernel"))];
  });
  const absent = missing.length === 0 ? "" : `\nMissing: ${missing.join("; ")}.\n`;
  return `Medians of ${circumstances}; two gateways and two machines share its CPUs, kernel vxlan
and OVS bridge, vtepd routes. *Passthrough*: super-segments cross the underlay whole; *wire*: packets of the MTU do.
${absent}
${markdown([["", "kernel vxlan", "OVS userspace", "vtepd", "× kernel"], ...rows])}

${markdown([["goal", "now", "at least", "aim", ""], ...goalRows(figures)])}`;
}

/** Put the table between the markers of docs/performance.md. */
export function writePage(figures: Figures, circumstances: string, missing: readonly string[]): void {
  const file = join(ROOT, "docs/performance.md");
  const text = readFileSync(file, "utf8");
  const from = text.indexOf(OPEN);
  const to = text.indexOf(CLOSE);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no ${OPEN} … ${CLOSE}`);
  const table = pageTable(figures, circumstances, missing);
  writeFileSync(file, `${text.slice(0, from + OPEN.length)}\n${table}\n${text.slice(to)}`);
}
