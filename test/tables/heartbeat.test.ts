/** When may a withdrawn row be given out again? */
import { describe, expect, it } from "vitest";
import { Heartbeat, RowPool } from "../../src/tables/heartbeat.ts";

describe("Heartbeat", () => {
  it("a moment has passed when every worker has been outside a batch since", () => {
    const beat = new Heartbeat(new Int32Array(2));
    expect(beat.passed(beat.note()), "all outside").toBe(true);
    beat.enter(0);
    const note = beat.note();
    expect(beat.passed(note)).toBe(false);
    beat.enter(1);
    expect(beat.passed(note), "worker 1 was outside then").toBe(false);
    beat.leave(0);
    expect(beat.passed(note)).toBe(true);
    beat.enter(0);
    expect(beat.passed(note), "a later batch does not bring the moment back").toBe(true);
    expect(beat.passed(beat.note())).toBe(false);
  });

  it("the word is odd exactly inside a batch, also across the int32 wrap", () => {
    const beat = new Heartbeat(new Int32Array([0x7ffffffc]));
    for (let i = 0; i < 8; i++) {
      beat.enter(0);
      expect(beat.words[0]! & 1).toBe(1);
      const note = beat.note();
      beat.leave(0);
      expect(beat.words[0]! & 1).toBe(0);
      expect(beat.passed(note)).toBe(true);
    }
  });
});

describe("RowPool", () => {
  it("gives out 1..size-1, then 0", () => {
    const pool = new RowPool(new Heartbeat(new Int32Array(1)), 5);
    expect([pool.take(), pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([1, 2, 3, 4, 0]);
    expect(pool.used).toBe(4);
    pool.retire(3);
    expect([pool.used, pool.take(), pool.take(), pool.used]).toEqual([3, 3, 0, 4]);
  });

  it("a row retired while a worker is inside a batch comes back only after that batch", () => {
    const beat = new Heartbeat(new Int32Array(2));
    const pool = new RowPool(beat, 3);
    const [a, b] = [pool.take(), pool.take()];
    beat.enter(1);
    pool.retire(a);
    expect(pool.take()).toBe(0);
    beat.leave(1);
    beat.enter(1);
    pool.retire(b); // in the next batch
    expect(pool.take(), "the first is free, the second is not").toBe(a);
    expect(pool.take()).toBe(0);
    beat.leave(1);
    expect(pool.take()).toBe(b);
  });
});
