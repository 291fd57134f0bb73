/** Routes that a fabric announces, over a table of next hops of the test's own: what is held, what is released, what is bounded. */
import { beforeEach, expect, it } from "vitest";
import type { InterfaceObject } from "../../src/control/inventory.ts";
import type { Ip } from "../../src/control/ip.ts";
import { FabricRoutes, MAX_FABRIC_GROUPS } from "../../src/control/routes/fabric.ts";
import { NextHopGroups } from "../../src/control/routes/next-hop-group.ts";
import { Timers } from "../../src/control/timers.ts";
import { ROUTE_ADJACENCY, ROUTE_GROUP, ROUTE_KIND_SHIFT } from "../../src/tables/fib.ts";
import { createTables } from "../../src/tables/tables.ts";

const L3 = { row: 1, name: "l3vni:4001", vrf: 0, vrfName: "red" } as InterfaceObject;
const NETWORK = 0x0a090000;

let timers: Timers;
let held: Map<number, number>;
let stored: Map<string, number>;
let groups: NextHopGroups;
let fabric: FabricRoutes;

beforeEach(() => {
  timers = new Timers(0);
  held = new Map();
  stored = new Map();
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 16, routes: 16 });
  const nextHops = {
    hold: (_iface: InterfaceObject, ip: number) => {
      held.set(ip, (held.get(ip) ?? 0) + 1);
      return ip;
    },
    release: (id: number) => void held.set(id, held.get(id)! - 1),
    isAlive: () => true,
    onChange: () => undefined,
  };
  groups = new NextHopGroups(tables, timers, nextHops as never);
  const routes = {
    set: (_origin: string, _vrf: number, network: Ip, length: number, value: number) =>
      void stored.set(`${network}/${length}`, value),
    clear: (_origin: string, _vrf: number, network: Ip, length: number) => void stored.delete(`${network}/${length}`),
  };
  const limits = { neighbors: 1000, neighbors6: 2 };
  fabric = new FabricRoutes({ routes, nextHops: nextHops as never, groups, timers, limits });
});

const kindOf = (network: number, length = 16) => (stored.get(`${network}/${length}`) ?? 0) >> ROUTE_KIND_SHIFT;
const inUse = () => [...held].filter(([, count]) => count > 0);

it("holds each next hop once for each route, and lets go of what a change leaves behind", () => {
  expect(fabric.set(L3, NETWORK, 16, [1, 2])).toBe(true);
  expect(kindOf(NETWORK)).toBe(ROUTE_GROUP);
  expect(fabric.set(L3, NETWORK, 16, [2])).toBe(true);
  expect(kindOf(NETWORK)).toBe(ROUTE_ADJACENCY);
  expect([inUse(), groups.size, fabric.groupCount]).toEqual([[[2, 1]], 0, 0]);
  fabric.clear(L3, NETWORK, 16);
  expect([inUse(), stored.size, fabric.size]).toEqual([[], 0, 0]);
});

it("shares one group among routes with one set, and forgets all of a VSI-interface that goes", () => {
  for (let n = 0; n < 8; n++) fabric.set(L3, NETWORK + n * 65536, 16, [1, 2]);
  expect([groups.size, fabric.groupCount]).toEqual([1, 1]);
  fabric.forget(new Set([L3]));
  expect([groups.size, fabric.groupCount, inUse(), stored.size]).toEqual([0, 0, [], 0]);
});

it("takes no more routes than its limit, and replaces those that it has", () => {
  for (let n = 0; n < 1000; n++) expect(fabric.set(L3, n << 8, 24, [1])).toBe(true);
  expect(fabric.set(L3, 1000 << 8, 24, [1])).toBe(false);
  expect(fabric.set(L3, 0, 24, [2])).toBe(true);
  expect(fabric.size).toBe(1000);
  // Of IPv6 the next hops are the same ones, and the limit is another.
  const set6 = (n: bigint) => fabric.set(L3, n << 96n, 32, [1]);
  expect([set6(1n), set6(2n), set6(3n), set6(2n)]).toEqual([true, true, false, true]);
  fabric.clear(L3, 1n << 96n, 32);
  expect([set6(3n), set6(1n)]).toEqual([true, false]);
});

it("reduces sets beyond its share to their first next hop, until there is room", () => {
  for (let n = 0; n <= MAX_FABRIC_GROUPS; n++) fabric.set(L3, n << 8, 24, [1000 + n, 1]);
  const last = MAX_FABRIC_GROUPS << 8;
  expect([kindOf(last - 256, 24), kindOf(last, 24)]).toEqual([ROUTE_GROUP, ROUTE_ADJACENCY]);
  // A set that others have costs nothing.
  fabric.set(L3, NETWORK, 16, [1000, 1]);
  expect(kindOf(NETWORK)).toBe(ROUTE_GROUP);
  fabric.clear(L3, 256, 24);
  timers.run(2000);
  expect([kindOf(last, 24), fabric.groupCount]).toEqual([ROUTE_GROUP, MAX_FABRIC_GROUPS]);
  expect(timers.nextDue()).toBeNull();
});
