/** Next hops as people ask for them: what goes by one is named in part, and counted in full. */
import { expect, it } from "vitest";
import { type HopStateParts, NextHopStates } from "../../src/control/routes/hop-states.ts";

const ROUTES = 20_000;

it("of a next hop of very many routes eight are named, and all are counted", () => {
  const events: unknown[] = [];
  const due: (() => void)[] = [];
  let died = (_id: number, _alive: boolean) => {};
  const hops = [{ adjacency: 7 }];
  const states = new NextHopStates({
    nextHops: { isAlive: () => false, onChange: (callback: typeof died) => (died = callback) },
    held: () => [[7, { iface: { name: "if10" }, ip: 0x0a010102 }]],
    policies: { hops: () => [{ of: "policy p, rule 1", adjacency: 7 }] },
    staticRoutes: { hops: () => Array.from({ length: ROUTES }, (_, n) => ({ prefix: { text: `p${n}` }, hops })) },
    timers: { nowMs: 0, after: (_ms: number, then: () => void) => due.push(then) },
    emit: (_level: string, _event: string, fields: object) => events.push(fields),
  } as unknown as HopStateParts);
  const named = ["policy p, rule 1", ...Array.from({ length: 7 }, (_, n) => `route p${n}`)];
  expect(states.list()).toEqual([
    { ip: "10.1.1.2", tunnel: null, interface: "if10", of: named, useCount: ROUTES + 1, alive: false },
  ]);
  expect(states.dead()).toMatchObject([{ of: named, useCount: ROUTES + 1, seconds: 0 }]);
  died(7, false);
  for (const then of due) then();
  expect(events).toMatchObject([{ of: `${named.slice(0, 3).join("; ")}; ${ROUTES - 2} more` }]);
});
