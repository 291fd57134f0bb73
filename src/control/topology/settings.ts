/** Words of the tables that hold for the whole gateway: workers read them once a batch. */
import {
  SET_BFD_VNI,
  SET_DSCP,
  SET_OVERHEAD,
  SET_PUNT_AC,
  SET_PUNT_TOTAL,
  SET_STRICT_RESERVED,
  SET_VXLAN_PORT,
  type Tables,
} from "../../tables/tables.ts";
import type { Config } from "../plan.ts";

export function storeSettings({ settings }: Tables, config: Config): void {
  const { underlay, limits } = config;
  settings[SET_STRICT_RESERVED] = underlay.strictReserved ? 1 : 0;
  settings[SET_DSCP] = underlay.dscp === "copy" ? -1 : underlay.dscp;
  settings[SET_PUNT_TOTAL] = limits.puntPerSecond;
  settings[SET_PUNT_AC] = limits.puntPerAcPerSecond;
  settings[SET_VXLAN_PORT] = underlay.port;
  settings[SET_OVERHEAD] = underlay.overhead;
  settings[SET_BFD_VNI] = isInVxlan(config) ? underlay.managementVni : 0;
}

/** Is there a session inside VXLAN, or may there be one with a peer that EVPN finds? */
function isInVxlan({ bfd, tunnels }: Config): boolean {
  return bfd?.mode === "vxlan" || tunnels.some((tunnel) => tunnel.bfd?.mode === "vxlan");
}
