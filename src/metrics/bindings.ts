/** Metrics of bindings; what is dropped for want of one is `vtep_drops_total{reason="port_security"}`. */
import type { Binding } from "../api/bindings.ts";
import type { Row } from "../api/feature.ts";

export function bindingRows(bindings: () => readonly Binding[]): readonly Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_bindings",
      help: "Addresses bound to an AC, by the configuration, by a DHCP lease, or because it claimed them first (slaac)",
      labels: ["ac", "source"],
      *values() {
        const counts = new Map<string, number>();
        for (const { ac, source } of bindings()) {
          const key = `${ac} ${source}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
        for (const [key, count] of counts) {
          // Names have no blanks.
          const [ac, source] = key.split(" ") as [string, string];
          yield [{ ac, source }, count];
        }
      },
    },
  ];
}
