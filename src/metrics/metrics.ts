/**
 * Prometheus metrics: read when somebody looks.
 *
 * Workers and control only count into shared cells (3 ns); here the cells are read at scrape time and set as totals. Every
 * metric is a row of data: name, help, labels, and a function that lists its values. Labels are bounded by the
 * configuration (names of ACs, tunnels, VSIs) or by lists in the code (reasons, classes); never an IP or a MAC.
 *
 * Packets and bytes count wire units: a super-frame is the segments it stands for.
 */
import { collectDefaultMetrics, Registry } from "prom-client";
import type { HistogramRow, Labels, Row } from "../api/feature.ts";
import { RESOLUTION_RESULTS } from "../control/resolution/counts.ts";
import { TURNED_AWAY } from "../control/topology/views.ts";
import {
  type CounterBlock,
  DROP,
  DROPS,
  INJECTS,
  MISC_RESERVED_BITS,
  NO_FRAMES,
  PUNTS,
  RX_BYTES,
  RX_PACKETS,
  sumOf,
  TX_BYTES,
  TX_PACKETS,
} from "../tables/counters.ts";
import { SlicedExposition } from "./exposition.ts";
import { LOOP_LAG_ROWS } from "./loop-lag.ts";
import type { MetricsSource, Origins, Owner, SourceRow } from "./row.ts";
import { batchSeries, WORKER_ROWS } from "./workers.ts";

/** Gauges of prom-client whose names end in _total, which promtool rejects. */
const REJECTED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];
/** Its event-loop monitor cannot be left out. Its names are ours (loop-lag.ts), and its timer never comes. */
const NEVER_MS = 2 ** 31 - 1;

// ---- reading the cells -----------------------------------------------------------------------------------------

const dataplaneSum = (source: MetricsSource, read: (block: CounterBlock) => number) =>
  sumOf(source.tables.dataplaneCounters, read);

const DIRECTIONS = [
  ["receive", "packets", RX_PACKETS],
  ["receive", "bytes", RX_BYTES],
  ["transmit", "packets", TX_PACKETS],
  ["transmit", "bytes", TX_BYTES],
] as const;

function trafficRows(
  what: "ac" | "tunnel" | "vsi",
  title: string,
  labels: readonly string[],
  owners: (source: MetricsSource) => Iterable<readonly [Labels, Owner]>,
): SourceRow[] {
  return DIRECTIONS.map(([direction, unit, word]) => ({
    kind: "counter",
    name: `vtep_${what}_${direction}_${unit}_total`,
    help: `${unit === "packets" ? "Wire packets" : "Bytes of Ethernet frames"} ${direction === "receive" ? "received from" : "sent to"} ${title}`,
    labels,
    *values(source) {
      const column = what === "vsi" ? "vsis" : "ports";
      for (const [of, owner] of owners(source)) {
        const ever = sumOf(source.tables.counters, (block) => block[column][owner.row * 4 + word]!);
        yield [of, ever - source.counted.of(owner)[word]!];
      }
    },
  }));
}

function* acsOf(source: MetricsSource): Generator<readonly [Labels, Owner]> {
  for (const port of source.inventory.acs()) yield [{ vsi: port.vsi.name, ac: port.name }, port];
}

function* tunnelsOf(source: MetricsSource): Generator<readonly [Labels, Owner]> {
  for (const port of source.inventory.tunnels()) yield [{ tunnel: port.name }, port];
}

function* vsisOf(source: MetricsSource): Generator<readonly [Labels, Owner]> {
  for (const vsi of source.inventory.vsis.values()) yield [{ vsi: vsi.name }, vsi];
}

function* originValues(label: string, origins: Origins): Generator<readonly [Labels, number]> {
  for (const [name, counts] of origins) {
    for (const [origin, count] of Object.entries(counts)) yield [{ [label]: name, origin }, count];
  }
}

function* movesOf(moves: ReadonlyMap<string, number>, source: MetricsSource): Generator<readonly [Labels, number]> {
  for (const vsi of source.inventory.vsis.values()) yield [{ vsi: vsi.name }, moves.get(vsi.name) ?? 0];
}

