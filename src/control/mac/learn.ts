/**
 * MAC learning: what workers saw, and what becomes of it (behaviour.md §4).
 *
 * A worker that meets a source MAC it does not know, or knows at another port, tells
 * (LEARN record); here it is decided: a new row within three limits (per AC, per VSI, in all), a move unless it moves too
 * often, or nothing. Gateway MACs and configured rows are never learned over: a host cannot take them (§3.8).
 *
 * Ageing is by source alone (sweep.ts). A full table does not learn, and the frames are flooded.
 *
 * A peer gateway's MAC is a row with MAC_GATEWAY and a port (D1): frames to it are routed when an AC sends them, because
 * a VM that moved here still has the old gateway's MAC. It never takes the place of a host's row on an AC.
 */
import { DROP } from "../../tables/counters.ts";
import { MAC_GATEWAY } from "../../tables/mac.ts";
import type { Tables } from "../../tables/tables.ts";
import { formatMac, isGroup, type Mac, macOf } from "../../wire/ethernet.ts";
import type { Behind } from "../behind.ts";
import { DampedMoves } from "../damped-moves.ts";
import type { Emit } from "../event.ts";
import type { Feed } from "../feed.ts";
import { gatewayMac } from "../gateway-mac.ts";
import { type Inventory, isPortOf, type PortObject, type TunnelPort, type VsiObject } from "../inventory.ts";
import { MoveHistory } from "../move-history.ts";
import { type PlaceCount, PlaceCounts } from "../place-counts.ts";
import type { LimitsConfig } from "../plan.ts";
import { rowsOf, STEP, type Stepwise, sorted } from "../sorted.ts";
import type { Timers } from "../timers.ts";
import { type Candidates, counting, MAC_SOURCES } from "./candidates.ts";
import { MacArrivals, type MacChange } from "./change.ts";
import { type MacRow, type MacStory, type MacView, storyOfMac, viewOfMac } from "./entry.ts";
import { type MacLimit, MacLimits } from "./limits.ts";
import { LoopedPorts } from "./looped.ts";
import { MacRows } from "./rows.ts";
import { type AgeingMac, MacSweep } from "./sweep.ts";

/** Peer gateways come and go with restarts; a hostile VTEP must not fill the table with them. */
const PEER_GATEWAYS_PER_TUNNEL = 4;

