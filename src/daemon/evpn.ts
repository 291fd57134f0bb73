/**
 * EVPN in this process: the engine's thread, the theory, and control's tables, connected while the configuration has `evpn`.
 *
 * Loaded only then. A round of control takes one batch of the engine's routes, and tells of the hosts that changed since the round
 * before. Another engine, AS or router id makes everything anew; whatever else changes is taken over in place. When the process
 * ends its routes stay in the engine: peers notice nothing of a restart (docs/evpn.md has what takes them back for good).
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import type { EvpnSource } from "../api/evpn.ts";
import type { Condition, Series } from "../api/feature.ts";
import type { EvpnRoute, EvpnVtep } from "../api/schema-evpn.ts";
import type { EngineEvent, EngineRequest } from "../bgp/engine.ts";
import { ThreadLink } from "../bgp/link.ts";
import { compareIp, parseIp } from "../control/ip.ts";
import type { Config } from "../control/plan.ts";
import type { EvpnConfig } from "../control/plan-evpn.ts";
import { STEP, type Stepwise } from "../control/sorted.ts";
import { Entries } from "../evpn/entries.ts";
import { Evpn } from "../evpn/evpn.ts";
import { CLOSE_MS } from "../evpn/export.ts";
import type { VtepView } from "../evpn/fabric.ts";
import { FirstSync, stateText } from "../evpn/first-sync.ts";
import { REFUSAL_TEXTS } from "../evpn/import.ts";
import { settingsOf } from "../evpn/settings.ts";
import { duplicateViews, routeViews, sentencesOf, viewOf, type Within } from "../evpn/story.ts";
import { ApplyTimes, type EvpnMetrics } from "../metrics/evpn.ts";
import { parseMac } from "../wire/ethernet.ts";
import type { Control } from "./assemble.ts";

export interface EvpnMemberParts {
  readonly control: Control;
  /** Begin a round of control soon. */
  readonly kick: () => void;
  /** The process is starting: it is ready when routes are there. */
  readonly isStart: boolean;
}

interface Running {
  readonly config: EvpnConfig;
  readonly evpn: Evpn;
  readonly entries: Entries;
  readonly link: ThreadLink;
}

/** The part of this process that takes part in EVPN. */
export class EvpnMember {
  private readonly parts: EvpnMemberParts;
  private running: Running | null = null;
  /** One that ended, while its entries leave the tables, step by step; and the configuration that comes behind it. */
  private leaving: Evpn | null = null;
  private awaiting: Config | null = null;
  private isStale = false;
  private resyncSeconds: number | null = null;
  private readonly applyTimes = new ApplyTimes();
  private readonly firstSync: FirstSync | null;

  constructor(parts: EvpnMemberParts) {
    this.parts = parts;
    this.firstSync = parts.isStart ? new FirstSync(this.nowMs) : null;
  }

  /** The configuration in force is another one. */
  apply(config: Config): void {
    const { inventory } = this.parts.control.shown;
    const settings = settingsOf(config, (name) => inventory.interface(name)?.mac ?? null);
    const { evpn } = config;
    if (this.running !== null && (evpn === null || isOther(this.running.config, evpn))) this.end();
    this.awaiting = this.leaving === null ? null : config;
    if (this.leaving !== null) this.parts.kick();
    if (settings === null || evpn === null || this.leaving !== null) return;
    const request = this.requestOf(evpn);
    if (this.running === null) this.begin(config, evpn, request);
    else {
      this.running = { ...this.running, config: evpn };
      this.running.evpn.configure(settings);
      this.running.link.setPeers(request);
    }
    this.parts.kick();
  }

  /** A track went up or down, or we begin to drain or end it: the next round announces what is left. */
  refresh(): void {
    this.isStale = true;
    this.parts.kick();
  }

  /** Its part of a round of control. */
  turn(): void {
    this.letLeave();
    if (this.isStale) {
      this.isStale = false;
      this.running?.evpn.setDraining(this.isDraining);
    }
    if (this.running === null) return;
    const { entries, evpn, link } = this.running;
    entries.tell(evpn);
    link.take();
    evpn.work();
  }

  more(): boolean {
    if (this.leaving !== null) return true;
    if (this.running === null) return false;
    const { link, evpn } = this.running;
    return link.hasMore || evpn.hasWork;
  }

  /** What readiness looks at. */
  conditions(): Condition[] {
    if (this.running === null) return [];
    const { rib, lastLoss } = this.running.evpn;
    const isRequired = this.firstSync?.isAwaited(rib, this.nowMs) ?? false;
    return [{ what: "evpn", isMet: rib.state === "synced", isRequired, text: stateText(rib, lastLoss) }];
  }

