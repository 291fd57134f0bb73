/**
 * Loops: two ACs of one VSI that somebody has bridged together behind our back, in a VM or between two of them; or one AC whose
 * bridge sends back what it gets.
 *
 * What is flooded into such a VSI comes in again, with the MACs of hosts that live elsewhere. Two signs make us look: MACs that
 * move to ACs of the VSI at once, and a frame of our own that an AC sends (`own_mac_local`). Then a probe leaves by that AC; what
 * comes back by another one of the VSI is the proof, and tells which two. A VM that moves is no loop: its probe does not come
 * back. (H3C's loopback detection asks all the time; no VM is asked here before there is a sign.)
 *
 * VMs may forge: a probe has a nonce of its own that lasts PROOF_MS, and which AC it left by is known here and not said in it. So who has seen
 * none but those of its own AC can prove a loop of that AC to itself, and of no other.
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
/** How long a probe proves something. */
const PROOF_MS = 2000;
/** How long a MAC of our own for probes stays in a VSI that has none. */
const PIN_MS = 5000;

/** A group that no protocol uses (locally administered), and the EtherType for experiments (IEEE 802 §9.2.3). */
const PROBE_DESTINATION: Mac = 0x037674657064;
export const TYPE_LOOP_PROBE = 0x88b6;
const NONCE_BYTES = 16;
const PROBE_BYTES = 60;
const AT_NONCE = ETH_BYTES;

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
  /** Probes by nonce, as long as they prove something: two or three of an AC. */
  private readonly probes = new Map<string, { readonly port: AcPort; readonly sentMs: number }>();
  /** A source that no host has, for VSIs without a gateway MAC; chosen when the first probe is sent. */
  private mac: Mac | null = null;
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
    const { injector, inventory, timers, random } = this.parts;
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
    const nonce = Uint8Array.from({ length: NONCE_BYTES }, () => Math.floor(random() * 256));
    frame.set(nonce, AT_NONCE);
    this.probes.set(nonce.join(), { port, sentMs: timers.nowMs });
    injector.toPort(vsi.row, port.row, frame);
  }

  /** The AC by which a probe of ours left just now; null: it is none. */
  private originOf(vsi: VsiObject, bytes: Uint8Array): AcPort | null {
    if (bytes.length < AT_NONCE + NONCE_BYTES || u16(bytes, ETH_TYPE) !== TYPE_LOOP_PROBE) return null;
    const probe = this.probes.get(bytes.subarray(AT_NONCE, AT_NONCE + NONCE_BYTES).join());
    if (probe === undefined || this.parts.timers.nowMs - probe.sentMs > PROOF_MS) return null;
    const { port } = probe;
    return port.vsi === vsi && this.parts.inventory.ports.get(port.row) === port ? port : null;
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
    for (const [nonce, { sentMs }] of this.probes) if (nowMs - sentMs > PROOF_MS) this.probes.delete(nonce);
    for (const [port, atMs] of this.probedMs) if (nowMs - atMs > PIN_MS) this.probedMs.delete(port);
    for (const [vsi, atMs] of this.movesOf) if (nowMs - atMs.sinceMs > SIGN_MS) this.movesOf.delete(vsi);
    for (const [vsi, atMs] of this.pinned) {
      if (nowMs - atMs < PIN_MS) continue;
      this.pinned.delete(vsi);
      if (inventory.vsis.get(vsi.row) === vsi) macs.removeStatic(vsi, this.macOnce());
    }
  }

  /** A MAC that workers know for ours in `vsi`: its gateway MAC, or one that is there as long as it is needed. */
  private sourceIn(vsi: VsiObject): Mac | null {
    if (vsi.interface !== null) return vsi.interface.mac;
    const { macs, timers } = this.parts;
    const mac = this.macOnce();
    if (!this.pinned.has(vsi) && !macs.addStatic(vsi, mac, null, MAC_GATEWAY)) return null;
    this.pinned.set(vsi, timers.nowMs);
    return mac;
  }

  private macOnce(): Mac {
    this.mac ??= 0x020000000000 + Math.floor(this.parts.random() * 2 ** 40);
    return this.mac;
  }
}
