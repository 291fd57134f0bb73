/** Behind which ACs a MAC or an address is bound: asked for each DHCP request, so it is looked up and not searched for. */
import type { Mac } from "../../wire/ethernet.ts";
import type { AcPort } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Pair } from "./binding-rows.ts";

/** What is bound: a MAC as a number of its own kind, an address as text. */
type Key = Mac | string;

export class Holders {
  /** By what is bound, and by AC: how many of the AC's bindings have it. */
  private readonly ports = new Map<Key, Map<AcPort, number>>();
  private readonly pairs = new Map<AcPort, readonly Pair[]>();

  /** What is bound to `port` by its configuration is this, and no more. */
  set(port: AcPort, pairs: readonly Pair[]): void {
    for (const pair of this.pairs.get(port) ?? []) this.remove(port, pair);
    for (const pair of pairs) this.add(port, pair);
    if (pairs.length === 0) this.pairs.delete(port);
    else this.pairs.set(port, pairs);
  }

  /** A lease more. */
  add(port: AcPort, { mac, ip }: Pair): void {
    for (const key of [mac, formatIp(ip)]) {
      const ports = this.ports.get(key) ?? new Map<AcPort, number>();
      this.ports.set(key, ports.set(port, (ports.get(port) ?? 0) + 1));
    }
  }

  /** One that was added. */
  remove(port: AcPort, { mac, ip }: Pair): void {
    for (const key of [mac, formatIp(ip)]) {
      const ports = this.ports.get(key)!;
      const count = ports.get(port)! - 1;
      if (count > 0) ports.set(port, count);
      else ports.delete(port);
      if (ports.size === 0) this.ports.delete(key);
    }
  }

  ofMac(mac: Mac): Iterable<AcPort> {
    return this.ports.get(mac)?.keys() ?? [];
  }

  ofIp(ip: Ip): Iterable<AcPort> {
    return this.ports.get(formatIp(ip))?.keys() ?? [];
  }
}
