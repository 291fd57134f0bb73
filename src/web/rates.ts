/**
 * Counters to rates: what passed between two looks, and the last five minutes of them.
 *
 * A counter that went back belongs to a gateway that has started again: there is no rate then, and none either when the last look
 * is long ago, for no page looked in between. Both are a gap in the history. Pure: the time is an argument, in milliseconds.
 */
import type { Traffic } from "../api/schema.ts";
import type { History, Rate, Rates } from "./said.ts";

/** Looks that are remembered, one a second. */
const KEPT = 300;
/** Objects that are remembered; the oldest look goes first. */
const MOST_OBJECTS = 4096;
/** A mean over a longer time would look like an event that it hides. */
const LONGEST_GAP_MS = 10_000;

export interface Both {
  readonly receive: Traffic;
  readonly transmit: Traffic;
}

interface Look {
  readonly atMs: number;
  readonly counters: Both;
  readonly rates: Rates;
}

const NONE: Rates = { receive: null, transmit: null };

export class RateBook {
  private readonly looks = new Map<string, Look[]>();

  /** Counters of the object `key` were read at `atMs`. */
  note(key: string, atMs: number, counters: Both): Rates {
    const looks = this.looks.get(key) ?? [];
    const last = looks.at(-1);
    const rates = last === undefined ? NONE : between(last, atMs, counters);
    looks.push({ atMs, counters, rates });
    if (looks.length > KEPT) looks.shift();
    // Set anew: the map's order is that of the last look.
    this.looks.delete(key);
    this.looks.set(key, looks);
    if (this.looks.size > MOST_OBJECTS) this.looks.delete(this.looks.keys().next().value!);
    return rates;
  }

  /** Up to the last look. */
  history(key: string): History {
    const looks = this.looks.get(key) ?? [];
    const last = looks.at(-1)?.atMs ?? 0;
    return {
      seconds: looks.map(({ atMs }) => (atMs - last) / 1000),
      receiveBits: looks.map(({ rates }) => rates.receive?.bitsPerSecond ?? null),
      transmitBits: looks.map(({ rates }) => rates.transmit?.bitsPerSecond ?? null),
    };
  }
}

function between(last: Look, atMs: number, now: Both): Rates {
  const seconds = (atMs - last.atMs) / 1000;
  if (seconds <= 0 || seconds * 1000 > LONGEST_GAP_MS) return NONE;
  return {
    receive: rateOf(last.counters.receive, now.receive, seconds),
    transmit: rateOf(last.counters.transmit, now.transmit, seconds),
  };
}

function rateOf(before: Traffic, now: Traffic, seconds: number): Rate | null {
  const [packets, bytes] = [now.packets - before.packets, now.bytes - before.bytes];
  if (packets < 0 || bytes < 0) return null;
  return { packetsPerSecond: packets / seconds, bitsPerSecond: (bytes * 8) / seconds };
}
