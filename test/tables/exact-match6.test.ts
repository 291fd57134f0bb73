/** The table of IPv6 prefixes beside a Map, through removals and changes of bank. */
import { describe, expect, it } from "vitest";
import { ExactMatch6, ExactMatch6Writer } from "../../src/tables/exact-match6.ts";
import { Heartbeat } from "../../src/tables/heartbeat.ts";
import { create } from "../../src/tables/layout.ts";
import { xorshift } from "./xorshift.ts";

function make(limit: number, workers = 0) {
  const { columns } = create((carver) => ({
    table: new ExactMatch6(carver, limit),
    heartbeat: new Heartbeat(carver.int32(workers)),
  }));
  return { ...columns, writer: new ExactMatch6Writer(columns.table, columns.heartbeat, 12345) };
}

describe("IPv6 rows", () => {
  it("are those of a Map, whatever was stored and removed before", () => {
    const random = xorshift(7);
    const { table, writer } = make(64);
    const twin = new Map<string, number>();
    // Few different words, so that keys collide and rows come back.
    const word = () => (random() % 3) - 1;
    for (let i = 0; i < 20_000; i++) {
      const [a, b, c, d, key] = [word(), word(), word(), word(), 1 + (random() % 4)] as const;
      const name = [a, b, c, d, key].join();
      if (random() % 3 === 0) expect(writer.remove(a, b, c, d, key)).toBe(twin.delete(name));
      else {
        const stored = writer.set(a, b, c, d, key, i + 1);
        expect(stored).toBe(twin.has(name) || twin.size < writer.limit ? "stored" : "full");
        if (stored === "stored") twin.set(name, i + 1);
      }
      expect(table.get(a, b, c, d, key)).toBe(twin.get(name) ?? 0);
      expect(writer.size).toBe(twin.size);
    }
  });

  it("wait for a worker that may still read the other bank", () => {
    const { writer, heartbeat } = make(16, 1);
    heartbeat.enter(0);
    const results = new Set<string>();
    for (let i = 0; i < 200; i++) {
      results.add(writer.set(i, 0, 0, i, 1, 1));
      writer.remove(i, 0, 0, i, 1);
    }
    expect(results).toEqual(new Set(["stored", "unsettled"]));
    heartbeat.leave(0);
    expect(writer.set(999, 0, 0, 0, 1, 1)).toBe("stored");
  });
});
