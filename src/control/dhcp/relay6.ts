/**
 * The DHCPv6 relay of a VSI-interface (RFC 8415 §19): relay.ts's twin.
 *
 *   request   a client's multicast, punted by its AC: wrapped into a Relay-forward for each server by unicast, and flooded nowhere. One
 *             by a tunnel is its own site's to relay.
 *   reply     a server's Relay-reply, to our link-address: what is in it goes to the client's AC alone.
 *
 * Link-address and source are the VSI-interface's unique `icmpSource`: a server answers to the source (§19.3), and the gateway's
 * address would be that of the gateway nearest to it. Where the client is stands in the interface-id as VSI and AC, which a server
 * must give back (§21.18), its MAC in the link-layer address option (RFC 6939), and its VRF, unless it is main, in that of RFC 6607. There is no remote-id (RFC 4649): it begins with an
 * enterprise's number, and the link-address names the gateway.
 *
 * Clients are not trusted: what no client says (a relay's message, a server's) is refused, so hop counts are 0 here. Each AC has
 * its rate. A Reply that answers what that client asked there binds its addresses to its AC, for as long as they are valid, and so the
 * link-local address that it speaks from, where that is not of its MAC (RFC 7217). A prefix that is delegated binds nothing.
 */
import { DROP } from "../../tables/counters.ts";
import { u16 } from "../../wire/bytes.ts";
import {
  DHCP6_CLIENT_PORT,
  DHCP6_DECLINE,
  DHCP6_INFORMATION_REQUEST,
  DHCP6_RELEASE,
  DHCP6_REPLY,
  DHCP6_SERVER_PORT,
  DHCP6_SOLICIT,
  type Dhcp6,
  isOfClient,
  isOfServer,
  readDhcp6,
  readRelayReply,
  relayForward,
} from "../../wire/dhcp6.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, formatMac, isGroup, type Mac, readMac, writeMac } from "../../wire/ethernet.ts";
import { PROTO_UDP } from "../../wire/ipv4.ts";
import {
  formatIpv6,
  IP6_DST,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  type Ipv6,
  isLinkLocal6,
  isSource6,
  macOfLinkLocal,
  readIpv6,
} from "../../wire/ipv6.ts";
import { L4_DST_PORT, UDP_BYTES } from "../../wire/udp-tcp.ts";
import { udp6Frame, udp6Payload } from "../../wire/udp6.ts";
import { portField } from "../event.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { fragmentIpv6 } from "../icmp/fragment6.ts";
import { FLAG_UNFINISHED_CHECKSUM } from "../icmp/icmp.ts";
import type { HeldFrame } from "../inject.ts";
import { type AcPort, type InterfaceObject, isOwnAddress, type PortObject, primary6 } from "../inventory.ts";
import type { DhcpRelay6Config } from "../plan-dhcp.ts";
import { ResultCounts } from "../result-counts.ts";
import { isStrict } from "../security/strict.ts";
import { Askers } from "./askers.ts";
import { type Arrival, acOfCircuit, arrivalOf, circuitText, RequestRates, vrfToTell } from "./place.ts";
import { DHCP_RESULTS, type DhcpRelayParts, type DhcpResult } from "./relay.ts";

const HOPS = 64;
const L4 = ETH_BYTES + IPV6_BYTES;

export class DhcpRelay6 {
  /** By VSI-interface: `vtep_dhcp6_total`. */
  readonly counts = new ResultCounts<DhcpResult>(DHCP_RESULTS);
  private readonly parts: DhcpRelayParts;
  private readonly askers = new Askers();
  private readonly rates = new RequestRates();
  private identification = 0;

  constructor(parts: DhcpRelayParts) {
    this.parts = parts;
  }

  /** PUNT.dhcp: to the server port by multicast, or from a strict AC, in a VSI whose VSI-interface relays. */
  multicast(frame: HeldFrame): Fate {
    const arrival = arrivalOf(this.parts.inventory, frame);
    if (arrival === null || relayOf(arrival.iface) === null) return DROP.not_forwarded;
    if (arrival.port.kind === "tunnel") {
      this.counts.count(arrival.iface.name, "elsewhere");
      return CONSUMED;
    }
    const message = messageOf(frame);
    return message === null ? DROP.dhcp_malformed : this.request(frame, arrival, message);
  }

