/** What npm does with options that stand before "--", as the lab sees it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { takenByNpm, takenText } from "../../src/lab/npm-options.ts";

const NAMES = ["name", "brief", "json", "shared-mac", "keep", "all"];

describe("options that npm takes", () => {
  const folder = mkdtempSync(join(tmpdir(), "npm-options-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const env = (...words: string[]): Record<string, string> => {
    writeFileSync(join(folder, "tell.cjs"), "console.log(JSON.stringify(process.env))");
    const script = "node tell.cjs";
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "a", version: "1.0.0", scripts: { lab: script } }),
    );
    const { stdout } = spawnSync("npm", ["run", "--silent", "lab", ...words], { cwd: folder, encoding: "utf8" });
    return JSON.parse(stdout.slice(stdout.indexOf("{")));
  };

  it("are known by the variables of the real npm, and named with the command that works", () => {
    const taken = takenByNpm(NAMES, env("--brief", "--shared-mac"));
    expect(taken).toEqual([
      { option: "--brief", isCertain: true },
      { option: "--shared-mac", isCertain: true },
    ]);
    expect(takenText(taken)).toBe(
      'npm has taken --brief --shared-mac for itself; what the lab is to see stands behind "--": npm run lab -- --brief --shared-mac',
    );
    expect(takenByNpm(NAMES, env("--", "--brief"))).toEqual([]);
  });

  it("may be meant for npm, where it has one of that name", () => {
    expect(takenByNpm(NAMES, { npm_lifecycle_event: "lab", npm_config_json: "true" })).toEqual([
      { option: "--json", isCertain: false },
    ]);
  });

  it("of another script's npm are none of ours", () => {
    expect(takenByNpm(NAMES, { npm_lifecycle_event: "test", npm_config_brief: "true" })).toEqual([]);
  });
});
