/**
 * A batch while somebody watches: the same stages as always, with a record of each frame before and behind them.
 *
 * It is a loop of its own so that the other one, which is not watched, is not a step longer. What control injects has only its
 * way out to show (inject.ts).
 */

import { WATCH_FRAMES } from "../tables/watch.ts";
import type { WorkerContext } from "./context.ts";
import { drop } from "./drop.ts";
import { PUNTED } from "./frame.ts";
import { throughStages } from "./stages.ts";

/** Forward the `received` frames of the batch, telling the watch ring. */
export function watchBatch(worker: WorkerContext, received: number): void {
  const { watcher, frame: f } = worker;
  const frames = (worker.watch & WATCH_FRAMES) !== 0;
  for (let i = 0; i < received; i++) {
    f.load(i);
    watcher.keep(worker, f);
    const first = worker.sendCount;
    worker.batchUnits += f.units;
    const fate = throughStages(worker, f);
    if (fate > 0) drop(worker, f, fate, f.units);
    watcher.received(worker, f, fate, first, fate === PUNTED ? worker.lastPunt : 0);
    if (frames) watcher.copied(worker, f, first);
  }
}
