/**
 * When may a thing that was taken away really be thrown away?
 *
 * A worker that still holds a TAP's fd must not find another file behind that number, a frame that is on its way in from
 * an old io port must not be taken for a new AC's, and a record that waits in a punt ring must not be read with the row
 * of somebody else. So what the topology gives up is buried in steps:
 *
 *   1. each worker has emptied its inject ring: it has seen our `detach`;
 *   2. each worker has been outside a batch since then (heartbeat.ts): no frame of the old port is in hand;
 *   3. for row numbers, one second more: punt rings are drained many times in that second.
 *
 * Files are closed after step 2, rows come back after step 3. Nothing here waits: a timer looks again.
 */
import type { Heartbeat } from "../../tables/heartbeat.ts";
import type { Timer, Timers } from "../timers.ts";

const LOOK_EVERY_MS = 5;
const LINGER_MS = 1000;

interface Grave {
  /** By worker: has its inject ring been seen empty since? */
  readonly drained: boolean[];
  /** The heartbeat when all were. */
  note: Int32Array | null;
  /** When to run `rows`; null until `files` has run. */
  rowsDue: number | null;
  readonly files: () => void;
  readonly rows: () => void;
}

export class Reaper {
  private readonly heartbeat: Heartbeat;
  private readonly timers: Timers;
  private readonly isDrained: (worker: number) => boolean;
  private graves: Grave[] = [];
  private timer: Timer | null = null;

  /** @param isDrained has worker k taken everything out of its inject ring? */
  constructor(heartbeat: Heartbeat, timers: Timers, isDrained: (worker: number) => boolean) {
    this.heartbeat = heartbeat;
    this.timers = timers;
    this.isDrained = isDrained;
  }

  /** Run `files` as soon as no worker can touch them, and `rows` a second later. */
  bury(files: () => void, rows: () => void): void {
    const drained = Array.from(this.heartbeat.words, () => false);
    this.graves.push({ drained, note: null, rowsDue: null, files, rows });
    this.schedule();
  }

  /** Burials whose files are not closed yet: their devices are still busy. */
  get openFiles(): number {
    return this.graves.filter((grave) => grave.rowsDue === null).length;
  }

  /** Do what is due. Runs by itself on a timer; at the end of the process `main` calls it until `openFiles` is 0. */
  reap(): void {
    this.graves = this.graves.filter((grave) => !this.isOver(grave));
  }

  private isOver(grave: Grave): boolean {
    if (grave.rowsDue !== null) {
      if (this.timers.nowMs < grave.rowsDue) return false;
      grave.rows();
      return true;
    }
    for (let k = 0; k < grave.drained.length; k++) grave.drained[k] ||= this.isDrained(k);
    if (grave.note === null && !grave.drained.includes(false)) grave.note = this.heartbeat.note();
    if (grave.note !== null && this.heartbeat.passed(grave.note)) {
      grave.files();
      grave.rowsDue = this.timers.nowMs + LINGER_MS;
    }
    return false;
  }

  private schedule(): void {
    if (this.timer !== null) this.timers.cancel(this.timer);
    this.timer = null;
    if (this.graves.length === 0) return;
    this.timer = this.timers.after(this.openFiles > 0 ? LOOK_EVERY_MS : LINGER_MS, () => {
      this.reap();
      this.schedule();
    });
  }
}
