/**
 * The life of a neighbour entry: carries out what the NUD table (nud.ts) says.
 *
 * `fire` looks the event up, stores the next state and performs the action; every action leaves exactly one timer behind,
 * or none. Timers of living entries are lazy: hearing a host only notes the time, and the timer that was set for the old
 * one looks again when it fires; so a busy ARP table sets no timers.
 *
 * An entry holds its adjacency while it is known. It is *searched* while it is incomplete or failed; only those are
 * bounded by SEARCHES_IN_ALL, and the oldest failed one makes room for a new one.
 */
import { DROP } from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";
import { i32 } from "../wire/bytes.ts";
import { ETH_BYTES, formatMac } from "../wire/ethernet.ts";
import { formatIpv4, IP_SRC, type Ipv4 } from "../wire/ipv4.ts";
import { Adjacencies, neighborKey } from "./adjacency.ts";
import { type ArpSender, addressFor, SOLICIT_EVERY_MS } from "./arp-sender.ts";
import type { Emit, EventFields, EventName } from "./event.ts";
import { type Fate, REINJECTED } from "./fate.ts";
import { ALL_PORTS, type HeldFrame, type Injector } from "./inject.ts";
import type { InterfaceObject, PortObject } from "./inventory.ts";
import type { Ledger } from "./ledger.ts";
import { MoveHistory } from "./move-history.ts";
import { NeighborCensus, SEARCHES_IN_ALL } from "./neighbor-census.ts";
import type { Neighbor, NeighborOrigin, Place } from "./neighbor-entry.ts";
import { isKnown, NUD, type NudAction, type NudEvent, type NudState } from "./nud.ts";
import { PendingQueues } from "./pending-queue.ts";
import type { Timers } from "./timers.ts";

/** Where resolved neighbours become /32 routes: routes.ts, or a test's own. */
export interface HostRoutes {
  setHost(vrf: number, ip: Ipv4, adjacency: number): void;
  removeHost(vrf: number, ip: Ipv4): void;
}

export const NEIGHBOR_TRIES = 3;
export const CHALLENGE_MS = 500;
/** Three probes and the random second before them end within the age. */
const PROBING_MS = (NEIGHBOR_TRIES + 1) * SOLICIT_EVERY_MS;
const FAILED_MS = 20_000;
const BACKOFF_MS = 2000;
const BACKOFF_MAX_MS = 16_000;

/** What an entry's life needs of the rest of control. */
export interface NeighborContext {
  readonly tables: Tables;
  readonly timers: Timers;
  readonly injector: Injector;
  readonly emit: Emit;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly ledger: Ledger;
  readonly sender: ArpSender;
  readonly routes: HostRoutes;
  /** Answer a packet whose next hop is silent with ICMP host unreachable, if it may be. @returns its drop reason. */
  readonly unreachable: (frame: HeldFrame) => Fate;
  /** Told of each search that ended: how long it took, and how. */
  readonly onResolved: (ms: number, result: "resolved" | "failed") => void;
}

export class NeighborLife {
  readonly adjacencies: Adjacencies;
  readonly queues: PendingQueues;
  readonly census: NeighborCensus;
  readonly entries = new Map<number, Neighbor>();
  /** Neighbour moves by VSI name, ever. */
  readonly moves = new Map<string, number>();
  private readonly c: NeighborContext;
  /** Those that are incomplete or failed, oldest first. */
  private readonly searched = new Set<Neighbor>();

  constructor(context: NeighborContext) {
    this.c = context;
    this.adjacencies = new Adjacencies(context.tables);
    this.queues = new PendingQueues(context.ledger);
    this.census = new NeighborCensus(context.tables.sizes.neighbors);
  }

  /** A new entry of which nothing is known, as if it had failed long ago; null when too many are searched. */
  create(on: InterfaceObject, ip: Ipv4): Neighbor | null {
    if (this.searched.size >= SEARCHES_IN_ALL && !this.forgetOne()) return null;
    const nowMs = this.c.timers.nowMs;
    const entry: Neighbor = {
      on,
      ip,
      key: neighborKey(on, ip),
      state: "failed",
      place: null,
      origin: "request",
      adjacency: 0,
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
      moves: null,
      timer: null,
    };
    this.entries.set(entry.key, entry);
    this.searched.add(entry);
    return entry;
  }

