/** Rules between values, anycast Borders: a next hop that is meant behind a tunnel, which must lead to where the next hop is. */
import type { NextHopConfig } from "../control/plan.ts";
import type { Path } from "./json-schema.ts";
import { checkReference, type Report, type Sections, suggest } from "./rules-l2.ts";
import { Subnets, vsisOf } from "./subnets.ts";

type FileHop = NextHopConfig;

export function checkAnycast(s: Sections, report: Report): void {
  if (s.interfaces === null || s.vsis === null || s.tunnels === null) return;
  const subnets = new Subnets(s.interfaces);
  const tunnels = new Set(s.tunnels.map(({ name }) => name));
  const vrfs = new Map(s.interfaces.map(({ name, vrf }) => [name, vrf]));
  const check = (path: Path, vrf: string, hops: readonly FileHop[]) => {
    checkMixed(path, hops, report);
    for (const [at, hop] of hops.entries()) {
      if (hop.tunnel === null) continue;
      const where = [...path, at, "tunnel"];
      checkReference(where, "tunnel", hop.tunnel, tunnels, report);
      if (tunnels.has(hop.tunnel)) checkCarried(where, vrf, hop, s, subnets, report);
    }
  };
  for (const [index, { vrf, viaVrf, nextHops }] of (s.routes ?? []).entries())
    check(["routes", index, "nextHops"], viaVrf ?? vrf, nextHops ?? []);
  for (const [index, policy] of (s.policies ?? []).entries()) {
    const vrf = policy.interfaces.map((name) => vrfs.get(name)).find((each) => each !== undefined);
    if (vrf === undefined) continue;
    for (const [at, rule] of policy.rules.entries())
      for (const key of ["nextHops", "defaultNextHops"] as const)
        check(["policies", index, "rules", at, key], vrf, rule[key] ?? []);
  }
}

/** Wherever it is, and behind a tunnel too: one Border would be two next hops. */
function checkMixed(path: Path, hops: readonly FileHop[], report: Report): void {
  const behind = new Set(hops.filter(({ tunnel }) => tunnel !== null).map(({ text }) => text));
  for (const [at, { text, tunnel }] of hops.entries())
    if (tunnel === null && behind.has(text)) {
      const message = `${text} stands here with a tunnel and without one`;
      report([...path, at], "which-tunnel", message, "name the tunnel of each, or of none");
    }
}

/** Its question would go nowhere. */
function checkCarried(path: Path, vrf: string, hop: FileHop, s: Sections, subnets: Subnets, report: Report): void {
  const zone = hop.text.split("%")[1];
  const name = zone ?? subnets.find(vrf, hop.ip)?.ownerName;
  const iface = s.interfaces!.find((each) => each.name === name);
  if (iface === undefined) return;
  const vsis = s.vsis!.filter((each) => vsisOf(iface).includes(each.name));
  const isInEvpn = s.evpn !== undefined;
  const carried = (vsi: (typeof vsis)[number]) =>
    vsi.vni !== undefined && (vsi.tunnels === undefined || vsi.tunnels.includes(hop.tunnel!));
  if (isInEvpn || vsis.length === 0 || vsis.some(carried)) return;
  const named = vsis.flatMap(({ tunnels }) => tunnels ?? []);
  const fix = named.length > 0 ? suggest(hop.tunnel!, named, "its tunnels") : "remove tunnel: the VSI has no VXLAN";
  report(path, "tunnel-of-vsi", `${hop.tunnel} carries no VSI of ${iface.name}, where ${hop.text} is`, fix);
}
