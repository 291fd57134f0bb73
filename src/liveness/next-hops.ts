/** What people are told of next hops: how many of them answer, and which are dead. */
import type { Feature, Row } from "../api/feature.ts";
import { addNextHops } from "../api/next-hops.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { HeldHop } from "../api/schema-next-hop.ts";
import type { Agent } from "../control/agent.ts";
import { isOfLink, parseIp } from "../control/ip.ts";
import { type DeadHop, deathText, type HopState, type NextHopStates } from "../control/routes/hop-states.ts";
import { plural } from "../wire/plural.ts";
import { someNames } from "../wire/some-names.ts";

/** Uses that the doctor names. */
const NAMED = 3;

export function nextHops(states: NextHopStates, { neighbors }: Agent): Feature {
  return {
    routes: (app) => addNextHops(app, (isDead) => heldHops(states, isDead)),
    rows: nextHopRows(states, neighbors.probes.counts),
    checks: [() => checkNextHops(states, neighbors.probes.pace)],
  };
}

function heldHops(states: NextHopStates, isDead: boolean): HeldHop[] {
  const dead = states.dead();
  const nameOf = ({ ip, tunnel, interface: iface }: HopState) => JSON.stringify([iface, ip, tunnel]);
  const since = new Map(dead.map((hop) => [nameOf(hop), hop.seconds]));
  return (isDead ? dead : states.list()).map((hop) => ({
    ...{ ip: hop.ip, tunnel: hop.tunnel, interface: hop.interface, alive: hop.alive },
    ...{ uses: [...hop.of], useCount: hop.useCount, found: hop.found, cause: hop.cause },
    deadSeconds: since.get(nameOf(hop)) ?? null,
  }));
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

/** @param pace how often each is asked; null: not at all. */
export function checkNextHops(
  states: Pick<NextHopStates, "dead" | "counts">,
  pace: Agent["neighbors"]["probes"]["pace"] = null,
): Check[] {
  const dead = states.dead();
  let held = 0;
  for (const count of states.counts().values()) held += count.alive + count.dead;
  const load = pace !== null && pace.everyMs > pace.wantedMs ? [checkLoad(held, pace)] : [];
  if (dead.length > 0) return [...dead.map(checkDead), ...load];
  if (held === 0) return [];
  return [ok("next hops", `${plural(held, "next hop")} of routes and policies, and none is dead`), ...load];
}

/** So many that the questions would be a load of their own, here and on those who answer. */
function checkLoad(held: number, { everyMs, wantedMs }: NonNullable<Agent["neighbors"]["probes"]["pace"]>): Check {
  const text = `${plural(held, "next hop")}: each is asked every ${Math.round(everyMs)} ms, not every ${Math.round(wantedMs)}: a death is noticed later`;
  return warn("next-hop probes", text, "a longer nextHopProbe.intervalMs that says so, or BFD with their gateways");
}

function checkDead(hop: DeadHop): Check {
  const { ip, tunnel, interface: iface, of, useCount, cause } = hop;
  const text = `of ${someNames(of, useCount, NAMED)}: ${deathText(hop)}`;
  // No echo goes to an address of the link (liveness/host-ping.ts).
  const look = isOfLink(parseIp(ip)!) ? "vtepctl show nd" : `vtepctl ping ${ip} --interface ${iface}`;
  const name = tunnel === null ? ip : `${ip} behind ${tunnel}`;
  const isIt = `does it run (a gateway: its vtepd), and is it reached? ${look}`;
  return warn(
    `next hop ${name}`,
    text,
    cause === null ? isIt : "none here: it comes back with that (vtepctl show tunnel, show ac)",
  );
}
