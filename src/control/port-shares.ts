/**
 * A rate in all, and each bridge port's share of it: at most so many in any second by one port, and by all of them together.
 *
 * A port's share is its own, so what one VM makes us send does not silence us for another one. Nor do several: a quarter of all is for
 * ports with few in this second, or as many ports as there are shares in the whole could keep every other one from its first.
 */
import type { PortObject } from "./inventory.ts";
import { RateWindow } from "./rate-window.ts";

/** In any second. */
export interface Rates {
  readonly inAll: number;
  readonly perPort: number;
  /** A port with fewer is quiet. */
  readonly quiet: number;
}

interface Share {
  readonly own: RateWindow;
  readonly quiet: RateWindow;
}

export class PortShares {
  private readonly rates: Rates;
  private readonly all: RateWindow;
  private readonly ofPort = new Map<PortObject, Share>();

  constructor(rates: Rates) {
    this.rates = rates;
    this.all = new RateWindow(rates.inAll);
  }

  /** One more because of `port`? Counted if so. */
  admit(port: PortObject, nowMs: number): boolean {
    const share = this.shareOf(port);
    const isQuiet = share.quiet.isOpen(nowMs);
    const kept = isQuiet ? 0 : this.rates.inAll >> 2;
    if (!share.own.isOpen(nowMs) || this.all.room(nowMs, kept + 1) <= kept) return false;
    share.own.take(nowMs);
    if (isQuiet) share.quiet.take(nowMs);
    this.all.take(nowMs);
    return true;
  }

  flushPort(port: PortObject): void {
    this.ofPort.delete(port);
  }

  private shareOf(port: PortObject): Share {
    let share = this.ofPort.get(port);
    if (share === undefined) {
      share = { own: new RateWindow(this.rates.perPort), quiet: new RateWindow(this.rates.quiet) };
      this.ofPort.set(port, share);
    }
    return share;
  }
}
