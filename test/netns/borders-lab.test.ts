/**
 * `npm run lab -- borders` from end to end: every scene is played, and what was hurt is back before the next one. Its own figures are
 * judged with slack here: this machine may do anything else meanwhile.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, expect, test } from "vitest";
import type { MemberScene, Scene } from "../../src/lab/borders/scenes.ts";
import { namespacesWith } from "../../src/lab/namespace.ts";
import { prefixOf } from "../../src/lab/state.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";

const LAB = fileURLToPath(new URL("../../dist/lab/main.js", import.meta.url));
const NAME = `w${process.pid}`;
/** Beyond what a scene may take. */
const SLACK_MS = 4000;

const lab = (...args: string[]) =>
  spawnSync(process.execPath, [LAB, ...args, "--name", NAME], {
    encoding: "utf8",
    timeout: 400_000,
    env: { ...process.env, NO_COLOR: "1" },
  });

describeReal(whyNoGateways("sysctl"), "the lab of two Borders", () => {
  const folder = mkdtempSync(join(tmpdir(), "borders-lab-"));
  afterEach(() => {
    lab("down");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("every scene is noticed and mended, and no flow of a living next hop moves", () => {
    const file = join(folder, "report.json");
    const { stdout, stderr } = lab("borders", "--json", file);
    const words = `${stdout}\n${stderr}`;
    console.log(stdout);
    const report = JSON.parse(readFileSync(file, "utf8") || "null") as {
      scenes: Scene[];
      members: MemberScene[];
    } | null;
    expect(report, words).not.toBeNull();
    const { scenes, members } = report!;
    expect(scenes).toHaveLength(10);
    for (const { what, notices, most, loss } of scenes) {
      const name = `${what} (${notices}): ${JSON.stringify(loss)}`;
      expect(loss.sent, name).toBeGreaterThan(1000);
      // All flows came through again: what never did would have a gap until the end.
      if ("gapMs" in most) expect(loss.gapMs, name).toBeLessThan(most.gapMs + SLACK_MS);
      else expect((loss.lost - loss.refused) / loss.sent, name).toBeLessThan(0.05);
    }
    const [others, fifth] = members as [MemberScene, MemberScene];
    expect(others.moved, others.what).toBe(0);
    expect(others.flows).toBeGreaterThan(50);
    expect(fifth.share, fifth.what).toBeLessThanOrEqual(0.25);
    expect(namespacesWith(prefixOf(NAME))).toEqual([]);
  }, 420_000);
});
