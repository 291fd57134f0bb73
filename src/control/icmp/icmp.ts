/**
 * ICMP from the gateway (RFC 792, RFC 1812 §4.3): echo to our addresses, and errors about what could not be forwarded.
 *
 * Echo replies go back where the request came from: out of the ingress port, to the frame's own source MAC, so they never
 * need an ARP entry; they speak with the address that was pinged. Errors are routed to the packet's source (way.ts).
 *
 * What may not be answered (RFC 1812 §4.3.2.7) and what is over the rate is dropped under its own reason. To our own
 * addresses we speak ICMP alone: UDP gets port unreachable, so that traceroute ends; TCP gets silence (a gateway without
 * a TCP stack has nothing to reset); other protocols get protocol unreachable. All of these count as `not_forwarded`.
 */
import { DROP, MTU_BRIDGED, MTU_FLOODED } from "../../tables/counters.ts";
import { i32, setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, isGroup, readMac, TYPE_IPV4, writeMac } from "../../wire/ethernet.ts";
import {
  CODE_FRAGMENTATION_NEEDED,
  CODE_HOST_UNREACHABLE,
  CODE_PORT_UNREACHABLE,
  CODE_PROTOCOL_UNREACHABLE,
  echoReply,
  emitIcmpError,
  emitIpv4,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_ERROR_MAX_BYTES,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  isIcmpIntact,
  mayAnswerError,
} from "../../wire/icmp.ts";
import {
  checkIpv4,
  FRAGMENT_DF,
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  formatIpv4,
  headerBytes,
  IP_DST,
  IP_FRAGMENT,
  IP_ID,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TOS,
  IP_TTL,
  IPV4_BAD_CHECKSUM,
  IPV4_BYTES,
  IPV4_OK,
  type Ipv4,
  maskOf,
  PROTO_ICMP,
  PROTO_TCP,
  PROTO_UDP,
} from "../../wire/ipv4.ts";
import { type Emit, portField } from "../event.ts";
import { CONSUMED, type Fate, HELD, REINJECTED } from "../fate.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import {
  type InterfaceObject,
  type Inventory,
  isOwnAddress,
  type PortObject,
  subnetOf,
  type VsiObject,
} from "../inventory.ts";
import type { Ledger } from "../ledger.ts";
import type { LimitsConfig } from "../plan.ts";
import type { Timers } from "../timers.ts";
import { finishChecksum, fragmentIpv4 } from "./fragment.ts";
import type { Pinger } from "./ping.ts";
import { IcmpRate } from "./rate.ts";
import { Reassembly } from "./reassembly.ts";
import type { ErrorWay, ErrorWays } from "./way.ts";

/** Of the frame's flags word (ring.ts R_FLAGS): the sender left the L4 checksum to us, and the type of a super-frame. */
export const FLAG_UNFINISHED_CHECKSUM = 0x100;
export const SUPER_FRAME_MASK = 0xff;

const L3 = ETH_BYTES;

export class Icmp {
  private readonly injector: Injector;
  private readonly inventory: Inventory;
  private readonly timers: Timers;
  private readonly ledger: Ledger;
  private readonly emit: Emit;
  private readonly ways: ErrorWays;
  private readonly pinger: Pinger;
  /** Of errors and echo replies, whichever family they are of. */
  readonly rate: IcmpRate;
  /** Echo requests to us that wait for the rest of their fragments. */
  readonly reassembly: Reassembly;
  private readonly out = new Uint8Array(ETH_BYTES + ICMP_ERROR_MAX_BYTES);
  private identification = 0;

  constructor(
    injector: Injector,
    inventory: Inventory,
    timers: Timers,
    ledger: Ledger,
    emit: Emit,
    limits: LimitsConfig,
    ways: ErrorWays,
    pinger: Pinger,
  ) {
    this.ways = ways;
    this.pinger = pinger;
    this.injector = injector;
    this.inventory = inventory;
    this.timers = timers;
    this.ledger = ledger;
    this.emit = emit;
    this.rate = new IcmpRate(limits);
    this.reassembly = new Reassembly(ledger, timers, (lost) => ledger.dropped(DROP.not_forwarded, lost));
  }

  setLimits(limits: LimitsConfig): void {
    this.rate.setLimits(limits);
  }

  flushPort(port: PortObject): void {
    this.rate.flushPort(port);
    this.reassembly.flushPort(port);
  }

  /** PUNT.local: IPv4 to an address of ours, of the VSI-interface in `row`. */
  local(frame: HeldFrame, row: number): Fate {
    const bad = checkPacket(frame);
    if (bad !== CONSUMED) return bad;
    const { bytes } = frame;
    const protocol = bytes[L3 + IP_PROTOCOL]!;
    if (protocol === PROTO_ICMP) return this.icmp(frame, row);
    const to = i32(bytes, L3 + IP_DST);
    if (protocol === PROTO_TCP) return DROP.not_forwarded;
    const code = protocol === PROTO_UDP ? CODE_PORT_UNREACHABLE : CODE_PROTOCOL_UNREACHABLE;
    return this.error(frame, to, ICMP_UNREACHABLE, code, 0, DROP.not_forwarded, DROP.not_forwarded);
  }

