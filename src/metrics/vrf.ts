/** Metrics of VRFs. Routes by VRF are vtep_route_entries. */
import type { Row } from "../api/feature.ts";
import type { Vrf } from "../api/schema-vrf.ts";

type Origins = ReadonlyMap<string, Readonly<Record<string, number>>>;

export interface VrfSource {
  readonly list: () => readonly Vrf[];
  /** Neighbours by VSI and origin. */
  readonly neighbors: () => Origins;
  /** The VRF of a VSI's VSI-interface; null: it has none. */
  readonly vrfOf: (vsi: string) => string | null;
}

export function vrfRows({ list, neighbors, vrfOf }: VrfSource): readonly Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_vrf_up",
      help: "1 while a VRF with VSI-interfaces or an L3VNI routes, and its L3VNI is as it should be; 0: show vrf says why not",
      labels: ["vrf"],
      values: () =>
        list()
          .filter(isUsed)
          .map(({ name, state }) => [{ vrf: name }, state === "up" ? 1 : 0]),
    },
    {
      kind: "gauge",
      name: "vtep_vrf_neighbor_entries",
      help: "Entries of the ARP tables, by VRF",
      labels: ["vrf", "origin"],
      *values() {
        const sums = new Map<string, Record<string, number>>();
        for (const [vsi, counts] of neighbors()) {
          const vrf = vrfOf(vsi);
          if (vrf === null) continue;
          const sum = sums.get(vrf) ?? {};
          for (const [origin, count] of Object.entries(counts)) sum[origin] = (sum[origin] ?? 0) + count;
          sums.set(vrf, sum);
        }
        for (const [vrf, sum] of sums)
          for (const [origin, count] of Object.entries(sum)) yield [{ vrf, origin }, count];
      },
    },
  ];
}

/** The default VRF is there even where nothing is in it. */
export function isUsed({ interfaces, l3vni }: Pick<Vrf, "interfaces" | "l3vni">): boolean {
  return interfaces.length > 0 || l3vni !== null;
}
