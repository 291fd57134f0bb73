/** At most once in a period, key by key. */
import { expect, it } from "vitest";
import { OncePer } from "../../src/control/once-per.ts";

it("admits the first, none within the period, and the next when it is over; each key for itself", () => {
  const pace = new OncePer<string>(1000);
  expect([0, 1, 999, 1000, 1500, 2000].map((nowMs) => pace.admit("a", nowMs))).toEqual([
    ...[true, false, false, true, false, true],
  ]);
  expect(pace.admit("b", 2000)).toBe(true);
});

it("what is only asked is not counted; what is forgotten, or swept when it is due, takes no room", () => {
  const pace = new OncePer<string>(1000);
  expect([pace.isDue("a", 0), pace.isDue("a", 0), pace.size]).toEqual([true, true, 0]);
  pace.note("a", 0);
  pace.note("b", 500);
  pace.sweep(1000);
  expect([pace.size, pace.isDue("b", 1000)]).toEqual([1, false]);
  pace.forget("b");
  expect([pace.size, pace.isDue("b", 1000)]).toEqual([0, true]);
});