  /** PUNT.local: IPv6 to an address of ours, of the VSI-interface in `row`. @returns null: it is no relay's. */
  local(frame: HeldFrame, row: number): Fate | null {
    const { bytes } = frame;
    const arrival = arrivalOf(this.parts.inventory, frame);
    const owner = this.parts.inventory.interfaces.get(row);
    if (arrival === null || owner === undefined || (relayOf(owner) ?? relayOf(arrival.iface)) === null) return null;
    if (bytes.length < L4 + UDP_BYTES || bytes[ETH_BYTES + IP6_NEXT] !== PROTO_UDP) return null;
    if (u16(bytes, L4 + L4_DST_PORT) !== DHCP6_SERVER_PORT) return null;
    const message = messageOf(frame);
    if (message === null || message.length === 0) return DROP.dhcp_malformed;
    return isOfClient(message[0]!) ? this.request(frame, arrival, message) : this.reply(frame, arrival, owner, message);
  }

  flushPort(port: PortObject): void {
    this.rates.forget(port);
    this.askers.forget(port);
  }

  flushInterface(iface: InterfaceObject): void {
    this.counts.forget(iface.name);
  }

  private request(frame: HeldFrame, { port, vsi, iface }: Arrival, message: Uint8Array): Fate {
    const { bytes, worker } = frame;
    const relay = relayOf(iface);
    const link = sourceOf(iface);
    const peer = readIpv6(bytes, ETH_BYTES + IP6_SRC);
    if (relay === null || link === null || port.kind === "tunnel" || isOwnAddress(iface, peer))
      return DROP.dhcp_untrusted;
    if (message.length > 0 && !isOfClient(message[0]!)) return DROP.dhcp_untrusted;
    const dhcp = readDhcp6(message);
    const mac = readMac(bytes, ETH_SRC);
    if (dhcp === null || isGroup(mac) || !isSource6(bytes, ETH_BYTES + IP6_SRC)) return DROP.dhcp_malformed;
    const { timers, servers, bindings } = this.parts;
    if (!this.rates.admit(port, timers.nowMs)) return DROP.punt_limited;
    if (isStrict(port) && !this.mayAsk(port, mac, peer)) return DROP.port_security;
    this.askers.asked(iface, questionOf(peer, dhcp), { port, mac }, timers.nowMs);
    if (dhcp.type === DHCP6_RELEASE || dhcp.type === DHCP6_DECLINE)
      for (const { ip } of dhcp.addresses) bindings.release(port, mac, ip);
    const out = relayForward(message, { link, peer, interfaceId: circuitText(vsi, port), mac, vrf: vrfToTell(iface) });
    let isSent = false;
    for (const { ip: to } of relay.servers) {
      if (!this.send(iface, port, { from: link, to }, out, worker)) continue;
      servers.asked(iface, to, isOwed(dhcp, relay), timers.nowMs);
      isSent = true;
    }
    if (!isSent) return DROP.pool_exhausted;
    this.counts.count(iface.name, "request");
    this.parts.emit("debug", "dhcp.request", {
      vsi: vsi.name,
      ...portField(port),
      mac: formatMac(mac),
      from: formatIpv6(link),
    });
    return CONSUMED;
  }

  /** Behind a strict AC a client asks with a MAC and an address that are bound to no other, and that are its own. */
  private mayAsk(port: AcPort, mac: Mac, peer: Ipv6): boolean {
    const of = macOfLinkLocal(peer);
    return (of === null || of === mac) && this.parts.bindings.holder(port, mac, peer) === null;
  }

  /** To a server, in pieces where it must be: we are the source (RFC 8200 §5). */
  private send(
    iface: InterfaceObject,
    port: PortObject,
    { from, to }: { readonly from: Ipv6; readonly to: Ipv6 },
    message: Uint8Array,
    worker: number,
  ): boolean {
    const ends = { from, fromPort: DHCP6_SERVER_PORT, to, toPort: DHCP6_SERVER_PORT };
    const frame = udp6Frame(ends, message, HOPS);
    this.identification = (this.identification + 1) | 0;
    const pieces =
      frame.length - ETH_BYTES <= iface.mtu ? [frame] : fragmentIpv6(frame, iface.mtu, this.identification);
    return pieces.every((piece) => this.parts.injector.route(iface.vrf, port.row, piece, worker));
  }

