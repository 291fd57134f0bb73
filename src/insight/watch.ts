/**
 * Where the workers' watch rings end: drops for observers, frames for captures.
 *
 * Nothing here runs, and the workers do nothing, while there is no watcher. While there is one, the rings are emptied every
 * DRAIN_MS, all of them together in the order of their stamps, at most BUDGET records a turn, so control's own work waits a
 * few milliseconds at most; what the rings could not hold, the workers have counted, and each watcher is told.
 */

import type { EventFeed, EventSink } from "../api/event-feed.ts";
import type { CaptureLine, CaptureQuery, EventQuery, EventRecord } from "../api/schema-watch.ts";
import type { ShownParts } from "../api/shown.ts";
import type { CaptureSink, WatchSource } from "../api/watch.ts";
import type { Inventory } from "../control/inventory.ts";
import type { Lost } from "../control/ledger.ts";
import { DROPS, type Drop, PUNT, PUNTS } from "../tables/counters.ts";
import { R_ARG, R_ARG2, R_KIND, R_LENGTH, R_PORT, R_VSI, type Ring } from "../tables/ring.ts";
import { SET_WATCH, SET_WATCH_SNAP, type Tables } from "../tables/tables.ts";
import {
  DROP_SNAP,
  FATE_PUNTED,
  LOST_DROPS,
  LOST_FRAMES,
  LOST_WORDS,
  W_COPIES,
  W_LENGTH,
  W_NOW_MS,
  W_NOW_NS,
  W_OUT_PORT,
  W_OUT_VSI,
  W_OUTER,
  W_OUTER_PORT,
  W_VNI,
  W_VXLAN_FLAGS,
  WATCH_DROP,
  WATCH_DROPS,
  WATCH_FRAMES,
  WATCH_IN,
} from "../tables/watch.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import { summaryOf } from "../wire/summary.ts";
import { ArticleSteps } from "./article-step.ts";
import { RowNames } from "./row-names.ts";

const DRAIN_MS = 20;
const BUDGET = 2000;
/** Nanoseconds. */
const MS = 1_000_000n;

type Frame = Extract<CaptureLine, { kind: "frame" }>;

interface Capture {
  readonly sink: CaptureSink;
  /** Bridge ports and VSIs, by row; null: all. */
  readonly ports: ReadonlySet<number> | null;
  readonly vsis: ReadonlySet<number> | null;
  readonly dropsOnly: boolean;
  readonly snaplen: number;
  lost: number;
}

/** A record of a watch ring, read. */
interface Seen {
  readonly kind: number;
  readonly port: number;
  readonly vsi: number;
  readonly fate: number;
  readonly punt: number;
  readonly out: { readonly port: number; readonly vsi: number; readonly copies: number };
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

export class WatchHub implements WatchSource {
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly names: RowNames;
  private readonly steps: ArticleSteps;
  private readonly feed: EventFeed;
  private readonly node: string;
  private readonly captures = new Set<Capture>();
  private followers = 0;
  private timer: NodeJS.Timeout | null = null;
  private readonly lostBefore: Int32Array;

  constructor(parts: ShownParts, feed: EventFeed, node: string) {
    this.tables = parts.tables;
    this.inventory = parts.inventory;
    this.names = new RowNames(parts.inventory, parts.topology);
    this.steps = new ArticleSteps(parts);
    this.feed = feed;
    this.node = node;
    this.lostBefore = parts.tables.watch.lost.slice();
  }

  /** Control dropped a frame that it had been given: told like the data plane's drops, and always, not only while somebody looks. */
  droppedByControl(reason: Drop, lost: Lost): void {
    const { offset, now } = clockNow();
    const { port, vsi, units, bytes } = lost;
    const out = { port: 0, vsi: 0, copies: 0 };
    const seen = {
      kind: WATCH_IN,
      port,
      vsi,
      fate: reason,
      punt: 0,
      out,
      at: now + offset,
      length: bytes.length,
      bytes,
      vxlan: null,
    };
    this.feed.dropped(DROPS[reason - 1]![0], () => {
      const { fields, ...record } = this.dropOf(seen);
      const { reason: why, ...rest } = fields;
      const many = units === 1 ? {} : { packets: units };
      return { ...record, fields: { reason: why!, by: "control", ...many, ...rest } };
    });
    if (bytes.length > 0)
      this.give(seen, (line) => ({ ...line, fate: `${line.fate} (by control, after it was punted)` }));
  }

  recent(query: EventQuery): EventRecord[] {
    return this.feed.recent(query);
  }

  follow(query: EventQuery, sink: EventSink): () => void {
    const end = this.feed.follow(query, sink);
    this.followers++;
    this.arrange();
    return () => {
      end();
      this.followers--;
      this.arrange();
    };
  }

