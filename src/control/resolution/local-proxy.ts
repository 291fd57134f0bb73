/**
 * Local proxy: what is decided about a message of address resolution, whichever protocol said it: learn, answer for the
 * gateway, answer for others, relay.
 *
 * The reading order is the message's: its check -> from an AC or from a tunnel -> announcement, probe, question or answer.
 * In words, for the mode `localProxy` (D14; behaviour.md §3 has the rules, §2 the frames):
 *
 *   from an AC       its sender is learned. For our address: one answer. For another one: an answer with our gateway MAC, and
 *                    the question goes on with our MAC to all sites while the target is unknown or stale (article 2-4).
 *   from a tunnel    its sender is learned at the tunnel, or noted as a peer gateway when it speaks with our address (D9).
 *                    For a host of ours: answered if fresh (D7), else asked for on our ACs with our MAC, and the asker is
 *                    remembered (article 5). Never answered for a host behind another tunnel (N7), never re-flooded to one.
 *   heard from a host that somebody waits for: each asker gets one unicast answer with our MAC (article 7, D3, D4).
 *
 * In mode `flood` a copy comes here: hosts are learned and our own address is answered for, nothing else. Mode `suppress`
 * is suppress.ts.
 */
import { DROP } from "../../tables/counters.ts";
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { ALL_PORTS, ONLY_ACS, ONLY_TUNNELS } from "../inject.ts";
import { type InterfaceObject, isHostAddress, isOwnAddress, type PortObject, type VsiObject } from "../inventory.ts";
import { formatIp, type Ip, isOfLink } from "../ip.ts";
import { isGiven, type Neighbor, type Place, samePlace } from "../neighbor/entry.ts";
import type { Heard } from "../neighbor/evidence.ts";
import { isKnown } from "../neighbor/nud.ts";
import type { Neighbors } from "../neighbor/table.ts";
import type { Timers } from "../timers.ts";
import { isAlone, isFromRoute, type RoutesBy, speakerFor } from "./asker.ts";
import type { ResolutionCounts } from "./counts.ts";
import { Defence } from "./defence.ts";
import type { DuplicateAddresses } from "./duplicates.ts";
import { askForFabric, isInFabric, relayScope, searchScope } from "./fabric.ts";
import type { Announcement, Message, Probe, Question, Statement } from "./message.ts";
import type { PeerGateways } from "./peer-gateway.ts";
import type { Asker, PendingRelays } from "./relay.ts";
import type { MessageSender } from "./sender.ts";
import type { ResolutionEvent, Speaker } from "./speaker.ts";
import { heardStep, relayedReplyStep, relayedStep } from "./step.ts";

/** Heard from this lately, a host is certainly alive: an address probe is answered without asking it first. */
export const LIVE_MS = 10_000;

/** What `Neighbors.hear` makes of a claim that contradicts what is known. */
const CONTRADICTION: ReadonlySet<Heard> = new Set(["moved", "challenged", "damped", "static"]);

export interface LocalProxyParts {
  readonly speaker: Speaker;
  readonly timers: Timers;
  readonly emit: Emit;
  readonly sender: MessageSender;
  readonly neighbors: Neighbors;
  readonly relays: PendingRelays;
  readonly peers: PeerGateways;
  readonly counts: ResolutionCounts;
  readonly duplicates: DuplicateAddresses;
  readonly isRoutedBy: RoutesBy;
}

export class LocalProxy {
  private readonly parts: LocalProxyParts;
  readonly defence: Defence;

  constructor(parts: LocalProxyParts) {
    this.parts = parts;
    this.defence = new Defence(parts);
  }

  /** A message in a VSI of mode `localProxy` or `flood`. */
  handle(message: Message, vsi: VsiObject, port: PortObject): Fate {
    const { speaker, isRoutedBy } = this.parts;
    const iface = vsi.interface;
    if (iface === null) return this.ignore(vsi, message, "no VSI-interface");
    const bad = speaker.check(message, iface);
    if (bad === speaker.drops.notLocal && port.kind === "ac" && isFromRoute(message, iface, isRoutedBy))
      return this.fromRoute(message, iface, vsi, port);
    if (bad !== CONSUMED) return bad;
    return port.kind === "ac" ? this.fromAc(message, iface, vsi, port) : this.fromTunnel(message, iface, vsi, port);
  }

