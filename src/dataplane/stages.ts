/**
 * The stages of a frame's life, one by one: what `forward` does when it may not skip any.
 *
 * All that wants to see the steps goes through here: `explain` (what would happen to this packet), a batch that is watched,
 * a packet that the operator injected as if it had arrived.
 */

import { destination, source } from "./bridge.ts";
import type { WorkerContext } from "./context.ts";
import type { Fate, Frame } from "./frame.ts";
import { ingress, parse } from "./ingress.ts";
import { toCpu } from "./to-cpu.ts";

export type Stage = (worker: WorkerContext, f: Frame) => Fate;

/** By name, in their order. A stage answers 0 ("go on") or the frame's fate. */
export const STAGES: readonly (readonly [name: string, stage: Stage])[] = [
  ["parse", (worker, f) => parse(worker, f)],
  ["ingress", (worker, f) => ingress(worker, f)],
  ["source", (worker, f) => source(worker, f)],
  ["toCpu", (worker, f) => toCpu(worker, f)],
  ["destination", (worker, f) => destination(worker, f)],
];

/** Carry the frame in hand through all of them. Nothing is counted here. */
export function throughStages(worker: WorkerContext, f: Frame): Fate {
  return parse(worker, f) || ingress(worker, f) || source(worker, f) || toCpu(worker, f) || destination(worker, f);
}
