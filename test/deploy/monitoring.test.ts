/**
 * What we give to Prometheus and Grafana: valid by Prometheus's own tool, the alerts fire and keep quiet as rules_test.yml
 * says, and not a metric or label in it that the gateway does not have.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { Inventory } from "../../src/control/inventory.ts";
import { CountedBefore } from "../../src/control/topology/views.ts";
import { Tally } from "../../src/metrics/histogram.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import type { MetricsSource } from "../../src/metrics/row.ts";
import { DROPS } from "../../src/tables/counters.ts";
import { createTables } from "../../src/tables/tables.ts";
import { metricRows } from "../contract/surface.ts";
import { portOf, vsiOf } from "../metrics/objects.ts";

const folder = (path: string) => fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url));
const RULES = folder("prometheus/rules.yml");
const DASHBOARD = folder("grafana/vtepd.json");

const promtool = (...args: string[]) => spawnSync("promtool", args, { encoding: "utf8" });
const hasPromtool = promtool("--version").status === 0;
if (!hasPromtool) console.log("monitoring.test.ts, in part skipped: promtool is missing (apt-get install prometheus)");

interface Rule {
  readonly alert: string;
  readonly expr: string;
}
const rules = (parse(readFileSync(RULES, "utf8")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const panels = (
  JSON.parse(readFileSync(DASHBOARD, "utf8")) as {
    panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
  }
).panels;
const expressions: [where: string, expr: string][] = [
  ...rules.map(({ alert, expr }): [string, string] => [alert, expr]),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
];

/** Metric names in PromQL: those of ours and of Node. */
const metricsOf = (expr: string) => expr.match(/\b(vtep|nodejs|process)_[a-z0-9_]+\b/g) ?? [];

/** A scrape of a gateway with one of everything: sample names with the labels they come with. */
async function scraped(): Promise<Map<string, Set<string>>> {
  const { tables } = createTables({ workers: 1, macs: 64, neighbors: 64, routes: 64 });
  const inventory = new Inventory();
  const vsi = vsiOf(1, "vsi10");
  inventory.addVsi(vsi);
  inventory.addPort(portOf(3, "vm1", vsi));
  inventory.addPort(portOf(4, "gw2", null));
  const resolutions = new Tally("result", ["resolved", "failed"], [0.01, 1]);
  resolutions.observe("resolved", 0.5);
  const source: MetricsSource = {
    version: "1.2.3",
    tables,
    inventory,
    counted: new CountedBefore(tables),
    macEntries: () => new Map([["vsi10", { local: 2, remote: 3, static: 0 }]]),
    neighborEntries: () => new Map([["vsi10", { local: 1, remote: 0, static: 0 }]]),
    routeEntries: () => new Map([["main", { own: 1, connected: 1 }]]),
    arpResults: () => new Map(),
    ndResults: () => new Map(),
    macMoves: () => new Map(),
    neighborMoves: () => new Map(),
    duplicates: () => [],
    resolutions,
    stores: () => [{ pool: "unresolved", inUse: 3, exhausted: 8 }],
    fallbacks: () => new Map([["udp_gso_eio", 2]]),
    receiveDrops: () => [0],
    workersStill: () => [0.25, 3],
    loopLag: { latest: 0, lag: () => ({ min: 0, max: 0, mean: 0, stddev: 0, p50: 0, p90: 0, p99: 0 }) },
    underlay: () => ({ device: "eth0", problem: null }),
  };
  const registry = createMetrics(source, []);
  const samples = new Map<string, Set<string>>();
  for (const line of (await registry.metrics()).split("\n")) {
    const sample = /^([a-z0-9_]+)(?:\{(.*)\})? /.exec(line);
    if (sample === null) continue;
    const labels = samples.get(sample[1]!) ?? new Set<string>();
    for (const [, label] of (sample[2] ?? "").matchAll(/(\w+)="/g)) labels.add(label!);
    samples.set(sample[1]!, labels);
  }
  // Those of features are known by what they say of themselves.
  for (const { name, labels } of metricRows()) if (!samples.has(name)) samples.set(name, new Set(labels));
  return samples;
}

/** Labels that Prometheus adds: prometheus.yml, and its own. */
const ADDED = new Set(["gateway", "job", "instance", "alertname", "le"]);

describe("rules and dashboard", () => {
  it.each(expressions)("%s names only metrics and labels that exist", async (_, expr) => {
    const samples = await scraped();
    const metrics = metricsOf(expr);
    for (const metric of metrics) expect([...samples.keys()]).toContain(metric);
    if (metrics.length === 0) expect(expr).toMatch(/^up\{/);
    const known = new Set([...ADDED, ...metrics.flatMap((metric) => [...samples.get(metric)!])]);
    const used = [
      ...[...expr.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!),
      ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(",").map((each) => each.trim())),
    ];
    for (const label of used) expect([...known]).toContain(label);
  });

  it("speaks of drop reasons that exist", () => {
    const reasons = DROPS.map(([reason]) => reason as string);
    const named = rules.flatMap(({ expr }) =>
      [...expr.matchAll(/reason(?:=|!=|=~|!~)"([^"]*)"/g)].flatMap(([, text]) => text!.split("|")),
    );
    expect(named.length).toBeGreaterThan(0);
    for (const reason of named) expect(reasons).toContain(reason);
  });

  it("shows labels that its panels have", async () => {
    const samples = await scraped();
    for (const { title, targets } of panels) {
      for (const { expr, legendFormat } of targets) {
        const known = new Set([...ADDED, ...metricsOf(expr).flatMap((metric) => [...samples.get(metric)!])]);
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect([...known], title).toContain(label);
      }
    }
  });

  it("has a test for every alert", () => {
    const tested = readFileSync(folder("prometheus/rules_test.yml"), "utf8");
    for (const { alert } of rules) expect(tested.split(`alertname: ${alert}`).length, alert).toBeGreaterThanOrEqual(3);
  });

  it("has a documented trigger and limit for every alert, and for no other", () => {
    const page = readFileSync(fileURLToPath(new URL("../../docs/metrics.md", import.meta.url)), "utf8");
    const rows = [...page.matchAll(/^\| `(Vtep\w+)` \| .{10,} \| .{10,} \|$/gm)].map(([, alert]) => alert);
    expect(rows).toEqual(rules.map(({ alert }) => alert));
  });

  it("would notice a metric that is not there", async () => {
    expect(metricsOf("rate(vtep_nonsense_total[1m]) + nodejs_x")).toEqual(["vtep_nonsense_total", "nodejs_x"]);
    expect([...(await scraped()).keys()]).not.toContain("vtep_nonsense_total");
  });
});

describe.skipIf(!hasPromtool)("promtool", () => {
  it.each([
    ["check", "rules", RULES],
    ["check", "config", folder("prometheus/prometheus.yml")],
    ["test", "rules", folder("prometheus/rules_test.yml")],
  ])("%s %s", (...args) => {
    const { status, stdout, stderr } = promtool(...args);
    expect(status, stdout + stderr).toBe(0);
  });
});
