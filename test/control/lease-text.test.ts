/** Leases as text: golden bytes, and whatever else a file may hold. */
import { describe, expect, it } from "vitest";
import type { KeptLease } from "../../src/control/security/bindings.ts";
import { LEASES_MOST_BYTES, leasesText, readLeases } from "../../src/control/security/lease-text.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";

const CLOCKS = { nowMs: 5000, unixMs: 1_800_000_000_000 };
const A: KeptLease = { ac: "vm1", vsi: "vsi10", mac: 0x020000000111, ip: parseIpv4("10.1.1.11")!, endsMs: 65_000 };
const B: KeptLease = { ac: "vm2", vsi: "vsi10", mac: 0x020000000112, ip: parseIpv6("2001:db8::12")!, endsMs: null };
const TEXT = `{"version":1,"node":"gw1","saved":1800000000000,"leases":[
{"ac":"vm1","vsi":"vsi10","mac":"02:00:00:00:01:11","ip":"10.1.1.11","ends":1800000060000},
{"ac":"vm2","vsi":"vsi10","mac":"02:00:00:00:01:12","ip":"2001:db8::12","ends":null}
]}
`;

describe("leases as text", () => {
  it("are written so, and read again by other clocks", () => {
    expect(leasesText("gw1", [A, B], CLOCKS)).toBe(TEXT);
    expect(leasesText("gw1", [], CLOCKS)).toBe('{"version":1,"node":"gw1","saved":1800000000000,"leases":[\n\n]}\n');
    // The next process began 20 s ago, 30 s after that.
    const later = { nowMs: 20_000, unixMs: CLOCKS.unixMs + 30_000 };
    expect(readLeases(TEXT, "gw1", later)).toEqual([{ ...A, endsMs: 50_000 }, B]);
  });

  it("have no more left than when they were written, whatever the clock says at the start", () => {
    const left = (unixMs: number, text = TEXT) => {
      const read = readLeases(text, "gw1", { nowMs: 1000, unixMs });
      return typeof read === "string" ? read : read.map(({ endsMs }) => endsMs);
    };
    for (const unixMs of [0, 20_000, CLOCKS.unixMs - 1]) expect(left(unixMs)).toEqual([61_000, null]);
    expect(left(CLOCKS.unixMs + 1)).toEqual([60_999, null]);
    // Of a vtepd that did not write when.
    expect(left(CLOCKS.unixMs - 1, TEXT.replace('"saved":1800000000000,', ""))).toEqual([61_001, null]);
  });

  it("are refused as a whole, with what is wrong", () => {
    const other = (from: string, to: string) => TEXT.replace(from, to);
    const many = `{"version":1,"node":"gw1","leases":[${Array(4097).fill("{}").join(",")}]}`;
    for (const [text, wrong] of [
      ["", "no JSON object"],
      ["[]", "no JSON object"],
      ["null", "no JSON object"],
      [TEXT.slice(0, -4), "no JSON object"],
      ["[".repeat(1 << 20), "no JSON object"],
      [" ".repeat(LEASES_MOST_BYTES + 1), "more than 2097152 bytes"],
      [other("1", "2"), "version 2; this vtepd reads 1"],
      ["{}", "version undefined; this vtepd reads 1"],
      [`{"version":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "version object; this vtepd reads 1"],
      [`{"version":${JSON.stringify("x".repeat(100))}}`, `version "${"x".repeat(19)}; this vtepd reads 1`],
      [other("gw1", "gw2"), "of another node than gw1"],
      [other("1800000000000", "-1"), "saved at no time"],
      [other("1800000000000", "1e300"), "saved at no time"],
      [other("1800000000000", "null"), "saved at no time"],
      ['{"version":1,"node":"gw1","leases":{}}', "no list of leases"],
      [many, "4097 leases, more than 4096"],
      [other("02:00:00:00:01:12", "03:00:00:00:01:12"), "lease 2 is none"],
      [other("02:00:00:00:01:11", "00:00:00:00:00:00"), "lease 1 is none"],
      [other("02:00:00:00:01:11", "me"), "lease 1 is none"],
      [other("10.1.1.11", "10.1.1.256"), "lease 1 is none"],
      [other("2001:db8::12", "2001:::12"), "lease 2 is none"],
      [other("1800000060000", "-1"), "lease 1 is none"],
      [other("1800000060000", "1e300"), "lease 1 is none"],
      [other("1800000060000", '"never"'), "lease 1 is none"],
      [other('"vm1"', "1"), "lease 1 is none"],
      [other('{"ac":"vm1"', '{"__proto__":{"ac":"vm1"}'), "lease 1 is none"],
      [other('"vsi":"vsi10",', ""), "lease 1 is none"],
    ] as const)
      expect([text.slice(0, 60), readLeases(text, "gw1", CLOCKS)]).toEqual([text.slice(0, 60), wrong]);
  });

  it("changed at any byte never throw", () => {
    let seed = 5;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 5000; round++) {
      const at = random(TEXT.length);
      const text = TEXT.slice(0, at) + String.fromCharCode(random(256)) + TEXT.slice(at + random(3));
      const read = readLeases(text, "gw1", CLOCKS);
      if (typeof read !== "string") expect(read.length).toBeLessThanOrEqual(2);
    }
  });
});
