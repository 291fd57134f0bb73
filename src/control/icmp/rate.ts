/**
 * How much ICMP we send: so many a second for each bridge port, and in all (RFC 1812 §4.3.2.8).
 *
 * A port's share is its own, so a VM that provokes errors as fast as it can does not silence another one's traceroute.
 */
import type { PortObject } from "../inventory.ts";
import type { LimitsConfig } from "../plan.ts";
import { RateWindow } from "../rate-window.ts";

export class IcmpRate {
  private limits: LimitsConfig;
  private all: RateWindow;
  private ofPort = new Map<PortObject, RateWindow>();

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
    let own = this.ofPort.get(port);
    if (own === undefined) {
      own = new RateWindow(this.limits.icmpPerAcPerSecond);
      this.ofPort.set(port, own);
    }
    if (!own.isOpen(nowMs) || !this.all.isOpen(nowMs)) return false;
    own.take(nowMs);
    this.all.take(nowMs);
    return true;
  }

  flushPort(port: PortObject): void {
    this.ofPort.delete(port);
  }
}
