/**
 * Figures: what was measured, by metric and peer, one value per round.
 *
 * A machine is shared and noisy, so a single number says little: what is shown is the median over the rounds and its
 * spread, and what is judged is the ratio to a peer measured in the same rounds. The ratio is the median of the
 * *per-round* ratios: round k of both was taken within seconds of each other, the medians of two columns were not.
 */
export type Figures = Map<string, Map<string, number[]>>;

export function note(figures: Figures, metric: string, peer: string, value: number): void {
  let byPeer = figures.get(metric);
  if (byPeer === undefined) figures.set(metric, (byPeer = new Map()));
  const values = byPeer.get(peer);
  if (values === undefined) byPeer.set(peer, [value]);
  else values.push(value);
}

export const valuesOf = (figures: Figures, metric: string, peer: string): readonly number[] =>
  figures.get(metric)?.get(peer) ?? [];

/** Undefined when there is nothing. */
export function quantile(values: readonly number[], q: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (sorted[high]! - sorted[low]!) * (at - low);
}

export const median = (values: readonly number[]): number | undefined => quantile(values, 0.5);

/** Median of the per-round ratios of `peer` to `other`; undefined where either is missing. */
export function ratio(figures: Figures, metric: string, peer: string, other: string): number | undefined {
  const ours = valuesOf(figures, metric, peer);
  const theirs = valuesOf(figures, metric, other);
  const both = ours.slice(0, theirs.length).map((value, round) => value / theirs[round]!);
  return median(both.filter(Number.isFinite));
}

/** Three significant digits, and no exponent. */
export function digits(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "—";
  if (value === 0) return "0";
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(places, 3));
}

/** "9.41 (8.80–9.72)": median, lowest and highest; with a "!" where they are too far apart. */
export function spread(values: readonly number[]): string {
  if (values.length === 0) return "—";
  if (values.length === 1) return digits(values[0]);
  return `${digits(median(values))} (${digits(Math.min(...values))}–${digits(Math.max(...values))})${isUnsteady(values) ? " !" : ""}`;
}

/** Beyond it a peer's own rounds differ too much for its figure to be believed. */
const MOST_SPREAD = 0.3;

/** Does this peer's spread, lowest to highest of its rounds, exceed 30 % of its median? */
export function isUnsteady(values: readonly number[]): boolean {
  const middle = median(values);
  if (middle === undefined || middle === 0) return false;
  return (Math.max(...values) - Math.min(...values)) / Math.abs(middle) > MOST_SPREAD;
}

/** Metrics in which that is so of some peer. */
export function unsteadyRows(figures: Figures): string[] {
  return [...figures].filter(([, byPeer]) => [...byPeer.values()].some(isUnsteady)).map(([metric]) => metric);
}

export function asJson(
  figures: Figures,
): Record<string, Record<string, { median: number; values: readonly number[] }>> {
  const metrics = [...figures].map(([metric, byPeer]) => {
    const peers = [...byPeer].map(([peer, values]) => [peer, { median: median(values)!, values }]);
    return [metric, Object.fromEntries(peers)];
  });
  return Object.fromEntries(metrics);
}
