/**
 * Timers on an injected clock: control never asks the system for the time, it is told.
 *
 * A binary heap by due time; equal times run in the order they were set. `run(now)` is called by the agent after each
 * round of punts and when `nextDue` comes; tests call it with a time of their own.
 *
 * Due times and the time of a round are whole milliseconds: V8 keeps a small whole number in the field of an object, and gives any
 * other one a box of its own. A hundred thousand entries that have some of them each would have as many boxes.
 *
 * A cancelled timer stays in the heap until it comes up, or until more than half are cancelled: then all of them are taken out. That is
 * a walk of the heap for at least half as many cancellations, so each costs a constant; and a day's lease that is renewed each second
 * does not leave a day of them.
 */
export type Timer = { readonly due: number; readonly order: number; run: (() => void) | null };

/** A heap as small as this is not worth the walk. */
const LEAST = 64;
/** Between two parts of work that goes on a part at a time. */
const PAUSE_MS = 1;

export class Timers {
  private readonly heap: Timer[] = [];
  /** So many in the heap have no `run`. */
  private cancelled = 0;
  private orders = 0;
  private time: number;
  /** The time that `run` was told: while timers catch up, `time` is behind it. */
  private target: number;
  private exact: number;

  constructor(nowMs: number) {
    this.time = Math.floor(nowMs);
    this.target = this.time;
    this.exact = nowMs;
  }

  /** The time of the current round, milliseconds of a monotonic clock. */
  get nowMs(): number {
    return this.time;
  }

  /** What `run` was told, with its fraction: for what is measured, and kept of few. */
  get exactMs(): number {
    return this.exact;
  }

  /** Run `run` once, `delayMs` from now, not sooner. */
  after(delayMs: number, run: () => void): Timer {
    const timer: Timer = { due: this.time + Math.max(0, Math.ceil(delayMs)), order: this.orders++, run };
    this.heap.push(timer);
    this.up(this.heap.length - 1);
    return timer;
  }

  /** Run `run` every `periodMs`, first one period from now. @returns a function that stops it. */
  every(periodMs: number, run: () => void): () => void {
    let timer = this.after(periodMs, tick);
    const timers = this;
    function tick(): void {
      timer = timers.after(periodMs, tick);
      run();
    }
    return () => this.cancel(timer);
  }

  /** Run `run` once, `delayMs` from the present also where the timers still catch up with it: not in this round, however late it is. */
  afterRound(delayMs: number, run: () => void): Timer {
    return this.after(this.target - this.time + delayMs, run);
  }

  /**
   * Every `periodMs`, what is too much for one go: `begin` begins, and what it returns goes on one step a round, so that others have a turn
   * between. A period that comes meanwhile begins nothing.
   */
  everyInParts(periodMs: number, begin: () => Iterator<void>): void {
    let rest: Iterator<void> | null = null;
    const goOn = () => {
      rest ??= begin();
      if (rest.next().done) rest = null;
      else this.afterRound(PAUSE_MS, goOn);
    };
    this.every(periodMs, () => {
      if (rest === null) goOn();
    });
  }

  /** Nothing, if it has run or was cancelled. */
  cancel(timer: Timer): void {
    if (timer.run === null) return;
    timer.run = null;
    this.cancelled++;
    if (this.heap.length > LEAST && this.cancelled > this.heap.length / 2) this.compact();
  }

  /** In the heap, cancelled ones too. */
  get size(): number {
    return this.heap.length;
  }

  /** When the next timer is due, or null. */
  nextDue(): number | null {
    this.dropCancelled();
    return this.heap[0]?.due ?? null;
  }

  /** Set the clock to `nowMs` (it never goes back) and run what is due, each timer at its own due time. */
  run(nowMs: number): void {
    const target = Math.max(this.time, Math.floor(nowMs));
    this.target = target;
    this.exact = Math.max(this.exact, nowMs);
    for (;;) {
      this.dropCancelled();
      const first = this.heap[0];
      if (first === undefined || first.due > target) break;
      this.pop();
      // A long stop (SIGSTOP, a suspended VM) must not look like a thousand periods: late timers run at the late time.
      this.time = Math.max(this.time, target - first.due > 1000 ? target : first.due);
      const { run } = first;
      first.run = null;
      run?.();
    }
    this.time = target;
  }

  private dropCancelled(): void {
    while (this.heap.length > 0 && this.heap[0]!.run === null) {
      this.pop();
      this.cancelled--;
    }
  }

  /** Without the cancelled ones; made a heap again from the last parent up. */
  private compact(): void {
    let kept = 0;
    for (const timer of this.heap) if (timer.run !== null) this.heap[kept++] = timer;
    this.heap.length = kept;
    this.cancelled = 0;
    for (let i = (kept >> 1) - 1; i >= 0; i--) this.down(i);
  }

  private pop(): void {
    const last = this.heap.pop()!;
    if (this.heap.length === 0) return;
    this.heap[0] = last;
    this.down(0);
  }

  private before(a: number, b: number): boolean {
    const x = this.heap[a]!;
    const y = this.heap[b]!;
    return x.due < y.due || (x.due === y.due && x.order < y.order);
  }

  private swap(a: number, b: number): void {
    const x = this.heap[a]!;
    this.heap[a] = this.heap[b]!;
    this.heap[b] = x;
  }

  private up(i: number): void {
    while (i > 0 && this.before(i, (i - 1) >> 1)) {
      this.swap(i, (i - 1) >> 1);
      i = (i - 1) >> 1;
    }
  }

  private down(i: number): void {
    for (;;) {
      const left = 2 * i + 1;
      if (left >= this.heap.length) return;
      const child = left + 1 < this.heap.length && this.before(left + 1, left) ? left + 1 : left;
      if (!this.before(child, i)) return;
      this.swap(i, child);
      i = child;
    }
  }
}
