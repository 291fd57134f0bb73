/** Changes on their way to main: bounded for each session, in order, and never without the last. */
import { expect, it } from "vitest";
import { ChangeReports, REPORTS_PER_SECOND } from "../../../src/liveness/bfd/reports.ts";
import type { Change } from "../../../src/liveness/bfd/session.ts";

const change = (from: Change["from"], to: Change["to"]): Change => ({
  ...{ from, to, diagnosis: "none", remoteDiagnosis: "none" },
  verdict: to === "up" ? "up" : "down",
});

function bed() {
  const told: (readonly [number, Change])[] = [];
  const reports = new ChangeReports((slot, each) => told.push([slot, each]));
  return { told, reports };
}

it("a few changes are told at once", () => {
  const { told, reports } = bed();
  reports.note(1, change("down", "init"), 0);
  reports.note(1, change("init", "up"), 0);
  expect(told).toEqual([
    [1, change("down", "init")],
    [1, change("init", "up")],
  ]);
  expect(reports.run(1)).toBeNull();
});

it("of very many ten a second are, each from where the one before ended, and the last one in the end", () => {
  const { told, reports } = bed();
  const states = ["down", "init", "up"] as const;
  for (let n = 0; n < 29_000; n++) {
    reports.note(1, change(states[n % 3]!, states[(n + 1) % 3]!), n / 10);
    reports.run(n / 10);
  }
  expect(told.length).toBeGreaterThan(2 * REPORTS_PER_SECOND);
  expect(told.length).toBeLessThanOrEqual(3 * REPORTS_PER_SECOND);
  for (let n = 1; n < told.length; n++) expect(told[n]![1].from).toBe(told[n - 1]![1].to);
  expect(reports.run(2900)).toBeGreaterThan(2900);
  // Another session's is not held back by it.
  reports.note(2, change("up", "down"), 2900);
  expect(told.at(-1)).toEqual([2, change("up", "down")]);
  reports.run(4100);
  expect(told.at(-1)).toMatchObject([1, { to: states[29_000 % 3] }]);
  expect(reports.run(4100)).toBeNull();
});

it("of a session that is gone nothing more is told", () => {
  const { told, reports } = bed();
  for (let n = 0; n < 20; n++) reports.note(1, change("up", "down"), 0);
  reports.forget(1);
  expect([reports.run(2000), told.length]).toEqual([null, REPORTS_PER_SECOND]);
});
