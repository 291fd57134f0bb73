/**
 * Does a configuration fit the tables? Asked before anything is touched, so that a change is carried out whole or not at
 * all. Row numbers (ports, VSIs, VSI-interfaces, VRFs) are not counted here: they are taken while the change is drafted,
 * where rows that still wait to be buried count too.
 */
import { MAX_RULES } from "../../tables/counters.ts";
import { MAX_VNI_PAIRS, type Tables } from "../../tables/tables.ts";
import { MAX_FLOOD } from "../../tables/vsi.ts";
import type { Config, NextHopConfig, PolicyConfig } from "../plan.ts";
import { countConnected } from "../routes/connected.ts";
import { MAX_SHARED_GROUPS } from "../routes/next-hop-group.ts";
import { hopsOf, nameOf } from "../routes/next-hops.ts";
import { familiesOf, rowsOf } from "../routes/rule-rows.ts";
import type { TunnelHolds } from "./tunnel-holds.ts";

/** Why `config` does not fit beside the tunnels that others hold and a fabric's sets of next hops, or null. */
export function whyNotFitting(config: Config, tables: Tables, holds: TunnelHolds, fabricGroups: number): string | null {
  return (
    checkLimits(config, tables) ??
    checkVsis(config, tables, holds) ??
    checkRoutes(config, tables, holds, fabricGroups) ??
    checkRules(config)
  );
}

/** The tables were carved when the process started. */
function checkLimits({ limits }: Config, { sizes }: Tables): string | null {
  for (const name of ["macs", "neighbors", "routes", "neighbors6", "routes6"] as const)
    if (limits[name] > sizes[name])
      return `limits.${name}: ${limits[name]} is more than the ${sizes[name]} this process was started with; restart it`;
  return null;
}

function checkVsis(config: Config, { sizes }: Tables, holds: TunnelHolds): string | null {
  const acs = new Map<string, number>();
  for (const ac of config.acs) acs.set(ac.vsi, (acs.get(ac.vsi) ?? 0) + 1);
  let pairs = 0;
  let pins = 0;
  for (const { name, vni, tunnels, mac, flood, interface: iface } of config.vsis) {
    const carriers = vni === null ? 0 : tunnels.length + holds.othersOf(vni);
    const ports = (acs.get(name) ?? 0) + carriers;
    if (ports > MAX_FLOOD)
      return `VSI ${name}: ${ports} ACs and tunnels are more than a flood list holds (${MAX_FLOOD})`;
    pairs += carriers;
    pins += mac.static.length + flood.selective.length + (iface === null ? 0 : 1);
  }
  if (pairs > MAX_VNI_PAIRS) return `${pairs} pairs of VNI and tunnel are more than ${MAX_VNI_PAIRS}`;
  if (pins > sizes.macs) return `${pins} static, flooded and gateway MACs are more than limits.macs (${sizes.macs})`;
  return null;
}

function checkRoutes(config: Config, tables: Tables, holds: TunnelHolds, fabricGroups: number): string | null {
  const { neighbors, neighbors6 } = tables.sizes;
  for (const family of [4, 6] as const) {
    const isMeant = family === 4 ? "number" : "bigint";
    const routes = config.routes.filter(({ prefix }) => typeof prefix.network === isMeant).length;
    // Half of the slots of a table may be taken; the neighbours' share is theirs.
    const rows = (family === 4 ? tables.fib.routes : tables.fib.routes6).capacity >> 1;
    const room = rows - 2 * (family === 4 ? neighbors : neighbors6);
    const connected = countConnected(config, holds.unnamed, family);
    if (connected + routes > room)
      return `${routes} routes and ${connected} of our own addresses, subnets and VTEPs are more than ${room}`;
  }
  const groups = new Set<string>();
  const hops = new Set<string>();
  for (const { vrf, nextHops } of config.routes.map(hopsOf)) {
    for (const hop of nextHops) hops.add(`${vrf} ${nameOf(hop)}`);
    if (nextHops.length > 1) groups.add(`${vrf} ${setOf(nextHops)}`);
  }
  for (const policy of config.policies)
    for (const vrf of vrfsOf(config, policy))
      for (const { action } of policy.rules) {
        if (!("nextHops" in action)) continue;
        for (const hop of action.nextHops) hops.add(`${vrf} ${nameOf(hop)}`);
        if (action.nextHops.length > 1) groups.add(`${vrf} ${setOf(action.nextHops)}`);
      }
  for (const { target } of config.tracks)
    if (target.kind === "overlay" && target.via !== null) {
      const vrf = config.interfaces.find(({ name }) => name === target.interface)!.vrf;
      hops.add(`${vrf} ${target.via.text}`);
    }
  const mostGroups = MAX_SHARED_GROUPS - fabricGroups;
  if (groups.size > mostGroups) return `${groups.size} different sets of next hops are more than ${mostGroups}`;
  const adjacencies = tables.fib.rewrite.length - 1 - 2 * neighbors - 2 * neighbors6;
  if (hops.size > adjacencies) return `${hops.size} next hops are more than ${adjacencies}`;
  return null;
}

/** The same text for the same next hops. */
function setOf(hops: readonly NextHopConfig[]): string {
  return hops.map((hop) => `${nameOf(hop)} ${hop.weight} ${hop.priority} ${hop.track}`).join(",");
}

function checkRules(config: Config): string | null {
  const rows = { 4: 0, 6: 0 };
  for (const policy of config.policies) {
    const vrfs = vrfsOf(config, policy).size;
    for (const rule of policy.rules) for (const family of familiesOf(rule)) rows[family] += rowsOf(rule.match) * vrfs;
  }
  const most = Math.max(rows[4], rows[6]);
  if (most > MAX_RULES)
    return `the rules of all policies are ${most} combinations of source, destination and ports, more than ${MAX_RULES}`;
  return null;
}

/** The VRFs of the VSI-interfaces that have the policy: its rows exist once for each. */
function vrfsOf(config: Config, policy: PolicyConfig): Set<string> {
  const names = new Set(policy.interfaces);
  return new Set(config.interfaces.filter((iface) => names.has(iface.name)).map((iface) => iface.vrf));
}
