/** Where clients' DHCP comes in and goes to, whichever family it is of. */
import type { HeldFrame } from "../inject.ts";
import {
  type AcPort,
  DEFAULT_VRF,
  type InterfaceObject,
  type Inventory,
  type PortObject,
  type VsiObject,
} from "../inventory.ts";
import { RateWindow } from "../rate-window.ts";

/** Requests of one AC in any second, of each family; a client sends one in four. */
export const REQUESTS_PER_SECOND = 5;

/** Where a frame came in. */
export interface Arrival {
  readonly port: PortObject;
  readonly vsi: VsiObject;
  readonly iface: InterfaceObject;
}

export function arrivalOf(inventory: Inventory, { port: row, vsi: vsiRow }: HeldFrame): Arrival | null {
  const port = inventory.ports.get(row);
  const vsi = inventory.vsis.get(vsiRow);
  const iface = vsi?.interface;
  return port === undefined || vsi === undefined || iface == null ? null : { port, vsi, iface };
}

/** What a server is told of where a client is, and gives back. Names have no slash. */
export function circuitText(vsi: VsiObject, port: PortObject): string {
  return `${vsi.name}/${port.name}`;
}

/** The AC behind `iface` that `text` names; null: none. */
export function acOfCircuit(inventory: Inventory, iface: InterfaceObject, text: string | null): AcPort | null {
  const ac = text === null ? undefined : inventory.ac(text.slice(text.indexOf("/") + 1));
  return ac !== undefined && ac.vsi.interface === iface && circuitText(ac.vsi, ac) === text ? ac : null;
}

/** What a server is told of the client's VRF (RFC 6607): its name, which tells one address of several; null: it is main. */
export function vrfToTell({ vrfName }: InterfaceObject): string | null {
  return vrfName === DEFAULT_VRF ? null : vrfName;
}

export class RequestRates {
  private readonly of = new Map<PortObject, RateWindow>();

  admit(port: PortObject, nowMs: number): boolean {
    const rate = this.of.get(port) ?? new RateWindow(REQUESTS_PER_SECOND);
    this.of.set(port, rate);
    return rate.admit(nowMs);
  }

  forget(port: PortObject): void {
    this.of.delete(port);
  }
}