  capture(query: CaptureQuery, sink: CaptureSink): (() => void) | string {
    const { ac = [], tunnel = [], vsi = [], drop, snaplen } = query;
    const ports = new Set<number>();
    const vsis = new Set<number>();
    for (const [kind, list] of [["ac", ac] as const, ["tunnel", tunnel] as const])
      for (const name of list) {
        const port = this.inventory.port(kind, name);
        if (port === undefined) return `there is no ${kind === "ac" ? "AC" : "tunnel"} ${name}`;
        ports.add(port.row);
      }
    for (const name of vsi) {
      const found = this.inventory.vsi(name);
      if (found === undefined) return `there is no VSI ${name}`;
      vsis.add(found.row);
    }
    const capture: Capture = {
      sink,
      ports: ports.size === 0 ? null : ports,
      vsis: vsis.size === 0 ? null : vsis,
      dropsOnly: drop === "1",
      snaplen,
      lost: 0,
    };
    const all = [...this.inventory.ports.values()].filter((port) => capture.ports?.has(port.row) ?? true);
    sink({ kind: "start", node: this.node, ports: all.map(({ kind, name }) => ({ kind, name })) });
    this.captures.add(capture);
    this.arrange();
    return () => {
      this.captures.delete(capture);
      this.arrange();
    };
  }

  /** Tell the workers what is wanted now. */
  private arrange(): void {
    const { settings, watch } = this.tables;
    const captures = [...this.captures];
    const wanted = (column: Uint8Array, rows: readonly (ReadonlySet<number> | null)[]) => {
      column.fill(rows.some((set) => set === null) ? 1 : 0);
      for (const set of rows) if (set !== null) for (const row of set) column[row] = 1;
    };
    wanted(
      watch.ports,
      captures.map((capture) => capture.ports),
    );
    wanted(
      watch.vsis,
      captures.map((capture) => capture.vsis),
    );
    Atomics.store(settings, SET_WATCH_SNAP, Math.max(DROP_SNAP, ...captures.map((capture) => capture.snaplen)));
    const bits = (captures.length > 0 ? WATCH_FRAMES : 0) | (this.followers > 0 ? WATCH_DROPS : 0);
    const before = Atomics.exchange(settings, SET_WATCH, bits);
    if (bits === 0 && this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
    }
    if (bits === 0 || before !== 0) return;
    // What was left from the last time belongs to no watcher.
    for (const ring of watch.rings) for (let r = ring.peek(); r >= 0; r = ring.peek()) ring.release(r);
    this.lostBefore.set(watch.lost);
    this.timer = setInterval(() => this.drain(), DRAIN_MS).unref();
  }

  private drain(): void {
    const { rings } = this.tables.watch;
    const clock = clockNow();
    for (let n = 0; n < BUDGET; n++) {
      const ring = oldest(rings);
      if (ring === null) break;
      const r = ring.peek();
      this.take(read(ring, r, clock));
      ring.release(r);
    }
    for (const worker of rings.keys()) this.tellLost(worker);
  }

  private take(seen: Seen): void {
    if (seen.kind === WATCH_DROP) this.feed.dropped(DROPS[seen.fate - 1]![0], () => this.dropOf(seen));
    else this.give(seen);
  }

  /** To the captures that want it. */
  private give(seen: Seen, retell = (line: Frame) => line): void {
    let line: Frame | null = null;
    for (const capture of this.captures) {
      if (!(capture.ports?.has(seen.port) ?? true) || !(capture.vsis?.has(seen.vsi) ?? true)) continue;
      if (capture.dropsOnly && seen.fate <= 0) continue;
      line ??= retell(this.lineOf(seen));
      const kept = seen.bytes.length <= capture.snaplen ? line : { ...line, data: base64(seen.bytes, capture.snaplen) };
      if (!capture.sink(kept)) capture.lost++;
    }
  }

  private dropOf({ port, vsi, fate, length, bytes, vxlan, at }: Seen): EventRecord {
    const [reason, text] = DROPS[fate - 1]!;
    const via = this.names.via(port);
    const place = via === null ? {} : { [via.kind]: via.name };
    const where = vsi === 0 ? place : { ...place, vsi: this.names.vsi(vsi) };
    const frame = bytes.length === 0 ? `${length} bytes` : summaryOf(bytes, length);
    return {
      time: new Date(Number(at / MS)).toISOString(),
      level: "info",
      event: "drop",
      step: null,
      fields: { reason, ...where, ...(vxlan === null ? {} : vxlanFields(vxlan)), frame, text },
    };
  }

  private lineOf(seen: Seen): Frame {
    const { kind, port, vsi, fate, at, length, bytes } = seen;
    return {
      kind: "frame",
      at: String(at),
      via: this.names.via(port),
      vsi: vsi === 0 ? null : this.names.vsi(vsi),
      direction: kind === WATCH_IN ? "in" : "out",
      length,
      summary: summaryOf(bytes, length),
      fate: this.fateText(seen),
      reason: fate > 0 ? DROPS[fate - 1]![0] : null,
      step: this.stepOf(seen),
      data: base64(bytes, bytes.length),
    };
  }

