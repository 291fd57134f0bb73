/**
 * A histogram whose buckets somebody else counts: the workers in shared cells, or control in its own records.
 */

import type { Series } from "../api/feature.ts";

/** Values observed by the main thread, under one label whose values are known beforehand. */
export class Tally {
  private readonly label: string;
  private readonly bounds: readonly number[];
  private readonly cells: ReadonlyMap<string, { counts: number[]; count: number; sum: number }>;

  /** @param bounds rising; a value above the last one counts in "+Inf" alone. */
  constructor(label: string, values: readonly string[], bounds: readonly number[]) {
    this.label = label;
    this.bounds = bounds;
    this.cells = new Map(values.map((value) => [value, { counts: bounds.map(() => 0), count: 0, sum: 0 }]));
  }

  /** @param times so often at once */
  observe(labelValue: string, value: number, times = 1): void {
    const cell = this.cells.get(labelValue)!;
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) cell.counts[bucket]! += times;
    cell.count += times;
    cell.sum += value * times;
  }

  series(): Series[] {
    return [...this.cells].map(([value, { counts, count, sum }]) => ({
      labels: { [this.label]: value },
      buckets: counts.map((count, i) => ({ upTo: this.bounds[i]!, count })),
      count,
      sum,
    }));
  }
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** As samples of the text: cumulative buckets, sum, count. */
export function seriesSamples(name: string, { labels, buckets, count, sum }: Series): Sample[] {
  let below = 0;
  const list: Sample[] = buckets.map((bucket) => {
    below += bucket.count;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: String(bucket.upTo) }, value: below };
  });
  list.push({ metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count });
  list.push({ metricName: `${name}_sum`, labels, value: sum });
  list.push({ metricName: `${name}_count`, labels, value: count });
  return list;
}
