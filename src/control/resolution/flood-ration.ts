/**
 * The ration of flooded questions and announcements in one VSI, and the share in it of each port on whose behalf is flooded.
 *
 * FLOODS_PER_SECOND in any second, whatever arrives. Of these some are kept for first questions, so that retries for dead
 * hosts cannot starve them, and some for ports that had few in this second: what one VM or one site makes us flood leaves the
 * others theirs. Most is kept from an AC, for what it makes us flood comes out of one tunnel at the other sites, among
 * everything else that we send there: a tunnel, which stands for a site, may have what several ACs may.
 */
import type { PortObject } from "../inventory.ts";
import { RateWindow } from "../rate-window.ts";

export const FLOODS_PER_SECOND = 200;
const KEPT_FOR_FIRST = 50;
/** A port with fewer floods in this second is quiet. */
const QUIET = 20;
/** Kept for quiet ports from one that is not; `route`: what we ask for ourselves. */
const KEPT_FOR_QUIET = { ac: 140, tunnel: 50, route: 50 } as const;

export class FloodRation {
  private readonly all = new RateWindow(FLOODS_PER_SECOND);
  private readonly ofPort = new Map<PortObject | null, RateWindow>();

  /** One more on behalf of `port` (null: of a route)? Counted if so. */
  admit(port: PortObject | null, isRetry: boolean, nowMs: number): boolean {
    const own = this.ofPort.get(port) ?? new RateWindow(QUIET);
    const isQuiet = own.isOpen(nowMs);
    const kept = Math.max(isRetry ? KEPT_FOR_FIRST : 0, isQuiet ? 0 : KEPT_FOR_QUIET[port?.kind ?? "route"]);
    if (this.all.room(nowMs, kept + 1) <= kept) return false;
    this.all.take(nowMs);
    if (isQuiet) own.take(nowMs);
    this.ofPort.set(port, own);
    return true;
  }

  /** Forget the ports for which nothing was flooded within a second. */
  sweep(nowMs: number): void {
    for (const [port, own] of this.ofPort) if (own.room(nowMs, QUIET) === QUIET) this.ofPort.delete(port);
  }
}
