/**
 * The sockets of BFD: one to receive for each mode in use, and one to send for each session, whose source port is its own
 * (RFC 5881 §4: 49152 to 65535, and one for all packets of a session). What is inside VXLAN is received by the forwarding
 * threads, with all other VXLAN, and comes by their rings.
 *
 * What cannot be opened is a problem that is told and tried again; meanwhile nothing is sent either, so that no peer counts on a
 * session that cannot hear it.
 */
import { peerAddress } from "../../control/peer-address.ts";
import type { BfdMode } from "../../control/plan-bfd.ts";
import { IoError } from "../../io/addon.ts";
import { type HopDatagram, type HopSocket, openHopUdp } from "../../io/hop-udp.ts";
import { BFD_BYTES, BFD_MULTIHOP_PORT, BFD_PORT, type BfdPacket, writeBfd } from "../../wire/bfd.ts";
import { bfdDatagram } from "../../wire/bfd-vxlan.ts";
import type { SessionRequest } from "./speaker.ts";

/** Modes with a port of their own. */
type PortMode = Exclude<BfdMode, "vxlan">;
const PORTS: Readonly<Record<PortMode, number>> = { oneHop: BFD_PORT, multihop: BFD_MULTIHOP_PORT };
const FIRST_SOURCE = 49152;
const LAST_SOURCE = 65535;
const TRIES = 200;
/** Of one read: a flood must not keep what is due waiting. */
const MOST_READ = 512;

export interface SocketsRequest {
  readonly address: string;
  /** UDP port of VXLAN. */
  readonly vxlanPort: number;
  /** Source ports of VXLAN, which are not taken. */
  readonly reserved: { readonly first: number; readonly count: number };
}

export class BfdSockets {
  private readonly request: SocketsRequest;
  private readonly onReadable: () => void;
  private readonly random: () => number;
  private readonly receivers = new Map<PortMode, HopSocket>();
  private readonly senders = new Map<number, HopSocket>();
  private readonly packet = new Uint8Array(BFD_BYTES);
  private receiverProblem: string | null = null;
  /** By slot. */
  private readonly senderProblems = new Map<number, string>();

  constructor(request: SocketsRequest, onReadable: () => void, random: () => number) {
    this.request = request;
    this.onReadable = onReadable;
    this.random = random;
  }

  /** Why something is not open; null: all is. */
  get problem(): string | null {
    return this.receiverProblem ?? [...this.senderProblems.values()][0] ?? null;
  }

  /** Receive for these modes, and no others. */
  follow(modes: ReadonlySet<BfdMode>): void {
    this.receiverProblem = null;
    for (const [mode, socket] of this.receivers)
      if (!modes.has(mode)) {
        socket.close();
        this.receivers.delete(mode);
      }
    for (const mode of modes) if (mode !== "vxlan" && !this.receivers.has(mode)) this.openReceiver(mode);
  }

  /** @returns bytes of the datagram that left; 0: nothing is open (`problem`); or a negative errno. */
  send({ slot, remote, mode, vni = 0 }: SessionRequest, packet: BfdPacket): number {
    if (mode !== "vxlan" && !this.receivers.has(mode)) return 0;
    const socket = this.senders.get(slot) ?? this.openSender(slot);
    if (socket === null) return 0;
    const [port, bytes] = this.wrapped(mode, vni, slot, packet);
    return socket.send(remote, port, bytes) || bytes.length;
  }

  /** UDP port, and payload. */
  private wrapped(mode: BfdMode, vni: number, slot: number, packet: BfdPacket): [port: number, bytes: Uint8Array] {
    if (mode === "vxlan") {
      const { vxlanPort, address } = this.request;
      // The inner ports are the peer's thread of BFD's to see, and no other's.
      const outer = { vni, source: peerAddress(address), sourcePort: FIRST_SOURCE + slot };
      return [vxlanPort, bfdDatagram(outer, packet)];
    }
    writeBfd(packet, this.packet, 0);
    return [PORTS[mode], this.packet];
  }

  /** The session of `slot` has ended, or another one begins there. */
  release(slot: number): void {
    this.senders.get(slot)?.close();
    this.senders.delete(slot);
    this.senderProblems.delete(slot);
  }

  receive(take: (mode: BfdMode, datagram: HopDatagram) => void): void {
    for (const [mode, socket] of this.receivers) socket.receive(MOST_READ, (datagram) => take(mode, datagram));
  }

  close(): void {
    for (const socket of [...this.receivers.values(), ...this.senders.values()]) socket.close();
    this.receivers.clear();
    this.senders.clear();
  }

  private openReceiver(mode: PortMode): void {
    try {
      this.receivers.set(mode, openHopUdp(this.request.address, PORTS[mode], this.onReadable));
    } catch (error) {
      if (!(error instanceof IoError)) throw error;
      this.receiverProblem = error.message;
    }
  }

  private openSender(slot: number): HopSocket | null {
    const { address, reserved } = this.request;
    for (let tries = 0; tries < TRIES; tries++) {
      const port = FIRST_SOURCE + Math.floor(this.random() * (LAST_SOURCE - FIRST_SOURCE + 1));
      if (port >= reserved.first && port < reserved.first + reserved.count) continue;
      try {
        const socket = openHopUdp(address, port, null);
        this.senders.set(slot, socket);
        this.senderProblems.delete(slot);
        return socket;
      } catch (error) {
        if (!(error instanceof IoError)) throw error;
        if (error.code === "EADDRINUSE") continue;
        this.senderProblems.set(slot, error.message);
        return null;
      }
    }
    this.senderProblems.set(slot, `no source port from ${FIRST_SOURCE} on is free`);
    return null;
  }
}
