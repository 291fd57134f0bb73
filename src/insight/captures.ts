/**
 * The captures that run: what each wants of the frames that workers saw, and what all of them together want of the workers.
 *
 * A worker leaves out what no capture wants; what several want is sorted here, by the same comparison. A capture ends by itself
 * after so many frames or seconds, if it was asked to, with a line that says so.
 */
import type { CaptureLine, CaptureQuery } from "../api/schema-watch.ts";
import type { Begun, CaptureSink } from "../api/watch.ts";
import { portText } from "../control/event.ts";
import type { Inventory } from "../control/inventory.ts";
import { type Ip, parseIp } from "../control/ip.ts";
import { SET_WATCH_SNAP, type Tables } from "../tables/tables.ts";
import { DROP_SNAP } from "../tables/watch.ts";
import { FILTER_WORDS, isMeant, type Protocol, setFilter } from "../tables/watch-filter.ts";
import { base64, type FrameLine } from "./frame-line.ts";
import type { Seen } from "./seen.ts";

/** Most that run at once: each makes every frame that is seen dearer. */
export const CAPTURES = 16;

interface Capture {
  readonly sink: CaptureSink;
  /** Bridge ports and VSIs by row, hosts, protocols; null: all. */
  readonly ports: ReadonlySet<number> | null;
  readonly vsis: ReadonlySet<number> | null;
  readonly hosts: ReadonlySet<Ip> | null;
  readonly protocols: ReadonlySet<Protocol> | null;
  /** The last two for `isMeant`. */
  readonly filter: Int32Array;
  readonly dropsOnly: boolean;
  readonly snaplen: number;
  /** Frames until it ends. */
  left: number;
  frames: number;
  /** Since the last line that said so, and in all. */
  lost: number;
  lostInAll: number;
}

export class Captures {
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly onChange: () => void;
  private readonly all = new Set<Capture>();

  /** @param onChange a capture began or ended. */
  constructor(tables: Tables, inventory: Inventory, onChange: () => void) {
    this.tables = tables;
    this.inventory = inventory;
    this.onChange = onChange;
  }

  get size(): number {
    return this.all.size;
  }

  begin(query: CaptureQuery, node: string, sink: CaptureSink): Begun {
    if (this.all.size >= CAPTURES) return { busy: `${CAPTURES} captures run already` };
    const ports = this.portsOf(query);
    if (typeof ports === "string") return ports;
    const vsis = new Set<number>();
    for (const name of query.vsi ?? []) {
      const found = this.inventory.vsi(name);
      if (found === undefined) return `there is no VSI ${name}`;
      vsis.add(found.row);
    }
    const capture: Capture = {
      sink,
      ports: orAll(ports),
      vsis: orAll(vsis),
      hosts: orAll(new Set(query.host?.map((host) => parseIp(host)!))),
      protocols: orAll(new Set(query.protocol)),
      filter: new Int32Array(FILTER_WORDS),
      dropsOnly: query.drop === "1",
      snaplen: query.snaplen,
      left: query.count ?? Number.POSITIVE_INFINITY,
      frames: 0,
      lost: 0,
      lostInAll: 0,
    };
    setFilter(capture.filter, capture.protocols, capture.hosts);
    const shown = [...this.inventory.ports.values()].filter((port) => capture.ports?.has(port.row) ?? true);
    sink({ kind: "start", node, ports: shown.map(({ kind, name }) => ({ kind, name })) });
    this.all.add(capture);
    this.onChange();
    const late =
      query.seconds === undefined ? undefined : setTimeout(() => this.finish(capture, "seconds"), query.seconds * 1000);
    return () => {
      clearTimeout(late);
      if (this.all.delete(capture)) this.onChange();
    };
  }

  /** Tell the workers what they may leave out. */
  arrange(): void {
    const { settings, watch } = this.tables;
    const all = [...this.all];
    const wanted = (column: Uint8Array, rows: readonly (ReadonlySet<number> | null)[]) => {
      column.fill(rows.some((set) => set === null) ? 1 : 0);
      for (const set of rows) if (set !== null) for (const row of set) column[row] = 1;
    };
    wanted(
      watch.ports,
      all.map((capture) => capture.ports),
    );
    wanted(
      watch.vsis,
      all.map((capture) => capture.vsis),
    );
    setFilter(watch.filter, union(all.map(({ protocols }) => protocols)), union(all.map(({ hosts }) => hosts)));
    Atomics.store(settings, SET_WATCH_SNAP, Math.max(DROP_SNAP, ...all.map((capture) => capture.snaplen)));
  }

  /** To those that want it; `make` is called only for them. */
  give(seen: Seen, make: () => FrameLine): void {
    let line: FrameLine | null = null;
    for (const capture of this.all) {
      if (!wants(capture, seen)) continue;
      line ??= make();
      const kept = seen.bytes.length <= capture.snaplen ? line : { ...line, data: base64(seen.bytes, capture.snaplen) };
      if (capture.sink(kept)) capture.frames++;
      else this.lose(capture, 1);
      if (--capture.left === 0) this.finish(capture, "count");
    }
  }

  /** `frames` that the workers had no room for; and to each capture what it has lost so far. @returns was there anything to tell? */
  tellLost(frames: number): boolean {
    let isAny = frames > 0;
    for (const capture of this.all) {
      this.lose(capture, frames);
      isAny ||= capture.lost > 0;
      if (capture.lost > 0 && capture.sink({ kind: "lost", frames: capture.lost })) capture.lost = 0;
    }
    return isAny;
  }

  private lose(capture: Capture, frames: number): void {
    capture.lost += frames;
    capture.lostInAll += frames;
  }

  private finish(capture: Capture, reason: Extract<CaptureLine, { kind: "end" }>["reason"]): void {
    if (!this.all.delete(capture)) return;
    this.onChange();
    capture.sink({ kind: "end", reason, frames: capture.frames, lost: capture.lostInAll });
  }

  private portsOf({ ac = [], tunnel = [] }: CaptureQuery): Set<number> | string {
    const ports = new Set<number>();
    for (const [kind, list] of [["ac", ac] as const, ["tunnel", tunnel] as const])
      for (const name of list) {
        const port = this.inventory.port(kind, name);
        if (port === undefined) return `there is no ${portText({ kind, name })}`;
        ports.add(port.row);
      }
    return ports;
  }
}

function wants({ ports, vsis, dropsOnly, filter }: Capture, { port, vsi, fate, bytes }: Seen): boolean {
  if (!(ports?.has(port) ?? true) || !(vsis?.has(vsi) ?? true)) return false;
  return (!dropsOnly || fate > 0) && isMeant(filter, bytes, 0, bytes.length);
}

const orAll = <T>(set: ReadonlySet<T>) => (set.size === 0 ? null : set);

/** What any of them wants; null: all. */
function union<T>(sets: readonly (ReadonlySet<T> | null)[]): ReadonlySet<T> | null {
  const all = new Set<T>();
  for (const set of sets) {
    if (set === null) return null;
    for (const each of set) all.add(each);
  }
  return all.size === 0 ? null : all;
}
