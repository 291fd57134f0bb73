/** What a benchmark may say of its own figures. */
import { expect, it } from "vitest";
import { isUnsteady, note, ratio, spread, unsteadyRows } from "./figures.ts";
import { parseOptions } from "./options.ts";

it("marks a row in which a peer's rounds are more than 30 % apart", () => {
  expect(isUnsteady([10, 11, 12.9])).toBe(false);
  expect(isUnsteady([10, 11, 13.4])).toBe(true);
  expect(isUnsteady([0, 0])).toBe(false);
  expect(spread([10, 11, 13.4])).toBe("11.0 (10.0–13.4) !");
  const figures = new Map();
  for (const value of [10, 20]) note(figures, "RTT", "vtepd", value);
  for (const value of [10, 10.1]) note(figures, "RTT", "kernel", value);
  for (const value of [5, 5]) note(figures, "TCP", "vtepd", value);
  expect(unsteadyRows(figures)).toEqual(["RTT"]);
  // Of the rounds, not of the medians.
  expect(ratio(figures, "RTT", "vtepd", "kernel")).toBeCloseTo((1 + 20 / 10.1) / 2);
});

it("compares with a tree that is built, and says what to do where it is not", () => {
  expect(parseOptions([]).against).toBeUndefined();
  expect(() => parseOptions(["--against", "/nowhere"])).toThrow(
    /--against \/nowhere: nothing is built there; run in it: npm run build/,
  );
});