  /** Do routes of ours lead others here, whom another gateway may serve? */
  get attracts(): boolean {
    return this.running?.evpn.attracts ?? false;
  }

  /** The process ends; what was announced stays. */
  close(): void {
    this.running?.link.close();
    this.running = null;
  }

  /** Sentences of `why`. */
  sentences(subject: { readonly mac: string } | { readonly ip: string }, within: Within | null): string[] {
    return this.running === null ? [] : sentencesOf(this.running.evpn, subject, this.nowMs, within);
  }

  metrics(): EvpnMetrics | null {
    if (this.running === null) return null;
    const { evpn, link } = this.running;
    const { refused, fabric } = evpn;
    const { resyncSeconds } = this;
    const view = { ...viewOf(evpn), backlog: link.backlog };
    return { view, types: typesOf(evpn), refused, vteps: fabric.size, resyncSeconds };
  }

  applied(): Series[] {
    return this.running === null ? [] : this.applyTimes.series();
  }

  source(): EvpnSource | null {
    if (this.running === null) return null;
    const { evpn, link, config } = this.running;
    const { topology, inventory } = this.parts.control.shown;
    return {
      view: () => {
        const view = viewOf(evpn);
        const { engine, as, routerId } = config;
        return {
          ...view,
          engine: { socket: engine.socket, ...view.engine },
          ...{ as, routerId, vtep: topology.config.underlay.address, backlog: link.backlog },
          state: evpn.rib.state,
          peers: view.peers.map((peer) => ({ ...peer })),
          vsis: view.vsis.map((vsi) => ({ ...vsi, import: [...vsi.import], export: [...vsi.export] })),
          vrfs: view.vrfs.map((vrf) => ({ ...vrf, import: [...vrf.import], export: [...vrf.export] })),
          sharedRouterIds: view.sharedRouterIds.map((each) => ({ ...each, vteps: [...each.vteps] })),
        };
      },
      routes: () => saidOf(routeViews(evpn, () => this.nowMs)),
      vteps: () => {
        const lingering = Array.from(topology.tunnels.lingering.list(), ([vtep, vnis]) => ({ vtep, vnis }));
        return vtepsOf(evpn.fabric.views(), lingering, (vtep) => inventory.tunnelTo(vtep)?.name ?? null);
      },
      duplicates: () => duplicateViews(evpn, this.nowMs).map((each) => ({ ...each })),
      refused: () =>
        Array.from(evpn.refused, ([reason, count]) => ({ reason, count, text: REFUSAL_TEXTS[reason] })).filter(
          ({ count }) => count > 0,
        ),
      resync: () => link.resync(),
      clearDuplicates: (vsi, mac) => this.clearDuplicates(evpn, vsi, mac === null ? null : parseMac(mac.toLowerCase())),
    };
  }

  /** VTEPs that have no tunnel, by reason. */
  problems(): ReturnType<Evpn["fabric"]["problems"]> {
    return this.running?.evpn.fabric.problems() ?? new Map();
  }

  private get isDraining(): boolean {
    return this.parts.control.agent.arp.isDraining;
  }

  private get nowMs(): number {
    return this.parts.control.timers.nowMs;
  }

  private begin(config: Config, evpnConfig: EvpnConfig, request: EngineRequest): void {
    const { control, kick } = this.parts;
    const { emit } = control;
    const { agent, inventory, topology } = control.shown;
    const isDiscovering = () => topology.config.evpn?.discover ?? true;
    const entries = new Entries({ agent, inventory, topology, isDiscovering }, kick);
    const settings = settingsOf(config, (name) => inventory.interface(name)?.mac ?? null)!;
    const evpn = new Evpn({ beliefs: entries, timers: control.timers, emit, seed: randomInt(2 ** 31) }, settings);
    evpn.onResync = (seconds) => {
      this.resyncSeconds = seconds;
    };
    const link = new ThreadLink({ request, kick, apply: (event, waitedMs) => this.hear(evpn, event, waitedMs) });
    evpn.connect(link);
    evpn.setDraining(this.isDraining);
    this.running = { config: evpnConfig, evpn, entries, link };
  }

  private end(): void {
    const { evpn, entries, link } = this.running!;
    this.running = null;
    entries.close();
    evpn.close();
    this.leaving = evpn.hasWork ? evpn : null;
    setTimeout(() => link.close(), CLOSE_MS).unref();
  }