  /** PUNT.ttl: its TTL ended here. */
  ttl(frame: HeldFrame): Fate {
    return this.error(frame, null, ICMP_TIME_EXCEEDED, 0, 0, DROP.ttl_exceeded, DROP.ttl_exceeded);
  }

  /** PUNT.unreachable: no route, or one that says so. */
  unreachable(frame: HeldFrame, code: number): Fate {
    return this.error(frame, null, ICMP_UNREACHABLE, code, 0, DROP.no_route, DROP.no_route);
  }

  /** Its next hop is silent. */
  hostUnreachable(frame: HeldFrame): Fate {
    const reason = DROP.unresolved_timeout;
    return this.error(frame, null, ICMP_UNREACHABLE, CODE_HOST_UNREACHABLE, 0, reason, reason);
  }

  /** PUNT.mtu: `mtu` is too small for it. Routed by `adjacency`, or bridged (MTU_*). */
  tooBig(frame: HeldFrame, mtu: number, adjacency: number): Fate {
    const bad = checkPacket(frame);
    if (bad !== CONSUMED) return bad;
    const { bytes } = frame;
    const silent = adjacency === MTU_FLOODED ? CONSUMED : DROP.too_big;
    if ((u16(bytes, L3 + IP_FRAGMENT) & FRAGMENT_DF) !== 0)
      return this.error(frame, null, ICMP_UNREACHABLE, CODE_FRAGMENTATION_NEEDED, mtu, CONSUMED, silent);
    // A bridge does not fragment; and a super-frame without DF would have to be cut twice.
    if (adjacency <= MTU_BRIDGED || (frame.flags & SUPER_FRAME_MASK) !== 0) return silent;
    const packet = bytes.slice();
    const isUnfinished = (frame.flags & FLAG_UNFINISHED_CHECKSUM) !== 0;
    if (isUnfinished && !finishChecksum(packet, frame.csumStart, frame.csumOffset)) return DROP.csum_bad;
    const pieces = fragmentIpv4(packet, mtu);
    if (pieces === null) return DROP.too_big;
    for (const piece of pieces) {
      const part: HeldFrame = { ...frame, bytes: piece, flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units: 1 };
      if (!this.injector.viaAdjacency(adjacency, part)) return DROP.pool_exhausted;
    }
    return REINJECTED;
  }

  /** ICMP to one of our addresses: echo requests are answered, replies to our own are heard, the rest tells us nothing we do not know. */
  private icmp(frame: HeldFrame, row: number): Fate {
    const { bytes } = frame;
    const port = this.inventory.ports.get(frame.port);
    if (port === undefined) return DROP.ac_unbound;
    const header = headerBytes(bytes, L3);
    const payload = bytes.subarray(L3 + header, L3 + u16(bytes, L3 + IP_LENGTH));
    const word = u16(bytes, L3 + IP_FRAGMENT);
    const isTrusted = (frame.flags & FLAG_UNFINISHED_CHECKSUM) !== 0;
    if ((word & (FRAGMENT_MF | FRAGMENT_OFFSET)) === 0) return this.echo(frame, row, port, payload, isTrusted);
    const flow = `${i32(bytes, L3 + IP_SRC)} ${i32(bytes, L3 + IP_DST)} ${u16(bytes, L3 + IP_ID)}`;
    const added = this.reassembly.add(port, flow, (word & FRAGMENT_OFFSET) << 3, (word & FRAGMENT_MF) !== 0, payload);
    if (added.kind === "held") return HELD;
    const fate = added.kind === "complete" ? this.echo(frame, row, port, added.payload, false) : DROP.not_forwarded;
    // The fragments that waited share the fate of the last one.
    if (fate > 0) this.ledger.dropped(fate, { ...frame, units: added.units });
    else this.ledger.consumed(added.units);
    return fate;
  }

  private echo(frame: HeldFrame, row: number, port: PortObject, message: Uint8Array, isTrusted: boolean): Fate {
    if (message.length < 8) return DROP.ip_malformed;
    if (!isTrusted && !isIcmpIntact(message, 0, message.length)) return DROP.csum_bad;
    const vsi = this.inventory.vsis.get(frame.vsi);
    const iface = vsi?.interface;
    if (message[0] === ICMP_ECHO_REPLY) this.heard(frame, row, message);
    if (message[0] !== ICMP_ECHO_REQUEST) return CONSUMED;
    if (vsi === undefined || iface == null) return DROP.not_forwarded;
    if (isGroup(readMac(frame.bytes, ETH_DST))) return DROP.not_forwarded;
    if (!this.rate.admit(port, this.timers.nowMs)) return DROP.icmp_limited;
    const { bytes } = frame;
    const reply = new Uint8Array(ETH_BYTES + IPV4_BYTES + message.length);
    reply.set(message, ETH_BYTES + IPV4_BYTES);
    echoReply(reply, ETH_BYTES + IPV4_BYTES, message.length);
    const from = i32(bytes, L3 + IP_DST);
    const to = i32(bytes, L3 + IP_SRC);
    // RFC 1122 §3.2.2.6: the reply carries the request's TOS. The identification matters only if it is cut.
    this.identification = (this.identification + 1) & 0xffff;
    const total = IPV4_BYTES + message.length;
    emitIpv4(reply, L3, total, from, to, PROTO_ICMP, bytes[L3 + IP_TOS]!, 64, this.identification);
    this.sendBack(frame, vsi, port, iface, reply);
    this.emit("debug", "icmp.echo", { vsi: vsi.name, from: formatIpv4(to), to: formatIpv4(from) });
    return CONSUMED;
  }

