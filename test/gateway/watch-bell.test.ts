/** Watching costs main nothing while nothing comes: it sleeps until a worker rings, and what comes is told at once. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { EventFeed } from "../../src/api/event-feed.ts";
import type { CaptureLine } from "../../src/api/schema-watch.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { BELL_WANTED } from "../../src/tables/watch.ts";
import { article } from "./article.ts";
import type { World } from "./world.ts";

let world: World;
beforeEach(() => {
  vi.useFakeTimers();
  world = article();
});
afterEach(() => void vi.useRealTimers());

const gw1 = () => world.gateways.get("gw1")!;
const framesIn = (lines: readonly CaptureLine[]) => lines.filter((line) => line.kind === "frame");

it("while nothing comes main sleeps; what comes wakes it, and it sleeps again", async () => {
  const { watch } = gw1().tables;
  const lines: CaptureLine[] = [];
  const end = new WatchHub(gw1().control.shown, new EventFeed(() => Date.now()), "gw1").capture(
    { snaplen: 1000 },
    (line) => lines.push(line) > 0,
  );
  if (typeof end !== "function") throw new Error(JSON.stringify(end));
  for (const target of ["10.1.1.12", "20.1.1.12"]) {
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(200);
    expect([vi.getTimerCount(), watch.bell[0]]).toEqual([0, BELL_WANTED]);
    const before = framesIn(lines).length;
    world.get("vm1").ping(target);
    world.settle();
    expect(watch.bell[0]).toBe(0);
    // Only the bell can do it: no timer runs.
    await vi.waitUntil(() => framesIn(lines).length > before, { timeout: 5000, interval: 1 });
  }
  end();
  expect(vi.getTimerCount()).toBe(0);
});

it("a watcher that goes while main sleeps leaves no bell behind, and the next one is told", async () => {
  const { watch } = gw1().tables;
  const hub = new WatchHub(gw1().control.shown, new EventFeed(() => Date.now()), "gw1");
  const begin = (lines: CaptureLine[]) => {
    const end = hub.capture({ snaplen: 1000 }, (line) => lines.push(line) > 0);
    if (typeof end !== "function") throw new Error(JSON.stringify(end));
    return end;
  };
  const end = begin([]);
  vi.advanceTimersByTime(200);
  end();
  expect(watch.bell[0]).toBe(0);
  const lines: CaptureLine[] = [];
  begin(lines);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(1);
  world.get("vm1").ping("20.1.1.12");
  world.settle();
  vi.advanceTimersByTime(50);
  expect(framesIn(lines).length).toBeGreaterThan(0);
});
