/**
 * ICMPv6 from the gateway (RFC 4443): echo to our addresses, and errors about what could not be forwarded, or bridged. IPv6 knows no
 * fragmentation on the way, so packet too big is the only thing that tells a sender of the overlay's MTU (behaviour.md §7.1).
 *
 * As with ICMP, echo replies go back where the request came from and speak with the address that was asked; errors are routed to the
 * packet's source (way.ts). Where a VSI-interface has no IPv6, a bridged packet that is too long is answered with the link-local
 * address of the gateway MAC (§2.2: a unicast address of the node). Rates are ICMP's, and so is the room for reassembly.
 */
import { DROP, MTU_BRIDGED, MTU_FLOODED } from "../../tables/counters.ts";
import { i32, setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, isGroup, readMac, TYPE_IPV6, writeMac } from "../../wire/ethernet.ts";
import { CODE_HOST_UNREACHABLE, CODE_PROHIBITED } from "../../wire/icmp.ts";
import {
  CODE6_ADDRESS,
  CODE6_NEXT_HEADER,
  CODE6_NO_ROUTE,
  CODE6_PORT,
  CODE6_PROHIBITED,
  checksum6,
  emitError6,
  ICMP6_BYTES,
  ICMP6_ECHO_REPLY,
  ICMP6_ECHO_REQUEST,
  ICMP6_ERROR_MAX_BYTES,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  mayAnswerError6,
  mayAnswerTooBig,
  sealIcmp6,
} from "../../wire/icmp6.ts";
import { PROTO_TCP, PROTO_UDP } from "../../wire/ipv4.ts";
import {
  FRAGMENT,
  formatIpv6,
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_ADDRESS_BYTES,
  IPV6_BYTES,
  IPV6_LEAST_MTU,
  type Ipv6,
  isSource6,
  PROTO_ICMP6,
  readIpv6,
  upperLayer,
  writeIpv6,
  writeLinkLocal,
} from "../../wire/ipv6.ts";
import { bump } from "../bump.ts";
import { type Emit, portField } from "../event.ts";
import { CONSUMED, type Fate, HELD } from "../fate.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import {
  hasIpv6,
  type InterfaceObject,
  type Inventory,
  isOwnAddress,
  type PortObject,
  type VsiObject,
} from "../inventory.ts";
import type { Ledger } from "../ledger.ts";
import type { Timers } from "../timers.ts";
import { fragmentIpv6 } from "./fragment6.ts";
import { FLAG_UNFINISHED_CHECKSUM, SUPER_FRAME_MASK } from "./icmp.ts";
import type { Pinger } from "./ping.ts";
import type { IcmpRate } from "./rate.ts";
import type { Reassembly } from "./reassembly.ts";
import type { ErrorWay, ErrorWays } from "./way.ts";

const L3 = ETH_BYTES;
const L4 = L3 + IPV6_BYTES;
const FRAGMENT_BYTES = 8;

/** What the gateway says, by its name. */
export const ICMP6_SENT: ReadonlyMap<number, string> = new Map([
  [ICMP6_ECHO_REPLY, "echo_reply"],
  [ICMP6_UNREACHABLE, "unreachable"],
  [ICMP6_PACKET_TOO_BIG, "too_big"],
  [ICMP6_TIME_EXCEEDED, "time_exceeded"],
  [ICMP6_PARAMETER_PROBLEM, "parameter_problem"],
]);

interface Icmp6Parts {
  readonly injector: Injector;
  readonly inventory: Inventory;
  readonly timers: Timers;
  readonly ledger: Ledger;
  readonly emit: Emit;
  readonly rate: IcmpRate;
  readonly reassembly: Reassembly;
  readonly ways: ErrorWays;
  readonly pinger: Pick<Pinger, "heard">;
}

interface Message {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
}

/** Where a punted frame came in. */
interface Arrival {
  readonly port: PortObject;
  readonly vsi: VsiObject;
  readonly iface: InterfaceObject;
}

export class Icmp6 {
  /** Messages, by type. */
  readonly sent = new Map<number, number>();
  private readonly parts: Icmp6Parts;
  private readonly out = new Uint8Array(ETH_BYTES + ICMP6_ERROR_MAX_BYTES);
  private identification = 0;

