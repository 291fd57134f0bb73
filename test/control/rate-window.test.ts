import { describe, expect, it } from "vitest";
import { MOVE_LIMIT, MOVE_WINDOW_MS, MoveHistory } from "../../src/control/move-history.ts";
import { RateWindow } from "../../src/control/rate-window.ts";

describe("RateWindow", () => {
  it("admits N in any second, however they are spread", () => {
    const window = new RateWindow(5);
    const admitted: number[] = [];
    for (let now = 0; now < 5000; now += 7) if (window.admit(now)) admitted.push(now);
    for (const from of admitted)
      expect(admitted.filter((at) => at >= from && at < from + 1000).length).toBeLessThanOrEqual(5);
    expect(admitted.length).toBe(25);
  });

  it("admits a burst of N at once and the next one exactly a second later", () => {
    const window = new RateWindow(3);
    expect([0, 0, 0, 0].map((now) => window.admit(now))).toEqual([true, true, true, false]);
    expect(window.admit(999)).toBe(false);
    expect(window.room(1000, 10)).toBe(3);
    expect(window.admit(1000)).toBe(true);
    expect(window.room(1000, 10)).toBe(2);
  });

  it("zero means none", () => {
    const window = new RateWindow(0);
    expect(window.isOpen(0)).toBe(false);
    expect(window.room(0, 1)).toBe(0);
  });
});

describe("MoveHistory", () => {
  it("believes five moves in 180 s, and one more when the first is 180 s old", () => {
    const moves = new MoveHistory();
    for (let i = 0; i < MOVE_LIMIT; i++) {
      expect(moves.isDamped(i * 1000)).toBe(false);
      moves.add(i * 1000);
    }
    expect(moves.isDamped(10_000)).toBe(true);
    expect(moves.isDamped(MOVE_WINDOW_MS - 1)).toBe(true);
    expect(moves.isDamped(MOVE_WINDOW_MS)).toBe(false);
  });
});
