/**
 * Control's side of an exact-match table that may be unsettled.
 *
 * A table that is full and one that is only unsettled (it wants to change banks while a worker still reads the other one)
 * refuse a new key alike, and are two different things: the one stays so until something goes, the other passes with the
 * worker's batch. So the latter is this file's business: what cannot be stored yet is stored by timer, in the next
 * milliseconds, and nothing else hears of it. Until then a look-up does not find the key, as before it came.
 *
 * What waits takes part in the limit, so nothing that was accepted meets a full table later.
 */
import { type ExactMatch, ExactMatchWriter } from "../tables/exact-match.ts";
import type { Heartbeat } from "../tables/heartbeat.ts";
import type { Timers } from "./timers.ts";

const RETRY_MS = 5;

interface Store {
  readonly a: number;
  readonly b: number;
  readonly value: number;
}

export class PatientWriter {
  private readonly writer: ExactMatchWriter;
  private readonly timers: Timers;
  /** Keys that wait for the table to settle. */
  private readonly late = new Map<string, Store>();

  /** @param seed a random int32 for the table's hash. */
  constructor(table: ExactMatch, heartbeat: Heartbeat, timers: Timers, seed: number) {
    this.writer = new ExactMatchWriter(table, heartbeat, seed);
    this.timers = timers;
  }

  /** Keys in the table. */
  get size(): number {
    return this.writer.size;
  }

  /** Keys that will be in it as soon as it has settled. */
  get waiting(): number {
    return this.late.size;
  }

  /** Store `value` (never 0) for (a, b), now or as soon as the table has settled. @returns false when it is full. */
  set(a: number, b: number, value: number): boolean {
    const isNew = this.late.size > 0 && !this.late.has(nameOf(a, b));
    if (isNew && this.writer.size + this.late.size >= this.writer.limit && this.writer.table.get(a, b) === 0)
      return false;
    const result = this.writer.set(a, b, value);
    if (result === "unsettled") this.wait({ a, b, value });
    else if (this.late.size > 0) this.late.delete(nameOf(a, b));
    return result !== "full";
  }

  /** Withdraw (a, b), stored or waiting. @returns false if it was neither. */
  remove(a: number, b: number): boolean {
    const waited = this.late.size > 0 && this.late.delete(nameOf(a, b));
    return this.writer.remove(a, b) || waited;
  }

  /** Was (a, b) hit since the last call? Clears the mark. */
  takeHit(a: number, b: number): boolean {
    return this.writer.takeHit(a, b);
  }

  private wait(store: Store): void {
    if (this.late.size === 0) this.timers.after(RETRY_MS, () => this.retry());
    this.late.set(nameOf(store.a, store.b), store);
  }

  /** The first that has to wait on ends the round: the others would meet the same. */
  private retry(): void {
    for (const [name, { a, b, value }] of this.late) {
      if (this.writer.set(a, b, value) !== "stored") break;
      this.late.delete(name);
    }
    if (this.late.size > 0) this.timers.after(RETRY_MS, () => this.retry());
  }
}

function nameOf(a: number, b: number): string {
  return `${a} ${b}`;
}
