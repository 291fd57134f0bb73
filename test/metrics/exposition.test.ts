/** A scrape of a large gateway: the main thread has other things to do meanwhile, and scrapers that meet share one text. */
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import type { Row } from "../../src/api/feature.ts";
import { LINES, SLICE_MS, SlicedExposition } from "../../src/metrics/exposition.ts";

/** A clock that each series moves on by so much; 50,000 of them would hold the thread for 2.5 s. */
const SERIES_MS = 0.05;
let nowMs = 0;

/** The longest time, by that clock, in which nothing else had a turn while `work` ran. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let [longest, last, isOver] = [0, nowMs, false];
  const tick = () => {
    longest = Math.max(longest, nowMs - last);
    last = nowMs;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  isOver = true;
  return Math.max(longest, nowMs - last);
}

const SERIES = 50_000;
let runs = 0;
const row: Row = {
  kind: "counter",
  name: "vtep_vsi_receive_packets_total",
  help: "Wire packets",
  labels: ["vsi"],
  *values() {
    runs++;
    for (let i = 0; i < SERIES; i++) {
      nowMs += SERIES_MS;
      yield [{ vsi: `vsi"${i}\\` }, i];
    }
  },
};

it("writes fifty thousand series, and nothing waits for all of them", async () => {
  const all = new SlicedExposition([row], [], new Registry(), () => nowMs);
  let text = "";
  const block = await longestBlock(async () => {
    text = await all.metrics();
  });
  expect(block).toBeGreaterThan(0);
  // One slice, and the lines that are written between two looks at the clock.
  expect(block).toBeLessThanOrEqual(SLICE_MS + LINES * SERIES_MS);
  const lines = text.split("\n");
  expect(lines.slice(0, 2)).toEqual([
    "# HELP vtep_vsi_receive_packets_total Wire packets",
    "# TYPE vtep_vsi_receive_packets_total counter",
  ]);
  expect(lines.filter((line) => line.startsWith("vtep_"))).toHaveLength(SERIES);
  expect(lines[9]).toBe('vtep_vsi_receive_packets_total{vsi="vsi\\"7\\\\"} 7');
});

it("is one run for scrapers that come together, and another one for who comes later", async () => {
  const all = new SlicedExposition([row], [], new Registry());
  runs = 0;
  const texts = await Promise.all([all.metrics(), all.metrics(), all.metrics()]);
  expect([runs, new Set(texts).size]).toEqual([1, 1]);
  await all.metrics();
  expect(runs).toBe(2);
});
