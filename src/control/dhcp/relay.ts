/**
 * The DHCP relay of a VSI-interface (RFC 2131 §4.1, RFC 3046).
 *
 *   request   a client's broadcast, punted by its AC: sent on to each server by unicast, and flooded nowhere. One by a tunnel is
 *             its own site's to relay, or a client would be relayed by every gateway.
 *   renewal   a unicast to our own address, which the client takes for its server (RFC 5107): relayed in the same way.
 *   reply     a server's, to our giaddr: option 82 is taken out, and it goes to the client's AC alone.
 *
 * All gateways have the same address, and a server's answer to that would end at the gateway nearest to the server. So giaddr
 * and source are the VSI-interface's unique `icmpSource`; the subnet is told apart from it (RFC 3527), and so is the address
 * to renew at. Where the client is stands in option 82 as VSI and AC and comes back with the answer, so a restart between question
 * and answer loses none. A server that drops the option is helped by what was asked lately, and by the MAC table.
 *
 * Clients are not trusted (RFC 3046 §2.1): none speaks as a relay or as a server. An AC has its rate. What a server gives binds
 * the client to its AC (control/security/bindings.ts), if it is the answer to what that client asked there a short time ago: a reply that a
 * VM made up binds nothing, and a lease that does not bind is not passed on to a strict AC. Behind one a client asks for its own MAC alone,
 * and for none that is bound elsewhere.
 */
import { DROP } from "../../tables/counters.ts";
import { i32, setI32, u16 } from "../../wire/bytes.ts";
import {
  BOOT_REPLY,
  BOOT_REQUEST,
  circuitOf,
  DHCP_ACK,
  DHCP_CLIENT_PORT,
  DHCP_DECLINE,
  DHCP_DISCOVER,
  DHCP_GIADDR,
  DHCP_HOPS,
  DHCP_NAK,
  DHCP_RELEASE,
  DHCP_SERVER_PORT,
  type Dhcp,
  readDhcp,
  withAgent,
  withoutAgent,
} from "../../wire/dhcp.ts";
import {
  BROADCAST,
  ETH_BYTES,
  ETH_DST,
  ETH_SRC,
  formatMac,
  isGroup,
  type Mac,
  readMac,
  writeMac,
} from "../../wire/ethernet.ts";
import {
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  formatIpv4,
  headerBytes,
  IP_DST,
  IP_FRAGMENT,
  IP_PROTOCOL,
  IP_SRC,
  IPV4_BYTES,
  type Ipv4,
  PROTO_UDP,
} from "../../wire/ipv4.ts";
import { udpFrame, udpPayload } from "../../wire/udp.ts";
import { L4_DST_PORT, UDP_BYTES } from "../../wire/udp-tcp.ts";
import { type Emit, portField } from "../event.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { checkPacket, FLAG_UNFINISHED_CHECKSUM } from "../icmp/icmp.ts";
import type { ErrorWays } from "../icmp/way.ts";
import { type HeldFrame, type Injector, ONLY_ACS } from "../inject.ts";
import {
  type AcPort,
  type InterfaceObject,
  type Inventory,
  isOwnAddress,
  type PortObject,
  primary4,
} from "../inventory.ts";
import type { MacLearner } from "../mac/learn.ts";
import type { DhcpRelayConfig } from "../plan-dhcp.ts";
import { ResultCounts } from "../result-counts.ts";
import type { Bindings } from "../security/bindings.ts";
import { isStrict } from "../security/strict.ts";
import type { Timers } from "../timers.ts";
import { Askers } from "./askers.ts";
import { type Arrival, acOfCircuit, arrivalOf, circuitText, RequestRates, vrfToTell } from "./place.ts";
import type { DhcpServers } from "./servers.ts";

const TTL = 64;
const LIMITED_BROADCAST: Ipv4 = 0xffffffff | 0;

export const DHCP_RESULTS = ["request", "reply", "elsewhere"] as const;
export type DhcpResult = (typeof DHCP_RESULTS)[number];

export interface DhcpRelayParts {
  readonly injector: Injector;
  readonly inventory: Inventory;
  readonly timers: Timers;
  readonly ways: ErrorWays;
  readonly macs: MacLearner;
  readonly bindings: Pick<Bindings, "lease" | "extend" | "release" | "holder">;
  readonly emit: Emit;
  /** This gateway's name: the remote-id of its clients. */
  readonly node: string;
  readonly servers: DhcpServers;
}

export class DhcpRelay {
  /** By VSI-interface: `vtep_dhcp_total`. */
  readonly counts = new ResultCounts<DhcpResult>(DHCP_RESULTS);
  private readonly parts: DhcpRelayParts;
  private readonly askers = new Askers();
  private readonly rates = new RequestRates();

  constructor(parts: DhcpRelayParts) {
    this.parts = parts;
  }

