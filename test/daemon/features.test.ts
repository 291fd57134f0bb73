/** The list of features: what each brings is collected; what the doctor asks of them is in test/doctor/doctor.test.ts. */
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import type { Feature } from "../../src/api/feature.ts";
import { featuresOf } from "../../src/daemon/features.ts";
import { SlicedExposition } from "../../src/metrics/exposition.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import type { MetricsSource } from "../../src/metrics/row.ts";
import { partsWith, UNASKED } from "../contract/surface.ts";

it("rows of the log and of the configuration tell their state", () => {
  const rows = featuresOf(
    partsWith({ log: { lost: 12 }, reloader: { last: { successful: false, successUnixSeconds: 1_700_000_000 } } }),
  ).flatMap((feature) => feature.rows ?? []);
  const toldBy = (name: string) => [...rows.find((row) => row.name === name)!.values()];
  expect(toldBy("vtep_log_lost_total")).toEqual([[{}, 12]]);
  expect(toldBy("vtep_config_last_reload_successful")).toEqual([[{}, 0]]);
  expect(toldBy("vtep_config_last_reload_success_timestamp_seconds")).toEqual([[{}, 1_700_000_000]]);
});

it("no two features bring a row of one name, nor one that the registry has already", () => {
  const further = featuresOf(partsWith({})).flatMap((feature) => feature.rows ?? []);
  const names = createMetrics(UNASKED as MetricsSource, further)
    .described()
    .map(({ name }) => name);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});

it("a feature that nothing else knows of answers over HTTP, and its rows are scraped", async () => {
  const bgp: Feature = {
    routes: (app) => app.get("/v1/bgp", (c) => c.json({ peers: 2 })),
    rows: [{ kind: "gauge", name: "vtep_bgp_peers", help: "Peers", labels: [], values: () => [[{}, 2]] }],
  };
  const answer = await createApi({ version: "1", features: [bgp] })(new Request("http://localhost/v1/bgp"));
  expect(await answer.json()).toEqual({ peers: 2 });
  const text = await new SlicedExposition(bgp.rows!, [], new Registry()).metrics();
  expect(text).toContain("# TYPE vtep_bgp_peers gauge\nvtep_bgp_peers 2\n");
});