  private fateText({ kind, fate, punt, out, port }: Seen): string {
    if (fate > 0) return `dropped: ${DROPS[fate - 1]!.join(", ")}`;
    if (kind !== WATCH_IN) return `sent to ${this.names.port(port)}`;
    if (out.copies > 1) return `flooded: ${out.copies} copies`;
    if (out.copies === 1) return `sent to ${this.names.port(out.port)}`;
    return fate === FATE_PUNTED && punt > 0 ? `punted: ${PUNTS[punt - 1]!.join(", ")}` : "taken";
  }

  private stepOf({ kind, port, vsi, fate, punt, bytes }: Seen): string | null {
    const via = this.names.via(port);
    const inside = this.inventory.vsis.get(vsi);
    if (via === null || inside === undefined) return null;
    const isWaiting = fate === FATE_PUNTED && punt === PUNT.unresolved;
    const direction = kind === WATCH_IN ? "in" : "out";
    return this.steps.of({ bytes, kind: via.kind, direction, vsi: inside, isWaiting });
  }

  /** What worker `worker` could not write since the last look. */
  private tellLost(worker: number): void {
    const { lost } = this.tables.watch;
    const fresh = (what: number) => {
      const at = worker * LOST_WORDS + what;
      const now = Atomics.load(lost, at);
      const count = (now - this.lostBefore[at]!) | 0;
      this.lostBefore[at] = now;
      return count;
    };
    const drops = fresh(LOST_DROPS);
    if (drops > 0) {
      const time = new Date().toISOString();
      this.feed.left({ time, level: "info", event: "drop", step: null, fields: { reason: null } }, drops);
    }
    const frames = fresh(LOST_FRAMES);
    for (const capture of this.captures) {
      capture.lost += frames;
      if (capture.lost > 0 && capture.sink({ kind: "lost", frames: capture.lost })) capture.lost = 0;
    }
  }
}

/**
 * The ring whose next record has the oldest stamp: what several workers saw is told in the order in which it happened, but
 * for what one of them writes while we read. null: all are empty.
 */
function oldest(rings: readonly Ring[]): Ring | null {
  let found: Ring | null = null;
  let [foundMs, foundNs] = [0, 0];
  for (const ring of rings) {
    const r = ring.peek();
    if (r < 0) continue;
    const [ms, ns] = [ring.words[r + W_NOW_MS]!, ring.words[r + W_NOW_NS]!];
    // The milliseconds wrap: compared by subtraction.
    const later = (ms - foundMs) | 0;
    if (found !== null && (later > 0 || (later === 0 && ns >= foundNs))) continue;
    found = ring;
    [foundMs, foundNs] = [ms, ns];
  }
  return found;
}

/** What tells the sender of a datagram that is in no VSI. */
function vxlanFields({ outer, outerPort, flags, vni }: NonNullable<Seen["vxlan"]>): EventRecord["fields"] {
  const from = outer === 0 ? {} : { outer: formatIpv4(outer) };
  return { ...from, ...(outerPort !== 0 && { outerPort }), vni, flags: `0x${flags.toString(16).padStart(2, "0")}` };
}

function base64(bytes: Uint8Array, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("base64");
}

/** The monotonic clock that the workers' stamps are of, and what to add for the time of day; nanoseconds. */
function clockNow(): { readonly now: bigint; readonly offset: bigint } {
  const now = process.hrtime.bigint();
  const wall = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  return { now, offset: wall - now };
}

function read(ring: Ring, r: number, { now, offset }: { readonly now: bigint; readonly offset: bigint }): Seen {
  const w = ring.words;
  const at = ring.frameAt(r);
  // The stamp is the low word of the milliseconds: its distance from now is small.
  const ms = now / MS;
  const behind = (w[r + W_NOW_MS]! - Number(BigInt.asIntN(32, ms))) | 0;
  return {
    kind: w[r + R_KIND]!,
    port: w[r + R_PORT]!,
    vsi: w[r + R_VSI]!,
    fate: w[r + R_ARG]!,
    punt: w[r + R_ARG2]!,
    out: { port: w[r + W_OUT_PORT]!, vsi: w[r + W_OUT_VSI]!, copies: w[r + W_COPIES]! },
    at: (ms + BigInt(behind)) * MS + BigInt(w[r + W_NOW_NS]!) + offset,
    length: w[r + W_LENGTH]!,
    bytes: ring.bytes.slice(at, at + w[r + R_LENGTH]!),
    vxlan:
      w[r + R_KIND] !== WATCH_DROP || w[r + W_VNI] === 0
        ? null
        : {
            outer: w[r + W_OUTER]!,
            outerPort: w[r + W_OUTER_PORT]!,
            flags: w[r + W_VXLAN_FLAGS]!,
            vni: w[r + W_VNI]! - 1,
          },
  };
}