  /** PUNT.dhcp: a broadcast to the server port, in a VSI whose VSI-interface relays. */
  broadcast(frame: HeldFrame): Fate {
    const arrival = arrivalOf(this.parts.inventory, frame);
    if (arrival === null || relayOf(arrival.iface) === null) return DROP.not_forwarded;
    if (arrival.port.kind === "tunnel") {
      this.counts.count(arrival.iface.name, "elsewhere");
      return CONSUMED;
    }
    return this.handle(frame, arrival, arrival.iface);
  }

  /** PUNT.local: IPv4 to an address of ours, of the VSI-interface in `row`. @returns null: it is no relay's. */
  local(frame: HeldFrame, row: number): Fate | null {
    const { bytes } = frame;
    const arrival = arrivalOf(this.parts.inventory, frame);
    const owner = this.parts.inventory.interfaces.get(row);
    if (arrival === null || owner === undefined) return null;
    if ((relayOf(owner) ?? relayOf(arrival.iface)) === null || bytes[ETH_BYTES + IP_PROTOCOL] !== PROTO_UDP)
      return null;
    const l4 = ETH_BYTES + headerBytes(bytes, ETH_BYTES);
    if (bytes.length < l4 + UDP_BYTES || u16(bytes, l4 + L4_DST_PORT) !== DHCP_SERVER_PORT) return null;
    return this.handle(frame, arrival, owner);
  }

  flushPort(port: PortObject): void {
    this.rates.forget(port);
    this.askers.forget(port);
  }

  flushInterface(iface: InterfaceObject): void {
    this.counts.forget(iface.name);
  }

  /** `owner`: whose address it was sent to; a server's way to it may lead through any VSI-interface. */
  private handle(frame: HeldFrame, arrival: Arrival, owner: InterfaceObject): Fate {
    const bad = checkPacket(frame);
    if (bad !== CONSUMED) return bad;
    const { bytes, flags } = frame;
    if ((u16(bytes, ETH_BYTES + IP_FRAGMENT) & (FRAGMENT_MF | FRAGMENT_OFFSET)) !== 0) return DROP.not_forwarded;
    const message = udpPayload(bytes, ETH_BYTES, (flags & FLAG_UNFINISHED_CHECKSUM) !== 0);
    const dhcp = message === null ? null : readDhcp(message);
    if (message === null || dhcp === null || isGroup(dhcp.chaddr) || dhcp.chaddr === 0) return DROP.dhcp_malformed;
    if (dhcp.op === BOOT_REQUEST) return this.request(frame, arrival, message, dhcp);
    return dhcp.op === BOOT_REPLY ? this.reply(frame, arrival, owner, message, dhcp) : DROP.dhcp_malformed;
  }

  private request(frame: HeldFrame, { port, vsi, iface }: Arrival, message: Uint8Array, dhcp: Dhcp): Fate {
    const relay = relayOf(iface);
    // A client is behind an AC of the network that is relayed; and it has passed no relay before us.
    if (relay === null || port.kind === "tunnel" || dhcp.giaddr !== 0 || dhcp.hops !== 0 || dhcp.agent !== null)
      return DROP.dhcp_untrusted;
    const { bindings, timers, servers } = this.parts;
    if (!this.rates.admit(port, timers.nowMs)) return DROP.punt_limited;
    const { chaddr } = dhcp;
    if (isStrict(port) && (readMac(frame.bytes, ETH_SRC) !== chaddr || bindings.holder(port, chaddr) !== null))
      return DROP.port_security;
    this.askers.asked(iface, questionOf(dhcp), { port, mac: chaddr }, timers.nowMs);
    if (dhcp.type === DHCP_RELEASE) bindings.release(port, chaddr, dhcp.ciaddr);
    else if (dhcp.type === DHCP_DECLINE) bindings.release(port, chaddr, null);
    const { ip: server, prefix } = primary4(iface.config)!;
    const giaddr = iface.config.icmpSource?.ip ?? server;
    const circuit = circuitText(vsi, port);
    const information = { circuit, remote: this.parts.node, link: prefix.network, server, vrf: vrfToTell(iface) };
    const most = iface.mtu - IPV4_BYTES - UDP_BYTES;
    // Without room for it, it goes without (RFC 3046 §2.1.1).
    const out = (relay.option82 ? withAgent(message, dhcp, information, most) : null) ?? message.slice();
    out[DHCP_HOPS] = 1;
    setI32(out, DHCP_GIADDR, giaddr);
    let isSent = false;
    for (const { ip: to } of relay.servers) {
      const ends = { from: giaddr, fromPort: DHCP_SERVER_PORT, to, toPort: DHCP_SERVER_PORT };
      if (!this.parts.injector.route(iface.vrf, port.row, udpFrame(ends, out, TTL), frame.worker)) continue;
      servers.asked(iface, to, isOwed(dhcp, relay), timers.nowMs);
      isSent = true;
    }
    if (!isSent) return DROP.pool_exhausted;
    this.counts.count(iface.name, "request");
    this.tell("dhcp.request", {
      vsi: vsi.name,
      ...portField(port),
      mac: formatMac(dhcp.chaddr),
      from: formatIpv4(giaddr),
    });
    return CONSUMED;
  }

