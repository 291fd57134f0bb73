/**
 * Leases by AC: bounded for each and in all, each with its timer.
 *
 * Where all places are taken, an AC gets one of those of the AC with the most, so that no AC and no number of them keeps another one's
 * first leases out: of an AC that is not strict first, for which a lease says only what is known.
 */
import type { AcPort } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Timer } from "../timers.ts";
import type { Pair } from "./binding-rows.ts";
import { isStrict } from "./strict.ts";

/** Leases of one AC, and of all. */
export const MAX_LEASES_OF_AC = 256;
export const MAX_LEASES = 4096;

/** Whose word it is: a server's, or the AC's own, which claimed it first. */
export type LeaseSource = "dhcp" | "slaac";

export interface Lease extends Pair {
  source: LeaseSource;
  /** null: never. */
  endsMs: number | null;
  timer: Timer | null;
}

export class Leases {
  private readonly of = new Map<AcPort, Map<string, Lease>>();
  private count = 0;

  ofPort(port: AcPort): readonly Lease[] {
    return [...(this.of.get(port)?.values() ?? [])];
  }

  find(port: AcPort, pair: Pair): Lease | undefined {
    return this.of.get(port)?.get(keyOf(pair));
  }

  /** Why one more of `port` is not taken; null: it is, where `victimFor` gives up its place. */
  whyFull(port: AcPort): string | null {
    if (this.sizeOf(port) >= MAX_LEASES_OF_AC) return `AC ${port.name} has ${MAX_LEASES_OF_AC} leases`;
    return this.count >= MAX_LEASES && this.victimFor(port) === null ? `there are ${MAX_LEASES} leases` : null;
  }

  /** The lease that makes room for one more of `port`; null: there is room, or no AC owes any. */
  victimFor(port: AcPort): { readonly port: AcPort; readonly lease: Lease } | null {
    if (this.count < MAX_LEASES) return null;
    const own = this.sizeOf(port);
    let most: AcPort | null = null;
    for (const other of this.of.keys()) if (this.owes(other, port, own) && this.isBefore(other, most)) most = other;
    return most === null ? null : { port: most, lease: this.ofPort(most).reduce(sooner) };
  }

  add(port: AcPort, lease: Lease): void {
    const leases = this.of.get(port) ?? new Map<string, Lease>();
    this.of.set(port, leases.set(keyOf(lease), lease));
    this.count++;
  }

  /** @returns false: it had gone. */
  remove(port: AcPort, lease: Lease): boolean {
    const leases = this.of.get(port);
    if (leases?.get(keyOf(lease)) !== lease) return false;
    leases.delete(keyOf(lease));
    this.count--;
    if (leases.size === 0) this.of.delete(port);
    return true;
  }

  *all(): Iterable<readonly [AcPort, Lease]> {
    for (const [port, leases] of this.of) for (const lease of leases.values()) yield [port, lease];
  }

  private sizeOf(port: AcPort): number {
    return this.of.get(port)?.size ?? 0;
  }

  /** Does `other` give a place to `port`, which has `own`? What is not strict always does to what is. */
  private owes(other: AcPort, port: AcPort, own: number): boolean {
    if (other === port || (isStrict(other) && !isStrict(port))) return false;
    return (isStrict(port) && !isStrict(other)) || this.sizeOf(other) > own + 1;
  }

  private isBefore(port: AcPort, most: AcPort | null): boolean {
    if (most === null || isStrict(port) !== isStrict(most)) return most === null || !isStrict(port);
    return this.sizeOf(port) > this.sizeOf(most);
  }
}

/** That which ends first goes first. */
function sooner(a: Lease, b: Lease): Lease {
  return (b.endsMs ?? Number.POSITIVE_INFINITY) < (a.endsMs ?? Number.POSITIVE_INFINITY) ? b : a;
}

function keyOf({ mac, ip }: { readonly mac: number; readonly ip: Ip }): string {
  return `${mac} ${formatIp(ip)}`;
}
