/** A frame that a worker saw as a line of a capture: in names, with its fate, its step, and where it came from. */
import type { CaptureLine } from "../api/schema-watch.ts";
import type { ShownParts } from "../api/shown.ts";
import { DROPS, PUNT, PUNTS } from "../tables/counters.ts";
import { FATE_PUNTED, WATCH_IN } from "../tables/watch.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import { summaryOf } from "../wire/summary.ts";
import { ArticleSteps } from "./article-step.ts";
import { RowNames } from "./row-names.ts";
import type { Seen } from "./seen.ts";

export type FrameLine = Extract<CaptureLine, { kind: "frame" }>;

export class FrameLines {
  readonly names: RowNames;
  private readonly parts: ShownParts;
  private readonly steps: ArticleSteps;
  private readonly sourcePorts: readonly (number | null)[];

  /** @param sourcePorts outer UDP source ports in the order in which flows choose them. */
  constructor(parts: ShownParts, sourcePorts: readonly (number | null)[]) {
    this.parts = parts;
    this.names = new RowNames(parts);
    this.steps = new ArticleSteps(parts);
    this.sourcePorts = sourcePorts;
  }

  of(seen: Seen): FrameLine {
    const { kind, port, vsi, fate, at, length, bytes, id, parent, cause } = seen;
    return {
      kind: "frame",
      id,
      parent: parent === 0 ? null : parent,
      cause: cause === 0 ? null : cause,
      at: String(at),
      via: this.names.via(port),
      vsi: vsi === 0 ? null : this.names.vsi(vsi),
      direction: kind === WATCH_IN ? "in" : "out",
      length,
      summary: summaryOf(bytes, length),
      fate: this.fateText(seen),
      reason: fate > 0 ? DROPS[fate - 1]![0] : null,
      step: this.stepOf(seen),
      outer: this.outerOf(seen),
      data: base64(bytes, bytes.length),
    };
  }

  private fateText({ kind, fate, punt, out, port }: Seen): string {
    if (fate > 0) return `dropped: ${DROPS[fate - 1]!.join(", ")}`;
    if (kind !== WATCH_IN) return `sent to ${this.names.port(port)}`;
    if (out.copies > 1) return `flooded: ${out.copies} copies`;
    if (out.copies === 1) return `sent to ${this.names.port(out.port)}`;
    return fate === FATE_PUNTED && punt > 0 ? `punted: ${PUNTS[punt - 1]!.join(", ")}` : "taken";
  }

  private stepOf({ kind, port, vsi, fate, punt, bytes }: Seen): string | null {
    const via = this.names.via(port);
    const inside = this.parts.inventory.vsis.get(vsi);
    if (via === null || inside === undefined) return null;
    const isWaiting = fate === FATE_PUNTED && punt === PUNT.unresolved;
    const direction = kind === WATCH_IN ? "in" : "out";
    return this.steps.of({ bytes, kind: via.kind, direction, vsi: inside, isWaiting });
  }

  /** What stood, or will stand, around the inner frame. */
  private outerOf({ kind, port, vsi, entropy, vxlan }: Seen): FrameLine["outer"] {
    const { inventory, topology, tables } = this.parts;
    const own = topology.config.underlay.address;
    const found = inventory.ports.get(port);
    const remote = found?.kind === "tunnel" ? found.config.remote : null;
    if (remote === null && vxlan === null) return null;
    if (kind !== WATCH_IN) {
      const chosen = this.sourcePorts[entropy % this.sourcePorts.length] ?? null;
      return { source: own, destination: remote, sourcePort: chosen, vni: tables.vsis.vni[vsi]! };
    }
    const stranger = vxlan === null || vxlan.outer === 0 ? null : formatIpv4(vxlan.outer);
    return {
      source: remote ?? stranger,
      destination: own,
      sourcePort: vxlan === null || vxlan.outerPort === 0 ? null : vxlan.outerPort,
      vni: vxlan?.vni ?? (vsi === 0 ? null : tables.vsis.vni[vsi]!),
    };
  }
}

export function base64(bytes: Uint8Array, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("base64");
}
