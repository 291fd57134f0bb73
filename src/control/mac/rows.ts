/**
 * The rows of the MAC table: the candidates of each (VSI, MAC), and the best of them as workers see it.
 *
 * The only writer of the MAC table. What is believed of whom is decided in learn.ts; here it is kept, ranked and published, a
 * change of place being one store.
 */
import { MAC_GATEWAY, macKey } from "../../tables/mac.ts";
import type { Tables } from "../../tables/tables.ts";
import { hiOf, loOf, type Mac } from "../../wire/ethernet.ts";
import { bump } from "../bump.ts";
import { Feed, kindOf } from "../feed.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import { LargeMap } from "../large-map.ts";
import { PatientWriter } from "../patient-writer.ts";
import type { Timers } from "../timers.ts";
import { bestOf, type Candidates, isEmpty, MAC_SOURCES, noCandidates } from "./candidates.ts";
import type { MacCause, MacChange } from "./change.ts";
import { type MacRow, type MacSource, originOf } from "./entry.ts";

export class MacRows {
  readonly ofVsi = new Map<VsiObject, LargeMap<Mac, Candidates>>();
  /** What becomes of the published rows. */
  readonly changes = new Feed<MacChange>();
  private readonly timers: Timers;
  private readonly writer: PatientWriter;
  private readonly learned = new Map<PortObject, number>();
  /** What any source says is behind a port: a tunnel that comes or goes with nothing behind it is no reason to look at all rows. */
  private readonly behind = new Map<PortObject, number>();
  /** MACs of gateways behind a tunnel, by VSI. */
  private readonly gateways = new Map<PortObject, Map<VsiObject, Set<Candidates>>>();
  private readonly said = new Map<VsiObject, number>();
  private saidCount = 0;
  private readonly saidLimit: number;
  private count = 0;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, seed: number) {
    this.timers = timers;
    this.saidLimit = tables.sizes.macs;
    this.writer = new PatientWriter(tables.macs, tables.heartbeat, timers, seed);
  }

  /** MACs of all VSIs. */
  get size(): number {
    return this.count;
  }

  /** The same without those that are said from outside: they have room of their own. */
  get own(): number {
    return this.count - this.saidCount;
  }

  /** MACs of `vsi` that frames or the configuration brought; what is said from outside does not count. */
  ownSize(vsi: VsiObject): number {
    return (this.ofVsi.get(vsi)?.size ?? 0) - (this.said.get(vsi) ?? 0);
  }

  /** MACs learned at `port`. */
  learnedAt(port: PortObject): number {
    return this.learned.get(port) ?? 0;
  }

  /** Does any source say that a MAC is at `port`? */
  isAnyAt(port: PortObject): boolean {
    return this.behind.has(port);
  }

  /** Gateways of `vsi` that are behind `tunnel`. */
  gatewaysAt(vsi: VsiObject, tunnel: PortObject): Iterable<Candidates> {
    return this.gateways.get(tunnel)?.get(vsi) ?? [];
  }

  find(vsi: VsiObject, mac: Mac): Candidates | undefined {
    return this.ofVsi.get(vsi)?.get(mac);
  }

  /** Has a worker seen a frame from `mac` at its published place since this was last asked? */
  takeHit(vsi: VsiObject, mac: Mac): boolean {
    return this.writer.takeHit(loOf(mac), macKey(vsi.row, hiOf(mac)));
  }

  /** What was heard of the MAC is of `port` now; a frame of EtherType `type` told so. */
  moveHeard(vsi: VsiObject, all: Candidates, port: PortObject, type: number): void {
    const from = all.heard!;
    const { nowMs } = this.timers;
    const previous = { port: from.port!, atMs: nowMs };
    all.heard = { ...from, port, type, heardMs: nowMs, sinceMs: nowMs, previous };
    this.tally(vsi, all, from, -1);
    this.tally(vsi, all, all.heard, 1);
    this.publish(vsi, all, "heard");
  }

  forgetVsi(vsi: VsiObject): void {
    for (const all of this.ofVsi.get(vsi)?.values() ?? [])
      for (const source of MAC_SOURCES) this.clear(vsi, all, source);
    this.ofVsi.delete(vsi);
  }

  published(vsi: VsiObject, mac: Mac): MacRow | null {
    return this.find(vsi, mac)?.published ?? null;
  }

  /** @param only those VSIs; null: all. */
  each(visit: (vsi: VsiObject, all: Candidates) => void, only: ReadonlySet<VsiObject> | null = null): void {
    for (const vsi of only ?? this.ofVsi.keys()) for (const all of this.ofVsi.get(vsi)?.values() ?? []) visit(vsi, all);
  }

  /** `source` says that `mac` is at `port`. @returns false when the table has no room for it. */
  put(vsi: VsiObject, mac: Mac, source: MacSource, port: PortObject | null, flags: number, type = 0): boolean {
    const rows = this.ofVsi.get(vsi) ?? new LargeMap<Mac, Candidates>();
    this.ofVsi.set(vsi, rows);
    const all = rows.get(mac) ?? noCandidates(mac);
    const old = all[source];
    if (source === "evpn" && old === null && this.saidCount >= this.saidLimit) return false;
    const { nowMs } = this.timers;
    // Not by a spread, which keeps part of the fields in an object of their own.
    const row: MacRow = {
      mac,
      source,
      origin: originOf(source, flags),
      port,
      flags,
      heardMs: nowMs,
      sinceMs: nowMs,
      type,
      previous: null,
      moves: null,
    };
    all[source] = row;
    if (!this.publish(vsi, all, source)) {
      all[source] = old;
      return false;
    }
    if (!rows.has(mac)) this.count++;
    rows.set(mac, all);
    if (old !== null) this.tally(vsi, all, old, -1);
    else if (source === "evpn") this.countSaid(vsi, 1);
    this.tally(vsi, all, row, 1);
    return true;
  }

  /** Make the best candidate the one that workers see, with one store. @returns false when the table has no room for it. */
  publish(vsi: VsiObject, all: Candidates, cause: MacCause): boolean {
    const [lo, key] = [loOf(all.mac), macKey(vsi.row, hiOf(all.mac))];
    const row = bestOf(all);
    const was = all.published;
    if (row === null) this.writer.remove(lo, key);
    else if (!this.writer.set(lo, key, (row.port?.row ?? 0) | row.flags)) return false;
    // A mark left by an earlier life of this row would make it look heard.
    if (row !== was) this.writer.takeHit(lo, key);
    const from = was?.port ?? null;
    if (row !== null && row !== was && from !== null && from !== row.port)
      row.previous = { port: from, atMs: this.timers.nowMs };
    all.published = row;
    const isOther = was?.port !== row?.port || was?.origin !== row?.origin;
    if (isOther && this.changes.isFollowed)
      this.changes.tell({ kind: kindOf(was, row), vsi, mac: all.mac, was, is: row, cause });
    return true;
  }

  /** `source` says nothing of it any more: the next best candidate is published. @returns false if it said nothing before. */
  clear(vsi: VsiObject, all: Candidates | undefined, source: MacSource): boolean {
    const row = all?.[source] ?? null;
    if (all === undefined || row === null) return false;
    all[source] = null;
    this.tally(vsi, all, row, -1);
    this.publish(vsi, all, "gone");
    if (source === "evpn") this.countSaid(vsi, -1);
    if (isEmpty(all)) {
      this.ofVsi.get(vsi)!.delete(all.mac);
      this.count--;
    }
    return true;
  }

  private countSaid(vsi: VsiObject, step: 1 | -1): void {
    bump(this.said, vsi, step);
    this.saidCount += step;
  }

  private tally(vsi: VsiObject, all: Candidates, { source, port, flags }: MacRow, step: 1 | -1): void {
    if (port === null) return;
    bump(this.behind, port, step);
    if (source === "heard") bump(this.learned, port, step);
    if (source === "pin" && flags === MAC_GATEWAY) this.noteGateway(vsi, all, port, step);
  }

  private noteGateway(vsi: VsiObject, all: Candidates, port: PortObject, step: 1 | -1): void {
    const ofPort = this.gateways.get(port) ?? new Map<VsiObject, Set<Candidates>>();
    const known = ofPort.get(vsi) ?? new Set<Candidates>();
    if (step === 1) known.add(all);
    else known.delete(all);
    if (known.size > 0) ofPort.set(vsi, known);
    else ofPort.delete(vsi);
    if (ofPort.size > 0) this.gateways.set(port, ofPort);
    else this.gateways.delete(port);
  }
}
