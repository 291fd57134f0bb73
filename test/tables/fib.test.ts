/** The look-up against longest-prefix match written naively, for random prefixes coming and going in several VRFs. */
import { describe, expect, it } from "vitest";
import { lookup } from "../../src/dataplane/route.ts";
import { ROUTE_ADJACENCY, ROUTE_KIND_SHIFT, routeKey } from "../../src/tables/fib.ts";
import { maskOf } from "../../src/wire/ipv4.ts";
import { Rig } from "../dataplane/rig.ts";
import { xorshift } from "./xorshift.ts";

type Route = { vrf: number; prefix: number; length: number; value: number };

function naive(routes: Iterable<Route>, vrf: number, address: number, from: number, to: number): number {
  let best: Route | null = null;
  for (const route of routes) {
    if (route.vrf !== vrf || route.length > from || route.length < to) continue;
    // Compared as text of bits: nothing in common with masks.
    const bits = (n: number): string => (n >>> 0).toString(2).padStart(32, "0");
    if (bits(route.prefix).slice(0, route.length) !== bits(address).slice(0, route.length)) continue;
    if (best === null || route.length > best.length) best = route;
  }
  return best === null ? 0 : best.value;
}

describe("lookup", () => {
  it("finds the longest prefix, whatever the order of insertion and removal", () => {
    const random = xorshift(2024);
    const rig = new Rig();
    const { worker } = rig.plane;
    const fib = rig.tables.fib;
    const routes = new Map<string, Route>();
    let found = 0;
    // Addresses from a few crowded corners, so that prefixes nest; VRFs 2..4 are empty in the rig.
    const address = (): number => ([0, 0x0a000000, 0xc0000200 | 0, -1][random() & 3]! ^ (random() & 0xffff)) | 0;
    for (let step = 0; step < 4000; step++) {
      const vrf = 2 + (random() % 3);
      const length = random() % 32;
      const prefix = address() & maskOf(length);
      const name = `${vrf} ${prefix}/${length}`;
      if (random() % 3 > 0) {
        const value = (ROUTE_ADJACENCY << ROUTE_KIND_SHIFT) | (step + 1);
        if (rig.routes.set(prefix, routeKey(vrf, length), value)) routes.set(name, { vrf, prefix, length, value });
      } else {
        rig.routes.remove(prefix, routeKey(vrf, length));
        routes.delete(name);
      }
      // As control does it: the word says which lengths exist, 0 to 31.
      fib.lengths[vrf] = 0;
      for (const route of routes.values()) if (route.vrf === vrf) fib.lengths[vrf]! |= 1 << route.length;
      const wanted = address();
      const got = lookup(worker, wanted, vrf, 31, 0);
      if (got !== naive(routes.values(), vrf, wanted, 31, 0)) throw new Error(`step ${step}: ${wanted} in ${vrf}`);
      if (got !== 0) found++;
      const [from, to] = [random() % 32, random() % 8];
      if (lookup(worker, wanted, vrf, from, to) !== naive(routes.values(), vrf, wanted, from, to))
        throw new Error(`step ${step}: ${wanted} in ${vrf}, lengths ${from} to ${to}`);
    }
    expect(routes.size).toBeGreaterThan(300);
    expect(found).toBeGreaterThan(1000);
  });

  it("a default route is length 0, and lengths 0 and 31 have their bits", () => {
    const rig = new Rig();
    const { worker } = rig.plane;
    rig.tables.fib.lengths[5] = 1 | (1 << 31);
    rig.routes.set(0, routeKey(5, 0), 77);
    rig.routes.set(0x0a000002, routeKey(5, 31), 78);
    expect([
      lookup(worker, -1, 5, 31, 0),
      lookup(worker, 0x0a000003, 5, 31, 0),
      lookup(worker, 0x0a000004, 5, 31, 0),
    ]).toEqual([77, 78, 77]);
    expect(lookup(worker, 0x0a000003, 5, 30, 0)).toBe(77);
    expect(lookup(worker, -1, 5, 31, 1)).toBe(0);
    expect(lookup(worker, -1, 6, 31, 0), "another VRF").toBe(0);
  });
});
