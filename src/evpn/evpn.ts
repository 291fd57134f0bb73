/**
 * EVPN put together: routes that come become entries, hosts that are heard become routes, and both sides of the seam are told.
 *
 *     engine -> Rib (what stands, and for how long) -> Placement (whose it is) -> Fabric (the tunnel) + MacVrf, IpVrf (the choice) -> Beliefs
 *     tables -> macHere, ipHere … -> MacVrf (the sequence) -> Exporter (the difference, the rate) -> engine
 *
 * The engine's rows come on the main thread, bounded per round by who takes them; nothing here looks at a clock but the timers'.
 */
import type { Emit } from "../control/event.ts";
import type { Ip } from "../control/ip.ts";
import type { Timers } from "../control/timers.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Beliefs } from "./beliefs.ts";
import type { SharedRouterId } from "./distinguishers.ts";
import { tellHost, tellState } from "./events.ts";
import { CLOSE_MS, Exporter, type Outlet } from "./export.ts";
import { Fabric } from "./fabric.ts";
import { REFUSALS, type Refusal } from "./import.ts";
import type { MacVrf } from "./mac-vrf.ts";
import { Offers } from "./offers.ts";
import { Placement } from "./placement.ts";
import { type EvpnRoute, keyOf, type MacRoute, MOST_TARGETS, nlriText, plainOf } from "./route.ts";
import type { EvpnSettings } from "./settings.ts";
import { type PeerState, Rib } from "./sync.ts";
import { Vrfs } from "./vrfs.ts";

