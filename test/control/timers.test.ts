/** Timers against a slow twin that keeps a list, and what cancelled ones cost. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Timer, Timers } from "../../src/control/timers.ts";

/** The one that is due first, by a search. */
class SlowTimers {
  private list: { due: number; order: number; id: number }[] = [];
  private orders = 0;
  nowMs = 0;

  after(delayMs: number, id: number): void {
    this.list.push({ due: this.nowMs + delayMs, order: this.orders++, id });
  }

  cancel(id: number): void {
    this.list = this.list.filter((each) => each.id !== id);
  }

  nextDue(): number | null {
    return this.list.length === 0 ? null : Math.min(...this.list.map(({ due }) => due));
  }

  run(nowMs: number): number[] {
    const due = this.list.filter((each) => each.due <= nowMs).sort((a, b) => a.due - b.due || a.order - b.order);
    this.list = this.list.filter((each) => each.due > nowMs);
    this.nowMs = nowMs;
    return due.map(({ id }) => id);
  }
}

/** Steps of two numbers: what is done, and with what. */
const STEPS = fc.array(fc.tuple(fc.nat(9), fc.nat(500)), { minLength: 300, maxLength: 900 });

it("run what a slow twin runs, in its order, whatever is cancelled meanwhile", () => {
  fc.assert(
    fc.property(STEPS, (steps) => {
      const [timers, slow] = [new Timers(0), new SlowTimers()];
      const ran: number[] = [];
      const made: Timer[] = [];
      for (const [what, n] of steps) {
        if (what < 4) {
          const id = made.length;
          made.push(timers.after(n, () => ran.push(id)));
          slow.after(n, id);
        } else if (what < 9 && made.length > 0) {
          timers.cancel(made[n % made.length]!);
          slow.cancel(n % made.length);
        } else if (what === 9) {
          ran.length = 0;
          timers.run(timers.nowMs + (n >> 5));
          expect(ran).toEqual(slow.run(timers.nowMs));
        }
        expect(timers.nextDue()).toBe(slow.nextDue());
      }
      ran.length = 0;
      timers.run(timers.nowMs + 1000);
      expect(ran).toEqual(slow.run(timers.nowMs));
      expect(timers.size).toBe(0);
    }),
    { numRuns: 60 },
  );
});

it("cancelled ones are no more than half of what is kept, however far off they were", () => {
  const timers = new Timers(0);
  const kept = Array.from({ length: 100 }, (_, i) => timers.after(86_400_000 + i, () => {}));
  let last = timers.after(1, () => {});
  for (let n = 0; n < 100_000; n++) {
    timers.cancel(last);
    last = timers.after(86_400_000, () => {});
    expect(timers.size).toBeLessThanOrEqual(2 * (kept.length + 1) + 1);
  }
});

it("one that has run is not counted as cancelled", () => {
  const timers = new Timers(0);
  const ran = Array.from({ length: 100 }, () => timers.after(1, () => {}));
  timers.run(1);
  let runs = 0;
  for (let n = 0; n < 100; n++) timers.after(1, () => runs++);
  for (const timer of ran) timers.cancel(timer);
  expect(timers.size).toBe(100);
  timers.run(2);
  expect(runs).toBe(100);
});
