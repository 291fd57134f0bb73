/**
 * Reassembly of packets to our own addresses: for echo requests alone, up to 8 KB (RFC 791 §3.2, RFC 1122 §3.3.2).
 *
 * Nothing that is forwarded is ever reassembled. Bounded: packets at once, per bridge port, fragments each, bytes each,
 * and time. Where all slots are taken, a port gets the oldest one of the port that has the most, if that has two more: so neither one VM nor
 * several can keep others out. A fragment that overlaps another one with different bounds makes the whole packet worthless (RFC 5722 §4 says
 * so for IPv6, and for the same reason); an exact duplicate is ignored.
 */

import type { PortObject } from "../inventory.ts";
import type { Ledger, Lost } from "../ledger.ts";
import type { Timers } from "../timers.ts";

/** Most bytes of IP payload: an ICMP header and 8 KB of data. */
export const REASSEMBLY_BYTES = 8 * 1024 + 8;
export const REASSEMBLY_PACKETS = 64;
export const REASSEMBLY_PER_PORT = 8;
export const REASSEMBLY_FRAGMENTS = 32;
export const REASSEMBLY_MS = 5000;
/** The fragments' headers are not kept. */
const NOTHING = new Uint8Array(0);

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Packet {
  readonly port: PortObject;
  readonly pieces: Piece[];
  /** Payload bytes in all, once the last fragment is here. */
  total: number;
  have: number;
  /** Wire packets held, for the ledger. */
  units: number;
  readonly sinceMs: number;
}

/** What became of a fragment. */
export type Added =
  | {
      readonly kind: "complete";
      readonly payload: Uint8Array /** Earlier fragments, held until now. */;
      readonly units: number;
    }
  | { readonly kind: "held" }
  /** Malformed, or over a bound. `units`: earlier fragments that go with it. */
  | { readonly kind: "refused"; readonly units: number };

export class Reassembly {
  private readonly ledger: Ledger;
  private readonly timers: Timers;
  /** Called with held wire packets whose other fragments did not come. */
  private readonly onExpired: (lost: Lost) => void;
  private readonly packets = new Map<string, Packet>();
  /** Fragments that began a packet and found no slot, ever. */
  refused = 0;

  constructor(ledger: Ledger, timers: Timers, onExpired: (lost: Lost) => void) {
    this.ledger = ledger;
    this.timers = timers;
    this.onExpired = onExpired;
    timers.every(1000, () => this.expire((packet) => timers.nowMs - packet.sinceMs >= REASSEMBLY_MS));
  }

  /** Packets that wait for fragments. */
  get size(): number {
    return this.packets.size;
  }

  /**
   * A fragment: `bytes` of IP payload at byte offset `at`, the last one unless `more`. It is copied.
   * @param flow what names the packet: source, destination, protocol, identification.
   */
  add(port: PortObject, flow: string, at: number, more: boolean, bytes: Uint8Array): Added {
    const key = `${port.row} ${flow}`;
    let packet = this.packets.get(key);
    const end = at + bytes.length;
    const isOdd = bytes.length === 0 || end > REASSEMBLY_BYTES || (more && (bytes.length & 7) !== 0);
    if (isOdd) return this.refuse(key, packet);
    if (packet === undefined) {
      if (!this.hasRoom(port)) {
        this.refused++;
        return { kind: "refused", units: 0 };
      }
      packet = { port, pieces: [], total: -1, have: 0, units: 0, sinceMs: this.timers.nowMs };
      this.packets.set(key, packet);
    }
    const isSame = packet.pieces.some((piece) => piece.at === at && piece.bytes.length === bytes.length);
    if (!isSame) {
      const overlaps = packet.pieces.some((piece) => at < piece.at + piece.bytes.length && piece.at < end);
      const contradicts = packet.total >= 0 && (!more || end > packet.total);
      const tooLate = !more && packet.pieces.some((piece) => piece.at + piece.bytes.length > end);
      if (overlaps || contradicts || tooLate || packet.pieces.length >= REASSEMBLY_FRAGMENTS)
        return this.refuse(key, packet);
      packet.pieces.push({ at, bytes: bytes.slice() });
      packet.have += bytes.length;
      if (!more) packet.total = end;
    }
    if (packet.have === packet.total) {
      const payload = new Uint8Array(packet.total);
      for (const piece of packet.pieces) payload.set(piece.bytes, piece.at);
      this.forget(key, packet);
      return { kind: "complete", payload, units: packet.units };
    }
    packet.units++;
    this.ledger.held++;
    return { kind: "held" };
  }

  flushPort(port: PortObject): void {
    this.expire((packet) => packet.port === port);
  }

  /** Is there a slot for one more packet of `port`, or one that is given up for it? */
  private hasRoom(port: PortObject): boolean {
    const counts = new Map<PortObject, number>();
    for (const packet of this.packets.values()) counts.set(packet.port, (counts.get(packet.port) ?? 0) + 1);
    const own = counts.get(port) ?? 0;
    if (own >= REASSEMBLY_PER_PORT) return false;
    if (this.packets.size < REASSEMBLY_PACKETS) return true;
    let most = port;
    for (const [other, count] of counts) if (count > (counts.get(most) ?? 0)) most = other;
    if ((counts.get(most) ?? 0) < own + 2) return false;
    // In the order in which they began.
    for (const [key, packet] of this.packets) if (packet.port === most) return this.giveUp(key, packet);
    return false;
  }

  private giveUp(key: string, packet: Packet): true {
    this.refused++;
    this.lose(key, packet);
    return true;
  }

  private refuse(key: string, packet: Packet | undefined): Added {
    if (packet === undefined) return { kind: "refused", units: 0 };
    this.forget(key, packet);
    return { kind: "refused", units: packet.units };
  }

  private expire(isOver: (packet: Packet) => boolean): void {
    for (const [key, packet] of this.packets) if (isOver(packet)) this.lose(key, packet);
  }

  private lose(key: string, packet: Packet): void {
    this.forget(key, packet);
    this.onExpired({ bytes: NOTHING, units: packet.units, port: packet.port.row, vsi: 0, watchId: 0 });
  }

  private forget(key: string, packet: Packet): void {
    this.packets.delete(key);
    this.ledger.held -= packet.units;
  }
}