/** The beat of what waits: the rate of announcements, withdrawals that are held, stale entries. */
export const TICK_MS = 50;
const SECOND_MS = 1000;
/** Hosts have so long to speak again after a restart, before routes of the former life go. */
export const GRACE_MS = 30_000;
/** Of one route that the engine does not take, so seldom is heard. */
const TOLD_MS = 10_000;
const TOLD_KEYS = 1024;
/** Routes that found no room are asked for when so much of it is free, and so seldom: a list costs the engine seconds. */
const ROOM = 0.1;
const ROOM_EVERY_MS = 60_000;

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
  private readonly placement: Placement;
  readonly vrfs: Vrfs;
  private readonly offers: Offers;
  private readonly told = new Map<string, number>();
  private outlet: Outlet | null = null;
  /** Routes were refused because there are too many; the engine does not tell of them again unless it is asked. */
  private isMissing = false;
  private askedMs = Number.NEGATIVE_INFINITY;
  private listingSinceMs: number | null = null;
  private isFirst = true;
  private readonly startedMs: number;
  private readonly stopTimers: (() => void)[];

  constructor(parts: EvpnParts, settings: EvpnSettings) {
    const { beliefs, timers } = parts;
    this.parts = parts;
    this.settings = settings;
    this.startedMs = timers.nowMs;
    this.fabric = new Fabric(beliefs, settings.limits.vteps);
    this.exporter = new Exporter(settings.limits.announcePerSecond, timers.nowMs);
    this.offers = new Offers(beliefs);
    this.vrfs = new Vrfs({
      ...{ beliefs, timers, exporter: this.exporter },
      full: () => void this.count("table_full"),
      refuse: (reason, route) => this.refuse(reason, route),
      tell: (event, vsi, mac, claim) => {
        if (event === "full") this.count("table_full");
        else tellHost(parts.emit, event, { vsi, mac, claim, action: this.settings.duplicates.action });
      },
    });
    this.placement = new Placement({
      ...{ beliefs, vrfs: this.vrfs, fabric: this.fabric },
      routes: () => this.rib.routes(),
      refuse: (reason, route) => this.refuse(reason, route),
      begun: () => this.announce(),
    });
    this.rib = new Rib({
      routerId: settings.routerId,
      nowMs: () => timers.nowMs,
      staleMs: () => this.settings.staleSeconds * 1000,
      seed: parts.seed,
      mostRoutes: () => this.settings.limits.routes,
      add: (held, was) => this.placement.add(held, was),
      remove: (held, isSwept) => this.placement.withdraw(held, isSwept),
      refuse: (route) => {
        this.isMissing = true;
        this.refuse("routes_limit", route);
      },
      tell: (state, from) => tellState(parts.emit, state, from, this.rib.size, this.settings.staleSeconds),
      swept: (routes) => parts.emit("info", "evpn.swept", { routes }),
      orphaned: (vtep) => parts.emit("warn", "evpn.orphaned", { vtep, seconds: this.settings.staleSeconds }),
    });
    this.stopTimers = [timers.every(TICK_MS, () => this.tick()), timers.every(SECOND_MS, () => this.second())];
    this.apply(settings);
  }

  connect(outlet: Outlet): void {
    this.outlet = outlet;
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

  /** Router ids that several gateways have. */
  sharedRouterIds(): SharedRouterId[] {
    return this.rib.distinguishers.list(this.settings.vtep);
  }

  /** Others shall leave us, or may come back (offers.ts). */
  setDraining(isDraining: boolean): void {
    this.offers.isDraining = isDraining;
    this.announce();
    this.pump();
  }

  /** No more EVPN: tunnels and entries go, while there is work; what was announced is taken back while the engine is there. */
  close(): void {
    for (const stop of this.stopTimers) stop();
    this.settings = { ...this.settings, instances: [] };
    this.placement.follow(this.settings);
    this.exporter.setRate(Number.MAX_SAFE_INTEGER);
    this.pump();
    this.parts.timers.after(CLOSE_MS / 2, () => this.pump());
  }

  /** Is there something to go on with? */
  get hasWork(): boolean {
    return this.rib.hasWork || this.placement.hasWork;
  }

  /** A step of what would hold the thread for too long at once. */
  work(): void {
    this.rib.work();
    this.placement.work();
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
        else {
          // Of one key one route stands. Another gateway that announced ours has taken it back, or is no better any more.
          this.rib.withdrawal(route);
          if (this.rib.state === "listing") this.exporter.found(plainOf(route));
        }
      } else if (isWithdrawn) this.rib.withdrawal(route);
      else if (route.targets.length <= MOST_TARGETS) this.rib.route(route, peer);
      else {
        this.rib.withdrawal(route);
        this.refuse("targets", route);
      }
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
    this.exporter.notTaken(key);
    const lastMs = this.told.get(key) ?? Number.NEGATIVE_INFINITY;
    if (timers.nowMs - lastMs < TOLD_MS || this.told.size >= TOLD_KEYS) return;
    this.told.set(key, timers.nowMs);
    // The engine knows a claim that has not come to us yet (RFC 7432 §15): one step more, once.
    if (/mobility sequence/i.test(reason) && route?.type === 2 && this.macVrfOf(route)?.bump(route.mac)) this.pump();
    else emit("warn", "evpn.refused", { route: key, reason });
  }

  // ---- what the tables tell --------------------------------------------------------------------------------------------

  macHere(vsi: string, mac: Mac, isSticky: boolean): void {
    this.vrfs.hears(vsi)?.macHere(mac, isSticky);
    this.pump();
  }

  macGone(vsi: string, mac: Mac): void {
    this.vrfs.hears(vsi)?.macGone(mac);
    this.pump();
  }

  ipHere(vsi: string, ip: Ip, mac: Mac, isSticky: boolean): void {
    this.vrfs.hears(vsi)?.ipHere(ip, mac, isSticky);
    this.pump();
  }

  ipGone(vsi: string, ip: Ip): void {
    this.vrfs.hears(vsi)?.ipGone(ip);
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
    this.vrfs.setDuplicateRules(settings.duplicates);
    this.placement.follow(settings);
    this.announce();
    this.pump();
  }

  /** What of ours is no host's. */
  private announce(): void {
    this.vrfs.announce(this.offers.of(this.settings));
  }

  private tick(): void {
    this.rib.tick();
    this.work();
    this.pump();
  }

  private second(): void {
    this.vrfs.tick();
    if (this.offers.hasChanged(this.settings)) this.announce();
    const { nowMs } = this.parts.timers;
    for (const [key, ms] of this.told) if (nowMs - ms >= TOLD_MS) this.told.delete(key);
    this.fabric.retry();
    this.exporter.tryAgain();
    this.askMissing();
    this.pump();
  }

  /** There is room by now for routes that found none. */
  private askMissing(): void {
    const { rib, settings, outlet } = this;
    const { nowMs } = this.parts.timers;
    if (!this.isMissing || outlet === null || rib.state !== "synced" || nowMs - this.askedMs < ROOM_EVERY_MS) return;
    if (rib.size > settings.limits.routes * (1 - ROOM)) return;
    this.isMissing = false;
    this.askedMs = nowMs;
    outlet.resync();
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
