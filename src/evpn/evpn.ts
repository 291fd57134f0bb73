/**
 * EVPN put together: routes that come become entries, hosts that are heard become routes, and both sides of the seam are told.
 *
 *     engine -> Rib (what stands, and for how long) -> useOf (whose it is) -> Fabric (the tunnel) + MacVrf, IpVrf (the choice) -> Beliefs
 *     tables -> macHere, ipHere … -> MacVrf (the sequence) -> Exporter (the difference, the rate) -> engine
 *
 * The engine's rows come on the main thread, bounded per round by who takes them; nothing here looks at a clock but the timers'.
 */
import type { Emit } from "../control/event.ts";
import type { Ip } from "../control/ip.ts";
import type { Timers } from "../control/timers.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Beliefs } from "./beliefs.ts";
import { tellHost, tellState } from "./events.ts";
import { CLOSE_MS, Exporter, type Outlet } from "./export.ts";
import { Fabric } from "./fabric.ts";
import { type Instance, REFUSALS, type Refusal } from "./import.ts";
import type { MacVrf } from "./mac-vrf.ts";
import { Offers } from "./offers.ts";
import { type EvpnRoute, keyOf, type MacRoute, nlriText, plainOf } from "./route.ts";
import type { EvpnSettings } from "./settings.ts";
import { type Held, type PeerState, Rib } from "./sync.ts";
import { type Use, Uses } from "./use.ts";
import { Vrfs } from "./vrfs.ts";

/** The beat of what waits: the rate of announcements, withdrawals that are held, stale entries. */
export const TICK_MS = 50;
const SECOND_MS = 1000;
/** Hosts have so long to speak again after a restart, before routes of the former life go. */
export const GRACE_MS = 30_000;
/** Routes that are looked at again in one step. */
const SLICE = 256;
/** Of one route that the engine does not take, so seldom is heard. */
const TOLD_MS = 10_000;
const TOLD_KEYS = 1024;

export interface EvpnParts {
  readonly beliefs: Beliefs;
  readonly timers: Timers;
  readonly emit: Emit;
  /** A random int32. */
  readonly seed: number;
}

export class Evpn {
  readonly rib: Rib;
  readonly fabric: Fabric;
  readonly exporter: Exporter;
  readonly refused = new Map<Refusal, number>(REFUSALS.map((reason) => [reason, 0]));
  engine: { readonly api: string; readonly sinceMs: number } | null = null;
  lastLoss: string | null = null;
  /** Seconds that lists took, and how often. */
  onResync: (seconds: number) => void = () => undefined;
  private readonly parts: EvpnParts;
  private settings: EvpnSettings;
  private readonly uses: Uses;
  readonly vrfs: Vrfs;
  private readonly offers: Offers;
  /** Routes that are not looked at yet under the rules that were changed last. */
  private reviewing: Iterator<Held> | null = null;
  private readonly told = new Map<string, number>();
  private listingSinceMs: number | null = null;
  private isFirst = true;
  private readonly startedMs: number;
  private readonly stopTimers: (() => void)[];

  constructor(parts: EvpnParts, settings: EvpnSettings) {
    const { beliefs, timers } = parts;
    this.parts = parts;
    this.settings = settings;
    this.startedMs = timers.nowMs;
    this.uses = new Uses(beliefs);
    this.fabric = new Fabric(beliefs, settings.limits.vteps);
    this.exporter = new Exporter(settings.limits.announcePerSecond, timers.nowMs);
    this.offers = new Offers(beliefs);
    this.vrfs = new Vrfs({
      ...{ beliefs, timers, exporter: this.exporter },
      full: () => void this.count("table_full"),
      tell: (event, vsi, mac, claim) => {
        if (event === "full") this.count("table_full");
        else tellHost(parts.emit, event, { vsi, mac, claim, action: this.settings.duplicates.action });
      },
    });
    this.rib = new Rib({
      nowMs: () => timers.nowMs,
      staleMs: () => this.settings.staleSeconds * 1000,
      seed: parts.seed,
      mostRoutes: () => this.settings.limits.routes,
      add: (held, was) => this.add(held, was),
      remove: (held, isSwept) => this.withdraw(held, isSwept),
      refuse: (route) => this.refuse("routes_limit", route),
      tell: (state, from) => tellState(parts.emit, state, from, this.rib.size, this.settings.staleSeconds),
      swept: (routes) => parts.emit("info", "evpn.swept", { routes }),
      orphaned: (vtep) => parts.emit("warn", "evpn.orphaned", { vtep, seconds: this.settings.staleSeconds }),
    });
    this.stopTimers = [timers.every(TICK_MS, () => this.tick()), timers.every(SECOND_MS, () => this.second())];
    this.apply(settings);
  }

  connect(outlet: Outlet): void {
    this.exporter.connect(outlet);
  }

  /** The configuration changed. VSIs that stay as they are keep everything. */
  configure(settings: EvpnSettings): void {
    this.settings = settings;
    this.fabric.setLimit(settings.limits.vteps);
    this.exporter.setRate(settings.limits.announcePerSecond);
    this.apply(settings);
  }

