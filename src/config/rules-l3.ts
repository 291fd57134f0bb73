/**
 * Rules between values, L3 part: VSI-interfaces and their subnets, static neighbours, routes, policies.
 *
 * The recurring question is whether an address can be reached on a connected subnet: a next hop must lie in a subnet
 * of the same VRF (it is resolved by ARP there, never by another route), must not be an address of our own, and must
 * not be an end of the subnet. As in `rules-l2.ts`, a rule is silent where a section it needs is broken.
 */
import type { Ip } from "../control/ip.ts";
import type { Address, NextHopConfig } from "../control/plan.ts";
import { contains, edgeOf, zoneOf } from "./address.ts";
import type { Path } from "./json-schema.ts";
import { checkFamilies, checkInterfaces6, checkRuleFamily } from "./rules-ipv6.ts";
import {
  checkReference,
  checkReferences,
  checkStaticPort,
  overlayMtu,
  portsOf,
  type Report,
  type Sections,
  suggest,
  tooLong,
} from "./rules-l2.ts";
import { checkLeak, RouteIndex } from "./rules-leak.ts";
import { addressesOf, type FileInterface, icmpSourcesOf, neighborsOf, Subnets, vsisOf } from "./subnets.ts";

/** All L3 rules. */
export function checkL3(s: Sections, report: Report): void {
  if (s.interfaces === null) return;
  const subnets = new Subnets(s.interfaces);
  checkBindings(s.interfaces, s, report);
  checkAddresses(s.interfaces, subnets, report);
  checkInterfaces6(s.interfaces, s, report);
  checkDhcpRelays(s.interfaces, report);
  checkInterfaceSizes(s.interfaces, s, report);
  checkNeighbors(s.interfaces, s, subnets, report);
  checkRoutes(s, subnets, report);
  checkPolicies(s.interfaces, s, subnets, report);
}

function checkBindings(interfaces: readonly FileInterface[], s: Sections, report: Report): void {
  const known = s.vsis === null ? null : new Set(s.vsis.map((vsi) => vsi.name));
  const bound = new Map<string, { name: string; index: number }>();
  for (const [index, each] of interfaces.entries()) {
    const path = ["interfaces", index];
    if (each.vsi !== undefined && each.vsis !== undefined) {
      report([...path, "vsis"], "vsi-or-vsis", "vsi and vsis are both given", "keep one of them", "key");
    } else if (each.vsi !== undefined) {
      checkReference([...path, "vsi"], "VSI", each.vsi, known, report);
    } else if (each.vsis !== undefined) {
      checkReferences([...path, "vsis"], "VSI", each.vsis, known, report);
    } else {
      report([...path, "vsi"], "missing-key", "vsi is missing", "add vsi: NAME, the VSI it is the gateway of", "key");
    }
    for (const [at, vsi] of vsisOf(each).entries()) {
      const other = bound.get(vsi);
      if (other === undefined) bound.set(vsi, { name: each.name, index });
      else if (other.index !== index) {
        const where = each.vsis === undefined ? [...path, "vsi"] : [...path, "vsis", at];
        report(
          where,
          "vsi-bound-twice",
          `${vsi} is bound to ${other.name} already`,
          "a VSI has one VSI-interface at most",
        );
      }
    }
  }
}

function checkAddresses(interfaces: readonly FileInterface[], subnets: Subnets, report: Report): void {
  for (const [index, each] of interfaces.entries()) {
    const seen = new Set<Ip>();
    for (const [at, { text, ip, prefix }] of addressesOf(each).entries()) {
      const path = Array.isArray(each.address)
        ? ["interfaces", index, "address", at]
        : ["interfaces", index, "address"];
      if (seen.has(ip)) report(path, "repeated-address", `${text} stands twice in the list`, "remove one");
      seen.add(ip);
      const other = subnets.clash(each.vrf, index, prefix);
      if (other === null) continue;
      const same = other.owner === index ? "another subnet of this VSI-interface" : `a subnet of ${other.ownerName}`;
      const message = `${prefix.text} overlaps ${other.prefix.text}, ${same}, in VRF ${each.vrf}`;
      report(path, "overlapping-subnets", message, "use another subnet, or another vrf");
    }
    for (const [at, unique] of icmpSourcesOf(each).entries()) {
      const path = ["interfaces", index, "icmpSource", ...(Array.isArray(each.icmpSource) ? [at] : [])];
      const home = addressesOf(each).find(({ prefix }) => contains(prefix, unique.ip));
      if (home === undefined) {
        report(
          path,
          "outside-subnet",
          `${unique.text} lies in no subnet of ${each.name}`,
          "choose an address of its subnet",
        );
      } else if (seen.has(unique.ip)) {
        report(
          path,
          "not-unique",
          `${unique.text} is the gateway address itself`,
          "choose an address of this gateway alone, or remove icmpSource",
        );
      } else reportEdge(path, unique, home.prefix, report);
    }
  }
}

