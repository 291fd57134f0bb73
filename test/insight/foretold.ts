/** A trace whose frame is injected, and what control did with that one frame: for the tests that compare NEXT with it. */
import type { Trace, TraceRequest } from "../../src/api/schema-trace.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { CONTROL_REINJECTED, DROPS } from "../../src/tables/counters.ts";
import type { Gateway } from "../gateway/world.ts";

/** Its events, its drops, and what waits or went back. */
export interface Done {
  readonly events: readonly string[];
  readonly drops: readonly string[];
  readonly held: number;
  readonly reinjected: number;
}

export const said = (done: Done, name: string) => done.events.some((event) => event.startsWith(name));

/** null: no such frame can be made. */
export function injected(gateway: Gateway, request: TraceRequest): { trace: Trace; done: Done } | null {
  const { shown, injector, agent } = gateway.control;
  const { drops, control } = gateway.tables.controlCounters;
  const before = { drops: drops.slice(), held: agent.ledger.held, reinjected: control[CONTROL_REINJECTED]! };
  gateway.events.length = 0;
  const trace = new Tracer(shown, injector).trace({ ...request, inject: true }, () => undefined);
  if ("message" in trace) return null;
  // This gateway alone: what others answer is another frame's story.
  gateway.turn();
  const done = {
    events: gateway.events.map(({ event, fields }) =>
      event === "icmp.error" ? `${event} ${fields.type}/${fields.code}` : event,
    ),
    drops: DROPS.filter((_, i) => drops[i + 1]! > before.drops[i + 1]!).map(([reason]) => reason),
    held: agent.ledger.held - before.held,
    reinjected: control[CONTROL_REINJECTED]! - before.reinjected,
  };
  return { trace, done };
}
