/**
 * ARP in: learn, answer for the gateway, answer for others (local proxy), relay.
 *
 * The reading order is the message's: door (parse, checks) -> from an AC or from a tunnel -> announcement, probe, request
 * or reply. In words, for the mode `localProxy` (D14; behaviour.md §3 has the rules, §2 the frames):
 *
 *   from an AC       its sender is learned. For our address: one reply. For another one: a reply with our gateway MAC, and
 *                    the question goes on with our MAC to all sites while the target is unknown or stale (article 2-4).
 *   from a tunnel    its sender is learned at the tunnel, or noted as a peer gateway when it speaks with our address (D9).
 *                    For a host of ours: answered if fresh (D7), else asked for on our ACs with our MAC, and the asker is
 *                    remembered (article 5). Never answered for a host behind another tunnel (N7), never re-flooded to one.
 *   heard from a host that somebody waits for: each asker gets one unicast reply with our MAC (article 7, D3, D4).
 *
 * In mode `flood` a copy comes here: hosts are learned and our own address is answered for, nothing else. Mode `suppress`
 * is suppress.ts.
 */

import { DROP } from "../../tables/counters.ts";
import { ARP_REPLY, type Arp, parseArp } from "../../wire/arp.ts";
import { formatMac, isGroup, type Mac } from "../../wire/ethernet.ts";
import { formatIpv4, type Ipv4 } from "../../wire/ipv4.ts";
import { type Emit, portField } from "../event.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { ALL_PORTS, type HeldFrame, ONLY_ACS } from "../inject.ts";
import {
  type InterfaceObject,
  type Inventory,
  isOwnAddress,
  isPortOf,
  type PortObject,
  subnetOf,
  type VsiObject,
} from "../inventory.ts";
import { isGiven, type Neighbor, type Place, samePlace } from "../neighbor/entry.ts";
import { isKnown } from "../neighbor/nud.ts";
import type { Heard, Neighbors } from "../neighbor/table.ts";
import type { Timers } from "../timers.ts";
import { checkArp, type IsRoutedBy, isHostAddress, isRoutedSender } from "./check.ts";
import type { ArpCounts } from "./counts.ts";
import { Defence } from "./defence.ts";
import type { DuplicateAddresses } from "./duplicates.ts";
import { askForFabric, relayScope, searchScope } from "./fabric.ts";
import type { PeerGateways } from "./peer-gateway.ts";
import type { Asker, PendingRelays } from "./relay.ts";
import { type ArpSender, addressFor } from "./sender.ts";

/** Heard from this lately, a host is certainly alive: an address probe is answered without asking it first. */
export const LIVE_MS = 10_000;

/** What `Neighbors.hear` makes of a claim that contradicts what is known. */
const CONTRADICTION: ReadonlySet<Heard> = new Set(["moved", "challenged", "damped", "static"]);

export interface ArpContext {
  readonly inventory: Inventory;
  readonly timers: Timers;
  readonly emit: Emit;
  readonly sender: ArpSender;
  readonly neighbors: Neighbors;
  readonly relays: PendingRelays;
  readonly peers: PeerGateways;
  readonly counts: ArpCounts;
  readonly duplicates: DuplicateAddresses;
  readonly isRoutedBy: IsRoutedBy;
  /** What to do with ARP in a VSI whose mode is `suppress`. */
  readonly suppress: (arp: Arp, vsi: VsiObject, port: PortObject, frame: HeldFrame) => Fate;
}

export class ArpHandler {
  private readonly c: ArpContext;
  readonly defence: Defence;

  constructor(context: ArpContext) {
    this.c = context;
    this.defence = new Defence(context);
  }

