/**
 * What control would do with a punted frame, in words: the end of a what-if story.
 *
 * The data plane's part of `trace` is decided by the code that forwards; this part is only told. It looks at the same
 * entries that the handlers look at (control/resolution/local-proxy.ts, control/neighbor/table.ts, control/icmp/icmp.ts), asks the same functions where they decide without
 * acting, and changes nothing. That it says what the handlers do is test/insight/control-outlook.test.ts's to prove.
 */

import { ArpSpeaker } from "../control/arp/speaker.ts";
import { CONSUMED } from "../control/fate.ts";
import { isErrorDue } from "../control/icmp/icmp.ts";
import { isErrorDue6, isTooBigDue } from "../control/icmp/icmp6.ts";
import type { ErrorWay, ErrorWays } from "../control/icmp/way.ts";
import { type InterfaceObject, type Inventory, isHostAddress, isOwnAddress } from "../control/inventory.ts";
import { formatIp, type Ip, isOfLink } from "../control/ip.ts";
import { isRouterSolicitation } from "../control/nd/punted.ts";
import { NdSpeaker } from "../control/nd/speaker.ts";
import { hopOf } from "../control/neighbor/hop.ts";
import { isKnown } from "../control/neighbor/nud.ts";
import type { Neighbors } from "../control/neighbor/table.ts";
import type { Address } from "../control/plan.ts";
import { isFromRoute } from "../control/resolution/asker.ts";
import type { Question } from "../control/resolution/message.ts";
import type { Speaker } from "../control/resolution/speaker.ts";
import { DROPS, MTU_BRIDGED, MTU_FLOODED, PUNT } from "../tables/counters.ts";
import { i32, u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV6 } from "../wire/ethernet.ts";
import { CODE_NET_UNREACHABLE, CODE_PROHIBITED, ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import { ICMP6_ECHO_REQUEST } from "../wire/icmp6.ts";
import { FRAGMENT_DF, headerBytes, IP_FRAGMENT, IP_PROTOCOL, IP_SRC, PROTO_ICMP, PROTO_TCP } from "../wire/ipv4.ts";
import { FRAGMENT, IP6_NEXT, IP6_SRC, IPV6_BYTES, IPV6_LEAST_MTU, PROTO_ICMP6, readIpv6 } from "../wire/ipv6.ts";

/** A frame as it would be in the punt ring. */
export interface PuntedFrame {
  readonly kind: number;
  readonly port: number;
  readonly vsi: number;
  readonly arg: number;
  readonly arg2: number;
  readonly bytes: Uint8Array;
}

const NO_ANSWER = "consumed: no answer is due";
const SOLICITED =
  "answered with a router advertisement within half a second (behaviour.md §11); from a tunnel, by its own gateway";

export class Outlook {
  private readonly inventory: Inventory;
  private readonly neighbors: Neighbors;
  private readonly ways: ErrorWays;
  private readonly arp: Speaker = new ArpSpeaker();
  private readonly nd: Speaker = new NdSpeaker();

  constructor(inventory: Inventory, neighbors: Neighbors, ways: ErrorWays) {
    this.inventory = inventory;
    this.neighbors = neighbors;
    this.ways = ways;
  }

  /** One sentence. */
  of(frame: PuntedFrame): string {
    switch (frame.kind) {
      case PUNT.arp:
        return this.resolution(frame, this.arp);
      case PUNT.nd:
        return isRouterSolicitation(frame) ? SOLICITED : this.resolution(frame, this.nd);
      case PUNT.unresolved:
        return this.unresolved(frame);
      case PUNT.local:
        return this.local(frame);
      case PUNT.dhcp:
        return this.dhcp(frame);
      case PUNT.bfd:
        return "to the thread of BFD: a session's, or refused (vtepctl show bfd)";
      case PUNT.ttl:
        return this.error(frame, "time exceeded");
      case PUNT.unreachable:
        return this.error(frame, (u16(frame.bytes, ETH_TYPE) === TYPE_IPV6 ? unreachable6 : unreachable)(frame.arg));
      default:
        return this.tooBig(frame);
    }
  }

  private unresolved({ arg, arg2, bytes }: PuntedFrame): string {
    const hop = hopOf(bytes, arg, arg2, this.inventory, this.neighbors);
    if (hop === null) return "its VSI-interface is gone: ICMP network unreachable";
    const { iface } = hop;
    const ip = formatIp(hop.ip);
    const state = this.neighbors.find(iface, hop.ip)?.state;
    const asks = `waits for ${typeof hop.ip === "number" ? "ARP" : "neighbour discovery"} of ${ip} on ${iface.name}`;
    if (state === undefined) return `${asks}, which is asked for in ${iface.vsis.map((vsi) => vsi.name).join(", ")}`;
    if (isKnown(state)) return `${ip} has just been resolved: it is sent on at once`;
    if (state === "failed") return `${asks}, which did not answer lately and is asked again`;
    return `${asks}, which is being asked for`;
  }

  private dhcp({ port, vsi, bytes }: PuntedFrame): string {
    if (this.inventory.ports.get(port)?.kind === "tunnel") return "ignored: its own site relays it";
    const config = this.inventory.vsis.get(vsi)?.interface?.config;
    const is6 = u16(bytes, ETH_TYPE) === TYPE_IPV6;
    const servers: readonly Address[] = (is6 ? config?.dhcpRelay6 : config?.dhcpRelay)?.servers ?? [];
    return `relayed to ${servers.map(({ text }) => text).join(", ")}, and flooded nowhere`;
  }

  private resolution({ bytes, vsi: vsiRow, port: portRow }: PuntedFrame, speaker: Speaker): string {
    const vsi = this.inventory.vsis.get(vsiRow);
    const port = this.inventory.ports.get(portRow);
    const message = speaker.parse(bytes);
    if (vsi === undefined || port === undefined) return "its port or VSI is gone: dropped";
    if (message === null) return `dropped: ${DROPS[speaker.drops.malformed - 1]![1]}`;
    if (vsi.config.arp === "suppress")
      return "suppression: answered with the host's own MAC where it is known, flooded where it is not";
    const iface = vsi.interface;
    if (iface === null) return "ignored: no VSI-interface";
    const bad = speaker.check(message, iface);
    const isNotLocal = bad === speaker.drops.notLocal && port.kind === "ac";
    const isRoutedBy = (by: InterfaceObject, ip: Ip) => this.ways.isRoutedBy(by, ip);
    if (bad !== CONSUMED && !(isNotLocal && isFromRoute(message, iface, isRoutedBy)))
      return `dropped: ${DROPS[bad - 1]![1]}`;
    const sender = message.sender === null ? "the asker" : formatIp(message.sender);
    if (port.kind === "ac" && message.sender !== null && isOwnAddress(iface, message.sender))
      return `refused: ${sender} is an address of ${iface.name}, which defends it`;
    if (message.kind === "answer" || message.kind === "announcement") return `${sender} is noted; no answer is due`;
    const { target } = message;
    if (isOwnAddress(iface, target)) {
      const isSilent = port.kind === "tunnel" && this.isShared(iface, target);
      return isSilent
        ? "silence: each site has its own gateway"
        : `${iface.name} answers with its gateway MAC (${port.kind === "ac" ? "S2.2/S3.2" : "S3.5"})`;
    }
    const isProxied = vsi.config.arp === "localProxy";
    if (isProxied && isOfLink(target)) return `ignored: ${formatIp(target)} is of the link`;
    if (isProxied && port.kind === "ac" && message.kind === "probe")
      return `answered when another host has ${formatIp(target)}, and asked for at all sites while that is not certain`;
    if (!isHostAddress(iface, target)) return `ignored: ${formatIp(target)} is no host address`;
    if (!isProxied) return `${sender} is noted; the request itself is bridged`;
    if (port.kind === "tunnel" || message.kind === "probe") return this.relayed(target, message.sender, iface);
    return this.proxied(message, iface, port, vsi);
  }

  private proxied(
    { sender, target }: Question,
    iface: InterfaceObject,
    port: object,
    vsi: { readonly config: { readonly proxyArp: string } },
  ): string {
    const entry = this.neighbors.find(iface, target);
    const known = entry !== undefined && isKnown(entry.state) ? entry : undefined;
    const ip = formatIp(target);
    // One that asks for itself is where it asks.
    if (known?.place?.port === port || sender === target)
      return `ignored: ${ip} is behind the same port, and hears it itself`;
    const reply = `local proxy ${typeof target === "number" ? "ARP " : ""}answers with the gateway MAC (S1.2)`;
    if (known?.state === "reachable") return `${reply}: ${ip} is known`;
    const relay = `asks all sites for ${ip} (S1.4)`;
    if (known !== undefined || vsi.config.proxyArp === "immediate") return `${reply} and ${relay}`;
    return `${relay}; answered when ${ip} is heard`;
  }

  private relayed(target: Ip, sender: Ip | null, iface: InterfaceObject): string {
    const step = sender !== null && isOwnAddress(iface, sender) ? "S2.5, S3.4 for a next hop" : "S1.5";
    return `answered when ${formatIp(target)} is known here, else asked for on the ACs (${step})`;
  }

  private local(frame: PuntedFrame): string {
    const { bytes } = frame;
    if (u16(bytes, ETH_TYPE) === TYPE_IPV6) return this.local6(frame);
    const protocol = bytes[ETH_BYTES + IP_PROTOCOL];
    if (protocol === PROTO_TCP) return "dropped: the gateway has no TCP service";
    if (protocol !== PROTO_ICMP)
      return this.isErrorDue(frame)
        ? "refused with ICMP unreachable: the gateway has no such service"
        : silence("unreachable");
    const type = bytes[ETH_BYTES + headerBytes(bytes, ETH_BYTES)];
    return type === ICMP_ECHO_REQUEST ? "the gateway answers the echo request" : NO_ANSWER;
  }

  private local6(frame: PuntedFrame): string {
    const { bytes } = frame;
    const next = bytes[ETH_BYTES + IP6_NEXT];
    if (next === PROTO_TCP) return "dropped: the gateway has no TCP service";
    if (next === PROTO_ICMP6)
      return bytes[ETH_BYTES + IPV6_BYTES] === ICMP6_ECHO_REQUEST ? "the gateway answers the echo request" : NO_ANSWER;
    if (next === FRAGMENT) return "an echo request is put together and answered, another packet dropped";
    return this.isErrorDue(frame)
      ? "refused with ICMPv6 unreachable: the gateway has no such service"
      : silence("unreachable");
  }

  private error(frame: PuntedFrame, what: string): string {
    if (!this.isErrorDue(frame)) return silence(what);
    const { kind, iface, from } = this.wayOf(frame)!;
    const way = kind === "back" ? "back where the packet came from" : `routed by ${iface.name}`;
    const name = typeof from === "number" ? "ICMP" : "ICMPv6";
    return `${name} ${what} from ${formatIp(from)} to ${formatIp(askerOf(frame.bytes))}, ${way}`;
  }

  private tooBig(frame: PuntedFrame): string {
    if (frame.arg2 !== MTU_FLOODED) return this.tooLong(frame);
    const isDue = u16(frame.bytes, ETH_TYPE) === TYPE_IPV6 ? isTooBigDue(frame.bytes) : this.isErrorDue(frame);
    return isDue ? `${this.tooLong(frame)}, twice a second at most` : NO_ANSWER;
  }

  private tooLong(frame: PuntedFrame): string {
    const { bytes, arg, arg2 } = frame;
    if (u16(bytes, ETH_TYPE) === TYPE_IPV6) {
      if (arg2 <= MTU_BRIDGED) return tooBig6(bytes, arg);
      const mtu = Math.max(arg, IPV6_LEAST_MTU);
      return isTooBigDue(bytes) ? this.error(frame, `packet too big, MTU ${mtu},`) : silence("packet too big");
    }
    if ((u16(bytes, ETH_BYTES + IP_FRAGMENT) & FRAGMENT_DF) !== 0)
      return this.error(frame, `fragmentation needed, MTU ${arg},`);
    return arg2 === MTU_BRIDGED ? "dropped: a bridge does not fragment" : `fragmented to ${arg} bytes and sent on`;
  }

  private isErrorDue(frame: PuntedFrame): boolean {
    const iface = this.inventory.vsis.get(frame.vsi)?.interface;
    const isIpv6 = u16(frame.bytes, ETH_TYPE) === TYPE_IPV6;
    const isDue = iface != null && (isIpv6 ? isErrorDue6 : isErrorDue)(frame.bytes, iface);
    return isDue && this.wayOf(frame)?.kind !== "silent";
  }

  private wayOf({ bytes, vsi }: PuntedFrame): ErrorWay<Ip> | null {
    const iface = this.inventory.vsis.get(vsi)?.interface;
    if (iface == null) return null;
    const asker = askerOf(bytes);
    return typeof asker === "number" ? this.ways.of(iface, asker) : this.ways.of6(iface, asker);
  }

  /** A distributed VSI-interface has this address on every gateway (D15). */
  private isShared(iface: InterfaceObject, ip: Ip): boolean {
    return iface.config.distributed && iface.subnets.some((subnet) => subnet.address === ip);
  }
}

/** The source of the packet in an Ethernet frame. */
function askerOf(bytes: Uint8Array): Ip {
  if (u16(bytes, ETH_TYPE) === TYPE_IPV6) return readIpv6(bytes, ETH_BYTES + IP6_SRC);
  return i32(bytes, ETH_BYTES + IP_SRC);
}

function tooBig6(bytes: Uint8Array, mtu: number): string {
  if (!isTooBigDue(bytes)) return silence("packet too big");
  return `ICMPv6 packet too big, MTU ${Math.max(mtu, IPV6_LEAST_MTU)}, back where the packet came from`;
}

function silence(what: string): string {
  return `dropped in silence: no ICMP error is due about such a packet (${what})`;
}

function unreachable(code: number): string {
  if (code === CODE_NET_UNREACHABLE) return "network unreachable";
  return code === CODE_PROHIBITED ? "administratively prohibited" : "host unreachable";
}

/** RFC 4443 §3.1. */
function unreachable6(code: number): string {
  if (code === CODE_NET_UNREACHABLE) return "unreachable (no route)";
  return code === CODE_PROHIBITED ? "unreachable (administratively prohibited)" : "address unreachable";
}
