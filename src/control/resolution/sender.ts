/**
 * Messages out: answers, unicast questions, announcements, and questions that are flooded.
 *
 * Everything here speaks with the gateway MAC of the VSI-interface, as Ethernet source and as the message's own (D3); only a
 * suppress reply speaks with the host's own. A flood is rationed twice, whatever arrives: one question per second for
 * each (VSI, target) and direction (our ACs, the tunnels), and so many per VSI, of which every port has a share
 * (flood-ration.ts).
 *
 * Why by direction: a peer that asks us makes us ask our ACs alone; when a second later-born question of our own needs
 * the tunnels, that one must not wait.
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import { ALL_PORTS, type Injector, ONLY_ACS, ONLY_TUNNELS } from "../inject.ts";
import { addressFor, type InterfaceObject, isOwnAddress, type PortObject, type VsiObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import { SOLICIT_EVERY_MS } from "../neighbor/solicitor.ts";
import { OncePer } from "../once-per.ts";
import type { Timers } from "../timers.ts";
import { FloodRation } from "./flood-ration.ts";
import { type Announcement, announcement, answer, type More, question } from "./message.ts";
import { targetKey } from "./relay.ts";
import type { Speaker } from "./speaker.ts";

const REMEMBERED_TARGETS = 8192;

/** When the flooded question for one (VSI, target) last went out, by direction. */
interface Asked {
  acs: number;
  tunnels: number;
}

export interface Solicitation {
  readonly target: Ip;
  /** Who asks: one of our addresses, the VM on whose behalf we ask, or null for a probe. */
  readonly sender: Ip | null;
  /** The bridge port that has heard the question already, or null. */
  readonly except: PortObject | null;
  /** The bridge port on whose behalf we ask, null: a route's. */
  readonly by: PortObject | null;
  /** ALL_PORTS, ONLY_ACS or ONLY_TUNNELS. */
  readonly scope: number;
  /** A second or third try: yields to first ones when the VSI's ration runs low. */
  readonly isRetry: boolean;
  /** What the question carries that we pass on. */
  readonly nonce?: Uint8Array;
  /** Two hosts probe for the target at once: each must hear the other (RFC 4862 §5.4.3, RFC 5227 §2.1.1), within the second too. */
  readonly isContest?: boolean;
}

/** What is told of a host. */
export interface Told {
  readonly mac: Mac;
  readonly ip: Ip;
  readonly isRouter: boolean;
}

export class MessageSender {
  readonly speaker: Speaker;
  /** While we drain, tunnels hear from us as from one without an address: who hears ours takes us for alive (D17). */
  isDraining = false;
  private readonly injector: Injector;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly asked = new Map<Ip, Asked>();
  private readonly announced = new OncePer<Ip>(SOLICIT_EVERY_MS);
  private readonly rations = new Map<VsiObject, FloodRation>();

  constructor(speaker: Speaker, injector: Injector, timers: Timers, emit: Emit) {
    this.speaker = speaker;
    this.injector = injector;
    this.timers = timers;
    this.emit = emit;
    timers.every(SOLICIT_EVERY_MS, () => this.sweep());
  }

  /** Tell `asker`, behind `port`, where a host is. One frame, to it alone. */
  reply(
    vsi: VsiObject,
    port: PortObject,
    { mac, ip, isRouter }: Told,
    asker: { readonly mac: Mac; readonly ip: Ip | null },
  ): void {
    const more = { ...moreOf(vsi, mac, ip, asker.ip), ...(isRouter && { isRouter }) };
    this.injector.toPort(vsi.row, port.row, this.speaker.emit(answer(mac, asker.mac, ip, asker.ip, more)));
  }

  /** Ask the host at `mac` (null: all hosts) behind `port` whether it has `ip`; the answer comes to our gateway MAC. */
  ask(iface: InterfaceObject, vsi: VsiObject, port: PortObject, mac: Mac | null, ip: Ip): void {
    if (this.isSilent(iface, port.kind === "tunnel")) {
      this.probe(iface, vsi, port, mac, ip);
      return;
    }
    const message = question(iface.mac, mac, addressFor(iface, ip), ip);
    this.injector.toPort(vsi.row, port.row, this.speaker.emit(message));
    this.emit("debug", this.speaker.events.solicit, {
      vsi: vsi.name,
      target: formatIp(ip),
      how: mac === null ? "one port" : "unicast",
      ...portField(port),
    });
  }

