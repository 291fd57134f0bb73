/**
 * Pairs of (VNI, tunnel) that no route names any more, and by which frames are still taken for a while.
 *
 * A Border that drains takes its routes back first, and goes on forwarding what is on its way: who removed the tunnel with the last
 * route would drop that. So nothing is sent by such a pair and nothing is learned there, and it ends LINGER_MS later.
 */
import type { Timer, Timers } from "../timers.ts";

export const LINGER_MS = 180_000;
/** With one more the oldest ends. */
export const MOST_LINGERING = 256;

interface Lingerer {
  readonly remote: string;
  readonly vni: number;
  readonly untilMs: number;
}

export class Lingering {
  private readonly timers: Timers;
  private readonly end: (remote: string, vni: number) => void;
  /** The oldest first. */
  private readonly pairs = new Map<string, Lingerer>();
  private timer: Timer | null = null;

  /** @param end the pair is over; it is not here any more. */
  constructor(timers: Timers, end: (remote: string, vni: number) => void) {
    this.timers = timers;
    this.end = end;
  }

  get size(): number {
    return this.pairs.size;
  }

  has(remote: string, vni: number): boolean {
    return this.pairs.has(keyOf(remote, vni));
  }

  /** VNIs of the tunnel to `remote`. */
  vnisOf(remote: string): number[] {
    return Array.from(this.pairs.values()).flatMap((pair) => (pair.remote === remote ? [pair.vni] : []));
  }

  /** VTEPs, and their VNIs. */
  list(): Map<string, number[]> {
    const all = new Map<string, number[]>();
    for (const { remote, vni } of this.pairs.values()) all.set(remote, [...(all.get(remote) ?? []), vni]);
    return all;
  }

  add(remote: string, vni: number): void {
    const untilMs = this.timers.nowMs + LINGER_MS;
    this.pairs.set(keyOf(remote, vni), { remote, vni, untilMs });
    if (this.pairs.size > MOST_LINGERING) this.endWhile((_, n) => n === 0);
    this.arm();
  }

  /** It is used again, or removed by who asks. @returns false: it did not linger. */
  take(remote: string, vni: number): boolean {
    return this.pairs.delete(keyOf(remote, vni));
  }

  endAll(): void {
    this.endWhile(() => true);
  }

  private endWhile(isOver: (pair: Lingerer, n: number) => boolean): void {
    let n = 0;
    for (const [key, pair] of this.pairs) {
      if (!isOver(pair, n++)) return;
      this.pairs.delete(key);
      this.end(pair.remote, pair.vni);
    }
  }

  private arm(): void {
    const [first] = this.pairs.values();
    if (this.timer !== null || first === undefined) return;
    this.timer = this.timers.after(first.untilMs - this.timers.nowMs, () => {
      this.timer = null;
      this.endWhile(({ untilMs }) => untilMs <= this.timers.nowMs);
      this.arm();
    });
  }
}

function keyOf(remote: string, vni: number): string {
  return `${vni} ${remote}`;
}
