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
  F_SOURCE,
  F_UNITS,
  FRAME_WORDS,
  GSO_MASK,
  GSO_UDP_L4,
  type PortIo,
  STATUS_ARENA_BYTES,
  STATUS_NOW_MS,
  VXLAN_BYTES,
} from "../io/port-io.ts";
import {
  type CounterBlock,
  MISC_SCRATCH_EXHAUSTED,
  MISC_SUPER_RECEIVE,
  RX_BYTES,
  RX_PACKETS,
  SUPER_GRO,
  SUPER_TSO,
  SUPER_USO,
} from "../tables/counters.ts";
import type { DropExamples } from "../tables/drop-example.ts";
import { SET_WATCH, type Tables } from "../tables/tables.ts";
import { IO_TAP, MAX_INTERFACES } from "../tables/vsi.ts";
import { ETH_BYTES } from "../wire/ethernet.ts";
import { ArenaPeak } from "./arena-peak.ts";
import { LikeLast, NO_SOURCE } from "./l2-run.ts";
import { Policer } from "./policer.ts";
import { Told } from "./told.ts";

/** A stage's answer: 0 go on, > 0 dropped for that reason, or one of these. */
export type Fate = number;
export const GO_ON: Fate = 0;
/** Send records exist; the exchange will tell how they ended. */
export const SENT: Fate = -1;
/** A copy is in the punt ring, or the frame was consumed by a policer that counted it. */
export const PUNTED: Fate = -2;

/** What tells people of frames and drops: watcher.ts in a worker, a silent one (insight/sandbox.ts) where a packet is only explained. */
export interface Watching {
  /** Before the frame in hand is forwarded. */
  keep(f: Frame): void;
  /** What was kept has met `fate`; the send records from `firstSend` on are its copies. */
  received(f: Frame, fate: Fate, firstSend: number, punt: number): void;
  /** The send records from `first` on are copies of it. */
  copied(f: Frame, first: number): void;
  /** The send records from `first` on are control's, because of the punted frame numbered `cause`; 0: of none. */
  injected(f: Frame, first: number, cause: number): void;
  /** A copy, or an injected frame, was dropped. */
  drop(f: Frame, reason: number): void;
  /** The io could not send a record of the last batch. */
  refused(f: Frame, reason: number, port: number, vsi: number, length: number): void;
}

export class Frame {
  readonly worker: number;
  readonly t: Tables;
  readonly io: PortIo;
  /** The arena, byte by byte, and as big-endian fields: a 32-bit field is one load here and four there. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly counters: CounterBlock;
  readonly examples: DropExamples;
  /** The tables again, one load nearer. */
  readonly ports: Tables["ports"];
  readonly vsis: Tables["vsis"];
  readonly interfaces: Tables["interfaces"];
  readonly macs: Tables["macs"];
  readonly fib: Tables["fib"];
  readonly settings: Int32Array;
  readonly sends: Int32Array;
  readonly pool: Pool;
  readonly policer: Policer;
  readonly told: Told;
  readonly watcher: Watching;
  private readonly arenaPeak = new ArenaPeak();

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
  /** Word of its receive descriptor, -1 for a frame that never arrived. */
  private descriptor = -1;
  /** Ethernet fields. */
  type = 0;
  dstHi = 0;
  dstLo = 0;
  srcHi = 0;
  srcLo = 0;
  /** The batch's clock. */
  nowMs = 0;
  /** What is watched in this batch: WATCH_*. */
  watch = 0;
  /** The number under which those who watch see the frame in hand; 0: it is not watched. */
  watchId = 0;
  /** The class of the last frame punted. */
  lastPunt = 0;
  /** Send records written in this batch. */
  sendCount = 0;
  /** Where the published bank of `fib.policyCount` and `policyFirst` begins. */
  policyBank = 0;
  /** Punt records written in this batch. */
  puntCount = 0;
  /** Wire packets received in this batch, and in the run of frames of one port and VSI. */
  batchUnits = 0;
  private runPort = 0;
  private runVsi = 0;
  private runPackets = 0;
  private runBytes = 0;
  /** 1 when the source MAC is in the table as it should be. */
  sourceKnown = 0;
  /** What the last plain frame of this batch found out: see l2-run.ts. */
  readonly last = new LikeLast();
  /** The last source address of this batch that may be routed, and the port it came by. */
  knownFromPort = 0;
  knownFrom = 0;

  constructor(tables: Tables, io: PortIo, worker: number, watcher: Watching) {
    this.worker = worker;
    this.t = tables;
    this.io = io;
    this.bytes = io.arena;
    this.view = new DataView(io.arena.buffer, io.arena.byteOffset, io.arena.byteLength);
    this.counters = tables.counters[worker]!;
    this.examples = tables.examples[worker]!;
    this.ports = tables.ports;
    this.vsis = tables.vsis;
    this.interfaces = tables.interfaces;
    this.macs = tables.macs;
    this.fib = tables.fib;
    this.settings = tables.settings;
    this.sends = io.sends;
    this.pool = new Pool(io);
    this.policer = new Policer(tables, worker);
    this.told = new Told();
    this.watcher = watcher;
  }

