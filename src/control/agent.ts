/**
 * The agent: control's hands on the rings. It drains what workers punted, hands each record to who knows about it, runs
 * the timers, and rings the workers' doorbells for what was injected.
 *
 * One round (`poll`) takes at most BUDGET records, one from each ring in turn, so that one busy worker starves neither the
 * others nor the API. The clock is an argument: everything that ages, waits or is rationed goes by the round's time.
 *
 * Here, and nowhere else, a handler's answer becomes the fate of a punted frame in the ledger.
 */
import { PUNT, RECORD_LEARN, RECORD_STALE, RECORD_TOO_BIG, RECORD_UNBOUND } from "../tables/counters.ts";
import type { Ring } from "../tables/ring.ts";
import * as records from "../tables/ring.ts";
import type { Tables } from "../tables/tables.ts";
import { CODE_NET_UNREACHABLE } from "../wire/icmp.ts";
import { arpTable } from "./arp-table.ts";
import { type Behind, behindLeft, behindPort, type LeftTunnels } from "./behind.ts";
import type { DampedMoveView } from "./damped-moves.ts";
import { Dhcp } from "./dhcp/dhcp.ts";
import type { Emit } from "./event.ts";
import { CONSUMED, type Fate, REINJECTED } from "./fate.ts";
import { Icmp } from "./icmp/icmp.ts";
import { Icmp6 } from "./icmp/icmp6.ts";
import { Pinger } from "./icmp/ping.ts";
import { ErrorWays, type RouteFinder } from "./icmp/way.ts";
import { bytesOf, type HeldFrame, heldFrameAt, type Injector, isIpv6 } from "./inject.ts";
import type { InterfaceObject, Inventory, PortObject, TunnelPort, VsiObject } from "./inventory.ts";
import type { Ip } from "./ip.ts";
import { Ledger } from "./ledger.ts";
import { arrivalOf } from "./mac/change.ts";
import { MacLearner } from "./mac/learn.ts";
import { RouterAdvertiser } from "./nd/advertiser.ts";
import { finishChecksum, isRouterSolicitation } from "./nd/punted.ts";
import { type NeighborView, type Place, viewOf, viewOfSuppressed } from "./neighbor/entry.ts";
import { hopOf, isFromUplink } from "./neighbor/hop.ts";
import type { HostRoutes } from "./neighbor/path.ts";
import { Neighbors } from "./neighbor/table.ts";
import { PlaceCounts } from "./place-counts.ts";
import type { LimitsConfig, NextHopProbeConfig } from "./plan.ts";
import { viewOfPeer } from "./resolution/peer-gateway.ts";
import type { Resolution } from "./resolution/resolution.ts";
import { Questions, Resolutions } from "./resolutions.ts";
import { PortSecurity } from "./security/port-security.ts";
import type { Stepwise } from "./sorted.ts";
import type { Timer, Timers } from "./timers.ts";

/** Most records of one round. */
export const BUDGET = 256;
/** A port that is down for longer has nothing to come back to (a tunnel's dead peer, a VM that was moved). */
export const SUSPENDED_MS = 10_000;

export interface AgentParts {
  readonly tables: Tables;
  readonly timers: Timers;
  readonly injector: Injector;
  readonly inventory: Inventory;
  /** control/routes/routes.ts. */
  readonly routes: HostRoutes & RouteFinder;
  readonly emit: Emit;
  /** This gateway's name. */
  readonly node: string;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly limits: LimitsConfig;
  /** Absent: next hops are not asked. */
  readonly nextHopProbe?: NextHopProbeConfig;
  /** Told of each ARP search that ended, for the histogram. */
  readonly onResolved?: (ms: number, result: "resolved" | "failed") => void;
  /** A datagram of `length` bytes was too big for the underlay on the way to `tunnel`. */
  readonly onTooBig?: (tunnel: TunnelPort, length: number) => void;
}

export class Agent {
  readonly macs: MacLearner;
  readonly neighbors: Neighbors;
  readonly resolutions: Resolutions;
  readonly advertiser: RouterAdvertiser;
  readonly icmp: Icmp;
  readonly icmp6: Icmp6;
  readonly pinger: Pinger;
  readonly dhcp: Dhcp;
  readonly security: PortSecurity;
  readonly ways: ErrorWays;
  readonly ledger: Ledger;
  /** Records that bring the first bytes of a frame: who hears of which kind. */
  readonly heads = new Map<number, (port: number, bytes: Uint8Array) => void>();
  private readonly parts: AgentParts;
  private readonly questions: Questions;
  /** Known neighbours. */
  private readonly known = new PlaceCounts();
  /** Ports that are down and may come back. */
  private readonly awaited = new Map<PortObject, Timer>();
  private nextRing = 0;