  /** Do others come to us by routes of ours for what another gateway may lead to as well? */
  get attracts(): boolean {
    return this.fabric.size > 0 && this.offers.attracts(this.settings);
  }

  /** Others shall leave us, or may come back (offers.ts). */
  setDraining(isDraining: boolean): void {
    this.offers.isDraining = isDraining;
    this.vrfs.announce(this.offers.of(this.settings));
    this.pump();
  }

  /** No more EVPN: tunnels and entries go; what was announced is taken back while the engine is there. */
  close(): void {
    for (const stop of this.stopTimers) stop();
    this.reviewing = null;
    this.remove(this.vrfs.names());
    this.exporter.setRate(Number.MAX_SAFE_INTEGER);
    this.pump();
    this.parts.timers.after(CLOSE_MS / 2, () => this.pump());
  }

  /** Is there something to go on with? */
  get hasWork(): boolean {
    return this.rib.hasWork || this.reviewing !== null;
  }

  /** A step of what would hold the thread for too long at once. */
  work(): void {
    this.rib.work();
    this.review();
  }

  // ---- what the engine tells (bgp/engine.ts has the shapes) -----------------------------------------------------------

  ready(api: string): void {
    this.engine = { api, sinceMs: this.parts.timers.nowMs };
    this.lastLoss = null;
    this.parts.emit("info", "evpn.engine-up", { api });
  }

  lost(reason: string): void {
    const isNews = this.engine !== null || this.lastLoss !== reason;
    this.engine = null;
    this.lastLoss = reason;
    this.listingSinceMs = null;
    this.exporter.lost();
    this.rib.lost();
    if (isNews) this.parts.emit("warn", "evpn.engine-lost", { reason });
  }

  snapshot(): void {
    this.listingSinceMs = this.parts.timers.nowMs;
    this.exporter.lost();
    this.rib.snapshot();
  }

  rows(rows: readonly { route: EvpnRoute; isWithdrawn: boolean; peer: string | null }[]): void {
    for (const { route, isWithdrawn, peer } of rows) {
      if (peer === null && this.isOwn(route)) {
        if (isWithdrawn) this.exporter.missing(keyOf(route));
        else if (this.rib.state === "listing") this.exporter.found(plainOf(route));
      } else if (isWithdrawn) this.rib.withdrawal(route);
      else this.rib.route(route, peer);
    }
    this.pump();
  }

  complete(): void {
    const { nowMs } = this.parts.timers;
    if (this.listingSinceMs !== null) this.onResync((nowMs - this.listingSinceMs) / 1000);
    this.listingSinceMs = null;
    this.exporter.open(nowMs, this.isFirst ? Math.max(0, this.startedMs + GRACE_MS - nowMs) : 0);
    this.isFirst = false;
    this.rib.listed();
    this.pump();
  }

  peers(peers: readonly PeerState[]): void {
    const before = new Map(this.rib.sessions.map(({ address, state }) => [address, state]));
    this.rib.setPeers(peers);
    for (const { address, as, state } of peers) {
      const was = before.get(address);
      const isUp = state === "established";
      if (isUp !== (was === "established"))
        this.parts.emit(isUp ? "info" : "warn", "evpn.session", { peer: address, as, state });
    }
  }

  endOfRib(peer: string): void {
    this.rib.endOfRib(peer);
  }

  /** A route of ours was not taken. */
  notTaken(key: string, reason: string): void {
    const { timers, emit } = this.parts;
    const route = this.exporter.find(key);
    this.exporter.missing(key);
    const lastMs = this.told.get(key) ?? Number.NEGATIVE_INFINITY;
    if (timers.nowMs - lastMs < TOLD_MS || this.told.size >= TOLD_KEYS) return;
    this.told.set(key, timers.nowMs);
    // The engine knows a claim that has not come to us yet (RFC 7432 §15): one step more, once.
    if (/mobility sequence/i.test(reason) && route?.type === 2 && this.macVrfOf(route)?.bump(route.mac)) this.pump();
    else emit("warn", "evpn.refused", { route: key, reason });
  }

  // ---- what the tables tell --------------------------------------------------------------------------------------------

  macHere(vsi: string, mac: Mac, isSticky: boolean): void {
    this.vrfs.vsi(vsi)?.macHere(mac, isSticky);
    this.pump();
  }

  macGone(vsi: string, mac: Mac): void {
    this.vrfs.vsi(vsi)?.macGone(mac);
    this.pump();
  }

  ipHere(vsi: string, ip: Ip, mac: Mac, isSticky: boolean): void {
    this.vrfs.vsi(vsi)?.ipHere(ip, mac, isSticky);
    this.pump();
  }

  ipGone(vsi: string, ip: Ip): void {
    this.vrfs.vsi(vsi)?.ipGone(ip);
    this.pump();
  }

  addressesHere(vsi: string, mac: Mac): Iterable<Ip> {
    return this.vrfs.vsi(vsi)?.addressesHere(mac) ?? [];
  }

