/**
 * The engine's table as we believe it, and the session with the engine as a table of states.
 *
 *   away      there was no engine yet
 *   listing   it is there, and its list is under way: nothing is missed, nothing is known to be gone
 *   settling  the list is complete; peers have not sent everything yet
 *   synced    every session is up and has sent End-of-RIB: what did not come is gone, and was swept
 *   deaf      the engine is there, no session is: withdrawals are marks
 *   stale     the engine is gone: everything is kept as it is
 *
 * Forwarding is untouched in all of them: routes go by withdrawal, by a sweep that follows a complete list, or `staleSeconds` after
 * the engine or the last session was lost and did not come back.
 *
 * Withdrawals are held back (withdrawals.ts): with the last session they mean nothing. A route that comes again meanwhile was never
 * gone. Those of a VTEP that has lost its speaker stay (orphans.ts). What goes at once, goes SLICE_GONE at a time (`work`): a peer
 * with a hundred thousand routes that ends shall not keep ARP waiting.
 */
import { LargeMap } from "../control/large-map.ts";
import { Distinguishers } from "./distinguishers.ts";
import { Interned } from "./interned.ts";
import { Orphans } from "./orphans.ts";
import { type EvpnRoute, isSameRoute, plainOf } from "./route.ts";
import { type Kept, RouteTable } from "./route-table.ts";
import type { Use } from "./use.ts";
import { Withdrawals } from "./withdrawals.ts";

/** Routes that are looked at in one step, and of them such as go. */
const SLICE = 256;
const SLICE_GONE = 64;

export type SyncState = "away" | "listing" | "settling" | "synced" | "deaf" | "stale";
export type SyncEvent = "listed" | "snapshot" | "settled" | "muted" | "heard" | "lost";

/** State and event to the next state; a pair that is not here changes nothing. */
export const SYNC: Readonly<Record<SyncState, Partial<Record<SyncEvent, SyncState>>>> = {
  away: { snapshot: "listing" },
  listing: { listed: "settling", lost: "stale" },
  settling: { settled: "synced", snapshot: "listing", muted: "deaf", lost: "stale" },
  synced: { snapshot: "listing", muted: "deaf", lost: "stale" },
  deaf: { snapshot: "listing", heard: "settling", lost: "stale" },
  stale: { snapshot: "listing" },
};

export interface Held extends Kept {
  peer: string | null;
  /** The list that it was seen in last. */
  generation: number;
  /** No other has it. */
  readonly number: number;
  /** Of the clock of `nowMs`: whole seconds take no box. */
  readonly sinceSeconds: number;
  /** What has become of it; null: nothing, no VSI imports it. */
  use: Use | null;
}

export interface PeerState {
  readonly address: string;
  readonly as: number;
  readonly state: string;
  readonly upSince: number | null;
}

export interface RibParts {
  readonly routerId: string;
  readonly nowMs: () => number;
  readonly staleMs: () => number;
  readonly mostRoutes: () => number;
  /** A route is new, or says something else; `was`: what it was until now. */
  readonly add: (held: Held, was: EvpnRoute | null) => void;
  /** `isSwept`: it did not come again, and was not taken back. */
  readonly remove: (held: Held, isSwept: boolean) => void;
  /** A random int32. */
  readonly seed: number;
  /** There is no room for one more. */
  readonly refuse: (route: EvpnRoute) => void;
  readonly tell: (state: SyncState, from: SyncState) => void;
  /** So many were gone. */
  readonly swept: (routes: number) => void;
  /** The speaker of a VTEP is away. */
  readonly orphaned: (vtep: string) => void;
}

export class Rib {
  private readonly parts: RibParts;
  private readonly held: RouteTable<Held>;
  private readonly common = new Interned();
  private readonly orphans = new Orphans();
  readonly distinguishers: Distinguishers;
  /** Withdrawn, and held for a while. */
  private readonly leaving = new Withdrawals<Held>();
  /** Withdrawn, and about to go. */
  private gone = new LargeMap<number, Held>();
  private lastNumber = 0;
  /** VTEPs that lost their speaker with that. */
  private readonly orphaning = new Set<string>();
  /** Routes that are not looked at yet by the sweep that is under way. */
  private sweeping: { readonly rest: Iterator<Held>; readonly before: number; count: number } | null = null;
  /** Routes of the list that is, or was, under way. */
  private fresh = 0;
  private readonly peerCounts = new Map<string, number>();
  private readonly typeCounts = new Map<number, number>();
  private generation = 0;
  private peers = new Map<string, PeerState>();
  private readonly complete = new Set<string>();
  /** Since when the engine or all sessions are away; null: they are not. */
  private staleSinceMs: number | null = null;
  private current: SyncState = "away";
  private sinceMs: number;