  constructor(parts: Icmp6Parts) {
    this.parts = parts;
  }

  /** PUNT.local: IPv6 to an address of ours, of the VSI-interface in `row`. Extension headers other than a fragment header are not for a gateway: silence. */
  local(frame: HeldFrame, row: number): Fate {
    if (!isWellFormed(frame)) return DROP.ip_malformed;
    const { bytes } = frame;
    const next = bytes[L3 + IP6_NEXT]!;
    if (next === PROTO_ICMP6) {
      const isTrusted = (frame.flags & FLAG_UNFINISHED_CHECKSUM) !== 0;
      return this.message(frame, row, bytes.subarray(L4, L4 + u16(bytes, L3 + IP6_LENGTH)), isTrusted);
    }
    if (next === FRAGMENT) return this.fragment(frame, row);
    if (next === PROTO_TCP || upperLayer(bytes, L3, bytes.length) >> 8 !== L4) return DROP.not_forwarded;
    const from = readIpv6(bytes, L3 + IP6_DST);
    const error =
      next === PROTO_UDP
        ? { type: ICMP6_UNREACHABLE, code: CODE6_PORT, rest: 0 }
        : { type: ICMP6_PARAMETER_PROBLEM, code: CODE6_NEXT_HEADER, rest: IP6_NEXT };
    return this.error(frame, from, error, DROP.not_forwarded, DROP.not_forwarded);
  }

  /** PUNT.ttl: its hop limit ended here. */
  ttl(frame: HeldFrame): Fate {
    const error = { type: ICMP6_TIME_EXCEEDED, code: 0, rest: 0 };
    return this.error(frame, null, error, DROP.ttl_exceeded, DROP.ttl_exceeded);
  }

  /** PUNT.unreachable: no route, or one that says so; `code` as of ICMP. */
  unreachable(frame: HeldFrame, code: number): Fate {
    const own =
      code === CODE_PROHIBITED ? CODE6_PROHIBITED : code === CODE_HOST_UNREACHABLE ? CODE6_ADDRESS : CODE6_NO_ROUTE;
    return this.error(frame, null, { type: ICMP6_UNREACHABLE, code: own, rest: 0 }, DROP.no_route, DROP.no_route);
  }

  /** Its next hop is silent. */
  hostUnreachable(frame: HeldFrame): Fate {
    const reason = DROP.unresolved_timeout;
    return this.error(frame, null, { type: ICMP6_UNREACHABLE, code: CODE6_ADDRESS, rest: 0 }, reason, reason);
  }

  /** PUNT.mtu: `mtu` of the way out is too small for it. Routed by `adjacency`, or bridged (MTU_*). */
  tooBig(frame: HeldFrame, mtu: number, adjacency: number): Fate {
    if (!isWellFormed(frame)) return DROP.ip_malformed;
    const rest = Math.max(mtu, IPV6_LEAST_MTU);
    const error = { type: ICMP6_PACKET_TOO_BIG, code: 0, rest };
    const silent = adjacency === MTU_FLOODED ? CONSUMED : DROP.too_big;
    if (!isTooBigDue(frame.bytes)) return silent;
    return adjacency <= MTU_BRIDGED
      ? this.bridgedError(frame, error, silent)
      : this.error(frame, null, error, CONSUMED, silent);
  }

  /** A fragment to us: echo requests are put together, of up to 8 KB; one that overlaps another kills its packet (RFC 5722). */
  private fragment(frame: HeldFrame, row: number): Fate {
    const { bytes } = frame;
    const { ledger, inventory, reassembly } = this.parts;
    const port = inventory.ports.get(frame.port);
    if (port === undefined) return DROP.ac_unbound;
    const end = L4 + u16(bytes, L3 + IP6_LENGTH);
    if (end < L4 + FRAGMENT_BYTES) return DROP.ip_malformed;
    if (bytes[L4] !== PROTO_ICMP6) return DROP.not_forwarded;
    const word = u16(bytes, L4 + 2);
    const payload = bytes.subarray(L4 + FRAGMENT_BYTES, end);
    // RFC 6946: one that is whole is no part of anything.
    if ((word & 0xfff9) === 0) return this.message(frame, row, payload, false);
    const flow = `${readIpv6(bytes, L3 + IP6_SRC)} ${readIpv6(bytes, L3 + IP6_DST)} ${i32(bytes, L4 + 4)}`;
    const added = reassembly.add(port, flow, word & 0xfff8, (word & 1) !== 0, payload);
    if (added.kind === "held") return HELD;
    const fate = added.kind === "complete" ? this.message(frame, row, added.payload, false) : DROP.not_forwarded;
    // The fragments that waited share the fate of the last one.
    if (fate > 0) ledger.dropped(fate, { ...frame, units: added.units });
    else ledger.consumed(added.units);
    return fate;
  }

