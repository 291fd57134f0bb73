/** BindingTable against its slow twin, a Set, through changes of banks; and what a worker inside a batch may rely on. */
import { describe, expect, it } from "vitest";
import { type BindingRow, BindingTable, BindingWriter, bindingKey, MAPPED_IPV4 } from "../../src/tables/bindings.ts";
import { Heartbeat } from "../../src/tables/heartbeat.ts";
import { attach, create } from "../../src/tables/layout.ts";
import { xorshift } from "./xorshift.ts";

function make(limit: number) {
  const declare = (carver: Parameters<Parameters<typeof create>[0]>[0]) => ({
    words: carver.int32(1),
    table: new BindingTable(carver, limit),
  });
  const { buffer, columns } = create(declare);
  const heartbeat = new Heartbeat(columns.words);
  const writer = new BindingWriter(columns.table, heartbeat, 4711);
  return { table: columns.table, writer, heartbeat, reader: attach(buffer, declare).table };
}

/** Rows that differ in one word each, of both families. */
function rowOf(k: number): BindingRow {
  const port = (k % 5) + 1;
  const mac = Math.imul(k % 11, 0x01010101) | 0;
  const v4: BindingRow = [bindingKey(port, 0x0200), mac, 0, 0, MAPPED_IPV4, k];
  const v6: BindingRow = [bindingKey(port, 0x0200), mac, k, -k, k % 3, 0];
  return k % 7 === 0 ? [bindingKey(port, 0x0200), k, 0, 0, 0, 0] : k % 2 === 0 ? v4 : v6;
}

describe("BindingTable", () => {
  it("agrees with a Set through 50,000 random adds, removes and looks, and several changes of banks", () => {
    const random = xorshift(7);
    const { table, writer, reader } = make(512);
    const twin = new Set<string>();
    let [bank, switches, refused] = [0, 0, 0];
    for (let i = 0; i < 50_000; i++) {
      const row = rowOf(Math.floor(i / 50) + (random() % 900));
      const name = row.join(" ");
      const what = random() % 8;
      if (what < 3) {
        const stored = writer.add(row);
        if (stored === "stored") twin.add(name);
        else {
          refused++;
          expect([stored, twin.size, twin.has(name)]).toEqual(["full", 512, false]);
        }
      } else if (what < 5) {
        if (writer.remove(row) !== twin.delete(name)) throw new Error(`remove ${name} at step ${i}`);
      } else {
        if (table.has(...row) !== twin.has(name)) throw new Error(`has ${name} at step ${i}`);
        reader.refresh();
        if (reader.has(...row) !== twin.has(name)) throw new Error(`reader: has ${name} at step ${i}`);
      }
      if (writer.size !== twin.size) throw new Error(`size at step ${i}`);
      if (table.head[0] !== bank) {
        bank = table.head[0]!;
        switches++;
      }
    }
    expect(switches).toBeGreaterThan(3);
    expect(refused).toBeGreaterThan(10);
  });

  it("does not touch the old bank while a worker is in the batch in which it may read it", () => {
    const { writer, heartbeat, reader } = make(16);
    const kept = rowOf(1);
    writer.add(kept);
    heartbeat.enter(0);
    reader.refresh();
    const churn = () => {
      for (let k = 100; k < 400; k++) {
        const stored = writer.add(rowOf(k));
        if (stored !== "stored") return stored;
        writer.remove(rowOf(k));
      }
      return "stored";
    };
    expect(churn()).toBe("unsettled");
    expect(reader.has(...kept)).toBe(true);
    heartbeat.leave(0);
    expect(churn()).toBe("stored");
    reader.refresh();
    expect(reader.has(...kept)).toBe(true);
  });
});
