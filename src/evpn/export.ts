/**
 * Our routes in the engine: what shall stand, what stands, and the difference between them, sent at a bounded rate.
 *
 * Nothing is queued but names: however often a host comes and goes while the engine is away or the rate is used up, what is sent
 * in the end is what shall stand then. Withdrawals go first, since a wrong route misleads and a missing one only delays; our part in
 * flooding goes a second after the hosts, so that a gateway that leaves does not look like one whose engine died (orphans.ts).
 *
 * An engine outlives us: routes of a former life that are found in it are kept for a while (`openMs`), so that hosts have time to
 * speak again and peers notice nothing, and go then.
 */
import { type EvpnRoute, FLOODING_LAST_MS, isSameRoute, keyOf, plainOf } from "./route.ts";

/** Then nothing of ours stands that was to go. */
export const CLOSE_MS = 4000;

export interface Outlet {
  announce(routes: readonly EvpnRoute[]): void;
  withdraw(routes: readonly EvpnRoute[]): void;
  /** Bring all routes of others once more. */
  resync(): void;
}

export class Exporter {
  private outlet: Outlet | null = null;
  private readonly wanted = new Map<string, EvpnRoute>();
  private readonly standing = new Map<string, EvpnRoute>();
  /** Of what shall stand, by type. */
  private readonly counts = [0, 0, 0, 0, 0, 0];
  /** What is to be told: keys that shall stand, and keys that shall stand no more. */
  private readonly coming = new Set<string>();
  private readonly going = new Set<string>();
  /** Asked for, and not taken. */
  private readonly refused = new Set<string>();
  /** Routes of a former life. */
  private readonly strangers = new Set<string>();
  private strangersUntilMs = 0;
  private isOpen = false;
  private hostsGoneMs = Number.NEGATIVE_INFINITY;
  private perSecond: number;
  private tokens: number;
  private filledMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.perSecond = perSecond;
    this.tokens = perSecond;
    this.filledMs = nowMs;
  }

  connect(outlet: Outlet): void {
    this.outlet = outlet;
  }

  setRate(perSecond: number): void {
    this.tokens = perSecond > this.perSecond ? perSecond : Math.min(this.tokens, perSecond);
    this.perSecond = perSecond;
  }

  get size(): number {
    return this.wanted.size;
  }

  get backlog(): number {
    return this.coming.size + this.going.size;
  }

  routes(): Iterable<EvpnRoute> {
    return this.wanted.values();
  }

  /** Routes of a type. */
  countOf(type: EvpnRoute["type"]): number {
    return this.counts[type]!;
  }

  find(key: string): EvpnRoute | undefined {
    return this.wanted.get(key);
  }

  set(route: EvpnRoute): void {
    const key = keyOf(route);
    this.strangers.delete(key);
    const old = this.wanted.get(key);
    if (old !== undefined && isSameRoute(old, route)) return;
    if (old === undefined) this.counts[route.type]!++;
    this.wanted.set(key, route);
    this.note(key);
  }

  unset(key: string): void {
    const old = this.wanted.get(key);
    if (old === undefined) return;
    this.counts[old.type]!--;
    this.wanted.delete(key);
    this.note(key);
  }

  // ---- the engine --------------------------------------------------------------------------------------------------

  /** It is gone, with all that stood in it. */
  lost(): void {
    this.isOpen = false;
    this.standing.clear();
    this.refused.clear();
    this.strangers.clear();
  }

  /** One of ours stands in the engine, as its list says. A LOCAL_PREF that a policy of the engine gave it is not ours to take back. */
  found(route: EvpnRoute): void {
    const { preference } = route;
    this.standing.set(keyOf(route), preference === undefined ? route : { ...plainOf(route), preference: undefined });
  }

  /** One of ours was taken out of the engine by another hand; it is announced again. */
  missing(key: string): void {
    this.standing.delete(key);
    if (this.wanted.has(key)) this.note(key);
  }

  /** The engine did not take one. It is asked again a second later, or when there is something else to say of it. */
  notTaken(key: string): void {
    this.standing.delete(key);
    this.refused.add(key);
  }

  /** Once a second. */
  tryAgain(): void {
    for (const key of this.refused) if (this.wanted.has(key) && !this.standing.has(key)) this.note(key);
    this.refused.clear();
  }

  /** The engine's list is complete: from now on differences are sent. `graceMs`: so long strangers are kept. */
  open(nowMs: number, graceMs: number): void {
    this.isOpen = true;
    this.strangersUntilMs = nowMs + graceMs;
    for (const [key, route] of this.standing) {
      const wanted = this.wanted.get(key);
      if (wanted === undefined) this.strangers.add(key);
      else if (!isSameRoute(wanted, route)) this.note(key);
    }
    for (const key of this.wanted.keys()) if (!this.standing.has(key)) this.note(key);
  }

  /** Send what the rate allows. @returns when there is more to do, or null. */
  pump(nowMs: number): number | null {
    if (!this.isOpen || this.outlet === null) return null;
    if (this.strangers.size > 0 && nowMs >= this.strangersUntilMs) {
      for (const key of this.strangers) this.note(key);
      this.strangers.clear();
    }
    this.tokens = Math.min(this.perSecond, this.tokens + ((nowMs - this.filledMs) * this.perSecond) / 1000);
    this.filledMs = nowMs;
    const isEarly = nowMs - this.hostsGoneMs < FLOODING_LAST_MS;
    const gone = this.take(this.going, isEarly || this.hasHostGoing());
    if (gone.some(({ type }) => type === 2)) this.hostsGoneMs = nowMs;
    if (gone.length > 0) this.outlet.withdraw(gone);
    const come = this.take(this.coming);
    if (come.length > 0) this.outlet.announce(come);
    if (this.backlog > 0) return nowMs + Math.max(1, (1 - this.tokens) * (1000 / this.perSecond));
    return this.strangers.size > 0 ? this.strangersUntilMs : null;
  }

  private note(key: string): void {
    const isComing = this.wanted.has(key);
    (isComing ? this.going : this.coming).delete(key);
    (isComing ? this.coming : this.going).add(key);
  }

  private hasHostGoing(): boolean {
    for (const key of this.going) if (this.standing.get(key)?.type === 2) return true;
    return false;
  }

  /** @param withoutFlooding type 3 stays for now. */
  private take(pending: Set<string>, withoutFlooding = false): EvpnRoute[] {
    const taken: EvpnRoute[] = [];
    for (const key of pending) {
      const wanted = this.wanted.get(key);
      const route = wanted ?? this.standing.get(key);
      if (withoutFlooding && route?.type === 3) continue;
      const isNews = route !== undefined && (wanted === undefined || !isStanding(this.standing.get(key), wanted));
      if (isNews && this.tokens < 1) break;
      pending.delete(key);
      if (!isNews) continue;
      this.tokens--;
      if (wanted === undefined) this.standing.delete(key);
      else this.standing.set(key, wanted);
      taken.push(route);
    }
    return taken;
  }
}

function isStanding(standing: EvpnRoute | undefined, wanted: EvpnRoute): boolean {
  return standing !== undefined && isSameRoute(standing, wanted);
}
