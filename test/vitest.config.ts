import { defineConfig } from "vitest/config";

// Pool forks: the addon and worker threads do not mix with vitest's own threads. Five groups, one after the other: what
// runs in memory uses both cores; what makes namespaces, TAPs and processes runs alone, or its deadlines would be a lottery;
// then the Docker lab, which has an engine to start and images to build;
// then a release in a clean Debian; last the same product on a newer Node.
const REAL = ["test/netns/**/*.test.ts", "test/interop/**/*.test.ts", "test/io/*.test.ts", "test/daemon/*.test.ts"];

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    reporters: ["default", new URL("./plain-reporter.ts", import.meta.url).pathname],
    projects: [
      {
        test: {
          name: "memory",
          include: ["test/**/*.test.ts"],
          exclude: ["test/docker/**", "test/majors/**", "test/release/**", "node_modules/**", ...REAL],
          pool: "forks",
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "real",
          include: REAL,
          pool: "forks",
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "docker",
          include: ["test/docker/**/*.test.ts"],
          pool: "forks",
          maxWorkers: 1,
          // The first run on a machine makes the base image and compiles everything in it: minutes, many on a busy one.
          testTimeout: 600_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "release",
          include: ["test/release/**/*.test.ts"],
          pool: "forks",
          maxWorkers: 1,
          // Once: a cross compiler's work and a Debian tree; then some 90 s.
          testTimeout: 600_000,
          hookTimeout: 1_200_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: "majors",
          include: ["test/majors/**/*.test.ts"],
          pool: "forks",
          maxWorkers: 1,
          // A Node is fetched, the packages are installed and everything is compiled for it.
          testTimeout: 2_400_000,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