  /** All that is at the VSI's ACs now. */
  relist(vsi: string): void {
    this.vrfs.relist(vsi);
    this.pump();
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  private isOwn(route: EvpnRoute): boolean {
    return route.nextHop === this.settings.vtep || this.exporter.find(keyOf(route)) !== undefined;
  }

  private macVrfOf(route: MacRoute): MacVrf | undefined {
    return this.vrfs.vsis.find(({ instance }) => instance.rd === route.rd);
  }

  private apply(settings: EvpnSettings): void {
    const { vtep, duplicates } = settings;
    const { vrfs } = this;
    // One that stays as it is stays itself: of its routes there is nothing to decide again.
    const instances = settings.instances.map((each) => {
      const known = vrfs.find(each.vsi)?.instance;
      return known !== undefined && JSON.stringify(known) === JSON.stringify(each) ? known : each;
    });
    const wanted = new Set(instances);
    vrfs.setDuplicateRules(duplicates);
    this.remove(vrfs.names().filter((name) => !wanted.has(vrfs.find(name)!.instance)));
    const fresh = instances.filter(({ vsi }) => vrfs.find(vsi) === undefined);
    this.uses.follow(instances, vtep);
    for (const instance of fresh) vrfs.add(instance, vtep, duplicates);
    vrfs.announce(this.offers.of(settings));
    // Routes that came before their VSI or VRF, or under other rules.
    this.reviewing = this.rib.routes();
    this.review();
    this.pump();
  }

  private review(): void {
    if (this.reviewing === null) return;
    for (let left = SLICE; left > 0; left--) {
      const { done, value: held } = this.reviewing.next();
      if (done) {
        this.reviewing = null;
        return;
      }
      this.add(held, held.route);
    }
  }

  /** VSIs and VRFs leave, in one go; routes stay where else they are used. */
  private remove(names: readonly string[]): void {
    if (names.length === 0) return;
    const gone = new Set(names);
    for (const held of this.rib.routes()) {
      const { use } = held;
      const left = use?.entered.filter(({ instance }) => gone.has(instance.vsi)) ?? [];
      if (use === null || left.length === 0) continue;
      const entered = use.entered.filter((each) => !left.includes(each));
      held.use = entered.length === 0 && use.refused === null ? null : this.uses.one({ entered, refused: use.refused });
      this.leave(left, held.route, false);
    }
    for (const name of names) this.vrfs.remove(name);
  }

  /** @param was what the route was when it was looked at last. */
  private add(held: Held, was: EvpnRoute | null): void {
    const { route, use: before } = held;
    const use = this.uses.of(route);
    if (before === use && was === route) return;
    // The new one is entered before the old one goes: a route that only changed leaves no gap, and its tunnel stays.
    for (const { instance, vtep, asIs } of use.entered) this.enter(instance, vtep, asIs ?? route);
    held.use = use.entered.length + (use.refused === null ? 0 : 1) > 0 ? use : null;
    if (before !== null) this.leave(before.entered, was!, true);
    if (use.refused !== null && before?.refused !== use.refused) this.refuse(use.refused, route);
  }

  private withdraw(held: Held, isSwept: boolean): void {
    const { use, route } = held;
    held.use = null;
    if (use !== null) this.leave(use.entered, route, !isSwept);
  }

  private enter(instance: Instance, vtep: string, route: EvpnRoute): void {
    if (!this.fabric.hold(vtep, instance.vni)) {
      this.refuse("vtep", route);
      return;
    }
    if (!this.vrfs.addRoute(instance, vtep, route)) this.refuse("host_routes", route);
  }

  /** Undo what it was; `lingers`: its VTEP is there and may still send. */
  private leave(entered: Use["entered"], route: EvpnRoute, lingers: boolean): void {
    for (const { instance, vtep, asIs } of entered) {
      this.vrfs.removeRoute(instance, asIs ?? route);
      this.fabric.release(vtep, instance.vni, lingers);
    }
  }

  private tick(): void {
    this.rib.tick();
    this.work();
    this.pump();
  }

  private second(): void {
    this.vrfs.tick();
    if (this.offers.hasChanged(this.settings)) this.vrfs.announce(this.offers.of(this.settings));
    const { nowMs } = this.parts.timers;
    for (const [key, ms] of this.told) if (nowMs - ms >= TOLD_MS) this.told.delete(key);
    for (const { vtep, vni } of this.fabric.retry())
      for (const { use, route } of this.rib.routes())
        for (const { instance, vtep: at, asIs } of use?.entered ?? [])
          if (at === vtep && instance.vni === vni) this.vrfs.addRoute(instance, vtep, asIs ?? route);
    this.pump();
  }

  private pump(): void {
    this.exporter.pump(this.parts.timers.nowMs);
  }

  private count(reason: Refusal): number {
    const count = this.refused.get(reason)! + 1;
    this.refused.set(reason, count);
    return count;
  }

  private refuse(reason: Refusal, route: EvpnRoute): void {
    const count = this.count(reason);
    // The first of its kind is told; the others are counted, and listed by `show evpn refused`.
    if (count === 1)
      this.parts.emit("warn", "evpn.refused", { route: nlriText(route), rd: route.rd, vtep: route.nextHop, reason });
  }
}
