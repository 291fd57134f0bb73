import { defineConfig } from "vitest/config";

// Pool forks: the addon and worker threads do not mix with vitest's own threads. One file at a time: two cores, and
// the suites that need root make namespaces and measure.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    exclude: ["test/docker/**", "node_modules/**"],
    pool: "forks",
    fileParallelism: true,
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", new URL("./plain-reporter.ts", import.meta.url).pathname],
  },
});
