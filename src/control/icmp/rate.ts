/**
 * How much ICMP we send: so many a second for each bridge port, and in all (RFC 1812 §4.3.2.8).
 *
 * A port's share is its own, so a VM that provokes errors as fast as it can does not silence another one's traceroute. Nor do several: a
 * quarter of all is for ports with few in this second, or ten VMs could keep every other one from hearing that its packets are too long.
 */
import type { PortObject } from "../inventory.ts";
import type { LimitsConfig } from "../plan.ts";
import { RateWindow } from "../rate-window.ts";

/** A port with fewer in this second is quiet. */
const QUIET = 10;

interface Share {
  readonly own: RateWindow;
  readonly quiet: RateWindow;
}

export class IcmpRate {
  private limits: LimitsConfig;
  private all: RateWindow;
  private ofPort = new Map<PortObject, Share>();

  constructor(limits: LimitsConfig) {
    this.limits = limits;
    this.all = new RateWindow(limits.icmpPerSecond);
  }

  setLimits(limits: LimitsConfig): void {
    if (
      limits.icmpPerSecond === this.limits.icmpPerSecond &&
      limits.icmpPerAcPerSecond === this.limits.icmpPerAcPerSecond
    )
      return;
    this.limits = limits;
    this.all = new RateWindow(limits.icmpPerSecond);
    this.ofPort = new Map();
  }

  /** May one more message go out of `port`? Counts it if so. */
  admit(port: PortObject, nowMs: number): boolean {
    const share = this.shareOf(port);
    const isQuiet = share.quiet.isOpen(nowMs);
    const kept = isQuiet ? 0 : this.limits.icmpPerSecond >> 2;
    if (!share.own.isOpen(nowMs) || this.all.room(nowMs, kept + 1) <= kept) return false;
    share.own.take(nowMs);
    if (isQuiet) share.quiet.take(nowMs);
    this.all.take(nowMs);
    return true;
  }

  private shareOf(port: PortObject): Share {
    let share = this.ofPort.get(port);
    if (share === undefined) {
      share = { own: new RateWindow(this.limits.icmpPerAcPerSecond), quiet: new RateWindow(QUIET) };
      this.ofPort.set(port, share);
    }
    return share;
  }

  flushPort(port: PortObject): void {
    this.ofPort.delete(port);
  }
}
