/**
 * ARP in a VSI of mode `suppress` (D14): answer for a host with the host's own MAC, to spare every site a flood.
 *
 * This is a bridge's help, not a gateway's: nothing is rewritten and nothing is kept from going on but the requests that
 * we answer. Broadcast requests come here instead of being flooded, everything else as a copy; so whatever we do not
 * answer, odd ones included, is flooded as it came. A VSI-interface, where there is one, answers for its own addresses and
 * learns its neighbours as in the other modes.
 */
import { DROP } from "../../tables/counters.ts";
import { ARP_REQUEST, type Arp } from "../../wire/arp.ts";
import { formatMac, isGroup } from "../../wire/ethernet.ts";
import { formatIpv4 } from "../../wire/ipv4.ts";
import type { Emit } from "../event.ts";
import { CONSUMED, type Fate, REINJECTED } from "../fate.ts";
import { ALL_PORTS, type HeldFrame, type Injector, ONLY_ACS } from "../inject.ts";
import { type InterfaceObject, isOwnAddress, type PortObject, type VsiObject } from "../inventory.ts";
import type { ArpHandler } from "./arp.ts";
import { checkArp } from "./check.ts";
import type { ArpCounts } from "./counts.ts";
import type { PeerGateways } from "./peer-gateway.ts";
import type { ArpSender } from "./sender.ts";
import type { SuppressionTable } from "./suppression.ts";

export class ArpSuppressor {
  private readonly injector: Injector;
  private readonly emit: Emit;
  private readonly sender: ArpSender;
  private readonly peers: PeerGateways;
  private readonly counts: ArpCounts;
  private readonly table: SuppressionTable;

  constructor(
    injector: Injector,
    emit: Emit,
    sender: ArpSender,
    peers: PeerGateways,
    counts: ArpCounts,
    table: SuppressionTable,
  ) {
    this.injector = injector;
    this.emit = emit;
    this.sender = sender;
    this.peers = peers;
    this.counts = counts;
    this.table = table;
  }

  /** An ARP message in `vsi`. `gateway`: who answers for the VSI-interface. */
  handle(arp: Arp, vsi: VsiObject, port: PortObject, frame: HeldFrame, gateway: ArpHandler): Fate {
    const iface = vsi.interface;
    // Only broadcast requests wait for our decision; the others have been bridged already.
    const end = (): Fate => (arp.op === ARP_REQUEST && isGroup(arp.ethDst) ? this.flood(vsi, port, frame) : CONSUMED);
    if (checkArp(arp, null) !== CONSUMED) return end();
    if (iface !== null && arp.senderMac === iface.mac && port.kind === "ac") return DROP.own_mac_local;
    if (iface !== null && port.kind === "ac" && gateway.defence.isSpoof(arp, iface, port)) {
      gateway.defence.defend(arp, iface, vsi, port);
      return DROP.arp_gw_spoof;
    }
    const isPeer = iface !== null && arp.senderIp !== 0 && isOwnAddress(iface, arp.senderIp);
    if (isPeer) this.peers.heard(iface, vsi, port, arp.senderIp, arp.senderMac);
    else if (arp.senderIp !== 0) {
      const origin = arp.senderIp === arp.targetIp ? "announcement" : arp.op === ARP_REQUEST ? "request" : "reply";
      this.table.heard(vsi, arp.senderIp, arp.senderMac, port, origin);
      if (iface !== null && checkArp(arp, iface) === CONSUMED)
        gateway.hear(iface, arp, { mac: arp.senderMac, port, vsi });
    }
    if (arp.op !== ARP_REQUEST || arp.senderIp === arp.targetIp) return end();
    if (iface !== null && isOwnAddress(iface, arp.targetIp)) return this.forGateway(arp, iface, vsi, port, gateway);
    if (port.kind === "tunnel") return end();
    const host = this.table.find(vsi, arp.targetIp);
    // Behind the same port they hear each other, and a host that probes for its own address must not be told it is taken.
    if (host === undefined || host.port === port || host.mac === arp.senderMac) return end();
    this.sender.reply(vsi, port, host.mac, arp.targetIp, { mac: arp.senderMac, ip: arp.senderIp });
    this.counts.count(vsi.name, "suppress_reply");
    const fields = { vsi: vsi.name, ac: port.name, ip: formatIpv4(arp.targetIp), host: formatMac(arp.senderMac) };
    this.emit("debug", "arp.suppress-reply", fields);
    return CONSUMED;
  }

  private forGateway(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject, gateway: ArpHandler): Fate {
    if (port.kind === "ac" || gateway.answersTunnel(iface, arp.targetIp))
      return gateway.answerForGateway(arp, iface, vsi, port);
    this.counts.count(vsi.name, "ignored");
    return CONSUMED;
  }

  private flood(vsi: VsiObject, port: PortObject, frame: HeldFrame): Fate {
    const scope = port.kind === "tunnel" || !vsi.config.flood.broadcast ? ONLY_ACS : ALL_PORTS;
    const ports = scope === ALL_PORTS ? [...vsi.acs, ...vsi.tunnels] : vsi.acs;
    if (!ports.some((each) => each !== port && each.up)) return DROP.flood_disabled;
    return this.injector.flood(vsi.row, port.row, scope, frame.bytes, frame.worker) ? REINJECTED : DROP.pool_exhausted;
  }
}
