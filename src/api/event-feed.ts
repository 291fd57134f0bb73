/**
 * Events for people who look on: the last ones of control and of the daemon, and everything as it happens.
 *
 * Control emits far more than the log keeps (levels do not matter here). RECENT records are kept for those who come late;
 * where there is no room, the oldest of the event that has most goes, so that a storm of one pushes no other out; those who follow get them as they come. A follower is bounded three ways: at most PER_SECOND records a second
 * of one kind (event and reason), a queue of bounded bytes (line-stream.ts), and nothing at all that its filter does not
 * want; what was left out for the first two reasons is told as an event `suppressed` with a count.
 *
 * Dropped frames have a shelf of their own, so that an attack does not push everything else out: the last RECENT_DROPS, at
 * most DROPS_PER_SECOND a second of one reason, the rest as a number. Control's drops are always there; those of the data
 * plane, which tells nothing while it is not watched, only if a client followed.
 *
 * Records are numbered in the order in which they were told here, so that a client that was away can say what it has seen: it
 * gets what is kept since then, hears how many are not, and misses nothing between that and what comes.
 */
import type { Emit, EventFields } from "../control/event.ts";
import { formatIp, parseIp } from "../control/ip.ts";
import type { Level, Log } from "../log/log.ts";
import { type EventQuery, type EventRecord, SINCE } from "./schema-watch.ts";

/** A record that has no number yet. */
export type Unnumbered = Omit<EventRecord, "seq">;

export const RECENT = 256;
export const PER_SECOND = 50;
export const RECENT_DROPS = 64;
export const DROPS_PER_SECOND = 4;

/** @returns false: it could not be taken, and is lost. */
export type EventSink = (record: EventRecord) => boolean;

type Filter = (record: Unnumbered) => boolean;

/** What `query` wants. */
export function filterOf(query: EventQuery): Filter {
  const { ac, tunnel, vsi, event, drop, host, protocol } = query;
  const glob = event === undefined ? null : globOf(event);
  const naming = host === undefined ? null : namingOf(host);
  const ofProtocol = protocol === undefined ? null : new RegExp(`(^| )${protocol}6? `);
  const isHere: Filter = ({ event: name, fields }) =>
    (ac === undefined || fields.ac === ac) &&
    (tunnel === undefined || fields.tunnel === tunnel) &&
    (vsi === undefined || fields.vsi === vsi) &&
    (naming === null || Object.values(fields).some((value) => typeof value === "string" && naming.test(value))) &&
    (ofProtocol === null || name.startsWith(`${protocol}.`) || ofProtocol.test(String(fields.frame ?? "")));
  return (record) => {
    const { event: name, fields } = record;
    const kinds = name === "suppressed" ? [name, String(fields.of)] : [name];
    if (glob !== null && !kinds.some((kind) => glob.test(kind))) return false;
    if (drop === "1" && !kinds.includes("drop")) return false;
    // What was left out may have been of any place.
    return name === "suppressed" || (name === "drop" && fields.reason === null) || isHere(record);
  };
}

/** Does a text name the address? Not as a part of another one. */
function namingOf(host: string): RegExp {
  const ip = parseIp(host);
  const text = (ip === null ? host : formatIp(ip)).replaceAll(".", "\\.");
  return typeof ip === "bigint"
    ? new RegExp(`(?<![0-9a-f:.])${text}(?!:?[0-9a-f]|::)`)
    : new RegExp(`(^|[^0-9.])${text}($|[^0-9.])`);
}

