/** What people are told of next hops: how many of them answer, and which are dead. */
import type { Feature, Row } from "../api/feature.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { Agent } from "../control/agent.ts";
import type { DeadHop, NextHopStates } from "../control/routes/hop-states.ts";
import { plural } from "../wire/plural.ts";

/** Uses that the doctor names. */
const NAMED = 3;

export function nextHops(states: NextHopStates, { neighbors }: Agent): Feature {
  return { rows: nextHopRows(states, neighbors.probes.counts), checks: [() => checkNextHops(states)] };
}

export function nextHopRows(
  states: Pick<NextHopStates, "counts">,
  questions: Agent["neighbors"]["probes"]["counts"],
): Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_next_hops",
      help: "Next hops of routes and policies by whether they are dead; one that was never used counts as alive",
      labels: ["interface", "state"],
      *values() {
        for (const [iface, { alive, dead }] of states.counts()) {
          yield [{ interface: iface, state: "alive" }, alive];
          yield [{ interface: iface, state: "dead" }, dead];
        }
      },
    },
    {
      kind: "counter",
      name: "vtep_next_hop_probes_total",
      help: "Questions to next hops whether they live, by what became of them",
      labels: ["interface", "result"],
      *values() {
        for (const [iface, { answered, missed }] of questions) {
          yield [{ interface: iface, result: "answered" }, answered];
          yield [{ interface: iface, result: "missed" }, missed];
        }
      },
    },
  ];
}

export function checkNextHops(states: Pick<NextHopStates, "dead" | "counts">): Check[] {
  const dead = states.dead();
  if (dead.length > 0) return dead.map(checkDead);
  let held = 0;
  for (const { alive } of states.counts().values()) held += alive;
  return held === 0 ? [] : [ok("next hops", `${plural(held, "next hop")} of routes and policies, and none is dead`)];
}

function checkDead({ ip, interface: iface, of, seconds }: DeadHop): Check {
  const uses = of.length > NAMED ? [...of.slice(0, NAMED), `${of.length - NAMED} more`] : of;
  const text = `of ${uses.join("; ")}: it has answered no ARP on ${iface} for ${seconds} s`;
  return warn(
    `next hop ${ip}`,
    text,
    `is that gateway up, and does its vtepd run? vtepctl ping ${ip} --interface ${iface}`,
  );
}
