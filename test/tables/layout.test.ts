/** Columns carved from one buffer: aligned, apart, and the same for every thread that attaches. */
import { describe, expect, it } from "vitest";
import { attach, type Carver, create } from "../../src/tables/layout.ts";
import { attachTables, createTables } from "../../src/tables/tables.ts";

const declare = (carver: Carver) => ({ a: carver.int32(5), b: carver.bytes(3), c: carver.float64(2) });

describe("layout", () => {
  it("columns are 64-byte aligned, zeroed and never share a cache line", () => {
    const { buffer, columns } = create(declare);
    const ranges = [columns.a, columns.b, columns.c].map((c) => [c.byteOffset, c.byteOffset + c.byteLength] as const);
    for (const [from] of ranges) expect(from % 64).toBe(0);
    for (let i = 1; i < ranges.length; i++) expect(ranges[i]![0]).toBeGreaterThanOrEqual(ranges[i - 1]![1]);
    expect(buffer.byteLength).toBeGreaterThanOrEqual(ranges[2]![1]);
    expect([...columns.a, ...columns.b, ...columns.c].every((x) => x === 0)).toBe(true);
    expect([columns.a.length, columns.b.length, columns.c.length]).toEqual([5, 3, 2]);
  });

  it("what one side writes the other reads", () => {
    const { buffer, columns } = create(declare);
    const other = attach(buffer, declare);
    columns.a[4] = -7;
    other.c[1] = 0.5;
    expect([other.a[4], columns.c[1]]).toEqual([-7, 0.5]);
  });

  it("refuses a buffer of another make, version or size", () => {
    expect(() => attach(new SharedArrayBuffer(4096), declare)).toThrow(/magic/);
    const { buffer } = create(declare);
    expect(() => attach(buffer, (c) => ({ ...declare(c), more: c.int32(1) }))).toThrow();
    expect(() => attach(buffer, (c) => c.int32(5))).toThrow(/carved/);
    new Int32Array(buffer)[1]! += 1;
    expect(() => attach(buffer, declare)).toThrow(/version/);
  });

  it("a worker that believes in other sizes does not get the tables", () => {
    const sizes = { workers: 1, macs: 64, neighbors: 64, routes: 64 };
    const { buffer, tables } = createTables(sizes);
    const same = attachTables(buffer, sizes);
    tables.settings[3] = 500;
    tables.counters[1]!.drops[2] = 4;
    expect([same.settings[3], same.controlCounters.drops[2]]).toEqual([500, 4]);
    expect(() => attachTables(buffer, { ...sizes, workers: 2 })).toThrow();
    expect(() => attachTables(buffer, { ...sizes, macs: 4096 })).toThrow();
  });
});
