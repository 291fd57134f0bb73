/**
 * Gateways that have one BGP router id between them, as their routes tell: no session complains of it.
 *
 * A distinguisher is made of its gateway's router id (RFC 7432 §7.9), so two that are configured alike announce under the same
 * keys, and of one key reflectors and engines keep one route. Behind a reflector the two do not even hear each other: an engine
 * takes a route with its own router id for one of its own that came back (RFC 4456 §8). All others hear both parts in flooding: of
 * these a gateway has one for each distinguisher, so two of them with two next hops are two gateways'. Other types do not tell: one
 * gateway may have a next hop for its prefixes and another one for its hosts. Under our own router id all types do.
 *
 * As many distinguishers are noted as there are routes, which `limits.routes` bounds, and the first few next hops of each.
 */
import { compareVteps } from "./choice.ts";
import { type EvpnRoute, split } from "./route.ts";

/** Distinguishers that are looked at for people. */
const MOST_EXAMINED = 256;
/** Router ids that are told of, and VTEPs of each that are told or noted. */
const MOST = 8;

export interface SharedRouterId {
  readonly routerId: string;
  /** It is this gateway's too. */
  readonly isOurs: boolean;
  /** VTEPs of others that announce with it, the first few. */
  readonly vteps: readonly string[];
}

/** Routes from one next hop. Nearly all distinguishers have one hop, so it is no list of them. */
interface Hop {
  readonly vtep: string;
  routes: number;
  next: Hop | null;
}

export class Distinguishers {
  private readonly routerId: string;
  private readonly ours: string;
  /** By distinguisher: next hops of routes of type 3. */
  private readonly floods = new Map<string, Hop>();
  /** Those with several. */
  private readonly shared = new Set<string>();
  /** Next hops of others' routes with our router id. */
  private readonly twins = new Map<string, number>();

  constructor(routerId: string) {
    this.routerId = routerId;
    this.ours = `${routerId}:`;
  }

  /** A route of others is held (1) or is no more (-1). Of an orphan the gateway may have come back under another address. */
  hold(route: EvpnRoute, step: 1 | -1): void {
    if (route.isOrphan) return;
    const { type, rd, nextHop } = route;
    if (rd.startsWith(this.ours)) {
      const routes = (this.twins.get(nextHop) ?? 0) + step;
      if (routes > 0) this.twins.set(nextHop, routes);
      else this.twins.delete(nextHop);
    } else if (type === 3 && rd.includes(".")) {
      if (step > 0) this.add(rd, nextHop);
      else this.remove(rd, nextHop);
    }
  }

  /** Ours first. @param vtep our own. */
  list(vtep: string): SharedRouterId[] {
    const all = new Map<string, Set<string>>();
    let left = MOST_EXAMINED;
    for (const rd of this.shared) {
      if (left-- === 0) break;
      const [routerId] = split(rd);
      const vteps = all.get(routerId) ?? new Set();
      for (let hop = this.floods.get(rd) ?? null; hop !== null && vteps.size < MOST; hop = hop.next)
        vteps.add(hop.vtep);
      all.set(routerId, vteps);
    }
    const told = Array.from(all, ([routerId, vteps]) => ({ routerId, isOurs: false, vteps: [...vteps] }));
    told.sort((a, b) => compareVteps(a.routerId, b.routerId));
    const twins: string[] = [];
    for (const twin of this.twins.keys()) if (twin !== vtep && twins.length < MOST) twins.push(twin);
    if (twins.length > 0) told.unshift({ routerId: this.routerId, isOurs: true, vteps: twins });
    for (const { vteps } of told) vteps.sort(compareVteps);
    return told.slice(0, MOST);
  }

  private add(rd: string, vtep: string): void {
    const first = this.floods.get(rd) ?? null;
    let count = 0;
    for (let hop = first; hop !== null; hop = hop.next, count++) {
      if (hop.vtep !== vtep) continue;
      hop.routes++;
      return;
    }
    // One that is not noted is not missed when it goes.
    if (count === MOST) return;
    this.floods.set(rd, { vtep, routes: 1, next: first });
    if (first !== null) this.shared.add(rd);
  }

  private remove(rd: string, vtep: string): void {
    let before: Hop | null = null;
    let hop = this.floods.get(rd) ?? null;
    while (hop !== null && hop.vtep !== vtep) [before, hop] = [hop, hop.next];
    if (hop === null || --hop.routes > 0) return;
    if (before !== null) before.next = hop.next;
    else if (hop.next !== null) this.floods.set(rd, hop.next);
    else this.floods.delete(rd);
    if (this.floods.get(rd)?.next == null) this.shared.delete(rd);
  }
}
