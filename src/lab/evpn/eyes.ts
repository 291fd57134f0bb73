/**
 * Looks at the fabric's nodes: routes as FRR and our gateways have them, and the entries that they made: in the leaf's kernel and in
 * our tables. Each is asked as its operator would, with vtysh, `bridge`, `ip` and vtepctl.
 */
import type { Family } from "../../web/article.ts";
import { namespaceOf } from "../bed.ts";
import { show, vtepctl } from "../gateway.ts";
import { mustIn } from "../namespace.ts";
import { familiesOf, type LabState } from "../state.ts";
import { L3VNI, LEAF } from "./fabric.ts";
import { askFrr } from "./frr.ts";
import type { Observed } from "./rows.ts";

/** A route as it was seen somewhere. */
export interface RouteSeen {
  readonly rd: string;
  readonly nextHop: string;
  /** Of MAC mobility; null: none. */
  readonly sequence: number | null;
}

export function routeText({ rd, nextHop, sequence }: RouteSeen): string {
  return `RD ${rd}, next hop ${nextHop}${sequence === null ? "" : `, sequence ${sequence}`}`;
}

/** `show bgp l2vpn evpn route json`: by RD, then by route. */
type FrrRoutes = Readonly<Record<string, string | number | Readonly<Record<string, unknown>>>>;
interface FrrRoute {
  readonly paths: readonly (readonly FrrPath[])[];
}
interface FrrPath {
  readonly nexthops: readonly { readonly ip: string }[];
  readonly extendedCommunity?: { readonly string: string };
}

/** The route of that text in FRR's table of `node`, by that next hop. */
export async function routeAtFrr(
  state: LabState,
  node: string,
  text: string,
  nextHop: string,
): Promise<RouteSeen | null> {
  const byRd = await askFrr<FrrRoutes>(state, node, "show bgp l2vpn evpn route");
  for (const [rd, routes] of Object.entries(byRd)) {
    if (typeof routes !== "object") continue;
    const found = routes[text] as FrrRoute | undefined;
    for (const path of found?.paths.flat() ?? []) {
      if (path.nexthops[0]?.ip !== nextHop) continue;
      const sequence = /MM:(\d+)/.exec(path.extendedCommunity?.string ?? "")?.[1];
      return { rd, nextHop, sequence: sequence === undefined ? null : Number(sequence) };
    }
  }
  return null;
}

/** A row of `vtepctl show evpn routes -o json`; what is read of it. */
interface ShownRoute extends RouteSeen {
  readonly route: string;
  readonly direction: "in" | "out";
  readonly state: string;
}

async function evpn<T>(lab: string, node: string, ...words: readonly string[]): Promise<T> {
  const { status, stdout, stderr } = await vtepctl(lab, node, ["show", "evpn", ...words, "-o", "json"]);
  if (status !== 0) throw new Error(`vtepctl show evpn of ${node}: ${stderr.trim()}`);
  return JSON.parse(stdout) as T;
}

/** The route of that text at one of our gateways. */
export async function routeAtGateway(
  state: LabState,
  node: string,
  text: string,
  nextHop: string,
): Promise<(RouteSeen & { readonly isUsed: boolean }) | null> {
  const routes = await evpn<ShownRoute[]>(state.name, node, "routes", text);
  const found = routes.find((each) => each.route === text && each.nextHop === nextHop);
  return found === undefined ? null : { ...found, isUsed: found.state === "used" };
}

interface ShownEvpn {
  readonly state: string;
  readonly peers: readonly { readonly address: string; readonly state: string; readonly complete: boolean }[];
  readonly routes: { readonly in: number; readonly out: number; readonly stale: number };
}
export const evpnOf = (state: LabState, node: string) => evpn<ShownEvpn>(state.name, node);

interface ShownVtep {
  readonly vtep: string;
  readonly tunnel: string | null;
  readonly vnis: readonly number[];
}
export async function tunnelAt(state: LabState, node: string, vtep: string): Promise<ShownVtep | undefined> {
  return (await evpn<ShownVtep[]>(state.name, node, "vteps")).find((each) => each.vtep === vtep);
}

