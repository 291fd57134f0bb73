/**
 * What people watch while frames pass: the frames themselves (capture), and what was dropped and why (observe).
 *
 * Off, it costs a worker one word a batch. On, a worker copies what it is asked for into its *watch ring*, which is not its
 * punt ring: however much is watched, control still hears of what it must. A full ring, or more drops than the bound, loses
 * records and counts them: each watcher is told how many it did not see.
 *
 * Writers: SET_WATCH and its two companions, and what is wanted (by bridge port, VSI, host and protocol), are main's. Ring k and lost
 * counts k are worker k's. The bell is main's to hang out, and any worker's to ring.
 */
import { MAX_PORTS, MAX_VSIS } from "./counters.ts";
import type { Carver } from "./layout.ts";
import { Ring } from "./ring.ts";
import { FILTER_WORDS } from "./watch-filter.ts";

/** Bits of SET_WATCH: what somebody watches. */
export const WATCH_DROPS = 1;
export const WATCH_FRAMES = 2;

/** R_KIND of a watch record: a frame that came in, one that goes out, one dropped that is in no other record. */
export const WATCH_IN = 1;
export const WATCH_OUT = 2;
export const WATCH_DROP = 3;
/** R_ARG: its fate, a drop reason or one of these. */
export const FATE_SENT = -1;
export const FATE_PUNTED = -2;

/** Its number: the worker's (or control's) block in the low bits, counted from 1 above them; it wraps. */
export const W_ID = 6;
export const ID_SHIFT = 5;
/** Of one that goes out, in the same words as below: number of the frame it is a copy of, and of the punted one because of which it was sent; 0: none. Into a tunnel: what chooses the source port. */
export const W_PARENT = 7;
export const W_CAUSE = 8;
export const W_ENTROPY = 9;
/** Where the first copy went: bridge port, VSI; and how many copies there are. */
export const W_OUT_PORT = 7;
export const W_OUT_VSI = 8;
export const W_COPIES = 9;
/** Of a dropped datagram that is in no VSI, in the same words: outer IPv4 source, VXLAN flags byte, and VNI plus one; 0: no datagram. */
export const W_OUTER = 7;
export const W_VXLAN_FLAGS = 8;
export const W_VNI = 9;
/** When: the batch's clock, milliseconds and nanoseconds within. */
export const W_NOW_MS = 12;
export const W_NOW_NS = 13;
/** And the UDP source port of a stranger's datagram; 0: no stranger. */
export const W_OUTER_PORT = 15;
/** Bytes of the frame; R_LENGTH says how many of them are here. R_ARG2: its punt class, where it was punted. */
export const W_LENGTH = 14;

export const WATCH_RING_BYTES = 4 << 20;
/** Bytes of a dropped frame that an observer is shown. */
export const DROP_SNAP = 128;

/** Words of `lost`, per worker: records of frames and of drops that were not written. */
export const LOST_FRAMES = 0;
export const LOST_DROPS = 1;
export const LOST_WORDS = 2;

/** The bell: main sleeps until there is something; otherwise (0) it looks by itself, and needs none. */
export const BELL_WANTED = 1;

export class Watch {
  /** By bridge port (0: none yet) and by VSI: is it wanted by a capture? */
  readonly ports: Uint8Array;
  readonly vsis: Uint8Array;
  /** Which frames are meant: watch-filter.ts. */
  readonly filter: Int32Array;
  readonly rings: readonly Ring[];
  readonly lost: Int32Array;
  readonly bell: Int32Array;

  constructor(carver: Carver, workers: number, ringBytes = WATCH_RING_BYTES) {
    this.ports = carver.bytes(MAX_PORTS);
    this.vsis = carver.bytes(MAX_VSIS);
    this.filter = carver.int32(FILTER_WORDS);
    this.lost = carver.int32(workers * LOST_WORDS);
    this.bell = carver.int32(1);
    this.rings = Array.from({ length: workers }, () => new Ring(carver, ringBytes));
  }
}
