/** What insight brings to those who ask: traces of packets, events and frames as they pass, and why an entry is believed. */
import type { EventFeed } from "../api/event-feed.ts";
import type { Feature } from "../api/feature.ts";
import type { Shown, ShownParts } from "../api/shown.ts";
import { addTrace } from "../api/trace.ts";
import { addWatch } from "../api/watch.ts";
import { addWhy } from "../api/why.ts";
import type { Injector } from "../control/inject.ts";
import { Tracer } from "./trace.ts";
import { WatchHub } from "./watch.ts";
import { type FabricSentences, WhyAnswers } from "./why.ts";

export interface InsightParts {
  readonly control: ShownParts;
  readonly shown: Shown;
  readonly injector: Injector;
  readonly feed: EventFeed;
  /** Our name, in events. */
  readonly node: string;
  /** Outer UDP source ports in the order in which flows choose them. */
  readonly sourcePorts: readonly (number | null)[];
  /** What routes say (EVPN). */
  readonly fabric: FabricSentences;
  /** Begin a round of control soon. */
  readonly kick: () => void;
}

export function insight({ control, shown, injector, feed, node, sourcePorts, fabric, kick }: InsightParts): Feature {
  const tracer = new Tracer(control, injector);
  const watch = new WatchHub(control, feed, node, sourcePorts);
  control.agent.ledger.onDrop = (reason, lost) => watch.droppedByControl(reason, lost);
  return {
    routes(app) {
      addTrace(app, (request) => tracer.trace(request, kick));
      addWatch(app, watch);
      addWhy(app, new WhyAnswers(control, shown, fabric));
    },
  };
}
