/**
 * Whole gateways against a reference model: random sequences of everything that can happen, and after every step the
 * invariants of the design (isolation, ownership, horizon, TTL, sizes, caps, conservation, order) and its promises
 * (who reaches whom, and how soon). More and longer: VTEPD_MODEL_RUNS=1000 VTEPD_MODEL_COMMANDS=100; a failure prints its
 * seed and path, VTEPD_SEED repeats it.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bed, tally } from "./model-bed.ts";
import { sequences } from "./model-commands.ts";

const RUNS = Number(process.env.VTEPD_MODEL_RUNS ?? 60);
const COMMANDS = Number(process.env.VTEPD_MODEL_COMMANDS ?? 60);
const SEED = process.env.VTEPD_SEED;

describe("a network of gateways and its reference model", () => {
  it(`${RUNS} sequences of up to ${COMMANDS} commands`, () => {
    const setting = fc.record({
      mac: fc.constantFrom("auto" as const, "shared" as const),
      proxyArp: fc.constantFrom("immediate" as const, "verified" as const),
      relay: fc.constantFrom("auto" as const, "always" as const),
    });
    fc.assert(
      fc.property(setting, sequences(COMMANDS), (o, commands) => {
        fc.modelRun(() => {
          const bed = new Bed(o);
          return { model: bed.reference, real: bed };
        }, commands);
      }),
      { numRuns: RUNS, endOnFailure: false, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
    );
    expect(tally.get("soon")).toBeGreaterThan(RUNS);
  }, 3_600_000);
});
