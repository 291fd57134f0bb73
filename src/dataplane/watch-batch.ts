/**
 * A batch while somebody watches: the same stages as always, with a record of each frame before and behind them.
 *
 * It is a loop of its own so that the other one, which is not watched, is not a step longer. What control injects has only its
 * way out to show (inject.ts).
 */
import { WATCH_FRAMES } from "../tables/watch.ts";
import { drop } from "./drop.ts";
import { type Frame, PUNTED } from "./frame.ts";
import { throughStages } from "./stages.ts";

/** Forward the `received` frames of the batch, telling the watch ring. */
export function watchBatch(f: Frame, received: number): void {
  const { watcher } = f;
  const frames = (f.watch & WATCH_FRAMES) !== 0;
  for (let i = 0; i < received; i++) {
    f.load(i);
    watcher.keep(f);
    const first = f.sendCount;
    f.batchUnits += f.units;
    const fate = throughStages(f);
    if (fate > 0) drop(f, fate, f.units);
    watcher.received(f, fate, first, fate === PUNTED ? f.lastPunt : 0);
    if (frames) watcher.copied(f, first);
  }
}