  /** Another one writes the same rows, so it begins when the former one has left them. */
  private letLeave(): void {
    if (this.leaving === null) return;
    this.leaving.work();
    if (this.leaving.hasWork) return;
    this.leaving = null;
    if (this.awaiting !== null) this.apply(this.awaiting);
  }

  private hear(evpn: Evpn, event: EngineEvent, waitedMs: number): void {
    deliver(evpn, event);
    this.firstSync?.look(evpn.rib);
    if (event.kind === "rows") this.applyTimes.observe(waitedMs / 1000, event.rows.length);
  }

  private clearDuplicates(evpn: Evpn, vsi: string | null, mac: number | null): number {
    let cleared = 0;
    for (const vrf of evpn.vrfs.vsis) {
      if (vsi !== null && vrf.instance.vsi !== vsi) continue;
      const macs = mac === null ? vrf.duplicates.suspects() : [mac];
      for (const each of macs) if (vrf.clearDuplicate(each)) cleared++;
    }
    return cleared;
  }

  private requestOf({ engine, as, routerId, peers, timers }: EvpnConfig): EngineRequest {
    return {
      ...{ socket: engine.socket, api: engine.api, as, routerId, localAddress: engine.address },
      holdSeconds: timers.hold,
      connectRetrySeconds: timers.connectRetry,
      peers:
        peers?.map(({ address, as: peerAs, passwordFile }) => ({
          address,
          as: peerAs,
          password: passwordFile === null ? null : this.passwordIn(passwordFile, address),
        })) ?? null,
    };
  }

  private passwordIn(file: string, peer: string): string | null {
    try {
      return readFileSync(file, "utf8").split("\n")[0]!.trim();
    } catch (error) {
      this.parts.control.emit("error", "evpn.session", {
        peer,
        state: "idle",
        problem: `its password: ${(error as Error).message}`,
      });
      return null;
    }
  }
}

/** What the engine tells, to whom it concerns. */
export function deliver(evpn: Evpn, event: EngineEvent): void {
  switch (event.kind) {
    case "ready":
      evpn.ready(event.api);
      break;
    case "lost":
      evpn.lost(event.reason);
      break;
    case "peers":
      evpn.peers(event.peers);
      break;
    case "snapshot":
      evpn.snapshot();
      break;
    case "rows":
      evpn.rows(event.rows);
      break;
    case "complete":
      evpn.complete();
      break;
    case "endOfRib":
      evpn.endOfRib(event.peer);
      break;
    case "refused":
      evpn.notTaken(event.key, event.reason);
  }
}

/** Another engine, or another speaker. */
function isOther(from: EvpnConfig, to: EvpnConfig): boolean {
  return (
    from.engine.socket !== to.engine.socket ||
    from.engine.api !== to.engine.api ||
    from.engine.address !== to.engine.address ||
    from.as !== to.as ||
    from.routerId !== to.routerId
  );
}

function typesOf(evpn: Evpn): EvpnMetrics["types"] {
  const types = [1, 2, 3, 4, 5] as const;
  return new Map(types.map((type) => [String(type), { in: evpn.rib.countOf(type), out: evpn.exporter.countOf(type) }]));
}

/** VTEPs that routes name, and among them those that none names any more, by address. */
export function* vtepsOf(
  named: Stepwise<VtepView>,
  lingering: readonly Pick<VtepView, "vtep" | "vnis">[],
  tunnelTo: (vtep: string) => string | null,
): Stepwise<EvpnVtep> {
  const rest = [...lingering].sort((a, b) => orderOf(a.vtep, b.vtep));
  const last = ({ vtep, vnis }: (typeof rest)[number]): EvpnVtep => ({
    ...{ vtep, tunnel: tunnelTo(vtep), vnis: [...vnis], routes: 0, refused: null, lingering: true },
  });
  for (const view of named) {
    if (view === STEP) yield STEP;
    else {
      const { vtep, vnis, routes, refused } = view;
      while (rest.length > 0 && orderOf(rest[0]!.vtep, vtep) < 0) yield last(rest.shift()!);
      if (rest[0]?.vtep === vtep) rest.shift();
      yield { vtep, tunnel: tunnelTo(vtep), vnis: [...vnis], routes, refused, lingering: false };
    }
  }
  for (const each of rest) yield last(each);
}

function orderOf(a: string, b: string): number {
  return compareIp(parseIp(a)!, parseIp(b)!);
}

function* saidOf(views: ReturnType<typeof routeViews>): Stepwise<EvpnRoute> {
  for (const view of views)
    yield view === STEP ? STEP : { ...view, targets: [...view.targets], labels: [...view.labels] };
}
