/** Rows of the tables as the operator calls what is in them; for those who explain what the data plane did. */

import type { Inventory } from "../control/inventory.ts";
import { formatIp } from "../control/ip.ts";
import type { Neighbors } from "../control/neighbor/table.ts";
import type { Topology } from "../control/topology/topology.ts";
import type { Names } from "./step.ts";

export interface Via {
  readonly kind: "ac" | "tunnel";
  readonly name: string;
}

export interface RowParts {
  readonly inventory: Inventory;
  readonly topology: Topology;
  readonly agent: { readonly neighbors: Pick<Neighbors, "nextHop"> };
}

export class RowNames implements Names {
  private readonly inventory: Inventory;
  private readonly topology: Topology;
  private readonly neighbors: Pick<Neighbors, "nextHop">;

  constructor({ inventory, topology, agent }: RowParts) {
    this.inventory = inventory;
    this.topology = topology;
    this.neighbors = agent.neighbors;
  }

  /** The bridge port, or null: there is none. */
  via(row: number): Via | null {
    const port = this.inventory.ports.get(row);
    return port === undefined ? null : { kind: port.kind, name: port.name };
  }

  port(row: number): string {
    const via = this.via(row);
    return via === null ? "nowhere" : `${via.kind} ${via.name}`;
  }

  vsi(row: number): string {
    return this.inventory.vsis.get(row)?.name ?? "-";
  }

  interface(row: number): string {
    return this.inventory.interfaces.get(row)?.name ?? "-";
  }

  vrf(row: number): string {
    return this.topology.interfaces.vrfNames().get(row) ?? "-";
  }

  nextHop(adjacency: number): string {
    const hop = this.neighbors.nextHop(adjacency);
    if (hop === null) return "-";
    return hop.behind === null ? formatIp(hop.ip) : `${formatIp(hop.ip)} behind ${hop.behind}`;
  }

  policy(row: number): string | null {
    const name = this.interface(row);
    return this.topology.policies.list().find((policy) => policy.interfaces.includes(name))?.name ?? null;
  }

  rule(id: number): string {
    for (const { rules } of this.topology.policies.list()) {
      const index = rules.findIndex((rule) => rule.id === id);
      if (index >= 0) return `rule ${index + 1}`;
    }
    return "a rule";
  }
}
