/**
 * The product's surface as text: what a script, a dashboard or a configuration file of a user stands on.
 *
 * Each part is a list of lines (metrics, keys of the configuration, exit codes) or the API's own document. The files of
 * test/contract/<release>/ are what these functions gave for that release; CHANGELOG.md says what that promises.
 */
import { createApi } from "../../src/api/api.ts";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { EXIT as CTL_EXIT } from "../../src/ctl/client.ts";
import { keyRows } from "../../src/ctl/man-config.ts";
import { EXIT } from "../../src/daemon/command-line.ts";
import { type FeatureParts, featuresOf } from "../../src/daemon/features.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import type { MetricsSource } from "../../src/metrics/row.ts";

/** Stands for every part that is asked for its shape alone: nothing of it is read before a request or a scrape. */
export const UNASKED: unknown = new Proxy(() => UNASKED, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => 0 : UNASKED),
  apply: () => UNASKED,
});
/** What the daemon's features are made of: nothing, but for `known`. */
export const partsWith = (known: object): FeatureParts =>
  new Proxy(known as FeatureParts, { get: (parts, key) => Reflect.get(parts, key) ?? UNASKED });
/** All that the daemon lists. */
const FEATURES = featuresOf(partsWith({}));

/** The document of `GET /v1/openapi.json`. */
export async function openApi(): Promise<unknown> {
  const api = createApi({ version: "0.0.0", features: FEATURES });
  return (await api(new Request("http://localhost/v1/openapi.json"))).json();
}

export interface MetricRow {
  readonly name: string;
  readonly kind: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** Our own metrics by name; Node's and the process's come from prom-client. */
export function metricRows(): MetricRow[] {
  return createMetrics(
    UNASKED as MetricsSource,
    FEATURES.flatMap(({ rows = [] }) => rows),
  )
    .described()
    .filter(({ name }) => name.startsWith("vtep_"))
    .map(({ labels, ...row }) => ({ ...row, labels: [...labels].sort() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function metricLines(): string[] {
  return metricRows().map(({ name, kind, labels }) => `${name} ${kind} ${labels.join(",") || "-"}`);
}

export function keyLines(): string[] {
  const rows = keyRows(jsonSchema());
  return [...new Set(rows.map(({ path, type, required }) => `${path}: ${type}${required ? "; required" : ""}`))];
}

export function exitLines(): string[] {
  const of = (program: string, codes: Readonly<Record<string, number>>) =>
    Object.entries(codes).map(([name, code]) => `${program} ${name} ${code}`);
  return [...of("vtepctl", CTL_EXIT), ...of("vtepd", EXIT)].sort();
}
