/** Static routes and ECMP groups: next hops are held, dead ones leave the set, flows of living ones stay where they are. */
import { describe, expect, test } from "vitest";
import { routesDiff } from "../../src/config/diff.ts";
import type { Inventory } from "../../src/control/inventory.ts";
import type { RouteConfig } from "../../src/control/plan.ts";
import { NextHopGroups } from "../../src/control/routes/next-hop-group.ts";
import { Routes, routeValue } from "../../src/control/routes/routes.ts";
import { StaticRoutes } from "../../src/control/routes/static.ts";
import { Timers } from "../../src/control/timers.ts";
import {
  GROUP_WORDS,
  MAX_GROUPS,
  ROUTE_ADJACENCY,
  ROUTE_ARG_MASK,
  ROUTE_DISCARD,
  ROUTE_GROUP,
  ROUTE_KIND_SHIFT,
  ROUTE_PROHIBIT,
  ROUTE_UNREACHABLE,
  routeKey,
} from "../../src/tables/fib.ts";
import { createTables } from "../../src/tables/tables.ts";
import { FakeNextHops } from "./fake-next-hops.ts";
import { address, interfaceObject, inventoryOf, prefix } from "./inventory-bed.ts";

const if10 = interfaceObject("if10", 1, "10.1.1.1/24");
const if20 = interfaceObject("if20", 2, "20.1.1.1/24");

function setUp() {
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 64, routes: 1024 });
  const timers = new Timers(0);
  const routes = new Routes(tables, timers, () => undefined, 1);
  const hops = new FakeNextHops();
  const statics = new StaticRoutes(routes, hops, new NextHopGroups(tables, timers, hops));
  const inventory = inventoryOf(if10, if20);
  let before: readonly RouteConfig[] = [];
  const applyIn = (known: Inventory, isRehomed: boolean, ...wanted: RouteConfig[]) => {
    statics.apply(wanted, routesDiff(before, wanted), known, isRehomed, () => 0);
    before = wanted;
  };
  const apply = (...wanted: RouteConfig[]) => applyIn(inventory, false, ...wanted);
  const value = (text: string) => {
    const { network, length } = prefix(text);
    return tables.fib.routes.get(network, routeKey(0, length));
  };
  const group = (text: string) => {
    const found = value(text);
    expect(found >> ROUTE_KIND_SHIFT).toBe(ROUTE_GROUP);
    const at = (found & ROUTE_ARG_MASK) * GROUP_WORDS;
    return [...tables.fib.groups.subarray(at, at + GROUP_WORDS)];
  };
  return { tables, timers, hops, statics, inventory, apply, applyIn, value, group };
}

function route(text: string, ...nextHops: readonly string[]): RouteConfig {
  return { vrf: "main", prefix: prefix(text), target: { kind: "nextHops", nextHops: nextHops.map(hopConfig) } };
}

function hopConfig(text: string) {
  return { ...address(text), weight: 1, priority: 1, track: null, tunnel: null };
}

function answer(text: string, kind: "unreachable" | "prohibit" | "discard"): RouteConfig {
  return { vrf: "main", prefix: prefix(text), target: { kind } };
}

describe("static routes", () => {
  test("one next hop is an adjacency on the VSI-interface whose subnet contains it", () => {
    const { apply, value, hops } = setUp();
    apply(route("0.0.0.0/0", "10.1.1.2"), route("50.0.0.0/8", "20.1.1.2"));
    expect(hops.names()).toEqual(["if10 10.1.1.2", "if20 20.1.1.2"]);
    expect(value("0.0.0.0/0")).toBe(routeValue(ROUTE_ADJACENCY, hops.of("if10 10.1.1.2")));
    expect(value("50.0.0.0/8")).toBe(routeValue(ROUTE_ADJACENCY, hops.of("if20 20.1.1.2")));
  });

  test("unreachable, prohibit and discard", () => {
    const { apply, value, hops } = setUp();
    apply(answer("1.0.0.0/8", "unreachable"), answer("2.0.0.0/8", "prohibit"), answer("3.0.0.0/8", "discard"));
    expect(value("1.0.0.0/8")).toBe(routeValue(ROUTE_UNREACHABLE, 0));
    expect(value("2.0.0.0/8")).toBe(routeValue(ROUTE_PROHIBIT, 0));
    expect(value("3.0.0.0/8")).toBe(routeValue(ROUTE_DISCARD, 0));
    expect(hops.names()).toEqual([]);
  });

  test("a reload touches what differs, and lets go of every next hop that is not wanted", () => {
    const { apply, value, hops, statics } = setUp();
    apply(route("1.0.0.0/8", "10.1.1.2"), route("2.0.0.0/8", "10.1.1.2"), route("3.0.0.0/8", "10.1.1.3"));
    const before = value("1.0.0.0/8");
    apply(route("1.0.0.0/8", "10.1.1.2"), route("3.0.0.0/8", "10.1.1.4"), answer("4.0.0.0/8", "discard"));
    expect(value("1.0.0.0/8")).toBe(before);
    expect(value("2.0.0.0/8")).toBe(0);
    expect(value("3.0.0.0/8")).toBe(routeValue(ROUTE_ADJACENCY, hops.of("if10 10.1.1.4")));
    expect(hops.names()).toEqual(["if10 10.1.1.2", "if10 10.1.1.4"]);
    expect(hops.held.get(hops.of("if10 10.1.1.2"))!.count).toBe(1);
    apply();
    expect(hops.names()).toEqual([]);
    expect([...statics.hops()]).toEqual([]);
  });

  test("a VSI-interface that was made anew gets its next hops anew", () => {
    const { applyIn, hops, tables } = setUp();
    applyIn(inventoryOf(if10), true, route("0.0.0.0/0", "10.1.1.2"));
    const again = interfaceObject("again", 3, "10.1.1.1/24");
    applyIn(inventoryOf(again), true, route("0.0.0.0/0", "10.1.1.2"));
    expect(hops.names()).toEqual(["again 10.1.1.2"]);
    expect(tables.fib.routes.get(0, routeKey(0, 0))).toBe(routeValue(ROUTE_ADJACENCY, hops.of("again 10.1.1.2")));
  });
});