  /** Somebody says where it is: believe it, and answer those who waited for it. */
  hear(iface: InterfaceObject, message: Statement, place: Place): Heard {
    const { counts, duplicates, neighbors } = this.parts;
    const { sender } = message;
    const isToAll = message.kind === "answer" && message.to === null && place.port.kind === "tunnel";
    const isAnnouncement = message.kind === "announcement" || isToAll;
    if (place.port.kind === "tunnel") this.noteClaim(iface, sender, place, isAnnouncement);
    const how = isAnnouncement ? "announcement" : message.kind === "answer" ? "reply" : "request";
    const entry = neighbors.findBy(iface, sender, place.port);
    // Nothing is routed to it. An answer comes to who asked: it is somebody's next hop.
    if (entry === undefined && isOfLink(sender) && how !== "reply") return "ignored";
    const before = entry?.place ?? null;
    const isElsewhere = before !== null && !samePlace(before, place);
    // What is not believed is not believed for answering a question of ours.
    if (how === "reply" && duplicates.answered(iface, sender, place) && isElsewhere) return "ignored";
    const step = isAnnouncement ? null : heardStep(message, iface, place, neighbors);
    const heard = neighbors.hear(iface, sender, place, how, step);
    if (isElsewhere && CONTRADICTION.has(heard) && !this.isReplaced(before, place))
      duplicates.suspect(iface, sender, before, place);
    if (heard === "new" || heard === "moved") counts.count(place.vsi.name, "learned");
    if (heard !== "new" && heard !== "moved" && heard !== "same") return heard;
    if (message.kind !== "question") neighbors.findBy(iface, sender, place.port)!.isRouter = message.isRouter === true;
    this.answerAskers(iface, sender);
    return heard;
  }

  /** Did only the gateway MAC change behind the tunnel by which the host is reached? */
  private isReplaced(before: Place, { port, vsi }: Place): boolean {
    const isSameTunnel = port.kind === "tunnel" && before.port === port && before.vsi === vsi;
    return isSameTunnel && this.parts.peers.isFormer(vsi, port, before.mac);
  }

  /** Is it a gateway's address, as one sees it who is none of them? Then its MAC is remembered by tunnel (peer-gateway.ts). */
  private noteClaim(iface: InterfaceObject, ip: Ip, { port, vsi, mac }: Place, isAnnouncement: boolean): void {
    const { neighbors, peers } = this.parts;
    const before = knownOf(neighbors.findBy(iface, ip, port))?.place;
    const isElsewhere = before != null && before.port.kind === "tunnel" && before.port !== port;
    if (isElsewhere) peers.claimed(iface, before.vsi, before.port, ip, before.mac, null);
    const was = before?.port === port && before.vsi === vsi ? before.mac : null;
    if (isAnnouncement || isElsewhere || (was !== null && was !== mac)) peers.claimed(iface, vsi, port, ip, mac, was);
  }

  /** Our own address was asked for: one answer, to the asker alone. */
  answerForGateway(
    { sender, senderMac, target }: Question | Probe,
    iface: InterfaceObject,
    vsi: VsiObject,
    port: PortObject,
  ): Fate {
    this.parts.sender.reply(vsi, port, { mac: iface.mac, ip: target, isRouter: true }, { mac: senderMac, ip: sender });
    this.parts.counts.count(vsi.name, "gateway_reply");
    this.tell("gatewayReply", vsi, port, target, senderMac, port.kind === "ac" ? "S2.2/S3.2" : "S3.5");
    return CONSUMED;
  }

  /** While it drains (D17) it answers none of them, and its peers' next-hop probes fail. */
  isDraining = false;

  /** A question from a tunnel for an address of ours (D15): a distributed gateway leaves it to the asker's own site. */
  answersTunnel(iface: InterfaceObject, ip: Ip): boolean {
    const isShared = iface.subnets.some((subnet) => subnet.address === ip);
    return !this.isDraining && (!iface.config.distributed || !isShared);
  }

  // ---- from an AC --------------------------------------------------------------------------------------------------

