/**
 * One neighbour: (VSI-interface, IP), where it is, and what we think of that (behaviour.md §3.8).
 *
 * A place is a MAC behind a bridge port in a VSI. Many neighbours share one remote gateway's MAC, so nothing here is
 * keyed by MAC.
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import type { ChangeKind } from "../feed.ts";
import type { InterfaceObject, PortObject, VsiObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { MoveHistory } from "../move-history.ts";
import type { Timer } from "../timers.ts";
import { type EntryKey, entryKey } from "./adjacency.ts";
import type { NudState } from "./nud.ts";

/** What we know it from. */
export type NeighborOrigin = "request" | "reply" | "announcement" | "static" | "gateway" | "evpn";

export interface Place {
  readonly mac: Mac;
  readonly port: PortObject;
  readonly vsi: VsiObject;
}

/** A place that packets are sent to, and what we know it from. */
export interface KnownPlace extends Place {
  readonly origin: NeighborOrigin;
}

/** A change of the neighbour table, as its feed tells it: where packets to `ip` went until now, and where they go. */
export interface NeighborChange {
  readonly kind: ChangeKind;
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  /** null: nowhere. */
  readonly was: KnownPlace | null;
  readonly is: KnownPlace | null;
}

export interface Neighbor {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  /** The tunnel behind which it is meant: several gateways have the address (table.ts); null: wherever it is. */
  readonly behind: string | null;
  readonly key: EntryKey;
  state: NudState;
  /** null while it was never known. */
  place: Place | null;
  origin: NeighborOrigin;
  /** Its adjacency, held while it is known; 0: none. */
  adjacency: number;
  /** Where packets to it go; null while they are punted. */
  published: KnownPlace | null;
  /** The port it is counted behind while it is known. */
  counted: PortObject | null;
  /** Since it is in its state. */
  sinceMs: number;
  /** When it was last heard. */
  heardMs: number;
  /** When it was believed to be at its place. */
  learnedMs: number;
  /** When the search for it began. */
  searchMs: number;
  /** The bridge port whose packet made us search, 0: a route. */
  searcher: number;
  tries: number;
  /** Failed with a route that still wants it: how long until we ask again by ourselves. */
  backoffMs: number;
  /** Where somebody says it is, while we ask at the place we know. */
  challenger: Place | null;
  previous: { readonly place: Place; readonly atMs: number } | null;
  /** What was heard of it, while what is configured or said from outside outranks that. */
  loser: { readonly place: Place; readonly origin: NeighborOrigin; readonly heardMs: number } | null;
  moves: MoveHistory | null;
  /** It says that it is a router (RFC 4861 §7.3.3: a host drops one that says so no more). */
  isRouter: boolean;
  timer: Timer | null;
}

/** A neighbour, or a peer gateway, for people. */
export interface NeighborView {
  /** null: a suppressed host in a VSI without VSI-interface. */
  readonly interface: string | null;
  readonly ip: string;
  readonly mac: string | null;
  readonly state: NudState | "gateway" | "suppressed";
  readonly via: { readonly kind: "ac" | "tunnel"; readonly name: string } | null;
  readonly vsi: string | null;
  /** Since it was last heard; since the search began where it never was. */
  readonly ageSeconds: number;
  readonly origin: NeighborOrigin;
  /** Seconds in its present state. */
  readonly stateSeconds: number;
  /** Where it was before it moved. */
  readonly previous: { readonly mac: string; readonly via: string; readonly secondsAgo: number } | null;
}

/** An entry of which nothing is known, as if it had failed long ago. */
export function newNeighbor(iface: InterfaceObject, ip: Ip, behind: string | null, nowMs: number): Neighbor {
  return {
    iface,
    ip,
    behind,
    key: entryKey(iface, ip, behind),
    state: "failed",
    place: null,
    origin: "request",
    adjacency: 0,
    published: null,
    counted: null,
    sinceMs: nowMs,
    heardMs: nowMs,
    learnedMs: nowMs,
    searchMs: nowMs,
    searcher: 0,
    tries: 0,
    backoffMs: 0,
    challenger: null,
    previous: null,
    loser: null,
    moves: null,
    isRouter: false,
    timer: null,
  };
}

/** Is it given to us, not heard? Then it does not age, and no host is asked for it. */
export function isGiven({ origin }: { readonly origin: NeighborOrigin }): boolean {
  return origin === "static" || origin === "evpn";
}

export function samePlace(a: Place, b: Place): boolean {
  return a.mac === b.mac && a.port === b.port && a.vsi === b.vsi;
}

/** `place` with what it is known from; a place that says so is taken as it is. */
export function knownAt(place: Place & Partial<KnownPlace>, origin: NeighborOrigin): KnownPlace {
  if (place.origin === origin) return place as KnownPlace;
  const { mac, port, vsi } = place;
  return { mac, port, vsi, origin };
}

export function viewOf(entry: Neighbor, nowMs: number): NeighborView {
  const { place, previous } = entry;
  return {
    interface: entry.iface.name,
    ip: formatIp(entry.ip),
    mac: place === null ? null : formatMac(place.mac),
    state: entry.state,
    via: place === null ? null : { kind: place.port.kind, name: place.port.name },
    vsi: place?.vsi.name ?? null,
    ageSeconds: seconds(nowMs - (place === null ? entry.searchMs : entry.heardMs)),
    origin: entry.origin,
    stateSeconds: seconds(nowMs - entry.sinceMs),
    previous:
      previous === null
        ? null
        : {
            mac: formatMac(previous.place.mac),
            via: `${previous.place.port.kind} ${previous.place.port.name}`,
            secondsAgo: seconds(nowMs - previous.atMs),
          },
  };
}

/** D14: a host that ARP suppression answers for; nothing is routed by it. */
export function viewOfSuppressed(
  {
    vsi,
    ip,
    mac,
    port,
    heardMs,
    origin,
  }: Omit<Place, "vsi"> & { vsi: VsiObject; ip: Ip; heardMs: number; origin: NeighborOrigin },
  nowMs: number,
): NeighborView {
  return {
    interface: vsi.interface?.name ?? null,
    ip: formatIp(ip),
    mac: formatMac(mac),
    state: "suppressed",
    via: { kind: port.kind, name: port.name },
    vsi: vsi.name,
    ageSeconds: seconds(nowMs - heardMs),
    origin,
    stateSeconds: seconds(nowMs - heardMs),
    previous: null,
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