export class MacLearner {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly inventory: Inventory;
  private readonly emit: Emit;
  private limits: LimitsConfig;
  private readonly rows: MacRows;
  private readonly sweep: MacSweep;
  /** What a limit kept from being learned. */
  readonly limited: MacLimits;
  /** MACs that move too often. */
  readonly damped: DampedMoves;
  /** ACs in a loop: what is known elsewhere does not move there (loops.ts writes). */
  readonly looped = new LoopedPorts();
  private readonly arrivals: MacArrivals;
  private readonly placeCounts = new PlaceCounts();
  /** Rows that are said from outside by an operator, not by routes. */
  private readonly byHand = new WeakSet<MacRow>();

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, inventory: Inventory, emit: Emit, limits: LimitsConfig, seed: number) {
    this.tables = tables;
    this.timers = timers;
    this.inventory = inventory;
    this.emit = emit;
    this.limits = limits;
    this.limited = new MacLimits(timers, emit);
    this.damped = new DampedMoves(timers);
    this.rows = new MacRows(tables, timers, seed);
    this.arrivals = new MacArrivals(this.changes, emit);
    this.changes.follow(({ vsi, was, is }) => this.placeCounts.follow(was && { vsi, ...was }, is && { vsi, ...is }));
    this.sweep = new MacSweep(this.rows, timers, emit);
  }

  setLimits(limits: LimitsConfig): void {
    this.limits = limits;
  }

  /** Rows of all VSIs. */
  get size(): number {
    return this.rows.size;
  }

  /** What becomes of the published rows, whatever made it. */
  get changes(): Feed<MacChange> {
    return this.rows.changes;
  }

  /** Told at each sweep of the last part of a row's age. */
  get ageing(): Feed<AgeingMac> {
    return this.sweep.ageing;
  }

  /** MAC moves by VSI name, ever. */
  get moves(): ReadonlyMap<string, number> {
    return this.arrivals.moves;
  }

  /** Where frames to `mac` leave; null: not known, or it is a gateway's. */
  portOf(vsi: VsiObject, mac: Mac): PortObject | null {
    return this.rows.published(vsi, mac)?.port ?? null;
  }

  /** When `mac` last sent a frame by `port`; -Infinity: not that we remember; null: it is a gateway's, many hosts share it. */
  heardAt(vsi: VsiObject, mac: Mac, port: PortObject): number | null {
    const row = this.rows.published(vsi, mac);
    if (row === null) return port.kind === "tunnel" && mac === sharedGatewayMac(vsi) ? null : Number.NEGATIVE_INFINITY;
    if ((row.flags & MAC_GATEWAY) !== 0) return null;
    if (row.port !== port) return Number.NEGATIVE_INFINITY;
    if (this.rows.takeHit(vsi, mac)) row.heardMs = this.timers.nowMs;
    return row.heardMs;
  }

  /** A LEARN record: bridge port `portRow` sent a frame of this EtherType with this source MAC in VSI `vsiRow`. */
  learn(vsiRow: number, portRow: number, lo: number, hi: number, type = 0): void {
    const vsi = this.inventory.vsis.get(vsiRow);
    const port = this.inventory.ports.get(portRow);
    // The record may have waited while its port went away, and the row number be somebody else's by now.
    if (vsi === undefined || port === undefined || !isPortOf(port, vsi)) return;
    const mac = macOf(hi, lo);
    if (mac === 0 || isGroup(mac)) return;
    if (port.kind === "tunnel" && (vsi.config.evpn?.learning === "evpn" || mac === sharedGatewayMac(vsi))) return;
    const all = this.rows.find(vsi, mac);
    if (all !== undefined) this.giveUpSuspended(vsi, all, port);
    if (all?.pin != null) return;
    const heard = all?.heard ?? null;
    const isNew = all === undefined || heard === null;
    const isSaid = counting(all?.evpn ?? null) !== null;
    if (heard?.port === port) heard.heardMs = this.timers.nowMs;
    else if (this.looped.has(port) && !(isNew && !isSaid && this.looped.mayTeach(vsi, mac, port)))
      this.tables.controlCounters.refused[DROP.move_damped]!++;
    else if (isNew) this.add(vsi, port, mac, type);
    else this.move(vsi, all, heard, port, type);
  }

  /**
   * Add or replace a row that is not learned. `flags`: MAC_STATIC for a configured one, MAC_GATEWAY with port null for our
   * own gateway MAC, MAC_FLOOD | MAC_STATIC with port null for a selective-flood exception.
   * @returns false when the table has no room for it.
   */
  addStatic(vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number): boolean {
    return this.rows.put(vsi, mac, "pin", port, flags);
  }

  /** Remove what `addStatic` added: what else is known of the MAC holds again, and it may be learned. */
  removeStatic(vsi: VsiObject, mac: Mac): void {
    this.rows.clear(vsi, this.rows.find(vsi, mac), "pin");
  }

  /**
   * It is said from outside that host `mac` is behind `tunnel`: then it is no peer gateway's, as it may have been until now.
   * @param by routes of EVPN, or an operator; what one has said the other does not take back.
   * @returns false when the table has no room for it.
   */
  want(by: "evpn" | "hand", vsi: VsiObject, mac: Mac, tunnel: TunnelPort): boolean {
    const known = this.rows.find(vsi, mac);
    if (known?.pin?.port != null && known.pin.flags === MAC_GATEWAY) this.rows.clear(vsi, known, "pin");
    if (!this.rows.put(vsi, mac, "evpn", tunnel, 0)) return false;
    if (by === "hand") this.byHand.add(this.rows.find(vsi, mac)!.evpn!);
    return true;
  }

  /** Who says from outside where `mac` is; null: it is not said. */
  saidBy(vsi: VsiObject, mac: Mac): "evpn" | "hand" | null {
    const row = this.rows.find(vsi, mac)?.evpn ?? null;
    return row === null ? null : this.byHand.has(row) ? "hand" : "evpn";
  }

  /** It is not said any more. @returns false if it was not. */
  unwant(by: "evpn" | "hand", vsi: VsiObject, mac: Mac): boolean {
    return this.saidBy(vsi, mac) === by && this.rows.clear(vsi, this.rows.find(vsi, mac), "evpn");
  }

  /**
   * A peer gateway of `vsi` uses `mac` behind `tunnel` (D1).
   * @returns true if frames to it are routed from now on.
   */
  addPeerGateway(vsi: VsiObject, mac: Mac, tunnel: PortObject): boolean {
    const known = this.rows.published(vsi, mac);
    if (known !== null) {
      if (known.flags === MAC_GATEWAY && known.port === tunnel) {
        known.heardMs = this.timers.nowMs;
        return true;
      }
      const isTunnels = known.port?.kind === "tunnel" && (known.flags === 0 || known.flags === MAC_GATEWAY);
      if (!isTunnels) return false;
    }
    const others = [...this.rows.gatewaysAt(vsi, tunnel)].filter((each) => each.mac !== mac);
    if (others.length >= PEER_GATEWAYS_PER_TUNNEL) {
      others.sort((a, b) => a.pin!.heardMs - b.pin!.heardMs);
      this.rows.clear(vsi, others[0], "pin");
    }
    return this.rows.put(vsi, mac, "pin", tunnel, MAC_GATEWAY);
  }

  /**
   * Forget what was learned behind ports (one has been down for long, or went away, or tunnels left VSIs). Configured rows stay:
   * they go with removeStatic. What was said from outside stays too while the port exists, and counts again when it is up.
   */
  forgetBehind({ ports, vsis, isGone, has }: Behind): void {
    if (!ports.some((port) => this.rows.isAnyAt(port))) return;
    const isMeant = (row: MacRow | null, vsi: VsiObject) => row?.port != null && has(row.port, vsi);
    this.rows.each((vsi, all) => {
      if (isMeant(all.heard, vsi)) this.rows.clear(vsi, all, "heard");
      if (isMeant(all.pin, vsi) && all.pin?.flags === MAC_GATEWAY) this.rows.clear(vsi, all, "pin");
      if (!isMeant(all.evpn, vsi)) return;
      if (isGone) this.rows.clear(vsi, all, "evpn");
      else this.rows.publish(vsi, all, "port");
    }, vsis);
  }

  /** What is known to be behind `port` does not count while it is down (candidates.ts). */
  suspendPort(port: PortObject): void {
    this.republish(port);
  }

  /** It counts again. */
  portUp(port: PortObject): void {
    this.republish(port);
  }

  /** Forget what was learned in `vsi` behind these ports, which are in a loop: it was heard there and may live elsewhere. */
  forgetHeard(vsi: VsiObject, ports: ReadonlySet<PortObject>): void {
    for (const all of [...(this.rows.ofVsi.get(vsi)?.values() ?? [])]) {
      const port = all.heard?.port;
      if (port == null || !ports.has(port)) continue;
      this.looped.took(vsi, all.mac, port);
      this.rows.clear(vsi, all, "heard");
    }
  }

  /** Forget every row of `vsi`: it goes away. */
  flushVsi(vsi: VsiObject): void {
    this.rows.forgetVsi(vsi);
    this.sweep.forget(vsi);
    this.limited.forget(vsi);
    this.damped.forget(vsi);
    this.placeCounts.forget(vsi);
  }

  /** Forget learned rows: of one VSI, or of all. @returns how many. */
  flushLearned(only: VsiObject | null): number {
    let n = 0;
    this.rows.each((vsi, all) => {
      if ((only === null || vsi === only) && this.rows.clear(vsi, all, "heard")) n++;
    });
    return n;
  }

  /** Forget what an operator said from outside: of one VSI, or of all. @returns how many. */
  flushByHand(only: VsiObject | null): number {
    let n = 0;
    this.rows.each((vsi, { mac }) => {
      if ((only === null || vsi === only) && this.unwant("hand", vsi, mac)) n++;
    });
    return n;
  }

  /** Forget one learned row. @returns false if there is none. */
  delete(vsi: VsiObject, mac: Mac): boolean {
    const all = this.rows.find(vsi, mac);
    return all?.pin === null && this.rows.clear(vsi, all, "heard");
  }

  /** Of `vsi` those that are at its ACs, without the others being looked at for long. */
  *atAcs(vsi: VsiObject): Generator<Readonly<MacRow>> {
    for (const { published } of this.rows.ofVsi.get(vsi)?.values() ?? [])
      if (published?.port?.kind === "ac") yield published;
  }

  list(): MacView[] {
    return [...rowsOf(this.sorted((a, b) => (a < b ? -1 : 1)))];
  }

  /** By VSI in the order of `compare`, and by MAC; made as they are read. What goes meanwhile is left out. */
  *sorted(compare: (a: string, b: string) => number): Stepwise<MacView> {
    for (const vsi of sorted(this.rows.ofVsi.keys(), (a, b) => compare(a.name, b.name))) {
      yield STEP;
      if (vsi === STEP) continue;
      for (const all of sorted(this.rows.ofVsi.get(vsi)?.values() ?? [], (a, b) => a.mac - b.mac)) {
        if (all === STEP) yield STEP;
        else if (all.published !== null) yield viewOfMac(vsi.name, all.published, this.timers.nowMs);
      }
    }
  }

  /** All that is known of `mac`, in every VSI that knows it. */
  stories(mac: Mac): MacStory[] {
    const nowMs = this.timers.nowMs;
    return [...this.rows.ofVsi].flatMap(([vsi, rows]) => {
      const row = rows.get(mac)?.published ?? null;
      return row === null ? [] : [storyOfMac(vsi.name, row, nowMs)];
    });
  }

  /** Rows by VSI name and where they come from, for the gauges. */
  counts(): Map<string, PlaceCount> {
    return this.placeCounts.list();
  }

  private republish(port: PortObject): void {
    if (!this.rows.isAnyAt(port)) return;
    this.rows.each((vsi, all) => {
      if (MAC_SOURCES.some((source) => all[source]?.port === port)) this.rows.publish(vsi, all, "port");
    });
  }

  /** It speaks at `port`, so it does not come back with the port that it was behind and that is down: no move, it is new there. */
  private giveUpSuspended(vsi: VsiObject, all: Candidates, port: PortObject): void {
    const { heard, pin } = all;
    if (heard?.port != null && heard.port !== port && !heard.port.up) this.rows.clear(vsi, all, "heard");
    if (pin?.port != null && pin.flags === MAC_GATEWAY && !pin.port.up) this.rows.clear(vsi, all, "pin");
  }

  private add(vsi: VsiObject, port: PortObject, mac: Mac, type: number): void {
    const limit = this.limitOn(vsi, port);
    if (limit !== null || !this.rows.put(vsi, mac, "heard", port, 0, type)) this.refuse(vsi, port, mac, limit);
  }

  private move(vsi: VsiObject, all: Candidates, heard: MacRow, port: PortObject, type: number): void {
    const nowMs = this.timers.nowMs;
    heard.moves ??= new MoveHistory();
    if (heard.moves.isDamped(nowMs)) {
      this.tables.controlCounters.refused[DROP.move_damped]!++;
      const fields = { vsi: vsi.name, mac: formatMac(all.mac), from: heard.port!.name, to: port.name };
      this.emit("warn", "mac.damped", fields);
      this.damped.note(vsi, `MAC ${fields.mac}`, heard.port!, port);
      return;
    }
    const limit = this.acLimitOn(port);
    if (limit !== null) {
      this.refuse(vsi, port, all.mac, limit);
      return;
    }
    heard.moves.add(nowMs);
    this.rows.moveHeard(vsi, all, port, type);
  }

  /** The limit that keeps one more MAC from being learned at `port`, or null. */
  private limitOn(vsi: VsiObject, port: PortObject): MacLimit | null {
    const ofAc = this.acLimitOn(port);
    if (ofAc !== null) return ofAc;
    const [inVsi, ofVsi] = [this.rows.ownSize(vsi), vsi.config.mac.limit];
    if (inVsi >= ofVsi) return { key: "mac.limit", most: ofVsi };
    const most = this.tables.sizes.macs;
    return this.rows.own >= most ? { key: "limits.macs", most } : null;
  }

  private acLimitOn(port: PortObject): MacLimit | null {
    const most = this.limits.acMacs;
    return port.kind === "ac" && this.rows.learnedAt(port) >= most ? { key: "limits.acMacs", most } : null;
  }

  /** mac_limit counts MACs, not frames: the frame itself was flooded. `limit` null: the table is unsettled for a moment. */
  private refuse(vsi: VsiObject, port: PortObject, mac: Mac, limit: MacLimit | null): void {
    this.tables.controlCounters.refused[DROP.mac_limit]!++;
    if (limit !== null) this.limited.note(vsi, port, mac, limit);
  }
}

/**
 * The MAC that all gateways of `vsi` have with `mac: shared`, or null. A Border with a MAC of its own hears it behind every
 * tunnel at once; it is no host's, so it is not learned (frames to it go by adjacencies, which name the tunnel).
 */
function sharedGatewayMac(vsi: VsiObject): Mac | null {
  return vsi.config.vni === null ? null : gatewayMac("shared", "", vsi.config.vni, "");
}
