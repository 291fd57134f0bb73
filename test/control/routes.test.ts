/**
 * The route table: who wins a prefix, and that a worker's look-up finds what a naive longest-prefix match finds.
 * The worker's side is written here from the description in fib.ts, not taken from the data plane.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Emit } from "../../src/control/event.ts";
import { RANKS, type RouteOrigin, Routes, routeValue } from "../../src/control/routes/routes.ts";
import { Timers } from "../../src/control/timers.ts";
import {
  ROUTE_ADJACENCY,
  ROUTE_DISCARD,
  ROUTE_GLEAN,
  ROUTE_HOST,
  ROUTE_LOCAL,
  routeKey,
} from "../../src/tables/fib.ts";
import { createTables, type Tables } from "../../src/tables/tables.ts";
import { maskOf, parseIpv4 } from "../../src/wire/ipv4.ts";

const SIZES = { workers: 1, macs: 16, neighbors: 64, routes: 64 };

function setUp(sizes = SIZES) {
  const { tables } = createTables(sizes);
  const timers = new Timers(0);
  const events: unknown[] = [];
  const emit: Emit = (level, event, fields) => events.push([level, event, fields]);
  return { tables, timers, events, routes: new Routes(tables, timers, emit, 0x5eed) };
}

const ip = (text: string) => parseIpv4(text)!;

/** /32 first, then the lengths that exist, from the longest (fib.ts). */
function lookUp({ fib }: Tables, vrf: number, address: number): number {
  const host = fib.routes.get(address, routeKey(vrf, 32));
  if (host !== 0) return host;
  for (let length = 31; length >= 0; length--) {
    if (((fib.lengths[vrf]! >>> length) & 1) === 0) continue;
    const found = fib.routes.get(address & maskOf(length), routeKey(vrf, length));
    if (found !== 0) return found;
  }
  return 0;
}