  /** Look for an entry that failed, or was never known. `port`: whose packet wants it, 0: a route. */
  search(entry: Neighbor, port: number): void {
    if (entry.state !== "failed") return;
    entry.tries = 0;
    entry.searchMs = this.c.timers.nowMs;
    entry.searcher = port;
    if (port !== 0) this.census.countSearch(port, 1);
    this.fire(entry, "needed");
  }

  /** It was not known, and now is: at `place`. */
  accept(entry: Neighbor, place: Place, how: NeighborOrigin, step: string | null = null): void {
    this.note(entry, place, how);
    this.fire(entry, "heard");
    this.tell("debug", "neighbor.learned", entry, { from: how, ...(step !== null && { step }) });
  }

  /** It was known elsewhere, and is now at `place`. */
  move(entry: Neighbor, place: Place, how: NeighborOrigin): void {
    const from = entry.place!;
    entry.moves ??= new MoveHistory();
    entry.moves.add(this.c.timers.nowMs);
    this.moves.set(place.vsi.name, (this.moves.get(place.vsi.name) ?? 0) + 1);
    this.note(entry, place, how);
    this.fire(entry, "heard");
    this.tell("info", "neighbor.moved", entry, { was: `${from.port.kind} ${from.port.name}`, from: how });
  }

  /** Let an event happen to `entry`. */
  fire(entry: Neighbor, event: NudEvent): void {
    const step = NUD[entry.state][event];
    if (step === undefined) return;
    const from = entry.state;
    const [next, action] = step;
    if (next !== from) entry.sinceMs = this.c.timers.nowMs;
    entry.state = next;
    this.perform(entry, from, action);
  }

  /** Send a packet to a known neighbour. */
  send(entry: Neighbor, frame: HeldFrame): Fate {
    return this.c.injector.viaAdjacency(entry.adjacency, frame) ? REINJECTED : DROP.pool_exhausted;
  }

  /** Publish where packets to it go. @returns false when there is no room for that. */
  publish(entry: Neighbor): boolean {
    const { on, ip, place } = entry;
    if (entry.adjacency === 0) entry.adjacency = this.adjacencies.hold(on, ip);
    const id = entry.adjacency;
    if (entry.counted !== place!.port) this.count(entry, place!.port);
    if (id === 0 || !this.adjacencies.program(id, place!.mac, place!.vsi.row, place!.port.row)) return false;
    this.c.routes.setHost(on.vrf, ip, id);
    return true;
  }

  /** Does a route or a policy want it, whoever else does? */
  isHeld(entry: Neighbor): boolean {
    const id = this.adjacencies.find(entry.on, entry.ip);
    return id !== 0 && this.adjacencies.holders(id) > (entry.adjacency === 0 ? 0 : 1);
  }

  /** What was known is void. A next hop that routes want is looked for at once, anything else is forgotten. */
  drop(entry: Neighbor): void {
    this.tell("debug", "neighbor.removed", entry, {});
    this.withdraw(entry);
    this.endSearch(entry);
    entry.place = null;
    entry.origin = "request";
    entry.state = "failed";
    entry.sinceMs = this.c.timers.nowMs;
    this.searched.add(entry);
    if (this.isHeld(entry)) this.search(entry, 0);
    else this.remove(entry);
  }

  /** Take it out of the table without a trace; whoever waits for it waits in vain. */
  remove(entry: Neighbor): void {
    this.withdraw(entry);
    this.endSearch(entry);
    this.settle(entry, () => DROP.no_route);
    this.disarm(entry);
    this.searched.delete(entry);
    this.entries.delete(entry.key);
  }

  /** Entries that are incomplete or failed. */
  searching(): readonly Neighbor[] {
    return [...this.searched];
  }

  private perform(entry: Neighbor, from: NudState, action: NudAction): void {
    switch (action) {
      case "solicitAll":
        this.solicit(entry);
        break;
      case "program":
        this.program(entry, from);
        break;
      case "watch":
        this.watch(entry);
        break;
      case "wait":
        this.arm(entry, this.c.random() * SOLICIT_EVERY_MS, () => this.fire(entry, "waited"));
        break;
      case "askHost":
        this.askHost(entry, from);
        break;
      case "withdraw":
        this.fail(entry, from);
        break;
      case "remove":
        this.remove(entry);
        break;
    }
  }

