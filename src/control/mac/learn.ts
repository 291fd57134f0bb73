/**
 * MAC learning: what workers saw, and what becomes of it (behaviour.md §4).
 *
 * The only writer of the MAC table. A worker that meets a source MAC it does not know, or knows at another port, tells
 * (LEARN record); here it is decided: a new row within three limits (per AC, per VSI, in all), a move unless it moves too
 * often, or nothing. Gateway MACs and configured rows are never learned over: a host cannot take them (§3.8).
 *
 * Ageing is by source alone: workers set a row's hit byte when they see the MAC as source, a sweep reads and clears it.
 * A row not hit for the VSI's `ageSeconds` goes. A full table does not learn, and the frames are flooded.
 *
 * A peer gateway's MAC is a row with MAC_GATEWAY and a port (D1): frames to it are routed when an AC sends them, because
 * a VM that moved here still has the old gateway's MAC. It never takes the place of a host's row on an AC.
 */
import { DROP } from "../../tables/counters.ts";
import { MAC_GATEWAY, macKey } from "../../tables/mac.ts";
import type { Tables } from "../../tables/tables.ts";
import { formatMac, hiOf, isGroup, loOf, type Mac, macOf } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import { gatewayMac } from "../gateway-mac.ts";
import { type Inventory, isPortOf, type PortObject, type VsiObject } from "../inventory.ts";
import { MoveHistory } from "../move-history.ts";
import { PatientWriter } from "../patient-writer.ts";
import type { LimitsConfig } from "../plan.ts";
import type { Timers } from "../timers.ts";
import { type MacRow, type MacStory, type MacView, originOf, storyOfMac } from "./entry.ts";
import { type MacLimit, MacLimits } from "./limits.ts";

const SWEEP_MS = 1000;
/** Peer gateways come and go with restarts; a hostile VTEP must not fill the table with them. */
const PEER_GATEWAYS_PER_TUNNEL = 4;
/** Peers speak at least when their entries are probed. */
const PEER_GATEWAY_AGE_MS = 3600_000;

