/**
 * EVPN's beliefs as entries of control: its tunnels, MACs, neighbours and suppressed hosts; and control's changes as EVPN hears them.
 *
 * A change feed must not be answered by a change of the same table, so changes are noted by key, and told at the next turn: of a
 * host that came and went within it, only what holds then. Of a VSI with more of them than are noted, all is told that it has then
 * (`relist`). What control restored from a former life, what is behind a tunnel, and what a gateway answers for others is not
 * announced.
 *
 * Addresses of hosts are the neighbours' of the VSI-interface; in a VSI without one, or of a family in which that one has no
 * address, they are what suppression has heard. Addresses of the link are not announced (route.ts: `addressOf`).
 *
 * A host that is silent is asked before its MAC ages: its routes would go with it, and others drop what is for a host without a
 * route. Where its addresses are not known, or no VSI-interface can ask, it is announced again when it speaks.
 */
import type { Agent } from "../control/agent.ts";
import {
  type InterfaceObject,
  type Inventory,
  isOwnAddress,
  type PortObject,
  subnetOf,
  type VsiObject,
} from "../control/inventory.ts";
import { type Ip, isOfLink, isSameFamily } from "../control/ip.ts";
import type { AgeingMac } from "../control/mac/sweep.ts";
import type { SuppressionChange } from "../control/resolution/suppression.ts";
import type { Topology } from "../control/topology/topology.ts";
import { hiOf, loOf, type Mac, TYPE_ARP, TYPE_IPV6 } from "../wire/ethernet.ts";
import { parseIpv4 } from "../wire/ipv4.ts";
import type { Beliefs, LocalHost } from "./beliefs.ts";

/** What hears of hosts: evpn.ts. */
export interface HostListener {
  macHere(vsi: string, mac: Mac, isSticky: boolean): void;
  macGone(vsi: string, mac: Mac): void;
  ipHere(vsi: string, ip: Ip, mac: Mac, isSticky: boolean): void;
  ipGone(vsi: string, ip: Ip): void;
  /** Addresses with which the host was heard at an AC. */
  addressesHere(vsi: string, mac: Mac): Iterable<Ip>;
  /** Changes of the VSI were lost: what it has now is asked for. */
  relist(vsi: string): void;
}

/** Most changes that wait for a turn; one round of control brings a small part of them. */
export const MOST_NOTED = 16_384;

/** Most hosts that are asked in one turn because their MACs age. */
const MOST_ASKED = 64;

export interface EntriesParts {
  readonly agent: Agent;
  readonly inventory: Inventory;
  readonly topology: Topology;
  /** Tunnels come from routes. */
  readonly isDiscovering: () => boolean;
}

const RESTORED = "restored";

/** What is published of a MAC, or known of a neighbour, at an AC; null: nothing. */
interface Noted {
  readonly vsi: string;
  readonly mac: Mac;
  readonly ip: Ip | null;
  readonly at: { readonly mac: Mac; readonly port: PortObject; readonly isSticky: boolean } | null;
}

export class Entries implements Beliefs {
  private readonly parts: EntriesParts;
  private readonly noted = new Map<string, Noted>();
  /** MACs that age, by VSI and MAC. */
  private readonly ageing = new Map<string, AgeingMac>();
  /** VSIs that had more changes than are noted. */
  private readonly lost = new Set<string>();
  private readonly stops: (() => void)[];

