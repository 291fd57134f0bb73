/**
 * Punt: the way out by the CPU port, to control.
 *
 * Punting is policed per class, per bridge port and in all, then copied into the worker's punt ring; the frame's bytes
 * never leave the arena. Records that are no frames (a MAC to learn, a stale neighbour) use the same ring; a small memory
 * of what was told lately keeps them from filling it. The way back is inject.ts.
 */

import { F_OUTER_SOURCE, F_OUTER_TOS } from "../io/port-io.ts";
import {
  DROP,
  PUNT,
  RECORD_LEARN,
  RECORD_OWN,
  RECORD_STALE,
  RECORD_TOO_BIG,
  RECORD_UNBOUND,
} from "../tables/counters.ts";
import {
  R_ARG,
  R_ARG2,
  R_CSUM_OFFSET,
  R_CSUM_START,
  R_FLAGS,
  R_GSO_SIZE,
  R_KIND,
  R_OUTER_SOURCE,
  R_OUTER_TOS,
  R_PORT,
  R_UNITS,
  R_VSI,
  R_WATCH_ID,
} from "../tables/ring.ts";
import { VSI_NO_TUNNEL_LEARN } from "../tables/vsi.ts";
import { copy, move } from "../wire/bytes.ts";
import type { WorkerContext } from "./context.ts";
import { drop } from "./drop.ts";
import { type Fate, type Frame, PUNTED } from "./frame.ts";

/** Send the frame to control. @returns PUNTED, or why it did not get there. `arg`s: see the R_ARG notes of each class. */
export function punt(worker: WorkerContext, f: Frame, kind: number, arg: number, arg2: number): Fate {
  return worker.policer.admit(kind, f.port) ? toRing(worker, f, kind, arg, arg2) : DROP.punt_limited;
}

function toRing(worker: WorkerContext, f: Frame, kind: number, arg: number, arg2: number): Fate {
  // The payload of a super-frame in slices is gathered behind a copy of its head first.
  let at = f.at;
  if (f.chain !== 0) {
    at = worker.pool.take(f.length);
    if (at < 0) return DROP.pool_exhausted;
    move(f.bytes, at, f.at, f.head);
    worker.io.gather(f.chain, at + f.head);
  }
  const ring = worker.tables.punts[worker.index]!;
  const r = ring.reserve(f.length);
  if (r < 0) return DROP.punt_ring_full;
  const w = ring.words;
  w[r + R_KIND] = kind;
  w[r + R_PORT] = f.port;
  w[r + R_VSI] = f.vsi;
  w[r + R_ARG] = arg;
  w[r + R_ARG2] = arg2;
  w[r + R_FLAGS] = f.flags;
  w[r + R_GSO_SIZE] = f.gsoSize;
  w[r + R_CSUM_START] = f.csumStart;
  w[r + R_CSUM_OFFSET] = f.csumOffset;
  w[r + R_UNITS] = f.units;
  w[r + R_OUTER_SOURCE] = f.received(F_OUTER_SOURCE);
  w[r + R_OUTER_TOS] = f.received(F_OUTER_TOS);
  w[r + R_WATCH_ID] = f.watchId;
  const to = ring.frameAt(r);
  copy(ring.bytes, to, f.bytes, at, f.length);
  ring.commit();
  worker.puntCount++;
  worker.lastPunt = kind;
  worker.counters.punted[kind]! += f.units;
  return PUNTED;
}

/** Punt a copy; the frame goes on. */
export function puntCopy(worker: WorkerContext, f: Frame, kind: number, arg = 0, arg2 = 0): void {
  // Where an answer is due somebody waits, though the frame goes on.
  const isAdmitted = worker.policer.admit(kind, f.port, kind !== PUNT.mtu);
  const fate = isAdmitted ? toRing(worker, f, kind, arg, arg2) : DROP.punt_limited;
  worker.counters.copies[0]! += f.units;
  if (fate <= 0) return;
  drop(worker, f, fate, f.units);
  if (worker.watch !== 0) worker.watcher.drop(worker, f, fate);
}

/** Tell control of a source MAC that is unknown, or seen at another port than the table says. */
export function tellLearn(worker: WorkerContext, f: Frame): void {
  if (f.fromTunnel !== 0 && (worker.vsis.flags[f.vsi]! & VSI_NO_TUNNEL_LEARN) !== 0) return;
  tell(worker, f, RECORD_LEARN, f.srcLo, f.srcHi, f.port);
}

/** Tell control that the neighbour of `adjacency` sent us a packet back that belongs to itself. */
export function tellStale(worker: WorkerContext, f: Frame, adjacency: number): void {
  tell(worker, f, RECORD_STALE, adjacency, 0, f.port);
}

/** Bytes of a frame that say who sent it: Ethernet, an IPv6 header, and of neighbour discovery the target and an option. */
const SENDER_BYTES = 86;

/** Tell control of a frame whose source is no binding of its AC. */
export function tellUnbound(worker: WorkerContext, f: Frame): void {
  tellHead(worker, f, RECORD_UNBOUND);
}

/** Tell control of a frame of ours that an AC sent. */
export function tellOwn(worker: WorkerContext, f: Frame): void {
  tellHead(worker, f, RECORD_OWN);
}

/** A record with the first bytes of the frame, of each kind of frame of a MAC now and then. */
function tellHead(worker: WorkerContext, f: Frame, kind: number): void {
  if (!worker.told.isNews(kind, f.srcLo, (f.type << 16) | f.srcHi, (f.vsi << 16) | f.port, worker.nowMs)) return;
  if (!worker.policer.admitRecord()) return;
  const ring = worker.tables.punts[worker.index]!;
  const bytes = Math.min(f.head, SENDER_BYTES);
  const r = ring.reserve(bytes);
  if (r < 0) return;
  const w = ring.words;
  w[r + R_KIND] = kind;
  w[r + R_PORT] = f.port;
  w[r + R_VSI] = f.vsi;
  w[r + R_UNITS] = 0;
  copy(ring.bytes, ring.frameAt(r), f.bytes, f.at, bytes);
  ring.commit();
  worker.puntCount++;
}

/** Tell control that a record of `length` bytes was too big for the underlay on the way to tunnel `port`. */
export function tellTooBig(worker: WorkerContext, f: Frame, port: number, length: number): void {
  f.vsi = 0;
  tell(worker, f, RECORD_TOO_BIG, length, 0, port);
}

function tell(worker: WorkerContext, f: Frame, kind: number, arg: number, arg2: number, port: number): void {
  if (!worker.told.isNews(kind, arg, arg2, (f.vsi << 16) | port, worker.nowMs) || !worker.policer.admitRecord()) return;
  const ring = worker.tables.punts[worker.index]!;
  const r = ring.reserve(0);
  if (r < 0) return; // no frame is lost: the next one with this MAC tells again
  const w = ring.words;
  w[r + R_KIND] = kind;
  w[r + R_PORT] = port;
  w[r + R_VSI] = f.vsi;
  w[r + R_ARG] = arg;
  w[r + R_ARG2] = arg2;
  // The EtherType of the frame that made us tell: people ask why a MAC is believed.
  w[r + R_FLAGS] = f.type;
  w[r + R_UNITS] = 0;
  ring.commit();
  worker.puntCount++;
}
