/**
 * The frame in hand: one reused cursor per worker.
 *
 * A stage reads and writes its fields and nothing else; all of them are int32, so that none of them ever lives in the
 * heap. It also carries what every stage needs of the worker: the tables, the io, the counters, the pool. There is one
 * Frame per worker and it is never kept: `load` and `borrow` overwrite it.
 *
 * `at` is where the (inner) Ethernet header starts, whichever way the frame came.
 */
import { Pool } from "../io/pool.ts";
import {
  F_AT,
  F_CHAIN,
  F_CSUM_OFFSET,
  F_CSUM_START,
  F_FLAGS,
  F_GSO_SIZE,
  F_HEAD,
  F_LENGTH,
  F_OUTER_SOURCE,
  F_OUTER_TOS,
  F_SOURCE,
  F_UNITS,
  FRAME_WORDS,
  GSO_MASK,
  type PortIo,
  STATUS_NOW_MS,
} from "../io/port-io.ts";
import type { CounterBlock } from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";
import { ETH_BYTES } from "../wire/ethernet.ts";
import { Policer } from "./policer.ts";
import { Told } from "./told.ts";

/** A stage's answer: 0 go on, > 0 dropped for that reason, or one of these. */
export type Fate = number;
export const GO_ON: Fate = 0;
/** Send records exist; the exchange will tell how they ended. */
export const SENT: Fate = -1;
/** A copy is in the punt ring, or the frame was consumed by a policer that counted it. */
export const PUNTED: Fate = -2;

export class Frame {
  readonly worker: number;
  readonly t: Tables;
  readonly io: PortIo;
  /** The arena, byte by byte, and as big-endian fields: a 32-bit field is one load here and four there. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly counters: CounterBlock;
  readonly pool: Pool;
  readonly policer: Policer;
  readonly told: Told;

  /** Offset of the Ethernet header, bytes in all, bytes contiguous at `at`, and one past the contiguous ones. */
  at = 0;
  length = 0;
  head = 0;
  end = 0;
  /** Io port it came by, and its bridge port once known. */
  source = 0;
  port = 0;
  vsi = 0;
  fromTunnel = 0;
  flags = 0;
  gsoSize = 0;
  units = 1;
  csumStart = 0;
  csumOffset = 0;
  chain = 0;
  outerSource = 0;
  outerTos = 0;
  /** Ethernet fields. */
  type = 0;
  dstHi = 0;
  dstLo = 0;
  srcHi = 0;
  srcLo = 0;
  /** The batch's clock. */
  nowMs = 0;
  /** Send records written in this batch. */
  sendCount = 0;
  /** Punt records written in this batch. */
  puntCount = 0;

  constructor(tables: Tables, io: PortIo, worker: number) {
    this.worker = worker;
    this.t = tables;
    this.io = io;
    this.bytes = io.arena;
    this.view = new DataView(io.arena.buffer, io.arena.byteOffset, io.arena.byteLength);
    this.counters = tables.counters[worker]!;
    this.pool = new Pool(io);
    this.policer = new Policer(tables);
    this.told = new Told();
  }

  /** A new batch: tables as published now, an empty scratch, no sends. */
  begin(): void {
    this.nowMs = this.io.status[STATUS_NOW_MS]!;
    this.pool.reset();
    this.sendCount = 0;
    this.puntCount = 0;
    this.t.ports.ofVlan.refresh();
    this.t.vsis.ofVni.refresh();
    this.t.macs.refresh();
    this.t.fib.routes.refresh();
    this.policer.begin(this.nowMs);
  }

  /** Take received frame number `index` in hand. */
  load(index: number): void {
    const d = this.io.frames;
    const i = index * FRAME_WORDS;
    this.at = d[i + F_AT]!;
    this.length = d[i + F_LENGTH]!;
    this.head = d[i + F_HEAD]!;
    this.end = this.at + this.head;
    this.source = d[i + F_SOURCE]!;
    this.flags = d[i + F_FLAGS]!;
    this.gsoSize = d[i + F_GSO_SIZE]!;
    this.units = d[i + F_UNITS]!;
    this.outerSource = d[i + F_OUTER_SOURCE]!;
    this.outerTos = d[i + F_OUTER_TOS]!;
    this.csumStart = d[i + F_CSUM_START]!;
    this.csumOffset = d[i + F_CSUM_OFFSET]!;
    this.chain = d[i + F_CHAIN]!;
    this.port = 0;
    this.vsi = 0;
    this.fromTunnel = 0;
  }

  /** Take a frame of `length` bytes at `at` of the arena in hand that never arrived: an injected one. */
  borrow(at: number, length: number): void {
    this.at = at;
    this.length = length;
    this.head = length;
    this.end = at + length;
    this.source = 0;
    this.flags = 0;
    this.gsoSize = 0;
    this.units = 1;
    this.outerSource = 0;
    this.outerTos = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
    this.chain = 0;
    this.port = 0;
    this.vsi = 0;
    this.fromTunnel = 0;
  }

  /** Cut or stretch what lies contiguous, keeping `head`, `length` and `end` true. */
  trim(length: number): void {
    this.length = length;
    if (this.head > length) {
      this.head = length;
      this.end = this.at + length;
    }
  }

  /** Frame bytes as they are on a wire: a super-frame repeats its headers in each segment. */
  wireBytes(): number {
    if (this.units === 1) return this.length;
    return this.length + (this.units - 1) * this.superHeaderBytes();
  }

  /** Bytes of Ethernet, IP and L4 header of a super-frame, from its own parse (`csumStart` is where L4 starts). */
  superHeaderBytes(): number {
    const gso = this.flags & GSO_MASK;
    if (gso === 0) return ETH_BYTES;
    const l4 = this.at + this.csumStart;
    return gso === 5 ? this.csumStart + 8 : this.csumStart + ((this.bytes[l4 + 12]! >> 4) << 2);
  }
}
