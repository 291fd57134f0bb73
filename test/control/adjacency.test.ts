import { beforeEach, describe, expect, it } from "vitest";
import { Adjacencies } from "../../src/control/neighbor/adjacency.ts";
import { Timers } from "../../src/control/timers.ts";
import { createTables, type Tables } from "../../src/tables/tables.ts";
import { G10, interfaceOn, ip, M1, M3 } from "./agent-bed.ts";

const HOP = ip("10.1.1.2");
let tables: Tables;
let adjacencies: Adjacencies;
let timers: Timers;
const on = interfaceOn(1, 10, G10);
beforeEach(() => {
  tables = createTables({ workers: 1, macs: 16, neighbors: 8, routes: 8 }).tables;
  timers = new Timers(0);
  adjacencies = new Adjacencies(tables, timers);
});

describe("Adjacencies", () => {
  it("one number for a next hop, for as long as anybody holds it", () => {
    const id = adjacencies.hold(on, HOP);
    expect(adjacencies.hold(on, HOP)).toBe(id);
    expect([tables.fib.adjacencyInterface[id], tables.fib.rewrite[id]]).toEqual([1, 0]);
    expect(adjacencies.nextHop(id)).toMatchObject({ iface: on, ip: HOP });
    adjacencies.release(id);
    expect(adjacencies.find(on, HOP)).toBe(id);
    adjacencies.release(id);
    expect(adjacencies.find(on, HOP)).toBe(0);
    // What workers have punted names it still.
    expect(adjacencies.nextHop(id)).toMatchObject({ iface: on, ip: HOP });
    expect(adjacencies.hold(on, HOP + 1)).not.toBe(id);
    timers.run(1000);
    expect(adjacencies.hold(on, HOP + 2)).toBe(id);
    expect(adjacencies.nextHop(id)).toMatchObject({ ip: HOP + 2 });
  });

  it("of many that were let go few are given back at once: who takes one does not pay for all", () => {
    tables = createTables({ workers: 1, macs: 16, neighbors: 4096, routes: 8 }).tables;
    adjacencies = new Adjacencies(tables, timers);
    const ids = Array.from({ length: 4000 }, (_, n) => adjacencies.hold(on, HOP + n));
    for (const id of ids) adjacencies.release(id);
    timers.run(1000);
    const given = () => ids.filter((id) => adjacencies.nextHop(id) === null).length;
    let before = given();
    expect(before).toBe(0);
    for (let n = 0; n < 50; n++) {
      adjacencies.hold(on, HOP + 5000 + n);
      expect(given() - before).toBeLessThanOrEqual(4);
      before = given();
    }
    expect(before).toBeGreaterThan(50);
    // All of them come back.
    for (let n = 50; n < tables.fib.rewrite.length - 1; n++) expect(adjacencies.hold(on, HOP + 5000 + n)).not.toBe(0);
    expect(adjacencies.hold(on, HOP)).toBe(0);
  });

  it("when no other is left, one that lingers is given out", () => {
    const ids = Array.from({ length: tables.fib.rewrite.length - 1 }, (_, n) => adjacencies.hold(on, HOP + n));
    adjacencies.release(ids[3]!);
    expect(adjacencies.hold(on, HOP + 99)).toBe(ids[3]);
    expect(adjacencies.hold(on, HOP + 98)).toBe(0);
  });

  it("a published rewrite row never changes: another place is another row, and the old one waits for the workers", () => {
    const id = adjacencies.hold(on, HOP);
    tables.heartbeat.enter(0);
    expect(adjacencies.program(id, M1, 1, 5)).toBe(true);
    const first = tables.fib.rewrite[id]!;
    const bytes = tables.fib.rewriteMacs.slice(first * 16, first * 16 + 12);
    adjacencies.program(id, M1, 1, 5);
    expect(tables.fib.rewrite[id]).toBe(first);
    adjacencies.program(id, M3, 1, 6);
    const second = tables.fib.rewrite[id]!;
    expect(second).not.toBe(first);
    for (let n = 0; n < 20; n++) adjacencies.program(id, M1 + n, 1, 7);
    expect(tables.fib.rewriteMacs.slice(first * 16, first * 16 + 12)).toEqual(bytes);
    expect(tables.fib.rewritePort[first]).toBe(5);
  });

  it("out of rows: refused, and what is published stays; rows come back when the workers have passed", () => {
    const id = adjacencies.hold(on, HOP);
    tables.heartbeat.enter(0);
    let n = 0;
    while (adjacencies.program(id, M1 + n, 1, 5)) n++;
    expect(tables.fib.rewrite[id]).toBeGreaterThan(0);
    tables.heartbeat.leave(0);
    expect(adjacencies.program(id, M3, 1, 6)).toBe(true);
  });

  it("out of numbers: 0", () => {
    let held = 0;
    while (adjacencies.hold(on, HOP + held) !== 0) held++;
    expect(held).toBe(tables.fib.rewrite.length - 1);
  });

  it("is alive until told otherwise; only news is told", () => {
    const told: string[] = [];
    adjacencies.onChange((id, alive) => told.push(`${id} ${alive}`));
    const id = adjacencies.hold(on, HOP);
    expect(adjacencies.isAlive(id)).toBe(true);
    adjacencies.setAlive(id, false);
    adjacencies.setAlive(id, false);
    expect(adjacencies.isAlive(id)).toBe(false);
    adjacencies.setAlive(id, true);
    expect(told).toEqual([`${id} false`, `${id} true`]);
    adjacencies.setAlive(id, false);
    adjacencies.release(id);
    expect(adjacencies.isAlive(adjacencies.hold(on, HOP))).toBe(true);
  });

  it("reads and clears the hit byte", () => {
    const id = adjacencies.hold(on, HOP);
    expect(adjacencies.takeHit(id)).toBe(false);
    tables.fib.adjacencyHit[id] = 1;
    expect([adjacencies.takeHit(id), adjacencies.takeHit(id)]).toEqual([true, false]);
  });
});
