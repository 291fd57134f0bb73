/**
 * The metrics of how the work is done, not of what was forwarded: batches, super-frames, offloads, and the pools a frame
 * may find full.
 *
 * A pool of a worker (`scratch` and `sends`) is empty again after each batch; a store of control keeps a frame until what
 * it waits for has come. The former have the label `worker`, the latter do not.
 */

import type { Series } from "../api/feature.ts";
import * as counters from "../tables/counters.ts";
import { sumOf } from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";
import type { SourceRow, Values } from "./row.ts";

const DIRECTIONS = [
  ["receive", counters.MISC_SUPER_RECEIVE],
  ["transmit", counters.MISC_SUPER_TRANSMIT],
] as const;
const KINDS = [
  ["tso", counters.SUPER_TSO],
  ["uso", counters.SUPER_USO],
  ["gro", counters.SUPER_GRO],
] as const;

/** The words of all super-frames (`behind`: 0) or of their segments (1). */
function superValues(behind: 0 | 1): Values {
  return function* ({ tables }) {
    for (const [direction, first] of DIRECTIONS) {
      for (const [kind, word] of KINDS) {
        yield [{ direction, kind }, sumOf(tables.workerCounters, ({ misc }) => misc[first + word + behind]!)];
      }
    }
  };
}

/** One value of each worker for each pool of its own. */
function workerPools(words: readonly (readonly [pool: string, word: number])[]): Values {
  return function* ({ tables }) {
    for (const [k, { misc }] of tables.workerCounters.entries()) {
      for (const [pool, word] of words) yield [{ worker: String(k), pool }, misc[word]!];
    }
  };
}

const exhaustedInWorkers = workerPools([
  ["scratch", counters.MISC_SCRATCH_EXHAUSTED],
  ["sends", counters.MISC_SENDS_EXHAUSTED],
]);

export const WORKER_ROWS: readonly SourceRow[] = [
  {
    kind: "counter",
    name: "vtep_superframes_total",
    help: "Super-frames: of a guest's TCP (tso) or UDP (uso), or joined from what came by a tunnel (gro)",
    labels: ["direction", "kind"],
    values: superValues(0),
  },
  {
    kind: "counter",
    name: "vtep_segments_total",
    help: "Wire packets that super-frames stood for, by direction and kind of the super-frame",
    labels: ["direction", "kind"],
    values: superValues(1),
  },
  {
    kind: "gauge",
    name: "vtep_arena_bytes",
    help: "Bytes of the arena that the largest of a worker's last batches took: of frames received, and of scratch",
    labels: ["worker", "pool"],
    values: workerPools([
      ["received", counters.MISC_ARENA_RECEIVED],
      ["scratch", counters.MISC_ARENA_SCRATCH],
    ]),
  },
  {
    kind: "gauge",
    name: "vtep_pool_slots_in_use",
    help: "Entries of control's bounded stores: packets that wait for a neighbour, echo requests for their fragments",
    labels: ["pool"],
    *values(source) {
      for (const { pool, inUse } of source.stores()) if (inUse !== null) yield [{ pool }, inUse];
    },
  },
  {
    kind: "counter",
    name: "vtep_pool_exhausted_total",
    help: "Times a pool had no room: a worker's scratch bytes or send records, or one of control's stores",
    labels: ["worker", "pool"],
    *values(source) {
      yield* exhaustedInWorkers(source);
      for (const { pool, exhausted } of source.stores()) yield [{ pool }, exhausted];
    },
  },
  {
    kind: "gauge",
    name: "vtep_worker_still_seconds",
    help: "Time since a worker was last seen to make progress; from 2 s on it is stuck, at 10 s the process ends",
    labels: ["worker"],
    *values(source) {
      for (const [k, seconds] of source.workersStill().entries()) yield [{ worker: String(k) }, seconds];
    },
  },
  {
    kind: "counter",
    name: "vtep_worker_pauses_total",
    help: "Times a worker let 0.3 ms pass before it looked for frames: many small ones came, and few at a time",
    labels: ["worker"],
    *values({ tables }) {
      for (const [k, { misc }] of tables.workerCounters.entries())
        yield [{ worker: String(k) }, misc[counters.MISC_PAUSES]!];
    },
  },
  {
    kind: "counter",
    name: "vtep_offload_fallback_total",
    help: "Times a kernel offload was refused and something slower was done",
    labels: ["cause"],
    *values(source) {
      for (const [cause, count] of source.fallbacks()) yield [{ cause }, count];
    },
  },
  {
    kind: "counter",
    name: "vtep_underlay_receive_drops_total",
    help: "Datagrams the kernel dropped because the receive buffer was full: they never reached a worker",
    labels: ["worker"],
    *values(source) {
      for (const [k, drops] of source.receiveDrops().entries()) yield [{ worker: String(k) }, drops];
    },
  },
];

/** Batches of each worker by size. */
export function batchSeries(tables: Tables): Series[] {
  return tables.workerCounters.map(({ misc }, worker) => ({
    labels: { worker: String(worker) },
    buckets: counters.BATCH_BUCKETS.map((upTo, i) => ({ upTo, count: misc[counters.MISC_BUCKETS + i]! })),
    count: misc[counters.MISC_BATCHES]!,
    sum: misc[counters.MISC_FRAMES]!,
  }));
}
