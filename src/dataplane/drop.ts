/**
 * The end of a frame that goes nowhere: counted by its reason and port, and kept as the last example of them.
 *
 * The counter is the contract; the example is for people (tables/drop-example.ts). What stands in it is what the frame looks
 * like now: forwarding rewrites in place, and most reasons speak before anything is rewritten.
 */

import { F_OUTER_PORT, F_OUTER_REST, F_OUTER_SOURCE, VXLAN_BYTES } from "../io/port-io.ts";
import { DROP_REASONS } from "../tables/counters.ts";
import {
  X_IO,
  X_OUTER,
  X_OUTER_PORT,
  X_OUTER_REST,
  X_PORT,
  X_REASON,
  X_VNI,
  X_VSI,
  X_VXLAN_FLAGS,
} from "../tables/drop-example.ts";
import { vniAt } from "../wire/vxlan.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";

/** The frame in hand, `units` wire packets, is dropped for `reason`. */
export function drop(worker: WorkerContext, f: Frame, reason: number, units: number): void {
  count(worker, reason, units, f.port);
  keepBoth(worker, f, reason, f.port, f.vsi, f.length, f.head);
}

/** `units` wire packets of a send record, whose frame is gone, could not leave by `port`. */
export function dropSent(
  worker: WorkerContext,
  f: Frame,
  reason: number,
  units: number,
  port: number,
  vsi: number,
  length: number,
): void {
  count(worker, reason, units, port);
  f.fromTunnel = 0;
  f.source = 0;
  keepBoth(worker, f, reason, port, vsi, length, 0);
}

function count(worker: WorkerContext, reason: number, units: number, port: number): void {
  worker.counters.drops[reason]! += units;
  worker.counters.portDrops[port * DROP_REASONS + reason]! += units;
}

/** Does the VXLAN header of the frame in hand still lie before it, and is nothing better known: no VSI? */
export function isInNoVsi(f: Frame): boolean {
  return f.fromTunnel !== 0 && f.vsi === 0;
}

/** As the last one of its reason, and of its reason at this port. */
function keepBoth(
  worker: WorkerContext,
  f: Frame,
  reason: number,
  port: number,
  vsi: number,
  length: number,
  here: number,
): void {
  const x = worker.examples;
  if (!x.isFresh(reason, worker.nowMs)) keep(worker, f, reason, reason, port, vsi, length, here);
  if (port === 0) return;
  const row = x.rowAt(reason, port);
  if (!x.isFresh(row, worker.nowMs)) keep(worker, f, row, reason, port, vsi, length, here);
}

function keep(
  worker: WorkerContext,
  f: Frame,
  row: number,
  reason: number,
  port: number,
  vsi: number,
  length: number,
  here: number,
): void {
  const x = worker.examples;
  const w = x.words;
  const r = x.begin(row, worker.nowMs);
  w[r + X_REASON] = reason;
  w[r + X_PORT] = port;
  w[r + X_VSI] = vsi;
  w[r + X_IO] = f.source;
  const isDatagram = isInNoVsi(f);
  const header = f.at - VXLAN_BYTES;
  w[r + X_OUTER] = isDatagram ? f.received(F_OUTER_SOURCE) : 0;
  w[r + X_OUTER_PORT] = 0;
  if (isDatagram && f.source === 0) {
    w[r + X_OUTER_PORT] = f.received(F_OUTER_PORT);
    for (let i = 0; i < 3; i++) w[r + X_OUTER_REST + i] = f.received(F_OUTER_REST + i);
  }
  w[r + X_VXLAN_FLAGS] = isDatagram ? f.bytes[header]! : 0;
  w[r + X_VNI] = isDatagram ? vniAt(f.bytes, header) : -1;
  x.end(r, f.bytes, f.at, length, here);
}
