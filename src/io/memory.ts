/**
 * The fake input and output: ACs and an underlay switch in memory.
 *
 * A `MemoryNet` is the world outside: TAPs that a test plays the VM behind, and an underlay that carries datagrams between
 * VTEP addresses, with loss, duplication, reordering and corruption by seed. A `MemoryIo` is one worker's window to it.
 * Everything is synchronous: `exchange` never waits, and time is what the net's clock says.
 *
 * With several workers a TAP has a queue for each, and an address an inbox for each. Both are chosen as the kernel chooses:
 * the inbox by a hash of the outer addresses and ports (SO_REUSEPORT), the queue by the one on which the flow's other
 * direction was written last, else by a hash (tun's "tx follows rx").
 *
 * It honours the contract to the letter, hostile parts included: frames lie 64-byte aligned behind their headroom, the
 * arena is refilled at every exchange, unknown senders have source 0, and errors can be scripted per port.
 */
import { SocketAddress } from "node:net";
import type { PortIo } from "./port-io.ts";
import * as contract from "./port-io.ts";

const EBADF = -9;
const ENODEV = -19;
const EMSGSIZE = -90;
const EHOSTUNREACH = -113;
/** Sending sockets of a worker: so many that a few flows of a test come to every worker of the receiver. */
const SOURCE_PORTS = 16;

/** A datagram on the underlay, as a test sees it. */
export type Datagram = {
  readonly from: string;
  readonly to: string;
  readonly tos: number;
  readonly entropy: number;
  readonly bytes: Uint8Array;
};

/** The VM's end of an AC. */
export class MemoryTap {
  /** One for each queue. */
  readonly fds: readonly number[];
  /** Frames on their way to the gateway, by queue. */
  readonly queues: readonly Uint8Array[][];
  /** Called with each frame the gateway sends. */
  receive: (frame: Uint8Array) => void = () => {};
  /** Set to a negative errno to make the gateway's writes fail. */
  error = 0;
  /** By flow: the queue on which the gateway wrote it last. */
  private readonly written = new Map<string, number>();

  constructor(fds: readonly number[]) {
    this.fds = fds;
    this.queues = fds.map(() => []);
  }

  get fd(): number {
    return this.fds[0]!;
  }

  /** The first queue: all there are, where there is one. */
  get toGateway(): Uint8Array[] {
    return this.queues[0]!;
  }

  /** The VM sends a frame. */
  send(frame: Uint8Array): void {
    const flow = this.queues.length === 1 ? "" : flowOf(frame);
    this.queues[this.written.get(flow) ?? hashOf(flow) % this.queues.length]!.push(frame.slice());
  }

  /** The gateway sends a frame by one of the queues. */
  take(frame: Uint8Array, queue: number): void {
    if (this.queues.length > 1) this.written.set(flowOf(frame), queue);
    this.receive(frame);
  }
}

/** What the underlay does to datagrams, as probabilities 0..1. */
export type Faults = { loss: number; duplicate: number; reorder: number; corrupt: number };

export class MemoryNet {
  readonly faults: Faults = { loss: 0, duplicate: 0, reorder: 0, corrupt: 0 };
  /** Underlay IP MTU: a longer datagram is refused with EMSGSIZE, as a DF socket would. */
  mtu = 1500;
  nowMs = 0;
  /** What lies in an arena where nothing was received: 0xa5, or something else to show that it is not read. */
  stale = 0xa5;
  /** Called with each datagram that was sent, before faults. */
  observe: (datagram: Datagram) => void = () => {};
  private readonly taps = new Map<number, MemoryTap>();
  private readonly inboxes = new Map<string, Datagram[][]>();
  private readonly cut = new Set<string>();
  private nextFd = 100;
  private state: number;

  constructor(seed = 1) {
    this.state = seed | 0 || 1;
  }

  tap(queues = 1): MemoryTap {
    const tap = new MemoryTap(Array.from({ length: queues }, () => this.nextFd++));
    for (const fd of tap.fds) this.taps.set(fd, tap);
    return tap;
  }

  tapOf(fd: number): MemoryTap | undefined {
    return this.taps.get(fd);
  }

  /** Where datagrams to `address` wait, for worker `worker` there. Opening it makes the address exist. */
  inbox(address: string, worker = 0): Datagram[] {
    const all = this.inboxes.get(address) ?? [];
    this.inboxes.set(address, all);
    while (all.length <= worker) all.push([]);
    return all[worker]!;
  }

  /** Cut or mend the path from one address to another, one direction only. */
  partition(from: string, to: string, isCut: boolean): void {
    if (isCut) this.cut.add(`${from}>${to}`);
    else this.cut.delete(`${from}>${to}`);
  }

