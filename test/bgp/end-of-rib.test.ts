/** When a peer has sent everything: by its mark, or by its silence. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { EndOfRib } from "../../src/bgp/end-of-rib.ts";

const TIMES = { quietMs: 2000, firstMs: 12_000, longestMs: 60_000 };
let told: [string, number][];
let ends: EndOfRib;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  told = [];
  ends = new EndOfRib(TIMES, (peer) => told.push([peer, performance.now()]));
  // There may be routes of a session before.
  ends.begin("z", 0);
  ends.forget("z");
});
afterEach(() => vi.useRealTimers());

it("waits for the first route of a peer that holds it back, and then for silence", () => {
  ends.begin("a", 0);
  vi.advanceTimersByTime(11_000);
  expect(told).toEqual([]);
  ends.busy("a");
  vi.advanceTimersByTime(1900);
  ends.busy("a");
  vi.advanceTimersByTime(1900);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(100);
  expect(told).toEqual([["a", 14_900]]);
  ends.busy("a");
  vi.advanceTimersByTime(100_000);
  expect(told.length).toBe(1);
});

it("takes a peer that sends nothing for one that has nothing, in the end", () => {
  ends.begin("a", 0);
  vi.advanceTimersByTime(12_000);
  expect(told).toEqual([["a", 12_000]]);
});

it("waits for silence alone before any session was lost: there are no routes to take away", () => {
  ends = new EndOfRib(TIMES, (peer) => told.push([peer, performance.now()]));
  ends.forget("a");
  ends.begin("a", 0);
  ends.begin("b", 0);
  vi.advanceTimersByTime(1900);
  ends.busy("b");
  vi.advanceTimersByTime(2000);
  expect(told).toEqual([
    ["a", 2000],
    ["b", 3900],
  ]);
  ends.clear();
  ends.begin("a", 0);
  vi.advanceTimersByTime(20_000);
  expect(told[2]).toEqual(["a", 15_900]);
  ends = new EndOfRib(TIMES, (peer) => told.push([peer, performance.now()]), true);
  ends.begin("a", 0);
  vi.advanceTimersByTime(20_000);
  expect(told[3]).toEqual(["a", 35_900]);
});

it("waits no longer than it must where routes never cease", () => {
  ends.begin("a", 0);
  for (let second = 0; second < 100; second++) {
    ends.busy("a");
    vi.advanceTimersByTime(1000);
  }
  expect(told).toEqual([["a", 60_000]]);
});

it("counts from when the session came up, also when that is told later", () => {
  ends.begin("a", 60_000);
  ends.begin("b", 0);
  ends.begin("c", 0);
  vi.advanceTimersByTime(1000);
  ends.age("b", 60_000);
  ends.age("c", 8000);
  ends.age("d", 60_000);
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual([
    ["a", 2000],
    ["b", 3000],
    ["c", 5000],
  ]);
});

it("believes a mark, and waits for those of a peer that has sent one before", () => {
  ends.begin("a", 0);
  ends.mark("a");
  expect(told).toEqual([["a", 0]]);
  ends.clear();
  // The engine is another one.
  ends.begin("a", 0);
  ends.busy("a");
  vi.advanceTimersByTime(30_000);
  ends.mark("a");
  ends.begin("a", 0);
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([
    ["a", 0],
    ["a", 30_000],
    ["a", 90_000],
  ]);
});

it("waits for none whose session is gone", () => {
  for (const peer of ["a", "b"]) ends.begin(peer, 0);
  ends.forget("a");
  ends.clear();
  for (const peer of ["a", "b"]) ends.busy(peer);
  vi.advanceTimersByTime(100_000);
  expect(told).toEqual([]);
});
