/**
 * Everything the planes share, in one buffer: made by main, attached by each worker.
 *
 * Single writers: see the head of each table. `settings` is control's; `heartbeat` word k, part k of `ioErrors`, counter block k, punt ring k
 * and policer state are worker k's; inject ring k is control's.
 */
import { BindingTable } from "./bindings.ts";
import { CounterBlock } from "./counters.ts";
import { DropExamples } from "./drop-example.ts";
import { Fib } from "./fib.ts";
import { Heartbeat } from "./heartbeat.ts";
import { attach, type Carver, create } from "./layout.ts";
import { createMacTable, type MacTable } from "./mac.ts";
import { Ring } from "./ring.ts";
import { InterfaceTable, MAX_IO_PORTS, PortTable, VsiTable } from "./vsi.ts";
import { Watch } from "./watch.ts";

/**
 * How much room to carve; fixed for the life of the process. Of MACs and neighbours it is what this site learns and is given;
 * as many more may be said from outside (a fabric's control plane), so that neither crowds the other out.
 */
export type Sizes = {
  readonly workers: number;
  readonly macs: number;
  readonly neighbors: number;
  readonly routes: number;
  /** The same of IPv6; absent: as many. */
  readonly neighbors6?: number;
  readonly routes6?: number;
};

export const PUNT_RING_BYTES = 4 << 20;
export const INJECT_RING_BYTES = 4 << 20;
/** Each has a hundred frames of BFD, and is emptied as they come. */
export const BFD_RING_BYTES = 1 << 15;
/** Most (VNI, tunnel) pairs. */
export const MAX_VNI_PAIRS = 262_144;

/** Words of `settings`: process-wide switches the workers read once per batch. */
export const SET_STRICT_RESERVED = 0;
/** 0..63, or -1: copy from the inner packet. */
export const SET_DSCP = 1;
/** Frames per second to control: in all, per class, per AC. */
export const SET_PUNT_TOTAL = 2;
export const SET_PUNT_AC = 3;
/** The UDP port of VXLAN, for `overlay_to_underlay`. */
export const SET_VXLAN_PORT = 4;
/** 1: workers drop everything as `shutting_down` and leave their loop. */
export const SET_STOP = 5;
/** Bytes that encapsulation adds to an inner frame on the underlay, beyond its IP packet: 50 or 70. */
export const SET_OVERHEAD = 6;
/** VNI of BFD inside VXLAN (RFC 8971); 0: no session is in it. */
export const SET_BFD_VNI = 9;
/** What of the frames is watched (watch.ts): WATCH_*, 0 is nothing; and how many bytes of each. */
export const SET_WATCH = 7;
export const SET_WATCH_SNAP = 8;

export class Tables {
  readonly sizes: Required<Sizes>;
  readonly heartbeat: Heartbeat;
  readonly settings: Int32Array;
  /** By worker: added to when its punt ring has something new; control waits on it. */
  readonly doorbell: Int32Array;
  /** By worker and io port: what the worker's last attach said, 0 or a negative errno; the worker writes. */
  readonly ioErrors: Int32Array;
  readonly ports: PortTable;
  readonly vsis: VsiTable;
  readonly interfaces: InterfaceTable;
  readonly macs: MacTable;
  readonly fib: Fib;
  readonly bindings: BindingTable;
  /** One per worker, control's, and that of the thread of BFD. */
  readonly counters: readonly CounterBlock[];
  /** One per worker, and control's. */
  readonly examples: readonly DropExamples[];
  readonly punts: readonly Ring[];
  readonly injects: readonly Ring[];
  /** By worker: frames of BFD inside VXLAN, for its thread. */
  readonly bfds: readonly Ring[];
  /** Added to when one of them has something new; the thread of BFD waits on it. */
  readonly bfdBell: Int32Array;
  readonly watch: Watch;

  constructor(carver: Carver, sizes: Sizes) {
    const { neighbors6 = sizes.neighbors, routes6 = sizes.routes } = sizes;
    this.sizes = { ...sizes, neighbors6, routes6 };
    this.heartbeat = new Heartbeat(carver.int32(sizes.workers));
    this.settings = carver.int32(16);
    this.doorbell = carver.int32(1);
    this.ioErrors = carver.int32(sizes.workers * MAX_IO_PORTS);
    this.ports = new PortTable(carver);
    this.vsis = new VsiTable(carver, MAX_VNI_PAIRS);
    this.interfaces = new InterfaceTable(carver);
    this.macs = createMacTable(carver, 2 * sizes.macs);
    const fib = fibSizes(this.sizes);
    this.fib = new Fib(carver, fib.routes, fib.routes6, fib.adjacencies);
    this.bindings = new BindingTable(carver);
    this.counters = Array.from({ length: sizes.workers + 2 }, () => new CounterBlock(carver));
    this.examples = Array.from({ length: sizes.workers + 1 }, () => new DropExamples(carver));
    this.punts = Array.from({ length: sizes.workers }, () => new Ring(carver, PUNT_RING_BYTES));
    this.injects = Array.from({ length: sizes.workers }, () => new Ring(carver, INJECT_RING_BYTES));
    this.bfds = Array.from({ length: sizes.workers }, () => new Ring(carver, BFD_RING_BYTES));
    this.bfdBell = carver.int32(1);
    this.watch = new Watch(carver, sizes.workers);
  }

  /** The workers' counter blocks. */
  get workerCounters(): readonly CounterBlock[] {
    return this.counters.slice(0, this.sizes.workers);
  }

  /** Control's counter block. */
  get controlCounters(): CounterBlock {
    return this.counters[this.sizes.workers]!;
  }

  /** That of the thread of BFD, for what it sends inside VXLAN. */
  get bfdCounters(): CounterBlock {
    return this.counters[this.sizes.workers + 1]!;
  }

  /** Blocks of the ledger's first page: of all that moves frames. */
  get dataplaneCounters(): readonly CounterBlock[] {
    return [...this.workerCounters, this.bfdCounters];
  }
}

/** Routes of each family, and adjacencies, that the FIB is carved for. */
export function fibSizes({ neighbors, routes, neighbors6, routes6 }: Omit<Required<Sizes>, "workers" | "macs">) {
  const [rows, rows6] = [routes + 2 * neighbors, routes6 + 2 * neighbors6];
  return { routes: rows, routes6: rows6, adjacencies: rows + rows6 };
}

/** Zeroed tables in a new buffer. */
export function createTables(sizes: Sizes): { buffer: SharedArrayBuffer; tables: Tables } {
  const { buffer, columns } = create((carver) => new Tables(carver, sizes));
  return { buffer, tables: columns };
}

/** The tables that another thread made with the same sizes. */
export function attachTables(buffer: SharedArrayBuffer, sizes: Sizes): Tables {
  return attach(buffer, (carver) => new Tables(carver, sizes));
}
