/**
 * The text that a scrape gets, written in slices.
 *
 * A gateway with thousands of VSIs has fifty thousand series, and the main thread that writes them also answers ARP. So after
 * SLICE_MS of writing others have a turn. Scrapers that come while one is being served share its text: ten of them cost what
 * one does. The text format is that of prom-client's registry, which writes its own metrics (those of Node) and ours alike,
 * but each metric in one go.
 */
import type { Registry } from "prom-client";
import type { HistogramRow, Labels, Row } from "../api/feature.ts";
import { seriesSamples } from "./histogram.ts";

/** Then whatever else waits has a turn. */
export const SLICE_MS = 10;
/** Lines between two looks at the clock. */
export const LINES = 64;

/** Who is asked for a scrape: a Registry is one too. */
export type Exposition = Pick<Registry, "metrics" | "contentType">;

export class SlicedExposition implements Exposition {
  private readonly rows: readonly Row[];
  private readonly histograms: readonly HistogramRow[];
  /** Metrics that are not ours, few. */
  private readonly further: Registry;
  private readonly now: () => number;
  private running: Promise<string> | null = null;

  /** @param now milliseconds of a clock that only goes forward */
  constructor(
    rows: readonly Row[],
    histograms: readonly HistogramRow[],
    further: Registry,
    now: () => number = () => performance.now(),
  ) {
    this.now = now;
    this.rows = rows;
    this.histograms = histograms;
    this.further = further;
  }

  get contentType(): Registry["contentType"] {
    return this.further.contentType;
  }

  /** Our own metrics, without values. */
  described(): { name: string; kind: string; help: string; labels: readonly string[] }[] {
    const rows = this.rows.map(({ name, kind, help, labels }) => ({ name, kind, help, labels }));
    return [...rows, ...this.histograms.map(({ name, help, labels }) => ({ name, kind: "histogram", help, labels }))];
  }

  /** The text of now; of a moment ago, while one is being written. */
  metrics(): Promise<string> {
    this.running ??= this.write().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  private async write(): Promise<string> {
    const parts: string[] = [];
    let until = this.now() + SLICE_MS;
    let lines: string[] = [];
    for (const line of this.lines()) {
      lines.push(line);
      if (lines.length < LINES) continue;
      parts.push(lines.join("\n"));
      lines = [];
      if (this.now() < until) continue;
      await new Promise((resolve) => setImmediate(resolve));
      until = this.now() + SLICE_MS;
    }
    parts.push(lines.join("\n"), await this.further.metrics());
    return parts.join("\n");
  }

  private *lines(): Generator<string> {
    for (const { kind, name, help, values } of this.rows) {
      yield* head(name, help, kind);
      for (const [labels, value] of values()) yield sample(name, labels, value);
      yield "";
    }
    for (const { name, help, read } of this.histograms) {
      yield* head(name, help, "histogram");
      for (const series of read())
        for (const { metricName, labels, value } of seriesSamples(name, series))
          yield sample(metricName, labels, value);
      yield "";
    }
  }
}

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`];
}

function sample(name: string, labels: Labels, value: number): string {
  let text = "";
  for (const label in labels)
    text += `${text === "" ? "" : ","}${label}="${escaped(labels[label]!).replaceAll('"', '\\"')}"`;
  return text === "" ? `${name} ${numberText(value)}` : `${name}{${text}} ${numberText(value)}`;
}

function escaped(text: string): string {
  return /[\\\n"]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n") : text;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