  /** PUNT.arp: an ARP frame, or a copy of one that was bridged as well. */
  handle(frame: HeldFrame): Fate {
    const port = this.c.inventory.ports.get(frame.port);
    const vsi = this.c.inventory.vsis.get(frame.vsi);
    // Its port or VSI went away while it waited in the ring.
    if (port === undefined || vsi === undefined || !isPortOf(port, vsi)) return DROP.ac_unbound;
    const arp = parseArp(frame.bytes, 0, frame.bytes.length);
    if (arp === null) return DROP.arp_malformed;
    if (vsi.config.arp === "suppress") return this.c.suppress(arp, vsi, port, frame);
    const iface = vsi.interface;
    if (iface === null) return this.ignore(vsi, arp, "no VSI-interface");
    const bad = checkArp(arp, iface);
    if (bad === DROP.arp_not_local && port.kind === "ac" && isRoutedSender(arp, iface, this.c.isRoutedBy))
      return this.fromRoutedSender(arp, iface, vsi, port);
    if (bad !== CONSUMED) return bad;
    return port.kind === "ac" ? this.fromAc(arp, iface, vsi, port) : this.fromTunnel(arp, iface, vsi, port);
  }

  /** The gateway tells the hosts behind `port` its addresses (§3.12). */
  announce(iface: InterfaceObject, port: PortObject, vsi: VsiObject): void {
    for (const { address } of iface.subnets) this.c.sender.announce(vsi, port, iface.mac, address);
  }

  /** ARP from `ip` at `place`: believe it, and answer those who waited for it. */
  hear(iface: InterfaceObject, arp: Arp, place: Place): Heard {
    const isAnnouncement =
      arp.senderIp === arp.targetIp || (arp.op === ARP_REPLY && isGroup(arp.ethDst) && place.port.kind === "tunnel");
    if (place.port.kind === "tunnel") this.noteClaim(iface, arp.senderIp, place, isAnnouncement);
    const how = isAnnouncement ? "announcement" : arp.op === ARP_REPLY ? "reply" : "request";
    const before = this.c.neighbors.find(iface, arp.senderIp)?.place ?? null;
    const isElsewhere = before !== null && !samePlace(before, place);
    // What is not believed is not believed for answering a question of ours.
    if (how === "reply" && this.c.duplicates.answered(iface, arp.senderIp, place) && isElsewhere) return "ignored";
    const heard = this.c.neighbors.hear(
      iface,
      arp.senderIp,
      place,
      how,
      isAnnouncement ? null : this.heardStep(arp, iface, place),
    );
    if (isElsewhere && CONTRADICTION.has(heard) && !this.isReplaced(before, place))
      this.c.duplicates.suspect(iface, arp.senderIp, before, place);
    if (heard === "new" || heard === "moved") this.c.counts.count(place.vsi.name, "learned");
    if (heard === "new" || heard === "moved" || heard === "same") this.answerAskers(iface, arp.senderIp);
    return heard;
  }

  /** Did only the gateway MAC change behind the tunnel by which the host is reached? */
  private isReplaced(before: Place, { port, vsi }: Place): boolean {
    const isSameTunnel = port.kind === "tunnel" && before.port === port && before.vsi === vsi;
    return isSameTunnel && this.c.peers.isFormer(vsi, port, before.mac);
  }

  /** Is it a gateway's address, as one sees it who is none of them? Then its MAC is remembered by tunnel (peer-gateway.ts). */
  private noteClaim(iface: InterfaceObject, ip: Ipv4, { port, vsi, mac }: Place, isAnnouncement: boolean): void {
    const before = knownOf(this.c.neighbors.find(iface, ip))?.place;
    const isElsewhere = before != null && before.port.kind === "tunnel" && before.port !== port;
    if (isElsewhere) this.c.peers.claimed(iface, before.vsi, before.port, ip, before.mac, null);
    const was = before?.port === port && before.vsi === vsi ? before.mac : null;
    if (isAnnouncement || isElsewhere || (was !== null && was !== mac))
      this.c.peers.claimed(iface, vsi, port, ip, mac, was);
  }

  /** Our own address was asked for: one reply, to the asker alone. */
  answerForGateway(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    this.c.sender.reply(vsi, port, iface.mac, arp.targetIp, { mac: arp.senderMac, ip: arp.senderIp });
    this.c.counts.count(vsi.name, "gateway_reply");
    this.tell("arp.gateway-reply", vsi, port, arp.targetIp, arp.senderMac, port.kind === "ac" ? "S2.2/S3.2" : "S3.5");
    return CONSUMED;
  }

  /** A request from a tunnel for an address of ours (D15): a distributed gateway leaves it to the asker's own site. */
  answersTunnel(iface: InterfaceObject, ip: Ipv4): boolean {
    const isShared = iface.subnets.some((subnet) => subnet.address === ip);
    return !iface.config.distributed || !isShared;
  }

