/**
 * VTEPs: who is needed for which VNI, counted by the routes that say so.
 *
 * A tunnel is there from the first route that names its VTEP (a type 3, or the next hop of any other that is imported) to the last
 * one that goes. Where there is no room for one, or the configuration wants no tunnels but its own, the reason is kept and shown,
 * and tried again when another one has gone.
 */
import type { Beliefs } from "./beliefs.ts";
import { compareVteps } from "./choice.ts";

interface Hold {
  readonly vtep: string;
  readonly vni: number;
  routes: number;
  /** null: the tunnel is there; else why it is not. */
  refused: string | null;
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
      hold = { vtep, vni, routes: 0, refused: null };
      this.holds.set(key, hold);
      this.open(hold);
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
    if (hold.refused === null) this.close(hold, lingers);
  }

  /** Is the tunnel to `vtep` there for `vni`? */
  has(vtep: string, vni: number): boolean {
    return this.holds.get(`${vni} ${vtep}`)?.refused === null;
  }

  /** Try those again that there was no room for. @returns those that are there now. */
  retry(): { readonly vtep: string; readonly vni: number }[] {
    const opened: Hold[] = [];
    for (const hold of this.holds.values()) {
      if (hold.refused === null) continue;
      this.open(hold);
      if (hold.refused === null) opened.push(hold);
    }
    return opened;
  }

  views(): VtepView[] {
    const all = new Map<string, { vtep: string; vnis: number[]; routes: number; refused: string | null }>();
    for (const { vtep, vni, routes, refused } of this.holds.values()) {
      const view = all.get(vtep) ?? { vtep, vnis: [], routes: 0, refused: null };
      all.set(vtep, view);
      view.vnis.push(vni);
      view.routes += routes;
      view.refused ??= refused;
    }
    for (const { vnis } of all.values()) vnis.sort((a, b) => a - b);
    return [...all.values()].sort((a, b) => compareVteps(a.vtep, b.vtep));
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
