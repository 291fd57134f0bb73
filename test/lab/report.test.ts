/** The lab's report: for people in full and in brief, and for programs. */
import { describe, expect, test } from "vitest";
import { judge } from "../../src/lab/judge.ts";
import { recordOf } from "../../src/lab/record.ts";
import { briefText, keyText, legendText, walkComplaints, walkText } from "../../src/lab/report.ts";
import { emptyState } from "../../src/lab/state.ts";
import type { Walk } from "../../src/lab/walkthrough.ts";
import { NAMES, perfect, SCENARIOS } from "./staged.ts";

const [SAME] = SCENARIOS;

function walkOf(scenario = SAME!, spoil: (seen: ReturnType<typeof perfect>) => void = () => {}): Walk {
  const seen = perfect(scenario);
  spoil(seen);
  const echoes = [{ sequence: 1, ttl: scenario.ttl, rttMs: 1.5 }];
  return {
    scenario,
    names: NAMES,
    judgement: judge(scenario, NAMES, seen),
    ping: { tool: "ping", sent: 1, echoes, complaint: "" },
    before: { arpTables: new Map([["gw1", []]]), neighbours: new Map([["vm1", new Map()]]) },
    after: seen,
  };
}

test("brief: one line a step, and one for the ping", () => {
  const lines = briefText(walkOf()).trim().split("\n");
  expect(lines[0]).toContain("Scenario 1");
  expect(lines.slice(1, 10).map((line) => line.slice(0, 6))).toEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => ` ✓ (${n})`),
  );
  expect(lines.slice(10)).toEqual([
    " ✓      the answer finds its way back (the article stops before this)",
    " ✓      ping vm1 → vm4: ttl=62 time=1.50 ms",
  ]);
});

test("brief: a step that fails says how much of it, and what nothing explains is counted", () => {
  const text = briefText(walkOf(SAME, (seen) => seen.frames.splice(0, 1, { ...seen.frames[5]! })));
  expect(text).toContain(" ✗ (1)  VM1 broadcasts an ARP request for VM4  1 of 1 differ\n");
  expect(text).toContain(" ✗ 1 frames that nothing explains\n");
});

describe("the words of the report", () => {
  const all = SCENARIOS.map((scenario) => walkText(walkOf(scenario))).join("\n");

  test("none is a code that only the design explains", () => {
    expect(all).not.toMatch(/\b[NDRTS]\d+\b/);
    expect(walkComplaints(walkOf(SAME, (seen) => seen.frames.splice(0, 1)))).toEqual([
      "scenario 1, step 1, ac vm1: no such frame was seen",
    ]);
  });

  test("each symbol in it stands in the legend", () => {
    const legend = keyText([4, 6]) + legendText(NAMES);
    for (const symbol of new Set(all.match(/\b(?:M\d|ME|[GBS]\d?\.\w+)\b/g))) expect(legend).toContain(symbol);
    for (const word of ["ff", "ac vm1", "tunnel gw1 → gw2", "ARP request", "NS a,b", "NA a,b", "not needed"])
      expect(legend).toContain(word);
  });
});

test("for programs: rows with expected and observed, and every frame once, with its bytes", () => {
  const stray = { ...perfect(SAME!).frames[0]!, atMs: 1e6 };
  const walk = walkOf(SAME, (seen) => seen.frames.push(stray));
  const record = JSON.parse(JSON.stringify(recordOf(emptyState("lab"), [walk], ["x"])));
  expect(record).toMatchObject({ holds: false, complaints: ["x"], scheme: { mode: "distributed", offload: true } });
  expect(record.vteps[0]).toEqual({ name: "gw1", underlay: "192.0.2.1" });
  expect(record.machines.find(({ name }: { name: string }) => name === "vm5")).toMatchObject({
    behind: "gw2",
    vxlan: 20,
  });
  const [{ rows, frames, steps, rules, ping, tables, startedAt }] = record.scenarios;
  expect(tables.before).toEqual({ vteps: { gw1: [] }, machines: { vm1: {} } });
  const seen = perfect(SAME!);
  expect(tables.after.vteps.gw1).toEqual(seen.arpTables.get("gw1"));
  expect(tables.after.machines.vm1).toEqual(Object.fromEntries(seen.neighbours.get("vm1")!));
  expect(Number.isNaN(Date.parse(startedAt))).toBe(false);
  expect(rows).toHaveLength(SAME!.rows.length);
  expect(rows[0]).toEqual({
    row: "1",
    step: 1,
    place: "ac vm1",
    vni: null,
    holds: true,
    needed: true,
    expected: "ff < M1  ARP request M1,10.1.1.11 / 0,10.1.1.12",
    observed:
      "ff:ff:ff:ff:ff:ff < 02:00:00:00:01:11  ARP request 02:00:00:00:01:11,10.1.1.11 / 00:00:00:00:00:00,10.1.1.12",
    frame: 0,
    note: null,
  });
  expect(frames).toHaveLength(perfect(SAME!).frames.length + 1);
  expect(frames[0].hex).toBe(Buffer.from(stray.bytes).toString("hex"));
  expect(frames.at(-1)).toMatchObject({ standing: "unexpected", milliseconds: 1e6 - 1000 });
  expect(steps.every((step: { holds: boolean }) => step.holds)).toBe(true);
  expect(rules.map((rule: { holds: boolean }) => rule.holds)).toEqual([true, true, true, true]);
  expect(ping).toEqual({ expectedTtl: 62, ttl: 62, milliseconds: 1.5 });
});