  // ---- from an AC --------------------------------------------------------------------------------------------------

  private fromAc(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    if (arp.senderMac === iface.mac) return DROP.own_mac_local;
    if (this.defence.isSpoof(arp, iface, port)) {
      this.defence.defend(arp, iface, vsi, port);
      return DROP.arp_gw_spoof;
    }
    const isProxy = vsi.config.arp === "localProxy";
    if (arp.senderIp === 0) return this.probeFromAc(arp, iface, vsi, port, isProxy);
    const heard = this.hear(iface, arp, { mac: arp.senderMac, port, vsi });
    if (heard === "full") return DROP.arp_limit;
    if (arp.senderIp === arp.targetIp) {
      // New here is news as well: another site may have announced it this very second, before it moved.
      const isNews = heard === "moved" || heard === "new";
      if (isProxy) this.relayAnnouncement(iface, arp, port, ALL_PORTS, isNews);
      return CONSUMED;
    }
    if (arp.op === ARP_REPLY) return CONSUMED;
    if (isOwnAddress(iface, arp.targetIp)) return this.answerForGateway(arp, iface, vsi, port);
    return isProxy ? this.proxy(arp, iface, vsi, port) : CONSUMED;
  }

  private fromRoutedSender(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    if (arp.senderMac === iface.mac) return DROP.own_mac_local;
    if (isOwnAddress(iface, arp.targetIp)) return this.answerForGateway(arp, iface, vsi, port);
    return vsi.config.arp === "localProxy" ? this.proxy(arp, iface, vsi, port) : CONSUMED;
  }

  /** Local proxy ARP: answer for a host elsewhere, and let all sites know who asks while we do not know it ourselves. */
  private proxy(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const target = arp.targetIp;
    if (!isHostAddress(iface, target)) return this.ignore(vsi, arp, "not a host address");
    const entry = knownOf(this.c.neighbors.find(iface, target));
    // D8: they hear each other. The same holds where there is no other port the target could be behind.
    if (entry?.place?.port === port) {
      // Unless it has left without a word: a host that is asked for and was not heard for a while is asked whether it lives.
      if (!this.isLive(entry)) this.c.neighbors.doubt(iface, target, port);
      return this.ignore(vsi, arp, "same port");
    }
    if (entry === undefined && isAlone(iface, port)) return this.ignore(vsi, arp, "no other port");
    const asker = { port, mac: arp.senderMac, ip: arp.senderIp };
    if (entry !== undefined || vsi.config.proxyArp === "immediate") this.proxyReply(iface, vsi, target, asker);
    else this.c.relays.add(vsi, target, asker);
    if (entry?.state !== "reachable") this.relayToSites(arp, iface, vsi, port);
    return CONSUMED;
  }

  /** RFC 5227: is the address taken? Answered for ours, and for a different host that is certainly alive; else asked on. */
  private probeFromAc(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject, isProxy: boolean): Fate {
    const target = arp.targetIp;
    if (isOwnAddress(iface, target)) return this.answerForGateway(arp, iface, vsi, port);
    if (!isProxy) return CONSUMED;
    const entry = knownOf(this.c.neighbors.find(iface, target));
    const asker = { port, mac: arp.senderMac, ip: 0 };
    if (entry !== undefined && entry.place!.port !== port && this.isLive(entry)) {
      if (entry.place!.mac === arp.senderMac) return CONSUMED;
      this.proxyReply(iface, vsi, target, asker);
      if (isGroup(arp.ethDst))
        this.c.duplicates.suspect(iface, target, entry.place!, { mac: arp.senderMac, port, vsi }, true);
      return CONSUMED;
    }
    this.c.relays.add(vsi, target, asker);
    this.relayToSites(arp, iface, vsi, port);
    return CONSUMED;
  }

