/**
 * The life of a neighbour entry: the one place where what the NUD table (nud.ts) says is carried out.
 *
 * `fire` lets an event happen and performs the action that follows; every action leaves exactly one timer behind, or none.
 * Timers of living entries are lazy: hearing a host only notes the time, and the timer that was set for the old one looks
 * again when it fires; so a busy table sets no timers.
 */
import { DROP } from "../../tables/counters.ts";
import { i32, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES, formatMac, TYPE_IPV6 } from "../../wire/ethernet.ts";
import { IP_SRC } from "../../wire/ipv4.ts";
import { IP6_SRC, readIpv6 } from "../../wire/ipv6.ts";
import { type Emit, type EventFields, type EventName, portField } from "../event.ts";
import type { Fate } from "../fate.ts";
import type { HeldFrame } from "../inject.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Timers } from "../timers.ts";
import { isGiven, type Neighbor, type NeighborOrigin, type Place } from "./entry.ts";
import { isKnown, type NudAction, type NudEvent, type NudState, transition } from "./nud.ts";
import type { NeighborPaths } from "./path.ts";
import type { Searches } from "./search.ts";
import { SOLICIT_EVERY_MS, type Solicitor } from "./solicitor.ts";

export const NEIGHBOR_TRIES = 3;
export const CHALLENGE_MS = 500;
/** Three probes and the random second before them end within the age. */
const PROBING_MS = (NEIGHBOR_TRIES + 1) * SOLICIT_EVERY_MS;
const FAILED_MS = 20_000;
const BACKOFF_MS = 2000;
const BACKOFF_MAX_MS = 16_000;

/** The table whose entries live here. */
export interface NeighborOwner {
  /** `entry` was known elsewhere, and is now at `place`. */
  move(entry: Neighbor, place: Place, how: NeighborOrigin): void;
  /** The place of `entry` holds no more; the next best one is used. @returns false: there is none. */
  fallBack(entry: Neighbor): boolean;
  /** `entry` is no more. */
  forget(entry: Neighbor): void;
}

export interface LifeParts {
  readonly owner: NeighborOwner;
  readonly paths: NeighborPaths;
  readonly searches: Searches;
  readonly solicitor: Solicitor;
  readonly timers: Timers;
  readonly emit: Emit;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  /** Answer a packet whose next hop is silent with ICMP host unreachable, if it may be. @returns its drop reason. */
  readonly unreachable: (frame: HeldFrame) => Fate;
  /** Told of each search that ended: how long it took, and how. */
  readonly onResolved: (ms: number, result: "resolved" | "failed") => void;
}

export class NeighborLife {
  private readonly parts: LifeParts;
  /** What carries out each action. */
  private readonly actions: Readonly<Record<NudAction, (entry: Neighbor, from: NudState) => void>> = {
    solicitAll: (entry) => this.solicit(entry),
    program: (entry, from) => this.program(entry, from),
    watch: (entry) => this.watch(entry),
    wait: (entry) => this.arm(entry, this.parts.random() * SOLICIT_EVERY_MS, () => this.fire(entry, "waited")),
    askHost: (entry, from) => this.askHost(entry, from),
    withdraw: (entry, from) => this.fail(entry, from),
    suspend: (entry) => this.suspend(entry),
    resume: (entry, from) => this.resume(entry, from),
    remove: (entry) => this.remove(entry),
  };

  constructor(parts: LifeParts) {
    this.parts = parts;
  }

  /** Let an event happen to `entry`. */
  fire(entry: Neighbor, event: NudEvent): void {
    const from = entry.state;
    const action = transition(entry, event, this.parts.timers.nowMs);
    if (action !== null) this.actions[action](entry, from);
  }

  /** Look for an entry that is neither known nor looked for. `port`: whose packet wants it, 0: a route. */
  search(entry: Neighbor, port: number): void {
    if (isKnown(entry.state) || entry.state === "incomplete") return;
    this.parts.searches.begin(entry, port, this.parts.timers.nowMs);
    this.fire(entry, "needed");
  }