  /** ICMPv6 to one of our addresses: echo requests are answered, and echo replies are perhaps what is waited for; the rest tells us nothing. */
  private message(frame: HeldFrame, row: number, message: Uint8Array, isTrusted: boolean): Fate {
    if (message.length < ICMP6_BYTES) return DROP.ip_malformed;
    const { bytes } = frame;
    const reply = new Uint8Array(L4 + message.length);
    reply.set(message, L4);
    for (let i = 0; i < 2 * IPV6_ADDRESS_BYTES; i++) reply[L3 + IP6_SRC + i] = bytes[L3 + IP6_SRC + i]!;
    if (!isTrusted && checksum6(reply, L3, message.length) !== 0xffff) return DROP.csum_bad;
    const { rate, timers, emit, pinger, inventory } = this.parts;
    const arrival = this.arrivalOf(frame);
    const owner = inventory.interfaces.get(row);
    if (message[0] === ICMP6_ECHO_REPLY && owner !== undefined)
      pinger.heard(owner.vrf, readIpv6(bytes, L3 + IP6_SRC), message, bytes[L3 + IP6_HOPS]!, timers.exactMs);
    if (message[0] !== ICMP6_ECHO_REQUEST) return CONSUMED;
    if (arrival === null || isGroup(readMac(bytes, ETH_DST)) || !isSource6(bytes, L3 + IP6_SRC))
      return DROP.not_forwarded;
    if (!rate.admit(arrival.port, timers.nowMs)) return DROP.icmp_limited;
    const [from, to] = [readIpv6(bytes, L3 + IP6_DST), readIpv6(bytes, L3 + IP6_SRC)];
    writeIpv6(reply, L3 + IP6_SRC, from);
    writeIpv6(reply, L3 + IP6_DST, to);
    reply[L4] = ICMP6_ECHO_REPLY;
    sealIcmp6(reply, L3, message.length);
    this.sendBack(frame, arrival, arrival.iface, reply);
    bump(this.sent, ICMP6_ECHO_REPLY, 1);
    emit("debug", "icmp.echo", { vsi: arrival.vsi.name, from: formatIpv6(to), to: formatIpv6(from) });
    return CONSUMED;
  }

  /**
   * Answer `frame` with an error, if it may be answered.
   * @param from our address; null: that of the way it takes.
   * @param answered its fate when the error was sent. @param silent its fate when it may not be answered.
   */
  private error(frame: HeldFrame, from: Ipv6 | null, message: Message, answered: Fate, silent: Fate): Fate {
    if (!isWellFormed(frame)) return DROP.ip_malformed;
    const { bytes } = frame;
    const arrival = this.arrivalOf(frame);
    if (arrival === null || !isErrorDue6(bytes, arrival.iface)) return silent;
    const { rate, timers, ways, injector } = this.parts;
    const way = ways.of6(arrival.iface, readIpv6(bytes, L3 + IP6_SRC));
    if (way.kind === "silent") return silent;
    if (!rate.admit(arrival.port, timers.nowMs)) return DROP.icmp_limited;
    writeIpv6(this.out, L3 + IP6_SRC, from ?? way.from);
    const quoted = { at: L3, end: bytes.length };
    const packet = this.out.subarray(
      0,
      ETH_BYTES + emitError6(this.out, L3, bytes, quoted, message, ICMP6_ERROR_MAX_BYTES),
    );
    if (way.kind === "back") this.sendBack(frame, arrival, way.iface, packet);
    else {
      setU16(packet, ETH_TYPE, TYPE_IPV6);
      injector.route(way.iface.vrf, arrival.port.row, packet, frame.worker);
    }
    this.tell(arrival, way.iface, way.kind, bytes, message);
    return answered;
  }