describe("who wins a prefix", () => {
  test("a host alone is kept as its value: found, listed, outranked, back again, and refused where there is no room", () => {
    const { tables, routes } = setUp();
    const at = ip("198.51.100.5");
    const entry = (origin: string, kind: number, argument: number) => ({
      vrf: 3,
      network: at,
      length: 32,
      origin,
      kind,
      argument,
    });
    for (const adjacency of [7, 8]) {
      routes.setHost(3, at, adjacency);
      expect([...routes.list()]).toEqual([entry("host", ROUTE_HOST, adjacency)]);
      expect(routes.match(3, at)).toEqual(entry("host", ROUTE_HOST, adjacency));
      expect([routes.find(3, at), lookUp(tables, 3, at)]).toEqual(Array(2).fill(routeValue(ROUTE_HOST, adjacency)));
      expect(routes.countsByOrigin().get(3)).toMatchObject({ host: 1, static: 0 });
    }
    routes.set("static", 3, at, 32, routeValue(ROUTE_ADJACENCY, 9));
    expect([...routes.list()]).toEqual([entry("static", ROUTE_ADJACENCY, 9)]);
    routes.setHost(3, at, 6);
    routes.clear("static", 3, at, 32);
    expect([...routes.list()]).toEqual([entry("host", ROUTE_HOST, 6)]);
    routes.removeHost(3, at);
    routes.removeHost(3, at);
    expect([[...routes.list()], routes.size, lookUp(tables, 3, at), routes.countsByOrigin().size]).toEqual([
      [],
      0,
      0,
      0,
    ]);
    const most = tables.fib.routes.capacity / 2;
    for (let n = 0; n <= most; n++) routes.setHost(0, ip("10.0.0.0") + n, 1);
    expect([routes.size, routes.withoutRoom]).toEqual([most, 1]);
    routes.removeHost(0, ip("10.0.0.0"));
    expect(lookUp(tables, 0, ip("10.0.0.0"))).toBe(0);
  });

  test("every rank yields to the ones before it and comes back when they go", () => {
    const { tables, routes } = setUp();
    const at = ip("10.1.1.5");
    const order = [...RANKS].reverse();
    for (const [i, origin] of order.entries()) {
      routes.set(origin, 0, at, 32, routeValue(ROUTE_GLEAN, i + 1));
      expect(lookUp(tables, 0, at)).toBe(routeValue(ROUTE_GLEAN, i + 1));
    }
    for (const [i, origin] of RANKS.entries()) {
      expect([...routes.list()].map((entry) => entry.origin)).toEqual([origin]);
      routes.clear(origin, 0, at, 32);
      const left = RANKS.length - 1 - i;
      expect(lookUp(tables, 0, at)).toBe(left === 0 ? 0 : routeValue(ROUTE_GLEAN, left));
    }
    expect(routes.size).toBe(0);
  });

  test("a static /32 hides a neighbour, whichever came first, and gives it back", () => {
    for (const first of ["host", "static"]) {
      const { tables, routes } = setUp();
      const at = ip("10.1.1.9");
      if (first === "host") routes.setHost(3, at, 7);
      routes.set("static", 3, at, 32, routeValue(ROUTE_DISCARD, 0));
      if (first === "static") routes.setHost(3, at, 7);
      expect(lookUp(tables, 3, at)).toBe(routeValue(ROUTE_DISCARD, 0));
      routes.clear("static", 3, at, 32);
      expect(lookUp(tables, 3, at)).toBe(routeValue(ROUTE_HOST, 7));
      routes.removeHost(3, at);
      expect(lookUp(tables, 3, at)).toBe(0);
      expect(lookUp(tables, 2, at)).toBe(0);
    }
  });

  test("length bits come with the first prefix of a length and go with the last; 32 has none", () => {
    const { tables, routes } = setUp();
    routes.set("connected", 5, ip("10.1.1.0"), 24, routeValue(ROUTE_GLEAN, 1));
    routes.set("connected", 5, ip("10.1.2.0"), 24, routeValue(ROUTE_GLEAN, 2));
    routes.set("static", 5, 0, 0, routeValue(ROUTE_ADJACENCY, 3));
    routes.set("static", 5, ip("192.0.2.0"), 31, routeValue(ROUTE_ADJACENCY, 3));
    routes.set("own", 5, ip("10.1.1.1"), 32, routeValue(ROUTE_LOCAL, 1));
    expect(tables.fib.lengths[5]! >>> 0).toBe(((1 << 24) | 1 | (1 << 31)) >>> 0);
    routes.clear("connected", 5, ip("10.1.1.0"), 24);
    expect(tables.fib.lengths[5]! >>> 0).toBe(((1 << 24) | 1 | (1 << 31)) >>> 0);
    routes.clear("connected", 5, ip("10.1.2.0"), 24);
    routes.clear("static", 5, ip("192.0.2.0"), 31);
    expect(tables.fib.lengths[5]).toBe(1);
    expect(lookUp(tables, 5, ip("8.8.8.8"))).toBe(routeValue(ROUTE_ADJACENCY, 3));
    expect(tables.fib.lengths[4]).toBe(0);
  });

  test("clearing what was never set does nothing", () => {
    const { routes } = setUp();
    routes.removeHost(0, ip("10.1.1.1"));
    routes.clear("static", 0, 0, 0);
    expect(routes.size).toBe(0);
  });
});

