/**
 * What ACs with `antiSpoof: strict` sent from somebody else's address or MAC: the last of each AC, for people.
 *
 * A worker tells of such a frame at most twice a second for each MAC; the event has its ration for each AC. How many there were
 * the counters say.
 */

import { ARP_BYTES, ARP_SENDER_IP, ARP_SENDER_MAC } from "../../wire/arp.ts";
import { i32, u16 } from "../../wire/bytes.ts";
import {
  ETH_BYTES,
  ETH_SRC,
  ETH_TYPE,
  formatMac,
  type Mac,
  readMac,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
} from "../../wire/ethernet.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT, ICMP6_NEIGHBOR_SOLICITATION } from "../../wire/icmp6.ts";
import { IP_SRC, IPV4_BYTES } from "../../wire/ipv4.ts";
import { IP6_NEXT, IP6_SRC, IPV6_ADDRESS_BYTES, IPV6_BYTES, PROTO_ICMP6, readIpv6 } from "../../wire/ipv6.ts";
import { ND_TARGET } from "../../wire/nd.ts";
import type { Emit } from "../event.ts";
import type { AcPort, Inventory } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Timers } from "../timers.ts";
import type { Bindings } from "./bindings.ts";

export interface OffenderView {
  readonly ac: string;
  readonly vsi: string;
  /** What it sent as; `ip` null: the frame has no address, or hides it. */
  readonly mac: string;
  readonly ip: string | null;
  /** What is missing, or whose it is. */
  readonly why: string;
  readonly secondsAgo: number;
}

type Last = Omit<OffenderView, "secondsAgo"> & { readonly atMs: number };

export class Offenders {
  private readonly inventory: Inventory;
  private readonly bindings: Bindings;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly last = new Map<AcPort, Last>();

  constructor(inventory: Inventory, bindings: Bindings, timers: Timers, emit: Emit) {
    this.inventory = inventory;
    this.bindings = bindings;
    this.timers = timers;
    this.emit = emit;
  }

  /** The first bytes of a frame that was dropped at bridge port `row`. */
  note(row: number, bytes: Uint8Array): void {
    const port = this.inventory.ports.get(row);
    if (port?.kind !== "ac" || bytes.length < ETH_BYTES) return;
    const sender = senderOf(bytes);
    const why = this.whyNot(port, sender);
    // The binding has come meanwhile.
    if (why === null) return;
    const mac = formatMac(sender.mac);
    const ip = sender.ip === null ? null : formatIp(sender.ip);
    this.last.set(port, { ac: port.name, vsi: port.vsi.name, mac, ip, why, atMs: this.timers.nowMs });
    this.emit("warn", "port.security", { ac: port.name, vsi: port.vsi.name, mac, ip, why });
  }

  /** Those of ACs that are still there, the last one first. */
  list(): OffenderView[] {
    for (const port of this.last.keys()) if (this.inventory.ports.get(port.row) !== port) this.last.delete(port);
    return [...this.last.values()]
      .sort((a, b) => b.atMs - a.atMs)
      .map(({ atMs, ...view }) => ({ ...view, secondsAgo: Math.floor((this.timers.nowMs - atMs) / 1000) }));
  }

  private whyNot(port: AcPort, { mac, ip, of }: Sender): string | null {
    const own = this.bindings.of(port);
    const mine = own.filter((bound) => bound.mac === mac);
    if (mine.length === 0) {
      const other = this.bindings.holder(port, mac);
      return other === null ? `no binding of AC ${port.name} has this MAC` : `this MAC is bound to AC ${other.name}`;
    }
    if (of !== mac) return `it speaks for another MAC, ${formatMac(of)}`;
    if (ip === null) return "a tag, or a header that is cut off, hides its address";
    if (mine.some((bound) => bound.ip === ip) || ip === 0 || ip === 0n) return null;
    const neighbor = own.find((bound) => bound.ip === ip);
    if (neighbor !== undefined) return `this address is bound to ${formatMac(neighbor.mac)}`;
    const other = this.bindings.holderOf(port, ip);
    return other === null ? "this MAC is not bound to this address" : `this address is bound to AC ${other.name}`;
  }
}

export interface Sender {
  readonly mac: Mac;
  readonly ip: Ip | null;
  /** The MAC that it speaks of. */
  readonly of: Mac;
}

/** "10.1.1.99 (02:00:00:00:01:11)". */
export function senderText(bytes: Uint8Array): string {
  const { mac, ip } = senderOf(bytes);
  return ip === null ? formatMac(mac) : `${formatIp(ip)} (${formatMac(mac)})`;
}

/** Who speaks in a frame's first bytes. */
export function senderOf(bytes: Uint8Array): Sender {
  const mac = readMac(bytes, ETH_SRC);
  const has = (length: number) => bytes.length >= ETH_BYTES + length;
  switch (u16(bytes, ETH_TYPE)) {
    case TYPE_IPV4:
      return { mac, of: mac, ip: has(IPV4_BYTES) ? i32(bytes, ETH_BYTES + IP_SRC) : null };
    case TYPE_IPV6:
      return has(IPV6_BYTES) ? senderOf6(bytes, mac) : { mac, of: mac, ip: null };
    case TYPE_ARP:
      if (!has(ARP_BYTES)) return { mac, of: mac, ip: null };
      return {
        mac,
        of: readMac(bytes, ETH_BYTES + ARP_SENDER_MAC),
        ip: i32(bytes, ETH_BYTES + ARP_SENDER_IP),
      };
    default:
      return { mac, of: mac, ip: null };
  }
}

/** Who speaks in IPv6; neighbour discovery speaks for its target, with the MAC of its first option. */
function senderOf6(bytes: Uint8Array, mac: Mac): Sender {
  const source = readIpv6(bytes, ETH_BYTES + IP6_SRC);
  const l4 = ETH_BYTES + IPV6_BYTES;
  const type = bytes[ETH_BYTES + IP6_NEXT] === PROTO_ICMP6 ? bytes[l4] : 0;
  const isProbe = type === ICMP6_NEIGHBOR_SOLICITATION && source === 0n;
  const options = l4 + ND_TARGET + IPV6_ADDRESS_BYTES;
  if (bytes.length < options || !(isProbe || type === ICMP6_NEIGHBOR_ADVERTISEMENT))
    return { mac, of: mac, ip: source };
  const hasMac =
    bytes.length >= options + 8 && bytes[options + 1] === 1 && (bytes[options] === 1 || bytes[options] === 2);
  return { mac, of: hasMac ? readMac(bytes, options + 2) : mac, ip: readIpv6(bytes, l4 + ND_TARGET) };
}
