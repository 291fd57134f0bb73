/**
 * Pins: entries of the MAC and neighbour tables that come from configuration, not from frames.
 *
 * Per VSI: static MACs, the MACs that are always flooded, the gateway MAC of its VSI-interface (which wins over the others:
 * a host must never take it), and those it had before (which yield to all). Per VSI-interface: static neighbours. The tables themselves are control/mac/learn.ts's and
 * control/neighbor/table.ts's; this file only says what shall be pinned, compares it with what is, and never touches the rest.
 *
 * An operator may add entries of both kinds while the gateway runs. They are wanted like configured ones, below them in
 * rank, until they are removed or flushed, or until what they are on or behind is no more.
 *
 * A MAC table full of learned rows may have no room for a pin. Learned rows age, so it is tried again.
 */
import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../../tables/mac.ts";
import { formatMac, type Mac, parseMac } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import {
  type InterfaceObject,
  type Inventory,
  isPortOf,
  type PortObject,
  subnetOf,
  type VsiObject,
} from "../inventory.ts";
import { type Family, formatIp, type Ip, isOfFamily } from "../ip.ts";
import type { BridgePortName } from "../plan.ts";
import type { Timers } from "../timers.ts";
import type { FormerMac } from "./former-macs.ts";

const RETRY_MS = 1000;

/** What pinning needs of control/mac/learn.ts. */
export interface MacPins {
  /** Pin `mac` to `port` (null: none) with `flags` of mac.ts. @returns false when the table has no room. */
  addStatic(vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number): boolean;
  removeStatic(vsi: VsiObject, mac: Mac): void;
}

/** What pinning needs of control/neighbor/table.ts. */
export interface NeighborPins {
  /** @returns false when there is no room for it. */
  addStatic(iface: InterfaceObject, ip: Ip, mac: Mac, port: PortObject, vsi: VsiObject): boolean;
  removeStatic(iface: InterfaceObject, ip: Ip): void;
}

/** Is `ip` among the addresses that a change concerns? */
export type IsTouched = (ip: Ip) => boolean;

/** `configured`: it is the file's, or our gateway's, and stays. `full`: there is no room. */
export type Added = "added" | "configured" | "full";

interface MacPin {
  readonly vsi: VsiObject;
  readonly mac: Mac;
  readonly port: PortObject | null;
  readonly flags: number;
}

interface NeighborPin {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
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
  private readonly formerMacs: (vsi: VsiObject) => readonly FormerMac[];
  private readonly macs = new Map<string, MacPin>();
  private readonly hosts = new Map<string, NeighborPin>();
  private readonly addedMacs = new Map<string, MacPin>();
  private readonly addedHosts = new Map<string, NeighborPin>();
  private retrying = false;

  /** @param formerMacs of a VSI: former-macs.ts. */
  constructor(
    inventory: Inventory,
    learner: MacPins,
    neighbors: NeighborPins,
    timers: Timers,
    emit: Emit,
    formerMacs: (vsi: VsiObject) => readonly FormerMac[],
  ) {
    this.inventory = inventory;
    this.timers = timers;
    this.emit = emit;
    this.learner = learner;
    this.neighbors = neighbors;
    this.formerMacs = formerMacs;
  }

  /** Static neighbours that go, change, or are on a VSI-interface or in a VSI that will be emptied. */
  withdrawNeighbors(interfaces: ReadonlyMap<InterfaceObject, IsTouched>, vsis: ReadonlySet<VsiObject>): void {
    const wanted = this.wantedHosts();
    for (const [key, pin] of this.hosts) {
      const next = wanted.get(key);
      const isEmptied = interfaces.get(pin.iface)?.(pin.ip) === true || vsis.has(pin.vsi);
      if (next !== undefined && isSameHost(pin, next) && !isEmptied) continue;
      this.hosts.delete(key);
      this.neighbors.removeStatic(pin.iface, pin.ip);
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
      if (!this.neighbors.addStatic(pin.iface, pin.ip, pin.mac, pin.port, pin.vsi))
        this.emit("warn", "neighbor.limit", { interface: pin.iface.name, ip: formatIp(pin.ip), pinned: false });
    }
  }

  // ---- added by hand -----------------------------------------------------------------------------------------------

  addMac(vsi: VsiObject, mac: Mac, port: PortObject): Added {
    if (this.isConfigured(vsi, mac)) return "configured";
    const pin = { vsi, mac, port, flags: MAC_STATIC };
    const key = macKeyOf(pin);
    if (!this.learner.addStatic(vsi, mac, port, MAC_STATIC)) return "full";
    this.addedMacs.set(key, pin);
    this.macs.set(key, pin);
    return "added";
  }

  removeMac(vsi: VsiObject, mac: Mac): boolean {
    if (!this.addedMacs.delete(macKeyOf({ vsi, mac }))) return false;
    this.applyMacs();
    return true;
  }

  /** Is `mac` the file's, or our gateway's? */
  isConfigured(vsi: VsiObject, mac: Mac): boolean {
    const key = macKeyOf({ vsi, mac });
    return this.macs.has(key) && !this.addedMacs.has(key);
  }