  /** Put a datagram on the underlay. @returns 0 or a negative errno, as a socket would. */
  carry(datagram: Datagram): number {
    if (datagram.bytes.length + 28 > this.mtu) return EMSGSIZE;
    const inboxes = this.inboxes.get(datagram.to);
    if (inboxes === undefined) return EHOSTUNREACH;
    const inbox = inboxes[hashOf(`${datagram.from} ${datagram.entropy % SOURCE_PORTS}`) % inboxes.length]!;
    this.observe(datagram);
    if (this.cut.has(`${datagram.from}>${datagram.to}`) || this.random() < this.faults.loss) return 0;
    const bytes = datagram.bytes;
    if (this.random() < this.faults.corrupt)
      bytes[Math.floor(this.random() * bytes.length)]! ^= 1 << (this.random() * 8);
    const place = this.random() < this.faults.reorder ? Math.floor(this.random() * (inbox.length + 1)) : inbox.length;
    inbox.splice(place, 0, datagram);
    if (this.random() < this.faults.duplicate) inbox.push({ ...datagram, bytes: bytes.slice() });
    return 0;
  }

  /** xorshift32: 0 ≤ x < 1, the same for the same seed. */
  random(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) / 0x100000000;
  }
}

type Peer = { readonly address: string; error: number };
/** A TAP as one worker holds it. */
type Held = { readonly tap: MemoryTap; readonly queue: number; readonly reads: boolean };

export class MemoryIo implements PortIo {
  readonly arena: Uint8Array;
  readonly scratchAt: number;
  readonly frames = new Int32Array(contract.MAX_FRAMES * contract.FRAME_WORDS);
  readonly sends = new Int32Array(contract.MAX_SENDS * contract.SEND_WORDS);
  readonly status = new Int32Array(contract.STATUS_WORDS);
  private readonly net: MemoryNet;
  private readonly address: string;
  private readonly inbox: Datagram[];
  private readonly taps = new Map<number, Held>();
  private readonly peers = new Map<number, Peer>();
  private readonly portOf = new Map<string, number>();

  /** @param address the VTEP address, as text. */
  constructor(net: MemoryNet, address: string, arenaBytes = 1 << 20, worker = 0) {
    this.net = net;
    this.address = address;
    this.inbox = net.inbox(address, worker);
    this.arena = new Uint8Array(arenaBytes);
    this.scratchAt = arenaBytes >> 1;
  }

  exchange(sendCount: number, _timeoutMs: number): number {
    let failed = 0;
    for (let i = 0; i < sendCount; i++) {
      const s = i * contract.SEND_WORDS;
      const error = this.send(s);
      this.sends[s + contract.S_ERROR] = error;
      this.sends[s + contract.S_DONE] = error === 0 ? this.sends[s + contract.S_UNITS]! : 0;
      if (error !== 0) failed++;
    }
    this.status[contract.STATUS_FAILED] = failed;
    this.status[contract.STATUS_NOW_MS] = this.net.nowMs | 0;
    return this.receive();
  }

  attachTap(port: number, fd: number): number {
    return this.hold(port, fd, true);
  }

  attachTapToWrite(port: number, fd: number): number {
    return this.hold(port, fd, false);
  }

  private hold(port: number, fd: number, reads: boolean): number {
    const tap = this.net.tapOf(fd);
    if (tap === undefined) return EBADF;
    this.taps.set(port, { tap, queue: tap.fds.indexOf(fd), reads });
    return 0;
  }

  attachPeer(port: number, at: number, addressLength: number, _udpPort: number): number {
    const address = addressText(this.arena.subarray(at, at + addressLength));
    this.peers.set(port, { address, error: 0 });
    this.portOf.set(address, port);
    return 0;
  }

  detach(port: number): void {
    const peer = this.peers.get(port);
    if (peer !== undefined) this.portOf.delete(peer.address);
    this.peers.delete(port);
    this.taps.delete(port);
  }

  gather(_chain: number, _at: number): number {
    return 0; // memory frames never have slices
  }

  /** Make sends to the tunnel behind io port `port` fail with `errno`, 0 to heal. */
  failPeer(port: number, errno: number): void {
    const peer = this.peers.get(port);
    if (peer !== undefined) peer.error = errno;
  }

  private send(s: number): number {
    const port = this.sends[s + contract.S_PORT]!;
    const at = this.sends[s + contract.S_AT]!;
    const bytes = this.arena.slice(at, at + this.sends[s + contract.S_LENGTH]!);
    const held = this.taps.get(port);
    if (held !== undefined) {
      if (held.tap.error !== 0) return held.tap.error;
      held.tap.take(bytes, held.queue);
      return 0;
    }
    const peer = this.peers.get(port);
    if (peer === undefined) return ENODEV;
    if (peer.error !== 0) return peer.error;
    const [tos, entropy] = [this.sends[s + contract.S_TOS]!, this.sends[s + contract.S_ENTROPY]!];
    return this.net.carry({ from: this.address, to: peer.address, tos, entropy, bytes });
  }

