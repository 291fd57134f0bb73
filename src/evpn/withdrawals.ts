/**
 * Withdrawals that are held back, and when they are believed.
 *
 * An engine takes back what a peer had announced *before* it tells that the session is lost, and then they mean nothing. So they wait
 * HOLD_MS after the last of them. Some that never cease wait LONGEST_MS. Those of a session with a hundred thousand routes take
 * longer than that, and all of them wait for the end of the flood: a part of all, and more than the thousand a second of a gateway
 * that leaves. What trickles behind a flood keeps none of it waiting.
 */
import { LargeMap } from "../control/large-map.ts";

const HOLD_MS = 200;
const LONGEST_MS = 2000;
const FLOOD = { routes: 2048, part: 1 / 32, perSecond: 1024, longestMs: 30_000 };
const SECOND_MS = 1000;

/** A route; no other one has its number. */
interface Numbered {
  readonly number: number;
}

export class Withdrawals<Held extends Numbered> {
  private held = new LargeMap<number, Held>();
  private firstMs = 0;
  private lastMs = 0;
  /** This second, and how many came in it and in the one before. */
  private secondMs = 0;
  private inSecond = 0;
  private before = 0;

  has({ number }: Numbered): boolean {
    return this.held.has(number);
  }

  add(held: Held, nowMs: number): void {
    if (this.held.size === 0) this.firstMs = nowMs;
    this.lastMs = nowMs;
    const passedMs = nowMs - this.secondMs;
    if (passedMs >= SECOND_MS) {
      this.before = passedMs < 2 * SECOND_MS ? this.inSecond : 0;
      this.inSecond = 0;
      this.secondMs = nowMs;
    }
    this.inSecond++;
    this.held.set(held.number, held);
  }

  /** It came again. @returns whether it was held back. */
  delete({ number }: Numbered): boolean {
    return this.held.delete(number);
  }

  /** Are they believed now? @param routes how many there are in all. */
  isDue(nowMs: number, routes: number): boolean {
    const { size } = this.held;
    const isFlood =
      size >= Math.max(FLOOD.routes, routes * FLOOD.part) && Math.max(this.inSecond, this.before) >= FLOOD.perSecond;
    const longestMs = isFlood ? FLOOD.longestMs : LONGEST_MS;
    return size > 0 && (nowMs - this.lastMs >= HOLD_MS || nowMs - this.firstMs >= longestMs);
  }

  /** All of them, by their numbers; none is left. */
  take(): LargeMap<number, Held> {
    const { held } = this;
    this.held = new LargeMap();
    return held;
  }
}
