/**
 * What a worker has besides the frame in hand: tables, io, counters, limits, and what it remembers of this batch.
 *
 * One per worker, made once; a stage is called with it and with the frame. Where a packet is only explained (insight/sandbox.ts)
 * the same stages get one whose side effects stay there and whose watcher says nothing.
 */
import { Pool } from "../io/pool.ts";
import { GSO_MASK, GSO_UDP_L4, type PortIo, STATUS_ARENA_BYTES, STATUS_NOW_MS } from "../io/port-io.ts";
import {
  type CounterBlock,
  MISC_SCRATCH_EXHAUSTED,
  RX_BYTES,
  RX_PACKETS,
  SUPER_GRO,
  SUPER_TSO,
  SUPER_USO,
} from "../tables/counters.ts";
import type { DropExamples } from "../tables/drop-example.ts";
import { SET_WATCH, type Tables } from "../tables/tables.ts";
import { MAX_INTERFACES } from "../tables/vsi.ts";
import { ArenaPeak } from "./arena-peak.ts";
import { type Fate, Frame } from "./frame.ts";
import { KnownDestinations6, KnownSource6 } from "./known6.ts";
import { LikeLast, NO_SOURCE } from "./l2-run.ts";
import { Policer } from "./policer.ts";
import { Told } from "./told.ts";

/** What tells people of frames and drops: watcher.ts in a worker, a silent one (insight/sandbox.ts) where a packet is only explained. */
export interface Watching {
  /** The batch is over: main is woken, if it sleeps and there is something for it. */
  wake(): void;
  /** Before the frame in hand is forwarded. */
  keep(worker: WorkerContext, f: Frame): void;
  /** What was kept has met `fate`; the send records from `firstSend` on are its copies. */
  received(worker: WorkerContext, f: Frame, fate: Fate, firstSend: number, punt: number): void;
  /** The send records from `first` on are copies of it. */
  copied(worker: WorkerContext, f: Frame, first: number): void;
  /** The send records from `first` on are control's, because of the punted frame numbered `cause`; 0: of none. */
  injected(worker: WorkerContext, f: Frame, first: number, cause: number): void;
  /** A copy, or an injected frame, was dropped. */
  drop(worker: WorkerContext, f: Frame, reason: number): void;
  /** The io could not send a record of the last batch. */
  refused(worker: WorkerContext, f: Frame, reason: number, port: number, vsi: number, length: number): void;
}

export class WorkerContext {
  /** Its number. */
  readonly index: number;
  /** The frame in hand. */
  readonly frame: Frame;
  readonly tables: Tables;
  readonly io: PortIo;
  readonly counters: CounterBlock;
  readonly examples: DropExamples;
  /** The tables again, one load nearer. */
  readonly ports: Tables["ports"];
  readonly vsis: Tables["vsis"];
  readonly interfaces: Tables["interfaces"];
  readonly macs: Tables["macs"];
  readonly fib: Tables["fib"];
  readonly bindings: Tables["bindings"];
  readonly settings: Int32Array;
  readonly sends: Int32Array;
  readonly pool: Pool;
  readonly policer: Policer;
  readonly told: Told;
  readonly watcher: Watching;
  private readonly arenaPeak = new ArenaPeak();

  /** The batch's clock. */
  nowMs = 0;
  /** What is watched in this batch: WATCH_*. */
  watch = 0;
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
  /** What the last plain frame of this batch found out: see l2-run.ts. */
  readonly last = new LikeLast();
  /** The last source address of this batch that may be routed, and the port it came by. */
  knownFromPort = 0;
  knownFrom = 0;
  /** The same of IPv6, and its destinations: see known6.ts. */
  readonly knownFrom6 = new KnownSource6();
  readonly knownTo6 = new KnownDestinations6();

  constructor(tables: Tables, io: PortIo, index: number, watcher: Watching) {
    this.index = index;
    this.frame = new Frame(io);
    this.tables = tables;
    this.io = io;
    this.counters = tables.counters[index]!;
    this.examples = tables.examples[index]!;
    this.ports = tables.ports;
    this.vsis = tables.vsis;
    this.interfaces = tables.interfaces;
    this.macs = tables.macs;
    this.fib = tables.fib;
    this.bindings = tables.bindings;
    this.settings = tables.settings;
    this.sends = io.sends;
    this.pool = new Pool(io);
    this.policer = new Policer(tables, index);
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
    this.knownFrom6.port = 0;
    this.tables.ports.ofVlan.refresh();
    this.tables.vsis.ofVni.refresh();
    this.tables.macs.refresh();
    this.tables.fib.routes.refresh();
    this.bindings.refresh();
    this.tables.fib.routes6.refresh();
    this.knownTo6.begin(this.tables.fib.routes6.version);
    this.policer.begin(this.nowMs);
    this.watch = this.settings[SET_WATCH]!;
    this.frame.watchId = 0;
    this.policyBank = this.fib.policyHead[0]! * MAX_INTERFACES;
  }

  /** Count the frame in hand at MISC_SUPER_RECEIVE or MISC_SUPER_TRANSMIT; it is a super-frame. */
  countSuper(f: Frame, direction: number, fromTunnel: number): void {
    const ofGuest = (f.flags & GSO_MASK) === GSO_UDP_L4 ? SUPER_USO : SUPER_TSO;
    const at = direction + (fromTunnel !== 0 ? SUPER_GRO : ofGuest);
    this.counters.misc[at]!++;
    this.counters.misc[at + 1]! += f.units;
  }

  /** Count the frame as received on its bridge port and VSI: added up while neighbours in a batch are alike. */
  countReceived(f: Frame): void {
    if (f.port !== this.runPort || f.vsi !== this.runVsi) {
      this.endRun();
      this.runPort = f.port;
      this.runVsi = f.vsi;
    }
    this.runPackets += f.units;
    this.runBytes += f.wireBytes();
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
}
