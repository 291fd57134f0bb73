/** The look at all neighbours for those that are used and silent: a round looks at a part of them, however late it is. */
import { expect, it } from "vitest";
import type { Neighbor } from "../../src/control/neighbor/entry.ts";
import { NeighborWatch, type WatchParts } from "../../src/control/neighbor/watch.ts";
import { Timers } from "../../src/control/timers.ts";

const MANY = 10_000;
const LOOKED = 2048;

it.each([1, 50])("rounds that are %i ms late", (lateMs) => {
  const timers = new Timers(1_000_000);
  const entry = { state: "failed" } as Neighbor;
  let looked = 0;
  const entries = {
    size: MANY,
    *values() {
      for (let n = 0; n < MANY; n++, looked++) yield entry;
    },
  };
  new NeighborWatch({ timers, entries } as unknown as WatchParts);
  let most = 0;
  for (const until = timers.nowMs + 6000; timers.nowMs < until; ) {
    const before = looked;
    timers.run(timers.nowMs + lateMs);
    most = Math.max(most, looked - before);
  }
  expect(most).toBeLessThanOrEqual(LOOKED);
  expect(looked).toBe(MANY);
});
