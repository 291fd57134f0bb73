/**
 * Echo requests of the gateway's own, to hosts of the overlay: what `vtepctl ping --interface` asks for.
 *
 * A request speaks with an address of its VSI-interface and is routed like any packet of ours, so resolution and
 * the fragmentation of IPv4 are as always, IPv6 is cut here to the MTU of the VSI-interface; no policy applies. The answer comes back by the CPU port and is matched by identifier, sequence
 * number, VRF and sender, and by its data (RFC 792: an echo has them back), which are random: a VM that we have asked once knows our
 * identifier and counts our numbers on, and could answer in the name of a host that is dead. On a distributed gateway that address exists on every other one as well, and a host answers to
 * the gateway that is nearest to it: with a host of another site only an `icmpSource` brings the answer here.
 *
 * Bounded: so many requests of people wait at once, each for a second. Tracks (control/tracks/) ask by it too, each one several times
 * at most.
 */

import { TTL_TAKEN } from "../../tables/counters.ts";
import { setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV4, TYPE_IPV6 } from "../../wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REQUEST } from "../../wire/icmp.ts";
import { ICMP6_BYTES, ICMP6_ECHO_REQUEST, sealIcmp6 } from "../../wire/icmp6.ts";
import { IPV4_BYTES, type Ipv4, PROTO_ICMP, sum16 } from "../../wire/ipv4.ts";
import { IP6_DST, IP6_SRC, IPV6_BYTES, IPV6_LEAST_MTU, type Ipv6, writeIpv6 } from "../../wire/ipv6.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import { addressFor, type InterfaceObject } from "../inventory.ts";
import { asIpv4, asIpv6, type Ip } from "../ip.ts";
import type { Timer, Timers } from "../timers.ts";
import { fragmentIpv6 } from "./fragment6.ts";

export const ECHO_WAIT_MS = 1000;
export const ECHOES_AT_ONCE = 64;
const TTL = 64;
/** Of a track's packet: headers and 28 bytes. */
const WATCH_BYTES = 56;
/** Random bytes at the head of the data; shorter data are all random. */
const NONCE_BYTES = 8;
/** An echo of IPv6 is no shorter. */
export const ECHO6_LEAST_BYTES = IPV6_BYTES + ICMP6_BYTES;
/** One that is charged with no search of anybody's. */
const NO_PORT = 0;
/** A packet of our own, that nothing has provoked. */
const OURS: Omit<HeldFrame, "bytes"> = {
  ...{ flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units: 1 },
  ...{ port: NO_PORT, vsi: 0, worker: 0, watchId: 0 },
};

export interface EchoAnswer {
  readonly rttMs: number;
  /** TTL or hop limit, as it arrived. */
  readonly ttl: number;
}

interface Pending {
  readonly vrf: number;
  readonly to: Ip;
  /** Its data begin so. */
  readonly nonce: Uint8Array;
  readonly sentMs: number;
  readonly timer: Timer;
  readonly isPersons: boolean;
  readonly done: (answer: EchoAnswer | null) => void;
}

export class Pinger {
  private readonly injector: Injector;
  private readonly timers: Timers;
  private readonly random: () => number;
  private readonly identifier: number;
  private readonly pending = new Map<number, Pending>();
  private sequence = 0;

  constructor(injector: Injector, timers: Timers, random: () => number) {
    this.injector = injector;
    this.timers = timers;
    this.random = random;
    this.identifier = Math.floor(random() * 0x10000);
  }

  /**
   * One request of `length` bytes (the IP packet) to `to`. `done` is called once: null after a second without an answer.
   * @param nowMs the exact time; the round's may be old. @returns false when it could not be sent.
   */
  ask(iface: InterfaceObject, to: Ip, length: number, nowMs: number, done: Pending["done"]): boolean {
    let persons = 0;
    for (const { isPersons } of this.pending.values()) if (isPersons) persons++;
    if (persons >= ECHOES_AT_ONCE) return false;
    const packet = this.request(sourceOf(iface, to), to, length);
    const mtu = Math.max(IPV6_LEAST_MTU, iface.mtu);
    const isCut = typeof to === "bigint" && packet.length - ETH_BYTES > mtu;
    for (const piece of isCut ? fragmentIpv6(packet, mtu, this.sequence) : [packet])
      if (!this.injector.route(iface.vrf, NO_PORT, piece, 0)) return false;
    this.await({ vrf: iface.vrf, to, nonce: nonceOf(packet), sentMs: nowMs, isPersons: true, done }, ECHO_WAIT_MS);
    return true;
  }

