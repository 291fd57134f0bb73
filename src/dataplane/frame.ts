/**
 * The frame in hand: one reused cursor per worker.
 *
 * A stage reads and writes its fields; all of them are int32, so that none of them ever lives in the heap. What a stage needs
 * besides (tables, io, counters, limits) is the worker's (context.ts). There is one Frame per worker and it is never kept:
 * `load` and `borrow` overwrite it.
 *
 * `at` is where the (inner) Ethernet header starts, whichever way the frame came.
 */
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
  VXLAN_BYTES,
} from "../io/port-io.ts";
import { ETH_BYTES } from "../wire/ethernet.ts";

/** A stage's answer: 0 go on, > 0 dropped for that reason, or one of these. */
export type Fate = number;
export const GO_ON: Fate = 0;
/** Send records exist; the exchange will tell how they ended. */
export const SENT: Fate = -1;
/** A copy is in the punt ring, or the frame was consumed by a policer that counted it. */
export const PUNTED: Fate = -2;

export class Frame {
  /** The arena, byte by byte, and as big-endian fields: a 32-bit field is one load here and four there. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  private readonly descriptors: Int32Array;

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
  /** 1 when the source MAC is in the table as it should be. */
  sourceKnown = 0;
  /** The number under which those who watch see it; 0: it is not watched. */
  watchId = 0;

  constructor(io: PortIo) {
    this.bytes = io.arena;
    this.view = new DataView(io.arena.buffer, io.arena.byteOffset, io.arena.byteLength);
    this.descriptors = io.frames;
  }

  /** Take received frame number `index` in hand. */
  load(index: number): void {
    const d = this.descriptors;
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
    const d = this.descriptors;
    this.flags = flags;
    this.gsoSize = d[i + F_GSO_SIZE]!;
    this.csumStart = d[i + F_CSUM_START]!;
    this.csumOffset = d[i + F_CSUM_OFFSET]!;
    this.chain = d[i + F_CHAIN]!;
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
    return this.descriptor < 0 ? 0 : this.descriptors[this.descriptor + word]!;
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