export class MacLearner {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly inventory: Inventory;
  private readonly emit: Emit;
  private readonly writer: PatientWriter;
  private limits: LimitsConfig;
  private readonly rows = new Map<VsiObject, Map<Mac, MacRow>>();
  private readonly learnedOf = new Map<PortObject, number>();
  private readonly sweepDue = new Map<VsiObject, number>();
  /** What a limit kept from being learned. */
  readonly limited: MacLimits;
  private count = 0;
  private news: (vsi: VsiObject, mac: Mac, port: PortObject, from: PortObject | null) => void = () => undefined;
  /** MAC moves by VSI name, ever. */
  readonly moves = new Map<string, number>();

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, inventory: Inventory, emit: Emit, limits: LimitsConfig, seed: number) {
    this.tables = tables;
    this.timers = timers;
    this.inventory = inventory;
    this.emit = emit;
    this.limits = limits;
    this.limited = new MacLimits(timers, emit);
    this.writer = new PatientWriter(tables.macs, tables.heartbeat, timers, seed);
    timers.every(SWEEP_MS, () => this.sweep());
  }

  setLimits(limits: LimitsConfig): void {
    this.limits = limits;
  }

  /** Rows of all VSIs. */
  get size(): number {
    return this.count;
  }

  /** Be told of each MAC that is learned, or moves (`from`: its port until now). */
  onNews(callback: (vsi: VsiObject, mac: Mac, port: PortObject, from: PortObject | null) => void): void {
    this.news = callback;
  }

  /** When `mac` last sent a frame by `port`; -Infinity: not that we remember; null: it is a gateway's, many hosts share it. */
  heardAt(vsi: VsiObject, mac: Mac, port: PortObject): number | null {
    const row = this.rows.get(vsi)?.get(mac);
    if (row === undefined)
      return port.kind === "tunnel" && mac === sharedGatewayMac(vsi) ? null : Number.NEGATIVE_INFINITY;
    if ((row.flags & MAC_GATEWAY) !== 0) return null;
    if (row.port !== port) return Number.NEGATIVE_INFINITY;
    if (this.writer.takeHit(loOf(mac), macKey(vsi.row, hiOf(mac)))) row.heardMs = this.timers.nowMs;
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
    if (port.kind === "tunnel" && mac === sharedGatewayMac(vsi)) return;
    const row = this.rows.get(vsi)?.get(mac);
    if (row === undefined) this.add(vsi, port, mac, type);
    else if (row.flags !== 0) return;
    else if (row.port === port) row.heardMs = this.timers.nowMs;
    else this.move(vsi, row, port, type);
  }

  /**
   * Add or replace a row that is not learned. `flags`: MAC_STATIC for a configured one, MAC_GATEWAY with port null for our
   * own gateway MAC, MAC_FLOOD | MAC_STATIC with port null for a selective-flood exception.
   * @returns false when the table has no room for it.
   */
  addStatic(vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number): boolean {
    return this.put(vsi, mac, port, flags);
  }

  /** Remove what `addStatic` added; the MAC may be learned again. */
  removeStatic(vsi: VsiObject, mac: Mac): void {
    const row = this.rows.get(vsi)?.get(mac);
    if (row !== undefined && row.flags !== 0) this.remove(vsi, row);
  }

  /**
   * A peer gateway of `vsi` uses `mac` behind `tunnel` (D1).
   * @returns true if frames to it are routed from now on.
   */
  addPeerGateway(vsi: VsiObject, mac: Mac, tunnel: PortObject): boolean {
    const known = this.rows.get(vsi)?.get(mac);
    if (known !== undefined) {
      if (known.flags === MAC_GATEWAY && known.port === tunnel) {
        known.heardMs = this.timers.nowMs;
        return true;
      }
      const isTunnels = known.port?.kind === "tunnel" && (known.flags === 0 || known.flags === MAC_GATEWAY);
      if (!isTunnels) return false;
    }
    const others = [...(this.rows.get(vsi)?.values() ?? [])].filter(
      (row) => row.flags === MAC_GATEWAY && row.port === tunnel && row.mac !== mac,
    );
    if (others.length >= PEER_GATEWAYS_PER_TUNNEL) {
      others.sort((a, b) => a.heardMs - b.heardMs);
      this.remove(vsi, others[0]!);
    }
    return this.put(vsi, mac, tunnel, MAC_GATEWAY);
  }

  /** Forget what was learned behind `port` (it went down, or away). Configured rows stay: they go with removeStatic. */
  flushPort(port: PortObject): void {
    for (const [vsi, rows] of this.rows)
      for (const row of rows.values())
        if (row.port === port && (row.flags === 0 || row.flags === MAC_GATEWAY)) this.remove(vsi, row);
  }

  /** Forget every row of `vsi`: it goes away. */
  flushVsi(vsi: VsiObject): void {
    for (const row of this.rows.get(vsi)?.values() ?? []) this.remove(vsi, row);
    this.rows.delete(vsi);
    this.sweepDue.delete(vsi);
    this.limited.forget(vsi);
  }

  /** Forget learned rows: of one VSI, or of all. @returns how many. */
  flushLearned(only: VsiObject | null): number {
    let n = 0;
    for (const [vsi, rows] of this.rows) {
      if (only !== null && vsi !== only) continue;
      for (const row of rows.values()) {
        if (row.flags !== 0) continue;
        this.remove(vsi, row);
        n++;
      }
    }
    return n;
  }

  /** Forget one learned row. @returns false if there is none. */
  delete(vsi: VsiObject, mac: Mac): boolean {
    const row = this.rows.get(vsi)?.get(mac);
    if (row === undefined || row.flags !== 0) return false;
    this.remove(vsi, row);
    return true;
  }

  list(): MacView[] {
    const views: MacView[] = [];
    for (const [vsi, rows] of this.rows) {
      for (const row of rows.values()) {
        const { port } = row;
        views.push({
          vsi: vsi.name,
          mac: formatMac(row.mac),
          via: port === null ? null : { kind: port.kind, name: port.name },
          origin: originOf(row),
          ageSeconds: row.flags === 0 ? Math.floor((this.timers.nowMs - row.heardMs) / 1000) : null,
        });
      }
    }
    return views;
  }

  /** All that is known of `mac`, in every VSI that knows it. */
  stories(mac: Mac): MacStory[] {
    const nowMs = this.timers.nowMs;
    return [...this.rows].flatMap(([vsi, rows]) => {
      const row = rows.get(mac);
      return row === undefined ? [] : [storyOfMac(vsi.name, row, nowMs)];
    });
  }

  /** Rows by VSI name and where they come from, for the gauges. */
  counts(): Map<string, { local: number; remote: number; static: number }> {
    const all = new Map<string, { local: number; remote: number; static: number }>();
    for (const [vsi, rows] of this.rows) {
      const count = { local: 0, remote: 0, static: 0 };
      for (const row of rows.values()) {
        if (row.flags !== 0) count.static++;
        else if (row.port?.kind === "ac") count.local++;
        else count.remote++;
      }
      all.set(vsi.name, count);
    }
    return all;
  }

  private add(vsi: VsiObject, port: PortObject, mac: Mac, type: number): void {
    const limit = this.limitOn(vsi, port);
    if (limit !== null || !this.put(vsi, mac, port, 0, type)) {
      this.refuse(vsi, port, mac, limit);
      return;
    }
    this.emit("debug", "mac.learned", { vsi: vsi.name, mac: formatMac(mac), [port.kind]: port.name });
    this.news(vsi, mac, port, null);
  }

  private move(vsi: VsiObject, row: MacRow, port: PortObject, type: number): void {
    const nowMs = this.timers.nowMs;
    const from = row.port!;
    row.moves ??= new MoveHistory();
    const fields = { vsi: vsi.name, mac: formatMac(row.mac), from: from.name, to: port.name };
    if (row.moves.isDamped(nowMs)) {
      this.tables.controlCounters.refused[DROP.move_damped]!++;
      this.emit("warn", "mac.damped", fields);
      return;
    }
    const limit = this.acLimitOn(port);
    if (limit !== null) {
      this.refuse(vsi, port, row.mac, limit);
      return;
    }
    row.moves.add(nowMs);
    this.tally(row, -1);
    row.previous = { port: from, atMs: nowMs };
    row.port = port;
    row.heardMs = nowMs;
    row.sinceMs = nowMs;
    row.type = type;
    this.tally(row, 1);
    this.store(vsi, row);
    this.moves.set(vsi.name, (this.moves.get(vsi.name) ?? 0) + 1);
    this.emit("info", "mac.moved", fields);
    this.news(vsi, row.mac, port, from);
  }

  /** The limit that keeps one more MAC from being learned at `port`, or null. */
  private limitOn(vsi: VsiObject, port: PortObject): MacLimit | null {
    const ofAc = this.acLimitOn(port);
    if (ofAc !== null) return ofAc;
    const [inVsi, ofVsi] = [this.rows.get(vsi)?.size ?? 0, vsi.config.mac.limit];
    if (inVsi >= ofVsi) return { key: "mac.limit", most: ofVsi };
    const most = this.tables.sizes.macs;
    return this.count >= most ? { key: "limits.macs", most } : null;
  }

  private acLimitOn(port: PortObject): MacLimit | null {
    const most = this.limits.acMacs;
    return port.kind === "ac" && (this.learnedOf.get(port) ?? 0) >= most ? { key: "limits.acMacs", most } : null;
  }

  /** mac_limit counts MACs, not frames: the frame itself was flooded. `limit` null: the table is unsettled for a moment. */
  private refuse(vsi: VsiObject, port: PortObject, mac: Mac, limit: MacLimit | null): void {
    this.tables.controlCounters.refused[DROP.mac_limit]!++;
    if (limit !== null) this.limited.note(vsi, port, mac, limit);
  }

  private put(vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number, type = 0): boolean {
    let rows = this.rows.get(vsi);
    if (rows === undefined) {
      rows = new Map();
      this.rows.set(vsi, rows);
    }
    const old = rows.get(mac);
    const { nowMs } = this.timers;
    const row: MacRow = { mac, port, flags, heardMs: nowMs, sinceMs: nowMs, type, previous: null, moves: null };
    if (!this.store(vsi, row)) return false;
    // A mark left by an earlier life of this row would make it look heard.
    this.writer.takeHit(loOf(mac), macKey(vsi.row, hiOf(mac)));
    if (old !== undefined) this.tally(old, -1);
    else this.count++;
    rows.set(mac, row);
    this.tally(row, 1);
    return true;
  }

  private store(vsi: VsiObject, row: MacRow): boolean {
    return this.writer.set(loOf(row.mac), macKey(vsi.row, hiOf(row.mac)), (row.port?.row ?? 0) | row.flags);
  }

  private remove(vsi: VsiObject, row: MacRow): void {
    this.writer.remove(loOf(row.mac), macKey(vsi.row, hiOf(row.mac)));
    this.rows.get(vsi)!.delete(row.mac);
    this.count--;
    this.tally(row, -1);
  }

  /** Learned MACs of an AC are limited; nothing else is counted per port. */
  private tally(row: MacRow, step: 1 | -1): void {
    if (row.flags !== 0 || row.port === null) return;
    const count = (this.learnedOf.get(row.port) ?? 0) + step;
    if (count === 0) this.learnedOf.delete(row.port);
    else this.learnedOf.set(row.port, count);
  }

  /** Read the hit bytes of the VSIs whose turn it is; a tenth of the age is precise enough. */
  private sweep(): void {
    const nowMs = this.timers.nowMs;
    for (const [vsi, rows] of this.rows) {
      if (nowMs < (this.sweepDue.get(vsi) ?? 0)) continue;
      const ageMs = vsi.config.mac.ageSeconds * 1000;
      this.sweepDue.set(vsi, nowMs + Math.min(30_000, Math.max(SWEEP_MS, ageMs / 10)));
      for (const row of rows.values()) {
        if (row.port === null || (row.flags !== 0 && row.flags !== MAC_GATEWAY)) continue;
        if (this.writer.takeHit(loOf(row.mac), macKey(vsi.row, hiOf(row.mac)))) row.heardMs = nowMs;
        else if (nowMs - row.heardMs >= (row.flags === 0 ? ageMs : PEER_GATEWAY_AGE_MS)) {
          this.remove(vsi, row);
          this.emit("debug", "mac.aged", { vsi: vsi.name, mac: formatMac(row.mac), [row.port.kind]: row.port.name });
        }
      }
    }
  }
}

/**
 * The MAC that all gateways of `vsi` have with `mac: shared`, or null. A Border with a MAC of its own hears it behind every
 * tunnel at once; it is nobody's, so it is not learned (frames to it go by adjacencies, which name the tunnel).
 */
function sharedGatewayMac(vsi: VsiObject): Mac | null {
  return vsi.config.vni === null ? null : gatewayMac("shared", "", vsi.config.vni, "");
}