  constructor(parts: RibParts) {
    this.parts = parts;
    this.held = new RouteTable(parts.seed);
    this.distinguishers = new Distinguishers(parts.routerId);
    this.sinceMs = parts.nowMs();
  }

  get state(): SyncState {
    return this.current;
  }

  /** Milliseconds in its state. */
  get stateMs(): number {
    return this.parts.nowMs() - this.sinceMs;
  }

  get size(): number {
    return this.held.size;
  }

  get sessions(): readonly (PeerState & { readonly isComplete: boolean })[] {
    return Array.from(this.peers.values(), (peer) => ({ ...peer, isComplete: this.complete.has(peer.address) }));
  }

  /** Routes that are kept without being vouched for. */
  get stale(): number {
    if (this.staleSinceMs === null) return this.orphans.count;
    // Of an orphan no list tells: it counts as one that did not come.
    return this.current === "stale" ? this.held.size : this.held.size - this.fresh;
  }

  /** Routes that came by `peer`. */
  countBy(peer: string): number {
    return this.peerCounts.get(peer) ?? 0;
  }

  /** Routes of a type. */
  countOf(type: number): number {
    return this.typeCounts.get(type) ?? 0;
  }

  /** Is there a sweep to go on with, or are there routes to let go? */
  get hasWork(): boolean {
    return this.sweeping !== null || this.gone.size > 0;
  }

  routes(): IterableIterator<Held> {
    return this.held.values();
  }

  /** The route as it is held, with its peer and age; undefined: it is not here. */
  find(route: EvpnRoute): Held | undefined {
    return this.held.find(route);
  }

  isStale({ generation, route }: Held): boolean {
    if (route.isOrphan) return true;
    return this.staleSinceMs !== null && (this.current === "stale" || generation < this.generation);
  }

  // ---- what the engine tells -------------------------------------------------------------------------------------------

  snapshot(): void {
    this.generation++;
    this.fresh = 0;
    this.go("snapshot");
  }

  listed(): void {
    this.go("listed");
    this.judge();
  }

  lost(): void {
    this.leaving.take();
    this.gone.clear();
    this.orphaning.clear();
    this.orphans.forget();
    this.complete.clear();
    this.peers = new Map();
    this.staleSinceMs ??= this.parts.nowMs();
    this.go("lost");
  }

  /** All sessions as they are now. */
  setPeers(peers: readonly PeerState[]): void {
    this.peers = new Map(peers.map((peer) => [peer.address, peer]));
    for (const address of this.complete)
      if (this.peers.get(address)?.state !== "established") this.complete.delete(address);
    this.judge();
  }

  endOfRib(peer: string): void {
    this.complete.add(peer);
    this.judge();
  }

  /** A route stands; most of those that a further list brings are known, and nothing follows. */
  route(route: EvpnRoute, by: string | null): void {
    const held = this.held.find(route);
    if (held !== undefined && this.leaving.delete(held)) this.orphans.leave(held.route, -1);
    if (held !== undefined) this.gone.delete(held.number);
    if (route.type === 3) this.orphans.returned(route.nextHop, this.parts.nowMs());
    const peer = by === null ? null : this.common.text(by);
    if (held === undefined) {
      if (this.held.size >= this.parts.mostRoutes()) {
        this.parts.refuse(route);
        return;
      }
      const { generation } = this;
      const fresh: Held = {
        route: this.common.route(route),
        next: null,
        peer,
        generation,
        number: ++this.lastNumber,
        sinceSeconds: Math.floor(this.parts.nowMs() / 1000),
        use: null,
      };
      this.held.add(fresh);
      this.fresh++;
      this.count(fresh, 1);
      this.parts.add(fresh, null);
      return;
    }
    if (held.generation !== this.generation) this.fresh++;
    held.generation = this.generation;
    this.count(held, -1);
    held.peer = peer;
    const was = held.route;
    const said = this.common.route(route);
    const isNews = !isSameRoute(was, said);
    if (isNews) held.route = said;
    this.count(held, 1);
    if (isNews) this.parts.add(held, was);
  }

  withdrawal(route: EvpnRoute): void {
    const held = this.held.find(route);
    if (held === undefined || held.route.isOrphan || this.leaving.has(held)) return;
    this.orphans.leave(held.route, 1);
    this.leaving.add(held, this.parts.nowMs());
  }

  // ---- time ------------------------------------------------------------------------------------------------------------

