/**
 * The first list of routes, as readiness sees it: a gateway that has just started knows of no remote host until it is in sync, so
 * an orchestrator shall not send it traffic before.
 *
 * It is awaited for a bounded time: an engine that is not there, or a reflector that does not answer, must not keep a gateway
 * back that serves its own hosts; and a gateway that was in sync once stays ready whatever becomes of the engine, since it goes
 * on forwarding by what it knows.
 */
import type { Rib, SyncState } from "./sync.ts";

/** For an engine and a session. */
const SESSION_MS = 15_000;
/** For all routes, of a session that is there. */
const ROUTES_MS = 60_000;

const TEXTS: Readonly<Record<SyncState, string>> = {
  away: "waiting for the engine",
  listing: "listing routes",
  settling: "waiting for all routes of the peers",
  synced: "in sync",
  deaf: "without a session; entries are kept",
  stale: "without its engine; entries are kept",
};

export class FirstSync {
  private readonly sinceMs: number;
  private isOver = false;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
  }

  /** Something came from the engine. */
  look({ state }: Pick<Rib, "state">): void {
    this.isOver ||= state === "synced";
  }

  isAwaited(rib: Pick<Rib, "state" | "sessions">, nowMs: number): boolean {
    this.look(rib);
    const isUp = rib.sessions.some(({ state }) => state === "established");
    this.isOver ||= nowMs - this.sinceMs >= (isUp ? ROUTES_MS : SESSION_MS);
    return !this.isOver;
  }
}

export function stateText({ state }: Pick<Rib, "state">, problem: string | null): string {
  return state === "synced" || problem === null ? TEXTS[state] : `${TEXTS[state]}: ${problem}`;
}
