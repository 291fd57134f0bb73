/** The state machine of BFD against RFC 5880 §6.8.6, written down a second time as its sentences say it: all pairs. */
import { expect, it } from "vitest";
import { type BfdEvent, MOVES } from "../../../src/liveness/bfd/state-table.ts";
import { type BfdState, STATES } from "../../../src/wire/bfd.ts";

/** The pseudo code of §6.8.6, and §6.8.4 and §6.8.16 for the last three. */
function twin(state: BfdState, event: BfdEvent): BfdState {
  if (event === "disable") return "adminDown";
  if (event === "enable") return state === "adminDown" ? "down" : state;
  if (state === "adminDown") return state;
  if (event === "expired") return state === "down" ? state : "down";
  if (event === "adminDown") return "down";
  if (state === "down") return event === "down" ? "init" : event === "init" ? "up" : state;
  if (state === "init") return event === "init" || event === "up" ? "up" : state;
  return event === "down" ? "down" : state;
}

it("every pair of state and event leads where the RFC says", () => {
  const events: BfdEvent[] = [...STATES, "expired", "disable", "enable"];
  const pairs = STATES.flatMap((state) => events.map((event) => [state, event] as const));
  expect(pairs).toHaveLength(28);
  for (const [state, event] of pairs)
    expect([state, event, MOVES[state][event]?.[0] ?? state]).toEqual([state, event, twin(state, event)]);
});

it("an end has its diagnosis, and a session that is up has none", () => {
  expect(MOVES.up.expired).toEqual(["down", "detectionTimeExpired"]);
  expect(MOVES.up.down).toEqual(["down", "neighborSignaledDown"]);
  expect(MOVES.init.adminDown).toEqual(["down", "neighborSignaledDown"]);
  expect(MOVES.down.init).toEqual(["up", "none"]);
});
