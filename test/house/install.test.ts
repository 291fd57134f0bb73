/**
 * What an installation rests on: one range of Node wherever one is named, and a lock file that proves what it brings.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { files, ROOT, read } from "./source.ts";

const manifest = JSON.parse(read("package.json")) as {
  engines: { node: string };
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};
const lock = JSON.parse(read("package-lock.json")) as {
  packages: Record<string, { version: string; integrity?: string; optional?: boolean; engines?: { node?: string } }>;
};

describe("the range of Node", () => {
  const readme = read("README.md");
  const lowest = manifest.engines.node.replace(/^>=/, "");
  const recommended = /Node\.js (\d+) is\s+recommended/.exec(readme)?.[1];

  it("README names the lowest of package.json, and one that is recommended", () => {
    expect(manifest.engines.node).toMatch(/^>=\d+\.\d+$/);
    expect(readme).toMatch(new RegExp(`${lowest.replace(".", "\\.")} is the\\s+lowest`));
    expect(recommended).toBeDefined();
  });

  it("what containers are made of is the recommended one, everywhere", () => {
    const texts = files("docker", /^(?!\.)/).map((path) => [path, read(path)] as const);
    const bases = texts.flatMap(([path, text]) =>
      [...text.matchAll(/\bnode:(\d+)[\w.-]*/g)].map(([name, major]) => ({ path, name, major })),
    );
    expect(bases.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        "docker/Dockerfile",
        "docker/compose.yaml",
        "docker/lab.d/images",
        "docker/prometheus.Dockerfile",
      ]),
    );
    expect(bases.filter(({ major }) => major !== recommended)).toEqual([]);
    expect([...new Set(bases.map(({ name }) => name))]).toHaveLength(1);
    const floors = texts.flatMap(([path, text]) =>
      [...text.matchAll(/Node >= (\d+\.\d+)/g)].map(([, floor]) => ({ path, floor })),
    );
    expect(floors).toEqual([{ path: "docker/Dockerfile", floor: lowest }]);
  });

  it("types are those of the lowest, so that nothing newer is used by mistake", () => {
    expect(manifest.devDependencies["@types/node"]).toMatch(new RegExp(`^\\^${lowest.split(".")[0]}\\.`));
  });
});

describe("npm packages", () => {
  it("every entry of the lock file proves its bytes", () => {
    const bare = Object.entries(lock.packages).filter(
      ([path, entry]) => path !== "" && !entry.integrity?.startsWith("sha512-"),
    );
    expect(bare.map(([path]) => path)).toEqual([]);
  });

  it("what is compiled with nan is optional, and nan is one that knows Node 24 and 26", () => {
    for (const name of ["raw-socket", "cap"]) {
      expect(manifest.dependencies[name]).toBeUndefined();
      expect(manifest.optionalDependencies[name]).toBeDefined();
      expect(lock.packages[`node_modules/${name}`]?.optional).toBe(true);
    }
    const nan = Object.entries(lock.packages).filter(([path]) => path.endsWith("node_modules/nan"));
    const [[, { version }]] = nan as [(typeof nan)[number]];
    expect(nan).toHaveLength(1);
    const [major, minor] = version.split(".").map(Number) as [number, number];
    expect(major === 2 && minor >= 22).toBe(true);
  });

  it("every image that runs set-up is given all of it", () => {
    expect(existsSync(join(ROOT, "test/set-up"))).toBe(true);
    expect(read("docker/Dockerfile")).toMatch(/^COPY test\/set-up test\/set-up$/m);
    expect(read(".dockerignore")).toMatch(/^!test\/set-up$/m);
  });
});
