/**
 * Where the workers' watch rings end: drops for observers, frames for captures.
 *
 * Nothing here runs, and the workers do nothing, while there is no watcher. While there is one and something comes, the rings are
 * emptied every DRAIN_MS, all of them together in the order of their stamps, for SLICE_MS a turn at most, so control's own work waits no
 * longer however many watch; what the rings could not hold, the workers have counted, and each watcher is told. When nothing
 * has come for a few looks, main sleeps until a worker rings: a page that shows events costs a gateway without drops nothing.
 */

import type { EventFeed, EventSink, Unnumbered } from "../api/event-feed.ts";
import { SLICE_MS } from "../api/json-slices.ts";
import type { CaptureQuery, EventQuery, EventRecord } from "../api/schema-watch.ts";
import type { ShownParts } from "../api/shown.ts";
import type { Begun, CaptureSink, WatchSource } from "../api/watch.ts";
import { portField } from "../control/event.ts";
import type { Lost } from "../control/ledger.ts";
import { DROPS, type Drop } from "../tables/counters.ts";
import { SET_WATCH, type Tables } from "../tables/tables.ts";
import {
  BELL_WANTED,
  ID_SHIFT,
  LOST_DROPS,
  LOST_FRAMES,
  LOST_WORDS,
  WATCH_DROP,
  WATCH_DROPS,
  WATCH_FRAMES,
  WATCH_IN,
} from "../tables/watch.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import { summaryOf } from "../wire/summary.ts";
import { Captures } from "./captures.ts";
import { FrameLines } from "./frame-line.ts";
import { clockNow, MS, oldest, readSeen, type Seen } from "./seen.ts";

const DRAIN_MS = 20;
/** Looks that find nothing before main sleeps. */
const QUIET_LOOKS = 3;

export class WatchHub implements WatchSource {
  private readonly tables: Tables;
  private readonly lines: FrameLines;
  private readonly captures: Captures;
  private readonly feed: EventFeed;
  private readonly node: string;
  private followers = 0;
  /** Null: nothing is watched, or main sleeps. */
  private timer: NodeJS.Timeout | null = null;
  private quietLooks = 0;
  private readonly lostBefore: Int32Array;
  private lastId = 0;

  /** @param sourcePorts outer UDP source ports in the order in which flows choose them; none: not known. */
  constructor(parts: ShownParts, feed: EventFeed, node: string, sourcePorts: readonly (number | null)[] = []) {
    this.tables = parts.tables;
    this.lines = new FrameLines(parts, sourcePorts);
    this.captures = new Captures(parts.tables, parts.inventory, () => this.arrange());
    this.feed = feed;
    this.node = node;
    this.lostBefore = parts.tables.watch.lost.slice();
  }

  /** Control dropped a frame that it had been given: told like the data plane's drops, and always, not only while somebody looks. */
  droppedByControl(reason: Drop, lost: Lost): void {
    const seen = this.seenByControl(reason, lost);
    this.feed.dropped(DROPS[reason - 1]![0], () => {
      const { fields, ...record } = this.dropOf(seen);
      const { reason: why, ...rest } = fields;
      const many = lost.units === 1 ? {} : { packets: lost.units };
      return { ...record, fields: { reason: why!, by: "control", ...many, ...rest } };
    });
    if (lost.bytes.length === 0) return;
    this.captures.give(seen, () => {
      const line = this.lines.of(seen);
      return { ...line, fate: `${line.fate} (by control, after it was punted)` };
    });
  }

  private seenByControl(reason: Drop, { port, vsi, bytes, watchId }: Lost): Seen {
    const { offset, now } = clockNow();
    this.lastId = (this.lastId + 1) & 0x3ffffff;
    return {
      kind: WATCH_IN,
      port,
      vsi,
      fate: reason,
      punt: 0,
      id: ((this.lastId << ID_SHIFT) | this.tables.sizes.workers) >>> 0,
      parent: 0,
      cause: watchId >>> 0,
      entropy: 0,
      out: { port: 0, copies: 0 },
      at: now + offset,
      length: bytes.length,
      bytes,
      vxlan: null,
    };
  }

