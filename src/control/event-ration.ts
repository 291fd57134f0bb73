/**
 * The ration of events that others can cause: frames of a tenant or of a peer.
 *
 * Each of these events has one at each place (VSI or VSI-interface, AC or tunnel): a burst, then one in ten seconds, which says
 * how many were left out (`suppressed`). So a storm in one VSI neither fills the log nor pushes away what happens elsewhere.
 * What is for looking closely (level debug) is not rationed here: the log keeps none of it unless it is asked to.
 */
import type { Emit, EventFields, EventName } from "./event.ts";
import type { Timers } from "./timers.ts";

const BURST = 10;
const REFILL_MS = 10_000;
const SWEEP_MS = 60_000;
/** Beyond that all further places of an event share one. */
const PLACES = 4096;

const RATIONED: ReadonlySet<EventName> = new Set<EventName>([
  "gateway.mac",
  "mac.moved",
  "mac.damped",
  "neighbor.moved",
  "neighbor.damped",
  "neighbor.duplicate",
  "neighbor.duplicate-over",
  "next-hop.dead",
  "next-hop.alive",
  "arp.defend",
  "port.security",
  "loop.found",
  "loop.over",
  "binding.refused",
  "underlay.mtu",
  "evpn.refused",
  "evpn.moved",
  "evpn.duplicate",
  "evpn.duplicate-over",
  "evpn.sticky-conflict",
]);

interface Place {
  allowance: number;
  filledMs: number;
  suppressed: number;
  /** What was left out last. */
  last: (() => void) | null;
}

/** `emit`, rationed. */
export function rationed(emit: Emit, timers: Timers): Emit {
  const places = new Map<string, Place>();
  const fill = (place: Place) => {
    place.allowance = Math.min(BURST, place.allowance + (timers.nowMs - place.filledMs) / REFILL_MS);
    place.filledMs = timers.nowMs;
  };
  timers.every(SWEEP_MS, () => {
    for (const [key, place] of places) {
      fill(place);
      // A storm that is over tells what it left out.
      if (place.allowance >= 1) place.last?.();
      if (place.allowance === BURST) places.delete(key);
    }
  });
  return (level, event, fields) => {
    if (level === "debug" || !RATIONED.has(event)) {
      emit(level, event, fields);
      return;
    }
    let key = `${event} ${placeOf(fields)}`;
    if (!places.has(key) && places.size >= PLACES) key = event;
    let place = places.get(key);
    if (place === undefined) {
      place = { allowance: BURST, filledMs: timers.nowMs, suppressed: 0, last: null };
      places.set(key, place);
    }
    fill(place);
    const { suppressed } = place;
    const tell = (more: EventFields) => {
      place.allowance--;
      place.suppressed = 0;
      place.last = null;
      emit(level, event, { ...fields, ...more });
    };
    if (place.allowance >= 1) tell(suppressed === 0 ? {} : { suppressed });
    else {
      place.suppressed++;
      place.last = () => tell({ suppressed });
    }
  };
}

function placeOf({ vsi = "", interface: iface = "", ac = "", tunnel = "" }: EventFields): string {
  return `${vsi} ${iface} ${ac} ${tunnel}`;
}
