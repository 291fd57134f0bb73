/**
 * Pins: entries of the MAC and neighbour tables that come from configuration, not from frames.
 *
 * Per VSI: static MACs, the MACs that are always flooded, and the gateway MAC of its VSI-interface (which wins over the
 * others: a host must never take it). Per VSI-interface: static neighbours. The tables themselves are learn.ts's and
 * neighbor.ts's; this file only says what shall be pinned, compares it with what is, and never touches the rest.
 *
 * A MAC table full of learned rows may have no room for a pin. Learned rows age, so it is tried again.
 */
import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../tables/mac.ts";
import { formatMac, type Mac, parseMac } from "../wire/ethernet.ts";
import { formatIpv4, type Ipv4 } from "../wire/ipv4.ts";
import type { Emit } from "./event.ts";
import type { InterfaceObject, Inventory, PortObject, VsiObject } from "./inventory.ts";
import type { BridgePortName } from "./plan.ts";
import type { Timers } from "./timers.ts";

const RETRY_MS = 1000;

/** What pinning needs of learn.ts. */
export interface MacPins {
  /** Pin `mac` to `port` (null: none) with `flags` of mac.ts. @returns false when the table has no room. */
  addStatic(vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number): boolean;
  removeStatic(vsi: VsiObject, mac: Mac): void;
}

/** What pinning needs of neighbor.ts. */
export interface NeighborPins {
  /** @returns false when there is no room for it. */
  addStatic(on: InterfaceObject, ip: Ipv4, mac: Mac, port: PortObject, vsi: VsiObject): boolean;
  removeStatic(on: InterfaceObject, ip: Ipv4): void;
}

interface MacPin {
  readonly vsi: VsiObject;
  readonly mac: Mac;
  readonly port: PortObject | null;
  readonly flags: number;
}

interface NeighborPin {
  readonly on: InterfaceObject;
  readonly ip: Ipv4;
  readonly mac: Mac;
  readonly port: PortObject;
  readonly vsi: VsiObject;
}

export class Pins {
  private readonly inventory: Inventory;
  private readonly learner: MacPins;
  private readonly neighbors: NeighborPins;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly macs = new Map<string, MacPin>();
  private readonly hosts = new Map<string, NeighborPin>();
  private retrying = false;

  constructor(inventory: Inventory, learner: MacPins, neighbors: NeighborPins, timers: Timers, emit: Emit) {
    this.inventory = inventory;
    this.timers = timers;
    this.emit = emit;
    this.learner = learner;
    this.neighbors = neighbors;
  }

  /** Static neighbours that go, change, or are on a VSI-interface or in a VSI that will be emptied. */
  withdrawNeighbors(interfaces: ReadonlySet<InterfaceObject>, vsis: ReadonlySet<VsiObject>): void {
    const wanted = this.wantedHosts();
    for (const [key, pin] of this.hosts) {
      const next = wanted.get(key);
      const isEmptied = interfaces.has(pin.on) || vsis.has(pin.vsi);
      if (next !== undefined && isSameHost(pin, next) && !isEmptied) continue;
      this.hosts.delete(key);
      this.neighbors.removeStatic(pin.on, pin.ip);
    }
  }

  /** The MAC table has forgotten everything about `vsi`. */
  forgetVsi(vsi: VsiObject): void {
    for (const [key, pin] of this.macs) if (pin.vsi === vsi) this.macs.delete(key);
  }

  /** Make the pinned MACs those of the inventory: new and changed ones first, so that a gateway MAC is never missing. */
  applyMacs(): void {
    const wanted = this.wantedMacs();
    for (const [key, pin] of wanted) {
      if (isSameMac(this.macs.get(key), pin)) continue;
      if (this.learner.addStatic(pin.vsi, pin.mac, pin.port, pin.flags)) this.macs.set(key, pin);
      else this.tryAgain(pin);
    }
    for (const [key, pin] of this.macs) {
      if (wanted.has(key)) continue;
      this.macs.delete(key);
      this.learner.removeStatic(pin.vsi, pin.mac);
    }
  }

  /** Pin the static neighbours that are not pinned. */
  publishNeighbors(): void {
    for (const [key, pin] of this.wantedHosts()) {
      if (this.hosts.has(key)) continue;
      this.hosts.set(key, pin);
      if (!this.neighbors.addStatic(pin.on, pin.ip, pin.mac, pin.port, pin.vsi))
        this.emit("warn", "neighbor.limit", { interface: pin.on.name, ip: formatIpv4(pin.ip), pinned: false });
    }
  }

  private tryAgain({ vsi, mac }: MacPin): void {
    if (this.retrying) return;
    this.retrying = true;
    this.emit("warn", "mac.limit", { vsi: vsi.name, mac: formatMac(mac), pinned: false });
    this.timers.after(RETRY_MS, () => {
      this.retrying = false;
      this.applyMacs();
    });
  }

  private wantedMacs(): Map<string, MacPin> {
    const pins = new Map<string, MacPin>();
    const pin = (vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number) =>
      pins.set(`${vsi.row} ${mac}`, { vsi, mac, port, flags });
    for (const vsi of this.inventory.vsis.values()) {
      for (const text of vsi.config.flood.selective) pin(vsi, macOf(text), null, MAC_FLOOD | MAC_STATIC);
      for (const { mac, port } of vsi.config.mac.static) pin(vsi, macOf(mac), this.port(port), MAC_STATIC);
      if (vsi.interface !== null) pin(vsi, vsi.interface.mac, null, MAC_GATEWAY);
    }
    return pins;
  }

  private wantedHosts(): Map<string, NeighborPin> {
    const pins = new Map<string, NeighborPin>();
    for (const on of this.inventory.interfaces.values())
      for (const { ip, mac, port, vsi } of on.config.arp.static)
        pins.set(`${on.row} ${ip}`, {
          on,
          ip,
          mac: macOf(mac),
          port: this.port(port),
          vsi: this.inventory.vsi(vsi)!,
        });
    return pins;
  }

  private port({ kind, name }: BridgePortName): PortObject {
    return this.inventory.port(kind, name)!;
  }
}

function macOf(text: string): Mac {
  const mac = parseMac(text);
  if (mac === null) throw new Error(`${text}: not a MAC (the plan is checked before it comes here)`);
  return mac;
}

function isSameMac(a: MacPin | undefined, b: MacPin): boolean {
  return a !== undefined && a.vsi === b.vsi && a.port === b.port && a.flags === b.flags;
}

function isSameHost(a: NeighborPin, b: NeighborPin): boolean {
  return a.on === b.on && a.mac === b.mac && a.port === b.port && a.vsi === b.vsi;
}
