/** Whose MAC address is it? Gateways say theirs; a host's stands in the neighbour table of its own gateway. */
import { computed } from "@preact/signals";
import { fabric } from "./state.ts";

/** By MAC: "gw2, VNI 20". With a shared gateway MAC several gateways have one. */
export const gatewayMacs = computed<ReadonlyMap<string, string>>(() => {
  const all = new Map<string, string>();
  for (const { node, interfaces, vsis } of fabric.value?.gateways ?? [])
    for (const { mac, vsis: on } of interfaces) {
      const vni = vsis.find(({ name }) => on.includes(name))?.vni;
      const text = vni === null || vni === undefined ? node : `${node}, VNI ${vni}`;
      all.set(mac, all.has(mac) ? `${all.get(mac)} and ${node}` : text);
    }
  return all;
});
