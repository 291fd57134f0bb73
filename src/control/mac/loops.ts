/**
 * Loops: two ACs of one VSI that somebody has bridged together behind our back, in a VM or between two of them; or one AC whose
 * bridge sends back what it gets.
 *
 * What is flooded into such a VSI comes in again, with the MACs of hosts that live elsewhere. Two signs make us look: MACs that
 * move to ACs of the VSI at once, and a frame of our own that an AC sends (`own_mac_local`). Then a probe, which no host
 * can know before it has seen it, leaves by that AC; what comes back by another one of the VSI is the proof, and tells which two. A
 * VM that moves is no loop: its probe does not come back. (H3C's loopback detection asks all the time; no VM is asked here
 * before there is a sign.)
 *
 * While it lasts it is those ACs' own affair: they teach no MAC that is known elsewhere, what they stole is forgotten, and they
 * flood at most LOOP_FLOODS_PER_SECOND, the share of one AC in its VSI's ration of floods. Probes go on; when none has come back for
 * OVER_MS the ACs are as before.
 */
import { MAC_GATEWAY } from "../../tables/mac.ts";
import { u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, type Mac, writeMac } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import type { Injector } from "../inject.ts";
import type { AcPort, Inventory, PortObject, VsiObject } from "../inventory.ts";
import type { Timers } from "../timers.ts";
import { arrivalOf } from "./change.ts";
import type { MacLearner } from "./learn.ts";

/** Frames that an AC in a loop may have flooded in a second. */
export const LOOP_FLOODS_PER_SECOND = 60;
/** Moves to ACs of one VSI within SIGN_MS that make us look. */
const MOVES = 2;
const SIGN_MS = 2000;
/** One AC is probed at most so often, and while there is a loop just as often. */
const PROBE_MS = 1000;
const OVER_MS = 10_000;
/** How long a MAC of our own for probes stays in a VSI that has none. */
const PIN_MS = 5000;

/** A group that no protocol uses (locally administered), and the EtherType for experiments (IEEE 802 §9.2.3). */
const PROBE_DESTINATION: Mac = 0x037674657064;
export const TYPE_LOOP_PROBE = 0x88b6;
const NONCE_BYTES = 16;
const PROBE_BYTES = 60;
/** Behind the nonce: the rows of VSI and AC that it left by. */
const AT_NONCE = ETH_BYTES;
const AT_VSI = AT_NONCE + NONCE_BYTES;
const AT_PORT = AT_VSI + 2;

export interface LoopView {
  readonly vsi: string;
  /** Twice the same: a bridge behind it sends back what it gets. */
  readonly acs: readonly [string, string];
  readonly sinceSeconds: number;
}

interface Loop {
  readonly vsi: VsiObject;
  readonly out: AcPort;
  readonly back: AcPort;
  readonly sinceMs: number;
  seenMs: number;
}

export interface LoopParts {
  readonly injector: Injector;
  readonly inventory: Inventory;
  readonly timers: Timers;
  readonly emit: Emit;
  readonly macs: MacLearner;
  /** 0 ≤ random() < 1: probes cannot be guessed. */
  readonly random: () => number;
  /** The AC may have so many frames flooded in a second; null: what is configured. */
  readonly limit: (ac: AcPort, perSecond: number | null) => void;
}

export class LoopWatch {
  private readonly parts: LoopParts;
  /** Chosen when the first probe is sent. */
  private secret: { readonly nonce: Uint8Array; readonly mac: Mac } | null = null;
  private readonly loops = new Map<string, Loop>();
  private readonly probedMs = new Map<AcPort, number>();
  private readonly movesOf = new Map<VsiObject, { count: number; sinceMs: number }>();
  private readonly pinned = new Map<VsiObject, number>();

  constructor(parts: LoopParts) {
    this.parts = parts;
    parts.macs.changes.follow((change) => {
      const arrival = arrivalOf(change);
      if (arrival !== null && arrival.from !== null) this.moved(arrival.vsi, arrival.port);
    });
    parts.timers.every(PROBE_MS, () => this.tick());
  }

  /** An AC sent a frame whose source is a MAC of our own. `bytes`: its first ones. */
  cameBack(row: number, bytes: Uint8Array): void {
    const port = this.parts.inventory.ports.get(row);
    if (port?.kind !== "ac") return;
    const out = this.originOf(port.vsi, bytes);
    if (out === null) this.probe(port);
    else this.found(port.vsi, out, port);
  }

  list(): LoopView[] {
    const { nowMs } = this.parts.timers;
    return [...this.loops.values()].map(({ vsi, out, back, sinceMs }) => ({
      vsi: vsi.name,
      acs: [out.name, back.name],
      sinceSeconds: Math.floor((nowMs - sinceMs) / 1000),
    }));
  }

  private moved(vsi: VsiObject, port: PortObject): void {
    if (port.kind !== "ac") return;
    const { nowMs } = this.parts.timers;
    let moves = this.movesOf.get(vsi);
    if (moves === undefined || nowMs - moves.sinceMs > SIGN_MS) {
      moves = { count: 0, sinceMs: nowMs };
      this.movesOf.set(vsi, moves);
    }
    moves.count++;
    if (moves.count >= MOVES) this.probe(port);
  }

