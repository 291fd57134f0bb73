/**
 * The echoes that are still unanswered: one line for each, found by its sequence number.
 *
 * A line ends once: with a reply from the very address that was asked, with a router's "too big" about the very packet, or
 * when its time is over. Whatever else arrives (an unknown number, another sender) changes nothing: ICMP
 * is anybody's to send. A number is a random one, since a host that was asked once could count on from it, and answer for one that is dead.
 */
import { randomInt } from "node:crypto";
import { peerAddress } from "../control/peer-address.ts";
import type { Timers } from "../control/timers.ts";
import { sameBytes } from "../wire/bytes.ts";
import type { EchoNews } from "../wire/echo.ts";
import type { EchoEnd } from "./tunnel-probe.ts";

/** An echo that waits for its answer. */
export interface Asked {
  readonly sequence: number;
  readonly target: Uint8Array;
  /** When it left. */
  sentMs: number;
  settle(end: EchoEnd): void;
}

export class EchoBook {
  private readonly timers: Timers;
  private readonly now: () => number;
  private readonly asked = new Map<number, Asked>();

  constructor(timers: Timers, now: () => number) {
    this.timers = timers;
    this.now = now;
  }

  get isEmpty(): boolean {
    return this.asked.size === 0;
  }

  /** A new line; `done` is called once, at most `waitMs` from now. */
  open(target: Uint8Array, waitMs: number, done: (end: EchoEnd) => void): Asked {
    const sequence = this.nextSequence();
    const deadline = this.timers.after(waitMs, () => asked.settle({ kind: "lost" }));
    const asked: Asked = {
      sequence,
      target,
      sentMs: this.now(),
      settle: (end) => {
        if (this.asked.get(sequence) !== asked) return;
        this.asked.delete(sequence);
        this.timers.cancel(deadline);
        done(end);
      },
    };
    this.asked.set(sequence, asked);
    return asked;
  }

  /** An answer about one of our echoes, from `source`, perhaps; with our identifier. */
  answered(news: Exclude<EchoNews, { kind: "datagramTooBig" }>, source: string): void {
    const asked = this.asked.get(news.sequence);
    if (asked === undefined) return;
    if (news.kind === "probeTooBig") asked.settle({ kind: "tooBig", mtu: news.mtu });
    else if (sameBytes(peerAddress(source), asked.target))
      asked.settle({ kind: "reply", rttMs: Math.max(0, this.now() - asked.sentMs) });
  }

  /** A number that no unanswered echo has; with 65,536 of them waiting one is overtaken. */
  private nextSequence(): number {
    const first = randomInt(0x10000);
    for (let n = 0; n <= 0xffff; n++) {
      const sequence = (first + n) & 0xffff;
      if (!this.asked.has(sequence)) return sequence;
    }
    this.asked.get(first)!.settle({ kind: "lost" });
    return first;
  }
}
