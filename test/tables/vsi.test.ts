/** Flood lists: published whole, ACs first, the published one never touched. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { create } from "../../src/tables/layout.ts";
import { FLOOD_ACS, FLOOD_ALL, FLOOD_PORTS, MAX_FLOOD, publishFlood, VsiTable } from "../../src/tables/vsi.ts";

const fresh = (): VsiTable => create((carver) => new VsiTable(carver, 16)).columns;

function read(table: VsiTable, at: number): { acs: number[]; tunnels: number[] } {
  const ports = [...table.flood.slice(at + FLOOD_PORTS, at + FLOOD_PORTS + table.flood[at + FLOOD_ALL]!)];
  const acs = table.flood[at + FLOOD_ACS]!;
  return { acs: ports.slice(0, acs), tunnels: ports.slice(acs) };
}

describe("publishFlood", () => {
  it("what is published is what was asked for, and the list published before stays intact for its readers", () => {
    const ports = fc.array(fc.integer({ min: 1, max: 4095 }), { maxLength: 20 });
    const changes = fc.array(fc.record({ vsi: fc.integer({ min: 1, max: 3 }), acs: ports, tunnels: ports }), {
      maxLength: 30,
    });
    const table = fresh();
    fc.assert(
      fc.property(changes, (list) => {
        for (const { vsi, acs, tunnels } of list) {
          const before = table.floodAt[vsi]!;
          const old = read(table, before);
          expect(publishFlood(table, vsi, acs, tunnels)).toBe(true);
          expect(table.floodAt[vsi]).not.toBe(before);
          expect(read(table, table.floodAt[vsi]!)).toEqual({ acs, tunnels });
          expect(read(table, before)).toEqual(old);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("the largest list fits and does not run into its neighbours; a larger one changes nothing", () => {
    const table = fresh();
    const many = Array.from({ length: MAX_FLOOD }, (_, i) => i + 1);
    publishFlood(table, 1, [11], [12]);
    publishFlood(table, 3, [31], [32]);
    for (let i = 0; i < 3; i++) expect(publishFlood(table, 2, many.slice(0, 500), many.slice(500))).toBe(true);
    expect(read(table, table.floodAt[2]!)).toEqual({ acs: many.slice(0, 500), tunnels: many.slice(500) });
    expect(read(table, table.floodAt[1]!)).toEqual({ acs: [11], tunnels: [12] });
    expect(read(table, table.floodAt[3]!)).toEqual({ acs: [31], tunnels: [32] });
    const at = table.floodAt[2]!;
    expect(publishFlood(table, 2, many, [4000])).toBe(false);
    expect(table.floodAt[2]).toBe(at);
    expect(read(table, at).acs).toHaveLength(500);
  });

  it("the last VSI has room too", () => {
    const table = fresh();
    expect(publishFlood(table, 4095, [1], [2, 3])).toBe(true);
    expect(publishFlood(table, 4095, [1, 4], [2, 3])).toBe(true);
    expect(read(table, table.floodAt[4095]!)).toEqual({ acs: [1, 4], tunnels: [2, 3] });
  });
});
