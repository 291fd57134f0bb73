/** Rows that cross from the engine's thread to main: packed, copied and unpacked in slices they are what they were, and attributes stay shared. */
import { expect, it } from "vitest";
import type { RouteRow } from "../../src/bgp/engine.ts";
import { countOf, pack, unpack } from "../../src/bgp/packed.ts";
import { type HostAttributes, HostRoute } from "../../src/evpn/route.ts";

const attributesOf = (n: number): HostAttributes => ({
  ...{ rd: `192.0.2.${n}:10`, tag: n, nextHop: `192.0.2.${n}`, targets: ["65000:10"], encap: 8, labels: [10, 4001] },
  ...{ segment: null, sequence: n === 0 ? null : n, isSticky: n === 1, isGateway: false, routerMac: 0x020000000001 },
});
const SETS = [0, 1, 2].map(attributesOf);
const common = { rd: "192.0.2.9:10", tag: 0, nextHop: "192.0.2.9", targets: ["65000:10"], encap: 8 };
const OTHERS: RouteRow[] = [
  { route: { ...common, type: 3, originator: "192.0.2.9", pmsi: null }, isWithdrawn: true, peer: "192.0.2.251" },
  { route: { type: 2, ...SETS[0]!, mac: 5, ip: null, isOrphan: true }, isWithdrawn: false, peer: null },
];

/** Row number `n` of many: addresses of both signs, of both families and none, three peers, every so often one that is not packed. */
function rowOf(n: number): RouteRow {
  if (n % 9 === 8) return OTHERS[n % 2]!;
  const ipv4 = n % 3 === 0 ? null : Math.imul(n, 0x9e3779b1);
  const ip = n % 4 === 0 ? (0xfd00n << 112n) + BigInt(n) : ipv4;
  const route = new HostRoute(SETS[n % 3]!, 0xfe0000000000 + n, ip);
  return { route, isWithdrawn: n % 5 === 0, peer: [null, "192.0.2.251", "192.0.2.252"][n % 3]! };
}

it.each([0, 1, 32, 100, 256])("%i rows are the same rows on the other side", (count) => {
  const rows = Array.from({ length: count }, (_, n) => rowOf(n));
  const copy = structuredClone(pack(rows));
  expect(countOf(copy)).toBe(count);
  const got: RouteRow[] = [];
  while (got.length < count) got.push(...unpack(copy, got.length, got.length + 32));
  expect(got).toEqual(rows);
  expect(unpack(copy, count, count + 32)).toEqual([]);
});

it("a set of attributes crosses once, however many have it", () => {
  const packed = structuredClone(pack(Array.from({ length: 256 }, (_, n) => rowOf(n))));
  expect(packed.sets).toEqual([SETS[0], SETS[1], SETS[2]]);
  const routes = unpack(packed, 0, 256).map(({ route }) => route);
  const hosts = routes.filter((route): route is HostRoute => route instanceof HostRoute);
  expect(new Set(hosts.map(({ attributes }) => attributes)).size).toBe(3);
});