  /** Of the VRF of the address, not of the arrival: the way back may lead through another one. */
  private heard({ bytes }: HeldFrame, row: number, message: Uint8Array): void {
    const owner = this.inventory.interfaces.get(row);
    if (owner === undefined) return;
    this.pinger.heard(owner.vrf, i32(bytes, L3 + IP_SRC), message, bytes[L3 + IP_TTL]!, this.timers.exactMs);
  }

  /**
   * Answer `frame` with an error, if it may be answered.
   * @param from our address; null: that of the way it takes.
   * @param answered its fate when the error was sent. @param silent its fate when it may not be answered.
   */
  private error(
    frame: HeldFrame,
    from: Ipv4 | null,
    type: number,
    code: number,
    rest: number,
    answered: Fate,
    silent: Fate,
  ): Fate {
    const bad = checkPacket(frame);
    if (bad !== CONSUMED) return bad;
    const { bytes } = frame;
    const port = this.inventory.ports.get(frame.port);
    const vsi = this.inventory.vsis.get(frame.vsi);
    const iface = vsi?.interface;
    if (port === undefined || vsi === undefined || iface == null) return silent;
    const source = i32(bytes, L3 + IP_SRC);
    if (!isErrorDue(bytes, iface)) return silent;
    const way = this.ways.of(iface, source);
    if (way.kind === "silent") return silent;
    if (!this.rate.admit(port, this.timers.nowMs)) return DROP.icmp_limited;
    const length = emitIcmpError(this.out, L3, bytes, L3, from ?? way.from, type, code, rest);
    this.sendError(frame, vsi, port, way, this.out.subarray(0, ETH_BYTES + length));
    const fields = { vsi: vsi.name, ...portField(port), to: formatIpv4(source), type, code };
    this.emit("debug", "icmp.error", { ...fields, interface: way.iface.name, way: way.kind });
    return answered;
  }

  private sendError(frame: HeldFrame, vsi: VsiObject, port: PortObject, way: ErrorWay, packet: Uint8Array): void {
    if (way.kind === "back") this.sendBack(frame, vsi, port, way.iface, packet);
    else {
      setU16(packet, ETH_TYPE, TYPE_IPV4);
      this.injector.route(way.iface.vrf, port.row, packet, frame.worker);
    }
  }

  /** Send an IPv4 packet (Ethernet header still empty) back to where `frame` came from, cut if it must be. */
  private sendBack(
    frame: HeldFrame,
    vsi: VsiObject,
    port: PortObject,
    iface: InterfaceObject,
    packet: Uint8Array,
  ): void {
    writeMac(packet, ETH_DST, readMac(frame.bytes, ETH_SRC));
    writeMac(packet, ETH_SRC, iface.mac);
    setU16(packet, ETH_TYPE, TYPE_IPV4);
    const mtu = Math.min(iface.mtu, port.mtu);
    const pieces = packet.length - ETH_BYTES <= mtu ? [packet] : (fragmentIpv4(packet, mtu) ?? []);
    for (const piece of pieces) this.injector.toPort(vsi.row, port.row, piece, frame.worker);
  }
}

/** May the packet in this frame, which came in by `iface`, be answered with an error at all (RFC 1812 §4.3.2.7)? */
export function isErrorDue(bytes: Uint8Array, iface: InterfaceObject): boolean {
  if (isGroup(readMac(bytes, ETH_DST)) || !mayAnswerError(bytes, L3)) return false;
  return !isOwnAddress(iface, i32(bytes, L3 + IP_SRC)) && !isBroadcastOf(iface, i32(bytes, L3 + IP_DST));
}

/** RFC 1812 §5.2.2 again: what waited in a ring is not trusted to be what the worker saw. CONSUMED: it is well-formed. */
export function checkPacket(frame: HeldFrame): Fate {
  const { bytes } = frame;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const status = checkIpv4(view, L3, bytes.length);
  if (status === IPV4_OK) return CONSUMED;
  return status === IPV4_BAD_CHECKSUM ? DROP.ip_checksum : DROP.ip_malformed;
}

function isBroadcastOf(iface: InterfaceObject, ip: Ipv4): boolean {
  const subnet = subnetOf(iface, ip);
  if (subnet === null || subnet.length >= 31) return false;
  const hostBits = ~maskOf(subnet.length);
  return (ip & hostBits) === hostBits || (ip & hostBits) === 0;
}
