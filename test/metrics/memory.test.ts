/** The proportional size of this very process, and of one that the kernel tells about. */
import { expect, it } from "vitest";
import { MEMORY_ROW, ownMemory, proportionalBytes } from "../../src/metrics/memory.ts";

it("is the Pss of smaps_rollup, and no other of its lines", () => {
  const rollup =
    "0-1 ---p 00000000 00:00 0 [rollup]\nRss:               95000 kB\nPss:               47000 kB\nPss_Anon:            41000 kB\n";
  expect(proportionalBytes(rollup)).toBe(47_000 * 1024);
  expect(proportionalBytes("Rss: 1 kB\n")).toBeUndefined();
});

it("is no more than what is resident", () => {
  const [[, bytes] = [{}, 0]] = [...MEMORY_ROW.values()];
  expect(bytes).toBeGreaterThan(1 << 20);
  expect(bytes).toBeLessThan(process.memoryUsage.rss() * 1.1);
});

it("stands beside the resident size for those who ask for features", () => {
  const { resident, proportional } = ownMemory();
  expect(resident).toBeGreaterThan(1 << 20);
  expect(proportional).toBeGreaterThan(1 << 20);
});