function globOf(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, ".*")}$`);
}

function suppressedOf(of: Unnumbered, time: string, count: number): Unnumbered {
  const fields = { of: of.event, reason: of.fields.reason ?? null, count };
  return { time, level: "warn", event: "suppressed", step: null, fields };
}

interface Entry {
  readonly seq: number;
  readonly atMs: number;
  readonly level: Level;
  readonly event: string;
  readonly fields: EventFields;
}

/** The last events, and of each its share. */
class RecentShelf {
  /** By event, oldest first. */
  private readonly ofEvent = new Map<string, Entry[]>();
  private size = 0;

  keep(entry: Entry): void {
    let own = this.ofEvent.get(entry.event);
    if (own === undefined) {
      own = [];
      this.ofEvent.set(entry.event, own);
    }
    own.push(entry);
    if (this.size < RECENT) this.size++;
    else this.longest(own).shift();
  }

  /** Oldest first. */
  list(): Entry[] {
    return [...this.ofEvent.values()].flat().sort((a, b) => a.seq - b.seq);
  }

  private longest(own: Entry[]): Entry[] {
    let most = own;
    for (const each of this.ofEvent.values()) if (each.length > most.length) most = each;
    return most;
  }
}

/** The last dropped frames. */
class DropShelf {
  private records: EventRecord[] = [];
  private second = 0;
  private readonly told = new Map<unknown, { count: number; left: number; record: EventRecord }>();
  private lastSeq = 0;

  /** Is there room for another one of `reason` in this second? Counts it if there is none. */
  wants(reason: string, nowMs: number): boolean {
    this.settle(nowMs);
    const told = this.told.get(reason);
    if (told === undefined || told.count < DROPS_PER_SECOND) return true;
    told.left++;
    return false;
  }

  keep(record: EventRecord): void {
    const reason = record.fields.reason;
    const told = this.told.get(reason) ?? { count: 0, left: 0, record };
    told.count++;
    this.told.set(reason, told);
    this.lastSeq = record.seq;
    this.push(record);
  }

  /** Oldest first. */
  list(nowMs: number): readonly EventRecord[] {
    this.settle(nowMs);
    return this.records.slice(-RECENT_DROPS);
  }

  /** A new second: say what the last one left out. */
  private settle(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second === this.second) return;
    this.second = second;
    const time = new Date(nowMs).toISOString();
    for (const { left, record } of this.told.values())
      if (left > 0) this.push({ seq: this.lastSeq, ...suppressedOf(record, time, left) });
    this.told.clear();
  }

  private push(record: EventRecord): void {
    this.records.push(record);
    if (this.records.length > 2 * RECENT_DROPS) this.records = this.records.slice(-RECENT_DROPS);
  }
}

class Follower {
  private readonly sink: EventSink;
  private readonly filter: Filter;
  private readonly told = new Map<string, { count: number; left: number; record: Unnumbered }>();

  constructor(query: EventQuery, sink: EventSink) {
    this.filter = filterOf(query);
    this.sink = sink;
  }

  tell(record: EventRecord): void {
    if (!this.filter(record)) return;
    const kind = this.kindOf(record);
    if (kind.count++ >= PER_SECOND || !this.sink(record)) kind.left++;
  }

  /** One that is kept, from before. */
  retell(record: EventRecord): void {
    if (this.filter(record) && !this.sink(record)) this.kindOf(record).left++;
  }

  /** `count` records like this one were never made; one without a reason stands for drops of any place. */
  left(record: Unnumbered, count: number): void {
    if (this.filter(record)) this.kindOf(record).left += count;
  }

  /** A second is over; `seq`: number of the last record. */
  settle(time: string, seq: number): void {
    const all = [...this.told.values()];
    this.told.clear();
    for (const { left, record } of all) {
      if (left === 0) continue;
      if (!this.sink({ seq, ...suppressedOf(record, time, left) })) this.left(record, left);
    }
  }

  private kindOf(record: Unnumbered) {
    const key = `${record.event} ${record.fields.reason ?? ""}`;
    const known = this.told.get(key);
    if (known !== undefined) return known;
    const kind = { count: 0, left: 0, record };
    this.told.set(key, kind);
    return kind;
  }
}

export class EventFeed {
  readonly bootId: string;
  private readonly now: () => number;
  private readonly kept = new RecentShelf();
  private readonly drops = new DropShelf();
  private readonly followers = new Set<Follower>();
  private timer: NodeJS.Timeout | null = null;
  /** Number of the last record. */
  private seq = 0;

  /** @param now milliseconds since 1970. @param bootId of this run of the daemon: numbers begin anew with another one. */
  constructor(now: () => number, bootId = "0") {
    this.now = now;
    this.bootId = bootId;
  }

  /** Something happened. */
  note(level: Level, event: string, fields: EventFields): void {
    const entry = { seq: ++this.seq, atMs: this.now(), level, event, fields };
    this.kept.keep(entry);
    if (this.followers.size > 0) this.tell(recordOf(entry));
  }

  /** A frame was dropped for `reason`; the record is made only if somebody wants it. */
  dropped(reason: string, make: () => Unnumbered): void {
    const isKept = this.drops.wants(reason, this.now());
    if (!isKept && this.followers.size === 0) return;
    const record = { seq: ++this.seq, ...make() };
    if (isKept) this.drops.keep(record);
    this.tell(record);
  }

  private tell(record: EventRecord): void {
    for (const follower of this.followers) follower.tell(record);
  }

  /** `count` records like this one could not be made. */
  left(record: Unnumbered, count: number): void {
    for (const follower of this.followers) follower.left(record, count);
  }

  /** The last records that `query` wants, oldest first. */
  recent(query: EventQuery): EventRecord[] {
    const { after } = this.sinceOf(query);
    const order = this.keptAfter(after);
    // Stable: records of one millisecond stay in their order.
    const inTime = order.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    return inTime.filter(filterOf(query));
  }

  /** Records from now on; with `since`, those that are kept after that one first. @returns ends it. */
  follow(query: EventQuery, sink: EventSink): () => void {
    const follower = new Follower(query, sink);
    if (query.since !== undefined) this.catchUp(follower, query, sink);
    this.followers.add(follower);
    this.timer ??= setInterval(() => this.settle(), 1000).unref();
    return () => {
      this.followers.delete(follower);
      if (this.followers.size > 0 || this.timer === null) return;
      clearInterval(this.timer);
      this.timer = null;
    };
  }

  private settle(): void {
    const time = new Date(this.now()).toISOString();
    for (const follower of this.followers) follower.settle(time, this.seq);
  }

  /** Everything that is kept with a number above `after`, in the order of numbers. */
  private keptAfter(after: number): EventRecord[] {
    const events = this.kept.list().filter(({ seq }) => seq > after);
    const drops = this.drops.list(this.now()).filter(({ seq }) => seq > after);
    return [...events.map(recordOf), ...drops].sort((a, b) => a.seq - b.seq);
  }

  private catchUp(follower: Follower, query: EventQuery, sink: EventSink): void {
    const { after, isOfAnotherBoot } = this.sinceOf(query);
    const kept = this.keptAfter(after);
    const missing = this.seq - after - new Set(kept.map(({ seq }) => seq)).size;
    const time = new Date(this.now()).toISOString();
    const told = (reason: string, count: number) =>
      sink({ seq: after, time, level: "warn", event: "suppressed", step: null, fields: { of: "*", reason, count } });
    if (isOfAnotherBoot) told("the gateway has been started again since", Math.max(0, missing));
    else if (missing > 0) told("no longer kept", missing);
    for (const record of kept) follower.retell(record);
  }

  private sinceOf({ since }: EventQuery): { readonly after: number; readonly isOfAnotherBoot: boolean } {
    const [, boot = this.bootId, number = "0"] = SINCE.exec(since ?? "0") ?? [];
    const isOfAnotherBoot = boot !== this.bootId || Number(number) > this.seq;
    return { after: isOfAnotherBoot ? 0 : Number(number), isOfAnotherBoot };
  }
}

function recordOf(entry: Entry): EventRecord {
  const { step = null, ...fields } = entry.fields;
  const time = new Date(entry.atMs).toISOString();
  const { seq, level, event } = entry;
  return { seq, time, level, event, step: step === null ? null : String(step), fields };
}

/** `log`, with everything it is told told to `feed` as well. */
export function overheard(log: Log, feed: EventFeed): Log {
  const line: Log["line"] = (level, event, fields = {}) => {
    feed.note(level, event, fields);
    log.line(level, event, fields);
  };
  const emit: Emit = line;
  return {
    line,
    emit,
    setLevel: (level) => log.setLevel(level),
    get level() {
      return log.level;
    },
    get lost() {
      return log.lost;
    },
    drain: (ms) => log.drain(ms),
  };
}