  /** About a frame that is bridged: back out of the port by which it came, also where its destination is a group. */
  private bridgedError(frame: HeldFrame, message: Message, silent: Fate): Fate {
    const { bytes } = frame;
    const arrival = this.arrivalOf(frame);
    if (arrival === null) return silent;
    const { port, iface } = arrival;
    const { rate, timers } = this.parts;
    if (!rate.admit(port, timers.nowMs)) return DROP.icmp_limited;
    if (hasIpv6(iface)) writeIpv6(this.out, L3 + IP6_SRC, iface.linkLocal);
    else writeLinkLocal(this.out, L3 + IP6_SRC, iface.mac);
    const most = Math.min(ICMP6_ERROR_MAX_BYTES, port.mtu);
    const length = emitError6(this.out, L3, bytes, { at: L3, end: bytes.length }, message, most);
    this.sendBack(frame, arrival, iface, this.out.subarray(0, ETH_BYTES + length));
    this.tell(arrival, iface, "back", bytes, message);
    return CONSUMED;
  }

  /** Send an IPv6 packet (Ethernet header still empty) back to where `frame` came from, cut if it must be. */
  private sendBack(frame: HeldFrame, { port, vsi }: Arrival, iface: InterfaceObject, packet: Uint8Array): void {
    writeMac(packet, ETH_DST, readMac(frame.bytes, ETH_SRC));
    writeMac(packet, ETH_SRC, iface.mac);
    setU16(packet, ETH_TYPE, TYPE_IPV6);
    const mtu = Math.max(IPV6_LEAST_MTU, Math.min(iface.mtu, port.mtu));
    this.identification = (this.identification + 1) | 0;
    const pieces = packet.length - ETH_BYTES <= mtu ? [packet] : fragmentIpv6(packet, mtu, this.identification);
    for (const piece of pieces) this.parts.injector.toPort(vsi.row, port.row, piece, frame.worker);
  }

  private arrivalOf(frame: HeldFrame): Arrival | null {
    const { inventory } = this.parts;
    const port = inventory.ports.get(frame.port);
    const vsi = inventory.vsis.get(frame.vsi);
    const iface = vsi?.interface;
    return port === undefined || vsi === undefined || iface == null ? null : { port, vsi, iface };
  }

  private tell(
    { vsi, port }: Arrival,
    iface: InterfaceObject,
    way: ErrorWay["kind"],
    bytes: Uint8Array,
    { type, code }: Message,
  ): void {
    const to = formatIpv6(readIpv6(bytes, L3 + IP6_SRC));
    bump(this.sent, type, 1);
    const what = { type, code, interface: iface.name, way };
    this.parts.emit("debug", "icmp.error", { vsi: vsi.name, ...portField(port), to, ...what });
  }
}

/** May the packet in this frame, which came in by `iface`, be answered with an error at all (RFC 4443 §2.4 e)? */
export function isErrorDue6(bytes: Uint8Array, iface: InterfaceObject): boolean {
  if (isGroup(readMac(bytes, ETH_DST)) || !mayAnswerError6(bytes, L3, bytes.length)) return false;
  return !isOwnAddress(iface, readIpv6(bytes, L3 + IP6_SRC));
}

/**
 * Is packet too big due about the packet in this frame? One that every link carries (RFC 8200 §5) is sent again as it was,
 * whatever its sender is told.
 */
export function isTooBigDue(bytes: Uint8Array): boolean {
  return bytes.length - L3 > IPV6_LEAST_MTU && mayAnswerTooBig(bytes, L3, bytes.length);
}

/** Version and length; a super-frame may be longer than its field can say. */
function isWellFormed({ bytes, flags }: HeldFrame): boolean {
  if (bytes.length < L3 + IPV6_BYTES || bytes[L3]! >> 4 !== 6) return false;
  return (flags & SUPER_FRAME_MASK) !== 0 || IPV6_BYTES + u16(bytes, L3 + IP6_LENGTH) <= bytes.length - L3;
}