  private solicit(entry: Neighbor): void {
    entry.tries++;
    const againMs = this.flood(entry);
    // Somebody may have asked for it a moment ago (a VM's own question, relayed): that was the first try.
    const event = entry.tries < NEIGHBOR_TRIES ? "silent" : "gaveUp";
    this.arm(entry, againMs > 0 ? againMs : SOLICIT_EVERY_MS, () => this.fire(entry, event));
  }

  /** Ask in every VSI of its VSI-interface. @returns in how long that may be done again; 0: there is nobody to ask. */
  private flood(entry: Neighbor): number {
    const { on, ip, tries } = entry;
    const step = this.isHeld(entry) ? "S3.4" : "S2.4";
    // The whole site, the AC whose packet waits included (behaviour.md 2.3 row 4): it has asked for its gateway, not for this.
    const question = { target: ip, sender: addressFor(on, ip), except: null, scope: ALL_PORTS, isRetry: tries > 1 };
    let againMs = 0;
    for (const vsi of on.vsis) {
      const { sent, againMs: ms } = this.c.sender.solicit(on, vsi, question);
      againMs = Math.max(againMs, ms);
      const fields = { vsi: vsi.name, interface: on.name, target: formatIpv4(ip), try: tries, step };
      if (sent) this.c.emit("debug", "arp.solicit", fields);
    }
    return againMs;
  }

  private program(entry: Neighbor, from: NudState): void {
    if (!this.publish(entry)) {
      this.tell("warn", "neighbor.limit", entry, { why: "no adjacency left" });
      entry.state = "failed";
      this.fail(entry, from);
      return;
    }
    entry.challenger = null;
    entry.tries = 0;
    entry.backoffMs = 0;
    if (!isKnown(from)) {
      if (from === "incomplete") this.c.onResolved(this.c.timers.nowMs - entry.searchMs, "resolved");
      this.endSearch(entry);
      this.searched.delete(entry);
      this.settle(entry, (frame) => this.send(entry, frame));
    }
    this.adjacencies.setAlive(entry.adjacency, true);
    if (entry.origin === "static") this.disarm(entry);
    else if (from !== "reachable" || entry.timer === null) this.armFresh(entry);
  }

  /** Reachable for half its age after it was last heard. */
  private armFresh(entry: Neighbor): void {
    const freshMs = (entry.on.config.arp.ageSeconds * 1000) / 2;
    const leftMs = entry.heardMs + freshMs - this.c.timers.nowMs;
    if (leftMs <= 0) this.fire(entry, "aged");
    else this.arm(entry, leftMs, () => this.armFresh(entry));
  }

  private watch(entry: Neighbor): void {
    const ageMs = entry.on.config.arp.ageSeconds * 1000;
    const leftMs = entry.heardMs + ageMs - PROBING_MS - this.c.timers.nowMs;
    if (this.adjacencies.takeHit(entry.adjacency) || this.isHeld(entry)) this.fire(entry, "used");
    else if (leftMs <= 0) this.fire(entry, "expiring");
    else this.arm(entry, Math.min(leftMs, Math.max(SOLICIT_EVERY_MS, ageMs / 20)), () => this.watch(entry));
  }

  private askHost(entry: Neighbor, from: NudState): void {
    const { mac, port, vsi } = entry.place!;
    if (from !== "probe") entry.tries = 0;
    entry.tries++;
    this.c.sender.ask(entry.on, vsi, port, mac, entry.ip);
    this.arm(entry, entry.challenger === null ? SOLICIT_EVERY_MS : CHALLENGE_MS, () => {
      const { challenger } = entry;
      if (challenger !== null) this.move(entry, challenger, "announcement");
      else this.fire(entry, entry.tries < NEIGHBOR_TRIES ? "silent" : "gaveUp");
    });
  }