  private fromAc(message: Message, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    if (message.senderMac === iface.mac) return DROP.own_mac_local;
    if (message.kind === "probe") return this.probeFromAc(message, iface, vsi, port);
    if (this.defence.isSpoof(message, iface, port)) {
      this.defence.defend(message, iface, vsi, port);
      return this.parts.speaker.drops.gatewaySpoof;
    }
    const heard = this.hear(iface, message, { mac: message.senderMac, port, vsi });
    if (heard === "full") return this.parts.speaker.drops.limit;
    if (message.kind === "answer") return CONSUMED;
    if (message.kind === "question") return this.questionFromAc(message, iface, vsi, port);
    // New here is news as well: another site may have announced it this very second, before it moved.
    const isNews = heard === "moved" || heard === "new";
    if (isProxied(vsi)) this.relayAnnouncement(iface, message, port, ALL_PORTS, isNews);
    return CONSUMED;
  }

  /** From an address outside our subnets that a route leads to: it is not learned. */
  private fromRoute(message: Question, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    if (message.senderMac === iface.mac) return DROP.own_mac_local;
    return this.questionFromAc(message, iface, vsi, port);
  }

  private questionFromAc(message: Question, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    if (isOwnAddress(iface, message.target)) return this.answerForGateway(message, iface, vsi, port);
    return isProxied(vsi) ? this.proxy(message, iface, vsi, port) : CONSUMED;
  }

  /** Local proxy ARP: answer for a host elsewhere, and let all sites know who asks while we do not know it ourselves. */
  private proxy(message: Question, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const { neighbors, relays } = this.parts;
    const { target, sender, senderMac } = message;
    if (!isHostAddress(iface, target)) return this.ignore(vsi, message, "not a host address");
    if (isOfLink(target)) return this.ignore(vsi, message, "link-local");
    const entry = knownOf(neighbors.find(iface, target));
    // D8: they hear each other. The same holds where there is no other port the target could be behind.
    if (entry?.place?.port === port) {
      // Unless it has left without a word: a host that is asked for and was not heard for a while is asked whether it lives.
      if (!this.isLive(entry)) neighbors.doubt(iface, target, port);
      return this.ignore(vsi, message, "same port");
    }
    if (entry === undefined && isAlone(iface, port)) return this.ignore(vsi, message, "no other port");
    const asker = { port, mac: senderMac, ip: sender };
    if (entry !== undefined || vsi.config.proxyArp === "immediate") this.proxyReply(iface, vsi, target, asker);
    else relays.add(vsi, target, asker);
    if (entry?.state !== "reachable") this.relayToSites(message, iface, vsi, port);
    return CONSUMED;
  }

  /** RFC 5227: is the address taken? Answered for ours, and for a different host that certainly lives here; else asked on. */
  private probeFromAc(message: Probe, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const { neighbors, duplicates, relays, sender } = this.parts;
    const { target, senderMac } = message;
    if (isOwnAddress(iface, target)) return this.answerForGateway(message, iface, vsi, port);
    if (!isProxied(vsi) || isOfLink(target)) return CONSUMED;
    const entry = knownOf(neighbors.find(iface, target));
    const asker = { port, mac: senderMac, ip: null };
    const isElsewhere = entry !== undefined && entry.place!.port !== port && this.isLive(entry);
    const holder = isElsewhere ? entry.place! : null;
    if (holder?.mac === senderMac) return CONSUMED;
    if (holder !== null && message.to === null)
      duplicates.suspect(iface, target, holder, { mac: senderMac, port, vsi }, true);
    if (holder !== null && (holder.port.kind === "ac" || isGiven(entry!))) {
      this.proxyReply(iface, vsi, target, asker);
      return CONSUMED;
    }
    // Heard behind a tunnel, at its gateway's MAC, it may have come here since, and be the one that probes: its site is asked.
    const isContest = relays.isContested(vsi, target, asker);
    relays.add(vsi, target, asker);
    const asked = this.relayToSites(message, iface, vsi, port, isContest);
    if (holder !== null && !asked.includes(holder.vsi))
      sender.probe(iface, holder.vsi, holder.port, holder.mac, target);
    return CONSUMED;
  }

