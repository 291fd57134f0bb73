/**
 * The watch ring's writer: records of frames and of drops, for people (tables/watch.ts).
 *
 * Called only while SET_WATCH says that somebody watches. A record holds a frame's first bytes, its place and its fate; the
 * frame itself is not touched. Drops are told at most DROPS_PER_SECOND times a second, so that a flood of them costs
 * neither this thread nor main more than that; what is left out, and what a full ring refuses, is counted in `lost`.
 */

import {
  F_OUTER_PORT,
  F_OUTER_SOURCE,
  OUTER_IPV6,
  S_AT,
  S_CHAIN,
  S_ENTROPY,
  S_LENGTH,
  S_UNITS,
  SEND_WORDS,
  STATUS_NOW_NS,
  VXLAN_BYTES,
} from "../io/port-io.ts";
import { R_ARG, R_ARG2, R_KIND, R_PORT, R_UNITS, R_VSI, type Ring } from "../tables/ring.ts";
import { SET_WATCH_SNAP, type Tables } from "../tables/tables.ts";
import { IO_TAP, KIND_TUNNEL } from "../tables/vsi.ts";
import {
  BELL_WANTED,
  DROP_SNAP,
  FATE_SENT,
  ID_SHIFT,
  LOST_DROPS,
  LOST_FRAMES,
  LOST_WORDS,
  W_CAUSE,
  W_COPIES,
  W_ENTROPY,
  W_ID,
  W_LENGTH,
  W_NOW_MS,
  W_NOW_NS,
  W_OUT_PORT,
  W_OUT_VSI,
  W_OUTER,
  W_OUTER_PORT,
  W_PARENT,
  W_VNI,
  W_VXLAN_FLAGS,
  WATCH_DROP,
  WATCH_DROPS,
  WATCH_FRAMES,
  WATCH_IN,
  WATCH_OUT,
  type Watch,
} from "../tables/watch.ts";
import { isMeant } from "../tables/watch-filter.ts";
import { copy } from "../wire/bytes.ts";
import { vniAt } from "../wire/vxlan.ts";
import type { Watching, WorkerContext } from "./context.ts";
import { isInNoVsi } from "./drop.ts";
import type { Fate, Frame } from "./frame.ts";
import { OWN_PORT, OWN_VSI } from "./send-words.ts";

const DROPS_PER_SECOND = 1000;
const LONGEST = 66 * 1024;

export class Watcher implements Watching {
  private readonly settings: Int32Array;
  private readonly watch: Watch;
  private readonly ring: Ring;
  private readonly lostAt: number;
  private readonly worker: number;
  private lastId = 0;
  /** The frame in hand as it came; forwarding rewrites it in place. */
  private readonly kept = new Uint8Array(LONGEST);
  private keptBytes = 0;
  private keptLength = 0;
  private windowMs = 0;
  private told = 0;
  /** Is there something that main was not woken for? */
  private isNew = false;

  constructor(tables: Tables, worker: number) {
    this.settings = tables.settings;
    this.watch = tables.watch;
    this.ring = tables.watch.rings[worker]!;
    this.lostAt = worker * LOST_WORDS;
    this.worker = worker;
  }

  wake(): void {
    if (!this.isNew) return;
    this.isNew = false;
    const { bell } = this.watch;
    if (Atomics.load(bell, 0) === BELL_WANTED && Atomics.exchange(bell, 0, 0) === BELL_WANTED) Atomics.notify(bell, 0);
  }

  /** Before the frame in hand is forwarded: it gets its number. A datagram is kept from its inner frame on. */
  keep(worker: WorkerContext, f: Frame): void {
    f.watchId = this.nextId();
    const skip = worker.ports.ioKind[f.source] !== IO_TAP ? VXLAN_BYTES : 0;
    this.keptLength = Math.max(0, f.length - skip);
    this.keptBytes = Math.max(0, Math.min(f.head - skip, this.settings[SET_WATCH_SNAP]!, LONGEST));
    const from = f.at + skip;
    copy(this.kept, 0, f.bytes, from, this.keptBytes);
  }

