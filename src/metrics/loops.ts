/** The metric of loops between ACs. */
import type { Row } from "../api/feature.ts";
import type { Loop } from "../api/loops.ts";

export function loopRows(loops: () => readonly Loop[]): readonly Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_loops",
      help: "Loops between ACs of a VSI, as they are now",
      labels: ["vsi"],
      *values() {
        const counts = new Map<string, number>();
        for (const { vsi } of loops()) counts.set(vsi, (counts.get(vsi) ?? 0) + 1);
        for (const [vsi, count] of counts) yield [{ vsi }, count];
      },
    },
  ];
}