  /** Article step 4, in every VXLAN of the VSI-interface (D5), with our MAC and the asker's IP. */
  private relayToSites(arp: Arp, iface: InterfaceObject, asked: VsiObject, port: PortObject): void {
    // The other sites know no address outside the subnet: they are asked with our own.
    const isGuest = arp.senderIp !== 0 && subnetOf(iface, arp.senderIp) === null;
    const question = { target: arp.targetIp, except: port, by: port, isRetry: false };
    for (const vsi of iface.vsis) {
      const sender = isGuest || vsi.config.evpn !== null ? addressFor(iface, arp.targetIp) : arp.senderIp;
      if (!this.c.sender.solicit(iface, vsi, { ...question, sender, scope: searchScope(vsi) }).sent) continue;
      this.c.counts.count(asked.name, "relayed_request");
      this.tell("arp.relay-request", vsi, port, arp.targetIp, arp.senderMac, "S1.4");
    }
  }

  // ---- from a tunnel -----------------------------------------------------------------------------------------------

  private fromTunnel(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const isProxy = vsi.config.arp === "localProxy";
    const isPeer = arp.senderIp !== 0 && isOwnAddress(iface, arp.senderIp);
    if (isPeer) this.c.peers.heard(iface, vsi, port, arp.senderIp, arp.senderMac);
    else if (arp.senderIp !== 0) {
      const heard = this.hear(iface, arp, { mac: arp.senderMac, port, vsi });
      if (heard === "full") return DROP.arp_limit;
      if (arp.senderIp === arp.targetIp && isProxy)
        this.relayAnnouncement(iface, arp, port, ONLY_ACS, heard === "moved", vsi);
    }
    if (arp.op === ARP_REPLY || arp.senderIp === arp.targetIp) return CONSUMED;
    if (isOwnAddress(iface, arp.targetIp)) {
      if (this.answersTunnel(iface, arp.targetIp)) return this.answerForGateway(arp, iface, vsi, port);
      return this.ignore(vsi, arp, "each site has its own gateway");
    }
    return isProxy ? this.relayFromTunnel(arp, iface, vsi, port) : CONSUMED;
  }

