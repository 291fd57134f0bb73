/** The table of IPv6 prefixes beside a Map, through removals and changes of bank. */
import { describe, expect, it, vi } from "vitest";
import { ExactMatch6, ExactMatch6Writer } from "../../src/tables/exact-match6.ts";
import { Heartbeat } from "../../src/tables/heartbeat.ts";
import { attach, type Carver, create } from "../../src/tables/layout.ts";
import { xorshift } from "./xorshift.ts";

function make(limit: number, workers = 0, seed = 12345) {
  const declare = (carver: Carver) => ({
    table: new ExactMatch6(carver, limit),
    heartbeat: new Heartbeat(carver.int32(workers)),
  });
  const { buffer, columns } = create(declare);
  const writer = new ExactMatch6Writer(columns.table, columns.heartbeat, seed);
  return { ...columns, writer, reader: () => attach(buffer, declare).table };
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

  it.each([1, 2])("are never older than the version, also when the bank changes after load %i of a refresh", (nth) => {
    const { table, writer, reader } = make(16);
    const worker = reader();
    const { load } = Atomics;
    let loads = 0;
    const spy = vi.spyOn(Atomics, "load").mockImplementation(((words: Int32Array, at: number) => {
      const value = load(words, at);
      if (words !== worker.head || ++loads !== nth) return value;
      const bank = table.head[0];
      for (let n = 1; table.head[0] === bank; n++) {
        writer.set(n, 0, 0, 0, 1, 1);
        writer.remove(n, 0, 0, 0, 1);
      }
      writer.set(7, 7, 7, 7, 1, 77);
      return value;
    }) as typeof load);
    worker.refresh();
    spy.mockRestore();
    if (worker.version === table.head[2]) expect(worker.get(7, 7, 7, 7, 1)).toBe(77);
    worker.refresh();
    expect([worker.version, worker.get(7, 7, 7, 7, 1)]).toEqual([table.head[2], 77]);
  });
});

/** 1 / a, modulo 2^32. */
function inverse(a: number): number {
  let x = a;
  for (let round = 0; round < 5; round++) x = Math.imul(x, 2 - Math.imul(a, x));
  return x;
}

/** Addresses that a sum of products takes for one: what one word adds, another takes away. */
const CHOSEN: Record<string, (n: number) => readonly [number, number, number, number]> = {
  "b against c": (n) => [0x20010db8, 0x100000 + n, Math.imul(Math.imul(-0xc2b2ae35, inverse(0x85ebca77)), n), 99],
  "c against the high bits of d": (n) => {
    const unit = Math.imul(Math.imul(1 << 26, 0x165667b1), inverse(0x85ebca77));
    return [0x20010db8, 0x100000, Math.imul(unit, (n >> 6) & 63), ((n & 63) << 26) | 99];
  },
  "high bits of b, c and d": (n) => [0x20010db8, n << 28, (n >> 4) << 28, ((n >> 8) << 28) | 99],
  "high bits of c and d": (n) => [0x20010db8, 0x100000, (n & 63) << 26, ((n >> 6) << 26) | 99],
  "low bits": (n) => [0x20010db8, 0x100000, 0, n],
};

describe.each([12345, -1, 0, 0x5eed5eed])("4096 addresses that somebody chose, with seed %i", (seed) => {
  it.each(Object.keys(CHOSEN))("lie spread over the bank: %s", (name) => {
    const { table, writer } = make(4096, 0, seed);
    for (let n = 0; n < 4096; n++) expect(writer.set(...CHOSEN[name]!(n), 0x1080, 1)).toBe("stored");
    let [run, longest] = [0, 0];
    for (let row = 0; row < table.capacity; row++) {
      run = table.rows[row * 8 + 4] === 0 ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    // Half of the slots are taken: by chance some thirty in a row.
    expect(longest).toBeLessThan(150);
  });
});
