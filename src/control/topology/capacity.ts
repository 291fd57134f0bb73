/**
 * Does a configuration fit the tables? Asked when the file is read, of tables of the sizes that it asks for; and before a change, of
 * those that there are and beside what others hold, so that it is carried out whole or not at all. Row numbers (ports, VSIs,
 * VSI-interfaces, VRFs) are taken while the change is drafted, where rows that still wait to be buried count too.
 */
import { MAX_RULES, MAX_VSIS } from "../../tables/counters.ts";
import { capacityFor } from "../../tables/exact-match.ts";
import { fibSizes, MAX_VNI_PAIRS, type Tables } from "../../tables/tables.ts";
import { MAX_FLOOD, MAX_INTERFACES, MAX_VRFS } from "../../tables/vsi.ts";
import type { Config, NextHopConfig, PolicyConfig } from "../plan.ts";
import { countConnected } from "../routes/connected.ts";
import { MAX_SHARED_GROUPS } from "../routes/next-hop-group.ts";
import { hopsOf, nameOf } from "../routes/next-hops.ts";
import { familiesOf, rowsOf } from "../routes/rule-rows.ts";
import type { TunnelHolds } from "./tunnel-holds.ts";

type Sizes = Omit<Tables["sizes"], "workers">;
/** What others hold, of TunnelHolds. */
type Holds = Pick<TunnelHolds, "othersOf" | "unnamed">;

/** What there is too much of. */
export interface Misfit {
  /** Key of the file, or its place in a list. */
  readonly path: readonly (string | number)[];
  readonly text: string;
  readonly fix: string;
}

/** Why `config` fits no tables of the sizes it asks for, or null. */
export function whyNeverFitting(config: Config): Misfit | null {
  const none = { othersOf: () => 0, unnamed: 0 };
  return checkRows(config) ?? checkContents(config, config.limits, none, 0);
}

/** Why `config` does not fit beside the tunnels that others hold and a fabric's sets of next hops, or null. */
export function whyNotFitting(config: Config, sizes: Sizes, holds: Holds, fabricGroups: number): string | null {
  return checkLimits(config, sizes) ?? checkContents(config, sizes, holds, fabricGroups)?.text ?? null;
}

function checkContents(config: Config, sizes: Sizes, holds: Holds, fabricGroups: number): Misfit | null {
  return (
    checkVsis(config, sizes, holds) ??
    checkRoutes(config, sizes, holds) ??
    checkHops(config, sizes, fabricGroups) ??
    checkRules(config)
  );
}

/** Row 0 of a table is none; VRFs are counted from 0. */
function checkRows({ vsis, interfaces }: Config): Misfit | null {
  const vrfs = new Set(interfaces.map(({ vrf }) => vrf)).size;
  const fix = "use several gateways";
  if (vsis.length >= MAX_VSIS)
    return { path: ["vsis"], text: `${vsis.length} VSIs and L3VNIs are more than ${MAX_VSIS - 1}`, fix };
  if (interfaces.length >= MAX_INTERFACES) {
    const text = `${interfaces.length} VSI-interfaces and L3VNIs are more than ${MAX_INTERFACES - 1}`;
    return { path: ["interfaces"], text, fix };
  }
  if (vrfs > MAX_VRFS) return { path: ["interfaces"], text: `${vrfs} VRFs are more than ${MAX_VRFS}`, fix };
  return null;
}

/** The tables were carved when the process started. */
function checkLimits({ limits }: Config, sizes: Sizes): string | null {
  for (const name of ["macs", "neighbors", "routes", "neighbors6", "routes6"] as const)
    if (limits[name] > sizes[name])
      return `limits.${name}: ${limits[name]} is more than the ${sizes[name]} this process was started with; restart it`;
  return null;
}

