/** Metrics of router advertisements; none of them has values while no VSI-interface advertises. */
import type { Row } from "../api/feature.ts";
import { RA_RESULTS, type RaResult } from "../control/nd/advertiser.ts";

type Counts = ReadonlyMap<string, Readonly<Record<RaResult, number>>>;

export function raRows(counts: () => Counts): readonly Row[] {
  return [
    {
      kind: "counter",
      name: "vtep_ra_total",
      help: "Router advertisements sent, solicitations answered, and those over the limit",
      labels: ["interface", "result"],
      *values() {
        for (const [name, cells] of counts())
          for (const result of RA_RESULTS) yield [{ interface: name, result }, cells[result]];
      },
    },
  ];
}
