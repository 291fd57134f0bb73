/** Next hops as people ask for them: what goes by one is named in part, and counted in full. */
import { expect, it } from "vitest";
import { deathText, type HopStateParts, NextHopStates } from "../../src/control/routes/hop-states.ts";

const ROUTES = 20_000;

it("of a next hop of very many routes eight are named, and all are counted", () => {
  const events: unknown[] = [];
  const due: (() => void)[] = [];
  let died = (_id: number, _alive: boolean) => {};
  const hops = [{ adjacency: 7 }];
  const states = new NextHopStates({
    nextHops: { isAlive: () => false, onChange: (callback: typeof died) => (died = callback) },
    lastPort: () => null,
    held: () => [[7, { iface: { name: "if10" }, ip: 0x0a010102 }]],
    policies: { hops: () => [{ of: "policy p, rule 1", adjacency: 7 }] },
    staticRoutes: { hops: () => Array.from({ length: ROUTES }, (_, n) => ({ prefix: { text: `p${n}` }, hops })) },
    timers: { nowMs: 0, after: (_ms: number, then: () => void) => due.push(then) },
    emit: (_level: string, _event: string, fields: object) => events.push(fields),
  } as unknown as HopStateParts);
  const named = ["policy p, rule 1", ...Array.from({ length: 7 }, (_, n) => `route p${n}`)];
  expect(states.list()).toEqual([
    {
      ...{ ip: "10.1.1.2", tunnel: null, interface: "if10", of: named, useCount: ROUTES + 1 },
      ...{ alive: false, found: false, cause: null },
    },
  ]);
  expect(states.dead()).toMatchObject([{ of: named, useCount: ROUTES + 1, seconds: 0 }]);
  died(7, false);
  for (const then of due) then();
  expect(events).toMatchObject([{ of: `${named.slice(0, 3).join("; ")}; ${ROUTES - 2} more` }]);
});

it.each([
  [{ kind: "tunnel", name: "b1", up: false, draining: true }, "the gateway behind tunnel b1 leaves"],
  [{ kind: "tunnel", name: "b1", up: false, draining: false }, "tunnel b1 is down"],
  [{ kind: "ac", name: "ext", up: false }, "AC ext is down"],
  [{ kind: "tunnel", name: "b1", up: true, draining: false }, null],
])("one that died with %j is told to be dead for that, until that is back", (port, cause) => {
  const events: unknown[] = [];
  let died = (_id: number, _alive: boolean) => {};
  let lastPort: object | null = port;
  const states = new NextHopStates({
    nextHops: { isAlive: () => false, onChange: (callback: typeof died) => (died = callback) },
    lastPort: () => lastPort,
    held: () => [[7, { iface: { name: "if10" }, ip: 0x0a010102 }]],
    policies: { hops: () => [] },
    staticRoutes: { hops: () => [] },
    timers: { nowMs: 0, after: (_ms: number, then: () => void) => then() },
    emit: (_level: string, _event: string, fields: object) => events.push(fields),
  } as unknown as HopStateParts);
  died(7, false);
  // Ten seconds later nothing is known of it any more.
  lastPort = null;
  const [hop] = states.dead();
  expect(hop).toMatchObject({ cause });
  expect(deathText(hop!)).toBe(cause === null ? "it has answered no ARP on if10 for 0 s" : `${cause}; for 0 s`);
  port.up = true;
  expect(states.dead()).toMatchObject([{ cause: null }]);
});