  get bootId(): string {
    return this.feed.bootId;
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

  capture(query: CaptureQuery, sink: CaptureSink): Begun {
    return this.captures.begin(query, this.node, sink);
  }

  /** Tell the workers what is wanted now. */
  private arrange(): void {
    const { settings, watch } = this.tables;
    this.captures.arrange();
    const bits = (this.captures.size > 0 ? WATCH_FRAMES : 0) | (this.followers > 0 ? WATCH_DROPS : 0);
    const before = Atomics.exchange(settings, SET_WATCH, bits);
    if (bits === 0) {
      this.rest();
      Atomics.store(watch.bell, 0, 0);
      Atomics.notify(watch.bell, 0);
    }
    if (bits === 0 || before !== 0) return;
    // What was left from the last time belongs to no watcher.
    for (const ring of watch.rings) for (let r = ring.peek(); r >= 0; r = ring.peek()) ring.release(r);
    this.lostBefore.set(watch.lost);
    this.lookOften();
  }

  private lookOften(): void {
    this.quietLooks = 0;
    this.timer = setInterval(() => {
      this.quietLooks = this.drain() ? 0 : this.quietLooks + 1;
      if (this.quietLooks >= QUIET_LOOKS) this.sleep();
    }, DRAIN_MS).unref();
  }

  private rest(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private sleep(): void {
    const { bell } = this.tables.watch;
    this.rest();
    Atomics.store(bell, 0, BELL_WANTED);
    // Who came before the bell was hung out has not rung it.
    const rung = this.drain() ? null : Atomics.waitAsync(bell, 0, BELL_WANTED);
    if (rung === null || !rung.async) this.wake();
    else void rung.value.then(() => this.wake());
  }

  private wake(): void {
    const { settings, watch } = this.tables;
    if (this.timer !== null || Atomics.load(settings, SET_WATCH) === 0) return;
    Atomics.store(watch.bell, 0, 0);
    this.drain();
    this.lookOften();
  }

  /** @returns was there anything? */
  private drain(): boolean {
    const { rings } = this.tables.watch;
    const clock = clockNow();
    let isAny = false;
    for (const until = performance.now() + SLICE_MS; performance.now() < until; ) {
      const ring = oldest(rings);
      if (ring === null) break;
      isAny = true;
      const r = ring.peek();
      const seen = readSeen(ring, r, clock);
      ring.release(r);
      if (seen.kind === WATCH_DROP) this.feed.dropped(DROPS[seen.fate - 1]![0], () => this.dropOf(seen));
      else this.captures.give(seen, () => this.lines.of(seen));
    }
    return this.tellLost() || isAny;
  }

  private dropOf({ port, vsi, fate, length, bytes, vxlan, at }: Seen): Unnumbered {
    const { names } = this.lines;
    const [reason, text] = DROPS[fate - 1]!;
    const via = names.via(port);
    const place = via === null ? {} : portField(via);
    const where = vsi === 0 ? place : { ...place, vsi: names.vsi(vsi) };
    const frame = bytes.length === 0 ? `${length} bytes` : summaryOf(bytes, length);
    return {
      time: new Date(Number(at / MS)).toISOString(),
      level: "info",
      event: "drop",
      step: null,
      fields: { reason, ...where, ...(vxlan === null ? {} : vxlanFields(vxlan)), frame, text },
    };
  }

  /** What the workers could not write since the last look. @returns was there anything? */
  private tellLost(): boolean {
    const { rings, lost } = this.tables.watch;
    const fresh = (worker: number, what: number) => {
      const at = worker * LOST_WORDS + what;
      const now = Atomics.load(lost, at);
      const count = (now - this.lostBefore[at]!) | 0;
      this.lostBefore[at] = now;
      return count;
    };
    let [drops, frames] = [0, 0];
    for (const worker of rings.keys()) {
      drops += fresh(worker, LOST_DROPS);
      frames += fresh(worker, LOST_FRAMES);
    }
    if (drops > 0) {
      const time = new Date().toISOString();
      this.feed.left({ time, level: "info", event: "drop", step: null, fields: { reason: null } }, drops);
    }
    return this.captures.tellLost(frames) || drops > 0;
  }
}

/** What tells the sender of a datagram that is in no VSI. */
function vxlanFields({ outer, outerPort, flags, vni }: NonNullable<Seen["vxlan"]>): EventRecord["fields"] {
  const from = outer === 0 ? {} : { outer: formatIpv4(outer) };
  return { ...from, ...(outerPort !== 0 && { outerPort }), vni, flags: `0x${flags.toString(16).padStart(2, "0")}` };
}
