/**
 * How many neighbours may there be? Who is counted, and where.
 *
 * Known neighbours of a family: per VSI-interface (`neighbors.limit`), per AC, in all; each family has a census of its own, so
 * that what hosts do with IPv6 takes nothing from ARP. Targets that are being resolved, or failed lately:
 * in all, and by the bridge port whose packet asked, so that one VM's address scan leaves the others room (behaviour.md
 * §3.10); all that is outside comes by one port, whose share is larger (RFC 6583 §7.1), but all such ports together have half at most, so
 * that a scan from outside never shuts out the overlay. Several ports that scan at once leave a quarter of all to those that have few
 * looked for: eight ACs are as many searches as there are, and a tenant has more. Configured and looked-for-by-route entries are never refused.
 */
import { bump } from "../bump.ts";
import type { InterfaceObject, PortObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";

export const NEIGHBORS_PER_AC = 256;
export const SEARCHES_IN_ALL = 1024;
export const SEARCHES_PER_PORT = 128;
/** A port with fewer is quiet, and finds room in what is kept for such. */
export const QUIET_SEARCHES = 16;
const KEPT_FOR_QUIET = SEARCHES_IN_ALL / 4;
/** By all uplinks together. */
export const SEARCHES_OF_UPLINKS = SEARCHES_IN_ALL / 2;

/** One of each family. */
export class FamilyCensus {
  private readonly ipv4: NeighborCensus;
  private readonly ipv6: NeighborCensus;
  /** Targets that one uplink's packets may have us look for, of a family. */
  searchesOfUplink = SEARCHES_PER_PORT;

  /** Limits: most known neighbours in all. */
  constructor(limit: number, limit6: number) {
    this.ipv4 = new NeighborCensus(limit);
    this.ipv6 = new NeighborCensus(limit6);
  }

  of(ip: Ip): NeighborCensus {
    return typeof ip === "number" ? this.ipv4 : this.ipv6;
  }

  /** May bridge port `port` make us look for one more target of the family of `ip`? */
  maySearch(ip: Ip, port: number, isUplink: boolean): boolean {
    const census = this.of(ip);
    census.mark(port, isUplink);
    const isQuiet = census.searchesBy(port) < QUIET_SEARCHES;
    if (!isQuiet && census.searchesOfPorts >= SEARCHES_IN_ALL - KEPT_FOR_QUIET) return false;
    if (!isUplink) return census.searchesBy(port) < SEARCHES_PER_PORT;
    return census.searchesBy(port) < this.searchesOfUplink && census.searchesOfUplinks < SEARCHES_OF_UPLINKS;
  }

  /** Known neighbours. */
  get size(): number {
    return this.ipv4.size + this.ipv6.size;
  }

  /** Is any known behind `port`? What is said from outside does not count. */
  isAnyAt(port: PortObject): boolean {
    return this.ipv4.isAnyAt(port) || this.ipv6.isAnyAt(port);
  }

  /** Entries on `iface`, known or not. */
  entriesOn(iface: InterfaceObject): number {
    return this.ipv4.entriesOn(iface) + this.ipv6.entriesOn(iface);
  }
}

class NeighborCensus {
  private readonly limit: number;
  /** Entries in any state. */
  private readonly entries = new Map<InterfaceObject, number>();
  private readonly onInterface = new Map<InterfaceObject, number>();
  private readonly onPort = new Map<PortObject, number>();
  private readonly searchesOf = new Map<number, number>();
  private readonly uplinks = new Set<number>();
  /** All of `searchesOf`, and those by uplinks. */
  searchesOfPorts = 0;
  searchesOfUplinks = 0;
  private known = 0;
  /** Entries that are not known. */
  searches = 0;

  /** @param limit most known neighbours in all. */
  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.known;
  }

  /** Entries on `iface`, known or not. */
  entriesOn(iface: InterfaceObject): number {
    return this.entries.get(iface) ?? 0;
  }

  /** An entry was made (1) or is gone (-1). */
  countEntry(iface: InterfaceObject, step: 1 | -1): void {
    bump(this.entries, iface, step);
  }

  /** May one more neighbour be known on `iface`, behind `port`? */
  hasRoom(iface: InterfaceObject, port: PortObject): boolean {
    return (
      this.known < this.limit && (this.onInterface.get(iface) ?? 0) < iface.config.arp.limit && this.hasRoomBehind(port)
    );
  }

  /** May one more neighbour be behind `port`? A tunnel has as many hosts as there are. */
  hasRoomBehind(port: PortObject): boolean {
    return port.kind === "tunnel" || (this.onPort.get(port) ?? 0) < NEIGHBORS_PER_AC;
  }

  isAnyAt(port: PortObject): boolean {
    return this.onPort.has(port);
  }

  /** A neighbour became known (1) or is no longer (-1) on `iface`, behind `port`. */
  count(iface: InterfaceObject, port: PortObject, step: 1 | -1): void {
    this.known += step;
    bump(this.onInterface, iface, step);
    bump(this.onPort, port, step);
  }

  /** Targets that are looked for because of packets by bridge port `port`. */
  searchesBy(port: number): number {
    return this.searchesOf.get(port) ?? 0;
  }

  countSearch(port: number, step: 1 | -1): void {
    bump(this.searchesOf, port, step);
    this.searchesOfPorts += step;
    if (this.uplinks.has(port)) this.searchesOfUplinks += step;
  }

  /** Bridge port `port` is an uplink, or (its VSI has a VNI now, or its row another port) none. */
  mark(port: number, isUplink: boolean): void {
    if (this.uplinks.has(port) === isUplink) return;
    if (isUplink) this.uplinks.add(port);
    else this.uplinks.delete(port);
    this.searchesOfUplinks += isUplink ? this.searchesBy(port) : -this.searchesBy(port);
  }
}