  /** A small request for a track, through the next hop `adjacency`, or by the table (0). @returns false when it could not be sent. */
  watch(iface: InterfaceObject, to: Ip, adjacency: number, waitMs: number, done: Pending["done"]): boolean {
    const packet = this.request(sourceOf(iface, to), to, WATCH_BYTES);
    const isSent =
      adjacency === 0
        ? this.injector.route(iface.vrf, NO_PORT, packet, 0)
        : this.injector.viaAdjacency(adjacency, { ...OURS, bytes: packet }, TTL_TAKEN);
    if (!isSent) return false;
    const nonce = nonceOf(packet);
    this.await({ vrf: iface.vrf, to, nonce, sentMs: this.timers.exactMs, isPersons: false, done }, waitMs);
    return true;
  }

  /** An intact echo reply came to one of our addresses in `vrf`, at the exact time `nowMs`. */
  heard(vrf: number, from: Ip, message: Uint8Array, ttl: number, nowMs: number): void {
    if (u16(message, 4) !== this.identifier) return;
    const sequence = u16(message, 6);
    const waiting = this.pending.get(sequence);
    if (waiting === undefined || waiting.vrf !== vrf || waiting.to !== from) return;
    if (!waiting.nonce.every((byte, i) => message[ICMP_BYTES + i] === byte)) return;
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

  private request(from: Ip, to: Ip, length: number): Uint8Array {
    this.sequence = (this.sequence + 1) & 0xffff;
    return typeof to === "number" ? this.request4(asIpv4(from), to, length) : this.request6(asIpv6(from), to, length);
  }

  private request4(from: Ipv4, to: Ipv4, length: number): Uint8Array {
    const frame = new Uint8Array(ETH_BYTES + length);
    setU16(frame, ETH_TYPE, TYPE_IPV4);
    emitIpv4(frame, ETH_BYTES, length, from, to, PROTO_ICMP, 0, TTL, this.sequence);
    const at = ETH_BYTES + IPV4_BYTES;
    frame[at] = ICMP_ECHO_REQUEST;
    this.fill(frame, at);
    setU16(frame, at + 2, ~sum16(frame, at, frame.length - at, 0) & 0xffff);
    return frame;
  }

  private request6(from: Ipv6, to: Ipv6, length: number): Uint8Array {
    const bytes = Math.max(length, ECHO6_LEAST_BYTES);
    const frame = new Uint8Array(ETH_BYTES + bytes);
    setU16(frame, ETH_TYPE, TYPE_IPV6);
    writeIpv6(frame, ETH_BYTES + IP6_SRC, from);
    writeIpv6(frame, ETH_BYTES + IP6_DST, to);
    const at = ETH_BYTES + IPV6_BYTES;
    frame[at] = ICMP6_ECHO_REQUEST;
    this.fill(frame, at);
    sealIcmp6(frame, ETH_BYTES, bytes - IPV6_BYTES);
    return frame;
  }

  /** Identifier, sequence number and data of the message at `at`: in both families at the same place. */
  private fill(frame: Uint8Array, at: number): void {
    setU16(frame, at + 4, this.identifier);
    setU16(frame, at + 6, this.sequence);
    const data = at + ICMP_BYTES;
    for (let i = data; i < frame.length; i++)
      frame[i] = i < data + NONCE_BYTES ? Math.floor(this.random() * 0x100) : i & 0xff;
  }
}

/** The random bytes of a request: behind the IP header that is ours, without options. */
function nonceOf(packet: Uint8Array): Uint8Array {
  const isIpv6 = u16(packet, ETH_TYPE) === TYPE_IPV6;
  const data = ETH_BYTES + (isIpv6 ? IPV6_BYTES : IPV4_BYTES) + ICMP_BYTES;
  return packet.slice(data, data + NONCE_BYTES);
}

/** The address an echo of `iface` speaks with: its own, where it has one, else the one in the host's subnet, else the first; 0: it has none. */
export function sourceOf(iface: InterfaceObject, to: Ip): Ip {
  const { icmpSource, icmpSource6 } = iface.config;
  return (typeof to === "number" ? icmpSource?.ip : icmpSource6?.ip) ?? addressFor(iface, to);
}
