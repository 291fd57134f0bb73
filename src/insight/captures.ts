/**
 * The captures that run: what each wants of the frames that workers saw, and what all of them together want of the workers.
 *
 * A worker leaves out what no capture wants; what several want is sorted here, by the same comparison. A capture is of names: the
 * rows that have them are looked for again whenever a reload or a route gives or takes one. It ends by itself
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
  readonly named: Pick<CaptureQuery, "ac" | "tunnel" | "vsi">;
  /** Rows of the bridge ports and VSIs that are called so now; null: all. */
  ports: ReadonlySet<number> | null;
  vsis: ReadonlySet<number> | null;
  /** null: all. */
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
    inventory.renamed.follow(() => {
      if (this.all.size > 0) this.findRows();
    });
  }

  get size(): number {
    return this.all.size;
  }

  begin(query: CaptureQuery, node: string, sink: CaptureSink): Begun {
    if (this.all.size >= CAPTURES) return { busy: `${CAPTURES} captures run already` };
    const missing = this.missingOf(query);
    if (missing !== null) return missing;
    const capture: Capture = {
      sink,
      named: query,
      ...this.rowsOf(query),
      hosts: query.host === undefined ? null : new Set(query.host.map((host) => parseIp(host)!)),
      protocols: query.protocol === undefined ? null : new Set(query.protocol),
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
    this.findRows();
    setFilter(watch.filter, union(all.map(({ protocols }) => protocols)), union(all.map(({ hosts }) => hosts)));
    Atomics.store(settings, SET_WATCH_SNAP, Math.max(DROP_SNAP, ...all.map((capture) => capture.snaplen)));
  }

  private findRows(): void {
    for (const capture of this.all) Object.assign(capture, this.rowsOf(capture.named));
    const wanted = (column: Uint8Array, key: "ports" | "vsis") => {
      const sets = Array.from(this.all, (capture) => capture[key]);
      const next = new Uint8Array(column.length).fill(sets.includes(null) ? 1 : 0);
      for (const set of sets) for (const row of set ?? []) next[row] = 1;
      // In one go: a capture that runs misses nothing meanwhile.
      column.set(next);
    };
    wanted(this.tables.watch.ports, "ports");
    wanted(this.tables.watch.vsis, "vsis");
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

  /** What has a name that nothing has, or null. */
  private missingOf({ vsi = [], ...query }: CaptureQuery): string | null {
    const port = portsOf(query).find(({ kind, name }) => this.inventory.port(kind, name) === undefined);
    if (port !== undefined) return `there is no ${portText(port)}`;
    const missing = vsi.find((name) => this.inventory.vsi(name) === undefined);
    return missing === undefined ? null : `there is no VSI ${missing}`;
  }

  private rowsOf({ vsi = [], ...query }: Capture["named"]): Pick<Capture, "ports" | "vsis"> {
    const { inventory } = this;
    const ports = portsOf(query).map(({ kind, name }) => inventory.port(kind, name));
    return { ports: orAll(ports), vsis: orAll(vsi.map((name) => inventory.vsi(name))) };
  }
}

const portsOf = ({ ac = [], tunnel = [] }: Capture["named"]) => [
  ...ac.map((name) => ({ kind: "ac" as const, name })),
  ...tunnel.map((name) => ({ kind: "tunnel" as const, name })),
];

/** Rows of what was named, and is there; null: nothing was named. */
const orAll = (named: readonly ({ readonly row: number } | undefined)[]) =>
  named.length === 0 ? null : new Set(named.flatMap((each) => each?.row ?? []));

function wants({ ports, vsis, dropsOnly, filter }: Capture, { port, vsi, fate, bytes }: Seen): boolean {
  if (!(ports?.has(port) ?? true) || !(vsis?.has(vsi) ?? true)) return false;
  return (!dropsOnly || fate > 0) && isMeant(filter, bytes, 0, bytes.length);
}

/** What any of them wants; null: all. */
function union<T>(sets: readonly (ReadonlySet<T> | null)[]): ReadonlySet<T> | null {
  const all = new Set<T>();
  for (const set of sets) {
    if (set === null) return null;
    for (const each of set) all.add(each);
  }
  return all.size === 0 ? null : all;
}
