/**
 * The candidates of a neighbour: what is known of its place besides the one that is used.
 *
 *   static  configured, or added by hand
 *   local   heard at an AC
 *   evpn    said from outside, behind a tunnel; kept here beside the entries: it does not age, and counts while its tunnel is up
 *   heard   behind a tunnel
 *
 * The best one is used. A loser stays: what was heard is remembered in the entry (`loser`) while something given outranks it,
 * and holds again, asked at once, when that goes; what is said from outside holds when the host at the AC falls silent. The
 * change is one store of the rewrite, so there is no gap. What is said makes no local host a spoofer.
 */
import type { Tables } from "../../tables/tables.ts";
import { bump } from "../bump.ts";
import { type InterfaceObject, isPortOf, type PortObject } from "../inventory.ts";
import { type Family, type Ip, isOfFamily } from "../ip.ts";
import { LargeMap } from "../large-map.ts";
import type { Timers } from "../timers.ts";
import { neighborKey } from "./adjacency.ts";
import { isGiven, type KnownPlace, type Neighbor, type NeighborOrigin, type Place, samePlace } from "./entry.ts";
import type { NeighborLife } from "./life.ts";
import { isKnown } from "./nud.ts";

/** The same object is the entry's place, and what is published: there are as many as hosts of a fabric. */
export interface SaidNeighbor extends KnownPlace {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
}

/** What is needed of the table. */
export interface CandidateParts {
  readonly find: (iface: InterfaceObject, ip: Ip) => Neighbor | null;
  /** null: too many are searched. */
  readonly findOrCreate: (iface: InterfaceObject, ip: Ip) => Neighbor | null;
  readonly accept: (entry: Neighbor, place: Place, how: NeighborOrigin) => void;
  readonly life: NeighborLife;
  readonly timers: Timers;
}

export class NeighborCandidates {
  private readonly parts: CandidateParts;
  private readonly said = new LargeMap<Ip, SaidNeighbor>();
  /** Of them those that an operator says, not routes. */
  private readonly byHand = new WeakSet<SaidNeighbor>();
  /** Of them, behind each port. */
  private readonly behind = new Map<PortObject, number>();
  /** How many more may be said, of each family. */
  private readonly room: { number: number; bigint: number };

  /** @param sizes most that is said of each family; it counts for no other limit. */
  constructor(parts: CandidateParts, { neighbors, neighbors6 }: Pick<Tables["sizes"], "neighbors" | "neighbors6">) {
    this.parts = parts;
    this.room = { number: neighbors, bigint: neighbors6 };
  }

  /**
   * It is said from outside that `ip` is at `place`, behind a tunnel; one that says all of it is kept as it is.
   * @param by routes of EVPN, or an operator; what one has said the other does not take back.
   * @returns false when there is no room for it.
   */
  want(by: "evpn" | "hand", iface: InterfaceObject, ip: Ip, place: Place | SaidNeighbor): boolean {
    const key = neighborKey(iface, ip);
    const family = typeof ip as "number" | "bigint";
    if (!this.said.has(key)) {
      if (this.room[family] === 0) return false;
      this.room[family]--;
    }
    const { mac, port, vsi } = place;
    const was = this.said.get(key)?.port;
    if (was !== undefined) bump(this.behind, was, -1);
    bump(this.behind, port, 1);
    const isWhole = "iface" in place && place.iface === iface && place.ip === ip && place.origin === "evpn";
    const said: SaidNeighbor = isWhole ? place : { mac, port, vsi, origin: "evpn", iface, ip };
    this.said.set(key, said);
    if (by === "hand") this.byHand.add(said);
    if (this.follow(iface, ip)) return true;
    this.remove(key, ip);
    return false;
  }

  /** Who says from outside where `ip` is; null: it is not said. */
  saidBy(iface: InterfaceObject, ip: Ip): "evpn" | "hand" | null {
    const said = this.said.get(neighborKey(iface, ip));
    return said === undefined ? null : this.byHand.has(said) ? "hand" : "evpn";
  }

  /** It is not said any more. @returns false if it was not. */
  unwant(by: "evpn" | "hand", iface: InterfaceObject, ip: Ip): boolean {
    if (this.saidBy(iface, ip) !== by) return false;
    this.remove(neighborKey(iface, ip), ip);
    const entry = this.parts.find(iface, ip);
    if (entry?.origin === "evpn") this.parts.life.drop(entry);
    return true;
  }

