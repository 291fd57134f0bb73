/**
 * What becomes of neighbours when the places they are at go: a port that goes down or away, a VSI that is another network.
 *
 * Configured entries stay (`removeStatic`); where their port is merely down they are dead until it is up.
 */
import type { Behind } from "../behind.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { ReadonlyLargeMap } from "../large-map.ts";
import type { EntryKey } from "./adjacency.ts";
import type { Neighbor, Place } from "./entry.ts";
import type { NeighborLife } from "./life.ts";
import { isKnown } from "./nud.ts";
import type { NeighborPaths } from "./path.ts";
import type { Searches } from "./search.ts";

export interface PlacesParts {
  readonly entries: ReadonlyLargeMap<EntryKey, Neighbor>;
  readonly life: NeighborLife;
  readonly paths: NeighborPaths;
  readonly searches: Searches;
  /** Entries with a challenger are among them (evidence.ts). */
  readonly challenged: Set<Neighbor>;
}

export class NeighborPlaces {
  private readonly parts: PlacesParts;

  constructor(parts: PlacesParts) {
    this.parts = parts;
  }

  /**
   * Ports went down or away, or tunnels left VSIs: what was learned behind them goes, and packets that came by them stop waiting.
   * `isUsed`: an entry is known there, or said to be; else only those that are not known are looked at. What was heard there and is
   * remembered for later is compared with the VSI's ports then (candidates.ts).
   */
  forgetBehind({ ports, has }: Behind, isUsed: boolean): void {
    const among = this.among(isUsed);
    this.silence(new Set(ports), among);
    this.drop(({ port, vsi }) => has(port, vsi), among);
  }

  /** `port` went down and may come back: what was learned behind it is out of use, and not forgotten yet (agent.ts does). */
  suspendPort(port: PortObject): void {
    this.silence(new Set([port]), this.among(true));
    for (const entry of [...this.parts.entries.values()])
      if (entry.origin !== "static" && entry.place?.port === port) this.parts.life.fire(entry, "cut");
  }

  /**
   * `port` is up (again): static entries behind it live, what was suspended there is used and asked again, and next hops
   * that routes want may be found there.
   */
  portUp(port: PortObject, isUsed: boolean): void {
    const { life, paths, searches } = this.parts;
    for (const entry of this.among(isUsed))
      if (entry.origin === "static" && entry.place?.port === port) paths.setAlive(entry, true);
    for (const entry of searches.list()) {
      if (entry.place?.port === port) life.fire(entry, "restored");
      // What was asked while the port was down did not get there: three questions more.
      if (entry.state === "incomplete") entry.tries = 0;
      if (!paths.isHeld(entry)) continue;
      entry.backoffMs = 0;
      life.search(entry, 0);
    }
  }

  /** What was learned in `vsi` goes (it is removed, or its ports changed), and packets that came in by it stop waiting. */
  flushVsi(vsi: VsiObject): void {
    this.drop((place) => place.vsi === vsi, this.among(true));
    this.parts.searches.dropVsi(vsi.row);
  }

  /** Forget what is meant. @returns how many. */
  dropWhere(isMeant: (entry: Neighbor) => boolean, among = this.among(true)): number {
    const meant = [...among].filter(isMeant);
    for (const entry of meant) this.parts.life.drop(entry);
    return meant.length;
  }

  /** Nothing comes by these ports, or goes to them. */
  private silence(ports: ReadonlySet<PortObject>, among: Iterable<Neighbor>): void {
    const { paths, searches, challenged } = this.parts;
    for (const entry of challenged) {
      if (entry.challenger !== null && ports.has(entry.challenger.port)) entry.challenger = null;
      if (entry.challenger === null) challenged.delete(entry);
    }
    for (const entry of among)
      if (entry.origin === "static" && entry.place !== null && ports.has(entry.place.port))
        paths.setAlive(entry, entry.place.port.up);
    for (const port of ports) searches.dropPort(port);
  }

  /** Places that are void: who is known there goes; who is being looked for was there once, which no longer matters. */
  private drop(isVoid: (place: Place) => boolean, among: Iterable<Neighbor>): void {
    for (const entry of among) if (entry.loser !== null && isVoid(entry.loser.place)) entry.loser = null;
    const isThere = ({ place, state }: Neighbor) => place !== null && (isKnown(state) || state === "suspended");
    this.dropWhere((entry) => entry.origin !== "static" && isThere(entry) && isVoid(entry.place!), among);
    for (const entry of among)
      if (!isKnown(entry.state) && entry.place !== null && isVoid(entry.place)) entry.place = null;
  }

  /** All entries, or those that are not known. */
  private among(all: boolean): Iterable<Neighbor> {
    const { entries, searches } = this.parts;
    return all ? { [Symbol.iterator]: () => entries.values() } : searches.list();
  }
}
