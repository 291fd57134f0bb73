/** What was heard of a neighbour and not believed: a host that moves too often, one too many. Counted, and told at a pace. */
import { DROP } from "../../tables/counters.ts";
import type { Tables } from "../../tables/tables.ts";
import { formatMac } from "../../wire/ethernet.ts";
import { DampedMoves } from "../damped-moves.ts";
import { type Emit, portField } from "../event.ts";
import type { InterfaceObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import { OncePer } from "../once-per.ts";
import type { Timers } from "../timers.ts";
import type { Neighbor, NeighborOrigin, Place } from "./entry.ts";

const LIMIT_EVENT_MS = 10_000;

export class NeighborRefusals {
  private readonly tables: Tables;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly limitTold = new OncePer<InterfaceObject>(LIMIT_EVENT_MS);
  /** Addresses that move too often. */
  readonly damped: DampedMoves;

  constructor(tables: Tables, timers: Timers, emit: Emit) {
    this.tables = tables;
    this.timers = timers;
    this.emit = emit;
    this.damped = new DampedMoves(timers);
  }

  forget(iface: InterfaceObject): void {
    this.limitTold.forget(iface);
  }

  /**
   * move_damped counts moves, not frames: the ARP itself is answered as ever, and the entry stays usable.
   *
   * One thing that looks like a restless host is none: the IP that all distributed gateways share, as a Border with an
   * address of its own hears it in their questions, now from one tunnel, now from another. That is no news, and no alarm.
   */
  damp(entry: Neighbor, place: Place, how: NeighborOrigin): "damped" {
    const isAnycast = how === "request" && place.port.kind === "tunnel" && entry.place!.port.kind === "tunnel";
    if (isAnycast) return "damped";
    this.tables.controlCounters.refused[DROP.move_damped]!++;
    this.emit("warn", "neighbor.damped", {
      interface: entry.iface.name,
      ip: formatIp(entry.ip),
      mac: formatMac(place.mac),
      ...portField(place.port),
    });
    this.damped.note(place.vsi, formatIp(entry.ip), entry.place!.port, place.port);
    return "damped";
  }

  /** There is no room for one more neighbour on `iface`, or behind that port. */
  refuse(iface: InterfaceObject, ip: Ip, place: Place): "full" {
    if (this.limitTold.admit(iface, this.timers.nowMs)) {
      const fields = { interface: iface.name, ip: formatIp(ip), ...portField(place.port) };
      this.emit("warn", "neighbor.limit", fields);
    }
    return "full";
  }
}
