/** ExactMatch against its slow twin, a Map, through bank switches; and what a worker inside a batch may rely on. */
import { describe, expect, it } from "vitest";
import { ExactMatch, ExactMatchWriter } from "../../src/tables/exact-match.ts";
import { Heartbeat } from "../../src/tables/heartbeat.ts";
import { attach, create } from "../../src/tables/layout.ts";
import { xorshift } from "./xorshift.ts";

function make(limit: number, workers = 1, seed = 4711) {
  const { buffer, columns } = create((carver) => ({
    words: carver.int32(workers),
    table: new ExactMatch(carver, limit),
  }));
  const heartbeat = new Heartbeat(columns.words);
  const writer = new ExactMatchWriter(columns.table, heartbeat, seed);
  const reader = attach(buffer, (carver) => ({ words: carver.int32(workers), table: new ExactMatch(carver, limit) }));
  return { table: columns.table, writer, heartbeat, reader: reader.table };
}

const bankOf = (table: ExactMatch): number => Atomics.load(table.head, 0);

describe("ExactMatch", () => {
  it("agrees with a Map through 10^5 random sets, removes and gets and several bank switches", () => {
    const random = xorshift(42);
    const { table, writer, reader } = make(512);
    const twin = new Map<string, number>();
    let [bank, switches, refused] = [bankOf(table), 0, 0];
    for (let i = 0; i < 100_000; i++) {
      // A window of 900 keys for 512 places, moving on so that tombstones pile up; (0, b) and (a, 0) are keys too.
      const k = Math.floor(i / 50) + (random() % 900);
      const [a, b] = k % 7 === 0 ? [k, 0] : k % 7 === 1 ? [0, k] : [Math.imul(k, 0x10001) | 0, (k % 3) - 1];
      if (a === 0 && b === 0) continue;
      const name = `${a} ${b}`;
      const what = random() % 8;
      if (what < 3) {
        const value = (random() % 1000) + 1;
        const stored = writer.set(a, b, value);
        if (stored === "stored") twin.set(name, value);
        else {
          refused++;
          expect(stored).toBe("full");
          expect(twin.size).toBe(512);
          expect(twin.has(name)).toBe(false);
        }
      } else if (what < 5) {
        if (writer.remove(a, b) !== twin.delete(name)) throw new Error(`remove ${name} at step ${i}`);
      } else {
        if (table.get(a, b) !== (twin.get(name) ?? 0)) throw new Error(`get ${name} at step ${i}`);
        reader.refresh();
        if (reader.get(a, b) !== (twin.get(name) ?? 0)) throw new Error(`reader: get ${name} at step ${i}`);
      }
      if (writer.size !== twin.size) throw new Error(`size at step ${i}`);
      if (bankOf(table) !== bank) {
        bank = bankOf(table);
        switches++;
      }
    }
    expect(switches).toBeGreaterThan(3);
    expect(refused).toBeGreaterThan(10);
    for (const [name, value] of twin) {
      const [a, b] = name.split(" ").map(Number) as [number, number];
      expect(table.get(a, b)).toBe(value);
    }
  });

  it("full means exactly the limit, also when a removed key comes back", () => {
    const { table, writer } = make(16);
    const limit = table.capacity >> 1;
    for (let k = 1; k <= limit; k++) expect(writer.set(k, 0, k)).toBe("stored");
    expect(writer.set(limit + 1, 0, 1)).toBe("full");
    expect(table.get(limit + 1, 0)).toBe(0);
    expect(writer.set(1, 0, 99), "a present key may still change").toBe("stored");
    expect(writer.remove(1, 0)).toBe(true);
    expect(writer.set(limit + 1, 0, 1), "one place is free").toBe("stored");
    expect(writer.size).toBe(limit);
    expect(writer.set(1, 0, 5), "its tombstone is still there, but the table is full").toBe("full");
    expect(writer.size).toBe(limit);
    for (let k = 2; k <= limit; k++) expect(table.get(k, 0)).toBe(k);
  });

  it("does not touch the old bank while a worker is inside the batch in which it may read it", () => {
    const { table, writer, heartbeat, reader } = make(16);
    const churn = (from: number, to: number): number => {
      for (let k = from; k < to; k++) {
        if (writer.set(k, 1, k) !== "stored") return k;
        writer.remove(k, 1);
      }
      return to;
    };
    writer.set(7, 7, 77);
    reader.refresh();
    heartbeat.enter(0); // the worker now reads bank 0 until it leaves
    expect(churn(100, 130)).toBe(130); // fills bank 0 with tombstones, switches to bank 1
    expect(bankOf(table)).toBe(1);
    expect(reader.get(7, 7), "the worker's bank is as it was").toBe(77);
    const blocked = churn(200, 300);
    expect(blocked, "the next switch would overwrite bank 0 under the worker").toBeLessThan(300);
    expect(writer.set(blocked, 1, blocked), "which is another thing than full").toBe("unsettled");
    expect(bankOf(table)).toBe(1);
    expect(reader.get(7, 7)).toBe(77);
    expect(writer.set(7, 7, 78), "known keys can still change").toBe("stored");
    heartbeat.leave(0);
    expect(churn(200, 300), "no worker is in a batch any more").toBe(300);
    expect(table.get(7, 7)).toBe(78);
    reader.refresh();
    expect(reader.get(7, 7)).toBe(78);
  });

  it("carries values and hit marks over to the other bank, and a hit is taken once", () => {
    const { table, writer } = make(16);
    writer.set(1, 1, 11);
    writer.set(2, 2, 22);
    table.hit(table.find(1, 1));
    for (let k = 100; k < 130; k++) {
      writer.set(k, 1, 1);
      writer.remove(k, 1);
    }
    expect(bankOf(table)).toBe(1);
    expect([table.get(1, 1), table.get(2, 2)]).toEqual([11, 22]);
    expect([writer.takeHit(1, 1), writer.takeHit(1, 1), writer.takeHit(2, 2)]).toEqual([true, false, false]);
    expect(writer.takeHit(3, 3)).toBe(false);
  });

  it("spreads keys that differ in one bit: no chain is longer than a handful", () => {
    for (const seed of [0, 1, -1, 0x5bd1e995]) {
      const { table, writer } = make(8192, 1, seed);
      for (let k = 0; k < 8192; k++) writer.set((0x02000000 + k) | 0, 0x10200, k + 1);
      let longest = 0;
      let run = 0;
      for (let row = 0; row < table.capacity; row++) {
        run = table.rows[row * 4 + 2] === 0 ? 0 : run + 1;
        if (run > longest) longest = run;
      }
      // Half full with linear probing: random keys give runs of about 40 here.
      expect(longest, `seed ${seed}`).toBeLessThan(120);
    }
  });
});