  /** What was kept has met `fate`; the send records from `firstSend` on are its copies. `punt`: its class, where it was punted. */
  received(worker: WorkerContext, f: Frame, fate: Fate, firstSend: number, punt: number): void {
    if (fate > 0) this.dropped(worker, f, fate, f.port, f.vsi, this.kept, 0, this.keptBytes);
    if ((worker.watch & WATCH_FRAMES) === 0 || !this.isWanted(f.port, f.vsi, this.kept, 0, this.keptBytes)) return;
    const r = this.write(worker, f, WATCH_IN, f.port, f.vsi, fate, punt, this.kept, 0, this.keptBytes, LOST_FRAMES);
    if (r < 0) return;
    this.ring.words[r + W_ID] = f.watchId;
    if (fate > 0 && f.vsi === 0) this.tellSender(f, r);
    if (worker.sendCount > firstSend) {
      const s = firstSend * SEND_WORDS;
      const w = this.ring.words;
      w[r + W_OUT_PORT] = worker.sends[s + OWN_PORT]!;
      w[r + W_OUT_VSI] = worker.sends[s + OWN_VSI]!;
      w[r + W_COPIES] = worker.sendCount - firstSend;
    }
    this.ring.commit();
  }

  /** Copies of the frame that was kept: the send records from `first` on. */
  copied(worker: WorkerContext, f: Frame, first: number): void {
    this.sent(worker, f, first, f.watchId, 0);
  }

  /** What control sent, the send records from `first` on, because of the punted frame `cause`. */
  injected(worker: WorkerContext, f: Frame, first: number, cause: number): void {
    if ((worker.watch & WATCH_FRAMES) !== 0) this.sent(worker, f, first, 0, cause);
  }

  /** Send records as they will be sent. Into a tunnel: the inner frame. */
  private sent(worker: WorkerContext, f: Frame, first: number, parent: number, cause: number): void {
    const s = worker.sends;
    for (let i = first * SEND_WORDS; i < worker.sendCount * SEND_WORDS; i += SEND_WORDS) {
      const port = s[i + OWN_PORT]!;
      const vsi = s[i + OWN_VSI]!;
      const isTunnel = worker.ports.kind[port] === KIND_TUNNEL;
      const skip = isTunnel ? VXLAN_BYTES : 0;
      this.keptLength = s[i + S_LENGTH]! - skip;
      // Of a super-frame in slices only the head lies here; every other frame is as long as its record says.
      const here = s[i + S_CHAIN] === 0 ? this.keptLength : Math.min(this.keptLength, f.head);
      const bytes = Math.min(here, this.settings[SET_WATCH_SNAP]!);
      const at = s[i + S_AT]! + skip;
      if (!this.isWanted(port, vsi, f.bytes, at, bytes)) continue;
      const r = this.write(worker, f, WATCH_OUT, port, vsi, FATE_SENT, 0, f.bytes, at, bytes, LOST_FRAMES);
      if (r < 0) continue;
      const w = this.ring.words;
      w[r + R_UNITS] = s[i + S_UNITS]!;
      w[r + W_ID] = this.nextId();
      w[r + W_PARENT] = parent;
      w[r + W_CAUSE] = cause;
      w[r + W_ENTROPY] = isTunnel ? s[i + S_ENTROPY]! : 0;
      this.ring.commit();
    }
  }

  /** A copy, or an injected frame, was dropped: the frame in hand is what it looked like. */
  drop(worker: WorkerContext, f: Frame, reason: number): void {
    this.keptLength = f.length;
    this.dropped(worker, f, reason, f.port, f.vsi, f.bytes, f.at, f.head);
  }