  /** The same question without a sender (RFC 5227 §2.1.1): a peer gateway answers it only for a host that it has heard just now. */
  probe(iface: InterfaceObject, vsi: VsiObject, port: PortObject, mac: Mac | null, ip: Ip): void {
    this.injector.toPort(vsi.row, port.row, this.speaker.emit(question(iface.mac, mac, null, ip)));
    const how = { target: formatIp(ip), how: "probe", ...portField(port) };
    this.emit("debug", this.speaker.events.solicit, { vsi: vsi.name, ...how });
  }

  /** Announce on one port that `ip` is at `mac` (RFC 5227 §2.3). */
  announce(vsi: VsiObject, port: PortObject, mac: Mac, ip: Ip): void {
    this.injector.toPort(vsi.row, port.row, this.speaker.emit(announcement(mac, ip, moreOf(vsi, mac, ip))));
    this.emit("debug", this.speaker.events.announce, {
      vsi: vsi.name,
      ip: formatIp(ip),
      mac: formatMac(mac),
      ...portField(port),
    });
  }

  /** Announce on every port of `scope` but `except` that `ip` is at `mac`. Not rationed here: announcer.ts keeps a pace. */
  announceWide(vsi: VsiObject, except: PortObject | null, scope: number, mac: Mac, ip: Ip): void {
    const message = announcement(mac, ip, moreOf(vsi, mac, ip));
    this.injector.flood(vsi.row, except?.row ?? 0, scope, this.speaker.emit(message));
    this.tellAnnounced(vsi, except, scope, mac, ip);
  }

  /**
   * Pass on a host's announcement with our gateway MAC, once a second for each address unless `isNews` (it moved: moves
   * are rationed by damping). @returns whether a frame went out.
   */
  relayAnnouncement(
    iface: InterfaceObject,
    vsi: VsiObject,
    { sender: ip, isRouter }: Announcement,
    except: PortObject,
    scope: number,
    isNews: boolean,
  ): boolean {
    const nowMs = this.timers.nowMs;
    const key = targetKey(vsi, ip);
    if (!isNews && !this.announced.isDue(key, nowMs)) return false;
    const way = usableScope(vsi, except, scope);
    if (way === 0 || this.announced.size >= REMEMBERED_TARGETS || !this.ration(vsi).admit(except, false, nowMs))
      return false;
    this.announced.note(key, nowMs);
    const more = { ...moreOf(vsi, iface.mac, ip), ...(isRouter && { isRouter }) };
    this.injector.flood(vsi.row, except.row, way, this.speaker.emit(announcement(iface.mac, ip, more)));
    this.tellAnnounced(vsi, except, way, iface.mac, ip);
    return true;
  }

  /** `ac` and `tunnel` of an event are where it went; the port that was left out is where it came from. */
  private tellAnnounced(vsi: VsiObject, except: PortObject | null, scope: number, mac: Mac, ip: Ip): void {
    const to = scope === ALL_PORTS ? "acs,tunnels" : scope === ONLY_ACS ? "acs" : "tunnels";
    const left = except === null ? {} : { except: except.name };
    this.emit("debug", this.speaker.events.announce, {
      vsi: vsi.name,
      ip: formatIp(ip),
      mac: formatMac(mac),
      to,
      ...left,
    });
  }

