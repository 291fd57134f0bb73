/** Metrics of BGP EVPN; none of them has values while the configuration has no `evpn`. */
import type { HistogramRow, Labels, Row, Series } from "../api/feature.ts";
import type { Evpn } from "../api/schema-evpn.ts";
import { Tally } from "./histogram.ts";

/** What they are read from. */
export interface EvpnMetrics {
  readonly view: Pick<Evpn, "routes" | "backlog"> & {
    readonly engine: { readonly up: boolean };
    readonly peers: readonly Pick<Evpn["peers"][number], "address" | "state">[];
    readonly vsis: readonly Pick<Evpn["vsis"][number], "vsi" | "macs" | "ips" | "duplicates" | "moves">[];
    readonly vrfs: readonly Pick<Evpn["vrfs"][number], "vrf" | "prefixes">[];
  };
  /** By route type. */
  readonly types: ReadonlyMap<string, { readonly in: number; readonly out: number }>;
  readonly refused: ReadonlyMap<string, number>;
  readonly vteps: number;
  /** How long the last list of all routes took; null: there was none. */
  readonly resyncSeconds: number | null;
}

const APPLIED = "applied";
const APPLY_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5];

type Values = Iterable<readonly [Labels, number]>;
type EvpnRow = Omit<Row, "values"> & { readonly values: (evpn: EvpnMetrics) => Values };

function row(
  kind: Row["kind"],
  name: string,
  help: string,
  labels: readonly string[],
  values: (evpn: EvpnMetrics) => Values,
): EvpnRow {
  return { kind, name, help, labels, values };
}

const ROWS: readonly EvpnRow[] = [
  row("gauge", "vtep_evpn_engine_up", "1 while the BGP engine answers", [], ({ view }) => [
    [{}, view.engine.up ? 1 : 0],
  ]),
  row("gauge", "vtep_evpn_session_up", "1 while the BGP session is established", ["peer"], ({ view }) =>
    view.peers.map(({ address, state }) => [{ peer: address }, state === "established" ? 1 : 0]),
  ),
  row("gauge", "vtep_evpn_routes", "EVPN routes of others, and ours", ["direction", "type"], function* ({ types }) {
    for (const [type, { in: heard, out }] of types) {
      yield [{ direction: "in", type }, heard];
      yield [{ direction: "out", type }, out];
    }
  }),
  row(
    "gauge",
    "vtep_evpn_entries",
    "Entries that routes of others give; shadowed: a host at an AC here is used instead",
    ["vsi", "kind", "state"],
    function* ({ view }) {
      for (const { vsi, macs, ips } of view.vsis)
        for (const [kind, counts] of [
          ["mac", macs],
          ["neighbor", ips],
        ] as const) {
          yield [{ vsi, kind, state: "used" }, counts.used];
          yield [{ vsi, kind, state: "shadowed" }, counts.shadowed];
        }
    },
  ),
  row(
    "gauge",
    "vtep_evpn_prefixes",
    "Prefixes and hosts that a VRF reaches by its L3VNI (in), and prefixes of it that we announce (out)",
    ["vrf", "direction"],
    function* ({ view }) {
      for (const { vrf, prefixes } of view.vrfs) {
        yield [{ vrf, direction: "in" }, prefixes.in];
        yield [{ vrf, direction: "out" }, prefixes.out];
      }
    },
  ),
  row(
    "gauge",
    "vtep_evpn_stale_routes",
    "Routes that are kept though no session vouches for them now",
    [],
    ({ view }) => [[{}, view.routes.stale]],
  ),
  row("counter", "vtep_evpn_refused_total", "EVPN routes that were not used, by reason", ["reason"], ({ refused }) =>
    Array.from(refused, ([reason, count]) => [{ reason }, count] as const),
  ),
  row("counter", "vtep_evpn_moves_total", "Hosts that moved here or away", ["vsi", "direction"], function* ({ view }) {
    for (const { vsi, moves } of view.vsis) {
      yield [{ vsi, direction: "in" }, moves.in];
      yield [{ vsi, direction: "out" }, moves.out];
    }
  }),
  row("gauge", "vtep_evpn_duplicates", "MACs that move too often", ["vsi"], ({ view }) =>
    view.vsis.map(({ vsi, duplicates }) => [{ vsi }, duplicates]),
  ),
  row("gauge", "vtep_evpn_vteps", "VTEPs that routes name and that have a tunnel", [], ({ vteps }) => [[{}, vteps]]),
  row("gauge", "vtep_evpn_backlog", "Routes that wait to be applied", [], ({ view }) => [[{}, view.backlog]]),

  row("gauge", "vtep_evpn_resync_seconds", "How long the last list of all routes took", [], ({ resyncSeconds }) =>
    resyncSeconds === null ? [] : [[{}, resyncSeconds]],
  ),
];

/** How long routes wait between their arrival from the engine and the tables. */
export class ApplyTimes {
  private readonly tally = new Tally(APPLIED, [APPLIED], APPLY_SECONDS);

  observe(seconds: number, routes: number): void {
    this.tally.observe(APPLIED, seconds, routes);
  }

  /** One, without a label. */
  series(): Series[] {
    return this.tally.series().map((series) => ({ ...series, labels: {} }));
  }
}

/** @param read nothing where the configuration has no EVPN. */
export function evpnHistograms(read: () => readonly Series[]): HistogramRow[] {
  const help = "How long routes of others took from the engine's socket to the tables";
  return [{ name: "vtep_evpn_apply_seconds", help, labels: [], read }];
}

/** @param read null: the configuration has no EVPN. */
export function evpnRows(read: () => EvpnMetrics | null): Row[] {
  return ROWS.map((each) => ({
    ...each,
    values: () => {
      const evpn = read();
      return evpn === null ? [] : each.values(evpn);
    },
  }));
}