  /** Article step 4, in every VXLAN of the VSI-interface (D5), with our MAC and the asker's IP. @returns VSIs whose other sites were asked. */
  private relayToSites(
    message: Question | Probe,
    iface: InterfaceObject,
    asked: VsiObject,
    port: PortObject,
    isContest = false,
  ): VsiObject[] {
    const others: VsiObject[] = [];
    const { target, sender: asker, senderMac, nonce } = message;
    const asks = { target, except: port, by: port, isRetry: false, isContest, ...(nonce !== undefined && { nonce }) };
    for (const vsi of iface.vsis) {
      const sender = asker === null ? null : speakerFor(asker, iface, vsi, target);
      const scope = searchScope(vsi);
      if (!this.parts.sender.solicit(iface, vsi, { ...asks, sender, scope }).sent) continue;
      if ((scope & ONLY_TUNNELS) !== 0) others.push(vsi);
      this.parts.counts.count(asked.name, "relayed_request");
      this.tell("relayRequest", vsi, port, target, senderMac, "S1.4");
    }
    return others;
  }

  // ---- from a tunnel -----------------------------------------------------------------------------------------------

  private fromTunnel(message: Message, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const { peers, speaker } = this.parts;
    if (message.kind !== "probe") {
      const { sender, senderMac } = message;
      if (isOwnAddress(iface, sender)) peers.heard(iface, vsi, port, sender, senderMac);
      else {
        const heard = this.hear(iface, message, { mac: senderMac, port, vsi });
        if (heard === "full") return speaker.drops.limit;
        if (message.kind === "announcement" && isProxied(vsi))
          this.relayAnnouncement(iface, message, port, ONLY_ACS, heard === "moved", vsi);
      }
    }
    if (message.kind === "answer" || message.kind === "announcement") return CONSUMED;
    if (isOwnAddress(iface, message.target)) {
      if (this.answersTunnel(iface, message.target)) return this.answerForGateway(message, iface, vsi, port);
      return this.ignore(vsi, message, this.isDraining ? "draining" : "each site has its own gateway");
    }
    return isProxied(vsi) ? this.relayFromTunnel(message, iface, vsi, port) : CONSUMED;
  }