  constructor(parts: AgentParts) {
    const { tables, timers, injector, inventory, routes, emit, random, limits } = parts;
    this.parts = parts;
    this.ledger = new Ledger(tables.controlCounters, { examples: tables.examples.at(-1)!, timers });
    const seed = () => Math.floor(random() * 0x100000000) | 0;
    this.macs = new MacLearner(tables, timers, inventory, emit, limits, seed());
    this.security = new PortSecurity(tables, timers, inventory, emit, seed());
    this.heads.set(RECORD_UNBOUND, (port, bytes) => this.security.unbound(port, bytes));
    this.ways = new ErrorWays(tables, inventory, routes);
    this.pinger = new Pinger(injector, timers, random);
    this.icmp = new Icmp(injector, inventory, timers, this.ledger, emit, limits, this.ways, this.pinger);
    const { rate, reassembly } = this.icmp;
    this.icmp6 = new Icmp6({ ...parts, ledger: this.ledger, ways: this.ways, rate, reassembly, pinger: this.pinger });
    this.questions = new Questions(injector, inventory, timers, emit);
    const common = { injector, inventory, timers, emit };
    const { bindings } = this.security;
    this.advertiser = new RouterAdvertiser({ ...common, random });
    this.dhcp = new Dhcp({ ...common, ways: this.ways, macs: this.macs, bindings, node: parts.node });
    this.neighbors = new Neighbors({
      ...{ tables, timers, injector, emit, random },
      ledger: this.ledger,
      solicitor: this.questions,
      macs: this.macs,
      nextHopProbe: parts.nextHopProbe ?? { intervalMs: 0, multiplier: 3 },
      routes,
      unreachable: (frame) => this.icmpOf(frame).hostUnreachable(frame),
      onResolved: parts.onResolved ?? (() => undefined),
    });
    this.security.ask(this.neighbors, this.questions);
    this.neighbors.census.searchesOfUplink = limits.searchesOfUplink;
    this.macs.changes.follow((change) => {
      const arrival = arrivalOf(change);
      if (arrival !== null) this.neighbors.hint(arrival.vsi, arrival.mac, arrival.port, arrival.from);
    });
    this.neighbors.changes.follow(({ was, is }) => this.known.follow(was, is));
    const { macs, neighbors, ways } = this;
    const isRoutedBy = (iface: InterfaceObject, ip: Ip) => ways.isRoutedBy(iface, ip);
    this.resolutions = new Resolutions(this.questions, { ...common, macs, neighbors, isRoutedBy });
  }

  get arp(): Resolution {
    return this.resolutions.arp;
  }

  get nd(): Resolution {
    return this.resolutions.nd;
  }

  get nowMs(): number {
    return this.parts.timers.nowMs;
  }

  /** One round at time `nowMs`. @returns when the next timer is due, or null. */
  poll(nowMs: number): number | null {
    const { timers, injector, tables } = this.parts;
    timers.run(nowMs);
    const rings = tables.punts;
    let idle = 0;
    for (let n = 0; n < BUDGET && idle < rings.length; ) {
      const worker = this.nextRing;
      this.nextRing = (worker + 1) % rings.length;
      if (this.drainOne(rings[worker]!, worker)) {
        n++;
        idle = 0;
      } else idle++;
    }
    injector.flush();
    return timers.nextDue();
  }

  /** Are there records left that the round's budget did not reach? */
  more(): boolean {
    return this.parts.tables.punts.some((ring) => ring.peek() >= 0);
  }

  /** Where frames are kept beyond their batch: slots in use now (a ring has bytes, no slots), and how often there was no room. */
  stores(): { readonly pool: string; readonly inUse: number | null; readonly exhausted: number }[] {
    const { neighbors, parts } = this;
    const { reassembly } = this.icmp;
    return [
      { pool: "unresolved", inUse: neighbors.waiting, exhausted: neighbors.turnedAway },
      { pool: "reassembly", inUse: reassembly.size, exhausted: reassembly.refused },
      { pool: "inject", inUse: null, exhausted: parts.injector.refused },
    ];
  }

  /** Peers shall leave us as their next hop, or may come back. */
  setDraining(isDraining: boolean): void {
    this.resolutions.setDraining(isDraining);
  }

