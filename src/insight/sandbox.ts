/**
 * A worker's surroundings for a packet that does not exist: the real tables, and side effects that stay here.
 *
 * What a decision reads is the live memory: MAC rows, routes, rewrite rows, flood lists, policies, settings. What it
 * writes is private: hit bytes, counters, the punt ring, the policer, the arena and its send records. So a stage cannot
 * tell a what-if packet from a real one, and nothing else can tell that it was there.
 *
 * Control's thread alone runs this. It is the tables' writer, so nothing changes under a what-if packet and no row it
 * looks at can be reused meanwhile: no heartbeat is needed. Limits are taken as unused: before each packet the clock
 * jumps far enough for every bucket to be full again.
 *
 * Not in the path of frames: it may allocate.
 */

import { type Watching, WorkerContext } from "../dataplane/context.ts";
import { MAX_SENDS, type PortIo, SEND_WORDS, STATUS_NOW_MS, STATUS_WORDS } from "../io/port-io.ts";
import { CounterBlock } from "../tables/counters.ts";
import { DropExamples } from "../tables/drop-example.ts";
import { ExactMatch } from "../tables/exact-match.ts";
import { ExactMatch6 } from "../tables/exact-match6.ts";
import type { Carver } from "../tables/layout.ts";
import { R_LENGTH, RECORD_WORDS, Ring } from "../tables/ring.ts";
import { SET_WATCH, type Tables } from "../tables/tables.ts";
import { MAX_IO_PORTS } from "../tables/vsi.ts";
import { Watch } from "../tables/watch.ts";

/** Room for the longest frame in hand, its copies with another tag, and what is gathered for a punt. */
const ARENA_BYTES = 1 << 20;
const RING_BYTES = 1 << 18;
/** Longer than any bucket takes to fill, and than anything told stays old news. */
const STEP_MS = 20_000;

/** A what-if packet is told to no watcher. */
const SILENT: Watching = { wake() {}, keep() {}, received() {}, copied() {}, injected() {}, drop() {}, refused() {} };

/** Columns of one's own. */
const PRIVATE: Carver = {
  int32: (count) => new Int32Array(count),
  bytes: (count) => new Uint8Array(count),
  float64: (count) => new Float64Array(count),
};

/** The same rows as `table`, and hit bytes of its own. */
function viewOf(table: ExactMatch): ExactMatch {
  const shared = [table.head, table.rows];
  return new ExactMatch({ ...PRIVATE, int32: () => shared.shift()! }, table.capacity >> 1);
}

/** The same rows as `table`. */
function viewOf6(table: ExactMatch6): ExactMatch6 {
  const shared = [table.head, table.rows];
  return new ExactMatch6({ ...PRIVATE, int32: () => shared.shift()! }, table.capacity >> 1);
}

/** `tables` with private side effects, for worker 0 alone. What-if packets are not watched: their settings are a copy. */
function tablesLike(tables: Tables): Tables {
  const { sizes, heartbeat, ports, vsis, interfaces, fib, bindings } = tables;
  const settings = new Int32Array(tables.settings.length);
  const counters = [new CounterBlock(PRIVATE)];
  return {
    sizes,
    heartbeat,
    settings,
    doorbell: new Int32Array(1),
    ioErrors: new Int32Array(MAX_IO_PORTS),
    ports: { ...ports, ofVlan: viewOf(ports.ofVlan) },
    vsis: { ...vsis, ofVni: viewOf(vsis.ofVni) },
    interfaces,
    macs: viewOf(tables.macs),
    bindings,
    fib: {
      ...fib,
      routes: viewOf(fib.routes),
      routes6: viewOf6(fib.routes6),
      adjacencyHit: new Uint8Array(fib.adjacencyHit.length),
    },
    counters,
    examples: [new DropExamples(PRIVATE)],
    punts: [new Ring(PRIVATE, RING_BYTES)],
    injects: [new Ring(PRIVATE, RING_BYTES)],
    bfds: [new Ring(PRIVATE, RING_BYTES)],
    bfdBell: new Int32Array(1),
    watch: new Watch(PRIVATE, 1, 64),
    workerCounters: counters,
    controlCounters: counters[0]!,
    bfdCounters: counters[0]!,
    dataplaneCounters: counters,
  };
}

/** An io that keeps everything and moves nothing. */
class StillIo implements PortIo {
  readonly arena = new Uint8Array(ARENA_BYTES);
  readonly scratchAt = ARENA_BYTES >> 1;
  readonly frames = new Int32Array(64);
  readonly sends = new Int32Array(MAX_SENDS * SEND_WORDS);
  readonly status = new Int32Array(STATUS_WORDS);
  exchange(): number {
    return 0;
  }
  attachTap(): number {
    return 0;
  }
  attachTapToWrite(): number {
    return 0;
  }
  attachPeer(): number {
    return 0;
  }
  detach(): void {}
  gather(): number {
    return 0;
  }
}

/** A record of the punt ring, and its frame. */
export interface TakenRecord {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
}

export class Sandbox {
  readonly worker: WorkerContext;
  readonly io = new StillIo();
  private readonly tables: Tables;
  private taken: TakenRecord[] = [];

  constructor(tables: Tables) {
    this.tables = tables;
    this.worker = new WorkerContext(tablesLike(tables), this.io, 0, SILENT);
  }

  /** Nothing has happened yet, and it is a good while later. */
  begin(): WorkerContext {
    const { worker } = this;
    const { counters } = worker;
    for (const column of [counters.drops, counters.copies, counters.punted, counters.rules, counters.misc])
      column.fill(0);
    worker.fib.adjacencyHit.fill(0);
    worker.macs.hits.fill(0);
    worker.settings.set(this.tables.settings);
    worker.settings[SET_WATCH] = 0;
    this.records();
    this.taken = [];
    this.io.status[STATUS_NOW_MS] = (this.io.status[STATUS_NOW_MS]! + STEP_MS) | 0;
    worker.begin();
    // What is never counted is never added up either.
    worker.finish();
    return worker;
  }

  /** What the punt ring, or that of BFD, got since `begin`, oldest first. */
  records(): readonly TakenRecord[] {
    const { punts, bfds } = this.worker.tables;
    for (const ring of [punts[0]!, bfds[0]!]) this.take(ring);
    return this.taken;
  }

  private take(ring: Ring): void {
    for (let r = ring.peek(); r >= 0; r = ring.peek()) {
      const at = ring.frameAt(r);
      const words = ring.words.slice(r, r + RECORD_WORDS);
      this.taken.push({ words, bytes: ring.bytes.slice(at, at + words[R_LENGTH]!) });
      ring.release(r);
    }
  }
}