  private relayFromTunnel(message: Question | Probe, iface: InterfaceObject, vsi: VsiObject, port: PortObject): Fate {
    const { neighbors, duplicates, relays, counts } = this.parts;
    const { target, sender, senderMac } = message;
    if (!isHostAddress(iface, target)) return this.ignore(vsi, message, "not a host address");
    // Of a host's link it was bridged; a gateway asks for its next hop.
    if (isOfLink(target) && (sender === null || !isOwnAddress(iface, sender)))
      return this.ignore(vsi, message, "link-local");
    const isProbe = message.kind === "probe";
    if (vsi.config.evpn !== null && !isProbe) return askForFabric(this.parts, iface, vsi, port, target);
    const asker = { port, mac: senderMac, ip: sender };
    const entry = neighbors.find(iface, target);
    // One that asks with the host's own MAC is that host, which has come up there.
    const isHere = entry?.place?.port.kind === "ac" && entry.state === "reachable" && entry.place.mac !== senderMac;
    const isCertain = !isProbe || (entry !== undefined && this.isLive(entry));
    if (isHere && isProbe && message.to === null)
      duplicates.suspect(iface, target, entry.place!, { mac: senderMac, port, vsi }, true);
    if (isHere && isCertain && vsi.config.relay === "auto") {
      this.relayReply(iface, vsi, target, asker);
      return CONSUMED;
    }
    if (!vsi.acs.some((ac) => ac.up)) return this.ignore(vsi, message, "no AC");
    const isContest = isProbe && relays.isContested(vsi, target, asker);
    const carried = { isContest, ...(message.nonce !== undefined && { nonce: message.nonce }) };
    const asks = { target, sender, except: port, by: port, scope: ONLY_ACS, isRetry: false, ...carried };
    const { sent } = this.parts.sender.solicit(iface, vsi, asks);
    if (!sent && isHere && isCertain) {
      // With relay: always, and asked within this second: its answer may be behind us, and no other one will come.
      this.relayReply(iface, vsi, target, asker);
      return CONSUMED;
    }
    relays.add(vsi, target, asker);
    if (!sent) return CONSUMED;
    counts.count(vsi.name, "relayed_request");
    this.tell("relayRequest", vsi, port, target, senderMac, relayedStep(message, iface, neighbors));
    return CONSUMED;
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  /** `ip` was just heard: those who wait for it are answered, with our MAC. */
  private answerAskers(iface: InterfaceObject, ip: Ip): void {
    const { neighbors, relays } = this.parts;
    const entry = knownOf(neighbors.find(iface, ip));
    if (entry === undefined) return;
    const { place } = entry;
    const isHere = place!.port.kind === "ac";
    for (const vsi of iface.vsis) {
      for (const asker of relays.take(vsi, ip, "ac"))
        if (asker.port !== place!.port && asker.mac !== place!.mac) this.proxyReply(iface, vsi, ip, asker);
      // N7: what is behind a tunnel is answered for by the gateway there.
      if (isHere && vsi === place!.vsi)
        for (const asker of relays.take(vsi, ip, "tunnel")) this.relayReply(iface, vsi, ip, asker);
    }
  }

  /** With our MAC (in a fabric with the host's own), and what is known of the host. */
  private reply(iface: InterfaceObject, vsi: VsiObject, ip: Ip, asker: Asker): void {
    const { isRouter = false, place = null } = knownOf(this.parts.neighbors.find(iface, ip)) ?? {};
    const mac = place !== null && isInFabric(vsi, asker.port) ? place.mac : iface.mac;
    this.parts.sender.reply(vsi, asker.port, { mac, ip, isRouter }, asker);
  }

  private proxyReply(iface: InterfaceObject, vsi: VsiObject, ip: Ip, asker: Asker): void {
    this.reply(iface, vsi, ip, asker);
    this.parts.counts.count(vsi.name, "proxy_reply");
    this.tell("proxyReply", vsi, asker.port, ip, asker.mac, "S1.2");
  }

  private relayReply(iface: InterfaceObject, vsi: VsiObject, ip: Ip, asker: Asker): void {
    this.reply(iface, vsi, ip, asker);
    this.parts.counts.count(vsi.name, "relayed_reply");
    this.tell("relayReply", vsi, asker.port, ip, asker.mac, relayedReplyStep(asker, iface, this.parts.neighbors));
  }

  /** §3.4: to all sites with our MAC. From a tunnel: to our ACs, in the VSI it came in. */
  private relayAnnouncement(
    iface: InterfaceObject,
    message: Announcement,
    port: PortObject,
    scope: number,
    isNews: boolean,
    only: VsiObject | null = null,
  ): void {
    // One of the link was bridged.
    if (isOfLink(message.sender)) return;
    for (const vsi of only === null ? iface.vsis : [only])
      this.parts.sender.relayAnnouncement(iface, vsi, message, port, relayScope(vsi, scope), isNews);
  }

  private isLive(entry: Neighbor): boolean {
    return isGiven(entry) || this.parts.timers.nowMs - entry.heardMs <= LIVE_MS;
  }

  private ignore(vsi: VsiObject, { sender, target }: Message, why: string): Fate {
    const { counts, emit, speaker } = this.parts;
    counts.count(vsi.name, "ignored");
    const text = (ip: Ip | null) => (ip === null ? "-" : formatIp(ip));
    emit("debug", speaker.events.ignored, { vsi: vsi.name, sender: text(sender), target: text(target), why });
    return CONSUMED;
  }

  private tell(
    event: ResolutionEvent,
    vsi: VsiObject,
    port: PortObject,
    ip: Ip,
    mac: Mac,
    step: string | null = null,
  ): void {
    const fields = { vsi: vsi.name, ...portField(port), ip: formatIp(ip), host: formatMac(mac) };
    this.parts.emit("debug", this.parts.speaker.events[event], step === null ? fields : { ...fields, step });
  }
}

function isProxied({ config }: VsiObject): boolean {
  return config.arp === "localProxy";
}

function knownOf(entry: Neighbor | undefined): Neighbor | undefined {
  return entry !== undefined && isKnown(entry.state) ? entry : undefined;
}
