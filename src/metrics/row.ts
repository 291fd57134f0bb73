/** What the registry's own rows are read from. Features bring rows that know their source themselves (api/feature.ts). */
import type { Labels, Row } from "../api/feature.ts";
import type { Inventory } from "../control/inventory.ts";
import type { ResolutionResult } from "../control/resolution/counts.ts";
import type { Counted } from "../control/topology/views.ts";
import type { Tables } from "../tables/tables.ts";
import type { Tally } from "./histogram.ts";

/** A bounded store of control, at this moment. */
export interface Store {
  readonly pool: string;
  /** Entries; null where it holds bytes. */
  readonly inUse: number | null;
  /** How often something found no slot, ever. */
  readonly exhausted: number;
}

/** Entries of one table by where they come from. */
export type Origins = ReadonlyMap<string, Readonly<Record<string, number>>>;

/** How late an event loop was, seconds. */
export interface Lag {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** The daemon hands it over. */
export interface MetricsSource {
  readonly version: string;
  readonly tables: Tables;
  readonly inventory: Inventory;
  /** What the cells of an object's row showed when it got the row. */
  readonly counted: { of(owner: object): Counted };
  /** By VSI, VSI and VRF: entries by origin. */
  macEntries(): Origins;
  neighborEntries(): Origins;
  routeEntries(): Origins;
  arpResults(): ReadonlyMap<string, Readonly<Record<ResolutionResult, number>>>;
  ndResults(): ReadonlyMap<string, Readonly<Record<ResolutionResult, number>>>;
  macMoves(): ReadonlyMap<string, number>;
  neighborMoves(): ReadonlyMap<string, number>;
  /** Addresses that two hosts have, each with the VSI in which that was seen. */
  duplicates(): readonly { readonly vsi: string }[];
  /** Seconds each ARP search took, by result. */
  readonly resolutions: Tally;
  /** Control's stores of frames that outlive their batch. */
  stores(): readonly Store[];
  /** Offloads given up, by cause. */
  fallbacks(): ReadonlyMap<string, number>;
  /** Datagrams the kernel dropped at a full receive buffer, by worker. */
  receiveDrops(): readonly number[];
  /** Seconds since each worker was last seen to make progress. */
  workersStill(): readonly number[];
  /** How late the event loop was, seconds. */
  readonly loopLag: { readonly latest: number | null; lag(): Lag | null };
  /** The interface of the VTEP address; `problem` null: it is up. */
  underlay(): { readonly device: string; readonly problem: string | null };
}

/** Who has a row of counters. */
export type Owner = { readonly row: number };
/** Values of a metric at this moment. */
export type Values = (source: MetricsSource) => Iterable<readonly [labels: Labels, value: number]>;
/** A row that reads the registry's source. */
export type SourceRow = Omit<Row, "values"> & { readonly values: Values };
