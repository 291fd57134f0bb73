import { describe, expect, it } from "vitest";
import { isKnown, NUD, NUD_EVENTS, NUD_STATES } from "../../src/control/neighbor/nud.ts";

/** The whole table again, written from behaviour.md §3.9 and RFC 4861 §7.3: "next action", or "-" for nothing. */
const EXPECTED: Record<string, Record<string, string>> = {
  incomplete: {
    heard: "reachable program",
    silent: "incomplete solicitAll",
    gaveUp: "failed withdraw",
    restored: "delay resume",
  },
  reachable: {
    heard: "reachable program",
    aged: "stale watch",
    unheard: "delay wait",
    doubted: "probe askHost",
    gone: "failed withdraw",
    cut: "suspended suspend",
  },
  stale: {
    heard: "reachable program",
    used: "delay wait",
    expiring: "delay wait",
    doubted: "probe askHost",
    gone: "failed withdraw",
    cut: "suspended suspend",
  },
  delay: {
    heard: "reachable program",
    waited: "probe askHost",
    doubted: "probe askHost",
    gone: "failed withdraw",
    cut: "suspended suspend",
  },
  probe: {
    heard: "reachable program",
    silent: "probe askHost",
    gaveUp: "failed withdraw",
    gone: "failed withdraw",
    cut: "suspended suspend",
  },
  suspended: {
    needed: "incomplete solicitAll",
    heard: "reachable program",
    restored: "delay resume",
  },
  failed: {
    needed: "incomplete solicitAll",
    heard: "reachable program",
    restored: "delay resume",
    forgotten: "failed remove",
  },
};

describe("the NUD table", () => {
  for (const state of NUD_STATES)
    for (const event of NUD_EVENTS)
      it(`${state} × ${event}`, () => {
        expect(NUD[state][event]?.join(" ") ?? "-").toBe(EXPECTED[state]![event] ?? "-");
      });

  it("hearing from a neighbour makes it reachable, whatever it was", () => {
    for (const state of NUD_STATES) expect(NUD[state].heard).toEqual(["reachable", "program"]);
  });

  it("only a neighbour that was given up, or never known, keeps packets waiting or answers them", () => {
    for (const state of NUD_STATES)
      for (const step of Object.values(NUD[state])) {
        const [next, action] = step;
        if (isKnown(state) && !isKnown(next)) expect(["withdraw", "suspend"]).toContain(action);
        if (!isKnown(state) && isKnown(next)) expect(["program", "resume"]).toContain(action);
      }
  });

  it("every state can be left, and failed can be reached from every other", () => {
    for (const state of NUD_STATES) {
      const reached = new Set<string>([state]);
      for (let grew = true; grew; ) {
        const before = reached.size;
        for (const each of NUD_STATES)
          if (reached.has(each)) for (const [next] of Object.values(NUD[each])) reached.add(next);
        grew = reached.size > before;
      }
      expect(reached.has("failed")).toBe(true);
      expect(reached.has("reachable")).toBe(true);
    }
  });
});
