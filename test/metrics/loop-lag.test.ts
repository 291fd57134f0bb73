/** How late the event loop is: what one scraper sees does not depend on the others. */
import { describe, expect, it } from "vitest";
import { type DelayHistogram, LOOP_LAG_ROWS, LoopLag, WINDOW_MS, watchLoop } from "../../src/metrics/loop-lag.ts";
import type { MetricsSource } from "../../src/metrics/row.ts";

const NAMES = ["", "_min", "_max", "_mean", "_stddev", "_p50", "_p90", "_p99"].map(
  (of) => `nodejs_eventloop_lag${of}_seconds`,
);

/** A scrape: values by name. */
function scrape(loopLag: MetricsSource["loopLag"]): Map<string, number> {
  const source = { loopLag } as MetricsSource;
  return new Map(LOOP_LAG_ROWS.flatMap(({ name, values }) => [...values(source)].map(([, value]) => [name, value])));
}

/** A monitor in which one delay is measured, as often as `add` says. */
class OneDelay implements DelayHistogram {
  count = 0;
  private ms = 0;
  readonly stddev = 0;
  add(ms: number): void {
    this.count++;
    this.ms = Math.max(this.ms, ms);
  }
  reset(): void {
    this.count = 0;
    this.ms = 0;
  }
  /** As Node's: without a measurement, the least is the greatest number there is, and the mean is none. */
  get min(): number {
    return this.count === 0 ? 9.2e18 : this.ms * 1e6;
  }
  get max(): number {
    return this.ms * 1e6;
  }
  get mean(): number {
    return this.count === 0 ? Number.NaN : this.ms * 1e6;
  }
  percentile(): number {
    return this.ms * 1e6;
  }
}

describe("event-loop lag", () => {
  it("shows two scrapers that meet the same measured values, each of them a delay", async () => {
    const lag = watchLoop();
    await expect.poll(() => scrape(lag).size, { timeout: 10_000, interval: 50 }).toBe(NAMES.length);
    const [first, second] = [scrape(lag), scrape(lag)];
    expect([...first.keys()]).toEqual(NAMES);
    expect(second).toEqual(first);
    for (const [name, value] of first) {
      expect(value, name).toBeGreaterThanOrEqual(0);
      expect(value, name).toBeLessThan(60);
    }
  });

  it("is absent, and no number, until something was measured", () => {
    expect(scrape(new LoopLag(new OneDelay(), new OneDelay(), 0)).size).toBe(0);
  });

  it("keeps a spike for half a window at least and a whole one at most, without what the monitor adds itself", () => {
    for (const spikeMs of [0, WINDOW_MS * 0.2, WINDOW_MS * 0.49, WINDOW_MS * 0.5, WINDOW_MS * 0.9]) {
      const monitors = [new OneDelay(), new OneDelay()] as const;
      const lag = new LoopLag(...monitors, 0);
      const seen: number[] = [];
      for (let now = 0; now < 3 * WINDOW_MS; now += 1000) {
        lag.turn(now);
        for (const monitor of monitors) monitor.add(now >= spikeMs && now < spikeMs + 1000 ? 710 : 10);
        const max = lag.lag()!.max;
        if (max > 0) {
          expect(max).toBeCloseTo(0.7);
          seen.push(now);
        }
      }
      const shownMs = seen.at(-1)! - seen[0]!;
      expect(shownMs, `a spike at ${spikeMs}`).toBeGreaterThanOrEqual(WINDOW_MS / 2 - 2000);
      expect(shownMs).toBeLessThanOrEqual(WINDOW_MS);
    }
  });
});
