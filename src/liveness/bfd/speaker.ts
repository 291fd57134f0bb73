/**
 * The BFD speaker: all sessions of this gateway, which datagram is whose, and what is refused.
 *
 * It knows no socket and no clock: datagrams are handed in with their source and hop count, and leave by `send`. A session is
 * found by the discriminator that the peer repeats, and must be that peer's; before the peer knows one, by its address and port
 * (RFC 5881 §3, RFC 5883 §3). Whatever no session is configured for is refused: a packet never makes a session.
 *
 * A session lives in a slot, a number that its owner chose. A slot is free again when the peer was told that the session is gone
 * (`gone`).
 */
import { peerAddress } from "../../control/peer-address.ts";
import type { BfdMode } from "../../control/plan-bfd.ts";
import { MAX_BFD_SESSIONS } from "../../tables/vsi.ts";
import { BFD_MALFORMED, BFD_TTL, type BfdPacket, readBfd } from "../../wire/bfd.ts";
import { readInnerBfd } from "../../wire/bfd-vxlan.ts";
import { BfdSession, type BfdTiming, type Change } from "./session.ts";

export interface SessionRequest extends BfdTiming {
  readonly slot: number;
  /** Address of the peer. */
  readonly remote: string;
  readonly mode: BfdMode;
  /** Of mode `vxlan`: the management VNI, and the tunnel's bridge port. */
  readonly vni?: number;
  readonly port?: number;
}

/** Why a datagram came to nothing. */
export const BFD_REFUSALS = ["hop_count", ...BFD_MALFORMED, "unknown_session", "stranger", "not_bfd"] as const;
export type BfdRefusal = (typeof BFD_REFUSALS)[number];

export interface Received {
  readonly mode: BfdMode;
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  /** TTL or hop limit. */
  readonly hops: number;
  /** Of mode `vxlan`: the slot of the tunnel that it came by, 0: none. */
  readonly slot?: number;
}

/** The frame of a datagram inside VXLAN, by the tunnel of `slot`. */
export interface Inner {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  readonly slot: number;
}

export interface SpeakerHandlers {
  /** As of a session. */
  send(request: SessionRequest, packet: BfdPacket): number;
  told(slot: number, change: Change): void;
  /** Its figures are others. */
  noted(slot: number, session: BfdSession): void;
  /** No session is in that slot any more. */
  gone(slot: number): void;
  random(): number;
}

interface Entry {
  readonly session: BfdSession;
  readonly request: SessionRequest;
  readonly peer: string;
}

export class BfdSpeaker {
  private readonly handlers: SpeakerHandlers;
  private readonly own: Uint8Array;
  private readonly slots = new Map<number, Entry>();
  private readonly byDiscriminator = new Map<number, Entry>();
  private readonly byPeer = new Map<string, Entry>();
  private isDraining = false;
  /** Nothing is due before: a packet that comes in time costs no look at all the other sessions. */
  private nextMs = 0;
  readonly refused: Record<BfdRefusal, number>;
  /** The last refusal of a packet that looked like one of BFD. */
  lastRefused: { readonly reason: BfdRefusal; readonly source: Uint8Array; readonly hops: number } | null = null;

  /** @param address ours, text. */
  constructor(address: string, handlers: SpeakerHandlers) {
    this.handlers = handlers;
    this.own = peerAddress(address);
    this.refused = Object.fromEntries(BFD_REFUSALS.map((reason) => [reason, 0])) as Record<BfdRefusal, number>;
  }

  session(slot: number): BfdSession | undefined {
    return this.slots.get(slot)?.session;
  }

  /** Modes of the sessions there are. */
  get modes(): ReadonlySet<BfdMode> {
    return new Set([...this.slots.values()].map(({ request }) => request.mode));
  }

  /** These sessions, and no others. */
  configure(requests: readonly SessionRequest[], nowMs: number): void {
    this.nextMs = nowMs;
    const wanted = new Map(requests.map((request) => [request.slot, request]));
    for (const [slot, { session, request }] of this.slots) {
      const next = wanted.get(slot);
      if (next === undefined || !isSamePeer(request, next)) session.disable(true, nowMs);
    }
    for (const request of requests) {
      const known = this.slots.get(request.slot);
      if (known === undefined || !isSamePeer(known.request, request)) this.begin(request, nowMs);
      else if (known.request.intervalMs !== request.intervalMs || known.request.multiplier !== request.multiplier) {
        known.session.configure(request, nowMs);
        this.put({ ...known, request });
      }
    }
  }

