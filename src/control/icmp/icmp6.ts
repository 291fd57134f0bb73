/**
 * ICMPv6 from the gateway (RFC 4443): packet too big, about bridged packets. IPv6 inside VXLAN is not routed, but a bridge that
 * encapsulates has made the MTU smaller, and nothing else on the path would say so: IPv6 knows no fragmentation on the way
 * (behaviour.md §7.1).
 *
 * The gateway has no IPv6 address that is configured, so it speaks with the link-local one of its gateway MAC (RFC 4443 §2.2:
 * a unicast address of the node), out of the port by which the packet came, to the frame's source MAC. Rates are ICMP's.
 */
import { DROP } from "../../tables/counters.ts";
import { setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, readMac, TYPE_IPV6, writeMac } from "../../wire/ethernet.ts";
import { emitTooBig, ICMP6_ERROR_MAX_BYTES, ICMP6_PACKET_TOO_BIG, mayAnswerTooBig } from "../../wire/icmp6.ts";
import {
  formatIpv6,
  IP6_LENGTH,
  IP6_SRC,
  IPV6_BYTES,
  IPV6_LEAST_MTU,
  readIpv6,
  writeLinkLocal,
} from "../../wire/ipv6.ts";
import { type Emit, portField } from "../event.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import type { Inventory } from "../inventory.ts";
import type { Timers } from "../timers.ts";
import { SUPER_FRAME_MASK } from "./icmp.ts";
import type { IcmpRate } from "./rate.ts";

const L3 = ETH_BYTES;

export class Icmp6 {
  private readonly injector: Injector;
  private readonly inventory: Inventory;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly rate: IcmpRate;
  private readonly out = new Uint8Array(ETH_BYTES + ICMP6_ERROR_MAX_BYTES);

  constructor(injector: Injector, inventory: Inventory, timers: Timers, emit: Emit, rate: IcmpRate) {
    this.injector = injector;
    this.inventory = inventory;
    this.timers = timers;
    this.emit = emit;
    this.rate = rate;
  }

  /** PUNT.mtu: bridged, and `mtu` of the way out is too small for it. */
  tooBig(frame: HeldFrame, mtu: number): Fate {
    const { bytes } = frame;
    if (!isWellFormed(frame)) return DROP.ip_malformed;
    const port = this.inventory.ports.get(frame.port);
    const vsi = this.inventory.vsis.get(frame.vsi);
    const iface = vsi?.interface;
    if (port === undefined || vsi === undefined || iface == null || !isTooBigDue(bytes)) return DROP.too_big;
    if (!this.rate.admit(port, this.timers.nowMs)) return DROP.icmp_limited;
    writeMac(this.out, ETH_DST, readMac(bytes, ETH_SRC));
    writeMac(this.out, ETH_SRC, iface.mac);
    setU16(this.out, ETH_TYPE, TYPE_IPV6);
    writeLinkLocal(this.out, L3 + IP6_SRC, iface.mac);
    const told = Math.max(mtu, IPV6_LEAST_MTU);
    const most = Math.min(ICMP6_ERROR_MAX_BYTES, port.mtu);
    const length = emitTooBig(this.out, L3, bytes, L3, bytes.length, told, most);
    this.injector.toPort(vsi.row, port.row, this.out.subarray(0, ETH_BYTES + length), frame.worker);
    const to = formatIpv6(readIpv6(bytes, L3 + IP6_SRC));
    const what = { type: ICMP6_PACKET_TOO_BIG, code: 0, interface: iface.name, way: "back" };
    this.emit("debug", "icmp.error", { vsi: vsi.name, ...portField(port), to, ...what });
    return CONSUMED;
  }
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