function checkVsis(config: Config, { macs }: Sizes, holds: Holds): Misfit | null {
  const acs = new Map<string, number>();
  for (const ac of config.acs) acs.set(ac.vsi, (acs.get(ac.vsi) ?? 0) + 1);
  let pairs = 0;
  let pins = 0;
  for (const [index, { name, vni, tunnels, mac, flood, interface: iface }] of config.vsis.entries()) {
    const carriers = vni === null ? 0 : tunnels.length + holds.othersOf(vni);
    const ports = (acs.get(name) ?? 0) + carriers;
    if (ports > MAX_FLOOD) {
      const text = `VSI ${name}: ${ports} ACs and tunnels are more than a flood list holds (${MAX_FLOOD})`;
      return { path: ["vsis", index], text, fix: "name the tunnels that carry it (tunnels), or use several gateways" };
    }
    pairs += carriers;
    pins += mac.static.length + flood.selective.length + (iface === null ? 0 : 1);
  }
  if (pairs > MAX_VNI_PAIRS) {
    const text = `${pairs} pairs of VNI and tunnel are more than ${MAX_VNI_PAIRS}`;
    return { path: ["vsis"], text, fix: "name the tunnels that carry each VSI (tunnels)" };
  }
  if (pins > macs) {
    const text = `${pins} static, flooded and gateway MACs are more than limits.macs (${macs})`;
    return { path: ["limits", "macs"], text, fix: "raise limits.macs" };
  }
  return null;
}

function checkRoutes(config: Config, sizes: Sizes, holds: Holds): Misfit | null {
  const fib = fibSizes(sizes);
  for (const family of [4, 6] as const) {
    const isMeant = family === 4 ? "number" : "bigint";
    const routes = config.routes.filter(({ prefix }) => typeof prefix.network === isMeant).length;
    // Half of the slots of a table may be taken; the neighbours' share is theirs.
    const rows = capacityFor(family === 4 ? fib.routes : fib.routes6) >> 1;
    const room = rows - 2 * (family === 4 ? sizes.neighbors : sizes.neighbors6);
    const connected = countConnected(config, holds.unnamed, family);
    if (connected + routes <= room) continue;
    const text = `${routes} routes and ${connected} of our own addresses, subnets and VTEPs are more than ${room}`;
    const key = family === 4 ? "routes" : "routes6";
    return { path: ["limits", key], text, fix: `raise limits.${key}` };
  }
  return null;
}

function checkHops(config: Config, sizes: Sizes, fabricGroups: number): Misfit | null {
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
  if (groups.size > mostGroups) {
    const text = `${groups.size} different sets of next hops are more than ${mostGroups}`;
    return { path: ["routes"], text, fix: "give more routes the same set" };
  }
  const adjacencies = fibSizes(sizes).adjacencies - 1 - 2 * sizes.neighbors - 2 * sizes.neighbors6;
  if (hops.size > adjacencies) {
    const text = `${hops.size} next hops are more than ${adjacencies}`;
    return { path: ["routes"], text, fix: "raise limits.routes" };
  }
  return null;
}

/** The same text for the same next hops. */
function setOf(hops: readonly NextHopConfig[]): string {
  return hops.map((hop) => `${nameOf(hop)} ${hop.weight} ${hop.priority} ${hop.track}`).join(",");
}

function checkRules(config: Config): Misfit | null {
  const rows = { 4: 0, 6: 0 };
  for (const policy of config.policies) {
    const vrfs = vrfsOf(config, policy).size;
    for (const rule of policy.rules) for (const family of familiesOf(rule)) rows[family] += rowsOf(rule.match) * vrfs;
  }
  const most = Math.max(rows[4], rows[6]);
  if (most <= MAX_RULES) return null;
  const text = `the rules of all policies are ${most} combinations of source, destination and ports, more than ${MAX_RULES}`;
  return { path: ["policies"], text, fix: "write fewer and wider prefixes, or fewer ranges of ports" };
}

/** The VRFs of the VSI-interfaces that have the policy: its rows exist once for each. */
function vrfsOf(config: Config, policy: PolicyConfig): Set<string> {
  const names = new Set(policy.interfaces);
  return new Set(config.interfaces.filter((iface) => names.has(iface.name)).map((iface) => iface.vrf));
}
