/** Behind which ACs a MAC or an address is bound: asked for each DHCP request, so it is looked up and not searched for. */
import type { Mac } from "../../wire/ethernet.ts";
import type { AcPort } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";

/** What is bound: a MAC as a number of its own kind, an address as text. */
type Key = Mac | string;

export class Holders {
  private readonly ports = new Map<Key, Set<AcPort>>();
  private readonly keys = new Map<AcPort, Set<Key>>();

  /** What is bound to `port` is this, and no more. */
  set(port: AcPort, bound: readonly { readonly mac: Mac; readonly ip: Ip }[]): void {
    const keys = new Set<Key>(bound.flatMap(({ mac, ip }) => [mac, formatIp(ip)]));
    for (const key of this.keys.get(port) ?? []) if (!keys.has(key)) this.remove(key, port);
    for (const key of keys) {
      const ports = this.ports.get(key) ?? new Set<AcPort>();
      this.ports.set(key, ports.add(port));
    }
    if (keys.size === 0) this.keys.delete(port);
    else this.keys.set(port, keys);
  }

  ofMac(mac: Mac): ReadonlySet<AcPort> {
    return this.ports.get(mac) ?? NONE;
  }

  ofIp(ip: Ip): ReadonlySet<AcPort> {
    return this.ports.get(formatIp(ip)) ?? NONE;
  }

  private remove(key: Key, port: AcPort): void {
    const ports = this.ports.get(key)!;
    ports.delete(port);
    if (ports.size === 0) this.ports.delete(key);
  }
}

const NONE: ReadonlySet<AcPort> = new Set();
