/** A track by echoes, in virtual time: when it is down, when it is up again, and what it makes of its own lateness. */
import { beforeEach, describe, expect, it } from "vitest";
import { Timers } from "../../src/control/timers.ts";
import { EchoTrack } from "../../src/control/tracks/echo-track.ts";

const PACE = { intervalMs: 500, multiplier: 3 };

let timers: Timers;
let asked: number[];
let changes: string[];
let track: EchoTrack;
/** Of the way; null: there is no answer. */
let rttMs: number | null;
let refusal: string | null;

function begin(isUp: boolean | null = null): EchoTrack {
  return new EchoTrack(
    {
      pace: PACE,
      timers,
      random: () => 0,
      ask(waitMs, done) {
        if (refusal !== null) return refusal;
        asked.push(timers.nowMs);
        const answer = rttMs;
        timers.after(answer ?? waitMs, () => done(answer));
        return null;
      },
      onChange: () => changes.push(`${timers.nowMs} ${track.isUp ? "up" : "down"}`),
    },
    isUp,
  );
}
function advance(ms: number): void {
  for (const end = timers.nowMs + ms; timers.nowMs < end; ) timers.run(Math.min(end, timers.nowMs + 5));
}

beforeEach(() => {
  timers = new Timers(0);
  asked = [];
  changes = [];
  rttMs = 10;
  refusal = null;
  track = begin();
});

describe("a host by echoes", () => {
  it("is used at first, and known to be up from its first answer on", () => {
    expect([track.isUp, track.isFirst]).toEqual([true, true]);
    advance(15);
    expect([track.isUp, track.isFirst, track.rttMs, changes]).toEqual([true, false, 10, ["10 up"]]);
  });

  it("is down within the detection time of its last answer, and up again by as many answers in a row", () => {
    advance(5000);
    rttMs = null;
    const lastMs = asked.at(-1)! + 10;
    advance(3000);
    expect(changes).toHaveLength(2);
    const downMs = Number(changes[1]!.split(" ")[0]);
    expect(changes[1]).toMatch(/down$/);
    expect(downMs - lastMs).toBeLessThanOrEqual(PACE.intervalMs * PACE.multiplier);
    expect(track.missed).toBeGreaterThanOrEqual(3);
    rttMs = 10;
    const askedBefore = asked.length;
    advance(2000);
    const upMs = Number(changes[2]!.split(" ")[0]);
    expect(upMs).toBe(asked[askedBefore + 2]! + 10);
    expect(changes[2]).toMatch(/up$/);
  });

  it("that never answers is down after its detection time, not frozen", () => {
    rttMs = null;
    track.stop();
    track = begin();
    advance(2000);
    expect(changes).toEqual([expect.stringMatching(/down$/)]);
  });

  it("that loses every second echo stays up, and once down does not come back by half of its answers", () => {
    advance(1000);
    for (let n = 0; n < 20; n++) {
      rttMs = n % 2 === 0 ? null : 10;
      advance(375);
    }
    expect(changes).toHaveLength(1);
    rttMs = null;
    advance(3000);
    for (let n = 0; n < 20; n++) {
      rttMs = n % 2 === 0 ? null : 10;
      advance(375);
    }
    expect(changes).toHaveLength(2);
  });

  it("that is farther away than the interval is up", () => {
    rttMs = 900;
    advance(20_000);
    expect(changes).toEqual(["900 up"]);
  });

  it("which cannot be asked is down as one that does not answer, and says why", () => {
    advance(5000);
    refusal = "no socket";
    advance(2000);
    expect([track.isUp, track.blind]).toEqual([false, "no socket"]);
    refusal = null;
    advance(2000);
    expect([track.isUp, track.blind]).toEqual([true, null]);
  });

  it("is not down because we were away: however long, one turn is made up for", () => {
    advance(5000);
    const before = asked.length;
    timers.run(timers.nowMs + 10_000);
    expect(asked.length - before).toBeLessThanOrEqual(2);
    advance(3000);
    expect(changes).toHaveLength(1);
  });

  it("that is asked by other rules now stays what it was until it has been asked", () => {
    track.stop();
    track = begin(false);
    expect([track.isUp, track.isFirst]).toEqual([false, false]);
    advance(2000);
    expect(changes).toEqual([expect.stringMatching(/up$/)]);
  });

  it("which is stopped asks and tells nothing more", () => {
    advance(100);
    const before = asked.length;
    track.stop();
    rttMs = null;
    advance(10_000);
    expect([asked.length, changes.length]).toEqual([before, 1]);
  });
});