  private fail(entry: Neighbor, from: NudState): void {
    const nowMs = this.c.timers.nowMs;
    this.tell(isKnown(from) ? "info" : "debug", "neighbor.failed", entry, {});
    if (!isKnown(from)) this.c.onResolved(nowMs - entry.searchMs, "failed");
    this.endSearch(entry);
    this.withdraw(entry);
    this.searched.delete(entry);
    this.searched.add(entry);
    // One host unreachable for each sender: the rest of its packets would only repeat it (RFC 1812 §4.3.2.8).
    const told = new Set<Ipv4>();
    this.settle(entry, (frame) => {
      const source = i32(frame.bytes, ETH_BYTES + IP_SRC);
      if (told.has(source)) return DROP.unresolved_timeout;
      told.add(source);
      return this.c.unreachable(frame);
    });
    if (!this.isHeld(entry)) {
      this.arm(entry, FAILED_MS, () => this.fire(entry, "forgotten"));
      return;
    }
    entry.backoffMs = Math.min(BACKOFF_MAX_MS, Math.max(BACKOFF_MS, entry.backoffMs * 2));
    // By then the route may be gone, and with it the wish.
    this.arm(entry, entry.backoffMs, () => (this.isHeld(entry) ? this.search(entry, 0) : this.remove(entry)));
  }

  /** Out of the data plane: packets to it are punted again. */
  private withdraw(entry: Neighbor): void {
    const id = this.adjacencies.find(entry.on, entry.ip);
    if (entry.adjacency !== 0) {
      this.c.routes.removeHost(entry.on.vrf, entry.ip);
      this.adjacencies.withdraw(entry.adjacency);
      this.adjacencies.release(entry.adjacency);
      entry.adjacency = 0;
    }
    this.count(entry, null);
    entry.challenger = null;
    this.adjacencies.setAlive(id, false);
  }

  /** Count it behind `port`, or (null) as not known. */
  private count(entry: Neighbor, port: PortObject | null): void {
    if (entry.counted !== null) this.census.count(entry.on, entry.counted, -1);
    if (port !== null) this.census.count(entry.on, port, 1);
    entry.counted = port;
  }

  private note(entry: Neighbor, place: Place, how: NeighborOrigin): void {
    const nowMs = this.c.timers.nowMs;
    const { place: before } = entry;
    if (before !== null && (before.port !== place.port || before.mac !== place.mac))
      entry.previous = { place: before, atMs: nowMs };
    entry.place = place;
    entry.origin = how;
    entry.heardMs = nowMs;
    entry.learnedMs = nowMs;
    entry.challenger = null;
  }

  /** Every packet that waits for it ends as `end` says. */
  private settle(entry: Neighbor, end: (frame: HeldFrame) => Fate): void {
    for (const frame of this.queues.take(entry.key)) {
      const fate = end(frame);
      if (fate > 0) this.c.ledger.dropped(fate, frame);
      else if (fate === REINJECTED) this.c.ledger.reinjected(frame.units);
      else this.c.ledger.consumed(frame.units);
    }
  }

  private endSearch(entry: Neighbor): void {
    if (entry.searcher !== 0) this.census.countSearch(entry.searcher, -1);
    entry.searcher = 0;
  }

  /** Make room among the searched: the one that failed first, and that no route wants. */
  private forgetOne(): boolean {
    for (const entry of this.searched) {
      if (entry.state !== "failed" || this.isHeld(entry)) continue;
      this.remove(entry);
      return true;
    }
    return false;
  }

  private arm(entry: Neighbor, delayMs: number, run: () => void): void {
    this.disarm(entry);
    entry.timer = this.c.timers.after(delayMs, () => {
      entry.timer = null;
      run();
    });
  }

  private disarm(entry: Neighbor): void {
    if (entry.timer !== null) this.c.timers.cancel(entry.timer);
    entry.timer = null;
  }

  private tell(level: "debug" | "info" | "warn", event: EventName, entry: Neighbor, more: EventFields): void {
    const { place } = entry;
    const where =
      place === null ? {} : { vsi: place.vsi.name, mac: formatMac(place.mac), [place.port.kind]: place.port.name };
    this.c.emit(level, event, { interface: entry.on.name, ip: formatIpv4(entry.ip), ...where, ...more });
  }
}