describe("the table refuses", () => {
  test("what a full table refused is told once, not tried until a route goes, and stored then", () => {
    const { tables, timers, events, routes } = setUp({ ...SIZES, neighbors: 8, routes: 8 });
    const room = tables.fib.routes.capacity >> 1;
    for (let i = 0; i < room + 3; i++) routes.setHost(0, ip("10.0.0.0") + i, i + 1);
    expect([routes.withoutRoom, routes.pending]).toEqual([3, 0]);
    expect(events).toEqual([["warn", "routes.full", { routes: room, withoutRoom: 1 }]]);
    expect(lookUp(tables, 0, ip("10.0.0.0") + room)).toBe(0);
    expect(timers.nextDue(), "no timer runs in vain").toBeNull();
    // One that was refused goes away before it was ever stored; three that were stored go.
    routes.removeHost(0, ip("10.0.0.0") + room + 2);
    for (let i = 0; i < 3; i++) routes.removeHost(0, ip("10.0.0.0") + i);
    timers.run(200);
    expect(routes.withoutRoom).toBe(0);
    for (const i of [room, room + 1]) expect(lookUp(tables, 0, ip("10.0.0.0") + i)).toBe(routeValue(ROUTE_HOST, i + 1));
    expect(lookUp(tables, 0, ip("10.0.0.0") + room + 2)).toBe(0);
    expect(timers.nextDue()).toBeNull();
  });

  test("a worker that stays in its batch delays a change of banks, and loses nothing", () => {
    const { tables, timers, events, routes } = setUp({ ...SIZES, neighbors: 8, routes: 8 });
    tables.heartbeat.enter(0);
    for (let i = 0; i < 200; i++) {
      routes.setHost(0, i + 1, i + 1);
      if (i >= 4) routes.removeHost(0, i - 3);
    }
    expect(routes.pending).toBeGreaterThan(0);
    expect([routes.withoutRoom, events], "it is not full").toEqual([0, []]);
    tables.heartbeat.leave(0);
    timers.run(50);
    expect(routes.pending).toBe(0);
    for (let i = 0; i < 200; i++) expect(lookUp(tables, 0, i + 1)).toBe(i < 196 ? 0 : routeValue(ROUTE_HOST, i + 1));
  });
});

describe("twin", () => {
  // Few bits, so that prefixes nest, repeat and disappear.
  const bits = fc.integer({ min: 0, max: 15 });
  const step = fc.record({
    vrf: fc.integer({ min: 0, max: 2 }),
    network: fc.tuple(bits, bits).map(([a, b]) => (a << 28) | b),
    length: fc.constantFrom(0, 1, 2, 3, 4, 27, 28, 29, 30, 31, 32),
    origin: fc.constantFrom<RouteOrigin>(...RANKS),
    value: fc.integer({ min: 0, max: 50 }),
  });

  test("after any inserts and removals a look-up is the naive longest match, and the counts are those of a walk", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), fc.array(fc.tuple(bits, bits)), (steps, probes) => {
        const { tables, routes } = setUp();
        const naive = new Map<string, { vrf: number; network: number; length: number; wants: Map<string, number> }>();
        for (const { vrf, length, origin, value, ...rest } of steps) {
          const network = rest.network & maskOf(length);
          const key = `${vrf} ${network} ${length}`;
          const entry = naive.get(key) ?? { vrf, network, length, wants: new Map() };
          naive.set(key, entry);
          if (value === 0) {
            routes.clear(origin, vrf, network, length);
            entry.wants.delete(origin);
          } else {
            routes.set(origin, vrf, network, length, routeValue(ROUTE_GLEAN, value));
            entry.wants.set(origin, value);
          }
        }
        const expected = (vrf: number, address: number): number => {
          let best = { length: -1, value: 0 };
          for (const entry of naive.values()) {
            const origin = RANKS.find((rank) => entry.wants.has(rank));
            if (origin === undefined || entry.vrf !== vrf || entry.length <= best.length) continue;
            if (((address ^ entry.network) & maskOf(entry.length)) !== 0) continue;
            best = { length: entry.length, value: routeValue(ROUTE_GLEAN, entry.wants.get(origin)!) };
          }
          return best.value;
        };
        const walked = new Map<number, Record<string, number>>();
        for (const { vrf, origin } of routes.list()) {
          const counts = walked.get(vrf) ?? Object.fromEntries(RANKS.map((rank) => [rank, 0]));
          walked.set(vrf, { ...counts, [origin]: counts[origin]! + 1 });
        }
        expect(routes.countsByOrigin()).toEqual(walked);
        const addresses = [...steps.map((each) => each.network), ...probes.map(([a, b]) => (a << 28) | b)];
        for (const address of addresses)
          for (const vrf of [0, 1, 2]) expect(lookUp(tables, vrf, address)).toBe(expected(vrf, address));
      }),
      { numRuns: 60 },
    );
  });
});