  addNeighbor(iface: InterfaceObject, ip: Ip, mac: Mac, port: PortObject, vsi: VsiObject): Added {
    const pin = { iface, ip, mac, port, vsi };
    const key = hostKeyOf(pin);
    if (this.hosts.has(key) && !this.addedHosts.has(key)) return "configured";
    if (this.addedHosts.has(key)) this.removeNeighbor(iface, ip);
    if (!this.neighbors.addStatic(iface, ip, mac, port, vsi)) {
      this.neighbors.removeStatic(iface, ip);
      return "full";
    }
    this.addedHosts.set(key, pin);
    this.hosts.set(key, pin);
    return "added";
  }

  removeNeighbor(iface: InterfaceObject, ip: Ip): boolean {
    if (!this.addedHosts.delete(hostKeyOf({ iface, ip }))) return false;
    this.withdrawNeighbors(new Map(), new Set());
    return true;
  }

  /** A VSI has one tunnel less: what was added by hand behind it goes. */
  dropMisplaced(): void {
    const isMisplaced = (pin: MacPin | NeighborPin) => !this.isThere(pin);
    if ([...this.addedMacs.values()].some(isMisplaced)) this.applyMacs();
    if ([...this.addedHosts.values()].some(isMisplaced)) this.withdrawNeighbors(new Map(), new Set());
  }

  /** Those added by hand go: of one VSI, or of all. @returns how many. */
  flushMacs(vsi: VsiObject | null): number {
    const gone = [...this.addedMacs.values()].filter((pin) => vsi === null || pin.vsi === vsi);
    for (const pin of gone) this.addedMacs.delete(macKeyOf(pin));
    this.applyMacs();
    return gone.length;
  }

  /** Those added by hand go: of one VSI-interface, or one of them, or all. @returns how many. */
  flushNeighbors(iface: InterfaceObject | null, ip: Ip | null, family: Family | null = null): number {
    const gone = [...this.addedHosts.values()].filter(
      (pin) => (iface === null || pin.iface === iface) && (ip === null || pin.ip === ip) && isOfFamily(pin.ip, family),
    );
    for (const pin of gone) this.addedHosts.delete(hostKeyOf(pin));
    this.withdrawNeighbors(new Map(), new Set());
    return gone.length;
  }

  /** Is that VSI-interface, VSI and bridge port still what it was when the entry was added? */
  private isThere({ vsi, port, iface }: { vsi: VsiObject; port: PortObject | null; iface?: InterfaceObject }): boolean {
    const { vsis, ports, interfaces } = this.inventory;
    if (vsis.get(vsi.row) !== vsi || port === null || ports.get(port.row) !== port) return false;
    if (iface !== undefined && (interfaces.get(iface.row) !== iface || !iface.vsis.includes(vsi))) return false;
    return isPortOf(port, vsi);
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
    const pin = (vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number) => {
      const key = macKeyOf({ vsi, mac });
      this.addedMacs.delete(key);
      pins.set(key, { vsi, mac, port, flags });
    };
    for (const vsi of this.inventory.vsis.values())
      for (const { mac } of this.formerMacs(vsi))
        pins.set(macKeyOf({ vsi, mac }), { vsi, mac, port: null, flags: MAC_GATEWAY });
    for (const [key, added] of this.addedMacs) {
      if (this.isThere(added)) pins.set(key, added);
      else this.addedMacs.delete(key);
    }
    for (const vsi of this.inventory.vsis.values()) {
      for (const text of vsi.config.flood.selective) pin(vsi, macOf(text), null, MAC_FLOOD | MAC_STATIC);
      for (const { mac, port } of vsi.config.mac.static) pin(vsi, macOf(mac), this.port(port), MAC_STATIC);
      if (vsi.interface !== null) pin(vsi, vsi.interface.mac, null, MAC_GATEWAY);
    }
    return pins;
  }

  private wantedHosts(): Map<string, NeighborPin> {
    const pins = new Map<string, NeighborPin>();
    for (const [key, added] of this.addedHosts) {
      if (this.isThere(added) && subnetOf(added.iface, added.ip) !== null) pins.set(key, added);
      else this.addedHosts.delete(key);
    }
    for (const iface of this.inventory.interfaces.values())
      for (const { ip, mac, port, vsi } of iface.config.arp.static) {
        const key = hostKeyOf({ iface, ip });
        this.addedHosts.delete(key);
        pins.set(key, { iface, ip, mac: macOf(mac), port: this.port(port), vsi: this.inventory.vsi(vsi)! });
      }
    return pins;
  }

  private port({ kind, name }: BridgePortName): PortObject {
    return this.inventory.port(kind, name)!;
  }
}

const macKeyOf = ({ vsi, mac }: { vsi: VsiObject; mac: Mac }) => `${vsi.row} ${mac}`;
const hostKeyOf = ({ iface, ip }: { iface: InterfaceObject; ip: Ip }) => `${iface.row} ${ip}`;

function macOf(text: string): Mac {
  const mac = parseMac(text);
  if (mac === null) throw new Error(`${text}: not a MAC (the plan is checked before it comes here)`);
  return mac;
}

function isSameMac(a: MacPin | undefined, b: MacPin): boolean {
  return a !== undefined && a.vsi === b.vsi && a.port === b.port && a.flags === b.flags;
}

function isSameHost(a: NeighborPin, b: NeighborPin): boolean {
  return a.iface === b.iface && a.mac === b.mac && a.port === b.port && a.vsi === b.vsi;
}
