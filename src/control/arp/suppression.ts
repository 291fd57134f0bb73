/**
 * ARP suppression: (VSI, IP) -> the host's own MAC, learned by listening (D14, mode `suppress`).
 *
 * A request that we can answer for its owner is not flooded to every site. Nothing is routed by this table and nobody is
 * probed: an entry that was not heard for five minutes is not used, so a host that left costs at most that.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { Timers } from "../timers.ts";

export const SUPPRESSION_MS = 300_000;
export const SUPPRESSION_PER_VSI = 4096;
export const SUPPRESSION_PER_AC = 256;
const SWEEP_MS = 10_000;

interface Host {
  mac: Mac;
  port: PortObject;
  heardMs: number;
}

export class SuppressionTable {
  private readonly timers: Timers;
  private readonly hosts = new Map<VsiObject, Map<Ipv4, Host>>();
  private readonly ofPort = new Map<PortObject, number>();

  constructor(timers: Timers) {
    this.timers = timers;
    timers.every(SWEEP_MS, () => this.keep((host) => timers.nowMs - host.heardMs < SUPPRESSION_MS));
  }

  /** ARP from `ip`. Over a limit nothing is learned, and requests for it are flooded. */
  heard(vsi: VsiObject, ip: Ipv4, mac: Mac, port: PortObject): void {
    let hosts = this.hosts.get(vsi);
    if (hosts === undefined) {
      hosts = new Map();
      this.hosts.set(vsi, hosts);
    }
    const host = hosts.get(ip);
    const isFull = host?.port !== port && port.kind === "ac" && (this.ofPort.get(port) ?? 0) >= SUPPRESSION_PER_AC;
    if (isFull || (host === undefined && hosts.size >= SUPPRESSION_PER_VSI)) return;
    if (host !== undefined) this.tally(host.port, -1);
    hosts.set(ip, { mac, port, heardMs: this.timers.nowMs });
    this.tally(port, 1);
  }

  /** The owner of `ip`, heard lately, or undefined. */
  find(vsi: VsiObject, ip: Ipv4): { readonly mac: Mac; readonly port: PortObject } | undefined {
    const host = this.hosts.get(vsi)?.get(ip);
    return host !== undefined && this.timers.nowMs - host.heardMs < SUPPRESSION_MS ? host : undefined;
  }

  flushPort(port: PortObject): void {
    this.keep((host) => host.port !== port);
  }

  flushVsi(vsi: VsiObject): void {
    for (const host of this.hosts.get(vsi)?.values() ?? []) this.tally(host.port, -1);
    this.hosts.delete(vsi);
  }

  private keep(isKept: (host: Host) => boolean): void {
    for (const hosts of this.hosts.values()) {
      for (const [ip, host] of hosts) {
        if (isKept(host)) continue;
        hosts.delete(ip);
        this.tally(host.port, -1);
      }
    }
  }

  private tally(port: PortObject, step: 1 | -1): void {
    const count = (this.ofPort.get(port) ?? 0) + step;
    if (count === 0) this.ofPort.delete(port);
    else this.ofPort.set(port, count);
  }
}
