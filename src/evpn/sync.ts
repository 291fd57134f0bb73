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
 * Withdrawals wait HOLD_MS: an engine takes back what a peer had announced *before* it tells that the session is lost, and then
 * they mean nothing. A route that comes again meanwhile was never gone.
 */
import type { EvpnRoute } from "./route.ts";
import { keyOf } from "./route.ts";

const HOLD_MS = 200;
const LONGEST_HOLD_MS = 2000;

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

export interface Held {
  readonly route: EvpnRoute;
  readonly peer: string | null;
  /** The list that it was seen in last. */
  generation: number;
  readonly sinceMs: number;
}

export interface PeerState {
  readonly address: string;
  readonly as: number;
  readonly state: string;
  readonly upSince: number | null;
}

export interface RibParts {
  readonly nowMs: () => number;
  readonly staleMs: () => number;
  readonly mostRoutes: () => number;
  /** A route is new, or came again. */
  readonly add: (route: EvpnRoute) => void;
  readonly remove: (route: EvpnRoute) => void;
  /** There is no room for one more. */
  readonly refuse: (route: EvpnRoute) => void;
  readonly tell: (state: SyncState, from: SyncState) => void;
  /** So many were gone. */
  readonly swept: (routes: number) => void;
}

export class Rib {
  private readonly parts: RibParts;
  private readonly held = new Map<string, Held>();
  private readonly leaving = new Map<string, number>();
  private leavingSinceMs = 0;
  private lastLeftMs = 0;
  private generation = 0;
  private peers = new Map<string, PeerState>();
  private readonly complete = new Set<string>();
  /** Since when the engine or all sessions are away; null: they are not. */
  private staleSinceMs: number | null = null;
  private current: SyncState = "away";
  private sinceMs: number;

  constructor(parts: RibParts) {
    this.parts = parts;
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
    if (this.staleSinceMs === null) return 0;
    let count = 0;
    const isAway = this.current === "stale";
    for (const { generation } of this.held.values()) if (isAway || generation < this.generation) count++;
    return count;
  }

  routes(): IterableIterator<Held> {
    return this.held.values();
  }

  /** The route as it is held, with its peer and age; undefined: it is not here. */
  find(route: EvpnRoute): Held | undefined {
    return this.held.get(keyOf(route));
  }

  isStale({ generation }: Held): boolean {
    return this.staleSinceMs !== null && (this.current === "stale" || generation < this.generation);
  }

  // ---- what the engine tells -------------------------------------------------------------------------------------------

  snapshot(): void {
    this.generation++;
    this.go("snapshot");
  }

  listed(): void {
    this.go("listed");
    this.judge();
  }

  lost(): void {
    this.leaving.clear();
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

  route(route: EvpnRoute, peer: string | null): void {
    const key = keyOf(route);
    this.leaving.delete(key);
    const was = this.held.get(key) ?? null;
    if (was === null && this.held.size >= this.parts.mostRoutes()) {
      this.parts.refuse(route);
      return;
    }
    const sinceMs = was?.sinceMs ?? this.parts.nowMs();
    this.held.set(key, { route, peer, generation: this.generation, sinceMs });
    this.parts.add(route);
  }

  withdrawal(route: EvpnRoute): void {
    const key = keyOf(route);
    if (!this.held.has(key)) return;
    const nowMs = this.parts.nowMs();
    if (this.leaving.size === 0) this.leavingSinceMs = nowMs;
    this.lastLeftMs = nowMs;
    this.leaving.set(key, nowMs);
  }

  // ---- time ------------------------------------------------------------------------------------------------------------

  /** Several times a second. */
  tick(): void {
    const nowMs = this.parts.nowMs();
    if (this.leaving.size > 0) {
      const isQuiet = nowMs - this.lastLeftMs >= HOLD_MS;
      if (isQuiet || nowMs - this.leavingSinceMs >= LONGEST_HOLD_MS) this.letGo();
    }
    if (this.staleSinceMs === null || nowMs - this.staleSinceMs < this.parts.staleMs()) return;
    // No session vouched for them in time; what came since is kept.
    if (this.current === "stale" || this.current === "deaf") this.generation++;
    this.sweep();
    this.staleSinceMs = this.current === "stale" || this.current === "deaf" ? nowMs : null;
  }

  private letGo(): void {
    const isHeard = this.hasSession();
    for (const key of this.leaving.keys()) {
      const held = this.held.get(key);
      if (held === undefined) continue;
      if (!isHeard && held.peer !== null) held.generation = -1;
      else this.drop(key, held);
    }
    this.leaving.clear();
  }

  private drop(key: string, { route }: Held): void {
    this.held.delete(key);
    this.parts.remove(route);
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

  private sweep(): void {
    let count = 0;
    for (const [key, held] of this.held) {
      if (held.generation >= this.generation) continue;
      this.drop(key, held);
      count++;
    }
    if (count > 0) this.parts.swept(count);
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