  /** @param kick there is something to `tell`. */
  constructor(parts: EntriesParts, kick: () => void) {
    this.parts = parts;
    const { macs, neighbors, arp, nd } = parts.agent;
    const note = (each: Noted) => {
      const isFirst = this.noted.size + this.lost.size === 0;
      const key = `${each.vsi} ${each.ip ?? ""} ${each.ip === null ? each.mac : ""}`;
      // The last word about a key stands behind those that it follows from: a MAC before its addresses.
      this.noted.delete(key);
      if (this.noted.size < MOST_NOTED) this.noted.set(key, each);
      else this.lost.add(each.vsi);
      if (isFirst) kick();
    };
    this.stops = [
      macs.ageing.follow((each) => {
        if (each.vsi.config.evpn === null || each.vsi.interface === null || this.ageing.size >= MOST_NOTED) return;
        if (this.ageing.size === 0) kick();
        this.ageing.set(`${each.vsi.name} ${each.mac}`, each);
      }),
      macs.changes.follow(({ vsi, mac, was, is }) => {
        if (!isHere(was?.port) && !isHere(is?.port)) return;
        const at = is !== null && isHere(is.port) ? { mac, port: is.port!, isSticky: is.origin === "static" } : null;
        note({ vsi: vsi.name, mac, ip: null, at });
      }),
      neighbors.changes.follow(({ ip, was, is }) => {
        if (isOfLink(ip)) return;
        const place = is !== null && isHere(is.port) && (is.origin as string) !== RESTORED ? is : null;
        const before = was !== null && isHere(was.port) ? was : null;
        if (before !== null && before.vsi !== place?.vsi) note({ vsi: before.vsi.name, mac: before.mac, ip, at: null });
        if (place === null) return;
        const { mac, port, origin } = place;
        note({ vsi: place.vsi.name, mac, ip, at: { mac, port, isSticky: origin === "static" } });
      }),
      ...[arp, nd].map(({ suppression }) => suppression.changes.follow((change) => this.noteHeard(change, note))),
    ];
  }

  private noteHeard({ vsi, ip, was, is }: SuppressionChange, note: (each: Noted) => void): void {
    if (isOfLink(ip) || gatewayOf(vsi, ip) !== null) return;
    if (is !== null && isHere(is.port)) note({ vsi: vsi.name, mac: is.mac, ip, at: { ...is, isSticky: false } });
    else if (was !== null && isHere(was.port)) note({ vsi: vsi.name, mac: was.mac, ip, at: null });
  }

  /** Tell what was noted. */
  tell(listener: HostListener): void {
    if (this.ageing.size > 0) this.askAgeing(listener);
    if (this.noted.size === 0) return;
    const all = [...this.noted.values()];
    const lost = [...this.lost];
    this.noted.clear();
    this.lost.clear();
    for (const { vsi, mac, ip, at } of all) {
      if (ip === null) {
        if (at === null) listener.macGone(vsi, mac);
        else listener.macHere(vsi, mac, at.isSticky);
      } else if (at === null) listener.ipGone(vsi, ip);
      else {
        if (!at.isSticky) this.learn(vsi, at.mac, at.port, typeof ip === "number" ? TYPE_ARP : TYPE_IPV6);
        listener.ipHere(vsi, ip, at.mac, at.isSticky);
      }
    }
    for (const vsi of lost) listener.relist(vsi);
  }

  private askAgeing(listener: HostListener): void {
    let left = MOST_ASKED;
    for (const [key, { vsi, mac, port }] of this.ageing) {
      if (left-- === 0) return;
      this.ageing.delete(key);
      if (this.vsi(vsi.name) !== vsi || !port.up) continue;
      for (const ip of listener.addressesHere(vsi.name, mac)) {
        // Who has no address of that family has none to ask with.
        const on = gatewayOf(vsi, ip);
        if (on !== null) this.parts.agent.askHost(on, ip, { mac, port, vsi });
      }
    }
  }

  /**
   * ARP or ND by a host is a frame of its MAC. A worker that told of the MAC half a second ago, before it moved away, is silent of
   * its coming back; bridged frames would follow the route meanwhile.
   */
  private learn(name: string, mac: Mac, port: PortObject, type: number): void {
    const vsi = this.vsi(name);
    const { macs } = this.parts.agent;
    if (vsi === undefined || macs.heardAt(vsi, mac, port) !== Number.NEGATIVE_INFINITY) return;
    macs.learn(vsi.row, port.row, loOf(mac), hiOf(mac), type);
  }

