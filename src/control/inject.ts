/**
 * Control's only way to send: records in the workers' inject rings.
 *
 * Frames are copied into the ring, so the caller may reuse its bytes. They are whole Ethernet frames without a VLAN tag
 * (the AC's tag is put on by egress.ts). A full ring refuses: the frame is not sent, the caller is told, and it is counted.
 *
 * Commands are never refused: COMMAND_BYTES of each ring are not given to frames, and what does not fit even there (a worker
 * is stuck) waits here, in order, until there is room. That is bounded in time: the process ends when a worker stays away.
 */
import {
  COMMAND_ATTACH_PEER,
  COMMAND_ATTACH_TAP,
  COMMAND_DETACH,
  COMMAND_WRITE_TAP,
  INJECT,
  SCOPE_ACS,
  SCOPE_TUNNELS,
  TTL_TAKEN,
} from "../tables/counters.ts";
import type { Ring } from "../tables/ring.ts";
import * as records from "../tables/ring.ts";
import { u16 } from "../wire/bytes.ts";
import { ETH_TYPE, TYPE_IPV6 } from "../wire/ethernet.ts";

/** A frame with what the io needs to know of it, when it is not a plain one. Offsets as in port-io.ts. */
export type HeldFrame = {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  readonly units: number;
  /** Bridge port it came from. */
  readonly port: number;
  /** VSI it came in by; 0: a packet of our own. */
  readonly vsi: number;
  /** The worker that punted it: it goes back the same way, so that its flow stays in order. */
  readonly worker: number;
  /** Its number for those who watch; 0: unwatched. */
  readonly watchId: number;
};

/** The frame of the record at `at`. The bytes are the ring's until `release`: a handler that keeps them copies them. */
export function heldFrameAt(ring: Ring, at: number, worker: number): HeldFrame {
  const w = ring.words;
  return {
    bytes: bytesOf(ring, at),
    flags: w[at + records.R_FLAGS]!,
    gsoSize: w[at + records.R_GSO_SIZE]!,
    csumStart: w[at + records.R_CSUM_START]!,
    csumOffset: w[at + records.R_CSUM_OFFSET]!,
    units: w[at + records.R_UNITS]!,
    port: w[at + records.R_PORT]!,
    vsi: w[at + records.R_VSI]!,
    worker,
    watchId: w[at + records.R_WATCH_ID]!,
  };
}

/** The bytes behind the head of the record at word `at`: the ring's, until it is released. */
export function bytesOf(ring: Ring, at: number): Uint8Array {
  const from = ring.frameAt(at);
  return ring.bytes.subarray(from, from + ring.words[at + records.R_LENGTH]!);
}

export const ALL_PORTS = SCOPE_ACS | SCOPE_TUNNELS;
export const ONLY_ACS = SCOPE_ACS;
export const ONLY_TUNNELS = SCOPE_TUNNELS;

/** Room of a ring that is for commands: several for every io port. */
export const COMMAND_BYTES = 512 << 10;

interface Command {
  readonly kind: number;
  readonly io: number;
  readonly arg: number;
  readonly bytes: Uint8Array;
}

/** Is the packet in it IPv6? */
export function isIpv6({ bytes }: HeldFrame): boolean {
  return u16(bytes, ETH_TYPE) === TYPE_IPV6;
}

export class Injector {
  private readonly rings: readonly Ring[];
  private readonly wake: (worker: number) => void;
  /** Records that did not fit, ever. */
  refused = 0;
  /** Number of the punted frame that is being handled: what is sent meanwhile is sent because of it. 0: of none. */
  cause = 0;

  /** @param wake rings worker k's doorbell; called once per `flush`. */
  constructor(rings: readonly Ring[], wake: (worker: number) => void) {
    this.rings = rings;
    this.wake = wake;
    this.dirty = rings.map(() => false);
    this.late = rings.map(() => []);
  }

  private readonly dirty: boolean[];
  /** Commands that found no room, by worker. */
  private readonly late: Command[][];

  /** Has worker k taken everything that it was told? */
  isDrained(worker: number): boolean {
    return this.late[worker]!.length === 0 && this.rings[worker]!.isEmpty;
  }

  /** Send `frame` out of one bridge port, in `vsi`. */
  toPort(vsi: number, port: number, frame: Uint8Array, worker = 0): boolean {
    return this.push(worker, INJECT.port, port, vsi, 0, 0, frame, null);
  }

  /** Flood `frame` in `vsi`, leaving out `except` (0: none). `scope`: ALL_PORTS, ONLY_ACS or ONLY_TUNNELS. Flood policy does not apply. */
  flood(vsi: number, except: number, scope: number, frame: Uint8Array, worker = 0): boolean {
    return this.push(worker, INJECT.flood, except, vsi, scope, 0, frame, null);
  }

  /** Send a routed frame through `adjacency`. `ttlTaken`: 0, or TTL_TAKEN when its TTL is already one less. */
  viaAdjacency(adjacency: number, held: HeldFrame, ttlTaken = 0): boolean {
    return this.push(held.worker, INJECT.adjacency, held.port, held.vsi, adjacency, ttlTaken, held.bytes, held);
  }

