/** Addresses as keys of a Map: no two are alike, each gives its address back, and none are chosen to meet. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { ipKey, mapKey } from "../../src/control/map-key.ts";

const LOW = (1n << 64n) - 1n;
const IP = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });

it("gives the address back, and changes no IPv4 address", () => {
  fc.assert(
    fc.property(IP, fc.bigInt({ min: 0n, max: 1n << 32n }), (ip, row) => {
      const key = (row << 128n) | ip;
      expect(mapKey(mapKey(key))).toBe(key);
    }),
  );
  expect([-1, 0, 0x0a010101].map((ip) => mapKey(ip))).toEqual([-1, 0, 0x0a010101]);
});

it("has other low halves for prefixes, for one identifier in many prefixes, and for one address at many places", () => {
  const count = 4096;
  const lows = (keys: readonly (number | bigint)[]) => new Set(keys.map((key) => (key as bigint) & LOW)).size;
  const numbers = Array.from({ length: count }, (_, n) => BigInt(n));
  const prefix = (n: bigint) => ((0x20010db8n << 32n) | n) << 64n;
  expect(lows(numbers.map((n) => mapKey(prefix(n))))).toBe(count);
  expect(lows(numbers.map((n) => mapKey(prefix(n) | 1n)))).toBe(count);
  expect(lows(numbers.map((n) => ipKey(Number(n), prefix(7n) | 1n)))).toBe(count);
});
