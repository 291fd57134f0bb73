/** Big tables in order, a run at a time. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RUN, rowsOf, STEP, sorted } from "../../src/control/sorted.ts";

const byNumber = (a: number, b: number): number => a - b;

describe("a sorted table", () => {
  test("is what Array.sort makes of it, equal rows in the table's order", () => {
    const row = fc.record({ key: fc.integer({ min: 0, max: 99 }), name: fc.nat() });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 64 }), fc.integer({ min: 1, max: 99 }), (some, copies) => {
        const rows = Array.from({ length: copies }, () => some.map((each) => ({ ...each }))).flat();
        const order = (a: { key: number }, b: { key: number }) => a.key - b.key;
        expect([...rowsOf(sorted(rows, order))]).toEqual([...rows].sort(order));
        const isWanted = ({ name }: { name: number }) => name % 3 === 0;
        expect([...rowsOf(sorted(rows, order, isWanted))]).toEqual(rows.filter(isWanted).sort(order));
      }),
    );
  });

  for (const [what, isWanted] of [
    ["all rows", () => true],
    ["no row", () => false],
  ] as const)
    test(`of ${what}: between two steps ${RUN} rows are looked at, and no more are compared than such a run needs`, () => {
      let [looked, compared, most, mostCompared] = [0, 0, 0, 0];
      function* table(): Generator<number> {
        for (let i = 0; i < 100 * RUN + 7; i++) {
          looked++;
          yield (i * 40_503) % 65_537;
        }
      }
      const compare = (a: number, b: number) => {
        compared++;
        return byNumber(a, b);
      };
      for (const _ of sorted(table(), compare, isWanted)) {
        most = Math.max(most, looked);
        mostCompared = Math.max(mostCompared, compared);
        [looked, compared] = [0, 0];
      }
      expect(most).toBe(RUN);
      expect(mostCompared).toBeLessThanOrEqual(RUN * Math.log2(RUN) + 100);
    });

  test("that changes while it is read neither repeats nor fails", () => {
    const table = new Map(Array.from({ length: 5 * RUN }, (_, i) => [i, (i * 7919) % (5 * RUN)]));
    const seen: number[] = [];
    let steps = 0;
    for (const row of sorted(table.values(), byNumber)) {
      if (row !== STEP) seen.push(row);
      else if (++steps === 2) for (let i = 0; i < 5 * RUN; i += 2) table.delete(i);
    }
    expect(seen).toEqual([...new Set(seen)].sort(byNumber));
    expect(seen.length).toBeGreaterThanOrEqual(2.5 * RUN);
  });
});
