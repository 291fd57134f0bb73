/**
 * A host under watch by echoes: up while it answers, down when it has not for `multiplier` intervals.
 *
 *   asked every   intervalMs x multiplier / (multiplier + 1), as next hops are (neighbor/hop-probe.ts): so the last question has had
 *                 its time within intervalMs x multiplier of the last answer
 *   at first      up, without having been asked; it has the detection time to answer
 *   back up       after `multiplier` answers in a row, for a line that loses half of what it is given is no way
 *   blind         what cannot be asked (no socket, no room in the ring) gives no answer, and is down like one that gives none:
 *                 frozen it would be up for ever on the day its line dies
 *
 * Our own lateness kills nothing: however many turns were missed, one is made up for.
 */
import type { TrackPace } from "../plan-tracks.ts";
import type { Timer, Timers } from "../timers.ts";

/** Send one echo; `done` is called once, within `waitMs`; null: no answer. @returns why it cannot be sent, or null. */
export type Ask = (waitMs: number, done: (rttMs: number | null) => void) => string | null;

export interface EchoTrackParts {
  readonly pace: TrackPace;
  readonly ask: Ask;
  readonly timers: Timers;
  readonly random: () => number;
  readonly onChange: () => void;
}

export class EchoTrack {
  private readonly parts: EchoTrackParts;
  private timer: Timer;
  private isStopped = false;
  private misses = 0;
  private isAnswered = true;
  private inRow = 0;
  /** Until the first answer or the first death. */
  isFirst: boolean;
  isUp: boolean;
  /** Why it cannot be asked. */
  blind: string | null = null;
  answered = 0;
  missed = 0;
  rttMs: number | null = null;

  /** @param isUp what the one before it was; null: there was none. */
  constructor(parts: EchoTrackParts, isUp: boolean | null) {
    this.parts = parts;
    this.isUp = isUp ?? true;
    this.isFirst = isUp === null;
    this.timer = this.arm(parts.random() * this.everyMs);
  }

  stop(): void {
    this.isStopped = true;
    this.parts.timers.cancel(this.timer);
  }

  private get everyMs(): number {
    const { intervalMs, multiplier } = this.parts.pace;
    return (intervalMs * multiplier) / (multiplier + 1);
  }

  /** Counted from the present also where the timers still catch up with it. */
  private arm(delayMs: number): Timer {
    return this.parts.timers.afterRound(delayMs, () => this.turn());
  }

  private turn(): void {
    const { pace, ask } = this.parts;
    this.timer = this.arm(this.everyMs);
    if (!this.isAnswered) this.miss();
    this.isAnswered = false;
    // An answer counts as long as it comes: the way may be longer than the interval.
    this.blind = ask(pace.intervalMs * pace.multiplier, (rttMs) => {
      if (rttMs !== null && !this.isStopped) this.hear(rttMs);
    });
  }

  private miss(): void {
    this.missed++;
    this.inRow = 0;
    if (++this.misses < this.parts.pace.multiplier || !this.isUp) return;
    this.isFirst = false;
    this.isUp = false;
    this.parts.onChange();
  }

  private hear(rttMs: number): void {
    this.answered++;
    this.misses = 0;
    this.isAnswered = true;
    this.rttMs = rttMs;
    if (this.isUp) {
      const isNews = this.isFirst;
      this.isFirst = false;
      if (isNews) this.parts.onChange();
    } else if (++this.inRow >= this.parts.pace.multiplier) {
      this.inRow = 0;
      this.isUp = true;
      this.parts.onChange();
    }
  }
}
