/**
 * The life of a frame. READ THIS FIRST.
 *
 *   parse        Ethernet from the bytes; from a tunnel, VXLAN first           ingress.ts
 *   ingress      AC (+ VLAN) or tunnel (+ VNI) -> VSI; foreign sources and      ingress.ts -> source-guard.ts,
 *                routers that must not be end here                              ra-guard.ts
 *   source       hit byte of a known MAC, or a LEARN record for control         bridge.ts
 *   toCpu        ARP and ND leave by the CPU port                               to-cpu.ts -> discovery.ts, punt.ts
 *   destination  gateway MAC: route. Known unicast: send. BUM: flood            bridge.ts -> route.ts, flood.ts, egress.ts
 *
 * Frames come in runs, and the stages before layer 3 say the same of all of a run: like-last.ts lets the followers skip them.
 *
 * Each stage answers 0 ("go on") or the frame's fate. A fate is a drop reason, SENT (there are send records; the next
 * exchange tells how they ended, and `settle` counts that), or PUNTED. Nothing is counted twice and nothing escapes:
 * received + injected + copies = sent + punted + dropped.
 */

import { destination, onward, source } from "./bridge.ts";
import type { WorkerContext } from "./context.ts";
import { drop } from "./drop.ts";
import type { Frame } from "./frame.ts";
import { ingress, parse } from "./ingress.ts";
import { likeLast } from "./like-last.ts";
import { toCpu } from "./to-cpu.ts";

/** Carry the frame in hand to its fate. */
export function forward(worker: WorkerContext, f: Frame): void {
  worker.batchUnits += f.units;
  const known = likeLast(worker, f);
  const fate =
    known !== 0
      ? onward(worker, f, known)
      : parse(worker, f) || ingress(worker, f) || source(worker, f) || toCpu(worker, f) || destination(worker, f);
  if (fate > 0) drop(worker, f, fate, f.units);
}