  close(): void {
    for (const stop of this.stops) stop();
    this.noted.clear();
    this.lost.clear();
    this.ageing.clear();
    this.parts.topology.tunnels.lingering.endAll();
  }

  // ---- Beliefs ---------------------------------------------------------------------------------------------------------

  acquire(vtep: string, vni: number): string | null {
    const { topology, isDiscovering } = this.parts;
    if (!isDiscovering() && !topology.config.tunnels.some(({ remote }) => remote === vtep))
      return "evpn.discover is false, and no configured tunnel leads there";
    const acquired = topology.tunnels.acquire(vtep, [vni], "evpn");
    return acquired.ok ? null : acquired.reason;
  }

  release(vtep: string, vni: number, lingers: boolean): void {
    const { tunnels } = this.parts.topology;
    if (lingers) tunnels.retire(vtep, [vni], "evpn");
    else tunnels.release(vtep, [vni], "evpn");
  }

  wantMac(name: string, mac: Mac, vtep: string): boolean {
    const vsi = this.vsi(name);
    const tunnel = this.parts.inventory.tunnelTo(vtep);
    return vsi !== undefined && tunnel !== undefined && this.parts.agent.macs.want("evpn", vsi, mac, tunnel);
  }

  unwantMac(name: string, mac: Mac): void {
    const vsi = this.vsi(name);
    if (vsi !== undefined) this.parts.agent.macs.unwant("evpn", vsi, mac);
  }

  wantIp(name: string, ip: Ip, mac: Mac, vtep: string): boolean {
    const vsi = this.vsi(name);
    const port = this.parts.inventory.tunnelTo(vtep);
    if (vsi === undefined || port === undefined) return false;
    const { resolutions, neighbors } = this.parts.agent;
    const on = gatewayOf(vsi, ip);
    const { suppression } = resolutions.of(ip);
    if (on === null) {
      suppression.want(vsi, ip, { mac, port, isRouter: false });
      return true;
    }
    // One object for both tables: there are as many as hosts of a fabric.
    const said = { mac, port, vsi, origin: "evpn" as const, iface: on, ip, isRouter: false };
    suppression.want(vsi, ip, said);
    return neighbors.candidates.want("evpn", on, ip, said);
  }

  unwantIp(name: string, ip: Ip): void {
    const vsi = this.vsi(name);
    if (vsi === undefined) return;
    const { resolutions, neighbors } = this.parts.agent;
    resolutions.of(ip).suppression.unwant(vsi, ip);
    if (vsi.interface !== null) neighbors.candidates.unwant("evpn", vsi.interface, ip);
  }

  noteGateway(name: string, mac: Mac, vtep: string): void {
    const vsi = this.vsi(name);
    const tunnel = this.parts.inventory.tunnelTo(vtep);
    if (vsi !== undefined && tunnel !== undefined) this.parts.agent.macs.addPeerGateway(vsi, mac, tunnel);
  }

  yieldHost(name: string, mac: Mac | null, ips: readonly Ip[], ask: boolean): void {
    const vsi = this.vsi(name);
    if (vsi === undefined) return;
    const { agent } = this.parts;
    const on = vsi.interface;
    const places = on === null ? [] : ips.flatMap((ip) => agent.neighbors.find(on, ip) ?? []);
    const asked = places.flatMap(({ ip, place }) => (place !== null && isHere(place.port) ? [{ ip, place }] : []));
    if (mac !== null) agent.macs.delete(vsi, mac);
    for (const ip of ips) {
      agent.resolutions.of(ip).suppression.forgetHere(vsi, ip);
      if (on !== null) agent.neighbors.delete(on, ip);
    }
    if (ask && on !== null) for (const { ip, place } of asked) agent.askHost(on, ip, place);
  }

