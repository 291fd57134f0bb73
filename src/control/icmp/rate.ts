/**
 * How much ICMP we send: so many a second for each bridge port, and in all (RFC 1812 §4.3.2.8).
 *
 * A VM that provokes errors as fast as it can does not silence another one's traceroute, nor do ten keep every other one from hearing that
 * its packets are too long (port-shares.ts).
 */
import type { PortObject } from "../inventory.ts";
import type { LimitsConfig } from "../plan.ts";
import { PortShares } from "../port-shares.ts";

/** A port with fewer in this second is quiet. */
const QUIET = 10;

export class IcmpRate {
  private limits: LimitsConfig;
  private shares: PortShares;

  constructor(limits: LimitsConfig) {
    this.limits = limits;
    this.shares = sharesOf(limits);
  }

  setLimits(limits: LimitsConfig): void {
    if (
      limits.icmpPerSecond === this.limits.icmpPerSecond &&
      limits.icmpPerAcPerSecond === this.limits.icmpPerAcPerSecond
    )
      return;
    this.limits = limits;
    this.shares = sharesOf(limits);
  }

  /** May one more message go out of `port`? Counts it if so. */
  admit(port: PortObject, nowMs: number): boolean {
    return this.shares.admit(port, nowMs);
  }

  flushPort(port: PortObject): void {
    this.shares.flushPort(port);
  }
}

function sharesOf({ icmpPerSecond, icmpPerAcPerSecond }: LimitsConfig): PortShares {
  return new PortShares({ inAll: icmpPerSecond, perPort: icmpPerAcPerSecond, quiet: QUIET });
}
