/**
 * Echo requests of the gateway's own, to hosts of the overlay: what `vtepctl ping --interface` asks for.
 *
 * A request speaks with an address of its VSI-interface and is routed like any packet of ours, so ARP and
 * fragmentation are as always; no policy applies. The answer comes back by the CPU port and is matched by identifier, sequence
 * number, VRF and sender. On a distributed gateway that address exists on every other one as well, and a host answers to
 * the gateway that is nearest to it: with a host of another site only an `icmpSource` brings the answer here.
 *
 * Bounded: so many requests of people wait at once, each for a second. Tracks (control/tracks/) ask by it too, each one several times
 * at most.
 */

import { TTL_TAKEN } from "../../tables/counters.ts";
import { setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV4 } from "../../wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REQUEST } from "../../wire/icmp.ts";
import { IPV4_BYTES, type Ipv4, PROTO_ICMP, sum16 } from "../../wire/ipv4.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import { addressFor, type InterfaceObject } from "../inventory.ts";
import type { Timer, Timers } from "../timers.ts";

export const ECHO_WAIT_MS = 1000;
export const ECHOES_AT_ONCE = 64;
const TTL = 64;
/** Of a track's packet: headers and 28 bytes. */
const WATCH_BYTES = 56;
/** One that is charged with no search of anybody's. */
const NO_PORT = 0;
/** A packet of our own, that nothing has provoked. */
const OURS: Omit<HeldFrame, "bytes"> = {
  ...{ flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units: 1 },
  ...{ port: NO_PORT, vsi: 0, worker: 0, watchId: 0 },
};

export interface EchoAnswer {
  readonly rttMs: number;
  /** As it arrived. */
  readonly ttl: number;
}

interface Pending {
  readonly vrf: number;
  readonly to: Ipv4;
  readonly sentMs: number;
  readonly timer: Timer;
  readonly isPersons: boolean;
  readonly done: (answer: EchoAnswer | null) => void;
}

export class Pinger {
  private readonly injector: Injector;
  private readonly timers: Timers;
  private readonly identifier: number;
  private readonly pending = new Map<number, Pending>();
  private sequence = 0;

  constructor(injector: Injector, timers: Timers, random: () => number) {
    this.injector = injector;
    this.timers = timers;
    this.identifier = Math.floor(random() * 0x10000);
  }

  /**
   * One request of `length` bytes (the IP packet) to `to`. `done` is called once: null after a second without an answer.
   * @param nowMs the exact time; the round's may be old. @returns false when it could not be sent.
   */
  ask(iface: InterfaceObject, to: Ipv4, length: number, nowMs: number, done: Pending["done"]): boolean {
    let persons = 0;
    for (const { isPersons } of this.pending.values()) if (isPersons) persons++;
    if (persons >= ECHOES_AT_ONCE) return false;
    const packet = this.request(sourceOf(iface, to), to, length);
    if (!this.injector.route(iface.vrf, NO_PORT, packet, 0)) return false;
    this.await({ vrf: iface.vrf, to, sentMs: nowMs, isPersons: true, done }, ECHO_WAIT_MS);
    return true;
  }

  /** A small request for a track, through the next hop `adjacency`, or by the table (0). @returns false when it could not be sent. */
  watch(iface: InterfaceObject, to: Ipv4, adjacency: number, waitMs: number, done: Pending["done"]): boolean {
    const packet = this.request(sourceOf(iface, to), to, WATCH_BYTES);
    const isSent =
      adjacency === 0
        ? this.injector.route(iface.vrf, NO_PORT, packet, 0)
        : this.injector.viaAdjacency(adjacency, { ...OURS, bytes: packet }, TTL_TAKEN);
    if (!isSent) return false;
    this.await({ vrf: iface.vrf, to, sentMs: this.timers.nowMs, isPersons: false, done }, waitMs);
    return true;
  }

  /** An intact echo reply came to one of our addresses in `vrf`. */
  heard(vrf: number, from: Ipv4, message: Uint8Array, ttl: number, nowMs: number): void {
    if (u16(message, 4) !== this.identifier) return;
    const sequence = u16(message, 6);
    const waiting = this.pending.get(sequence);
    if (waiting === undefined || waiting.vrf !== vrf || waiting.to !== from) return;
    this.end(sequence, { rttMs: Math.max(0, nowMs - waiting.sentMs), ttl });
  }

  private end(sequence: number, answer: EchoAnswer | null): void {
    const waiting = this.pending.get(sequence);
    if (waiting === undefined) return;
    this.timers.cancel(waiting.timer);
    this.pending.delete(sequence);
    waiting.done(answer);
  }

  /** The request with the last sequence number has left. */
  private await(pending: Omit<Pending, "timer">, waitMs: number): void {
    const { sequence, timers } = this;
    // So old that its number has come again.
    if (this.pending.has(sequence)) this.end(sequence, null);
    const timer = timers.after(pending.sentMs - timers.nowMs + waitMs, () => this.end(sequence, null));
    this.pending.set(sequence, { ...pending, timer });
    this.injector.flush();
  }

  private request(from: Ipv4, to: Ipv4, length: number): Uint8Array {
    this.sequence = (this.sequence + 1) & 0xffff;
    const frame = new Uint8Array(ETH_BYTES + length);
    setU16(frame, ETH_TYPE, TYPE_IPV4);
    emitIpv4(frame, ETH_BYTES, length, from, to, PROTO_ICMP, 0, TTL, this.sequence);
    const at = ETH_BYTES + IPV4_BYTES;
    frame[at] = ICMP_ECHO_REQUEST;
    setU16(frame, at + 4, this.identifier);
    setU16(frame, at + 6, this.sequence);
    for (let i = at + ICMP_BYTES; i < frame.length; i++) frame[i] = i & 0xff;
    setU16(frame, at + 2, ~sum16(frame, at, frame.length - at, 0) & 0xffff);
    return frame;
  }
}

/** The address an echo of `iface` speaks with: its own, where it has one, else the one in the host's subnet, else the first. */
export function sourceOf(iface: InterfaceObject, to: Ipv4): Ipv4 {
  return iface.config.icmpSource?.ip ?? addressFor(iface, to);
}
