/** A table that is unsettled is not full: what comes meanwhile is stored as soon as the worker has left its batch. */
import { expect, test } from "vitest";
import { PatientWriter } from "../../src/control/patient-writer.ts";
import { Timers } from "../../src/control/timers.ts";
import { createTables } from "../../src/tables/tables.ts";

function setUp() {
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 8, routes: 8 });
  const timers = new Timers(0);
  const writer = new PatientWriter(tables.macs, tables.heartbeat, timers, 4711);
  const limit = tables.macs.capacity >> 1;
  /** Tombstones pile up while a worker stays in its batch, until the table may not change banks although it must. */
  const unsettle = () => {
    tables.heartbeat.enter(0);
    for (let k = 1000, waits = false; !waits; k++) {
      writer.set(k, 1, k);
      waits = writer.waiting > 0;
      writer.remove(k, 1);
    }
  };
  return { macs: tables.macs, heartbeat: tables.heartbeat, timers, writer, limit, unsettle };
}

test("what an unsettled table cannot take waits, may change and go, and is there when the worker has left its batch", () => {
  const { macs, heartbeat, timers, writer, unsettle } = setUp();
  writer.set(7, 7, 77);
  unsettle();
  for (const k of [1, 2, 3]) expect(writer.set(k, 0, k)).toBe(true);
  expect(writer.waiting).toBe(3);
  expect(writer.set(2, 0, 22)).toBe(true);
  expect(writer.remove(3, 0)).toBe(true);
  expect(writer.remove(3, 0)).toBe(false);
  expect([writer.waiting, macs.get(1, 0), macs.get(2, 0)]).toEqual([2, 0, 0]);
  timers.run(1000);
  expect(writer.waiting, "the worker is still in its batch").toBe(2);
  heartbeat.leave(0);
  timers.run(1010);
  expect([writer.waiting, macs.get(1, 0), macs.get(2, 0), macs.get(3, 0), macs.get(7, 7)]).toEqual([0, 1, 22, 0, 77]);
  expect(timers.nextDue()).toBeNull();
});

test("those that wait count: nothing that was accepted meets a full table later", () => {
  const { macs, heartbeat, timers, writer, limit, unsettle } = setUp();
  unsettle();
  const room = limit - writer.size;
  for (let k = 1; k <= room; k++) expect(writer.set(k, 0, k), `key ${k} of ${room}`).toBe(true);
  expect(writer.set(room + 1, 0, 1)).toBe(false);
  expect(writer.set(1, 0, 11), "one of them may still change").toBe(true);
  heartbeat.leave(0);
  timers.run(1000);
  expect([writer.waiting, writer.size, macs.get(1, 0), macs.get(room, 0)]).toEqual([0, limit, 11, room]);
});