  private relayFromTunnel(arp: Arp, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const target = arp.targetIp;
    if (!isHostAddress(iface, target)) return this.ignore(vsi, arp, "not a host address");
    if (vsi.config.evpn !== null) return askForFabric(this.c, iface, vsi, port, target);
    const asker = { port, mac: arp.senderMac, ip: arp.senderIp };
    const entry = this.c.neighbors.find(iface, target);
    const isHere = entry?.place?.port.kind === "ac" && entry.state === "reachable";
    const isCertain = arp.senderIp !== 0 || (entry !== undefined && this.isLive(entry));
    if (isHere && arp.senderIp === 0 && isGroup(arp.ethDst))
      this.c.duplicates.suspect(iface, target, entry.place!, { mac: arp.senderMac, port, vsi }, true);
    if (isHere && isCertain && vsi.config.relay === "auto") {
      this.relayReply(iface, vsi, target, asker);
      return CONSUMED;
    }
    if (!vsi.acs.some((ac) => ac.up)) return this.ignore(vsi, arp, "no AC");
    const question = { target, sender: arp.senderIp, except: port, by: port, scope: ONLY_ACS, isRetry: false };
    const { sent } = this.c.sender.solicit(iface, vsi, question);
    if (!sent && isHere && isCertain) {
      // With relay: always, and asked within this second: its answer may be behind us, and no other one will come.
      this.relayReply(iface, vsi, target, asker);
      return CONSUMED;
    }
    this.c.relays.add(vsi, target, asker);
    if (!sent) return CONSUMED;
    this.c.counts.count(vsi.name, "relayed_request");
    this.tell("arp.relay-request", vsi, port, target, arp.senderMac, this.relayedStep(arp, iface));
    return CONSUMED;
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  /** `ip` was just heard: those who wait for it are answered, with our MAC. */
  private answerAskers(iface: InterfaceObject, ip: Ipv4): void {
    const entry = knownOf(this.c.neighbors.find(iface, ip));
    if (entry === undefined) return;
    const { place } = entry;
    const isHere = place!.port.kind === "ac";
    for (const vsi of iface.vsis) {
      for (const asker of this.c.relays.take(vsi, ip, "ac"))
        if (asker.port !== place!.port && asker.mac !== place!.mac) this.proxyReply(iface, vsi, ip, asker);
      // N7: what is behind a tunnel is answered for by the gateway there.
      if (isHere && vsi === place!.vsi)
        for (const asker of this.c.relays.take(vsi, ip, "tunnel")) this.relayReply(iface, vsi, ip, asker);
    }
  }

  private proxyReply(iface: InterfaceObject, vsi: VsiObject, ip: Ipv4, asker: Asker): void {
    this.c.sender.reply(vsi, asker.port, iface.mac, ip, asker);
    this.c.counts.count(vsi.name, "proxy_reply");
    this.tell("arp.proxy-reply", vsi, asker.port, ip, asker.mac, "S1.2");
  }

  private relayReply(iface: InterfaceObject, vsi: VsiObject, ip: Ipv4, asker: Asker): void {
    this.c.sender.reply(vsi, asker.port, iface.mac, ip, asker);
    this.c.counts.count(vsi.name, "relayed_reply");
    const step = isOwnAddress(iface, asker.ip) ? "S2.7" : this.c.neighbors.isNextHop(iface, asker.ip) ? null : "S1.7";
    this.tell("arp.relay-reply", vsi, asker.port, ip, asker.mac, step);
  }

  /** §3.4: to all sites with our MAC. From a tunnel: to our ACs, in the VSI it came in. */
  private relayAnnouncement(
    iface: InterfaceObject,
    arp: Arp,
    port: PortObject,
    scope: number,
    isNews: boolean,
    only: VsiObject | null = null,
  ): void {
    for (const vsi of only === null ? iface.vsis : [only])
      this.c.sender.relayAnnouncement(iface, vsi, arp.senderIp, port, relayScope(vsi, scope), isNews);
  }

  /** The article's step in which this is heard; null: it leaves that out (the way back from the outside). */
  private heardStep({ op, senderIp, targetIp }: Arp, iface: InterfaceObject, { port }: Place): string | null {
    const isForUs = isOwnAddress(iface, targetIp);
    const isNextHop = this.c.neighbors.isNextHop(iface, senderIp);
    if (op === ARP_REPLY) {
      if (port.kind === "ac") return isForUs ? "S2.7" : "S1.7";
      if (isNextHop) return "S3.6";
      return isForUs && !iface.config.distributed ? null : isForUs ? "S2.8" : "S1.8";
    }
    if (port.kind === "ac") return isForUs ? "S2.2/S3.2" : "S1.2";
    if (isNextHop) return null;
    return isForUs && !iface.config.distributed ? "S3.5" : "S1.5";
  }

  /** Of a request from a tunnel that goes on into our site: for a host, or for somebody's next hop. */
  private relayedStep({ senderIp, targetIp }: Arp, iface: InterfaceObject): string | null {
    if (!isOwnAddress(iface, senderIp)) return this.c.neighbors.isNextHop(iface, senderIp) ? null : "S1.5";
    return this.c.neighbors.isNextHop(iface, targetIp) ? "S3.4" : "S2.5";
  }

  private isLive(entry: Neighbor): boolean {
    return isGiven(entry) || this.c.timers.nowMs - entry.heardMs <= LIVE_MS;
  }

  private ignore(vsi: VsiObject, arp: Arp, why: string): Fate {
    this.c.counts.count(vsi.name, "ignored");
    const fields = { vsi: vsi.name, sender: formatIpv4(arp.senderIp), target: formatIpv4(arp.targetIp), why };
    this.c.emit("debug", "arp.ignored", fields);
    return CONSUMED;
  }

  private tell(
    event: "arp.gateway-reply" | "arp.proxy-reply" | "arp.relay-request" | "arp.relay-reply",
    vsi: VsiObject,
    port: PortObject,
    ip: Ipv4,
    mac: Mac,
    step: string | null = null,
  ): void {
    const fields = { vsi: vsi.name, ...portField(port), ip: formatIpv4(ip), host: formatMac(mac) };
    this.c.emit("debug", event, step === null ? fields : { ...fields, step });
  }
}

function knownOf(entry: Neighbor | undefined): Neighbor | undefined {
  return entry !== undefined && isKnown(entry.state) ? entry : undefined;
}

/** Is `port` the only one behind which a host of `iface` can be? */
function isAlone(iface: InterfaceObject, port: PortObject): boolean {
  return iface.vsis.every((vsi) => [...vsi.acs, ...vsi.tunnels].every((each) => each === port || !each.up));
}
