/** Bursts of drops are told once, then seldom; single drops never. */
import { expect, it } from "vitest";
import { BURST, DropWatch } from "../../src/log/drop-bursts.ts";
import { DROP } from "../../src/tables/counters.ts";
import { createTables } from "../../src/tables/tables.ts";

it("tells a burst when it begins, then every ten seconds with what came since", () => {
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 16, routes: 16 });
  const { drops } = tables.counters[0]!;
  drops[DROP.runt] = 5000; // before anybody watched
  const told: unknown[] = [];
  const watch = new DropWatch(tables.counters, (level, event, { reason, packets }) =>
    told.push([level, event, reason, packets]),
  );
  let nowMs = 0;
  const second = (packets: number) => {
    drops[DROP.no_route]! += packets;
    watch.look((nowMs += 1000));
  };
  second(BURST - 1);
  expect(told).toEqual([]);
  second(BURST);
  expect(told).toEqual([["warn", "drop.burst", "no_route", BURST]]);
  for (let i = 0; i < 9; i++) second(1000);
  expect(told).toHaveLength(1);
  second(1000);
  expect(told[1]).toEqual(["warn", "drop.burst", "no_route", 10_000]);
  for (let i = 0; i < 20; i++) second(1);
  expect(told).toHaveLength(2);
});
