/** What the metrics registry reads, put together from the parts that count. */
import type { Shown } from "../api/shown.ts";
import type { Tally } from "../metrics/histogram.ts";
import { watchLoop } from "../metrics/loop-lag.ts";
import type { MetricsSource } from "../metrics/row.ts";
import type { Control } from "./assemble.ts";
import type { Standing } from "./status.ts";
import type { WorkerWatch } from "./worker-watch.ts";
import type { Workers } from "./workers.ts";

export interface MetricsParts {
  readonly version: string;
  readonly control: Control;
  readonly shown: Shown;
  readonly workers: Workers;
  readonly workerWatch: WorkerWatch;
  readonly standing: Pick<Standing, "underlay">;
  readonly resolutions: Tally;
}

export function metricsSource({ control, shown, workers, workerWatch, ...parts }: MetricsParts): MetricsSource {
  const { agent, topology } = control;
  return {
    version: parts.version,
    tables: control.shown.tables,
    inventory: control.shown.inventory,
    counted: topology.counted,
    macEntries: () => agent.macs.counts(),
    neighborEntries: () => agent.neighborCounts(),
    routeEntries: () => shown.routeEntries(),
    arpResults: () => agent.arp.counts.byName,
    ndResults: () => agent.nd.counts.byName,
    macMoves: () => agent.macs.moves,
    neighborMoves: () => agent.neighbors.moves,
    duplicates: () => agent.resolutions.duplicates(),
    resolutions: parts.resolutions,
    stores: () => agent.stores(),
    fallbacks: () => workers.fallbacks(),
    receiveDrops: () => workers.receiveDrops(),
    workersStill: () => workerWatch.still(),
    loopLag: watchLoop(),
    underlay: () => parts.standing.underlay(),
  };
}
