/** A map that grows in parts: it says what a Map says, and no key that comes or goes moves more than a part of the others. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Ip } from "../../src/control/ip.ts";
import { LargeMap } from "../../src/control/large-map.ts";

const KEYS = 40_000;
const MAC = 0x020000100000;
/** As they are used: hashes, MACs, (row, IPv4), (row, IPv6) as control/map-key.ts mixes it, texts. */
const FORMS: Record<string, (n: number) => Ip | string> = {
  hashes: (n) => Math.imul(n + 1, 0x9e3779b1) & 0x3fffffff,
  MACs: (n) => MAC + n,
  "IPv4 of an interface": (n) => 3 * 0x100000000 + 0x0a000000 + n,
  "negative IPv4": (n) => (0xc0000000 + n) | 0,
  IPv6: (n) => (5n << 128n) | (0xfd00n << 112n) | BigInt(n),
  texts: (n) => `red 10.${n >> 8}.${n & 255}.0/24`,
};

/** The size of each Map inside. */
const partsOf = (map: LargeMap<Ip | string, number>): number[] => {
  const { first, parts } = map as unknown as { first: Map<unknown, unknown>; parts: Map<unknown, unknown>[] };
  return [first, ...parts].map(({ size }) => size);
};

it("does what a Map does, whatever is done with it", () => {
  // With few keys beside many, so that both are met: what is in order, and what is in parts.
  const key = fc.oneof(fc.nat(30), fc.nat(3000));
  const action = fc.oneof(
    fc.record({ kind: fc.constant("fill" as const), from: fc.nat(3000), count: fc.nat(2500) }),
    fc.record({ kind: fc.constant("empty" as const), from: fc.nat(3000), count: fc.nat(4000) }),
    fc.record({ kind: fc.constant("set" as const), key }),
    fc.record({ kind: fc.constant("delete" as const), key }),
    fc.constant({ kind: "clear" as const }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(FORMS)), fc.array(action, { maxLength: 20 }), (form, actions) => {
      const [map, twin] = [new LargeMap<Ip | string, number>(), new Map<Ip | string, number>()];
      for (const [n, each] of actions.entries()) {
        if (each.kind === "clear") for (const all of [map, twin]) all.clear();
        else if (each.kind === "set") for (const all of [map, twin]) all.set(form(each.key), n + 1);
        else if (each.kind === "delete") expect(map.delete(form(each.key))).toBe(twin.delete(form(each.key)));
        else
          for (let at = each.from; at < each.from + each.count; at++)
            if (each.kind === "fill") for (const all of [map, twin]) all.set(form(at), at);
            else if (map.delete(form(at)) !== twin.delete(form(at))) expect.fail(`key ${at}`);
        expect(map.size).toBe(twin.size);
      }
      const keys = Array.from({ length: 6000 }, (_, n) => form(n));
      expect(keys.filter((each) => map.get(each) !== twin.get(each) || map.has(each) !== twin.has(each))).toEqual([]);
      const all = [...map];
      expect(all.filter(([each, value]) => twin.get(each) !== value)).toEqual([]);
      expect([all.length, [...map.values()].length]).toEqual([twin.size, twin.size]);
    }),
    { numRuns: 30 },
  );
});

it("few keys keep the order in which they came", () => {
  const map = new LargeMap<number, number>();
  for (let n = 1000; n > 0; n--) map.set(n, n);
  expect([...map.values()]).toEqual(Array.from({ length: 1000 }, (_, n) => 1000 - n));
});

it("what is deleted while it is walked is not met, and all else is, once", () => {
  const map = new LargeMap<number, number>();
  for (let n = 0; n < 1024; n++) map.set(MAC + n, n);
  const met: number[] = [];
  for (const value of map.values()) {
    met.push(value);
    // Parts come while the first map is walked.
    if (value === 0) for (let n = 1024; n < 5000; n++) map.set(MAC + n, n);
    if (value % 2 === 0) map.delete(MAC + value + 1);
  }
  expect(new Set(met).size).toBe(met.length);
  const { size } = map;
  expect(met.filter((value) => map.has(MAC + value))).toHaveLength(size);
});

it.each(Object.entries(FORMS))("%s: no part has many of them, and no two parts grow together", (_, form) => {
  const map = new LargeMap<Ip | string, number>();
  const isPowerOfTwo = (n: number) => n > 1 && (n & (n - 1)) === 0;
  let [before, mostInOneGo] = [partsOf(map), 0];
  const grown: number[] = [];
  for (let n = 0; n < KEYS; n++) {
    map.set(form(n), n + 1);
    if (n % 32 !== 31) continue;
    // A Map moves what it has when it passes a power of two.
    const now = partsOf(map);
    const moved = now.flatMap((size, at) => {
      const was = before[at] ?? 0;
      for (let each = was + 1; each <= size; each++) if (isPowerOfTwo(each)) return [each];
      return [];
    });
    before = now;
    mostInOneGo = Math.max(
      mostInOneGo,
      moved.reduce((sum, each) => sum + each, 0),
    );
    grown.push(...moved);
  }
  expect(Math.max(...partsOf(map))).toBeLessThanOrEqual(1024 + 256);
  expect(grown.length).toBeGreaterThan(64);
  // Of a plain Map it is 32,768.
  expect(mostInOneGo).toBeLessThanOrEqual(4096);
});