  /** A new batch: tables as published now, an empty scratch, no sends. */
  begin(): void {
    this.nowMs = this.io.status[STATUS_NOW_MS]!;
    this.pool.reset();
    this.sendCount = 0;
    this.puntCount = 0;
    this.last.source = NO_SOURCE;
    this.knownFromPort = 0;
    this.t.ports.ofVlan.refresh();
    this.t.vsis.ofVni.refresh();
    this.t.macs.refresh();
    this.t.fib.routes.refresh();
    this.policer.begin(this.nowMs);
    this.watch = this.settings[SET_WATCH]!;
    this.watchId = 0;
    this.policyBank = this.fib.policyHead[0]! * MAX_INTERFACES;
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
    this.descriptor = i;
    this.units = d[i + F_UNITS]!;
    this.port = 0;
    this.vsi = 0;
    this.fromTunnel = 0;
    this.sourceKnown = 0;
    // A super-frame or an unfinished checksum has flags; a plain frame needs none of the words behind them.
    const flags = d[i + F_FLAGS]!;
    if (flags !== 0) this.loadSpecial(i, flags);
    else if (this.flags !== 0) this.clearSpecial();
  }

  private loadSpecial(i: number, flags: number): void {
    const d = this.io.frames;
    this.flags = flags;
    this.gsoSize = d[i + F_GSO_SIZE]!;
    this.csumStart = d[i + F_CSUM_START]!;
    this.csumOffset = d[i + F_CSUM_OFFSET]!;
    this.chain = d[i + F_CHAIN]!;
    if ((flags & GSO_MASK) !== 0)
      this.countSuper(MISC_SUPER_RECEIVE, this.ports.ioKind[this.source] === IO_TAP ? 0 : 1);
  }

  /** Count the frame in hand, a super-frame, at MISC_SUPER_RECEIVE or MISC_SUPER_TRANSMIT. */
  countSuper(direction: number, fromTunnel: number): void {
    const ofGuest = (this.flags & GSO_MASK) === GSO_UDP_L4 ? SUPER_USO : SUPER_TSO;
    const at = direction + (fromTunnel !== 0 ? SUPER_GRO : ofGuest);
    this.counters.misc[at]!++;
    this.counters.misc[at + 1]! += this.units;
  }

  private clearSpecial(): void {
    this.flags = 0;
    this.gsoSize = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
    this.chain = 0;
  }

  /** A word of the frame's receive descriptor (F_*), 0 for a frame that never arrived: what is too seldom needed for a field. */
  received(word: number): number {
    return this.descriptor < 0 ? 0 : this.io.frames[this.descriptor + word]!;
  }

  /** Take a frame of `length` bytes at `at` of the arena in hand that never arrived: an injected one. */
  borrow(at: number, length: number): void {
    this.at = at;
    this.length = length;
    this.head = length;
    this.end = at + length;
    this.source = 0;
    this.descriptor = -1;
    this.units = 1;
    this.clearSpecial();
    this.port = 0;
    this.vsi = 0;
    this.fromTunnel = 0;
  }

  /** Count the frame as received on its bridge port and VSI: added up while neighbours in a batch are alike. */
  countReceived(): void {
    if (this.port !== this.runPort || this.vsi !== this.runVsi) {
      this.endRun();
      this.runPort = this.port;
      this.runVsi = this.vsi;
    }
    this.runPackets += this.units;
    this.runBytes += this.wireBytes();
  }

  private endRun(): void {
    if (this.runPackets === 0) return;
    const { ports, vsis } = this.counters;
    const p = this.runPort << 2;
    ports[p + RX_PACKETS]! += this.runPackets;
    ports[p + RX_BYTES]! += this.runBytes;
    const v = this.runVsi << 2;
    vsis[v + RX_PACKETS]! += this.runPackets;
    vsis[v + RX_BYTES]! += this.runBytes;
    this.runPackets = 0;
    this.runBytes = 0;
  }

  /** The batch is through: what was added up goes into the counter block. */
  finish(): void {
    this.endRun();
    this.counters.received[0]! += this.batchUnits;
    this.batchUnits = 0;
    this.counters.misc[MISC_SCRATCH_EXHAUSTED] = this.pool.exhausted;
    this.arenaPeak.note(this.counters.misc, this.io.status[STATUS_ARENA_BYTES]!, this.pool.used, this.nowMs);
  }

  /** Was a VLAN tag taken out: does the frame not start where it arrived (behind the VXLAN header, from a tunnel)? */
  isRetagged(): boolean {
    return this.at !== this.received(F_AT) + this.fromTunnel * VXLAN_BYTES;
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
    return gso === GSO_UDP_L4 ? this.csumStart + 8 : this.csumStart + ((this.bytes[l4 + 12]! >> 4) << 2);
  }
}
