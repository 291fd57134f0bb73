/** A record of a watch ring, read: what a worker saw of a frame, with the time of day. */
import { R_ARG, R_ARG2, R_KIND, R_LENGTH, R_PORT, R_VSI, type Ring } from "../tables/ring.ts";
import * as watched from "../tables/watch.ts";

/** Nanoseconds. */
export const MS = 1_000_000n;

export interface Seen {
  /** WATCH_IN, WATCH_OUT or WATCH_DROP. */
  readonly kind: number;
  readonly port: number;
  readonly vsi: number;
  readonly fate: number;
  readonly punt: number;
  /** Numbers of frames; 0: none. */
  readonly id: number;
  readonly parent: number;
  readonly cause: number;
  /** Of one that goes into a tunnel. */
  readonly entropy: number;
  readonly out: { readonly port: number; readonly copies: number };
  /** Nanoseconds since 1970. */
  readonly at: bigint;
  readonly length: number;
  readonly bytes: Uint8Array;
  /** Of a dropped datagram that is in no VSI. */
  readonly vxlan: {
    readonly outer: number;
    readonly outerPort: number;
    readonly flags: number;
    readonly vni: number;
  } | null;
}

/** The monotonic clock that the workers' stamps are of, and what to add for the time of day; nanoseconds. */
export interface Clock {
  readonly now: bigint;
  readonly offset: bigint;
}

export function clockNow(): Clock {
  const now = process.hrtime.bigint();
  const wall = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  return { now, offset: wall - now };
}

/**
 * The ring whose next record has the oldest stamp: what several workers saw is told in the order in which it happened, but
 * for what one of them writes while we read. null: all are empty.
 */
export function oldest(rings: readonly Ring[]): Ring | null {
  let found: Ring | null = null;
  let [foundMs, foundNs] = [0, 0];
  for (const ring of rings) {
    const r = ring.peek();
    if (r < 0) continue;
    const [ms, ns] = [ring.words[r + watched.W_NOW_MS]!, ring.words[r + watched.W_NOW_NS]!];
    // The milliseconds wrap: compared by subtraction.
    const later = (ms - foundMs) | 0;
    if (found !== null && (later > 0 || (later === 0 && ns >= foundNs))) continue;
    found = ring;
    [foundMs, foundNs] = [ms, ns];
  }
  return found;
}

/** The record at word `r`; its bytes are copied. */
export function readSeen(ring: Ring, r: number, { now, offset }: Clock): Seen {
  const w = ring.words;
  const at = ring.frameAt(r);
  // The stamp is the low word of the milliseconds: its distance from now is small.
  const ms = now / MS;
  const behind = (w[r + watched.W_NOW_MS]! - Number(BigInt.asIntN(32, ms))) | 0;
  const isOut = w[r + R_KIND] === watched.WATCH_OUT;
  const isInNoVsi = !isOut && w[r + R_ARG]! > 0 && w[r + R_VSI] === 0 && w[r + watched.W_VNI] !== 0;
  return {
    kind: w[r + R_KIND]!,
    port: w[r + R_PORT]!,
    vsi: w[r + R_VSI]!,
    fate: w[r + R_ARG]!,
    punt: w[r + R_ARG2]!,
    id: w[r + watched.W_ID]! >>> 0,
    parent: isOut ? w[r + watched.W_PARENT]! >>> 0 : 0,
    cause: isOut ? w[r + watched.W_CAUSE]! >>> 0 : 0,
    entropy: isOut ? w[r + watched.W_ENTROPY]! : 0,
    out: isOut ? { port: 0, copies: 0 } : { port: w[r + watched.W_OUT_PORT]!, copies: w[r + watched.W_COPIES]! },
    at: (ms + BigInt(behind)) * MS + BigInt(w[r + watched.W_NOW_NS]!) + offset,
    length: w[r + watched.W_LENGTH]!,
    bytes: ring.bytes.slice(at, at + w[r + R_LENGTH]!),
    vxlan: isInNoVsi
      ? {
          outer: w[r + watched.W_OUTER]!,
          outerPort: w[r + watched.W_OUTER_PORT]!,
          flags: w[r + watched.W_VXLAN_FLAGS]!,
          vni: w[r + watched.W_VNI]! - 1,
        }
      : null,
  };
}
