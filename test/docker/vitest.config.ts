import { defineConfig } from "vitest/config";

// Apart from the other tests: an engine, images and a dozen containers take minutes, and the first time several more.
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/docker/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 1_800_000,
    reporters: ["default", new URL("../plain-reporter.ts", import.meta.url).pathname],
  },
});