/** What became of the messages of one protocol, in every VSI. */
function resolutionRow(
  name: string,
  help: string,
  resultsOf: (source: MetricsSource) => ReturnType<MetricsSource["arpResults"]>,
): SourceRow {
  return {
    ...{ kind: "counter", name, help, labels: ["vsi", "result"] },
    *values(source) {
      const counts = resultsOf(source);
      for (const { name: vsi } of source.inventory.vsis.values())
        for (const result of RESOLUTION_RESULTS) yield [{ vsi, result }, counts.get(vsi)?.[result] ?? 0];
    },
  };
}

/** How often `name` happened, for each of a list that counts from 1. */
function classRow(
  name: string,
  help: string,
  list: readonly (readonly [string, ...unknown[]])[],
  column: "injected" | "punted",
): SourceRow {
  return {
    kind: "counter",
    name,
    help,
    labels: ["class"],
    *values(source) {
      for (const [i, [name]] of list.entries()) yield [{ class: name }, dataplaneSum(source, (b) => b[column][i + 1]!)];
    },
  };
}

// ---- the metrics -----------------------------------------------------------------------------------------------

const ROWS: readonly SourceRow[] = [
  {
    kind: "gauge",
    name: "vtep_build_info",
    help: "Always 1; the labels say what runs",
    labels: ["version", "node_version"],
    values: ({ version }) => [[{ version, node_version: process.version }, 1]],
  },
  ...trafficRows("ac", "an attachment circuit", ["vsi", "ac"], acsOf),
  ...trafficRows("tunnel", "a tunnel, without outer headers", ["tunnel"], tunnelsOf),
  {
    kind: "counter",
    name: "vtep_tunnel_turned_away_packets_total",
    help: "Wire packets that came by a tunnel and were dropped before they were in a VSI, so not received",
    labels: ["tunnel"],
    *values(source) {
      for (const [of, owner] of tunnelsOf(source)) {
        const ever = sumOf(source.tables.counters, (block) => block.turnedAway[owner.row]!);
        yield [of, ever - source.counted.of(owner)[TURNED_AWAY]!];
      }
    },
  },
  ...trafficRows("vsi", "all ports of a VSI", ["vsi"], vsisOf),
  {
    kind: "counter",
    name: "vtep_drop_packets_total",
    help: "Wire packets dropped, by reason",
    labels: ["reason"],
    *values({ tables }) {
      for (const [i, [reason]] of DROPS.entries())
        if (!NO_FRAMES.has(reason)) yield [{ reason }, sumOf(tables.counters, (b) => b.drops[i + 1]!)];
    },
  },
  {
    kind: "counter",
    name: "vtep_learning_refused_total",
    help: "MACs not learned and moves not believed, by reason; no frame was lost",
    labels: ["reason"],
    *values({ tables }) {
      for (const reason of NO_FRAMES) yield [{ reason }, tables.controlCounters.refused[DROP[reason]]!];
    },
  },
  classRow("vtep_punt_packets_total", "Wire packets handed to the control plane", PUNTS, "punted"),
  classRow("vtep_inject_packets_total", "Wire packets the control plane sent", INJECTS, "injected"),
  resolutionRow("vtep_arp_total", "ARP messages by what became of them", (source) => source.arpResults()),
  resolutionRow("vtep_nd_total", "Neighbour discovery by what became of it", (source) => source.ndResults()),
  {
    kind: "gauge",
    name: "vtep_mac_entries",
    help: "Rows of the MAC table",
    labels: ["vsi", "origin"],
    values: (source) => originValues("vsi", source.macEntries()),
  },
  {
    kind: "gauge",
    name: "vtep_neighbor_entries",
    help: "Entries of the neighbour tables, of ARP and ND",
    labels: ["vsi", "origin"],
    values: (source) => originValues("vsi", source.neighborEntries()),
  },
  {
    kind: "gauge",
    name: "vtep_route_entries",
    help: "Routes in the forwarding table",
    labels: ["vrf", "origin"],
    values: (source) => originValues("vrf", source.routeEntries()),
  },
  {
    kind: "counter",
    name: "vtep_mac_moves_total",
    help: "MACs that were seen at another bridge port",
    labels: ["vsi"],
    values: (source) => movesOf(source.macMoves(), source),
  },
  {
    kind: "counter",
    name: "vtep_neighbor_moves_total",
    help: "Neighbours that changed their MAC or bridge port",
    labels: ["vsi"],
    values: (source) => movesOf(source.neighborMoves(), source),
  },
  {
    kind: "gauge",
    name: "vtep_duplicate_addresses",
    help: "IP addresses that two living hosts have",
    labels: ["vsi"],
    *values(source) {
      const counts = new Map<string, number>();
      for (const { vsi } of source.duplicates()) counts.set(vsi, (counts.get(vsi) ?? 0) + 1);
      for (const { name } of source.inventory.vsis.values()) yield [{ vsi: name }, counts.get(name) ?? 0];
    },
  },
  {
    kind: "gauge",
    name: "vtep_ac_up",
    help: "1 while the attachment circuit has its TAP",
    labels: ["vsi", "ac"],
    *values(source) {
      for (const port of source.inventory.acs()) yield [{ vsi: port.vsi.name, ac: port.name }, port.up ? 1 : 0];
    },
  },
  {
    kind: "gauge",
    name: "vtep_underlay_up",
    help: "1: the interface of the VTEP address is up and has the address",
    labels: [],
    values: (source) => [[{}, source.underlay().problem === null ? 1 : 0]],
  },
  {
    kind: "gauge",
    name: "vtep_tunnel_up",
    help: "1 while frames are sent into the tunnel, also where nothing watches it (vtep_tunnel_watched)",
    labels: ["tunnel"],
    *values(source) {
      // One that lingers is none to be alarmed about: it is going.
      for (const { name, up, lingering } of source.inventory.tunnels())
        if (!lingering) yield [{ tunnel: name }, up ? 1 : 0];
    },
  },
  {
    kind: "gauge",
    name: "vtep_tunnel_path_mtu_bytes",
    help: "Longest inner IP packet the tunnel takes",
    labels: ["tunnel"],
    *values(source) {
      for (const port of source.inventory.tunnels()) yield [{ tunnel: port.name }, port.mtu];
    },
  },
  ...WORKER_ROWS,
  {
    kind: "counter",
    name: "vtep_received_reserved_bits_total",
    help: "Datagrams with reserved VXLAN bits set (accepted unless underlay.strictReserved)",
    labels: [],
    values: (source) => [[{}, dataplaneSum(source, (block) => block.misc[MISC_RESERVED_BITS]!)]],
  },
];

const histogramsOf = ({ tables, resolutions }: MetricsSource): HistogramRow[] => [
  {
    name: "vtep_batch_frames",
    help: "Frames received in one batch of a worker",
    labels: ["worker"],
    read: () => batchSeries(tables),
  },
  {
    name: "vtep_neighbor_resolution_seconds",
    help: "How long ARP searches took, until they were answered or given up",
    labels: ["result"],
    read: () => resolutions.series(),
  },
];

/** What is scraped; `further`, `histograms`: what features bring. Reading it (`metrics()`) is the only thing that costs. */
export function createMetrics(
  source: MetricsSource,
  further: readonly Row[],
  histograms: readonly HistogramRow[] = [],
): SlicedExposition {
  const node = new Registry();
  collectDefaultMetrics({ register: node, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of [...REJECTED, ...LOOP_LAG_ROWS.map((row) => row.name)]) node.removeSingleMetric(name);
  const own = [...ROWS, ...LOOP_LAG_ROWS].map((row): Row => ({ ...row, values: () => row.values(source) }));
  return new SlicedExposition([...own, ...further], [...histogramsOf(source), ...histograms], node);
}