  /** An operator says nothing any more: of one VSI-interface, of one address of it, or at all. @returns how many were said. */
  flushByHand(only: InterfaceObject | null, ip: Ip | null, family: Family | null = null): number {
    const isMeant = (each: SaidNeighbor) =>
      this.byHand.has(each) &&
      (only === null || each.iface === only) &&
      (ip === null || each.ip === ip) &&
      isOfFamily(each.ip, family);
    const meant = [...this.said.values()].filter(isMeant);
    for (const each of meant) this.unwant("hand", each.iface, each.ip);
    return meant.length;
  }

  /** Is any said to be behind `port`? */
  isAnyAt(port: PortObject): boolean {
    return this.behind.has(port);
  }

  /** What is said of the ones meant is void; their entries are about to go. */
  forget(isMeant: (each: SaidNeighbor) => boolean): void {
    for (const [key, each] of this.said) if (isMeant(each)) this.remove(key, each.ip);
  }

  /** The place that is said of `ip` and counts now, or null. */
  saidOf(iface: InterfaceObject, ip: Ip): Place | null {
    const place = this.said.get(neighborKey(iface, ip)) ?? null;
    return place?.port.up ? place : null;
  }

  /** What is said to be behind `port` counts again. */
  portUp(port: PortObject): void {
    if (!this.isAnyAt(port)) return;
    for (const place of this.said.values()) if (place.port === port) this.follow(place.iface, place.ip);
  }

  /** The place of `entry` holds no more; the next best one is used. @returns false: there is none. */
  fallBack(entry: Neighbor): boolean {
    const { accept, life, timers } = this.parts;
    const said = this.saidOf(entry.iface, entry.ip);
    if (said !== null) {
      accept(entry, said, "evpn");
      return isKnown(entry.state);
    }
    const { loser } = entry;
    entry.loser = null;
    const ageMs = entry.iface.config.arp.ageSeconds * 1000;
    if (loser === null || timers.nowMs - loser.heardMs >= ageMs) return false;
    const { port, vsi } = loser.place;
    if (!port.up || !isPortOf(port, vsi)) return false;
    accept(entry, loser.place, loser.origin);
    entry.heardMs = loser.heardMs;
    // Used at once, and asked before it is believed for long.
    life.fire(entry, "aged");
    life.fire(entry, "expiring");
    return isKnown(entry.state);
  }

  /** Something better is about to take the place of what was heard. */
  lose(entry: Neighbor): void {
    const { place, origin, heardMs } = entry;
    if (isKnown(entry.state) && !isGiven(entry)) entry.loser = { place: place!, origin, heardMs };
  }

  /** Heard behind a tunnel, of what is said from outside: remembered, no more. */
  outrank(entry: Neighbor, place: Place, origin: NeighborOrigin): "same" | "ignored" {
    const heardMs = this.parts.timers.nowMs;
    entry.loser = { place, origin, heardMs };
    if (!samePlace(entry.place!, place)) return "ignored";
    entry.heardMs = heardMs;
    return "same";
  }

  private remove(key: Ip, ip: Ip): boolean {
    const said = this.said.get(key);
    if (said === undefined) return false;
    this.said.delete(key);
    bump(this.behind, said.port, -1);
    this.room[typeof ip as "number" | "bigint"]++;
    return true;
  }

  /** What is said of `ip` is used, unless something better is known. @returns false when there is no room for it. */
  private follow(iface: InterfaceObject, ip: Ip): boolean {
    const said = this.saidOf(iface, ip);
    if (said === null) {
      // It is behind a tunnel that is down: no packet goes where it was said to be before.
      const entry = this.parts.find(iface, ip);
      if (entry?.origin === "evpn" && isKnown(entry.state)) this.parts.life.drop(entry);
      return true;
    }
    const entry = this.parts.findOrCreate(iface, ip);
    if (entry === null) return false;
    const isHere = isKnown(entry.state) && entry.place!.port.kind === "ac";
    if (entry.origin === "static" || isHere) return true;
    this.lose(entry);
    this.parts.accept(entry, said, "evpn");
    return isKnown(entry.state);
  }
}