function checkDhcpRelays(interfaces: readonly FileInterface[], report: Report): void {
  for (const [index, each] of interfaces.entries()) {
    const { name, dhcpRelay, distributed } = each;
    if (dhcpRelay === undefined) continue;
    const path = ["interfaces", index, "dhcpRelay"];
    for (const [family, kind] of [
      ["IPv4", "number"],
      ["IPv6", "bigint"],
    ] as const) {
      if (!dhcpRelay.servers.some(({ ip }) => typeof ip === kind)) continue;
      if (distributed && !icmpSourcesOf(each).some(({ ip }) => typeof ip === kind)) {
        const message = `the answers to ${name} would end at another gateway: its ${family} address is on all of them`;
        const fix = `add icmpSource, an ${family} address of this gateway alone`;
        report(path, "no-unique-source", message, fix, "key");
      }
      if (!addressesOf(each).some(({ ip }) => typeof ip === kind)) {
        const message = `${name} has no ${family} address to relay DHCP with`;
        report(path, "dhcp-family", message, "add one, or remove the servers of that family", "key");
      }
    }
    const own = new Set<Ip>([...addressesOf(each), ...icmpSourcesOf(each)].map(({ ip }) => ip));
    const seen = new Set(own);
    for (const [at, { ip, text }] of dhcpRelay.servers.entries()) {
      const wrong = own.has(ip) ? `${text} is an address of ${name} itself` : `${text} stands twice in the list`;
      if (seen.has(ip)) report([...path, "servers", at], "dhcp-server", wrong, "name the DHCP server's address, once");
      seen.add(ip);
    }
  }
}

function reportEdge(path: Path, address: Address, prefix: Parameters<typeof edgeOf>[1], report: Report): boolean {
  const end = edgeOf(address.ip, prefix);
  if (end === null) return false;
  report(
    path,
    "subnet-edge",
    `${address.text} is the ${end} address of ${prefix.text}`,
    "choose an address between the two ends",
  );
  return true;
}

function checkInterfaceSizes(interfaces: readonly FileInterface[], s: Sections, report: Report): void {
  const most = overlayMtu(s);
  const overlay = new Set((s.vsis ?? []).filter((vsi) => vsi.vni !== undefined).map((vsi) => vsi.name));
  for (const [index, each] of interfaces.entries()) {
    const path = ["interfaces", index];
    const tunnelled = vsisOf(each).some((vsi) => overlay.has(vsi));
    if (most !== null && each.mtu !== "auto" && each.mtu > most && tunnelled) {
      report([...path, "mtu"], "mtu", tooLong(each.mtu, most, s), `use auto or at most ${most}`);
    }
    if (s.limits === null) continue;
    const table = neighborsOf(each);
    const limit = table.limit ?? Math.min(4096, s.limits.neighbors);
    if (limit > s.limits.neighbors) {
      const message = `${limit} is more than limits.neighbors (${s.limits.neighbors})`;
      report([...path, table.key, "limit"], "limit", message, "raise limits.neighbors, or lower this limit");
    }
    if (table.static.length > limit) {
      const message = `${table.static.length} static neighbours are more than the limit of ${limit}`;
      report([...path, table.key, "static"], "limit", message, `raise ${table.key}.limit`, "key");
    }
  }
}