  /** All sessions out of service, so that every peer leaves us; or in service again. */
  drain(isDraining: boolean, nowMs: number): void {
    if (this.isDraining === isDraining) return;
    this.isDraining = isDraining;
    this.nextMs = nowMs;
    for (const { session } of this.slots.values()) {
      if (isDraining) session.disable(false, nowMs);
      // One that is being taken away stays away.
      else if (!session.isLeaving) session.enable(nowMs);
    }
  }

  /** A datagram: bytes `at` to `end`. */
  receive(from: Received, bytes: Uint8Array, at: number, end: number, nowMs: number): void {
    const reason = this.take(from, bytes, at, end, nowMs);
    if (reason === null) return;
    this.refused[reason]++;
    this.lastRefused = { reason, source: from.source.slice(), hops: from.hops };
  }

  /** A frame of the management VNI (RFC 8971 §6). */
  receiveInner({ bytes, at, end, slot }: Inner, nowMs: number): void {
    const inner = readInnerBfd(bytes, at, end, this.own);
    if (inner === null) this.refused.not_bfd++;
    else
      this.receive({ mode: "vxlan", source: inner.source, hops: inner.hops, slot }, bytes, inner.at, inner.end, nowMs);
  }

  /** @returns why not, or null. */
  private take(from: Received, bytes: Uint8Array, at: number, end: number, nowMs: number): BfdRefusal | null {
    const { mode, source, hops } = from;
    if (mode !== "multihop" && hops !== BFD_TTL) return "hop_count";
    const packet = readBfd(bytes, at, end);
    if (typeof packet === "string") return packet;
    const peer = peerKey(mode, source);
    const entry = packet.yours === 0 ? this.byPeer.get(peer) : this.byDiscriminator.get(packet.yours);
    if (entry === undefined) return "unknown_session";
    // Inside VXLAN a peer may write any address: the tunnel is its own.
    if (entry.peer !== peer || (mode === "vxlan" && entry.request.slot !== from.slot)) return "stranger";
    entry.session.hear(packet, nowMs);
    this.nextMs = Math.min(this.nextMs, entry.session.dueMs);
    this.handlers.noted(entry.request.slot, entry.session);
    return null;
  }

  /** Do what is due. @returns when something is due again, or null. */
  run(nowMs: number): number | null {
    if (nowMs < this.nextMs) return Number.isFinite(this.nextMs) ? this.nextMs : null;
    let next = Number.POSITIVE_INFINITY;
    for (const [slot, entry] of this.slots) {
      const { session } = entry;
      if (session.isOver(nowMs)) {
        this.end(slot, entry);
        continue;
      }
      if (session.dueMs <= nowMs) {
        session.run(nowMs);
        this.handlers.noted(slot, session);
      }
      next = Math.min(next, session.dueMs);
    }
    this.nextMs = next;
    return Number.isFinite(next) ? next : null;
  }

  private begin(request: SessionRequest, nowMs: number): void {
    const { slot, remote, mode } = request;
    if (slot < 1 || slot > MAX_BFD_SESSIONS) throw new Error(`BFD slot ${slot}`);
    const old = this.slots.get(slot);
    // Its last word was said a moment ago.
    if (old !== undefined) this.forget(slot, old);
    const { send, told, random } = this.handlers;
    const handlers = {
      send: (packet: BfdPacket) => send(request, packet),
      told: (change: Change) => told(slot, change),
      random,
    };
    const session = new BfdSession(this.freeDiscriminator(), request, handlers, nowMs);
    this.put({ session, request, peer: peerKey(mode, peerAddress(remote)) });
    if (this.isDraining) session.disable(false, nowMs);
    this.handlers.noted(slot, session);
  }

  /** Random (RFC 5880 §10 hides it from those who guess), not zero, and unique. */
  private freeDiscriminator(): number {
    for (;;) {
      const discriminator = 1 + Math.floor(this.handlers.random() * 0xffff_fffe);
      if (!this.byDiscriminator.has(discriminator)) return discriminator;
    }
  }

  private put(entry: Entry): void {
    this.slots.set(entry.request.slot, entry);
    this.byDiscriminator.set(entry.session.discriminator, entry);
    this.byPeer.set(entry.peer, entry);
  }

  private end(slot: number, entry: Entry): void {
    this.forget(slot, entry);
    this.handlers.gone(slot);
  }

  private forget(slot: number, entry: Entry): void {
    this.slots.delete(slot);
    this.byDiscriminator.delete(entry.session.discriminator);
    // A tunnel to the same peer may have come meanwhile, in another slot.
    if (this.byPeer.get(entry.peer) === entry) this.byPeer.delete(entry.peer);
  }
}

function isSamePeer(a: SessionRequest, b: SessionRequest): boolean {
  return a.remote === b.remote && a.mode === b.mode && a.vni === b.vni;
}

function peerKey(mode: BfdMode, address: Uint8Array): string {
  return `${mode} ${address.join(".")}`;
}