  /**
   * Flood a question in `vsi`, as far as its ration allows.
   * @returns how long until the same question may be flooded again in every direction it needs: 0 when there is no port
   * to ask; less than a second when somebody asked it already.
   */
  solicit(
    iface: InterfaceObject,
    vsi: VsiObject,
    asks: Solicitation,
  ): { readonly sent: boolean; readonly againMs: number } {
    const nowMs = this.timers.nowMs;
    const { target, sender, except, nonce = null } = asks;
    const needed = usableScope(vsi, except, asks.scope);
    if (needed === 0) return { sent: false, againMs: 0 };
    const key = targetKey(vsi, target);
    const last = this.asked.get(key);
    let way = needed;
    const isAsked = last !== undefined && asks.isContest !== true;
    if (isAsked && nowMs - last.acs < SOLICIT_EVERY_MS) way &= ~ONLY_ACS;
    if (isAsked && nowMs - last.tunnels < SOLICIT_EVERY_MS) way &= ~ONLY_TUNNELS;
    if (way === 0) return { sent: false, againMs: this.againIn(key, needed) };
    const isRemembered = last !== undefined || this.asked.size < REMEMBERED_TARGETS;
    if (!isRemembered || !this.ration(vsi).admit(asks.by, asks.isRetry, nowMs))
      return { sent: false, againMs: SOLICIT_EVERY_MS };
    const asked = last ?? { acs: Number.NEGATIVE_INFINITY, tunnels: Number.NEGATIVE_INFINITY };
    // The AC that is left out has heard the question from its own host: with it, all ACs have.
    if ((way & ONLY_ACS) !== 0 || ((asks.scope & ONLY_ACS) !== 0 && except?.kind === "ac")) asked.acs = nowMs;
    if ((way & ONLY_TUNNELS) !== 0) asked.tunnels = nowMs;
    this.asked.set(key, asked);
    const flood = (who: Ip | null, to: number) => {
      const message = question(iface.mac, null, who, target, nonce);
      this.injector.flood(vsi.row, except?.row ?? 0, to, this.speaker.emit(message));
    };
    const isOurs = sender !== null && isOwnAddress(iface, sender);
    const quiet = isOurs && this.isSilent(iface, true) ? way & ONLY_TUNNELS : 0;
    if (way !== quiet) flood(sender, way & ~quiet);
    if (quiet !== 0) flood(null, quiet);
    return { sent: true, againMs: this.againIn(key, needed) };
  }

  /** What has an address that all gateways have is no peer's next hop. */
  private isSilent({ config }: InterfaceObject, isIntoTunnel: boolean): boolean {
    return this.isDraining && isIntoTunnel && !config.distributed;
  }

  flushVsi(vsi: VsiObject): void {
    this.rations.delete(vsi);
  }

  private againIn(key: Ip, needed: number): number {
    const asked = this.asked.get(key)!;
    let last = Number.NEGATIVE_INFINITY;
    if ((needed & ONLY_ACS) !== 0) last = asked.acs;
    if ((needed & ONLY_TUNNELS) !== 0) last = Math.max(last, asked.tunnels);
    return last + SOLICIT_EVERY_MS - this.timers.nowMs;
  }

  private ration(vsi: VsiObject): FloodRation {
    let ration = this.rations.get(vsi);
    if (ration === undefined) {
      ration = new FloodRation();
      this.rations.set(vsi, ration);
    }
    return ration;
  }

  private sweep(): void {
    const longAgo = this.timers.nowMs - SOLICIT_EVERY_MS;
    for (const [key, asked] of this.asked) if (Math.max(asked.acs, asked.tunnels) <= longAgo) this.asked.delete(key);
    this.announced.sweep(this.timers.nowMs);
    for (const ration of this.rations.values()) ration.sweep(this.timers.nowMs);
  }
}

/** What we say besides, where we speak of `ip` with our own MAC: who we are, and that a gateway is a router. */
function moreOf({ interface: iface }: VsiObject, mac: Mac, ip: Ip, asker: Ip | null = null): More {
  if (iface === null || mac !== iface.mac) return {};
  if (isOwnAddress(iface, ip)) return { isRouter: true };
  if (iface.config.naSource === "target") return {};
  return { by: addressFor(iface, asker ?? ip) };
}

/** What of `scope` leads anywhere: a flood without receivers would only be counted as a drop. */
function usableScope(vsi: VsiObject, except: PortObject | null, scope: number): number {
  let usable = 0;
  if ((scope & ONLY_ACS) !== 0 && vsi.acs.some((port) => port !== except && port.up)) usable |= ONLY_ACS;
  if ((scope & ONLY_TUNNELS) !== 0 && vsi.tunnels.some((port) => port !== except && port.up)) usable |= ONLY_TUNNELS;
  return usable & ALL_PORTS;
}
