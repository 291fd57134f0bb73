/** Events for people who look on: kept, filtered, bounded, and honest about what was left out. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventFeed, filterOf, overheard, PER_SECOND, RECENT } from "../../src/api/event-feed.ts";
import { LineStream } from "../../src/api/line-stream.ts";
import type { EventRecord } from "../../src/api/schema-watch.ts";
import type { Log } from "../../src/log/log.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const record = (event: string, fields: EventRecord["fields"] = {}): EventRecord => ({
  seq: 1,
  time: "2026-01-01T00:00:00.000Z",
  level: "debug",
  event,
  step: null,
  fields,
});

describe("the feed", () => {
  it("keeps the last 256, oldest first, with the step apart", () => {
    const feed = new EventFeed(() => 1_000);
    for (let n = 0; n < RECENT + 44; n++) feed.note("debug", "mac.learned", { n, step: n === 299 ? "S1.2" : null });
    const recent = feed.recent({});
    expect(recent.length).toBe(RECENT);
    expect([recent[0]!.fields.n, recent.at(-1)!.fields.n]).toEqual([44, 299]);
    expect(recent.at(-1)).toEqual({
      seq: 300,
      time: "1970-01-01T00:00:01.000Z",
      level: "debug",
      event: "mac.learned",
      step: "S1.2",
      fields: { n: 299 },
    });
  });

  it("a storm of some events pushes no other event out", () => {
    const feed = new EventFeed(() => 1_000);
    feed.note("warn", "tunnel.down", { tunnel: "gw2" });
    for (let n = 0; n < 4 * RECENT; n++)
      for (const event of ["mac.learned", "arp.solicit", "neighbor.learned"]) feed.note("debug", event, { n });
    const recent = feed.recent({});
    expect(recent).toHaveLength(RECENT);
    expect(recent[0]).toMatchObject({ event: "tunnel.down", fields: { tunnel: "gw2" } });
    expect(recent.slice(-3).map(({ event, fields }) => `${event} ${fields.n}`)).toEqual([
      `mac.learned ${4 * RECENT - 1}`,
      `arp.solicit ${4 * RECENT - 1}`,
      `neighbor.learned ${4 * RECENT - 1}`,
    ]);
  });

  it("filters by AC, tunnel, VSI, name with *, and drops alone", () => {
    const wants = (query: Parameters<typeof filterOf>[0], one: EventRecord) => filterOf(query)(one);
    const one = record("mac.moved", { ac: "vm1", vsi: "vsi10" });
    expect(wants({ ac: "vm1", vsi: "vsi10", event: "mac.*" }, one)).toBe(true);
    expect(wants({ event: "*ed" }, one)).toBe(true);
    for (const query of [{ ac: "vm2" }, { tunnel: "vm1" }, { vsi: "vsi1" }, { event: "mac" }, { event: "m.c.moved" }])
      expect(wants(query, one), JSON.stringify(query)).toBe(false);
    expect(wants({ drop: "1" }, one)).toBe(false);
    expect(wants({ drop: "1" }, record("drop"))).toBe(true);
  });

  it("filters by what names an address, and by protocol: its events and dropped frames of it", () => {
    const wants = (query: Parameters<typeof filterOf>[0], one: EventRecord) => filterOf(query)(one);
    const learned = record("neighbor.learned", { ip: "10.1.1.1" });
    const dropped = record("drop", { frame: "udp 10.1.1.1:7 > 10.1.1.12:9 ttl 64, 84 bytes" });
    const host = (ip: string) => [learned, dropped].map((one) => wants({ host: ip }, one));
    expect(host("10.1.1.1")).toEqual([true, true]);
    expect(host("10.1.1.12")).toEqual([false, true]);
    for (const ip of ["0.1.1.1", "10.1.1.2", "1.1.1.1", "10.1.1"]) expect(host(ip), ip).toEqual([false, false]);
    const of = (protocol: "arp" | "udp") =>
      [learned, dropped, record("arp.solicit")].map((one) => wants({ protocol }, one));
    expect(of("udp")).toEqual([false, true, false]);
    expect(of("arp")).toEqual([false, false, true]);
  });

  it("leaves no hole between what was seen and what comes, and says how much is no longer kept", () => {
    const feed = new EventFeed(() => 1_000, "b1");
    for (let n = 1; n <= 10; n++) feed.note("info", n % 2 === 0 ? "even" : "odd", { n });
    const { seq: _, ...rest } = record("drop", { reason: "runt" });
    const drop = { ...rest, time: "1970-01-01T00:00:01.000Z" };
    feed.dropped("runt", () => drop);
    const follow = (since: string, event?: string) => {
      const seen: EventRecord[] = [];
      const end = feed.follow({ since, event }, (one) => seen.push(one) > 0);
      return { seen, end, told: () => seen.map(({ seq, event: name }) => `${seq} ${name}`) };
    };
    const all = follow("b1-8");
    const odd = follow("7", "odd");
    feed.note("info", "odd", { n: 12 });
    expect(all.told()).toEqual(["9 odd", "10 even", "11 drop", "12 odd"]);
    expect(odd.told()).toEqual(["9 odd", "12 odd"]);
    expect(feed.recent({ since: "b1-10" }).map(({ seq }) => seq)).toEqual([11, 12]);
    all.end();
    for (let n = 0; n < RECENT; n++) feed.note("debug", "mac.learned", {});
    // Eleven of other events hold their place, so as many of these have gone.
    const late = follow("b1-12");
    const gone = { event: "suppressed", fields: { of: "*", reason: "no longer kept", count: 11 } };
    expect(late.seen[0]).toMatchObject({ seq: 12, ...gone });
    expect(late.seen.length).toBe(1 + RECENT - 11);
    const later = follow("b1-9");
    expect(later.seen[0]).toMatchObject({ seq: 9, ...gone });
    expect(later.told().slice(1, 4)).toEqual(["10 even", "11 drop", "12 odd"]);
  });

  it("says that the gateway was started again, and tells what is kept of this run", () => {
    const feed = new EventFeed(() => 1_000, "b2");
    feed.note("info", "daemon.ready", {});
    for (const since of ["b1-1", "99"]) {
      const seen: EventRecord[] = [];
      feed.follow({ since }, (one) => seen.push(one) > 0)();
      expect(seen.map(({ event }) => event)).toEqual(["suppressed", "daemon.ready"]);
      expect(seen[0]!.fields).toEqual({ of: "*", reason: expect.stringContaining("started again"), count: 0 });
    }
  });

  it("bounds each kind to so many a second, and says how many it left out; other kinds go on", () => {
    const feed = new EventFeed(() => Date.now());
    const seen: EventRecord[] = [];
    const end = feed.follow({}, (one) => seen.push(one) > 0);
    for (let n = 0; n < 300; n++) feed.note("debug", "mac.learned", { n });
    feed.note("info", "ac.up", { ac: "vm1" });
    expect(seen.length).toBe(PER_SECOND + 1);
    vi.advanceTimersByTime(1000);
    expect(seen.at(-1)).toMatchObject({ event: "suppressed", fields: { of: "mac.learned", count: 300 - PER_SECOND } });
    feed.note("debug", "mac.learned", {});
    expect(seen.at(-1)!.event).toBe("mac.learned");
    end();
    feed.note("debug", "mac.learned", {});
    expect(seen.length).toBe(PER_SECOND + 3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a reader that takes nothing loses records, not memory, and is told when it reads again", () => {
    const feed = new EventFeed(() => Date.now());
    const seen: EventRecord[] = [];
    let full = true;
    feed.follow({}, (one) => !full && seen.push(one) > 0);
    for (let n = 0; n < 30; n++) feed.note("debug", "mac.learned", { n });
    vi.advanceTimersByTime(3000);
    full = false;
    vi.advanceTimersByTime(1000);
    expect(seen).toMatchObject([{ event: "suppressed", fields: { count: 30 } }]);
  });

  it("tells of lost drops, whose place is not known, every follower that wants drops", () => {
    const feed = new EventFeed(() => Date.now());
    const { seq: _, ...lost } = record("drop", { reason: null });
    const follow = (query: Parameters<typeof filterOf>[0]) => {
      const seen: EventRecord[] = [];
      feed.follow(query, (one) => seen.push(one) > 0);
      return () => seen.map(({ event, fields }) => `${event} ${fields.count}`);
    };
    const here = [
      { drop: "1", ac: "vm1" },
      { host: "10.1.1.1", vsi: "a" },
      { event: "drop", protocol: "arp" },
    ] as const;
    const told = here.map(follow);
    const others = follow({ event: "mac.*" });
    feed.left(lost, 5000);
    vi.advanceTimersByTime(1000);
    expect(told.map((each) => each())).toEqual(here.map(() => ["suppressed 5000"]));
    expect(others()).toEqual([]);
  });

  it("shows what was left out of the kept drops, whichever AC they are asked of", () => {
    let nowMs = 0;
    const feed = new EventFeed(() => nowMs);
    const { seq: _, ...drop } = record("drop", { reason: "runt", ac: "vm2", frame: "1 byte" });
    for (let n = 0; n < 30; n++) feed.dropped("runt", () => drop);
    nowMs = 1000;
    const events = (query: Parameters<typeof filterOf>[0]) => feed.recent(query).map(({ event }) => event);
    for (const query of [{ drop: "1", ac: "vm1" }, { ac: "vm1" }, { event: "drop", host: "10.1.1.1" }] as const)
      expect(events(query), JSON.stringify(query)).toEqual(["suppressed"]);
    expect(events({ event: "mac.*" })).toEqual([]);
  });

  it("hears what the log is told, whatever the log's level", () => {
    const log = {
      line: vi.fn(),
      emit: vi.fn(),
      setLevel: vi.fn(),
      level: "warn",
      lost: 0,
      drain: vi.fn(),
    } satisfies Log;
    const feed = new EventFeed(() => 0);
    const both = overheard(log, feed);
    both.emit("debug", "mac.learned", { vsi: "vsi10" });
    both.line("info", "daemon.ready");
    both.setLevel("debug");
    expect(feed.recent({}).map(({ event }) => event)).toEqual(["mac.learned", "daemon.ready"]);
    expect(log.line).toHaveBeenCalledTimes(2);
    expect([both.level, log.setLevel.mock.calls]).toEqual(["warn", [["debug"]]]);
  });
});

describe("a stream of lines", () => {
  it("holds a bounded number of bytes for a reader that is slow, and gives them in order", async () => {
    let over = 0;
    const stream = new LineStream(() => over++, 100);
    const taken = Array.from({ length: 30 }, (_, n) => stream.push(`line ${String(n).padStart(4, "0")}\n`));
    const accepted = taken.filter((is) => is).length;
    expect(accepted).toBeGreaterThanOrEqual(10);
    expect(accepted).toBeLessThan(15);
    const reader = stream.body.getReader();
    let text = "";
    for (let n = 0; n < accepted; n++) text += new TextDecoder().decode((await reader.read()).value);
    expect(text.split("\n").slice(0, 3)).toEqual(["line 0000", "line 0001", "line 0002"]);
    expect(stream.push("again\n")).toBe(true);
    await reader.cancel();
    expect(over).toBe(1);
    expect(stream.push("gone\n")).toBe(false);
  });
});
