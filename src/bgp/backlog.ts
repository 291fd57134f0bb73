/**
 * What the engine told and main has not been sent yet, in order.
 *
 * It is bounded by rows. With more, what can be asked for again goes: all rows, and the ends of the lists they are of. A list that is said
 * to be complete without some of its rows would be believed, and what they are about be swept.
 */
import { type EngineEvent, MOST_WAITING } from "./engine.ts";

export interface Waiting {
  readonly event: EngineEvent;
  /** When it came. */
  readonly atMs: number;
}

export class Backlog {
  private waiting: Waiting[] = [];
  private readonly most: number;
  rows = 0;

  constructor(most = MOST_WAITING) {
    this.most = most;
  }

  get size(): number {
    return this.waiting.length;
  }

  /** @returns false: there were too many rows, and all has to be asked for again. */
  add(event: EngineEvent, atMs: number): boolean {
    this.waiting.push({ event, atMs });
    if (event.kind === "rows") this.rows += event.rows.length;
    if (this.rows <= this.most) return true;
    this.waiting = this.waiting.filter(({ event: { kind } }) => kind !== "rows" && kind !== "complete");
    this.rows = 0;
    return false;
  }

  /** The oldest. */
  take(): Waiting | undefined {
    const oldest = this.waiting.shift();
    if (oldest?.event.kind === "rows") this.rows -= oldest.event.rows.length;
    return oldest;
  }
}
