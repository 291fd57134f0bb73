/**
 * A ring of byte records between two threads: one producer, one consumer, no locks.
 *
 * The punt ring of worker k is written by worker k and read by control; its inject ring the other way round. A record is
 * a head of RECORD_WORDS int32 and then bytes, padded to 64; it never wraps: what does not fit before the end starts
 * again at 0 behind a filler. The consumer sees a record only after the producer has stored `tail` behind its bytes.
 * A full ring refuses, and the producer counts that.
 */
import type { Carver } from "./layout.ts";

/** Words of a record's head. The names say what punt and inject put there. */
export const RECORD_WORDS = 16;
const SIZE = 0;
/** PUNT_* or INJECT_*. */
export const R_KIND = 1;
/** Bridge port: where a punted frame came from; where an injected one goes to, or which one a flood leaves out. */
export const R_PORT = 2;
export const R_VSI = 3;
/** What the frame is about: a VSI-interface and an adjacency (0: the packet's own destination), the MTU that was too small. */
export const R_ARG = 4;
export const R_ARG2 = 5;
/** Flags word of the frame (GSO type, unfinished checksum), GSO size, checksum start and offset, wire packets: see port-io.ts. */
export const R_FLAGS = 6;
export const R_GSO_SIZE = 7;
export const R_CSUM_START = 8;
export const R_CSUM_OFFSET = 9;
export const R_UNITS = 10;
/** Frame bytes behind the head. */
export const R_LENGTH = 11;
/** Outer IPv4 source and TOS of a frame that came by tunnel. */
export const R_OUTER_SOURCE = 12;
export const R_OUTER_TOS = 13;
/** Of a punted frame: its number, where a capture sees it; 0: none does. Of an injected one, whose number made control send it. */
export const R_WATCH_ID = 14;
export const R_CAUSE = 15;

const HEAD = 0;
const TAIL = 16; // a cache line away from HEAD: they have different writers
const RECORD_BYTES = RECORD_WORDS * 4;

export class Ring {
  /** The records, as words and as bytes: the same memory. */
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  private readonly ends: Int32Array;
  private readonly capacity: number;
  private reserved = 0;

  /** @param capacity bytes, a multiple of 64; a record may take at most half of it. */
  constructor(carver: Carver, capacity: number) {
    this.capacity = capacity;
    this.ends = carver.int32(32);
    this.words = carver.int32(capacity / 4);
    this.bytes = new Uint8Array(this.words.buffer, this.words.byteOffset, this.words.byteLength);
  }

  /**
   * Producer: room for a record with `length` bytes of frame. @returns the *word* index of its head (frame bytes start
   * RECORD_WORDS words later), or -1 when the ring is full. Nothing is visible before `commit`.
   */
  reserve(length: number): number {
    const size = (RECORD_BYTES + length + 63) & ~63;
    if (size > this.capacity >> 1) return -1;
    const head = Atomics.load(this.ends, HEAD);
    let tail = this.ends[TAIL]!;
    if (tail >= head) {
      if (tail + size > this.capacity) {
        // Behind the last record is not enough: fill up and start at 0, if the consumer has left enough there.
        if (size >= head) return -1;
        this.words[(tail >> 2) + SIZE] = 0;
        tail = 0;
      } else if (tail + size === this.capacity && head === 0) return -1;
    } else if (tail + size >= head) return -1;
    const at = tail >> 2;
    this.words[at + SIZE] = size;
    this.words[at + R_LENGTH] = length;
    this.reserved = tail + size === this.capacity ? 0 : tail + size;
    return at;
  }

  /** Producer: would a record with `length` bytes of frame leave at least `spare` bytes free? */
  leaves(spare: number, length: number): boolean {
    const size = (RECORD_BYTES + length + 63) & ~63;
    const head = Atomics.load(this.ends, HEAD);
    const tail = this.ends[TAIL]!;
    const filler = tail >= head && tail + size > this.capacity ? this.capacity - tail : 0;
    const used = tail >= head ? tail - head : this.capacity - head + tail;
    return this.capacity - used - filler - size >= spare;
  }

  /** Producer: publish the record of the last `reserve`. */
  commit(): void {
    Atomics.store(this.ends, TAIL, this.reserved);
  }

  /** Either side, or a third: has the consumer taken everything? Unlike `peek` it stores nothing. */
  get isEmpty(): boolean {
    return Atomics.load(this.ends, HEAD) === Atomics.load(this.ends, TAIL);
  }

  /** Consumer: word index of the oldest record's head, or -1 when there is none. */
  peek(): number {
    const tail = Atomics.load(this.ends, TAIL);
    let head = this.ends[HEAD]!;
    if (head === tail) return -1;
    if (this.words[(head >> 2) + SIZE] === 0) {
      head = 0;
      Atomics.store(this.ends, HEAD, 0);
      if (head === tail) return -1;
    }
    return head >> 2;
  }

  /** Consumer: give back the record that `peek` returned. */
  release(at: number): void {
    const next = (at << 2) + this.words[at + SIZE]!;
    Atomics.store(this.ends, HEAD, next === this.capacity ? 0 : next);
  }

  /** Byte offset of the frame of the record whose head is at word `at`. */
  frameAt(at: number): number {
    return (at + RECORD_WORDS) << 2;
  }
}
