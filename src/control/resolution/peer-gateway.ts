/**
 * Peer gateways: which MAC the gateway behind a tunnel has, and what follows when it has another one.
 *
 * A message from a tunnel whose sender is one of our own addresses comes from a peer gateway (D9: the same IP on every
 * gateway is the design, not a conflict). It is shown to people (`gateway via <tunnel>`), never used to forward IP, and
 * never fought. Its MAC goes into the MAC table, so that a VM that moved here and still uses the old gateway's MAC is routed
 * (D1).
 *
 * A Border has addresses of its own and hears those of the gateways as a stranger's. What it can see is that an address
 * announces itself, or comes by several tunnels; it notes whose MAC speaks for it behind which tunnel (a *claim*).
 *
 * All hosts behind a gateway are known with its MAC. So when that changes (a reload there, or another machine in its place),
 * every entry with the old one is a black hole until it is doubted, ten minutes later. `onNews` is told, at most ten times a
 * second however often a MAC changes, and once for all that changed meanwhile.
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import type { Behind } from "../behind.ts";
import { bump } from "../bump.ts";
import type { InterfaceObject, PortObject, VsiObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { MacLearner } from "../mac/learn.ts";
import type { NeighborView } from "../neighbor/entry.ts";
import type { Timers } from "../timers.ts";

export const NEWS_EVERY_MS = 100;
/** Of one tunnel; the oldest goes first. */
export const CLAIMS_PER_TUNNEL = 256;

interface Speaker {
  readonly iface: InterfaceObject;
  readonly vsi: VsiObject;
  readonly tunnel: PortObject;
  readonly ip: Ip;
  /** The address is one of ours: it is a peer gateway. */
  readonly isPeer: boolean;
  mac: Mac;
  /** Its MAC as it was told last; null: not told yet. */
  told: Mac | null;
  /** Its MAC before that. */
  former: Mac | null;
  heardMs: number;
}

/** The gateway behind `tunnel` has another MAC than it had. */
export interface PeerNews {
  readonly iface: InterfaceObject;
  readonly vsi: VsiObject;
  readonly tunnel: PortObject;
  readonly mac: Mac;
  /** null: it was not known. */
  readonly was: Mac | null;
  /** It has our own address: another gateway like us. */
  readonly isPeer: boolean;
}

/** A gateway behind a tunnel that has an address of ours. */
export type PeerGateway = Readonly<Pick<Speaker, "iface" | "vsi" | "tunnel" | "ip" | "mac" | "heardMs">>;

export class PeerGateways {
  private readonly learner: MacLearner;
  private readonly timers: Timers;
  private readonly onNews: (news: PeerNews) => void;
  /** By VSI, tunnel and address. Peers: as many as there are tunnels, which are configured. */
  private readonly peers = new Map<string, Speaker>();
  private readonly peersOn = new Map<InterfaceObject, number>();
  private readonly claims = new Map<PortObject, Map<string, Speaker>>();
  private readonly untold = new Set<Speaker>();
  private toldMs = Number.NEGATIVE_INFINITY;
  private isWaiting = false;

  constructor(learner: MacLearner, timers: Timers, onNews: (news: PeerNews) => void) {
    this.learner = learner;
    this.timers = timers;
    this.onNews = onNews;
  }

  /** `mac` behind `tunnel` speaks with our address `ip` in `vsi`. */
  heard(iface: InterfaceObject, vsi: VsiObject, tunnel: PortObject, ip: Ip, mac: Mac): void {
    this.note(this.peers, { iface, vsi, tunnel, ip, isPeer: true }, mac, null);
    this.learner.addPeerGateway(vsi, mac, tunnel);
  }

  /**
   * `mac` behind `tunnel` speaks with `ip`, which is not ours, and announces itself or was heard by another tunnel too.
   * @param was the MAC that it had behind this tunnel, null: not known.
   */
  claimed(iface: InterfaceObject, vsi: VsiObject, tunnel: PortObject, ip: Ip, mac: Mac, was: Mac | null): void {
    let claims = this.claims.get(tunnel);
    if (claims === undefined) {
      claims = new Map();
      this.claims.set(tunnel, claims);
    }
    this.note(claims, { iface, vsi, tunnel, ip, isPeer: false }, mac, was ?? mac);
    if (claims.size <= CLAIMS_PER_TUNNEL) return;
    const [oldest, speaker] = claims.entries().next().value!;
    claims.delete(oldest);
    this.untold.delete(speaker);
  }