  /** What was known is void. A next hop that routes want is looked for at once, anything else is forgotten. */
  drop(entry: Neighbor): void {
    const { owner, paths, searches, timers } = this.parts;
    if (owner.fallBack(entry)) return;
    this.tell("debug", "neighbor.removed", entry, {});
    paths.withdraw(entry);
    searches.end(entry);
    entry.place = null;
    entry.origin = "request";
    entry.state = "failed";
    entry.sinceMs = timers.nowMs;
    searches.add(entry);
    if (paths.isHeld(entry)) this.search(entry, 0);
    else this.remove(entry);
  }

  /** Take it out of the table without a trace; what waits for it waits in vain. */
  remove(entry: Neighbor): void {
    const { paths, searches, owner } = this.parts;
    paths.withdraw(entry);
    searches.settle(entry, () => DROP.no_route);
    this.disarm(entry);
    searches.remove(entry);
    owner.forget(entry);
  }

  tell(level: "debug" | "info" | "warn", event: EventName, entry: Neighbor, more: EventFields): void {
    const { place } = entry;
    const where = place === null ? {} : { vsi: place.vsi.name, mac: formatMac(place.mac), ...portField(place.port) };
    this.parts.emit(level, event, { interface: entry.iface.name, ip: formatIp(entry.ip), ...where, ...more });
  }

  private solicit(entry: Neighbor): void {
    entry.tries++;
    const { iface, ip, behind, searcher, tries } = entry;
    const { solicitor, paths } = this.parts;
    const step = paths.isHeld(entry) ? "S3.4" : "S2.4";
    if (behind !== null) solicitor.through(iface, ip, behind);
    const againMs = behind === null ? solicitor.everywhere(iface, ip, searcher, tries, step) : 0;
    // Somebody may have asked for it a moment ago (a VM's own question, relayed): that was the first try.
    const waitMs = againMs > 0 ? againMs : SOLICIT_EVERY_MS;
    this.arm(entry, waitMs, () => this.fire(entry, entry.tries < NEIGHBOR_TRIES ? "silent" : "gaveUp"));
  }

  private program(entry: Neighbor, from: NudState): void {
    if (!this.publish(entry, from)) return;
    entry.challenger = null;
    entry.tries = 0;
    entry.backoffMs = 0;
    if (!isKnown(from)) this.found(entry, from);
    this.parts.paths.setAlive(entry, true);
    if (isGiven(entry)) this.disarm(entry);
    else if (from !== "reachable" || entry.timer === null) this.armFresh(entry);
  }

  /** Its port is back: used at once, and asked whether it is still there; thousands behind a tunnel within a second, not at once. */
  private resume(entry: Neighbor, from: NudState): void {
    if (!this.publish(entry, from)) return;
    this.found(entry, from);
    this.parts.paths.setAlive(entry, true);
    entry.backoffMs = 0;
    this.tell("debug", "neighbor.restored", entry, {});
    const isAlone = entry.place!.port.kind === "ac";
    this.arm(entry, isAlone ? 0 : this.parts.random() * SOLICIT_EVERY_MS, () => this.fire(entry, "waited"));
  }

  private suspend(entry: Neighbor): void {
    const { owner, paths, searches } = this.parts;
    if (owner.fallBack(entry)) return;
    this.tell("debug", "neighbor.suspended", entry, {});
    this.disarm(entry);
    paths.withdraw(entry);
    searches.add(entry);
    // It may have moved with its port: what a route wants is looked for elsewhere.
    if (paths.isHeld(entry)) this.search(entry, 0);
  }

  private publish(entry: Neighbor, from: NudState): boolean {
    if (this.parts.paths.publish(entry)) return true;
    this.tell("warn", "neighbor.limit", entry, { why: "no adjacency left" });
    entry.state = "failed";
    this.fail(entry, from);
    return false;
  }

