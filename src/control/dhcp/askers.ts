/** Where clients asked lately, for servers that do not echo option 82: bounded, the oldest goes first. */
import type { Mac } from "../../wire/ethernet.ts";
import type { AcPort, InterfaceObject, PortObject } from "../inventory.ts";

const MOST = 4096;
/** A client asks again after 64 seconds at most (RFC 2131 §4.1). */
const LASTS_MS = 64_000;

export class Askers {
  private readonly of = new Map<string, { readonly port: AcPort; readonly atMs: number }>();

  asked(iface: InterfaceObject, mac: Mac, port: AcPort, nowMs: number): void {
    const key = keyOf(iface, mac);
    this.of.delete(key);
    this.of.set(key, { port, atMs: nowMs });
    if (this.of.size > MOST) this.of.delete(this.of.keys().next().value!);
  }

  find(iface: InterfaceObject, mac: Mac, nowMs: number): AcPort | null {
    const asker = this.of.get(keyOf(iface, mac));
    return asker !== undefined && nowMs - asker.atMs < LASTS_MS ? asker.port : null;
  }

  forget(port: PortObject): void {
    for (const [key, asker] of this.of) if (asker.port === port) this.of.delete(key);
  }
}

function keyOf(iface: InterfaceObject, mac: Mac): string {
  return `${iface.row} ${mac}`;
}