  /**
   * Is `mac` that of a gateway behind `tunnel` that has the same address as others, and stands for host `ip`?
   *
   * A distributed gateway has its peers' address itself. Claims are for a Border, and there one of `ip` itself says nothing: it came
   * by two tunnels because it moved (a Border that was replaced, a firewall that took over from its partner, RFC 5798 §6.4.1).
   */
  isGateway(vsi: VsiObject, tunnel: PortObject, mac: Mac, ip: Ip): boolean {
    const isIt = (each: Speaker) => each.vsi === vsi && each.tunnel === tunnel && each.mac === mac;
    for (const each of this.peers.values()) if (isIt(each) && each.iface.config.distributed) return true;
    for (const each of this.claims.get(tunnel)?.values() ?? [])
      if (isIt(each) && each.ip !== ip && !each.iface.config.distributed && this.hasOtherClaim(each)) return true;
    return false;
  }

  /** Was `mac` that of a gateway behind `tunnel`, which has another one now? */
  isFormer(vsi: VsiObject, tunnel: PortObject, mac: Mac): boolean {
    const isIt = (each: Speaker) => each.vsi === vsi && each.tunnel === tunnel && each.former === mac;
    return [...this.peers.values()].some(isIt) || [...(this.claims.get(tunnel)?.values() ?? [])].some(isIt);
  }

  private hasOtherClaim({ vsi, tunnel, ip }: Speaker): boolean {
    for (const [other, claims] of this.claims)
      if (other !== tunnel && claims.has(speakerKey(vsi, other, ip))) return true;
    return false;
  }

  /** Tunnels are gone, or no longer in those VSIs. */
  forgetBehind({ ports, has }: Behind): void {
    this.keep(({ tunnel, vsi }) => !has(tunnel, vsi));
    for (const tunnel of ports) if (this.claims.get(tunnel)?.size === 0) this.claims.delete(tunnel);
  }

  flushVsi(vsi: VsiObject): void {
    this.keep((each) => each.vsi !== vsi);
  }

  flushInterface(iface: InterfaceObject, isTouched: (ip: Ip) => boolean): void {
    this.keep((each) => each.iface !== iface || !isTouched(each.ip));
  }

  /** Peer gateways on `iface`. */
  countOn(iface: InterfaceObject): number {
    return this.peersOn.get(iface) ?? 0;
  }

  /** Unsorted. */
  list(): Iterable<PeerGateway> {
    return this.peers.values();
  }

  /** `told`: of one that is new. */
  private note(
    speakers: Map<string, Speaker>,
    who: Omit<Speaker, "mac" | "told" | "former" | "heardMs">,
    mac: Mac,
    told: Mac | null,
  ): void {
    const key = speakerKey(who.vsi, who.tunnel, who.ip);
    const heardMs = this.timers.nowMs;
    let speaker = speakers.get(key);
    if (speaker === undefined || speaker.iface !== who.iface) {
      if (speaker?.isPeer) bump(this.peersOn, speaker.iface, -1);
      speaker = { ...who, mac, told, former: null, heardMs };
      if (speaker.isPeer) bump(this.peersOn, speaker.iface, 1);
      speakers.set(key, speaker);
    }
    speaker.mac = mac;
    speaker.heardMs = heardMs;
    if (speaker.told === mac) return;
    this.untold.add(speaker);
    this.tellSoon();
  }

  private tellSoon(): void {
    if (this.isWaiting) return;
    this.isWaiting = true;
    const dueMs = this.toldMs + NEWS_EVERY_MS - this.timers.nowMs;
    this.timers.after(Math.max(0, dueMs), () => {
      this.isWaiting = false;
      this.toldMs = this.timers.nowMs;
      const all = [...this.untold];
      this.untold.clear();
      for (const speaker of all) this.tell(speaker);
    });
  }

  private tell(speaker: Speaker): void {
    const { iface, vsi, tunnel, mac, told: was, isPeer } = speaker;
    if (was === mac) return;
    speaker.told = mac;
    speaker.former = was;
    this.onNews({ iface, vsi, tunnel, mac, was, isPeer });
  }

  private keep(isKept: (each: Speaker) => boolean): void {
    for (const speakers of [this.peers, ...this.claims.values()])
      for (const [key, each] of speakers) {
        if (isKept(each)) continue;
        speakers.delete(key);
        if (each.isPeer) bump(this.peersOn, each.iface, -1);
        this.untold.delete(each);
      }
  }
}

function speakerKey(vsi: VsiObject, tunnel: PortObject, ip: Ip): string {
  return `${vsi.row} ${tunnel.row} ${ip}`;
}

/** D4: a peer gateway stands in the same list, and is used for nothing. */
export function viewOfPeer({ iface, vsi, tunnel, ip, mac, heardMs }: PeerGateway, nowMs: number): NeighborView {
  const seconds = Math.floor((nowMs - heardMs) / 1000);
  return {
    interface: iface.name,
    ip: formatIp(ip),
    mac: formatMac(mac),
    state: "gateway",
    via: { kind: "tunnel", name: tunnel.name },
    vsi: vsi.name,
    ageSeconds: seconds,
    origin: "gateway",
    stateSeconds: seconds,
    previous: null,
  };
}