  /** Limits changed. */
  setLimits(limits: LimitsConfig): void {
    this.macs.setLimits(limits);
    this.icmp.setLimits(limits);
    this.neighbors.census.searchesOfUplink = limits.searchesOfUplink;
  }

  flushPort(port: PortObject): void {
    this.awaitPort(port, null);
    this.forgetBehind(behindPort(port, this.parts.inventory));
  }

  leaveTunnels(left: LeftTunnels): void {
    this.forgetBehind(behindLeft(left));
  }

  private forgetBehind(behind: Behind): void {
    for (const table of [this.macs, this.resolutions, this.neighbors]) table.forgetBehind(behind);
    for (const port of behind.ports) for (const each of [this.icmp, this.dhcp, this.advertiser]) each.flushPort(port);
  }

  // ---- what the gateway announces (topology/learners.ts) -----------------------------------------------------------
  announceAt(iface: InterfaceObject, port: PortObject, vsi: VsiObject): void {
    this.resolutions.announceAt(iface, port, vsi);
    this.advertiser.hello(iface, port, vsi);
  }

  announceNews(inventory: Inventory): void {
    this.resolutions.announceNews(inventory);
    this.advertiser.update(inventory);
  }

  announceInto(tunnel: PortObject): void {
    this.resolutions.announceInto(tunnel);
  }

  announceHosts(vsi: VsiObject): void {
    this.resolutions.announceHosts(vsi);
  }

  /** `port` is up (again). */
  portUp(port: PortObject): void {
    this.awaitPort(port, null);
    this.macs.portUp(port);
    this.neighbors.portUp(port);
  }

  /** `port` is down and may come back: MACs and neighbours behind it are out of use, and forgotten after SUSPENDED_MS. */
  suspendPort(port: PortObject): void {
    this.security.bindings.portDown(port);
    this.neighbors.suspendPort(port);
    this.macs.suspendPort(port);
    this.awaitPort(port, () => this.flushPort(port));
    this.resolutions.suspendPort(port);
    this.icmp.flushPort(port);
  }

  /** Run `end` when `port` has been down for SUSPENDED_MS; null: it is not waited for any more. */
  private awaitPort(port: PortObject, end: (() => void) | null): void {
    const { timers } = this.parts;
    const awaited = this.awaited.get(port);
    if (awaited !== undefined) timers.cancel(awaited);
    if (end === null) this.awaited.delete(port);
    else this.awaited.set(port, timers.after(SUSPENDED_MS, end));
  }

  /** Forget everything about a VSI: pinned MACs too. */
  flushVsi(vsi: VsiObject): void {
    this.macs.flushVsi(vsi);
    this.resolutions.flushVsi(vsi);
    this.neighbors.flushVsi(vsi);
    this.known.forget(vsi);
  }

  /** Forget what is known on a VSI-interface of addresses that are touched: pinned neighbours too. */
  flushInterface(iface: InterfaceObject, isTouched: (ip: Ip) => boolean = () => true): void {
    this.neighbors.flushInterface(iface, isTouched);
    this.resolutions.flushInterface(iface, isTouched);
    this.dhcp.flushInterface(iface);
  }

  /** Ask the host at `place` once whether it still has `ip`; its answer is heard like any other. */
  askHost(iface: InterfaceObject, ip: Ip, place: Place): void {
    this.questions.at(iface, ip, place);
  }

  /** Neighbours and peer gateways (D4). */
  neighborViews(): NeighborView[] {
    const { nowMs } = this.parts.timers;
    return [
      ...Array.from(this.neighbors.all(), (entry) => viewOf(entry, nowMs)),
      ...Array.from(this.resolutions.peers(), (peer) => viewOfPeer(peer, nowMs)),
    ];
  }

  /** All neighbour tables: by VSI-interface and VSI in the order of `compare`, and by IP. */
  arpTable(compare: (a: string, b: string) => number): Stepwise<NeighborView> {
    const { neighbors, resolutions } = this;
    const tables = [neighbors.all(), resolutions.peers(), resolutions.suppressed()];
    return arpTable(
      tables,
      compare,
      (entry) => !neighbors.has(entry),
      () => this.nowMs,
    );
  }

  /** Neighbours and peer gateways on `iface`, counted without being looked at. */
  neighborsOn(iface: InterfaceObject): number {
    return this.neighbors.countOn(iface) + this.resolutions.countPeersOn(iface);
  }

  /** Hosts that suppression answers for. */
  suppressedViews(): NeighborView[] {
    const { nowMs } = this.parts.timers;
    return Array.from(this.resolutions.suppressed(), (host) => viewOfSuppressed(host, nowMs));
  }

