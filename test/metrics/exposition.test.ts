/** A scrape of a large gateway: the main thread has other things to do meanwhile, and scrapers that meet share one text. */
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import type { Row } from "../../src/api/feature.ts";
import { SlicedExposition } from "../../src/metrics/exposition.ts";

/** Prints the longest time that nothing else had a turn, while `work` ran. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let [longest, last, isOver] = [0, performance.now(), false];
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  isOver = true;
  return longest;
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
    for (let i = 0; i < SERIES; i++) yield [{ vsi: `vsi"${i}\\` }, i];
  },
};

it("writes fifty thousand series, and nothing waits for all of them", async () => {
  const all = new SlicedExposition([row], [], new Registry());
  let text = "";
  const block = await longestBlock(async () => {
    text = await all.metrics();
  });
  console.log(`longest block with ${SERIES} series: ${block.toFixed(1)} ms`);
  expect(block).toBeLessThan(200);
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