  private reply(frame: HeldFrame, arrival: Arrival, iface: InterfaceObject, message: Uint8Array): Fate {
    const { bytes, worker } = frame;
    const { inventory, timers, injector, servers } = this.parts;
    const from = readIpv6(bytes, ETH_BYTES + IP6_SRC);
    const isServer = (relayOf(iface)?.servers ?? []).some(({ ip }) => ip === from);
    if (!isServer || !this.isWayOf(arrival, from)) return DROP.dhcp_guard;
    const reply = readRelayReply(message);
    const dhcp = reply === null ? null : readDhcp6(reply.message);
    if (reply === null || dhcp === null) return DROP.dhcp_malformed;
    const link = sourceOf(iface);
    if (reply.link !== link || readIpv6(bytes, ETH_BYTES + IP6_DST) !== link || !isOfServer(dhcp.type))
      return DROP.dhcp_guard;
    servers.answered(iface, from, timers.nowMs);
    const { peer } = reply;
    const asker = this.askers.find(iface, questionOf(peer, dhcp), timers.nowMs);
    const port = acOfCircuit(inventory, iface, reply.interfaceId) ?? asker?.port ?? null;
    // A question from before a restart is known by its place, and by its address where that has the MAC in it.
    const mac = asker?.mac ?? macOfLinkLocal(peer);
    if (port === null || mac === null) return DROP.dhcp_guard;
    if (dhcp.type === DHCP6_REPLY && dhcp.addresses.length > 0) {
      const isBound = port === asker?.port && this.bind(port, mac, peer, dhcp);
      if (!isBound && isStrict(port)) return DROP.dhcp_guard;
    }
    const ends = { from: iface.linkLocal, fromPort: DHCP6_SERVER_PORT, to: peer, toPort: DHCP6_CLIENT_PORT };
    const out = udp6Frame(ends, reply.message, HOPS);
    writeMac(out, ETH_DST, mac);
    writeMac(out, ETH_SRC, iface.mac);
    if (!injector.toPort(port.vsi.row, port.row, out, worker)) return DROP.pool_exhausted;
    this.counts.count(iface.name, "reply");
    this.parts.emit("debug", "dhcp.reply", {
      ...{ vsi: port.vsi.name, ...portField(port), mac: formatMac(mac) },
      ...{ ip: formatIpv6(dhcp.addresses[0]?.ip ?? peer), server: formatIpv6(from) },
    });
    return CONSUMED;
  }

  /** What a server gave, and took back (a valid lifetime of 0, §18.2.10.1). @returns false: it gave something, and nothing binds. */
  private bind(port: AcPort, mac: Mac, peer: Ipv6, { addresses }: Dhcp6): boolean {
    const { bindings } = this.parts;
    let longest = 0;
    for (const { ip, validSeconds } of addresses) {
      if (validSeconds === 0) bindings.release(port, mac, ip);
      else if (bindings.lease(port, mac, ip, validSeconds)) longest = Math.max(longest, validSeconds);
    }
    // What is of a MAC goes with the MAC.
    if (longest > 0 && isLinkLocal6(peer) && macOfLinkLocal(peer) === null) bindings.extend(port, mac, peer, longest);
    return longest > 0 || addresses.every(({ validSeconds }) => validSeconds === 0);
  }

  /** Can a server's packet come in there? By a tunnel from anywhere: the way back need not be the way there. */
  private isWayOf({ port, iface }: Arrival, server: Ipv6): boolean {
    return port.kind === "tunnel" || this.parts.ways.of6(iface, server).iface === iface;
  }
}

/** Does each server answer it? A Solicit and an Information-request; the rest names one (RFC 8415 §16), or is of one's lease. */
function isOwed({ type }: Dhcp6, { servers }: DhcpRelay6Config): boolean {
  return type === DHCP6_SOLICIT || type === DHCP6_INFORMATION_REQUEST || servers.length === 1;
}

function relayOf({ config }: InterfaceObject): DhcpRelay6Config | null {
  return config.dhcpRelay6;
}

/** The address of this gateway alone; null: it has none. */
function sourceOf({ config }: InterfaceObject): Ipv6 | null {
  return config.icmpSource6?.ip ?? primary6(config)?.ip ?? null;
}

function messageOf({ bytes, flags }: HeldFrame): Uint8Array | null {
  return udp6Payload(bytes, ETH_BYTES, (flags & FLAG_UNFINISHED_CHECKSUM) !== 0);
}

function questionOf(peer: Ipv6, { transaction }: Dhcp6): string {
  return `${peer} ${transaction}`;
}