  /** Hosts that move too often to be believed: of each VSI the last MAC, and the last address. */
  dampedMoves(): DampedMoveView[] {
    return [...this.macs.damped.list(), ...this.neighbors.refusals.damped.list()];
  }

  /** Entries by VSI name and where they come from, for the gauges. */
  neighborCounts(): Map<string, Readonly<Record<string, number>>> {
    const all = new Map<string, Readonly<Record<string, number>>>();
    for (const [vsi, count] of this.known.list()) all.set(vsi, { ...count });
    for (const [vsi, suppressed] of this.resolutions.suppressedCounts())
      all.set(vsi, { ...(all.get(vsi) ?? { local: 0, remote: 0, static: 0 }), suppressed });
    return all;
  }

  /** Control's page of the ledger: 0 between rounds. */
  imbalance(): number {
    return this.ledger.imbalance();
  }

  /** Handle the oldest record of `ring`. @returns false when there is none. */
  private drainOne(ring: Ring, worker: number): boolean {
    const at = ring.peek();
    if (at < 0) return false;
    const w = ring.words;
    const kind = w[at + records.R_KIND]!;
    const arg = w[at + records.R_ARG]!;
    const arg2 = w[at + records.R_ARG2]!;
    const onHead = this.heads.get(kind);
    if (onHead !== undefined) onHead(w[at + records.R_PORT]!, bytesOf(ring, at));
    else if (kind >= RECORD_LEARN)
      this.note(kind, w[at + records.R_VSI]!, w[at + records.R_PORT]!, arg, arg2, w[at + records.R_FLAGS]!);
    else {
      const frame = heldFrameAt(ring, at, worker);
      this.ledger.drained(frame.units);
      const { injector } = this.parts;
      injector.cause = frame.watchId;
      const fate = this.dispatch(kind, frame, arg, arg2);
      injector.cause = 0;
      if (fate > 0) this.ledger.dropped(fate, frame);
      else if (fate === CONSUMED) this.ledger.consumed(frame.units);
      else if (fate === REINJECTED) this.ledger.reinjected(frame.units);
    }
    ring.release(at);
    return true;
  }

  private dispatch(kind: number, frame: HeldFrame, arg: number, arg2: number): Fate {
    switch (kind) {
      case PUNT.arp:
        return this.arp.handle(frame);
      case PUNT.unresolved: {
        const hop = hopOf(frame.bytes, arg, arg2, this.parts.inventory, this.neighbors);
        // The next hop's VSI-interface has gone: what is left is a packet without a route.
        return hop === null
          ? this.icmpOf(frame).unreachable(frame, CODE_NET_UNREACHABLE)
          : this.neighbors.need(hop.iface, hop.ip, frame, isFromUplink(frame, this.parts.inventory), hop.behind);
      }
      case PUNT.local:
        return this.dhcp.local(frame, arg) ?? this.icmpOf(frame).local(frame, arg);
      case PUNT.ttl:
        return this.icmpOf(frame).ttl(frame);
      case PUNT.unreachable:
        return this.icmpOf(frame).unreachable(frame, arg);
      case PUNT.mtu:
        return this.icmpOf(frame).tooBig(frame, arg, arg2);
      case PUNT.dhcp:
        return this.dhcp.broadcast(frame);
      case PUNT.nd:
        finishChecksum(frame);
        return isRouterSolicitation(frame) ? this.advertiser.solicited(frame) : this.nd.handle(frame);
      default:
        throw new Error(`punt ring of worker ${frame.worker}: no record of kind ${kind}`);
    }
  }

  private icmpOf(frame: HeldFrame): Icmp | Icmp6 {
    return isIpv6(frame) ? this.icmp6 : this.icmp;
  }

  /** Records that are no frames. */
  private note(kind: number, vsi: number, portRow: number, arg: number, arg2: number, type: number): void {
    const { inventory, emit, onTooBig } = this.parts;
    if (kind === RECORD_LEARN) {
      this.macs.learn(vsi, portRow, arg, arg2, type);
      return;
    }
    const port = inventory.ports.get(portRow);
    if (port === undefined) return;
    if (kind === RECORD_TOO_BIG && port.kind === "tunnel") {
      emit("warn", "underlay.mtu", { tunnel: port.name, bytes: arg });
      onTooBig?.(port, arg);
    } else if (kind === RECORD_STALE) {
      const hop = this.neighbors.nextHop(arg);
      if (hop !== null) this.neighbors.doubt(hop.iface, hop.ip, port);
    }
  }
}
