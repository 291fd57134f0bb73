/**
 * The last frame that was dropped for each reason, and for each reason at each bridge port, kept always and not only while
 * somebody watches: what a person is told who asks the next morning which VTEP, which VNI, which VM it was.
 *
 * Bounded and cheap: one row a reason in each writer's block, and rows that reasons at ports share by a hash (the later one
 * stays), each written at most once a millisecond, so a flood of drops costs its writer two comparisons for each frame and two
 * short copies a millisecond.
 *
 * Writers: block k is worker k's, the last one is control's. A reader may meet a row in the making: X_STAMP is odd then, and
 * has changed afterwards; it reads again.
 */
import { copy } from "../wire/bytes.ts";
import { DROP_REASONS } from "./counters.ts";
import type { Carver } from "./layout.ts";

/** Rows behind those of the reasons, for reasons at ports: a power of two. */
const SHARED = 1024;
export const X_WORDS = 16;
/** Bytes of the frame that are kept: enough for ARP, and for the headers of anything else. */
export const X_SNAP = 64;

/** 0: no frame was ever dropped for this reason. */
export const X_STAMP = 0;
/** When: milliseconds of the writer's clock, wrapping int32. */
export const X_MS = 1;
/** Bridge port and VSI, as rows; 0: it had none yet. */
export const X_PORT = 2;
export const X_VSI = 3;
/** The io port it came by; 0: none that is attached, or it never arrived. */
export const X_IO = 4;
/** Of a datagram that is in no VSI: outer IPv4 source as int32 (a stranger's IPv6: its first word; another IPv6: 0), VXLAN flags byte, VNI; -1: it was no datagram. */
export const X_OUTER = 5;
export const X_VXLAN_FLAGS = 6;
export const X_VNI = 7;
/** Bytes of the frame, and how many of them are here. */
export const X_LENGTH = 8;
export const X_BYTES = 9;
/** Of a stranger's datagram: the rest of an IPv6 source, and the UDP source port as F_OUTER_PORT of io/port-io.ts has it; 0: no stranger. */
export const X_OUTER_REST = 10;
export const X_OUTER_PORT = 13;
/** The drop reason: whose a shared row is. */
export const X_REASON = 14;

/** A row, read. */
export interface DropExample {
  readonly nowMs: number;
  readonly port: number;
  readonly vsi: number;
  readonly io: number;
  /** Outer IPv4 source as int32; 0: IPv6, or no datagram. */
  readonly outer: number;
  /** Null: no stranger. */
  readonly stranger: { readonly port: number; readonly ipv6: readonly number[] | null } | null;
  /** Null: it was no datagram, or its VSI is known. */
  readonly vxlan: { readonly flags: number; readonly vni: number } | null;
  readonly length: number;
  readonly bytes: Uint8Array;
}

export class DropExamples {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;

  constructor(carver: Carver) {
    this.words = carver.int32((DROP_REASONS + SHARED) * X_WORDS);
    this.bytes = carver.bytes((DROP_REASONS + SHARED) * X_SNAP);
  }

  /** The row of `reason` at bridge port `port`, for `isFresh` and `begin`; that of a reason anywhere is its number. */
  rowAt(reason: number, port: number): number {
    return DROP_REASONS + ((port * 51 + reason) & (SHARED - 1));
  }

  /** Writer: is the example in `row` of this very millisecond already? */
  isFresh(row: number, nowMs: number): boolean {
    const r = row * X_WORDS;
    return this.words[r + X_MS] === nowMs && this.words[r + X_STAMP] !== 0;
  }

  /** Writer: begin `row`. @returns its word; to be given to `end`. */
  begin(row: number, nowMs: number): number {
    const r = row * X_WORDS;
    Atomics.add(this.words, r + X_STAMP, 1);
    this.words[r + X_MS] = nowMs;
    return r;
  }

  /** Writer: bytes at `at` of `from` are the frame's; the row is whole. */
  end(r: number, from: Uint8Array, at: number, length: number, here: number): void {
    const count = Math.min(here, X_SNAP);
    const to = (r / X_WORDS) * X_SNAP;
    copy(this.bytes, to, from, at, count);
    this.words[r + X_LENGTH] = length;
    this.words[r + X_BYTES] = count;
    // Past 2^31 rows it would be negative, and -2 to 0 "never": one drop is then not told.
    Atomics.add(this.words, r + X_STAMP, 1);
  }

  /** Reader: the last one dropped for `reason`; null: none ever, or its writer is at it again and again. */
  read(reason: number): DropExample | null {
    return this.readRow(reason, () => true);
  }

  /** Reader: the last one dropped for `reason` at bridge port `port`; null also where another reason at another port came later. */
  readAt(reason: number, port: number): DropExample | null {
    const w = this.words;
    return this.readRow(this.rowAt(reason, port), (r) => w[r + X_REASON] === reason && w[r + X_PORT] === port);
  }

  private readRow(row: number, isMeant: (r: number) => boolean): DropExample | null {
    const w = this.words;
    const r = row * X_WORDS;
    for (let tries = 0; tries < 3; tries++) {
      const stamp = Atomics.load(w, r + X_STAMP);
      if (stamp === 0) return null;
      if ((stamp & 1) !== 0) continue;
      if (!isMeant(r)) return null;
      const from = row * X_SNAP;
      const example: DropExample = {
        nowMs: w[r + X_MS]!,
        port: w[r + X_PORT]!,
        vsi: w[r + X_VSI]!,
        io: w[r + X_IO]!,
        ...senderAt(w, r),
        vxlan: w[r + X_VNI]! < 0 ? null : { flags: w[r + X_VXLAN_FLAGS]!, vni: w[r + X_VNI]! },
        length: w[r + X_LENGTH]!,
        bytes: this.bytes.slice(from, from + w[r + X_BYTES]!),
      };
      if (Atomics.load(w, r + X_STAMP) === stamp) return example;
    }
    return null;
  }
}

function senderAt(w: Int32Array, r: number): Pick<DropExample, "outer" | "stranger"> {
  const outer = w[r + X_OUTER]!;
  const port = w[r + X_OUTER_PORT]!;
  if (port === 0) return { outer, stranger: null };
  // OUTER_IPV6 is above the port's sixteen bits.
  if (port <= 0xffff) return { outer, stranger: { port, ipv6: null } };
  const rest = w.subarray(r + X_OUTER_REST, r + X_OUTER_REST + 3);
  return { outer: 0, stranger: { port: port & 0xffff, ipv6: [outer, ...rest] } };
}
