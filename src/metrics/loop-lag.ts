/**
 * How late the main thread's event loop is: gauges over a window of their own.
 *
 * prom-client has metrics of these names, which begin anew at each scrape: with two scrapers each sees the moment since the
 * other one, and nothing was measured in it (NaN, or a minimum of 9e9 seconds). Here no reader changes anything. Two
 * monitors run, each begins anew every WINDOW_MS, half a window apart, and the older one is shown: the last half to whole
 * window. A gauge without a measurement is absent.
 *
 * A monitor measures the time between its timer's turns, so its resolution is subtracted: a loop that is never late shows 0.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { Lag, MetricsSource, SourceRow } from "./row.ts";

/** Half of it is the least that is shown: two scrapes of the usual 15 s see one spike both. */
export const WINDOW_MS = 60_000;
const RESOLUTION_MS = 10;
const LOOK_MS = 1000;

/** What is read of a monitor, nanoseconds. */
export type DelayHistogram = Pick<
  IntervalHistogram,
  "count" | "min" | "max" | "mean" | "stddev" | "percentile" | "reset"
>;

export class LoopLag {
  private older: DelayHistogram;
  private younger: DelayHistogram;
  private turnedMs: number;
  /** What was queued a moment ago waited for so many seconds; null: not looked yet. */
  latest: number | null = null;

  constructor(older: DelayHistogram, younger: DelayHistogram, nowMs: number) {
    this.older = older;
    this.younger = younger;
    this.turnedMs = nowMs;
  }

  /** Let the older monitor begin anew when it is its time. */
  turn(nowMs: number): void {
    if (nowMs - this.turnedMs < WINDOW_MS / 2) return;
    this.turnedMs = nowMs;
    this.older.reset();
    [this.older, this.younger] = [this.younger, this.older];
  }

  /** @returns null when nothing was measured yet. */
  lag(): Lag | null {
    const { older } = this;
    if (older.count === 0) return null;
    const late = (ns: number) => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000);
    return {
      min: late(older.min),
      max: late(older.max),
      mean: late(older.mean),
      // One measurement deviates from nothing.
      stddev: older.count === 1 ? 0 : older.stddev / 1e9,
      p50: late(older.percentile(50)),
      p90: late(older.percentile(90)),
      p99: late(older.percentile(99)),
    };
  }
}

/** Measure from now on, for as long as the process lives; nothing waits for it. */
export function watchLoop(): LoopLag {
  const monitors = [0, 1].map(() => monitorEventLoopDelay({ resolution: RESOLUTION_MS }));
  for (const monitor of monitors) monitor.enable();
  const lag = new LoopLag(monitors[0]!, monitors[1]!, performance.now());
  setInterval(() => {
    const queued = performance.now();
    lag.turn(queued);
    setImmediate(() => {
      lag.latest = (performance.now() - queued) / 1000;
    });
  }, LOOK_MS).unref();
  return lag;
}

const HELP: readonly (readonly [key: keyof Lag, help: string])[] = [
  ["min", "Least delay of the event loop in the last half to whole minute"],
  ["max", "Greatest delay of the event loop in the last half to whole minute"],
  ["mean", "Mean delay of the event loop in the last half to whole minute"],
  ["stddev", "Standard deviation of the event loop's delay in the last half to whole minute"],
  ["p50", "Median delay of the event loop in the last half to whole minute"],
  ["p90", "90th percentile of the event loop's delay in the last half to whole minute"],
  ["p99", "99th percentile of the event loop's delay in the last half to whole minute"],
];

function row(name: string, help: string, read: (source: MetricsSource) => number | null): SourceRow {
  return {
    kind: "gauge",
    name,
    help,
    labels: [],
    *values(source) {
      const value = read(source);
      if (value !== null) yield [{}, value];
    },
  };
}

export const LOOP_LAG_ROWS: readonly SourceRow[] = [
  row(
    "nodejs_eventloop_lag_seconds",
    "What the event loop was given a second ago at most waited so long",
    (source) => source.loopLag.latest,
  ),
  ...HELP.map(([key, help]) =>
    row(`nodejs_eventloop_lag_${key}_seconds`, help, ({ loopLag }) => loopLag.lag()?.[key] ?? null),
  ),
];
