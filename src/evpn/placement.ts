/**
 * Where each route is entered: the VSIs and VRFs that import it, behind the tunnels that it needs; and what follows when those change.
 *
 * What concerns all routes goes SLICE by SLICE (`work`), since ARP waits meanwhile: VSIs and VRFs that leave, or are others now, are
 * emptied first; then what is new begins; then each route is looked at under the new rules. One that is another now begins when the
 * former one is empty: both write the same rows. Until then what it announces stands, so others hear of what is another then, and of
 * no gap; what leaves for good is taken back at once.
 */
import type { Beliefs } from "./beliefs.ts";
import type { Fabric } from "./fabric.ts";
import type { Instance, Refusal } from "./import.ts";
import type { EvpnRoute } from "./route.ts";
import type { EvpnSettings } from "./settings.ts";
import type { Held } from "./sync.ts";
import { type Entered, Uses } from "./use.ts";
import type { Vrfs } from "./vrfs.ts";

/** Routes that are looked at in one step. */
export const SLICE = 256;
/** One that is entered elsewhere then, or nowhere, is a row of a table or several: it counts as so many. */
const CHANGED = 4;
/** Of those that waited for a tunnel, so many are entered in one. */
const SLICE_ENTERED = SLICE / CHANGED;

export interface PlacementParts {
  readonly beliefs: Beliefs;
  readonly vrfs: Vrfs;
  readonly fabric: Fabric;
  /** All routes that are held. */
  readonly routes: () => Iterator<Held>;
  readonly refuse: (reason: Refusal, route: EvpnRoute) => void;
  /** What is new has begun: what of ours is no host's is announced. */
  readonly begun: () => void;
}

export class Placement {
  private readonly parts: PlacementParts;
  private readonly uses: Uses;
  private settings: Pick<EvpnSettings, "instances" | "vtep" | "duplicates"> | null = null;
  /** Instances that are being emptied. */
  private readonly leaving = new Set<Instance>();
  /** Routes that are not looked at yet: those of instances that leave, then all under the rules of now. */
  private rest: Iterator<Held> | null = null;

  constructor(parts: PlacementParts) {
    this.parts = parts;
    this.uses = new Uses(parts.beliefs);
  }

  get hasWork(): boolean {
    return this.rest !== null || this.parts.fabric.hasWork;
  }

  /** These instances import from now on; one that stays as it is stays itself, and keeps everything. */
  follow({ instances, vtep, duplicates }: Pick<EvpnSettings, "instances" | "vtep" | "duplicates">): void {
    const { vrfs } = this.parts;
    const wanted = instances.map((each) => {
      const known = vrfs.find(each.vsi)?.instance;
      return known !== undefined && JSON.stringify(known) === JSON.stringify(each) ? known : each;
    });
    this.settings = { instances: wanted, vtep, duplicates };
    const names = new Set(wanted.map(({ vsi }) => vsi));
    for (const name of vrfs.names()) {
      const { instance } = vrfs.find(name)!;
      if (!wanted.includes(instance)) this.leaving.add(instance);
      if (!names.has(name)) vrfs.silence(name);
    }
    this.begin();
    this.work();
  }

  /** A step of what is under way. */
  work(): void {
    for (let left = SLICE; left > 0 && this.rest !== null; ) {
      const { done, value: held } = this.rest.next();
      if (done) this.finish();
      else {
        const isChanged = this.leaving.size > 0 ? this.empty(held) : this.add(held, held.route);
        left -= isChanged ? CHANGED : 1;
      }
    }
    for (const { instance, vtep, route } of this.parts.fabric.take(SLICE_ENTERED))
      this.enterInto(instance, vtep, route);
  }

  /**
   * A route is new, or says something else; or the rules are others. @param was what it was when it was looked at last.
   * @returns whether anything follows.
   */
  add(held: Held, was: EvpnRoute | null): boolean {
    const { route, use: before } = held;
    const use = this.uses.of(route);
    if (before === use && was === route) return false;
    // What is entered already stays. Of the rest the new is entered before the old goes: a route that only changed leaves no gap,
    // and its tunnel stays.
    const isSame = was === route;
    const stays = (each: Entered, others: readonly Entered[]) =>
      isSame && others.some((other) => isSamePlace(each, other));
    const [now, then] = [use.entered, before?.entered ?? []];
    for (const each of now) if (!stays(each, then)) this.enter(each, route);
    held.use = now.length + (use.refused === null ? 0 : 1) > 0 ? use : null;
    const left = then.filter((each) => !stays(each, now));
    if (left.length > 0) this.leave(left, was!, true);
    if (use.refused !== null && before?.refused !== use.refused) this.parts.refuse(use.refused, route);
    return true;
  }

  /** `isSwept`: it did not come again, and was not taken back. */
  withdraw(held: Held, isSwept: boolean): void {
    const { use, route } = held;
    held.use = null;
    if (use !== null) this.leave(use.entered, route, !isSwept);
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  /** What is wanted and finds its name free; what is another now waits for the former one. */
  private begin(): void {
    const { vrfs, routes } = this.parts;
    const { instances, vtep, duplicates } = this.settings!;
    const free = instances.filter(
      (each) => !this.leaving.has(each) && (vrfs.find(each.vsi)?.instance ?? each) === each,
    );
    this.uses.follow(free, vtep);
    for (const each of free) if (vrfs.find(each.vsi) === undefined) vrfs.add(each, vtep, duplicates);
    this.rest = routes();
  }

  /** All were looked at. */
  private finish(): void {
    this.rest = null;
    if (this.leaving.size === 0) return;
    for (const { vsi } of this.leaving) this.parts.vrfs.remove(vsi);
    this.leaving.clear();
    this.begin();
    this.parts.begun();
  }

  /** Instances that leave have it no more; it stays where else it is used. @returns false: they never had it. */
  private empty(held: Held): boolean {
    const { use } = held;
    const left = use?.entered.filter(({ instance }) => this.leaving.has(instance)) ?? [];
    if (use === null || left.length === 0) return false;
    const entered = use.entered.filter((each) => !left.includes(each));
    held.use = entered.length === 0 && use.refused === null ? null : this.uses.one({ entered, refused: use.refused });
    this.leave(left, held.route, false);
    return true;
  }

  private enter({ instance, vtep, asIs }: Entered, route: EvpnRoute): void {
    const { fabric, refuse } = this.parts;
    const said = asIs ?? route;
    if (fabric.hold(vtep, instance.vni)) this.enterInto(instance, vtep, said);
    else {
      fabric.wait(vtep, { instance, vtep, route: said });
      refuse("vtep", said);
    }
  }

  private enterInto(instance: Instance, vtep: string, route: EvpnRoute): void {
    if (!this.parts.vrfs.addRoute(instance, vtep, route)) this.parts.refuse("host_routes", route);
  }

  /** Undo what it was; `lingers`: its VTEP is there and may still send. */
  private leave(entered: readonly Entered[], route: EvpnRoute, lingers: boolean): void {
    const { fabric, vrfs } = this.parts;
    for (const { instance, vtep, asIs } of entered) {
      if (!fabric.waitNoMore(vtep, instance, asIs ?? route)) vrfs.removeRoute(instance, asIs ?? route);
      fabric.release(vtep, instance.vni, lingers);
    }
  }
}

/** Of one route: is it entered alike in both? One without its address is a copy, and never the same. */
function isSamePlace(a: Entered, b: Entered): boolean {
  return a.instance === b.instance && a.vtep === b.vtep && a.asIs === null && b.asIs === null;
}
