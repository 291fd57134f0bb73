/**
 * Changes of sessions on their way to main: a few of each in a second, and the last one always.
 *
 * What main does about a fall is much: next-hop groups, flood lists, all that is behind the tunnel. A peer that falls and rises with each
 * of its packets would have it do nothing else, and messages would pile up. The forwarding threads read each verdict at once, whatever is
 * held here (thread.ts).
 */
import { RateWindow } from "../../control/rate-window.ts";
import type { Change } from "./session.ts";

/** Of one session in any second: a fall and a rise take three. */
export const REPORTS_PER_SECOND = 10;
const AGAIN_MS = 50;

interface Reported {
  readonly rate: RateWindow;
  /** What main has not heard, as one change. */
  held: Change | null;
}

export class ChangeReports {
  private readonly send: (slot: number, change: Change) => void;
  private readonly of = new Map<number, Reported>();
  private readonly held = new Set<number>();

  constructor(send: (slot: number, change: Change) => void) {
    this.send = send;
  }

  note(slot: number, change: Change, nowMs: number): void {
    const each = this.of.get(slot) ?? { rate: new RateWindow(REPORTS_PER_SECOND), held: null };
    this.of.set(slot, each);
    each.held = each.held === null ? change : { ...change, from: each.held.from };
    this.tell(slot, each, nowMs);
  }

  /** What may be told now. @returns when to look again, or null. */
  run(nowMs: number): number | null {
    for (const slot of this.held) this.tell(slot, this.of.get(slot)!, nowMs);
    return this.held.size === 0 ? null : nowMs + AGAIN_MS;
  }

  /** The session is gone, and with it what was not told of it. */
  forget(slot: number): void {
    this.of.delete(slot);
    this.held.delete(slot);
  }

  private tell(slot: number, each: Reported, nowMs: number): void {
    const { held, rate } = each;
    if (held === null) return;
    if (!rate.admit(nowMs)) {
      this.held.add(slot);
      return;
    }
    each.held = null;
    this.held.delete(slot);
    this.send(slot, held);
  }
}
