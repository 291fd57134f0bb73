/**
 * VTEPs whose routes all went at once: hosts, and the part in flooding with them.
 *
 * A BGP speaker that dies, or loses its sessions, loses every route in the fabric at once, graceful restart or not (route reflectors
 * drop them: FRR 8.4 and 10.3 do). The gateway beside it goes on forwarding, and so do its hosts. A host that leaves, or a gateway
 * that is retired, takes its hosts' routes back first and its part in flooding last (bgp/retire.ts), so the two are told apart:
 * routes that go together with the flooding of all their VTEP's domains are kept for a while, as orphans. Any other claim wins
 * against one, and what a liveness check says of the tunnel counts as ever.
 *
 * Prefixes are no orphans: there is another way to them, or none.
 */
import type { EvpnRoute } from "./route.ts";

/** The speaker is back: what it has not announced again by then is gone. */
const BACK_MS = 30_000;

interface Domain {
  /** Routes of types 2 and 3 that are held, and how many of them are withdrawn and held back. */
  held: number;
  leaving: number;
  floodsLeaving: number;
}

export class Orphans {
  private readonly domains = new Map<string, Domain>();
  /** Those with routes that are held back: a peer may name as many VTEPs as it has routes. */
  private readonly leaving = new Set<string>();
  /** VTEPs whose routes are kept, and until when. */
  private readonly until = new Map<string, number>();
  /** Routes that are kept. */
  count = 0;

  /** A route is held (1) or is no more (-1). */
  hold(route: EvpnRoute, step: 1 | -1): void {
    if (!isOfDomain(route)) return;
    if (route.isOrphan) {
      this.count += step;
      return;
    }
    const domain = this.domains.get(route.nextHop) ?? { held: 0, leaving: 0, floodsLeaving: 0 };
    domain.held += step;
    if (domain.held > 0) this.domains.set(route.nextHop, domain);
    else this.domains.delete(route.nextHop);
  }

  /** It is withdrawn (1), or came again before it went (-1). */
  leave(route: EvpnRoute, step: 1 | -1): void {
    const domain = this.domains.get(route.nextHop);
    if (domain === undefined || !isOfDomain(route)) return;
    domain.leaving += step;
    this.leaving.add(route.nextHop);
    if (route.type === 3) domain.floodsLeaving += step;
  }

  /** What was held back goes now. @returns VTEPs that have lost their speaker. */
  judge(untilMs: number): string[] {
    const lost: string[] = [];
    for (const vtep of this.leaving) {
      const domain = this.domains.get(vtep);
      if (domain === undefined) continue;
      const { held, leaving, floodsLeaving } = domain;
      if (floodsLeaving > 0 && leaving > floodsLeaving && leaving === held) {
        this.until.set(vtep, untilMs);
        lost.push(vtep);
      }
    }
    this.forget();
    return lost;
  }

  /** Nothing is held back any more: withdrawals are void. */
  forget(): void {
    for (const vtep of this.leaving) {
      const domain = this.domains.get(vtep);
      if (domain !== undefined) Object.assign(domain, { leaving: 0, floodsLeaving: 0 });
    }
    this.leaving.clear();
  }

  /** Is an orphan kept still? */
  isKept(route: EvpnRoute): boolean {
    return isOfDomain(route) && this.until.has(route.nextHop);
  }

  /** A VTEP takes part again. */
  returned(vtep: string, nowMs: number): void {
    const untilMs = this.until.get(vtep);
    if (untilMs !== undefined) this.until.set(vtep, Math.min(untilMs, nowMs + BACK_MS));
  }

  /** @returns whether some are kept no more. */
  expire(nowMs: number): boolean {
    let isOver = false;
    for (const [vtep, untilMs] of this.until) {
      if (nowMs < untilMs) continue;
      this.until.delete(vtep);
      isOver = true;
    }
    return isOver;
  }
}

function isOfDomain({ type }: EvpnRoute): boolean {
  return type === 2 || type === 3;
}
