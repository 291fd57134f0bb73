/**
 * Address resolution by one speaker: what is punted of its protocol, and all that is remembered for it beside the neighbour table.
 *
 * One of these stands for each family. They share the neighbours, the MACs and the ports, and nothing that is rationed: what one
 * family's hosts make us ask leaves the other family its share.
 */
import { DROP } from "../../tables/counters.ts";
import { type Behind, behindPort } from "../behind.ts";
import type { Emit } from "../event.ts";
import type { Fate } from "../fate.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import { type InterfaceObject, type Inventory, isPortOf, type PortObject, type VsiObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { MacLearner } from "../mac/learn.ts";
import type { Neighbors } from "../neighbor/table.ts";
import { ResultCounts } from "../result-counts.ts";
import type { Timers } from "../timers.ts";
import { Announcer } from "./announcer.ts";
import type { RoutesBy } from "./asker.ts";
import { RESOLUTION_RESULTS, type ResolutionCounts } from "./counts.ts";
import { DuplicateAddresses } from "./duplicates.ts";
import { LocalProxy } from "./local-proxy.ts";
import { PeerChange } from "./peer-change.ts";
import { PeerGateways } from "./peer-gateway.ts";
import { PendingRelays } from "./relay.ts";
import type { MessageSender } from "./sender.ts";
import type { Speaker } from "./speaker.ts";
import { Suppressor } from "./suppress.ts";
import { SuppressionTable } from "./suppression.ts";

export interface ResolutionParts {
  readonly sender: MessageSender;
  readonly inventory: Inventory;
  readonly timers: Timers;
  readonly injector: Injector;
  readonly emit: Emit;
  readonly macs: MacLearner;
  readonly neighbors: Neighbors;
  readonly isRoutedBy: RoutesBy;
}

export class Resolution {
  readonly counts: ResolutionCounts = new ResultCounts(RESOLUTION_RESULTS);
  readonly relays: PendingRelays;
  readonly peers: PeerGateways;
  readonly announcer: Announcer;
  readonly duplicates: DuplicateAddresses;
  readonly suppression: SuppressionTable;
  private readonly inventory: Inventory;
  private readonly macs: MacLearner;
  private readonly sender: MessageSender;
  private readonly speaker: Speaker;
  private readonly proxy: LocalProxy;
  private readonly suppressor: Suppressor;

  constructor(parts: ResolutionParts) {
    const { inventory, timers, emit, sender, neighbors, macs } = parts;
    this.inventory = inventory;
    this.macs = macs;
    this.sender = sender;
    this.speaker = sender.speaker;
    this.relays = new PendingRelays(timers);
    this.suppression = new SuppressionTable(timers, macs);
    this.duplicates = new DuplicateAddresses(timers, sender, emit);
    this.announcer = new Announcer(timers, sender, neighbors);
    const change = new PeerChange(timers, sender, neighbors, this.announcer, emit);
    this.peers = new PeerGateways(macs, timers, (news) => change.follow(news));
    const { speaker, relays, peers, counts, duplicates, suppression: table } = this;
    this.proxy = new LocalProxy({ ...parts, speaker, relays, peers, counts, duplicates });
    this.suppressor = new Suppressor({ ...parts, speaker, peers, counts, table, gateway: this.proxy });
  }

  /** A frame of this protocol, or a copy of one that was bridged as well. */
  handle(frame: HeldFrame): Fate {
    const port = this.inventory.ports.get(frame.port);
    const vsi = this.inventory.vsis.get(frame.vsi);
    // Its port or VSI went away while it waited in the ring.
    if (port === undefined || vsi === undefined || !isPortOf(port, vsi)) return DROP.ac_unbound;
    const message = this.speaker.parse(frame.bytes);
    if (message === null) return this.speaker.drops.malformed;
    // A copy that a loop brought back: its host lives elsewhere.
    if (this.macs.looped.has(port) && (this.macs.portOf(vsi, message.from) ?? port) !== port) return DROP.looped;
    return vsi.config.arp === "suppress"
      ? this.suppressor.handle(message, vsi, port, frame)
      : this.proxy.handle(message, vsi, port);
  }

  /** Peers shall leave us as their next hop, or may come back. */
  get isDraining(): boolean {
    return this.proxy.isDraining;
  }

  setDraining(isDraining: boolean): void {
    this.proxy.isDraining = isDraining;
    this.sender.isDraining = isDraining;
  }

  /** The gateway tells the hosts behind `port` its addresses (§3.12). */
  announceAt(iface: InterfaceObject, port: PortObject, vsi: VsiObject): void {
    for (const address of this.announcer.addressesOf(iface)) this.sender.announce(vsi, port, iface.mac, address);
  }

  /** What is behind these ports is out of reach, or (`isGone`) not there any more. */
  forgetBehind(behind: Behind): void {
    // A tunnel that is merely down: whether the same gateway comes back behind it, its MAC will tell.
    if (behind.isGone) this.peers.forgetBehind(behind);
    this.relays.forgetBehind(behind);
    this.suppression.forgetBehind(behind);
    this.duplicates.forget((_, place) => behind.has(place.port, place.vsi));
  }

  /** `port` is down and may come back. */
  suspendPort(port: PortObject): void {
    const behind = behindPort(port, this.inventory);
    this.relays.forgetBehind(behind);
    this.suppression.forgetBehind(behind);
  }

  flushVsi(vsi: VsiObject): void {
    this.peers.flushVsi(vsi);
    this.duplicates.forget((_, place) => place.vsi === vsi);
    this.suppression.flushVsi(vsi);
    this.sender.flushVsi(vsi);
  }

  flushInterface(iface: InterfaceObject, isTouched: (ip: Ip) => boolean): void {
    this.peers.flushInterface(iface, isTouched);
    this.duplicates.forget((each) => each === iface);
  }
}
