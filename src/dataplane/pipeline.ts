/**
 * The life of a frame. READ THIS FIRST.
 *
 *   parse        Ethernet from the bytes; from a tunnel, VXLAN first           ingress.ts
 *   ingress      AC (+ VLAN) or tunnel (+ VNI) -> VSI                           ingress.ts
 *   source       hit byte of a known MAC, or a LEARN record for control         bridge.ts
 *   toCpu        ARP leaves by the CPU port                                     cpu-port.ts
 *   destination  gateway MAC: route. Known unicast: send. BUM: flood            bridge.ts -> route.ts, flood.ts, egress.ts
 *
 * Each stage answers 0 ("go on") or the frame's fate. A fate is a drop reason, SENT (there are send records; the next
 * exchange tells how they ended, and `settle` counts that), or PUNTED. Nothing is counted twice and nothing escapes:
 * received + injected + copies = sent + punted + dropped.
 */
import { destination, source } from "./bridge.ts";
import { toCpu } from "./cpu-port.ts";
import type { Frame } from "./frame.ts";
import { ingress, parse } from "./ingress.ts";

/** Carry the frame in hand to its fate. */
export function forward(f: Frame): void {
  f.batchUnits += f.units;
  const fate = parse(f) || ingress(f) || source(f) || toCpu(f) || destination(f);
  if (fate > 0) f.counters.drops[fate]! += f.units;
}