  /** The io could not send a record of the last batch; its bytes are gone. */
  refused(worker: WorkerContext, f: Frame, reason: number, port: number, vsi: number, length: number): void {
    this.keptLength = length;
    this.dropped(worker, f, reason, port, vsi, f.bytes, 0, 0);
  }

  private dropped(
    worker: WorkerContext,
    f: Frame,
    reason: number,
    port: number,
    vsi: number,
    from: Uint8Array,
    at: number,
    here: number,
  ): void {
    if ((worker.watch & WATCH_DROPS) === 0 || !this.admitDrop(worker)) return;
    const bytes = Math.max(0, Math.min(here, DROP_SNAP));
    const r = this.write(worker, f, WATCH_DROP, port, vsi, reason, 0, from, at, bytes, LOST_DROPS);
    if (r < 0) return;
    if (vsi === 0) this.tellSender(f, r);
    this.ring.commit();
  }

  /** Of a datagram that is in no VSI: what is known of where it came from. */
  private tellSender(f: Frame, r: number): void {
    if (!isInNoVsi(f)) return;
    const w = this.ring.words;
    const header = f.at - VXLAN_BYTES;
    const sender = f.source === 0 ? f.received(F_OUTER_PORT) : 0;
    w[r + W_OUTER] = (sender & OUTER_IPV6) !== 0 ? 0 : f.received(F_OUTER_SOURCE);
    w[r + W_OUTER_PORT] = sender & 0xffff;
    w[r + W_VXLAN_FLAGS] = f.bytes[header]!;
    w[r + W_VNI] = vniAt(f.bytes, header) + 1;
  }

  private isWanted(port: number, vsi: number, bytes: Uint8Array, at: number, here: number): boolean {
    const { ports, vsis, filter } = this.watch;
    return ports[port] !== 0 && vsis[vsi] !== 0 && isMeant(filter, bytes, at, here);
  }

  private nextId(): number {
    this.lastId = (this.lastId + (1 << ID_SHIFT)) | 0;
    // It wraps, and a number is never 0.
    if (this.lastId === 0) this.lastId = 1 << ID_SHIFT;
    return this.lastId | this.worker;
  }

  private admitDrop(worker: WorkerContext): boolean {
    const passed = (worker.nowMs - this.windowMs) | 0;
    if (passed < 0 || passed >= 1000) {
      this.windowMs = worker.nowMs;
      this.told = 0;
    }
    if (++this.told <= DROPS_PER_SECOND) return true;
    this.lose(LOST_DROPS);
    return false;
  }

  private lose(what: number): void {
    const at = this.lostAt + what;
    this.watch.lost[at] = this.watch.lost[at]! + 1;
    this.isNew = true;
  }

  /** Fill a record, for the caller to commit. @returns its word; -1: no room, and counted. */
  private write(
    worker: WorkerContext,
    f: Frame,
    kind: number,
    port: number,
    vsi: number,
    fate: number,
    punt: number,
    from: Uint8Array,
    at: number,
    bytes: number,
    lost: number,
  ): number {
    const r = this.ring.reserve(bytes);
    if (r < 0) {
      this.lose(lost);
      return -1;
    }
    this.isNew = true;
    const w = this.ring.words;
    w[r + R_KIND] = kind;
    w[r + R_PORT] = port;
    w[r + R_VSI] = vsi;
    w[r + R_ARG] = fate;
    w[r + R_ARG2] = punt;
    w[r + R_UNITS] = f.units;
    w[r + W_ID] = 0;
    w[r + W_OUT_PORT] = 0;
    w[r + W_OUT_VSI] = 0;
    w[r + W_COPIES] = 0;
    w[r + W_OUTER_PORT] = 0;
    w[r + W_NOW_MS] = worker.nowMs;
    w[r + W_NOW_NS] = worker.io.status[STATUS_NOW_NS]!;
    w[r + W_LENGTH] = this.keptLength;
    const to = this.ring.frameAt(r);
    copy(this.ring.bytes, to, from, at, bytes);
    return r;
  }
}
