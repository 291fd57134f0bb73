/** Objects of an inventory as metrics need them: rows and names, and configurations that nothing looks into. */
import type { PortObject, VsiObject } from "../../src/control/inventory.ts";
import type { AcConfig, TunnelConfig, VsiConfig } from "../../src/control/plan.ts";

export function vsiOf(row: number, name: string): VsiObject {
  return { row, name, config: {} as VsiConfig, interface: null, acs: [], tunnels: [] };
}

/** An AC of `vsi`; null: a tunnel. */
export function portOf(row: number, name: string, vsi: VsiObject | null): PortObject {
  const common = { row, name, io: row, mtu: 1450, up: true };
  if (vsi !== null) return { ...common, kind: "ac", vsi, config: {} as AcConfig, linkDown: false };
  const state = { wanted: true, draining: false, lingering: false };
  return { ...common, ...state, kind: "tunnel", vsi, config: {} as TunnelConfig };
}