function checkNeighbors(interfaces: readonly FileInterface[], s: Sections, subnets: Subnets, report: Report): void {
  const ports = portsOf(s);
  for (const [index, each] of interfaces.entries()) {
    const seen = new Set<Ip>();
    const table = neighborsOf(each);
    for (const [at, entry] of table.static.entries()) {
      const path = ["interfaces", index, table.key, "static", at];
      const { ip } = entry;
      const home = addressesOf(each).find(({ prefix }) => contains(prefix, ip.ip));
      if (seen.has(ip.ip))
        report([...path, "ip"], "duplicate-ip", `${ip.text} stands twice in ${each.name}`, "keep one");
      seen.add(ip.ip);
      if (home === undefined) {
        report(
          [...path, "ip"],
          "outside-subnet",
          `${ip.text} lies in no subnet of ${each.name}`,
          "write it at its own VSI-interface",
        );
      } else if (subnets.ownerOf(each.vrf, ip.ip) !== null) {
        report(
          [...path, "ip"],
          "own-address",
          `${ip.text} is an address of this gateway`,
          "a neighbour has an address of its own",
        );
      } else reportEdge([...path, "ip"], ip, home.prefix, report);
      if (entry.mac === each.mac && entry.ac !== undefined) {
        report([...path, "mac"], "gateway-mac", `${entry.mac} is our own gateway MAC`, "write the host's own MAC");
      }
      const vsis = vsisOf(each);
      if (entry.vsi !== undefined && !vsis.includes(entry.vsi)) {
        report(
          [...path, "vsi"],
          "unknown-vsi",
          `${each.name} is not bound to ${entry.vsi}`,
          suggest(entry.vsi, vsis, "its VSIs"),
        );
        continue;
      }
      if (entry.vsi === undefined && entry.tunnel !== undefined && vsis.length > 1) {
        const message = `${each.name} has several VSIs, and a tunnel carries more than one`;
        report(path, "which-vsi", message, `add vsi: ${vsis.join(" or ")}`);
      }
      if (vsis.length > 0) checkStaticPort(path, entry, entry.vsi === undefined ? vsis : [entry.vsi], ports, report);
    }
  }
}

function checkRoutes(s: Sections, subnets: Subnets, report: Report): void {
  const seen = new Map<string, number>();
  const all = new RouteIndex(s.routes ?? []);
  for (const [family, key] of [
    ["number", "routes"],
    ["bigint", "routes6"],
  ] as const) {
    const count = (s.routes ?? []).filter(({ prefix }) => typeof prefix.network === family).length;
    const most = s.limits?.[key] ?? s.limits?.routes;
    if (most === undefined || count <= most) continue;
    const message = `${count} routes are more than limits.${key} (${most})`;
    report(["routes"], "limit", message, `raise limits.${key}`, "key");
  }
  for (const [index, route] of (s.routes ?? []).entries()) {
    const path = ["routes", index];
    const { vrf, prefix } = route;
    const first = seen.get(`${vrf} ${prefix.text}`);
    if (first !== undefined) {
      const message = `routes[${first}] leads to ${prefix.text} in VRF ${vrf} too`;
      report([...path, "prefix"], "duplicate-route", message, "keep one; several next hops go into nextHops");
    } else seen.set(`${vrf} ${prefix.text}`, index);
    const given = [route.nextHop, route.nextHops, route.action].filter((each) => each !== undefined).length;
    if (given !== 1 && !(given === 0 && route.viaVrf !== undefined)) {
      const message =
        given === 0 ? "the route leads nowhere" : "the route has more than one of nextHop, nextHops, action";
      report(path, "route-target", message, "give exactly one of nextHop, nextHops, action, or viaVrf");
    }
    const hasL3vni = s.vrfs?.some(({ name }) => name === vrf) ?? true;
    if (!subnets.hasVrf(vrf) && !hasL3vni) {
      const message = `no VSI-interface belongs to VRF ${vrf}`;
      report([...path, "vrf"], "unknown-vrf", message, suggest(vrf, subnets.vrfNames(), "the VRFs of the interfaces"));
      continue;
    }
    const connected = subnets.connected(vrf, prefix);
    if (connected !== null) {
      const message = `${prefix.text} is the subnet of ${connected.ownerName}, and connected subnets win`;
      report([...path, "prefix"], "connected-prefix", message, "remove the route, or route a longer prefix");
    }
    checkFamilies(path, prefix, route, report);
    checkTwice([...path, "nextHops"], route.nextHops ?? [], report);
    if (!checkLeak(path, route, { all, subnets, vrfs: s.vrfs }, report)) continue;
    const home = route.viaVrf ?? vrf;
    if (route.nextHop !== undefined) checkNextHop([...path, "nextHop"], home, route.nextHop, subnets, report);
    for (const [at, hop] of (route.nextHops ?? []).entries())
      checkNextHop([...path, "nextHops", at], home, hop, subnets, report);
  }
}