  private receive(): number {
    this.arena.fill(this.net.stale, 0, this.scratchAt); // stale bytes of the last batch must not help anybody
    let n = 0;
    let cursor = 0;
    const place = (bytes: Uint8Array, source: number, offset: number, datagram: Datagram | null): void => {
      const at = ((cursor + contract.HEADROOM + 63) & ~63) - offset;
      this.arena.set(bytes, at);
      cursor = at + bytes.length;
      const f = n++ * contract.FRAME_WORDS;
      this.frames.fill(0, f, f + contract.FRAME_WORDS);
      this.frames[f + contract.F_AT] = at;
      this.frames[f + contract.F_LENGTH] = bytes.length;
      this.frames[f + contract.F_HEAD] = bytes.length;
      this.frames[f + contract.F_SOURCE] = source;
      this.frames[f + contract.F_FLAGS] = 0;
      this.frames[f + contract.F_UNITS] = 1;
      this.frames[f + contract.F_OUTER_SOURCE] = datagram === null ? 0 : addressWord(datagram.from);
      if (datagram !== null && source === 0) describeStranger(this.frames, f, datagram);
      this.frames[f + contract.F_OUTER_TOS] = datagram === null ? 0 : datagram.tos;
    };
    const hasRoom = (bytes: Uint8Array): boolean =>
      n < contract.MAX_FRAMES && cursor + bytes.length + 2 * contract.HEADROOM + 64 < this.scratchAt;
    for (const [port, { tap, queue, reads }] of this.taps) {
      const waiting = reads ? tap.queues[queue]! : [];
      while (waiting.length > 0 && hasRoom(waiting[0]!)) place(waiting.shift()!, port, 0, null);
    }
    while (this.inbox.length > 0 && hasRoom(this.inbox[0]!.bytes)) {
      const datagram = this.inbox.shift()!;
      place(datagram.bytes, this.portOf.get(datagram.from) ?? 0, contract.VXLAN_BYTES, datagram);
    }
    this.status[contract.STATUS_ARENA_BYTES] = cursor;
    return n;
  }

  /** Is there anything to receive? */
  get waiting(): boolean {
    if (this.inbox.length > 0) return true;
    for (const { tap, queue, reads } of this.taps.values()) if (reads && tap.queues[queue]!.length > 0) return true;
    return false;
  }
}

/** Address bytes as text: dotted for 4, hex groups for 16 (a key, not RFC 5952). */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16));
  // As a configuration has it (RFC 5952).
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}

/** As the kernel's io does for a sender that is no peer. */
function describeStranger(frames: Int32Array, f: number, { from, entropy }: Datagram): void {
  frames[f + contract.F_OUTER_PORT] = 49152 | (entropy & 0x3fff);
  if (!from.includes(":")) return;
  frames[f + contract.F_OUTER_PORT]! |= contract.OUTER_IPV6;
  const [head = "", tail = ""] = from.split("::").map((half) =>
    half
      .split(":")
      .map((group) => group.padStart(4, "0"))
      .join(""),
  );
  const bytes = Buffer.from(head + "0".repeat(32 - head.length - tail.length) + tail, "hex");
  for (let i = 0; i < 4; i++)
    frames[f + (i === 0 ? contract.F_OUTER_SOURCE : contract.F_OUTER_REST + i - 1)] = bytes.readInt32BE(4 * i);
}

function addressWord(address: string): number {
  return address.includes(":") ? 0 : address.split(".").reduce((word, part) => (word << 8) | Number(part), 0);
}

/** What the kernel takes for the same flow in both directions: addresses and ports in one order, else the type alone. */
function flowOf(frame: Uint8Array): string {
  const u16 = (at: number): number => (frame[at]! << 8) | frame[at + 1]!;
  if (frame.length < 34 || u16(12) !== 0x0800) return `type ${u16(12)}`;
  const ports = 14 + 4 * (frame[14]! & 15);
  const hasPorts = (frame[23] === 6 || frame[23] === 17) && (u16(20) & 0x3fff) === 0 && frame.length >= ports + 4;
  const ends = [0, 1].map((i) => `${frame.slice(26 + 4 * i, 30 + 4 * i)}:${hasPorts ? u16(ports + 2 * i) : 0}`);
  return `${frame[23]} ${ends.sort().join(" ")}`;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The longest frame a test may send. */
export const LONGEST = contract.MAX_FRAME_BYTES;
