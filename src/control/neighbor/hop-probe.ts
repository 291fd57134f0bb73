/**
 * Next-hop probing: is the gateway behind a next hop of routes and policies still there?
 *
 * The tunnel's keepalive asks the peer's machine, whose kernel answers while its vtepd is dead. Only its control plane answers
 * ARP over VXLAN, so each held next hop that was resolved is asked by unicast (RFC 1122 §2.3.2.1), without end. `multiplier`
 * questions without an answer: it is dead, whatever its age (the NUD event "gone"), and routes and policies do without it.
 * It is asked on where it was, so the first answer brings it back; what has moved is found by the table's own search.
 *
 *   asked every   intervalMs × multiplier / (multiplier + 1), so that the last question has had its time within
 *                 intervalMs × multiplier of the last answer, the detection time (RFC 5880 §6.8.4 counts so)
 *   not asked     what was never known, what is configured or said from outside, and what is behind a port that is down
 *
 * Our own lateness kills nothing: however many turns we missed, one is made up for, and before the next one the punt rings are
 * drained, where an answer lies.
 * So many next hops that they would be more than ASKED_PER_SECOND questions are each asked less often.
 */
import type { InterfaceObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { NextHopProbeConfig } from "../plan.ts";
import type { Timer, Timers } from "../timers.ts";
import type { NumberOwner } from "./adjacency.ts";
import { isGiven, type Neighbor, type Place } from "./entry.ts";
import type { NeighborLife } from "./life.ts";
import { isKnown } from "./nud.ts";
import type { Solicitor } from "./solicitor.ts";

const ASKED_PER_SECOND = 500;

export interface NextHopProbeParts {
  readonly find: (iface: InterfaceObject, ip: Ip, behind: string | null) => Neighbor | null;
  readonly life: Pick<NeighborLife, "fire">;
  readonly solicitor: Pick<Solicitor, "alive">;
  readonly timers: Timers;
  readonly random: () => number;
}

/** A held next hop. */
interface Hop extends NumberOwner {
  holders: number;
  timer: Timer | null;
  /** Where it was asked last, and when; null: it was not. */
  place: Place | null;
  askedMs: number;
  misses: number;
}

export class NextHopProbes {
  private readonly parts: NextHopProbeParts;
  private readonly hops = new Map<number, Hop>();
  private config: NextHopProbeConfig;
  /** Questions by what became of them, by VSI-interface, ever. */
  readonly counts = new Map<string, { answered: number; missed: number }>();

  constructor(parts: NextHopProbeParts, config: NextHopProbeConfig) {
    this.parts = parts;
    this.config = config;
  }

  setConfig(config: NextHopProbeConfig): void {
    const { intervalMs, multiplier } = this.config;
    if (config.intervalMs === intervalMs && config.multiplier === multiplier) return;
    this.config = config;
    for (const hop of this.hops.values()) this.begin(hop);
  }

  /** A route or a rule wants `ip`, whose adjacency is `id`. */
  hold(id: number, iface: InterfaceObject, ip: Ip, behind: string | null = null): void {
    const known = this.hops.get(id);
    if (known !== undefined) {
      known.holders++;
      return;
    }
    const hop: Hop = { iface, ip, behind, holders: 1, timer: null, place: null, askedMs: 0, misses: 0 };
    this.hops.set(id, hop);
    this.begin(hop);
  }

  /** It wants it no more. */
  release(id: number): void {
    const hop = this.hops.get(id);
    if (hop === undefined || --hop.holders > 0) return;
    if (hop.timer !== null) this.parts.timers.cancel(hop.timer);
    this.hops.delete(id);
  }

  /** What is held, by the number of its adjacency. */
  held(): Iterable<readonly [number, NumberOwner]> {
    return this.hops;
  }

  /** How often each is asked, and how often it should be; ms. Null: not at all. */
  get pace(): { readonly everyMs: number; readonly wantedMs: number } | null {
    const { intervalMs, multiplier } = this.config;
    if (intervalMs === 0) return null;
    return { everyMs: this.everyMs, wantedMs: (intervalMs * multiplier) / (multiplier + 1) };
  }

  private get everyMs(): number {
    const { intervalMs, multiplier } = this.config;
    return Math.max((intervalMs * multiplier) / (multiplier + 1), (this.hops.size * 1000) / ASKED_PER_SECOND);
  }

  private begin(hop: Hop): void {
    const { timers, random } = this.parts;
    if (hop.timer !== null) timers.cancel(hop.timer);
    hop.timer = null;
    hop.place = null;
    if (this.config.intervalMs === 0) return;
    // Each at a time of its own, so that they are not asked all at once.
    this.arm(hop, random() * this.everyMs);
  }

  /** Its next turn is in `delayMs`, counted from the present also where the timers still catch up with it. */
  private arm(hop: Hop, delayMs: number): void {
    hop.timer = this.parts.timers.afterRound(delayMs, () => this.turn(hop));
  }

  private turn(hop: Hop): void {
    const { find, solicitor, timers } = this.parts;
    this.arm(hop, this.everyMs);
    const entry = find(hop.iface, hop.ip, hop.behind);
    if (entry === null || !isAsked(entry)) {
      hop.place = null;
      return;
    }
    if (hop.place === entry.place) this.judge(hop, entry);
    else hop.misses = 0;
    // Gone, it may be known from elsewhere now, or not be asked for any more.
    if (!isAsked(entry)) return;
    hop.place = entry.place;
    hop.askedMs = timers.nowMs;
    solicitor.alive(hop.iface, hop.ip, entry.place!);
  }

  private judge(hop: Hop, entry: Neighbor): void {
    const count = this.countOf(hop.iface.name);
    if (entry.heardMs >= hop.askedMs) {
      count.answered++;
      hop.misses = 0;
      return;
    }
    count.missed++;
    hop.misses++;
    if (hop.misses >= this.config.multiplier && isKnown(entry.state)) this.parts.life.fire(entry, "gone");
  }

  private countOf(iface: string): { answered: number; missed: number } {
    let count = this.counts.get(iface);
    if (count === undefined) this.counts.set(iface, (count = { answered: 0, missed: 0 }));
    return count;
  }
}

function isAsked(entry: Neighbor): boolean {
  return entry.place?.port.up === true && !isGiven(entry) && entry.state !== "suspended";
}