function checkTwice(path: Path, hops: readonly NextHopConfig[], report: Report): void {
  const seen = new Set<string>();
  for (const [at, { text, tunnel }] of hops.entries()) {
    const name = tunnel === null ? text : `${text} behind ${tunnel}`;
    const fix = tunnel === null ? "remove one; one that several Borders have needs the tunnel of each" : "remove one";
    if (seen.has(name)) report([...path, at], "repeated-address", `${name} stands twice in the list`, fix);
    seen.add(name);
  }
}

function checkNextHop(path: Path, vrf: string, hop: Address, subnets: Subnets, report: Report): boolean {
  const zone = zoneOf(hop);
  if (zone !== null) {
    if (subnets.isOwnOfZone(vrf, zone, hop.ip)) {
      report(path, "own-address", `${hop.text} is our own address`, "name the address of another router");
      return false;
    }
    if (subnets.hasZone(vrf, zone)) return true;
    const message = `${zone} is no VSI-interface of VRF ${vrf} with an IPv6 address`;
    report(path, "next-hop", message, "name the VSI-interface on which the next hop is");
    return false;
  }
  const owner = subnets.ownerOf(vrf, hop.ip);
  const subnet = subnets.find(vrf, hop.ip);
  if (owner !== null) {
    report(path, "own-address", `${hop.text} is our own address, on ${owner}`, "name the address of another router");
  } else if (subnet === null) {
    report(
      path,
      "next-hop",
      `${hop.text} lies in no connected subnet of VRF ${vrf}`,
      "a next hop is a neighbour on one of our subnets",
    );
  } else return !reportEdge(path, hop, subnet.prefix, report);
  return false;
}

function checkPolicies(interfaces: readonly FileInterface[], s: Sections, subnets: Subnets, report: Report): void {
  const known = new Set(interfaces.map((each) => each.name));
  const vrfs = new Map(interfaces.map((each) => [each.name, each.vrf]));
  const taken = new Map<string, { policy: string; index: number }>();
  for (const [index, policy] of (s.policies ?? []).entries()) {
    const path = ["policies", index];
    checkReferences([...path, "interfaces"], "VSI-interface", policy.interfaces, known, report);
    for (const [at, name] of policy.interfaces.entries()) {
      const other = taken.get(name);
      if (other === undefined) taken.set(name, { policy: policy.name, index });
      else if (other.index !== index) {
        const message = `${name} has policy ${other.policy} already`;
        report(
          [...path, "interfaces", at],
          "policy-twice",
          message,
          "a VSI-interface has one policy: put its rules together",
        );
      }
    }
    const mine = new Set(policy.interfaces.flatMap((name) => vrfs.get(name) ?? []));
    for (const [at, rule] of policy.rules.entries()) checkRule([...path, "rules", at], rule, mine, subnets, report);
  }
}

export type FileRule = NonNullable<Sections["policies"]>[number]["rules"][number];

function checkRule(path: Path, rule: FileRule, vrfs: ReadonlySet<string>, subnets: Subnets, report: Report): void {
  const ways = [rule.nextHop, rule.nextHops, rule.defaultNextHop, rule.defaultNextHops];
  const actions = [...ways, rule.drop, rule.permit, rule.action].filter((each) => each !== undefined);
  if (actions.length !== 1) {
    const message = actions.length === 0 ? "the rule does nothing" : "the rule has more than one action";
    report(path, "rule-action", message, "give exactly one of nextHop, defaultNextHop, drop, permit");
  }
  if (rule.onDead !== undefined && ways.every((each) => each === undefined))
    report([...path, "onDead"], "on-dead", "the rule has no next hop that could die", "remove onDead", "key");
  checkRuleFamily(path, rule, report);
  const { protocol } = rule.match;
  for (const key of ["sourcePorts", "destinationPorts"] as const) {
    if (rule.match[key] === undefined || ["tcp", "udp", 6, 17].includes(protocol ?? "")) continue;
    report(
      [...path, "match", key],
      "ports-need-protocol",
      "ports exist in TCP and UDP only",
      "add protocol: tcp or protocol: udp",
      "key",
    );
  }
  // One complaint is enough: a policy for several VRFs needs the next hop in each of them.
  const check = (at: Path, hop: Address) => [...vrfs].every((vrf) => checkNextHop(at, vrf, hop, subnets, report));
  for (const key of ["nextHop", "defaultNextHop"] as const)
    if (rule[key] !== undefined) check([...path, key], rule[key]);
  for (const key of ["nextHops", "defaultNextHops"] as const) {
    checkTwice([...path, key], rule[key] ?? [], report);
    for (const [at, hop] of (rule[key] ?? []).entries()) check([...path, key, at], hop);
  }
}
