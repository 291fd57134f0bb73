/** Drops by the bridge port where they happened, with the last frame of each reason there. */
import type { DropCount } from "../api/schema.ts";
import type { ShownParts } from "../api/shown.ts";
import type { PortObject } from "../control/inventory.ts";
import { DROP, type DropName } from "../tables/counters.ts";
import type { DropExample } from "../tables/drop-example.ts";
import { summaryOf } from "../wire/summary.ts";
import type { LastDrops } from "./last-drops.ts";

type PortDrop = DropCount["ports"][number];

/** Ports that are told of each reason; the others are a number. */
export const MOST_PORTS = 64;

export class PortDrops {
  private readonly parts: ShownParts;
  private readonly last: LastDrops;

  constructor(parts: ShownParts, last: LastDrops) {
    this.parts = parts;
    this.last = last;
  }

  /** `counts` with the last frame of each, and where. */
  beside(counts: readonly Omit<DropCount, "last" | "ports">[]): DropCount[] {
    const { inventory, topology } = this.parts;
    const byPort = [...inventory.ports.values()].map((port) => ({ port, drops: topology.counted.dropsOf(port) }));
    return this.last.beside(counts).map((drop) => {
      const reason = DROP[drop.reason as DropName];
      const all = byPort.flatMap(({ port, drops }) => (drops[reason]! > 0 ? [{ port, count: drops[reason]! }] : []));
      const told = all.sort((a, b) => b.count - a.count).slice(0, MOST_PORTS);
      const rest = told.reduce((left, { count }) => left - count, drop.count);
      const ports = told.map(({ port, count }): PortDrop => this.told(port, reason, count));
      return { ...drop, ports: rest > 0 ? [...ports, { via: null, count: rest, last: null }] : ports };
    });
  }

  private told(port: PortObject, reason: number, count: number): PortDrop {
    const found = this.last.at(reason, port.row);
    const via = { kind: port.kind, name: port.name };
    return { via, count, last: found === null ? null : this.lastOf(port, found.example, found.agoMs) };
  }

  private lastOf(port: PortObject, { vsi, vxlan, length, bytes }: DropExample, agoMs: number): PortDrop["last"] {
    const { inventory } = this.parts;
    const inside = inventory.vsis.get(vsi);
    return {
      at: new Date(Date.now() - agoMs).toISOString(),
      vsi: inside?.name ?? null,
      vni: vxlan?.vni ?? inside?.config.vni ?? null,
      outer: port.kind === "tunnel" ? port.config.remote : null,
      frame: bytes.length === 0 ? `${length} bytes` : summaryOf(bytes, length),
    };
  }
}