interface ShownVia {
  readonly via: { readonly name: string } | null;
}

/** Behind which port our gateway has a MAC. */
export async function macAt(state: LabState, node: string, mac: string): Promise<string | null> {
  const rows = await show<ShownVia & { readonly mac: string }>(state.name, node, "mac");
  return rows.find((each) => each.mac === mac)?.via?.name ?? null;
}

/** MAC and origin of an address in our gateway's ARP or ND table. */
export async function neighborAt(
  state: LabState,
  node: string,
  ip: string,
): Promise<{ readonly mac: string | null; readonly from: string | null } | undefined> {
  const table = ip.includes(":") ? "nd" : "arp";
  const rows = await show<{ ip: string; mac: string | null; from: string | null }>(state.name, node, table);
  return rows.find((each) => each.ip === ip);
}

interface ShownPrefix {
  readonly prefix: string;
  readonly origin: string;
  readonly nextHops: readonly { readonly ip?: string | null; readonly vtep?: string | null }[];
}

/** Next hops and origin of a prefix in our gateway's table. */
export async function prefixAt(state: LabState, node: string, prefix: string): Promise<string | null> {
  const found = (await show<ShownPrefix>(state.name, node, "route")).filter((each) => each.prefix === prefix);
  const best = found.find((each) => each.origin === "evpn") ?? found[0];
  return best === undefined
    ? null
    : `${best.nextHops.map((hop) => hop.vtep ?? hop.ip).join(", ")}, from ${best.origin}`;
}

/** Next hop of a prefix in the leaf's kernel. */
export async function prefixOfLeaf(state: LabState, prefix: string): Promise<string | null> {
  const word = /^(0\.0\.0\.0|::)\/0$/.test(prefix) ? "default" : prefix;
  const family = prefix.includes(":") ? "-6" : "-4";
  const text = await mustIn(namespaceOf(state, LEAF.name), "ip", [family, "route", "show", word]);
  // A VTEP as next hop of IPv6 is a mapped address (RFC 4291 §2.5.5.2), or one of IPv4 that is said to be so.
  return / via (?:inet )?(\S+)/.exec(text)?.[1]?.replace(/^::ffff:/, "") ?? null;
}

/** Where the leaf's kernel sends a MAC of a VNI: the VTEPs. */
export async function fdbOfLeaf(state: LabState, vni: number, mac: string): Promise<readonly string[]> {
  const text = await mustIn(namespaceOf(state, LEAF.name), "bridge", ["fdb", "show", "dev", `vxlan${vni}`]);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${mac} `))
    .flatMap((line) => / dst (\S+)/.exec(line)?.[1] ?? []);
}

/** The leaf's neighbour entry of an address: its MAC. */
export async function neighborOfLeaf(state: LabState, vni: number, ip: string): Promise<string | null> {
  const text = await mustIn(namespaceOf(state, LEAF.name), "ip", ["neigh", "show", ip, "dev", `br${vni}`]);
  return / ?lladdr (\S+)/.exec(text)?.[1] ?? null;
}

/**
 * Next hops of the leaf's routes by the L3VNI without a router's MAC. FRR 8.4.4 forgets one at times where a route has two equal paths,
 * one by each reflector, and the better one comes later: its routes stay, and what goes by them is lost.
 */
export async function lostRouterMacs(state: LabState): Promise<string[]> {
  const routes = (family: Family) =>
    mustIn(namespaceOf(state, LEAF.name), "ip", [`-${family}`, "route", "show", "dev", `br${L3VNI}`]);
  const text = (await Promise.all(familiesOf(state).map(routes))).join("\n");
  const hops = new Set(Array.from(text.matchAll(/ via (?:inet )?(\S+)/g), ([, hop]) => hop!));
  const known = await Promise.all(Array.from(hops, (hop) => neighborOfLeaf(state, L3VNI, hop)));
  return [...hops].filter((_, i) => known[i] === null);
}

/** A comparison as a look. */
export const is = (text: string | null, expected: string): Observed | null =>
  text === null ? null : { text, holds: text === expected };
