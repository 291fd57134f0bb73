/** Random configurations one after the other: only the last one counts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FORMER_MAC_MS } from "../../src/control/topology/former-macs.ts";
import { anyPlan } from "./random-plan.ts";
import { Bed, sorted } from "./topology-bed.ts";

describe("twin", () => {
  test("whatever came before, a configuration means what it means on a gateway that starts with it", () => {
    fc.assert(
      fc.property(fc.array(anyPlan, { minLength: 2, maxLength: 6 }), fc.boolean(), (configs, slowly) => {
        const bed = new Bed();
        for (const each of configs) {
          bed.apply(each);
          if (slowly) bed.timers.run(bed.timers.nowMs + 1500);
        }
        // Former gateway MACs are kept for a while.
        bed.timers.run(bed.timers.nowMs + FORMER_MAC_MS);
        const fresh = new Bed();
        fresh.apply(configs.at(-1)!);
        expect(sorted(bed.meaning())).toEqual(sorted(fresh.meaning()));
      }),
      { numRuns: 80 },
    );
  });
});