  /** It was not known: the search is over, and what waited is sent. */
  private found(entry: Neighbor, from: NudState): void {
    const { paths, searches, timers, onResolved } = this.parts;
    if (from === "incomplete") onResolved(timers.nowMs - entry.searchMs, "resolved");
    searches.remove(entry);
    searches.settle(entry, (frame) => paths.send(entry, frame));
  }

  /** Reachable for half its age after it was last heard. */
  private armFresh(entry: Neighbor): void {
    const freshMs = (entry.iface.config.arp.ageSeconds * 1000) / 2;
    const leftMs = entry.heardMs + freshMs - this.parts.timers.nowMs;
    if (leftMs <= 0) this.fire(entry, "aged");
    else this.arm(entry, leftMs, () => this.armFresh(entry));
  }

  private watch(entry: Neighbor): void {
    const { paths, timers } = this.parts;
    const ageMs = entry.iface.config.arp.ageSeconds * 1000;
    const leftMs = entry.heardMs + ageMs - PROBING_MS - timers.nowMs;
    if (paths.takeUse(entry) || paths.isHeld(entry)) this.fire(entry, "used");
    else if (leftMs <= 0) this.fire(entry, "expiring");
    else this.arm(entry, Math.min(leftMs, Math.max(SOLICIT_EVERY_MS, ageMs / 20)), () => this.watch(entry));
  }

  private askHost(entry: Neighbor, from: NudState): void {
    if (from !== "probe") entry.tries = 0;
    entry.tries++;
    this.parts.solicitor.at(entry.iface, entry.ip, entry.place!);
    this.arm(entry, entry.challenger === null ? SOLICIT_EVERY_MS : CHALLENGE_MS, () => {
      const { challenger } = entry;
      const isAskedAgain = challenger?.port.kind === "ac" && entry.tries < NEIGHBOR_TRIES;
      if (challenger !== null && !isAskedAgain) this.parts.owner.move(entry, challenger, "announcement");
      else this.fire(entry, entry.tries < NEIGHBOR_TRIES ? "silent" : "gaveUp");
    });
  }

  private fail(entry: Neighbor, from: NudState): void {
    const { owner, paths, searches, timers, onResolved, unreachable } = this.parts;
    if (isKnown(from) && owner.fallBack(entry)) return;
    this.tell(isKnown(from) ? "info" : "debug", "neighbor.failed", entry, {});
    if (!isKnown(from)) onResolved(timers.nowMs - entry.searchMs, "failed");
    searches.end(entry);
    paths.withdraw(entry);
    searches.add(entry);
    // One host unreachable for each sender: the rest of its packets would only repeat it (RFC 1812 §4.3.2.8).
    const told = new Set<Ip>();
    searches.settle(entry, (frame) => {
      const source = sourceOf(frame.bytes);
      if (told.has(source)) return DROP.unresolved_timeout;
      told.add(source);
      return unreachable(frame);
    });
    if (!paths.isHeld(entry)) {
      this.arm(entry, FAILED_MS, () => this.fire(entry, "forgotten"));
      return;
    }
    entry.backoffMs = Math.min(BACKOFF_MAX_MS, Math.max(BACKOFF_MS, entry.backoffMs * 2));
    // By then the route may be gone, and with it the wish.
    this.arm(entry, entry.backoffMs, () => (paths.isHeld(entry) ? this.search(entry, 0) : this.remove(entry)));
  }

  private arm(entry: Neighbor, delayMs: number, run: () => void): void {
    this.disarm(entry);
    entry.timer = this.parts.timers.after(delayMs, () => {
      entry.timer = null;
      run();
    });
  }

  private disarm(entry: Neighbor): void {
    if (entry.timer !== null) this.parts.timers.cancel(entry.timer);
    entry.timer = null;
  }
}

/** The sender of a routed packet, of whichever family. */
function sourceOf(bytes: Uint8Array): Ip {
  const isIpv6 = u16(bytes, ETH_BYTES - 2) === TYPE_IPV6;
  return isIpv6 ? readIpv6(bytes, ETH_BYTES + IP6_SRC) : i32(bytes, ETH_BYTES + IP_SRC);
}
