/**
 * VRFs as people see them: who is in one, what it routes, and how it stands.
 *
 * The default VRF is always there, also where nothing names it; the others are those of VSI-interfaces and of `vrfs`.
 */
import { DEFAULT_VRF, type Inventory, subnetOf } from "../control/inventory.ts";
import { bitsOf, formatIp, type Ip } from "../control/ip.ts";
import type { VrfConfig } from "../control/plan-evpn.ts";
import { RANKS } from "../control/routes/routes.ts";
import { formatMac } from "../wire/ethernet.ts";
import { byText } from "./by-text.ts";
import type { Evpn } from "./schema-evpn.ts";
import type { Vrf } from "./schema-vrf.ts";
import type { ShownParts } from "./shown.ts";

/** How the fabric stands; null: the gateway takes no part in one, or not yet. */
export type FabricStanding = Pick<Evpn, "engine" | "state" | "vrfs"> | null;

type Standing = Pick<Vrf, "state" | "reason">;

const UP: Standing = { state: "up", reason: null };
/** What is wrong with an L3VNI in these states of the engine; in the others nothing is. */
const TROUBLES: Readonly<Partial<Record<Evpn["state"], string>>> = {
  away: "the BGP engine has not been seen yet",
  deaf: "no BGP session is up; what was heard is kept for a while",
  stale: "the BGP engine is gone; what was heard is kept for a while",
};

/** All VRFs: the default one, and those that anything names. */
export function vrfNames({ topology, inventory }: Pick<ShownParts, "topology" | "inventory">): Set<string> {
  const named = topology.config.vrfs.map(({ name }) => name);
  return new Set([DEFAULT_VRF, ...named, ...Array.from(inventory.interfaces.values(), ({ vrfName }) => vrfName)]);
}

/** VRFs with a subnet that has `ip` in it, sorted: another host in each. */
export function vrfsWith({ interfaces }: Inventory, ip: Ip): string[] {
  const homes = [...interfaces.values()].filter((iface) => subnetOf(iface, ip) !== null);
  return [...new Set(homes.map(({ vrfName }) => vrfName))].sort(byText);
}

export class VrfViews {
  private readonly parts: ShownParts;
  private readonly fabric: () => FabricStanding;

  constructor(parts: ShownParts, fabric: () => FabricStanding) {
    this.parts = parts;
    this.fabric = fabric;
  }

  has(name: string): boolean {
    return vrfNames(this.parts).has(name);
  }

  list(): Vrf[] {
    const { topology, routes } = this.parts;
    const fabric = this.fabric();
    const rows = new Map([...topology.interfaces.vrfNames()].map(([row, name]) => [name, row]));
    const counts = routes.countsByOrigin();
    return [...vrfNames(this.parts)].sort(byText).map((name) => {
      const row = rows.get(name);
      return this.vrf(name, row === undefined ? undefined : counts.get(row), fabric);
    });
  }

  /** Prefixes of the fabric that are inside a subnet of ours, each VRF by itself; a host's own route is none. */
  *overlaps() {
    const { inventory, routes } = this.parts;
    const homes = [...inventory.interfaces.values()];
    for (const { vrf, network, length, origin } of routes.list()) {
      if (origin !== "evpn" || length === bitsOf(network)) continue;
      const home = homes.find((iface) => iface.vrf === vrf && subnetOf(iface, network) !== null);
      const subnet = home === undefined ? null : subnetOf(home, network);
      if (subnet === null || subnet.length >= length) continue;
      const prefix = `${formatIp(network)}/${length}`;
      const text = `${formatIp(subnet.network)}/${subnet.length}`;
      yield { vrf: home!.vrfName, prefix, subnet: text, interface: home!.name };
    }
  }

  private vrf(name: string, counts: Readonly<Record<string, number>> | undefined, fabric: FabricStanding): Vrf {
    const { inventory, topology, agent } = this.parts;
    const all = [...inventory.interfaces.values()].filter(({ vrfName }) => vrfName === name);
    const config = topology.config.vrfs.find((each) => each.name === name);
    const own = all.filter(({ config: { addresses } }) => addresses.length > 0);
    const l3 = all.find(({ config: { addresses } }) => addresses.length === 0);
    const said = fabric?.vrfs.find(({ vrf }) => vrf === name);
    const isCarried = own.some(({ vsis }) =>
      vsis.some(({ acs, tunnels }) => [...acs, ...tunnels].some(({ up }) => up)),
    );
    return {
      name,
      ...standingOf(config, own.length > 0, isCarried, fabric),
      interfaces: own.map((iface) => iface.name).sort(byText),
      l3vni: config?.l3vni ?? null,
      rd: said?.rd ?? config?.evpn.rd ?? null,
      import: [...(said?.import ?? config?.evpn.import ?? [])],
      export: [...(said?.export ?? config?.evpn.export ?? [])],
      routerMac: l3 === undefined ? null : formatMac(l3.mac),
      vteps: said?.vteps ?? 0,
      routes: Object.fromEntries(RANKS.map((origin) => [origin, counts?.[origin] ?? 0])),
      neighbors: own.reduce((sum, iface) => sum + agent.neighborsOn(iface), 0),
    };
  }
}

function standingOf(
  config: VrfConfig | undefined,
  hasInterface: boolean,
  isCarried: boolean,
  fabric: FabricStanding,
): Standing {
  const trouble = config === undefined ? null : troubleOf(config, fabric);
  if (config === undefined && !hasInterface) return { state: "down", reason: "no VSI-interface belongs to it" };
  const idle = hasInterface ? "no AC and no tunnel of its VSI-interfaces is up" : "no VSI-interface belongs to it";
  if (isCarried) return trouble === null ? UP : { state: "degraded", reason: trouble };
  if (config === undefined) return { state: "down", reason: idle };
  // By its L3VNI alone it has no host to route for.
  return { state: "down", reason: trouble === null ? idle : `${idle}; ${trouble}` };
}

function troubleOf({ l3vni }: VrfConfig, fabric: FabricStanding): string | null {
  if (fabric === null) return `L3VNI ${l3vni}: EVPN has not begun`;
  const trouble = TROUBLES[fabric.state];
  if (trouble === undefined) return null;
  const { problem } = fabric.engine;
  return `L3VNI ${l3vni}: ${trouble}${problem === null ? "" : ` (${problem})`}`;
}