  /** Several times a second. */
  tick(): void {
    const nowMs = this.parts.nowMs();
    // What went before has gone first.
    if (this.gone.size === 0 && this.leaving.isDue(nowMs, this.held.size)) this.letGo();
    if (this.orphans.expire(nowMs)) this.sweep(this.sweeping?.before ?? Number.NEGATIVE_INFINITY);
    if (this.staleSinceMs === null || nowMs - this.staleSinceMs < this.parts.staleMs()) return;
    // No session vouched for them in time; what came since is kept.
    if (this.current === "stale" || this.current === "deaf") {
      this.generation++;
      this.fresh = 0;
    }
    this.sweep();
    this.staleSinceMs = this.current === "stale" || this.current === "deaf" ? nowMs : null;
  }

  /** A step of what is under way. @returns whether there is more. */
  work(): boolean {
    this.finish();
    this.goOnSweeping();
    return this.hasWork;
  }

  private letGo(): void {
    if (this.hasSession())
      for (const vtep of this.orphans.judge(this.parts.nowMs() + this.parts.staleMs())) {
        this.orphaning.add(vtep);
        this.parts.orphaned(vtep);
      }
    else this.orphans.forget();
    this.gone = this.leaving.take();
    this.finish();
  }

  /** The first of those that are gone. */
  private finish(): void {
    if (this.gone.size === 0) return;
    const isHeard = this.hasSession();
    let left = SLICE_GONE;
    for (const [number, held] of this.gone) {
      if (left-- === 0) return;
      this.gone.delete(number);
      if (isHeard && this.orphaning.has(held.route.nextHop) && this.orphans.isKept(held.route)) this.orphan(held);
      else if (isHeard || held.peer === null) this.drop(held, false);
      else {
        if (held.generation === this.generation) this.fresh--;
        held.generation = -1;
      }
    }
    this.orphaning.clear();
  }

  private orphan(held: Held): void {
    this.count(held, -1);
    const was = held.route;
    held.route = { ...plainOf(was), isOrphan: true };
    if (held.generation === this.generation) this.fresh--;
    held.generation = -1;
    this.count(held, 1);
    this.parts.add(held, was);
  }

  private drop(held: Held, isSwept: boolean): void {
    this.held.delete(held);
    this.leaving.delete(held);
    this.gone.delete(held.number);
    if (held.generation === this.generation) this.fresh--;
    this.count(held, -1);
    this.parts.remove(held, isSwept);
  }

  private count({ peer, route }: Held, step: 1 | -1): void {
    this.orphans.hold(route, step);
    this.distinguishers.hold(route, step);
    this.typeCounts.set(route.type, (this.typeCounts.get(route.type) ?? 0) + step);
    if (peer === null) return;
    const count = (this.peerCounts.get(peer) ?? 0) + step;
    if (count > 0) this.peerCounts.set(peer, count);
    else this.peerCounts.delete(peer);
  }

  private hasSession(): boolean {
    for (const { state } of this.peers.values()) if (state === "established") return true;
    return false;
  }

  private judge(): void {
    const isHeard = this.hasSession();
    if (!isHeard && (this.current === "synced" || this.current === "settling")) {
      // A gateway alone, whose sessions never were, has nothing to lose.
      if (this.held.size > 0) this.staleSinceMs ??= this.parts.nowMs();
      this.go("muted");
    } else if (isHeard && this.current === "deaf") this.go("heard");
    if (this.current !== "settling") return;
    for (const { address, state } of this.peers.values())
      if (state !== "established" || !this.complete.has(address)) return;
    if (!isHeard) return;
    this.go("settled");
    this.sweep();
    this.staleSinceMs = null;
  }

  /** What the list that is complete did not bring goes, and orphans that are kept no more. */
  private sweep(before = this.generation): void {
    this.sweeping = { rest: this.held.values(), before, count: this.sweeping?.count ?? 0 };
    this.goOnSweeping();
  }

  private goOnSweeping(): void {
    const { sweeping } = this;
    if (sweeping === null) return;
    for (let [left, going] = [SLICE, SLICE_GONE]; left > 0 && going > 0; left--) {
      const { done, value: held } = sweeping.rest.next();
      if (done) {
        this.sweeping = null;
        if (sweeping.count > 0) this.parts.swept(sweeping.count);
        return;
      }
      const { route, generation } = held;
      if (route.isOrphan ? this.orphans.isKept(route) : generation >= sweeping.before) continue;
      this.drop(held, true);
      sweeping.count++;
      going--;
    }
  }

  private go(event: SyncEvent): void {
    const next = SYNC[this.current][event];
    if (next === undefined || next === this.current) return;
    const from = this.current;
    this.current = next;
    this.sinceMs = this.parts.nowMs();
    this.parts.tell(next, from);
  }
}
