/**
 * Announcements of the gateway's own (behaviour.md §3.12): who its addresses belong to, and which hosts it stands for.
 *
 * Entries for a gateway MAC that is no more are black holes until their owners doubt them, which takes a gateway ten
 * minutes. So it is said at once, and to everybody who may hold one:
 *
 *   into tunnels   our addresses: when a VSI gets a tunnel, when a tunnel comes up, when MAC or addresses change. Twice, one
 *                  second apart (RFC 5227 §2.3), because the first datagram to a peer is the likeliest to be lost. A peer
 *                  gateway with the same address notes our MAC (peer-gateway.ts), everybody else has heard an announcement
 *   to hosts       our MAC changed: that we are the place for each host we stand for, besides our addresses
 *   to one peer    its MAC changed, so it was replaced and knows nothing: the hosts that are behind us. It passes them on to
 *                  its hosts with its own MAC, as it does with any announcement (§3.4)
 *
 * All of it is owed first and said at a pace, our addresses before hosts, the hosts heard last first. A thousand VSIs with
 * fifty tunnels take a few seconds, and no peer's policer notices; a list that is full takes no more, since former MACs stay
 * valid (former-macs.ts) and entries in use are probed.
 */
import { ONLY_ACS, ONLY_TUNNELS } from "../inject.ts";
import { type InterfaceObject, type Inventory, isPortOf, type PortObject, type VsiObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import { isKnown } from "../neighbor/nud.ts";
import type { Neighbors } from "../neighbor/table.ts";
import type { Timers } from "../timers.ts";
import type { MessageSender } from "./sender.ts";

export const ANNOUNCE_AGAIN_MS = 1000;
const TURN_MS = 50;
/** Frames that leave in one turn. */
export const FRAMES_PER_TURN = 256;
/** Hosts of one VSI in one turn: a peer passes on at most 200 ARPs a second in a VSI, and has its own to ask. */
export const HOSTS_PER_TURN = 3;
/** Most announcements owed. */
const OWED = 16_384;

/** Where to: all ACs, all tunnels, or one port. */
type Audience = "acs" | "tunnels" | PortObject;

interface Owed {
  readonly vsi: VsiObject;
  readonly ip: Ip;
  readonly to: Audience;
  /** Said once more after a second. */
  readonly again: boolean;
}

/** What was last announced in a VSI, and to which tunnels. */
interface Told {
  readonly text: string;
  readonly tunnels: Set<PortObject>;
}

export class Announcer {
  private readonly timers: Timers;
  private readonly sender: MessageSender;
  private readonly neighbors: Neighbors;
  private readonly told = new Map<VsiObject, Told>();
  private readonly addresses = new Map<string, Owed>();
  private readonly hosts = new Map<VsiObject, Owed[]>();
  private owed = 0;
  private isRunning = false;

  constructor(timers: Timers, sender: MessageSender, neighbors: Neighbors) {
    this.timers = timers;
    this.sender = sender;
    this.neighbors = neighbors;
  }

  /** Our addresses on `iface` that our speaker can announce. */
  addressesOf(iface: InterfaceObject): Ip[] {
    return iface.subnets.map(({ address }) => address).filter((ip) => this.sender.speaker.speaksOf(ip));
  }

  /** The inventory is another one now: tell every tunnel that does not know the addresses of its VSIs. */
  update({ vsis }: Inventory): void {
    for (const vsi of [...this.told.keys()]) if (vsis.get(vsi.row) !== vsi) this.told.delete(vsi);
    for (const vsi of vsis.values()) {
      const iface = vsi.interface;
      if (iface === null) {
        this.told.delete(vsi);
        continue;
      }
      const text = `${iface.mac} ${this.addressesOf(iface).join(" ")}`;
      const told = this.told.get(vsi);
      const isSame = told?.text === text;
      const fresh = vsi.tunnels.filter((tunnel) => !isSame || !told.tunnels.has(tunnel));
      this.told.set(vsi, { text, tunnels: new Set(vsi.tunnels) });
      if (fresh.length === vsi.tunnels.length && fresh.length > 0) this.tellAddresses(vsi, "tunnels", true);
      else for (const tunnel of fresh) this.tellAddresses(vsi, tunnel, true);
    }
  }

  /** A tunnel is up again: who is behind it may be another one than before. */
  tunnelUp(tunnel: PortObject): void {
    for (const [vsi, { tunnels }] of this.told) if (tunnels.has(tunnel)) this.tellAddresses(vsi, tunnel, true);
  }

  /** A peer that we did not know, or that has another MAC now: does it know us? */
  answerPeer(vsi: VsiObject, tunnel: PortObject): void {
    this.tellAddresses(vsi, tunnel, false);
  }

  /** Our MAC in `vsi` changed: tell its hosts that each host elsewhere is to be reached at the new one. */
  tellHosts(vsi: VsiObject): void {
    const iface = vsi.interface;
    if (iface !== null && vsi.config.arp === "localProxy") this.oweHosts(vsi, "acs", this.neighbors.placedOn(iface));
  }

  /** Tell the gateway behind `tunnel` which hosts of `vsi` are behind us. */
  tellPeer(vsi: VsiObject, tunnel: PortObject): void {
    const iface = vsi.interface;
    if (iface === null || vsi.config.arp !== "localProxy") return;
    const here = this.neighbors.placedOn(iface).filter(({ place }) => place!.port.kind === "ac" && place!.vsi === vsi);
    this.oweHosts(vsi, tunnel, here);
  }

  /** In EVPN a gateway address of its own has a route, and a shared one is known to all. */
  private tellAddresses(vsi: VsiObject, to: Audience, again: boolean): void {
    if (vsi.config.evpn !== null) return;
    const { interface: iface } = vsi;
    // A peer that is to leave us is not told where we are.
    if (this.sender.isDraining && to !== "acs" && iface?.config.distributed === false) return;
    if (iface !== null) for (const ip of this.addressesOf(iface)) this.oweAddress({ vsi, ip, to, again });
    this.run();
  }

  private oweAddress(owed: Owed): void {
    const key = owedKey(owed);
    if (this.addresses.has(key) || this.owed >= OWED) return;
    this.addresses.set(key, owed);
    this.owed++;
  }

  private oweHosts(
    vsi: VsiObject,
    to: Audience,
    entries: readonly { readonly ip: Ip; readonly heardMs: number }[],
  ): void {
    const list = this.hosts.get(vsi) ?? [];
    const before = new Set(list.map(owedKey));
    const said = entries.filter(({ ip }) => this.sender.speaker.speaksOf(ip));
    for (const { ip } of said.sort((a, b) => b.heardMs - a.heardMs)) {
      const owed = { vsi, ip, to, again: false };
      if (this.owed >= OWED) break;
      if (before.has(owedKey(owed))) continue;
      list.push(owed);
      this.owed++;
    }
    if (list.length > 0) this.hosts.set(vsi, list);
    this.run();
  }

  /** One turn now, the next ones each TURN_MS until nothing is owed. */
  private run(): void {
    if (this.isRunning || this.owed === 0) return;
    this.isRunning = true;
    this.timers.after(0, () => this.turn());
  }

  private turn(): void {
    let left = FRAMES_PER_TURN;
    for (const [key, owed] of this.addresses) {
      if (left <= 0) break;
      this.addresses.delete(key);
      this.owed--;
      left -= this.sayAddress(owed);
    }
    for (const [vsi, list] of [...this.hosts]) {
      if (left <= 0) break;
      this.hosts.delete(vsi);
      const said = list.splice(0, HOSTS_PER_TURN);
      this.owed -= said.length;
      for (const owed of said) left -= this.sayHost(owed);
      // Behind the others, whose turn comes first next time.
      if (list.length > 0) this.hosts.set(vsi, list);
    }
    if (this.owed > 0) this.timers.after(TURN_MS, () => this.turn());
    else this.isRunning = false;
  }

  /** @returns frames that leave. */
  private sayAddress({ vsi, ip, to, again }: Owed): number {
    const iface = vsi.interface;
    if (iface === null || !this.addressesOf(iface).includes(ip)) return 0;
    if (again) {
      this.timers.after(ANNOUNCE_AGAIN_MS, () => {
        this.oweAddress({ vsi, ip, to, again: false });
        this.run();
      });
    }
    return this.say(iface, vsi, ip, to, null);
  }

  /** A host that went away meanwhile is not announced, and none is announced to those behind its own port (D8). */
  private sayHost({ vsi, ip, to }: Owed): number {
    const iface = vsi.interface;
    const entry = iface === null ? undefined : this.neighbors.find(iface, ip);
    if (iface === null || entry === undefined || !isKnown(entry.state)) return 0;
    const { port } = entry.place!;
    if (typeof to !== "string" && port.kind === "tunnel") return 0;
    return this.say(iface, vsi, ip, to, port);
  }

  private say(iface: InterfaceObject, vsi: VsiObject, ip: Ip, to: Audience, except: PortObject | null): number {
    if (typeof to !== "string") {
      const isThere = to.up && isPortOf(to, vsi);
      if (isThere) this.sender.announce(vsi, to, iface.mac, ip);
      return isThere ? 1 : 0;
    }
    const ports = to === "acs" ? vsi.acs : vsi.tunnels;
    const hearers = ports.filter((port) => port.up && port !== except).length;
    if (hearers > 0) this.sender.announceWide(vsi, except, to === "acs" ? ONLY_ACS : ONLY_TUNNELS, iface.mac, ip);
    return hearers;
  }
}

function owedKey({ vsi, ip, to }: Owed): string {
  return `${vsi.row} ${ip} ${typeof to === "string" ? to : to.row}`;
}
