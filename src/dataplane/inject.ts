/**
 * Inject: what control decided, carried out by the worker.
 *
 * A record's bytes are copied to scratch, and the frame goes straight to its port, its flood list or its adjacency.
 * Injected frames are not looked up as if they had arrived, because control has decided. There are two exceptions: what is
 * of our own making is routed by its destination (INJECT.route), and the operator's packet (`trace --inject`) starts where
 * any frame starts (INJECT.arrival). Commands (attach a TAP, a peer) use
 * the same ring, so that they keep their order with the frames. The way to control is punt.ts.
 */

import {
  COMMAND_ATTACH_PEER,
  COMMAND_ATTACH_TAP,
  COMMAND_WRITE_TAP,
  DROP,
  INJECT,
  TTL_TAKEN,
} from "../tables/counters.ts";
import {
  R_ARG,
  R_ARG2,
  R_CAUSE,
  R_CSUM_OFFSET,
  R_CSUM_START,
  R_FLAGS,
  R_GSO_SIZE,
  R_KIND,
  R_LENGTH,
  R_PORT,
  R_UNITS,
  R_VSI,
} from "../tables/ring.ts";
import { KIND_TUNNEL, MAX_IO_PORTS } from "../tables/vsi.ts";
import { copy, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, TYPE_IPV6 } from "../wire/ethernet.ts";
import { IP_TTL } from "../wire/ipv4.ts";
import { IP6_HOPS, IPV6_BYTES } from "../wire/ipv6.ts";
import type { WorkerContext } from "./context.ts";
import { drop } from "./drop.ts";
import { egress } from "./egress.ts";
import { replicate } from "./flood.ts";
import type { Fate, Frame } from "./frame.ts";
import { readEthernet } from "./ingress.ts";
import { routeOwn, viaAdjacency } from "./route.ts";
import { routeOwn6, viaAdjacency6 } from "./route6.ts";
import { throughStages } from "./stages.ts";

const ENOMEM = -12;

/**
 * Carry out what control put in the inject ring: at most `budget` records, and of frames what half of the scratch takes, for
 * the other half is for copies of what this batch received. The rest waits for the next turn. @returns how many.
 */
export function drainInject(worker: WorkerContext, budget: number): number {
  const ring = worker.tables.injects[worker.index]!;
  let n = 0;
  for (; n < budget; n++) {
    const r = ring.peek();
    if (r < 0) break;
    const kind = ring.words[r + R_KIND]!;
    if (n > 0 && worker.pool.used + ring.words[r + R_LENGTH]! > worker.pool.size >> 1) break;
    if (kind <= INJECT.arrival) injectFrame(worker, worker.frame, kind, r);
    else command(worker, kind, r);
    ring.release(r);
  }
  return n;
}

function injectFrame(worker: WorkerContext, f: Frame, kind: number, r: number): void {
  const ring = worker.tables.injects[worker.index]!;
  const w = ring.words;
  const length = w[r + R_LENGTH]!;
  const units = w[r + R_UNITS]!;
  worker.counters.injected[kind]! += units;
  const at = worker.pool.take(length);
  if (at < 0) {
    worker.counters.drops[DROP.pool_exhausted]! += units;
    return;
  }
  const from = ring.frameAt(r);
  copy(f.bytes, at, ring.bytes, from, length);
  f.borrow(at, length);
  f.units = units;
  f.vsi = w[r + R_VSI]!;
  f.flags = w[r + R_FLAGS]!;
  f.gsoSize = w[r + R_GSO_SIZE]!;
  f.csumStart = w[r + R_CSUM_START]!;
  f.csumOffset = w[r + R_CSUM_OFFSET]!;
  readEthernet(f);
  const first = worker.sendCount;
  const fate = inject(worker, f, kind, r);
  if (worker.watch !== 0) worker.watcher.injected(worker, f, first, w[r + R_CAUSE]!);
  if (fate <= 0) return;
  drop(worker, f, fate, units);
  if (worker.watch !== 0) worker.watcher.drop(worker, f, fate);
}

function inject(worker: WorkerContext, f: Frame, kind: number, r: number): Fate {
  const w = worker.tables.injects[worker.index]!.words;
  const port = w[r + R_PORT]!;
  if (kind === INJECT.arrival) return arrive(worker, f, port);
  if (kind === INJECT.flood) return replicate(worker, f, port, w[r + R_ARG]!, false);
  if (kind === INJECT.port) return worker.ports.kind[port] === 0 ? DROP.tunnel_down : egress(worker, f, port, f.vsi);
  f.port = port;
  // VSI 0: a packet of our own. It came by no tunnel, so it may leave by the one whose packet provoked it.
  f.fromTunnel = f.vsi !== 0 && worker.ports.kind[port] === KIND_TUNNEL ? 1 : 0;
  const l3 = f.at + ETH_BYTES;
  // The rewrite takes one from the TTL; a frame that has paid already (a fragment) gets it back first, checksum and all.
  if (f.type === TYPE_IPV6) {
    if (f.end < l3 + IPV6_BYTES) return DROP.ip_malformed;
    if ((w[r + R_ARG2]! & TTL_TAKEN) !== 0) f.bytes[l3 + IP6_HOPS]!++;
    if (kind === INJECT.route) return routeOwn6(worker, f, l3, w[r + R_ARG]!);
    return viaAdjacency6(worker, f, l3, w[r + R_ARG]!);
  }
  if ((w[r + R_ARG2]! & TTL_TAKEN) !== 0) incrementTtl(f.bytes, l3);
  if (kind === INJECT.route) return routeOwn(worker, f, l3, w[r + R_ARG]!);
  return viaAdjacency(worker, f, l3, w[r + R_ARG]!);
}

/** A packet of `trace --inject`, at io port `io`: from here on nothing shows that no wire carried it. */
function arrive(worker: WorkerContext, f: Frame, io: number): Fate {
  f.source = io;
  f.vsi = 0;
  return throughStages(worker, f);
}

/** The reverse of `decrementTtl` (RFC 1624: HC' = ~(~HC + 0x0100)). */
function incrementTtl(bytes: Uint8Array, l3: number): void {
  bytes[l3 + IP_TTL] = bytes[l3 + IP_TTL]! + 1;
  let sum = (~u16(bytes, l3 + 10) & 0xffff) + 0x0100;
  sum = (sum & 0xffff) + (sum >> 16);
  bytes[l3 + 10] = ~sum >> 8;
  bytes[l3 + 11] = ~sum;
}

/** Control is told by a word how an attach ended. */
function command(worker: WorkerContext, kind: number, r: number): void {
  const ring = worker.tables.injects[worker.index]!;
  const io = ring.words[r + R_PORT]!;
  const arg = ring.words[r + R_ARG]!;
  let result = 0;
  if (kind === COMMAND_ATTACH_TAP) result = worker.io.attachTap(io, arg);
  else if (kind === COMMAND_WRITE_TAP) result = worker.io.attachTapToWrite(io, arg);
  else if (kind === COMMAND_ATTACH_PEER) result = attachPeer(worker, io, arg, r);
  else worker.io.detach(io);
  Atomics.store(worker.tables.ioErrors, worker.index * MAX_IO_PORTS + io, result);
}

function attachPeer(worker: WorkerContext, io: number, udpPort: number, r: number): number {
  const ring = worker.tables.injects[worker.index]!;
  const length = ring.words[r + R_LENGTH]!;
  const at = worker.pool.take(length);
  if (at < 0) return ENOMEM;
  const from = ring.frameAt(r);
  copy(worker.frame.bytes, at, ring.bytes, from, length);
  return worker.io.attachPeer(io, at, length, udpPort);
}