  private reply(frame: HeldFrame, arrival: Arrival, iface: InterfaceObject, message: Uint8Array, dhcp: Dhcp): Fate {
    const from = i32(frame.bytes, ETH_BYTES + IP_SRC);
    const servers = relayOf(iface)?.servers ?? [];
    if (!servers.some(({ ip }) => ip === from) || !this.isWayOf(arrival, from)) return DROP.dhcp_guard;
    const giaddr = i32(frame.bytes, ETH_BYTES + IP_DST);
    if (dhcp.giaddr !== giaddr || !isOwnAddress(iface, giaddr)) return DROP.dhcp_guard;
    this.parts.servers.answered(iface, from, this.parts.timers.nowMs);
    const client = dhcp.yiaddr === 0 ? dhcp.ciaddr : dhcp.yiaddr;
    const isBroadcast = dhcp.isBroadcast || dhcp.type === DHCP_NAK || client === 0;
    const to = isBroadcast ? LIMITED_BROADCAST : client;
    const ends = { from: primary4(iface.config)!.ip, fromPort: DHCP_SERVER_PORT, to, toPort: DHCP_CLIENT_PORT };
    const out = udpFrame(ends, withoutAgent(message, dhcp), TTL);
    writeMac(out, ETH_DST, isBroadcast ? BROADCAST : dhcp.chaddr);
    writeMac(out, ETH_SRC, iface.mac);
    const asker = this.askers.find(iface, questionOf(dhcp), this.parts.timers.nowMs)?.port ?? null;
    const port = this.byCircuit(iface, dhcp) ?? asker ?? this.byMac(iface, dhcp.chaddr);
    if (port !== null && isLease(dhcp)) {
      const isBound = port === asker && this.parts.bindings.lease(port, dhcp.chaddr, dhcp.yiaddr, dhcp.leaseSeconds!);
      if (!isBound && isStrict(port)) return DROP.dhcp_guard;
    }
    const where = this.send(iface, port, out, frame.worker);
    if (where === null) return DROP.pool_exhausted;
    this.counts.count(iface.name, "reply");
    this.tell("dhcp.reply", {
      ...where,
      mac: formatMac(dhcp.chaddr),
      ip: formatIpv4(client),
      server: formatIpv4(from),
    });
    return CONSUMED;
  }

  /** To the AC of the client; where that is unknown, to all of the VSI-interface. @returns where, or null: there was no room. */
  private send(iface: InterfaceObject, port: AcPort | null, frame: Uint8Array, worker: number) {
    const { injector } = this.parts;
    if (port !== null) {
      const isSent = injector.toPort(port.vsi.row, port.row, frame, worker);
      return isSent ? { vsi: port.vsi.name, ...portField(port) } : null;
    }
    const sent = iface.vsis.filter((vsi) => injector.flood(vsi.row, 0, ONLY_ACS, frame, worker));
    return sent.length > 0 ? { vsi: sent.map(({ name }) => name).join(",") } : null;
  }

  private byCircuit(iface: InterfaceObject, { agent }: Dhcp): AcPort | null {
    return acOfCircuit(this.parts.inventory, iface, agent === null ? null : circuitOf(agent));
  }

  private byMac(iface: InterfaceObject, mac: Mac): AcPort | null {
    for (const vsi of iface.vsis) {
      const port = this.parts.macs.portOf(vsi, mac);
      if (port?.kind === "ac") return port;
    }
    return null;
  }

  /** Can a server's packet come in there? By a tunnel from anywhere: the way back to a giaddr need not be the way there. */
  private isWayOf({ port, iface }: Arrival, server: Ipv4): boolean {
    return port.kind === "tunnel" || this.parts.ways.of(iface, server).iface === iface;
  }

  private tell(event: "dhcp.request" | "dhcp.reply", fields: Parameters<Emit>[2]): void {
    this.parts.emit("debug", event, fields);
  }
}

/**
 * Does each server answer it? All do to a DISCOVER, none to what a client gives back (RFC 2131 §4.3.3, §4.3.4); to a REQUEST the one
 * that it names, or whose lease it is (§4.3.2).
 */
function isOwed({ type }: Dhcp, { servers }: DhcpRelayConfig): boolean {
  return type === DHCP_DISCOVER || (servers.length === 1 && type !== DHCP_RELEASE && type !== DHCP_DECLINE);
}

function isLease({ type, yiaddr, leaseSeconds }: Dhcp): boolean {
  return type === DHCP_ACK && yiaddr !== 0 && leaseSeconds !== null;
}

function relayOf({ config }: InterfaceObject): DhcpRelayConfig | null {
  return config.dhcpRelay;
}

function questionOf({ chaddr, xid }: Dhcp): string {
  return `${chaddr} ${xid}`;
}
