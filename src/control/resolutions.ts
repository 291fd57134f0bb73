/**
 * Address resolution of both families: ARP's and neighbour discovery's, side by side. What happens to a port, a VSI or a
 * VSI-interface happens to both; what asks for an address is handed to the one that speaks of it.
 */
import type { Mac } from "../wire/ethernet.ts";
import { ArpSpeaker } from "./arp/speaker.ts";
import type { Behind } from "./behind.ts";
import type { Emit } from "./event.ts";
import type { Injector } from "./inject.ts";
import type { InterfaceObject, Inventory, PortObject, VsiObject } from "./inventory.ts";
import type { Family, Ip } from "./ip.ts";
import { NdSpeaker } from "./nd/speaker.ts";
import type { Place } from "./neighbor/entry.ts";
import type { Solicitor } from "./neighbor/solicitor.ts";
import type { DuplicateView } from "./resolution/duplicates.ts";
import type { PeerGateway } from "./resolution/peer-gateway.ts";
import { Resolution, type ResolutionParts } from "./resolution/resolution.ts";
import { MessageSender } from "./resolution/sender.ts";
import { MessageSolicitor } from "./resolution/solicitor.ts";
import type { SuppressedHost } from "./resolution/suppression.ts";
import type { Timers } from "./timers.ts";

/** The questions of the neighbour table, by the family of what is asked for. */
export class Questions implements Solicitor {
  readonly arp: MessageSender;
  readonly nd: MessageSender;
  private readonly ofArp: Solicitor;
  private readonly ofNd: Solicitor;

  constructor(injector: Injector, inventory: Inventory, timers: Timers, emit: Emit) {
    this.arp = new MessageSender(new ArpSpeaker(), injector, timers, emit);
    this.nd = new MessageSender(new NdSpeaker(), injector, timers, emit);
    this.ofArp = new MessageSolicitor(this.arp, inventory, emit);
    this.ofNd = new MessageSolicitor(this.nd, inventory, emit);
  }

  everywhere(iface: InterfaceObject, ip: Ip, by: number, tries: number, step: string): number {
    return this.of(ip).everywhere(iface, ip, by, tries, step);
  }

  through(iface: InterfaceObject, ip: Ip, tunnel: string): void {
    this.of(ip).through(iface, ip, tunnel);
  }

  at(iface: InterfaceObject, ip: Ip, place: Place): void {
    this.of(ip).at(iface, ip, place);
  }

  alive(iface: InterfaceObject, ip: Ip, place: Place): void {
    this.of(ip).alive(iface, ip, place);
  }

  behind(iface: InterfaceObject, ip: Ip, port: PortObject, vsi: VsiObject): void {
    this.of(ip).behind(iface, ip, port, vsi);
  }

  private of(ip: Ip): Solicitor {
    return typeof ip === "number" ? this.ofArp : this.ofNd;
  }
}

export class Resolutions {
  readonly arp: Resolution;
  readonly nd: Resolution;
  private readonly both: readonly Resolution[];

  constructor(questions: Questions, parts: Omit<ResolutionParts, "sender">) {
    this.arp = new Resolution({ ...parts, sender: questions.arp });
    this.nd = new Resolution({ ...parts, sender: questions.nd });
    this.both = [this.arp, this.nd];
  }

  /** Of the family of `ip`. */
  of(ip: Ip): Resolution {
    return typeof ip === "number" ? this.arp : this.nd;
  }

  setDraining(isDraining: boolean): void {
    for (const each of this.both) each.setDraining(isDraining);
  }

  // ---- what the gateway announces ----------------------------------------------------------------------------------

  announceAt(iface: InterfaceObject, port: PortObject, vsi: VsiObject): void {
    for (const each of this.both) each.announceAt(iface, port, vsi);
  }

  announceNews(inventory: Inventory): void {
    for (const { announcer } of this.both) announcer.update(inventory);
  }

  announceInto(tunnel: PortObject): void {
    for (const { announcer } of this.both) announcer.tunnelUp(tunnel);
  }

  announceHosts(vsi: VsiObject): void {
    for (const { announcer } of this.both) announcer.tellHosts(vsi);
  }

  // ---- what goes ---------------------------------------------------------------------------------------------------

  forgetBehind(behind: Behind): void {
    for (const each of this.both) each.forgetBehind(behind);
  }

  suspendPort(port: PortObject): void {
    for (const each of this.both) each.suspendPort(port);
  }

  flushVsi(vsi: VsiObject): void {
    for (const each of this.both) each.flushVsi(vsi);
  }

  flushInterface(iface: InterfaceObject, isTouched: (ip: Ip) => boolean): void {
    for (const each of this.both) each.flushInterface(iface, isTouched);
  }

  // ---- for people --------------------------------------------------------------------------------------------------

  /** Is `mac` that of a gateway behind `tunnel` that stands for host `ip`, by what it said of whichever family? */
  isGateway(vsi: VsiObject, tunnel: PortObject, mac: Mac, ip: Ip): boolean {
    return this.both.some(({ peers }) => peers.isGateway(vsi, tunnel, mac, ip));
  }

  /** Unsorted. */
  *peers(): Generator<PeerGateway> {
    for (const { peers } of this.both) yield* peers.list();
  }

  countPeersOn(iface: InterfaceObject): number {
    return this.both.reduce((sum, { peers }) => sum + peers.countOn(iface), 0);
  }

  *suppressed(): Generator<SuppressedHost> {
    for (const { suppression } of this.both) yield* suppression.list();
  }

  /** Suppressed hosts by VSI name. */
  suppressedCounts(): Map<string, number> {
    const counts = this.arp.suppression.counts();
    for (const [vsi, count] of this.nd.suppression.counts()) counts.set(vsi, (counts.get(vsi) ?? 0) + count);
    return counts;
  }

  /** Forget suppressed hosts: of the VSIs meant, one address of them or (null) all. @returns how many. */
  flushSuppressed(isMeant: (vsi: VsiObject) => boolean, only: Ip | null, family: Family | null): number {
    const meant = family === null ? this.both : [family === 4 ? this.arp : this.nd];
    return meant.reduce((sum, { suppression }) => sum + suppression.flush(isMeant, only), 0);
  }

  duplicates(): DuplicateView[] {
    return this.both.flatMap(({ duplicates }) => duplicates.list());
  }
}
