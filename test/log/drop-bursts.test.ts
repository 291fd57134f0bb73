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
  const watch = new DropWatch(
    tables.counters,
    (level, event, { reason, packets }) => told.push([level, event, reason, packets]),
    () => ({}),
  );
  let nowMs = 0;
  const second = (packets: number) => {
    drops[DROP.no_route]! += packets;
    watch.compare((nowMs += 1000));
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

it("tells the first router advertisement of an AC that must send none, with its place, and further ones seldom", () => {
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 16, routes: 16 });
  const { drops } = tables.counters[0]!;
  const told: unknown[] = [];
  const watch = new DropWatch(
    tables.counters,
    (level, event, fields) => told.push([level, event, fields]),
    (reason) => ({ ac: "vm3", vsi: "vsi10", frame: reason }),
  );
  const place = { ac: "vm3", vsi: "vsi10", frame: "nd_ra_guard" };
  let nowMs = 0;
  const second = (packets: number) => {
    drops[DROP.nd_ra_guard]! += packets;
    watch.compare((nowMs += 1000));
  };
  second(1);
  expect(told).toEqual([["warn", "nd.ra-guard", { ...place, packets: 1 }]]);
  for (let i = 0; i < 9; i++) second(2);
  expect(told).toHaveLength(1);
  second(0);
  expect(told[1]).toEqual(["warn", "nd.ra-guard", { ...place, packets: 18 }]);
});