  /** Ask by `port` whether what leaves there comes back. */
  private probe(port: AcPort): void {
    const { injector, inventory, timers } = this.parts;
    const { vsi } = port;
    if (!port.up || inventory.ports.get(port.row) !== port) return;
    if (timers.nowMs - (this.probedMs.get(port) ?? Number.NEGATIVE_INFINITY) < PROBE_MS) return;
    const source = this.sourceIn(vsi);
    if (source === null) return;
    this.probedMs.set(port, timers.nowMs);
    const frame = new Uint8Array(PROBE_BYTES);
    writeMac(frame, ETH_DST, PROBE_DESTINATION);
    writeMac(frame, ETH_SRC, source);
    frame.set([TYPE_LOOP_PROBE >> 8, TYPE_LOOP_PROBE & 0xff], ETH_TYPE);
    frame.set(this.secretOnce().nonce, AT_NONCE);
    frame.set([vsi.row >> 8, vsi.row & 0xff, port.row >> 8, port.row & 0xff], AT_VSI);
    injector.toPort(vsi.row, port.row, frame);
  }

  /** The AC by which a probe of ours left; null: it is none. */
  private originOf(vsi: VsiObject, bytes: Uint8Array): AcPort | null {
    if (
      this.secret === null ||
      bytes.length < AT_PORT + 2 ||
      u16(bytes, ETH_TYPE) !== TYPE_LOOP_PROBE ||
      u16(bytes, AT_VSI) !== vsi.row
    )
      return null;
    for (let i = 0; i < NONCE_BYTES; i++) if (bytes[AT_NONCE + i] !== this.secret.nonce[i]) return null;
    const port = this.parts.inventory.ports.get(u16(bytes, AT_PORT));
    return port?.kind === "ac" && port.vsi === vsi ? port : null;
  }

  private found(vsi: VsiObject, out: AcPort, back: AcPort): void {
    const { timers, emit, macs } = this.parts;
    const key = [out.name, back.name].sort().join(" ");
    const known = this.loops.get(key);
    if (known !== undefined) {
      known.seenMs = timers.nowMs;
      return;
    }
    this.loops.set(key, { vsi, out, back, sinceMs: timers.nowMs, seenMs: timers.nowMs });
    for (const ac of new Set([out, back])) this.confine(ac, true);
    macs.forgetHeard(vsi, new Set([out, back]));
    emit("warn", "loop.found", { vsi: vsi.name, ac: out.name, other: back.name });
  }

  private confine(ac: AcPort, isLooped: boolean): void {
    if (isLooped) this.parts.macs.looped.add(ac);
    else this.parts.macs.looped.delete(ac);
    this.parts.limit(ac, isLooped ? LOOP_FLOODS_PER_SECOND : null);
  }

  private tick(): void {
    const { inventory, timers, emit, macs } = this.parts;
    const { nowMs } = timers;
    for (const [key, { vsi, out, back, seenMs }] of this.loops) {
      const isThere = [out, back].every((ac) => inventory.ports.get(ac.row) === ac);
      if (isThere && nowMs - seenMs < OVER_MS) {
        this.probe(out);
        continue;
      }
      this.loops.delete(key);
      const others = new Set([...this.loops.values()].flatMap((loop) => [loop.out, loop.back]));
      for (const ac of new Set([out, back])) if (!others.has(ac)) this.confine(ac, false);
      emit("info", "loop.over", { vsi: vsi.name, ac: out.name, other: back.name });
    }
    for (const [port, atMs] of this.probedMs) if (nowMs - atMs > PIN_MS) this.probedMs.delete(port);
    for (const [vsi, atMs] of this.movesOf) if (nowMs - atMs.sinceMs > SIGN_MS) this.movesOf.delete(vsi);
    for (const [vsi, atMs] of this.pinned) {
      if (nowMs - atMs < PIN_MS) continue;
      this.pinned.delete(vsi);
      if (inventory.vsis.get(vsi.row) === vsi) macs.removeStatic(vsi, this.secretOnce().mac);
    }
  }

  /** A MAC that workers know for ours in `vsi`: its gateway MAC, or one that is there as long as it is needed. */
  private sourceIn(vsi: VsiObject): Mac | null {
    if (vsi.interface !== null) return vsi.interface.mac;
    const { macs, timers } = this.parts;
    const { mac } = this.secretOnce();
    if (!this.pinned.has(vsi) && !macs.addStatic(vsi, mac, null, MAC_GATEWAY)) return null;
    this.pinned.set(vsi, timers.nowMs);
    return mac;
  }

  /** What proves a probe to be ours, and a source that no host has, for VSIs without a gateway MAC. */
  private secretOnce(): { readonly nonce: Uint8Array; readonly mac: Mac } {
    const { random } = this.parts;
    const byte = () => Math.floor(random() * 256);
    this.secret ??= {
      nonce: Uint8Array.from({ length: NONCE_BYTES }, byte),
      mac: 0x020000000000 + Math.floor(random() * 2 ** 40),
    };
    return this.secret;
  }
}
