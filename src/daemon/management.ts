/**
 * What serves people and their tools: the API on the control socket, metrics and health over TCP.
 *
 * Loaded and opened when frames are forwarded already: a host waits for its gateway, a question can wait for the packages that
 * answer it.
 */

import { createApi } from "../api/api.ts";
import type { Feature } from "../api/feature.ts";
import { ourNames } from "../api/host-names.ts";
import { faultsTo, type Listener, listenObserve, listenTcp, listenUnix } from "../api/listener.ts";
import { forObservers } from "../api/observer.ts";
import { createHealth } from "../metrics/health.ts";
import type { Tally } from "../metrics/histogram.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { type FeatureParts, featuresOf } from "./features.ts";
import { metricsSource } from "./metrics-source.ts";
import type { WorkerWatch } from "./worker-watch.ts";

export interface ManagementParts extends FeatureParts {
  readonly version: string;
  readonly workerWatch: WorkerWatch;
  readonly resolutions: Tally;
}

export interface Management {
  /** The control socket, the TCP listener if there is one, and the observe socket if there is one. */
  readonly listeners: Listener[];
  readonly features: readonly Feature[];
}

/** Listen where the first configuration says. */
export async function openManagement(parts: ManagementParts): Promise<Management> {
  const { control, metrics } = parts.standing.first;
  const onFault = faultsTo(parts.log);
  const features = featuresOf(parts);
  const api = createApi({ version: parts.version, features });
  const listeners = [await listenUnix(api, control.socket, onFault)];
  const names = () => ourNames(parts.shown.config());
  if (metrics !== null) listeners.push(await listenTcp(healthOf(parts, features), metrics, names, onFault));
  if (control.observe !== null)
    listeners.push(await listenObserve(forObservers(api, control.socket), control.observe, onFault));
  return { listeners, features };
}

function healthOf(parts: ManagementParts, features: readonly Feature[]): ReturnType<typeof createHealth> {
  const { standing } = parts;
  const rows = features.flatMap((feature) => feature.rows ?? []);
  const histograms = features.flatMap((feature) => feature.histograms ?? []);
  return createHealth({
    registry: createMetrics(metricsSource(parts), rows, histograms),
    stuck: () => standing.stuckWorkers(),
    unready: () => standing.missing(),
    conditions: () => standing.conditions(),
  });
}
