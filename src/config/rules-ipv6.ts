/**
 * Rules between values, IPv6's part: what a VSI-interface needs for it, and that addresses of one thing are of one family.
 */

import { type Ip, isSameFamily } from "../control/ip.ts";
import type { Address, Prefix } from "../control/plan.ts";
import { bytesOfRa, RA_MOST_BYTES } from "../control/plan-ra.ts";
import { IPV6_LEAST_MTU } from "../wire/ipv6.ts";
import type { Path } from "./json-schema.ts";
import { overlayMtu, type Report, type Sections } from "./rules-l2.ts";
import { addressesOf, type FileInterface, hasIpv6, icmpSourcesOf, vsisOf } from "./subnets.ts";

type FileRoute = NonNullable<Sections["routes"]>[number];
type FileRule = NonNullable<Sections["policies"]>[number]["rules"][number];

/** Protocols of one family alone. */
const FAMILY_OF = new Map<unknown, "number" | "bigint">([
  ["icmp", "number"],
  [1, "number"],
  ["icmp6", "bigint"],
  [58, "bigint"],
]);

export function checkInterfaces6(interfaces: readonly FileInterface[], s: Sections, report: Report): void {
  checkIsolated(interfaces, s, report);
  const overlay = new Set((s.vsis ?? []).filter((vsi) => vsi.vni !== undefined).map((vsi) => vsi.name));
  for (const [index, each] of interfaces.entries()) {
    const path = ["interfaces", index];
    const own = icmpSourcesOf(each);
    if (own.length === 2 && isSameFamily(own[0]!.ip, own[1]!.ip))
      report([...path, "icmpSource"], "icmp-source", "both are of one family", "keep one of each family");
    if (each.arp !== undefined && each.neighbors !== undefined)
      report([...path, "arp"], "neighbors-or-arp", "neighbors and arp are one table", "keep neighbors", "key");
    if (!hasIpv6(each)) {
      if (each.linkLocal !== undefined)
        report([...path, "linkLocal"], "no-ipv6", `${each.name} has no IPv6 address`, "add one, or remove it", "key");
      if (each.routerAdvertisement !== undefined) {
        const message = `${each.name} has no IPv6 address to advertise`;
        report([...path, "routerAdvertisement"], "no-ipv6", message, "add one, or remove it", "key");
      }
      continue;
    }
    checkAdvertisement([...path, "routerAdvertisement"], each, report);
    checkMtu([...path, "mtu"], each, vsisOf(each).some((vsi) => overlay.has(vsi)) ? overlayMtu(s) : null, report);
  }
}

/** What is isolated is looked at where the gateway looks at IPv6. */
function checkIsolated(interfaces: readonly FileInterface[], s: Sections, report: Report): void {
  const routed = new Set(interfaces.filter(hasIpv6).flatMap(vsisOf));
  for (const [index, { name, linkLocal }] of (s.vsis ?? []).entries()) {
    if (linkLocal !== "isolate" || routed.has(name)) continue;
    const message = `${name} has no VSI-interface with IPv6`;
    report(["vsis", index, "linkLocal"], "no-ipv6", message, "give it one, or leave linkLocal out", "key");
  }
}

/** Hosts that miss one of several packets would know half of it: all that is advertised is in one. */
function checkAdvertisement(path: Path, each: FileInterface, report: Report): void {
  const said = each.routerAdvertisement;
  if (said === undefined) return;
  const prefixes = addressesOf(each).filter(({ ip }) => typeof ip === "bigint").length;
  const bytes = bytesOfRa(said, prefixes);
  if (bytes > RA_MOST_BYTES) {
    const message = `${prefixes} prefixes, DNS servers and domains make an advertisement of ${bytes} bytes, of at most ${RA_MOST_BYTES}`;
    report(path, "advertisement-length", message, "advertise fewer, or spread them over VSI-interfaces", "key");
  }
  if (said.lifetimeSeconds > 0 && said.lifetimeSeconds < said.intervalSeconds * 1.25) {
    const message = `the router's lifetime of ${said.lifetimeSeconds} s ends before the next advertisement, up to ${Math.ceil(said.intervalSeconds * 1.25)} s later`;
    report([...path, "lifetimeSeconds"], "lifetime", message, "use three times intervalSeconds or more, or 0");
  }
}

/** RFC 8200 §5: each link of IPv6 carries packets of 1280 bytes whole. */
function checkMtu(path: Path, { name, mtu }: FileInterface, most: number | null, report: Report): void {
  const bytes = mtu === "auto" ? most : mtu;
  if (bytes === null || bytes >= IPV6_LEAST_MTU) return;
  const message = `${name} has IPv6, which needs ${IPV6_LEAST_MTU} bytes, and an MTU of ${bytes}`;
  const fix = mtu === "auto" ? "raise underlay.mtu" : `use auto or at least ${IPV6_LEAST_MTU}`;
  report(path, "mtu", message, fix, mtu === "auto" ? "key" : "value");
}

/** A route and its next hops are of one family. */
export function checkFamilies(path: Path, prefix: Prefix, { nextHop, nextHops }: FileRoute, report: Report): void {
  const check = (at: Path, hop: Address) => {
    if (isSameFamily(prefix.network, hop.ip)) return;
    const message = `${hop.text} is not of the family of ${prefix.text}`;
    report(at, "family", message, "name a next hop of the same family");
  };
  if (nextHop !== undefined) check([...path, "nextHop"], nextHop);
  for (const [at, hop] of (nextHops ?? []).entries()) check([...path, "nextHops", at], hop);
}

/** The family of what a rule matches and of where it leads is one: an IPv4 packet has no way to an IPv6 next hop. */
export function checkRuleFamily(path: Path, rule: FileRule, report: Report): void {
  const { source, destination, protocol } = rule.match;
  const listOf = <T>(value: T | T[] | undefined): T[] =>
    value === undefined ? [] : Array.isArray(value) ? value : [value];
  const prefixes = [...listOf<Prefix>(source), ...listOf<Prefix>(destination)].map(({ network }) => network);
  const ways = [rule.nextHop, ...(rule.nextHops ?? []), rule.defaultNextHop, ...(rule.defaultNextHops ?? [])];
  const all: Ip[] = [...prefixes, ...ways.flatMap((hop) => (hop === undefined ? [] : [hop.ip]))];
  const families = new Set<string>(all.map((ip) => typeof ip));
  const isMixed = families.size > 1;
  const only = FAMILY_OF.get(protocol);
  if (only !== undefined) families.add(only);
  if (families.size < 2) return;
  const other = only === "number" ? "icmp6" : "icmp";
  const fix = isMixed ? "write one rule for each family" : `write protocol: ${other}, or one rule for each family`;
  report(path, "family", "the rule speaks of IPv4 and of IPv6", fix);
}