  kindOf(name: string, ip: Ip): "host" | "gateway" | "foreign" | "unknown" {
    const vsi = this.vsi(name);
    const on = vsi === undefined ? null : gatewayOf(vsi, ip);
    if (on === null) return "unknown";
    if (isOwnAddress(on, ip)) return "gateway";
    return subnetOf(on, ip) === null ? "foreign" : "host";
  }

  isGatewayMac(name: string, mac: Mac): boolean {
    return this.vsi(name)?.interface?.mac === mac;
  }

  wantHop(name: string, vtep: string, routerMac: Mac, was: Mac | null): boolean {
    const vsi = this.vsi(name);
    const port = this.parts.inventory.tunnelTo(vtep);
    if (vsi?.interface == null || port === undefined) return false;
    const { macs, neighbors } = this.parts.agent;
    const ip = parseIpv4(vtep)!;
    if (!neighbors.candidates.want("evpn", vsi.interface, ip, { mac: routerMac, port, vsi })) return false;
    // Its frames come with that MAC: known, they take the short way through the data plane.
    if (was !== null && was !== routerMac) macs.unwant("evpn", vsi, was);
    macs.want("evpn", vsi, routerMac, port);
    return true;
  }

  unwantHop(name: string, vtep: string, routerMac: Mac): void {
    const vsi = this.vsi(name);
    if (vsi?.interface == null) return;
    this.parts.agent.macs.unwant("evpn", vsi, routerMac);
    this.parts.agent.neighbors.candidates.unwant("evpn", vsi.interface, parseIpv4(vtep)!);
  }

  wantPrefix(
    name: string,
    network: Ip,
    length: number,
    vteps: readonly string[],
    priorities: readonly number[],
  ): boolean {
    const iface = this.vsi(name)?.interface ?? null;
    const hops = vteps.map((vtep) => parseIpv4(vtep)!);
    return iface !== null && this.parts.topology.fabricRoutes.set(iface, network, length, hops, priorities);
  }

  unwantPrefix(name: string, network: Ip, length: number): void {
    const iface = this.vsi(name)?.interface ?? null;
    if (iface !== null) this.parts.topology.fabricRoutes.clear(iface, network, length);
  }

  isUp(vtep: string): boolean {
    return this.parts.inventory.tunnelTo(vtep)?.up ?? false;
  }

  leads(vrf: string, prefix: string): boolean | null {
    return this.parts.topology.staticRoutes.leads(vrf, prefix);
  }

  *locals(name: string): Generator<LocalHost> {
    const vsi = this.vsi(name);
    if (vsi === undefined) return;
    const { macs, neighbors, arp, nd } = this.parts.agent;
    for (const { mac, origin } of macs.atAcs(vsi)) yield { mac, ip: null, isSticky: origin === "static" };
    for (const { place, ip, state, origin } of neighbors.all())
      if (
        place !== null &&
        place.vsi === vsi &&
        !isOfLink(ip) &&
        isHere(place.port) &&
        KNOWN.has(state) &&
        (origin as string) !== RESTORED
      )
        yield { mac: place.mac, ip, isSticky: origin === "static" };
    for (const { suppression } of [arp, nd])
      for (const { ip, mac, port } of suppression.list(vsi))
        if (!isOfLink(ip) && gatewayOf(vsi, ip) === null && isHere(port)) yield { mac, ip, isSticky: false };
  }

  private vsi(name: string): VsiObject | undefined {
    return this.parts.inventory.vsi(name);
  }
}

const KNOWN: ReadonlySet<string> = new Set(["reachable", "stale", "delay", "probe"]);

/** The VSI-interface, where it has an address of the family of `ip`: then its neighbours are the hosts. */
function gatewayOf({ interface: iface }: VsiObject, ip: Ip): InterfaceObject | null {
  return iface?.subnets.some(({ address }) => isSameFamily(address, ip)) ? iface : null;
}

function isHere(port: PortObject | null | undefined): boolean {
  return port?.kind === "ac";
}
