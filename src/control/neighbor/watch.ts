/**
 * The watch over neighbours that changed without a word: a VM that was made again with another MAC and says nothing.
 *
 * ARP alone notices that at half an entry's age. But the data plane knows more: workers mark the adjacencies they use and
 * the source MACs they see. So an entry that is *used* while nothing was heard from its MAC for UNHEARD_MS is asked (the NUD
 * event "unheard"): what lives answers, what does not is looked for by the next packet. A host that only listens costs one
 * question in that time; one that talks, or that nothing is sent to, costs none. A stale entry that is used is asked anyway.
 *
 * Frames with a source MAC that is new behind an AC, or that moved, are hints: a host that we know there may be this one now.
 * It is asked at once, without believing anything; the answer is evidence like any other.
 *
 * What is behind a peer gateway has that gateway's MAC, and is that gateway's to watch.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { ReadonlyLargeMap } from "../large-map.ts";
import { RateWindow } from "../rate-window.ts";
import type { Timers } from "../timers.ts";
import type { EntryKey } from "./adjacency.ts";
import { isGiven, type Neighbor } from "./entry.ts";
import type { NeighborLife } from "./life.ts";
import { isKnown } from "./nud.ts";
import type { NeighborPaths } from "./path.ts";
import type { Solicitor } from "./solicitor.ts";

/** A used entry whose MAC was not heard for so long is asked; half of what Linux takes (base_reachable_time). */
export const UNHEARD_MS = 15_000;
const LOOK_EVERY_MS = 5000;
/** Entries that are looked at in one go; they lie anywhere in memory. */
const LOOKED = 2048;
/** Most entries that one look sends to be asked: a site that fell silent as a whole is asked in turns. */
const ASKED_PER_LOOK = 256;
/** Hints followed per second: each one walks the table. */
const HINTS_PER_SECOND = 20;
/** What was heard from just now has not been replaced. */
const HINT_AFTER_MS = 1000;

/** What the MAC table knows of a host. */
export interface MacTimes {
  /** When `mac` last sent a frame by `port`; -Infinity: not that we remember; null: it is a gateway's MAC, many hosts share it. */
  heardAt(vsi: VsiObject, mac: Mac, port: PortObject): number | null;
}

export interface WatchParts {
  readonly entries: ReadonlyLargeMap<EntryKey, Neighbor>;
  readonly life: NeighborLife;
  readonly paths: NeighborPaths;
  readonly solicitor: Solicitor;
  readonly macs: MacTimes;
  readonly timers: Timers;
}

export class NeighborWatch {
  private readonly parts: WatchParts;
  private readonly hints = new RateWindow(HINTS_PER_SECOND);

  constructor(parts: WatchParts) {
    this.parts = parts;
    parts.timers.everyInParts(LOOK_EVERY_MS, () => this.askUnheard());
  }

  /** A source MAC is new in `vsi`, behind `port`; `from`: where it was until now, or null. */
  hint(vsi: VsiObject, mac: Mac, port: PortObject, from: PortObject | null): void {
    const { entries, timers } = this.parts;
    if (entries.size === 0 || (from === null && port.kind === "tunnel") || !this.hints.admit(timers.nowMs)) return;
    // A mark may be as old as the last look, so a host that was replaced a moment ago seems heard just now. It was read by
    // this look; by the next one only a new frame counts.
    if (this.follow(vsi, mac, port, from)) timers.after(HINT_AFTER_MS, () => this.follow(vsi, mac, port, from));
  }

  /** @returns whether a host there seems to have been heard too lately to be asked. */
  private follow(vsi: VsiObject, mac: Mac, port: PortObject, from: PortObject | null): boolean {
    const { entries, solicitor } = this.parts;
    let isEarly = false;
    for (const entry of entries.values()) {
      const { place, iface, ip } = entry;
      if (place === null || place.vsi !== vsi || entry.origin === "static" || !isKnown(entry.state)) continue;
      if (place.mac === mac) {
        if (place.port !== port) solicitor.at(iface, ip, { mac, port, vsi });
      } else if (from === null && place.port === port) {
        if (this.isQuiet(entry, HINT_AFTER_MS)) solicitor.behind(iface, ip, port, vsi);
        else isEarly = true;
      }
    }
    return isEarly;
  }

  private *askUnheard(): Generator<void, void, undefined> {
    const { entries, life, paths } = this.parts;
    let [asked, looked] = [0, 0];
    for (const entry of entries.values()) {
      const isStale = entry.state === "stale";
      if ((isStale || entry.state === "reachable") && !isGiven(entry)) {
        // Asked each time, so that it means "used since the last look".
        const isUsed = paths.takeUse(entry);
        if (isUsed && (isStale || this.isQuiet(entry, UNHEARD_MS))) {
          life.fire(entry, isStale ? "used" : "unheard");
          if (++asked === ASKED_PER_LOOK) return;
        }
      }
      if (++looked % LOOKED === 0) yield;
    }
  }

  /** Has nothing been heard from this host for `ms`, neither ARP nor any other frame? */
  private isQuiet(entry: Neighbor, ms: number): boolean {
    const sinceMs = this.parts.timers.nowMs - ms;
    const { vsi, mac, port } = entry.place!;
    // Read at each look, ARP or not: a mark that is read seldom tells of a frame as old as the last reading.
    const heardMs = mac === entry.iface.mac ? null : this.parts.macs.heardAt(vsi, mac, port);
    return entry.heardMs <= sinceMs && heardMs !== null && heardMs <= sinceMs;
  }
}
