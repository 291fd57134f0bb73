/**
 * Where walks are made: one at a time, and the last few are kept.
 *
 * arm: captures open on all gateways. trigger: the driver's ping, or the user's own. settle: nothing was seen for a while.
 * Then the captures end, and what they saw becomes a walk.
 */
import { EXIT, Refusal } from "../ctl/client.ts";
import type { Family } from "./article.ts";
import type { Driver, Judged, SchemeName } from "./driver.ts";
import type { Fleet } from "./fleet.ts";
import { isEnd, pingIn, type Sight, sightsOf } from "./join.ts";
import { Recorder } from "./recording.ts";
import type { Walk, WalkLine } from "./said-walk.ts";
import { beatingStream } from "./streams.ts";
import { walkOf } from "./walk.ts";

const KEPT = 8;
/** How long a user has to ping. */
const PING_SECONDS = 30;
/** More than any walk of a driver takes. */
const DRIVEN_SECONDS = 120;
const QUIET_MS = 400;
/** A packet that waits for its neighbour is given up after three seconds. */
const PATIENCE_MS = 4500;
const DEADLINE_MS = 3000;
const LOOK_MS = 50;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Tell = (line: WalkLine) => void;

export class WalkDesk {
  private readonly fleet: Fleet;
  private readonly driver: Driver | null;
  private isBusy = false;
  private number = 0;
  readonly kept: Walk[] = [];

  constructor(fleet: Fleet, driver: Driver | null) {
    this.fleet = fleet;
    this.driver = driver;
  }

  /**
   * The driver's scenario, from cold tables. It ends though its reader goes: gateways that are starting again must come up.
   * Throws a Refusal when another walk is being made.
   */
  driven(scenario: number, family: Family, scheme: SchemeName): ReadableStream<Uint8Array> {
    const driver = this.driver;
    const known = driver?.scenarios.find((each) => each.number === scenario && each.family === family);
    if (driver === null || known === undefined)
      throw new Refusal("not_found", `there is no scenario ${scenario} by IPv${family} here`, "", EXIT.notFound);
    const prepare = (next: SchemeName, tell: Tell) =>
      driver.prepare(next, family, (text) => tell({ kind: "progress", text }));
    return this.stream(async (tell) => {
      await prepare(scheme, tell);
      const recorder = await Recorder.arm(this.fleet.sockets(), DRIVEN_SECONDS);
      let judged: Judged | null;
      try {
        tell({ kind: "progress", text: `${known.from} pings ${known.to}; every frame is looked at` });
        judged = await driver.run(scenario, family, scheme);
        await settled(recorder);
      } catch (error) {
        recorder.disarm();
        throw error;
      }
      const recording = await recorder.finish();
      const causes = await this.fleet.disagreements();
      // The other views show the gateways as they usually are.
      if (scheme === "centralized") await prepare("distributed", tell);
      return walkOf(recording, { ...this.head(), scheme, scenario: known, judged, causes });
    });
  }

  /** The next ping that somebody makes. Throws a Refusal when another walk is being made. */
  watched(): ReadableStream<Uint8Array> {
    return this.stream(async (tell, hasReader) => {
      const recorder = await Recorder.arm(this.fleet.sockets(), Math.ceil(PING_SECONDS + PATIENCE_MS / 1000));
      tell({ kind: "armed", seconds: PING_SECONDS });
      try {
        await pinged(recorder, hasReader);
      } catch (error) {
        recorder.disarm();
        throw error;
      }
      const recording = await recorder.finish();
      const causes = await this.fleet.disagreements();
      return walkOf(recording, { ...this.head(), scheme: "distributed", causes });
    });
  }

  private head(): { id: string; at: string } {
    return { id: String(++this.number), at: new Date().toISOString() };
  }

  /** What `work` tells, line by line, and its walk or why there is none. */
  private stream(work: (tell: Tell, hasReader: () => boolean) => Promise<Walk>): ReadableStream<Uint8Array> {
    if (this.isBusy) throw new Refusal("busy", "another walk is being made", "wait until it is there", EXIT.failure);
    this.isBusy = true;
    let isRead = true;
    const out = beatingStream(() => {
      isRead = false;
    });
    const text = (line: WalkLine) => `${JSON.stringify(line)}\n`;
    const tell = (line: WalkLine) => void out.push(text(line));
    work(tell, () => isRead)
      .then((walk) => {
        this.kept.push(walk);
        if (this.kept.length > KEPT) this.kept.shift();
        out.end(text({ kind: "walk", walk }));
      })
      .catch((error: Error) => {
        const hint = error instanceof Refusal ? error.hint : "";
        out.end(text({ kind: "fault", message: error.message, hint }));
      })
      .finally(() => {
        this.isBusy = false;
      });
    return out.body;
  }
}

async function settled(recorder: Recorder): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (recorder.quietMs < QUIET_MS && performance.now() < end) await pause(LOOK_MS);
}

/** Resolves when a ping was answered, or given up; throws a Refusal when none was made, or no page waits for it any more. */
async function pinged(recorder: Recorder, hasReader: () => boolean): Promise<void> {
  const begin = performance.now();
  let seenMs: number | null = null;
  for (;;) {
    await pause(LOOK_MS);
    if (!hasReader()) throw new Refusal("left", "the page has gone", "", EXIT.failure);
    recorder.check();
    const now = performance.now();
    const all = sightsOf(recorder.seen());
    const ping = pingIn(all, null);
    if (ping !== null) seenMs ??= now;
    const isOver = ping !== null && all.some((sight) => isEnd(sight, ping));
    if (isOver && recorder.quietMs > QUIET_MS) return;
    if (seenMs !== null && now - seenMs > PATIENCE_MS) return;
    if (seenMs === null && now - begin > PING_SECONDS * 1000) {
      // A machine that gets no answer from its gateway has asked, at least.
      const isAsked = ({ line, packet: { resolution } }: Sight) =>
        line.via?.kind === "ac" && line.direction === "in" && resolution !== null;
      if (all.some(isAsked)) return;
      throw new Refusal(
        "no_ping",
        `no ping was seen within ${PING_SECONDS} seconds`,
        "start it again, then ping",
        EXIT.failure,
      );
    }
  }
}
