/** Readiness and the first list of routes: awaited, but not for ever, and only once. */
import { expect, it } from "vitest";
import { FirstSync, stateText } from "../../src/evpn/first-sync.ts";
import { World } from "./site.ts";

const session = (state: string) => [{ address: "192.0.2.251", as: 65000, state, upSince: null, isComplete: false }];

it("a gateway is awaited until it is in sync, and never again, whatever its engine does", () => {
  const world = new World();
  const site = world.site();
  const { timers } = world;
  const first = new FirstSync(timers.nowMs);
  const { rib } = site.evpn;
  expect(first.isAwaited(rib, timers.nowMs)).toBe(true);
  expect(stateText(rib, "14 UNAVAILABLE: no such file")).toBe("waiting for the engine: 14 UNAVAILABLE: no such file");
  site.engine.start();
  world.pass(1000);
  expect(first.isAwaited(rib, timers.nowMs)).toBe(false);
  expect(stateText(rib, null)).toBe("in sync");
  site.engine.kill();
  world.pass(1000);
  expect(rib.state).toBe("stale");
  expect(first.isAwaited(rib, timers.nowMs)).toBe(false);
  expect(stateText(rib, "killed")).toBe("without its engine; entries are kept: killed");
});

it("a sync that was over before readiness was asked for counts too", () => {
  const first = new FirstSync(0);
  first.look({ state: "synced" });
  expect(first.isAwaited({ state: "stale", sessions: [] }, 1)).toBe(false);
});

it("without a session it is awaited 15 s, with one and many routes a minute", () => {
  const without = new FirstSync(0);
  expect(without.isAwaited({ state: "settling", sessions: session("active") }, 14_999)).toBe(true);
  expect(without.isAwaited({ state: "settling", sessions: session("active") }, 15_000)).toBe(false);
  const slow = new FirstSync(0);
  expect(slow.isAwaited({ state: "listing", sessions: session("established") }, 59_999)).toBe(true);
  expect(slow.isAwaited({ state: "listing", sessions: session("established") }, 60_000)).toBe(false);
});