describe("ECMP", () => {
  test("next hops share the places evenly; a dead one's go to the living, the others keep theirs", () => {
    const { apply, group, hops } = setUp();
    apply(route("0.0.0.0/0", "10.1.1.2", "10.1.1.3", "10.1.1.4"));
    const [a, b, c] = ["10.1.1.2", "10.1.1.3", "10.1.1.4"].map((text) => hops.of(`if10 ${text}`));
    const full = group("0.0.0.0/0");
    const shares = [a, b, c].map((each) => full.filter((member) => member === each).length);
    expect([...shares].sort()).toEqual([21, 21, 22]);
    hops.set(b!, false);
    const without = group("0.0.0.0/0");
    expect(without).toHaveLength(full.length);
    expect(without).not.toContain(b);
    for (const [i, member] of full.entries()) if (member !== b) expect(without[i]).toBe(member);
    hops.set(a!, false);
    expect(new Set(group("0.0.0.0/0"))).toEqual(new Set([c]));
    hops.set(c!, false);
    // All dead: all stay, so that packets make control ask again.
    expect(group("0.0.0.0/0")).toEqual(full);
    for (const each of [a, b, c]) hops.set(each!, true);
    expect(group("0.0.0.0/0")).toEqual(full);
  });

  test("a standby next hop is used while the others are dead; another weight is another set", () => {
    const { apply, group, hops } = setUp();
    const set = (...nextHops: { text: string; weight?: number; priority?: number }[]): RouteConfig => ({
      vrf: "main",
      prefix: prefix("0.0.0.0/0"),
      target: { kind: "nextHops", nextHops: nextHops.map(({ text, ...more }) => ({ ...hopConfig(text), ...more })) },
    });
    apply(set({ text: "10.1.1.2" }, { text: "10.1.1.3", priority: 2 }));
    const [a, b] = ["10.1.1.2", "10.1.1.3"].map((text) => hops.of(`if10 ${text}`));
    expect(new Set(group("0.0.0.0/0"))).toEqual(new Set([a]));
    hops.set(a!, false);
    expect(new Set(group("0.0.0.0/0"))).toEqual(new Set([b]));
    hops.set(a!, true);
    expect(new Set(group("0.0.0.0/0"))).toEqual(new Set([a]));
    apply(set({ text: "10.1.1.2", weight: 3 }, { text: "10.1.1.3" }));
    expect(group("0.0.0.0/0").filter((each) => each === a)).toHaveLength(48);
  });

  test("routes with the same set share its group; the last one takes it along", () => {
    const { apply, value, hops, statics } = setUp();
    apply(route("1.0.0.0/8", "10.1.1.2", "10.1.1.3"), route("2.0.0.0/8", "10.1.1.2", "10.1.1.3"));
    expect(value("1.0.0.0/8")).toBe(value("2.0.0.0/8"));
    const before = value("1.0.0.0/8");
    hops.set(hops.of("if10 10.1.1.3"), false);
    expect(value("1.0.0.0/8")).not.toBe(before);
    expect(value("1.0.0.0/8")).toBe(value("2.0.0.0/8"));
    expect(statics.nextHopsOf("main", "1.0.0.0/8").map((hop) => hop.alive)).toEqual([true, false]);
    apply(route("2.0.0.0/8", "10.1.1.2", "10.1.1.3"));
    expect(value("1.0.0.0/8")).toBe(0);
    expect(hops.names()).toHaveLength(2);
    apply();
    expect(hops.names()).toEqual([]);
  });

  test("a published row is never written: a worker in its batch keeps what it has read", () => {
    const { tables, timers, apply, value, group, hops } = setUp();
    apply(route("0.0.0.0/0", "10.1.1.2", "10.1.1.3"));
    const row = value("0.0.0.0/0") & ROUTE_ARG_MASK;
    const read = () => [...tables.fib.groups.subarray(row * GROUP_WORDS, (row + 1) * GROUP_WORDS)];
    const before = read();
    tables.heartbeat.enter(0);
    const flapping = hops.of("if10 10.1.1.3");
    for (let i = 0; i < MAX_GROUPS * 2; i++) hops.set(flapping, i % 2 === 1);
    hops.set(flapping, false);
    expect(read()).toEqual(before);
    tables.heartbeat.leave(0);
    timers.run(10);
    expect(new Set(group("0.0.0.0/0"))).toEqual(new Set([hops.of("if10 10.1.1.2")]));
    expect(timers.nextDue()).toBeNull();
  });
});
