/**
 * What serves people and their tools: the API on the control socket, metrics and health over TCP.
 *
 * Loaded and opened when frames are forwarded already: a host waits for its gateway, a question can wait for the packages that
 * answer it.
 */

import { createApi } from "../api/api.ts";
import type { EventFeed } from "../api/event-feed.ts";
import { ourNames } from "../api/host-names.ts";
import { faultsTo, type Listener, listenObserve, listenTcp, listenUnix } from "../api/listener.ts";
import { forObservers } from "../api/observer.ts";
import type { Shown } from "../api/shown.ts";
import { lastDropsOf } from "../insight/last-drops.ts";
import { PortDrops } from "../insight/port-drops.ts";
import { Tracer } from "../insight/trace.ts";
import { WatchHub } from "../insight/watch.ts";
import { probeSource } from "../liveness/assemble.ts";
import type { Prober } from "../liveness/prober.ts";
import type { Log } from "../log/log.ts";
import { createHealth } from "../metrics/health.ts";
import type { Tally } from "../metrics/histogram.ts";
import { createMetrics } from "../metrics/metrics.ts";
import type { Tables } from "../tables/tables.ts";
import { apiSource } from "./api-source.ts";
import type { Control } from "./assemble.ts";
import { featuresOf } from "./features.ts";
import { metricsSource } from "./metrics-source.ts";
import type { Reloader } from "./reload.ts";
import type { Standing } from "./status.ts";
import type { WorkerWatch } from "./worker-watch.ts";
import type { Workers } from "./workers.ts";

export interface ManagementParts {
  readonly version: string;
  readonly tables: Tables;
  readonly control: Control;
  readonly shown: Shown;
  readonly standing: Standing;
  readonly workers: Workers;
  readonly workerWatch: WorkerWatch;
  readonly prober: Prober;
  readonly reloader: Reloader;
  readonly resolutions: Tally;
  readonly feed: EventFeed;
  readonly log: Log;
  /** Begin a round of control soon. */
  readonly kick: () => void;
}

/** Listen where the first configuration says. @returns the control socket, the TCP listener if there is one, and the observe socket if there is one. */
export async function openManagement(parts: ManagementParts): Promise<Listener[]> {
  const { control, metrics } = parts.standing.first;
  const onFault = faultsTo(parts.log);
  const api = apiOf(parts);
  const listeners = [await listenUnix(api, control.socket, onFault)];
  const names = () => ourNames(parts.shown.config());
  if (metrics !== null) listeners.push(await listenTcp(healthOf(parts), metrics, names, onFault));
  if (control.observe !== null)
    listeners.push(await listenObserve(forObservers(api, control.socket), control.observe, onFault));
  return listeners;
}

function apiOf(parts: ManagementParts): ReturnType<typeof createApi> {
  const { version, control, shown, standing, workers, prober, reloader, log, kick } = parts;
  const status = () => standing.status();
  const features = () => featuresOf(workers, standing.first);
  const portDrops = new PortDrops(control.shown, lastDropsOf(control.shown));
  const drops = () => portDrops.beside(shown.drops());
  const probing = probeSource(prober, control.agent, control.shown.inventory, kick);
  return createApi(
    apiSource({
      version,
      shown,
      control: control.shown,
      drops,
      log,
      status,
      features,
      check: (file) => reloader.check(file),
      reload: () => reloader.reload(),
      kick,
      probe: probing,
      doctor: async () => (await import("../doctor/gateway.ts")).diagnose({ status, features, drops, shown, probing }),
      insight: insightOf(parts),
    }),
  );
}

/** What explains frames. */
function insightOf({ control, feed, standing, workers, kick }: ManagementParts) {
  const { shown, injector } = control;
  const tracer = new Tracer(shown, injector);
  const watch = new WatchHub(shown, feed, standing.first.node, workers.sourcePorts());
  shown.agent.ledger.onDrop = (reason, lost) => watch.droppedByControl(reason, lost);
  return { trace: (request: Parameters<Tracer["trace"]>[0]) => tracer.trace(request, kick), watch };
}

function healthOf(parts: ManagementParts): ReturnType<typeof createHealth> {
  const { standing } = parts;
  return createHealth({
    registry: createMetrics(metricsSource(parts)),
    stuck: () => standing.stuckWorkers(),
    unready: () => standing.missing(),
    conditions: () => standing.conditions(),
  });
}
