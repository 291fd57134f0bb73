/** Metrics of each family of addresses, and of what the gateway says in ICMPv6. */
import type { Labels, Row } from "../api/feature.ts";
import { ICMP6_SENT } from "../control/icmp/icmp6.ts";
import type { Family, Ip } from "../control/ip.ts";
import { isKnown } from "../control/neighbor/nud.ts";
import type { Neighbors } from "../control/neighbor/table.ts";

type Sizes = Readonly<Record<Family, number>>;

export interface FamilySource {
  neighbors(): Sizes;
  routes(): Sizes;
  /** Messages sent, by ICMPv6 type. */
  icmp6(): ReadonlyMap<number, number>;
}

export function familyRows(source: FamilySource): readonly Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_neighbors",
      help: "Known neighbours, by family of addresses: 4, of ARP, or 6, of neighbour discovery",
      labels: ["family"],
      values: () => bySize(source.neighbors()),
    },
    {
      kind: "gauge",
      name: "vtep_routes",
      help: "Rows of the forwarding table, by family of addresses: 4 or 6",
      labels: ["family"],
      values: () => bySize(source.routes()),
    },
    {
      kind: "counter",
      name: "vtep_icmp6_sent_total",
      help: "ICMPv6 messages of the gateway, by type",
      labels: ["type"],
      *values() {
        const counts = source.icmp6();
        for (const [type, name] of ICMP6_SENT) yield [{ type: name }, counts.get(type) ?? 0];
      },
    },
  ];
}

/** Known neighbours of each family, counted by their change feed: a scrape looks at no entry. */
export function neighborSizes(neighbors: Pick<Neighbors, "changes" | "all">): () => Sizes {
  const sizes: Record<Family, number> = { 4: 0, 6: 0 };
  const count = (ip: Ip, step: number) => {
    sizes[typeof ip === "number" ? 4 : 6] += step;
  };
  for (const { ip, state } of neighbors.all()) if (isKnown(state)) count(ip, 1);
  neighbors.changes.follow(({ ip, was, is }) => count(ip, (is === null ? 0 : 1) - (was === null ? 0 : 1)));
  return () => sizes;
}

function* bySize(sizes: Sizes): Generator<readonly [Labels, number]> {
  for (const family of [4, 6] as const) yield [{ family: String(family) }, sizes[family]];
}
