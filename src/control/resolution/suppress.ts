/**
 * Messages in a VSI of mode `suppress` (D14): answer for a host with the host's own MAC, to spare every site a flood.
 *
 * This is a bridge's help, not a gateway's: nothing is rewritten and nothing is kept from going on but the questions that
 * we answer. Those come here instead of being flooded, everything else as a copy; so whatever we do not
 * answer, odd ones included, is flooded as it came. A VSI-interface, where there is one, answers for its own addresses and
 * learns its neighbours as in the other modes.
 */
import { DROP } from "../../tables/counters.ts";
import { formatMac } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import { CONSUMED, type Fate, REINJECTED } from "../fate.ts";
import { ALL_PORTS, type HeldFrame, type Injector, ONLY_ACS } from "../inject.ts";
import { type InterfaceObject, isOwnAddress, type PortObject, type VsiObject } from "../inventory.ts";
import { formatIp } from "../ip.ts";
import type { ResolutionCounts } from "./counts.ts";
import type { LocalProxy } from "./local-proxy.ts";
import type { Message, Probe, Question, Statement } from "./message.ts";
import type { PeerGateways } from "./peer-gateway.ts";
import type { MessageSender } from "./sender.ts";
import type { Speaker } from "./speaker.ts";
import type { SuppressionTable } from "./suppression.ts";

export interface SuppressorParts {
  readonly speaker: Speaker;
  readonly injector: Injector;
  readonly emit: Emit;
  readonly sender: MessageSender;
  readonly peers: PeerGateways;
  readonly counts: ResolutionCounts;
  readonly table: SuppressionTable;
  /** Who answers for the VSI-interface. */
  readonly gateway: LocalProxy;
}

export class Suppressor {
  private readonly parts: SuppressorParts;

  constructor(parts: SuppressorParts) {
    this.parts = parts;
  }

  handle(message: Message, vsi: VsiObject, port: PortObject, frame: HeldFrame): Fate {
    const { speaker, gateway } = this.parts;
    const iface = vsi.interface;
    const isFromAc = iface !== null && port.kind === "ac";
    if (isFromAc && message.senderMac === iface.mac) return DROP.own_mac_local;
    // Also one that is not to be believed: other hosts may believe it.
    if (isFromAc && message.kind !== "probe" && gateway.defence.isSpoof(message, iface, port)) {
      gateway.defence.defend(message, iface, vsi, port);
      return speaker.drops.gatewaySpoof;
    }
    if (speaker.check(message, null) !== CONSUMED) return this.goOn(vsi, port, frame);
    if (message.kind !== "probe") this.hear(message, iface, vsi, port);
    if (message.kind === "answer" || message.kind === "announcement") return this.goOn(vsi, port, frame);
    if (iface !== null && isOwnAddress(iface, message.target)) return this.forGateway(message, iface, vsi, port);
    // Bridged to its host, which alone knows whether it lives (RFC 4861 §7.3.1); one at our MAC reaches none.
    const isBridged = message.to !== null && message.to !== iface?.mac;
    return !isBridged && this.answerFor(message, vsi, port) ? CONSUMED : this.goOn(vsi, port, frame);
  }

  private hear(message: Statement, iface: InterfaceObject | null, vsi: VsiObject, port: PortObject): void {
    const { speaker, gateway, peers, table } = this.parts;
    const { kind, sender, senderMac } = message;
    if (iface !== null && isOwnAddress(iface, sender)) {
      peers.heard(iface, vsi, port, sender, senderMac);
      return;
    }
    const how = kind === "answer" ? "reply" : kind === "question" ? "request" : "announcement";
    // Asked and not told, it is what it was.
    const isRouter = kind === "question" ? undefined : message.isRouter === true;
    table.heard(vsi, sender, { mac: senderMac, port, isRouter }, how);
    if (iface !== null && speaker.check(message, iface) === CONSUMED)
      gateway.hear(iface, message, { mac: senderMac, port, vsi });
  }

  /** Answer for a host that we know, with its own MAC. @returns false: it may answer itself. */
  private answerFor({ sender, senderMac, target }: Question | Probe, vsi: VsiObject, port: PortObject): boolean {
    if (port.kind === "tunnel") return false;
    const host = this.parts.table.find(vsi, target);
    // Behind the same port they hear each other, and a host that probes for its own address must not be told it is taken.
    if (host === undefined || host.port === port || host.mac === senderMac) return false;
    const { mac, isRouter } = host;
    this.parts.sender.reply(vsi, port, { mac, ip: target, isRouter }, { mac: senderMac, ip: sender });
    this.parts.counts.count(vsi.name, "suppress_reply");
    const fields = { vsi: vsi.name, ac: port.name, ip: formatIp(target), host: formatMac(senderMac) };
    this.parts.emit("debug", this.parts.speaker.events.suppressReply, fields);
    return true;
  }

  private forGateway(message: Question | Probe, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const { gateway, counts } = this.parts;
    if (port.kind === "ac" || gateway.answersTunnel(iface, message.target))
      return gateway.answerForGateway(message, iface, vsi, port);
    counts.count(vsi.name, "ignored");
    return CONSUMED;
  }

  /** A frame that waited for our decision is flooded now; any other has been bridged already. */
  private goOn(vsi: VsiObject, port: PortObject, frame: HeldFrame): Fate {
    if (!this.parts.speaker.isHeldBack(frame.bytes)) return CONSUMED;
    const scope = port.kind === "tunnel" || !vsi.config.flood.broadcast ? ONLY_ACS : ALL_PORTS;
    const ports = scope === ALL_PORTS ? [...vsi.acs, ...vsi.tunnels] : vsi.acs;
    if (!ports.some((each) => each !== port && each.up)) return DROP.flood_disabled;
    const { injector } = this.parts;
    return injector.flood(vsi.row, port.row, scope, frame.bytes, frame.worker) ? REINJECTED : DROP.pool_exhausted;
  }
}
