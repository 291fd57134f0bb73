/** Next-hop probing in virtual time: who is asked, when it is dead, and what is no death. */
import { beforeEach, describe, expect, it } from "vitest";
import { AgentBed, B10, G10, ip, M1 } from "./agent-bed.ts";

const HOP = "10.1.1.2";
let bed: AgentBed;
let id: number;
/** Does the next hop answer? */
let lives: boolean;
const changes: string[] = [];

/** Let `ms` pass; each question is answered 5 ms later. @returns how many there were. */
function pass(ms: number): number {
  let asked = 0;
  for (const end = bed.nowMs + ms; bed.nowMs < end; ) {
    bed.advance(5);
    const questions = bed.requests().filter((text) => text.endsWith(`,${HOP}`));
    asked += questions.length;
    if (lives && questions.length > 0) answer();
  }
  return asked;
}
const answer = () => bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "0.0.0.0");

beforeEach(() => {
  bed = new AgentBed();
  bed.agent.neighbors.probes.setConfig({ intervalMs: 1000, multiplier: 3 });
  changes.length = 0;
  bed.agent.neighbors.onChange((_, alive) => changes.push(`${alive ? "alive" : "dead"} ${bed.nowMs}`));
  id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
  lives = true;
  bed.want(HOP, { on: bed.if10 });
  answer();
  bed.sent();
});

describe("a next hop that routes hold", () => {
  it("is asked each second or oftener, by unicast, and stays alive for as long as it answers", () => {
    pass(1000);
    const asked = pass(60_000);
    expect(asked).toBeGreaterThanOrEqual(60);
    expect(asked).toBeLessThanOrEqual(82);
    expect(changes).toEqual([]);
    expect(bed.agent.neighbors.probes.counts.get("if10")).toMatchObject({ missed: 0 });
  });

  it("is dead within three intervals of its last answer, and back with its first one, within one", () => {
    pass(10_000);
    lives = false;
    const diedMs = bed.nowMs;
    pass(3000);
    expect(changes.map((text) => text.split(" ")[0])).toEqual(["dead"]);
    const afterMs = Number(changes[0]!.split(" ")[1]) - diedMs;
    expect(afterMs).toBeGreaterThanOrEqual(2000);
    expect(afterMs).toBeLessThanOrEqual(3000);
    expect([bed.agent.neighbors.isAlive(id), bed.tables.fib.rewrite[id]]).toEqual([false, 0]);
    pass(60_000);
    lives = true;
    const backMs = bed.nowMs;
    pass(1000);
    expect(Number(changes[1]!.split(" ")[1]) - backMs).toBeLessThanOrEqual(760);
    expect(bed.tables.fib.rewrite[id]).toBeGreaterThan(0);
  });

  it("loses two answers in a row, and lives", () => {
    for (let i = 0; i < 20; i++) {
      lives = false;
      pass(1490);
      lives = true;
      pass(760);
    }
    expect(changes).toEqual([]);
  });

  it("is asked no more once nothing holds it, and not before it was known", () => {
    bed.agent.neighbors.release(id);
    expect(pass(5000)).toBe(0);
    bed.agent.neighbors.hold(bed.if10, ip("10.1.1.3"));
    bed.advance(5000);
    expect(bed.requests()).toEqual([]);
  });

  it("that is configured is not asked: its MAC is the operator's word", () => {
    bed.agent.neighbors.addStatic(bed.if10, ip(HOP), B10, bed.border, bed.vsi10);
    bed.sent();
    expect(pass(5000)).toBe(0);
    expect(bed.agent.neighbors.isAlive(id)).toBe(true);
  });

  it("is not dead because we were away: answers wait in the ring, which is read after the timers", () => {
    bed.agent.neighbors.probes.setConfig({ intervalMs: 100, multiplier: 3 });
    pass(5000);
    for (let round = 0; round < 40; round++) {
      // Nothing is read in that time, and the last question's answer comes behind the timers.
      bed.stall([100, 240, 400, 600, 990, 1700, 3100][round % 7]!);
      if (bed.requests().length > 0) answer();
      pass((round * 53) % 900);
    }
    expect(changes).toEqual([]);
  });

  it("is dead in the end, however late we are each time", () => {
    pass(5000);
    lives = false;
    for (let round = 0; round < 60; round++) bed.stall(400);
    expect(changes.map((text) => text.split(" ")[0])).toEqual(["dead"]);
  });

  it("with the interval 0 nothing is asked", () => {
    bed.agent.neighbors.probes.setConfig({ intervalMs: 0, multiplier: 3 });
    expect(pass(30_000)).toBe(0);
  });
});

describe("many next hops", () => {
  it("are asked 500 times a second in all, however few of them are known", () => {
    bed.agent.neighbors.release(id);
    for (let host = 2; host <= 254; host++) {
      bed.agent.neighbors.hold(bed.if10, ip(`10.1.1.${host}`));
      bed.agent.neighbors.hold(bed.if20, ip(`20.1.1.${host}`));
    }
    for (let host = 100; host < 180; host++) bed.request(bed.vm1, bed.vsi10, M1, `10.1.1.${host}`, "10.1.1.1");
    bed.advance(1012);
    bed.sent();
    // 506 next hops: each once in 1012 ms, where two would be asked every 750.
    bed.advance(1012 * 2);
    const asked = bed.requests().length;
    expect(asked).toBeGreaterThanOrEqual(80 * 2);
    expect(asked).toBeLessThanOrEqual(80 * 2 + 4);
  });
});
