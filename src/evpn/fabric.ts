/**
 * VTEPs: who is needed for which VNI, counted by the routes that say so.
 *
 * A tunnel is there from the first route that names its VTEP (a type 3, or the next hop of any other that is imported) to the last
 * one that goes. Where there is no room for one, or the configuration wants no tunnels but its own, the reason is kept and shown,
 * and it is tried again: some of them each second, in turn, for a peer may name as many VTEPs as it has routes. Routes that need one
 * wait with it, so that they are entered without all others being looked at.
 */
import { compareIp, type Ip, parseIp } from "../control/ip.ts";
import { RUN, STEP, type Stepwise, sorted } from "../control/sorted.ts";
import type { Beliefs } from "./beliefs.ts";
import type { Instance } from "./import.ts";
import type { EvpnRoute } from "./route.ts";

/** Tunnels that are tried again in one second. */
const TRIED_AT_ONCE = 256;
/** Refused ones that are looked at for people. */
const MOST_EXAMINED = 4096;

/** A route that is entered when its tunnel is there. */
export interface Waiting {
  readonly instance: Instance;
  readonly vtep: string;
  readonly route: EvpnRoute;
}

interface Hold {
  readonly vtep: string;
  readonly vni: number;
  routes: number;
  /** null: the tunnel is there; else why it is not. */
  refused: string | null;
  /** What is in no table meanwhile; null: nothing. */
  waiting: Map<EvpnRoute, Waiting> | null;
}

export interface VtepView {
  readonly vtep: string;
  readonly vnis: readonly number[];
  readonly routes: number;
  readonly refused: string | null;
}

export class Fabric {
  private readonly beliefs: Pick<Beliefs, "acquire" | "release">;
  private readonly holds = new Map<string, Hold>();
  private readonly vnisOf = new Map<string, number>();
  private readonly vtepsOf = new Map<number, number>();
  private mostVteps: number;
  /** Those that are refused, the one that was tried last behind the others. */
  private readonly refusedHolds = new Set<Hold>();
  /** So many of them are to be tried now. */
  private tries = 0;
  /** Those that are there by now, with routes that wait. */
  private readonly opened = new Set<Hold>();

  constructor(beliefs: Pick<Beliefs, "acquire" | "release">, mostVteps: number) {
    this.beliefs = beliefs;
    this.mostVteps = mostVteps;
  }

  setLimit(mostVteps: number): void {
    this.mostVteps = mostVteps;
  }

  /** VTEPs that are in use. */
  get size(): number {
    return this.vnisOf.size;
  }

  /** A route needs `vtep` for `vni`. @returns false: it is not available. */
  hold(vtep: string, vni: number): boolean {
    const key = `${vni} ${vtep}`;
    let hold = this.holds.get(key);
    if (hold === undefined) {
      hold = { vtep, vni, routes: 0, refused: null, waiting: null };
      this.holds.set(key, hold);
      this.open(hold);
      if (hold.refused !== null) this.refusedHolds.add(hold);
    }
    hold.routes++;
    return hold.refused === null;
  }

  /** The reverse of one `hold`; `lingers`: its VTEP took it back, and may still send. */
  release(vtep: string, vni: number, lingers: boolean): void {
    const key = `${vni} ${vtep}`;
    const hold = this.holds.get(key);
    if (hold === undefined) return;
    hold.routes--;
    if (hold.routes > 0) return;
    this.holds.delete(key);
    this.refusedHolds.delete(hold);
    this.opened.delete(hold);
    if (hold.refused === null) this.close(hold, lingers);
  }

  /** It was refused: the route waits for it. */
  wait(vtep: string, waiting: Waiting): void {
    const hold = this.holds.get(`${waiting.instance.vni} ${vtep}`)!;
    hold.waiting ??= new Map();
    hold.waiting.set(waiting.route, waiting);
  }

  /** @returns false: it does not wait, it is entered. */
  waitNoMore(vtep: string, instance: Instance, route: EvpnRoute): boolean {
    const waiting = this.holds.get(`${instance.vni} ${vtep}`)?.waiting;
    return waiting?.get(route)?.instance === instance && waiting.delete(route);
  }