  /**
   * Send a packet of our own to its destination, by the table of `vrf`. It is charged to bridge port `port`, whose packet
   * provoked it: what it makes control do (a search) is within that port's share.
   */
  route(vrf: number, port: number, packet: Uint8Array, worker: number): boolean {
    return this.push(worker, INJECT.route, port, 0, vrf, TTL_TAKEN, packet, null);
  }

  /** Let worker 0 treat `bytes` as if they had arrived at io port `io`. */
  arrive(io: number, bytes: Uint8Array): boolean {
    return this.push(0, INJECT.arrival, io, 0, 0, 0, bytes, null);
  }

  /**
   * Let every worker send to a TAP, by its own queue. A TAP with one queue (handed over, or made so by an earlier run) has
   * one fd: one worker reads it, so that its frames stay in order, and all write it. Which one: io port numbers are given
   * out in turn, so the TAPs are spread.
   */
  attachTap(io: number, fds: readonly number[]): void {
    for (let k = 0; k < this.rings.length; k++) this.giveTap(k, io, fds);
  }

  /** Make a remote VTEP known to every worker. `address`: 4 or 16 bytes. */
  attachPeer(io: number, address: Uint8Array, udpPort: number): void {
    for (let k = 0; k < this.rings.length; k++) this.command(k, COMMAND_ATTACH_PEER, io, udpPort, address);
  }

  /** Let one worker forget a TAP and take it again. */
  renewTap(worker: number, io: number, fds: readonly number[]): void {
    this.command(worker, COMMAND_DETACH, io, 0, NOTHING);
    this.giveTap(worker, io, fds);
  }

  /** Let one worker forget a remote VTEP and take it again. */
  renewPeer(worker: number, io: number, address: Uint8Array, udpPort: number): void {
    this.command(worker, COMMAND_DETACH, io, 0, NOTHING);
    this.command(worker, COMMAND_ATTACH_PEER, io, udpPort, address);
  }

  /** Make every worker forget an io port. */
  detach(io: number): void {
    for (let k = 0; k < this.rings.length; k++) this.command(k, COMMAND_DETACH, io, 0, NOTHING);
  }

  /** Ring the doorbell of each worker that has new records. Called in every round. */
  flush(): void {
    for (let k = 0; k < this.dirty.length; k++) {
      const late = this.late[k]!;
      let n = 0;
      while (n < late.length && this.give(k, late[n]!)) n++;
      late.splice(0, n);
      if (!this.dirty[k]) continue;
      this.dirty[k] = false;
      this.wake(k);
    }
  }

  private giveTap(worker: number, io: number, fds: readonly number[]): void {
    const workers = this.rings.length;
    const hasQueues = fds.length >= workers;
    const isReader = hasQueues || worker === io % workers;
    const fd = hasQueues ? fds[worker]! : fds[0]!;
    this.command(worker, isReader ? COMMAND_ATTACH_TAP : COMMAND_WRITE_TAP, io, fd, NOTHING);
  }

  private command(worker: number, kind: number, io: number, arg: number, bytes: Uint8Array): void {
    const command = { kind, io, arg, bytes: bytes.slice() };
    const late = this.late[worker]!;
    if (late.length > 0 || !this.give(worker, command)) late.push(command);
  }

  private give(worker: number, { kind, io, arg, bytes }: Command): boolean {
    return this.write(worker, kind, io, 0, arg, 0, bytes, null);
  }

  /** A frame: what is left for commands is not touched. */
  private push(
    worker: number,
    kind: number,
    port: number,
    vsi: number,
    arg: number,
    arg2: number,
    bytes: Uint8Array,
    held: HeldFrame | null,
  ): boolean {
    const fits =
      this.rings[worker]!.leaves(COMMAND_BYTES, bytes.length) &&
      this.write(worker, kind, port, vsi, arg, arg2, bytes, held);
    if (!fits) this.refused++;
    return fits;
  }

  private write(
    worker: number,
    kind: number,
    port: number,
    vsi: number,
    arg: number,
    arg2: number,
    bytes: Uint8Array,
    held: HeldFrame | null,
  ): boolean {
    const ring = this.rings[worker]!;
    const at = ring.reserve(bytes.length);
    if (at < 0) return false;
    const words = ring.words;
    words[at + records.R_KIND] = kind;
    words[at + records.R_PORT] = port;
    words[at + records.R_VSI] = vsi;
    words[at + records.R_ARG] = arg;
    words[at + records.R_ARG2] = arg2;
    words[at + records.R_FLAGS] = held?.flags ?? 0;
    words[at + records.R_GSO_SIZE] = held?.gsoSize ?? 0;
    words[at + records.R_CSUM_START] = held?.csumStart ?? 0;
    words[at + records.R_CSUM_OFFSET] = held?.csumOffset ?? 0;
    words[at + records.R_UNITS] = held?.units ?? 1;
    // What waited goes on because of itself, whatever has let it go.
    words[at + records.R_CAUSE] = held?.watchId ?? this.cause;
    ring.bytes.set(bytes, (at + records.RECORD_WORDS) << 2);
    ring.commit();
    this.dirty[worker] = true;
    return true;
  }
}

const NOTHING = new Uint8Array(0);
