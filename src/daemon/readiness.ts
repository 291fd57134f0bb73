/**
 * Is the gateway ready for frames, condition by condition?
 *
 * Ready: started, not stopping, every worker makes progress, the underlay device is up where there are tunnels, and every AC
 * attached whose TAP is ours to make; and what features ask for besides (api/feature.ts). A VM that hands
 * its TAP over comes and goes as it likes, a VM may set its interface down, and a tunnel that is down is the network's
 * business: all are shown, and none makes the gateway unready.
 */
import type { Condition } from "../api/feature.ts";
import type { Inventory } from "../control/inventory.ts";
import type { UnderlayState } from "./underlay-watch.ts";
import type { StuckWorker } from "./worker-watch.ts";

/** All conditions, the daemon's own phases first. */
export function conditionsOf(
  inventory: Inventory,
  phases: ReadonlySet<string>,
  workers: number,
  stuck: readonly StuckWorker[],
  underlay: UnderlayState,
): Condition[] {
  const conditions: Condition[] = [...phases].map((phase) => ({
    what: phase,
    isMet: false,
    isRequired: true,
    text: phase,
  }));
  if (phases.size === 0)
    conditions.push({ what: "started", isMet: true, isRequired: true, text: "configuration in force" });
  if (stuck.length === 0)
    conditions.push({ what: "workers", isMet: true, isRequired: true, text: `${workers} make progress` });
  for (const { worker, seconds } of stuck)
    conditions.push({ what: `worker ${worker}`, isMet: false, isRequired: true, text: `stuck for ${seconds} s` });
  const { device, problem } = underlay;
  const isNeeded = [...inventory.ports.values()].some(({ kind }) => kind === "tunnel");
  const underlayText = problem === null ? `${device} is up` : `down: ${problem}`;
  conditions.push({ what: "underlay", isMet: problem === null, isRequired: isNeeded, text: underlayText });
  for (const port of inventory.ports.values()) {
    const { name, up } = port;
    const state = up ? "up" : "down";
    if (port.kind === "tunnel") conditions.push({ what: `tunnel ${name}`, isMet: up, isRequired: false, text: state });
    else {
      const { linkDown } = port;
      const { handover } = port.config;
      const text = linkDown
        ? "down: its VM's interface is down"
        : handover && !up
          ? "waits for its TAP to be handed over"
          : state;
      conditions.push({ what: `AC ${name}`, isMet: up, isRequired: !handover && !linkDown, text });
    }
  }
  return conditions;
}

/** What is missing, in words; empty: ready. */
export function missingOf(conditions: readonly Condition[]): string[] {
  return conditions
    .filter(({ isMet, isRequired }) => isRequired && !isMet)
    .map(({ what, text }) => (text === what || text.startsWith(`${what}:`) ? text : `${what} is ${text}`));
}
