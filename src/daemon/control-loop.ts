/**
 * The main thread's loop: it turns doorbells and due times into rounds of the agent.
 *
 * Workers add to the doorbell when their punt ring has something new, and `Atomics.waitAsync` wakes us in about 0.1 ms;
 * otherwise we sleep until the agent's next timer. The main thread also answers the API, so a round is short: the agent
 * drains a bounded number of records, rounds go on for at most BUDGET_MS, and then all else that waits has a turn.
 *
 * The doorbell is read *before* the rings are drained: a record that comes in between changes the word, and the wait that
 * follows returns at once. No wake-up can be lost.
 */

/** What the loop needs of control's agent. */
export interface Rounds {
  /** One round. @returns when the next timer is due (milliseconds of the same clock), or null. */
  poll(nowMs: number): number | null;
  /** Are there records left that the round's budget did not reach? */
  more(): boolean;
}

const BUDGET_MS = 4;
/** The longest sleep: a safety net, nothing depends on it. */
const LONGEST_MS = 1000;

export class ControlLoop {
  private readonly rounds: Rounds;
  private readonly doorbell: Int32Array;
  private readonly now: () => number;
  private stopped = false;

  constructor(rounds: Rounds, doorbell: Int32Array, now: () => number) {
    this.rounds = rounds;
    this.doorbell = doorbell;
    this.now = now;
  }

  /** Run rounds until `stop`. What a round throws is our mistake and rejects. */
  async run(): Promise<void> {
    while (!this.stopped) {
      const seen = Atomics.load(this.doorbell, 0);
      const due = this.work();
      if (this.stopped) return;
      if (this.rounds.more()) await new Promise((resolve) => setImmediate(resolve));
      else await this.sleep(seen, due);
    }
  }

  /** Begin a round soon: control was given something to do other than by a worker. */
  kick(): void {
    Atomics.add(this.doorbell, 0, 1);
    Atomics.notify(this.doorbell, 0);
  }

  stop(): void {
    this.stopped = true;
    this.kick();
  }

  private work(): number | null {
    const until = this.now() + BUDGET_MS;
    for (;;) {
      const now = this.now();
      const due = this.rounds.poll(now);
      if (now >= until || !this.rounds.more()) return due;
    }
  }

  private async sleep(seen: number, due: number | null): Promise<void> {
    const wait = due === null ? LONGEST_MS : Math.min(LONGEST_MS, Math.max(0, due - this.now()));
    // A timer that is due within the same millisecond must still let sockets and signals have their turn.
    if (wait < 1) return await new Promise((resolve) => setImmediate(resolve));
    const waiting = Atomics.waitAsync(this.doorbell, 0, seen, wait);
    if (waiting.async) await waiting.value;
    else await new Promise((resolve) => setImmediate(resolve));
  }
}