  /** Is the tunnel to `vtep` there for `vni`? */
  has(vtep: string, vni: number): boolean {
    return this.holds.get(`${vni} ${vtep}`)?.refused === null;
  }

  /** Once a second: some of those that there was no room for are tried again (`take`). */
  retry(): void {
    this.tries = Math.min(TRIED_AT_ONCE, this.refusedHolds.size);
  }

  get hasWork(): boolean {
    return this.tries > 0 || this.opened.size > 0;
  }

  /** A step of trying again, one tunnel at most. @returns routes that waited for one that is there now, `most` at most. */
  take(most: number): Waiting[] {
    if (this.opened.size === 0) this.tryAgain();
    const [hold] = this.opened;
    if (hold === undefined) return [];
    const taken: Waiting[] = [];
    for (const [route, waiting] of hold.waiting ?? []) {
      if (taken.length === most) return taken;
      hold.waiting!.delete(route);
      taken.push(waiting);
    }
    hold.waiting = null;
    this.opened.delete(hold);
    return taken;
  }

  private tryAgain(): void {
    for (const hold of this.refusedHolds) {
      if (this.tries === 0) return;
      this.tries--;
      this.open(hold);
      this.refusedHolds.delete(hold);
      if (hold.refused === null) {
        this.opened.add(hold);
        return;
      }
      this.refusedHolds.add(hold);
    }
    this.tries = 0;
  }

  /** By address, in steps: a peer may name as many as it has routes. One that goes meanwhile may be in it. */
  *views(): Stepwise<VtepView> {
    const all = new Map<string, { ip: Ip; vnis: number[]; routes: number; refused: string | null }>();
    let looked = 0;
    for (const { vtep, vni, routes, refused } of this.holds.values()) {
      const view = all.get(vtep) ?? { ip: parseIp(vtep)!, vnis: [], routes: 0, refused: null };
      all.set(vtep, view);
      view.vnis.push(vni);
      view.routes += routes;
      view.refused ??= refused;
      if (++looked % RUN === 0) yield STEP;
    }
    for (const view of sorted(all, ([, a], [, b]) => compareIp(a.ip, b.ip))) {
      if (view === STEP) yield STEP;
      else {
        const [vtep, { vnis, routes, refused }] = view;
        yield { vtep, vnis: vnis.sort((a, b) => a - b), routes, refused };
      }
    }
  }

  /** Why VTEPs have no tunnel, the first one that has none for that reason, and how many it is; of a flood of them the first thousands. */
  problems(): Map<string, { readonly vtep: string; readonly count: number }> {
    const all = new Map<string, { readonly vtep: string; readonly count: number }>();
    let left = MOST_EXAMINED;
    for (const { vtep, refused } of this.refusedHolds) {
      if (left-- === 0) break;
      const known = all.get(refused!);
      all.set(refused!, { vtep: known?.vtep ?? vtep, count: (known?.count ?? 0) + 1 });
    }
    return all;
  }

  /** VTEPs of one VNI. */
  countOf(vni: number): number {
    return this.vtepsOf.get(vni) ?? 0;
  }

  private open(hold: Hold): void {
    const { vtep, vni } = hold;
    if (!this.vnisOf.has(vtep) && this.vnisOf.size >= this.mostVteps) {
      hold.refused = `evpn.limits.vteps is ${this.mostVteps}`;
      return;
    }
    hold.refused = this.beliefs.acquire(vtep, vni);
    if (hold.refused === null) {
      count(this.vnisOf, vtep, 1);
      count(this.vtepsOf, vni, 1);
    }
  }

  private close({ vtep, vni }: Hold, lingers: boolean): void {
    this.beliefs.release(vtep, vni, lingers);
    count(this.vnisOf, vtep, -1);
    count(this.vtepsOf, vni, -1);
  }
}

/** What is counted down to nothing is forgotten. */
function count<K>(counts: Map<K, number>, key: K, step: 1 | -1): void {
  const now = (counts.get(key) ?? 0) + step;
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}
