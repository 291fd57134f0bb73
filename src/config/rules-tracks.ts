/** Rules between values, tracks: who asks, whether an answer can come back, and whether what names a track names one that there is. */
import { bitsOf, type Ip, isOfLink, isSameFamily } from "../control/ip.ts";
import type { Address } from "../control/plan.ts";
import { contains, readHost, zoneOf } from "./address.ts";
import type { Path } from "./json-schema.ts";
import { checkReference, type Report, type Sections } from "./rules-l2.ts";
import { RouteIndex } from "./rules-leak.ts";
import type { FileConfig } from "./schema.ts";
import { addressesOf, type FileInterface, icmpSourcesOf, Subnets, vsisOf } from "./subnets.ts";

type FileTrack = FileConfig["tracks"][number];

export function checkTracks(s: Sections, report: Report): void {
  if (s.tracks === null) return;
  for (const [index, track] of s.tracks.entries()) {
    const path = ["tracks", index];
    if ((track.icmp === undefined) === (track.ac === undefined)) {
      const both = track.icmp !== undefined;
      const message = both ? "the track has both icmp and ac" : "the track asks nothing";
      report(path, "track-target", message, "give exactly one of icmp, ac");
      continue;
    }
    if (track.ac !== undefined) checkAc(path, track, s, report);
    else if (track.interface === undefined) checkUnderlay(path, track, s, report);
    else checkOverlay(path, track, s, report);
  }
  checkUses(s, new Set(s.tracks.map(({ name }) => name)), report);
}

function checkAc(path: Path, track: FileTrack, s: Sections, report: Report): void {
  for (const key of ["interface", "via", "intervalMs", "multiplier"] as const)
    if (track[key] !== undefined)
      report([...path, key], "track-key", `${key} is of icmp alone`, `remove ${key}`, "key");
  const known = s.acs === null ? null : new Set(s.acs.map(({ name }) => name));
  checkReference([...path, "ac"], "AC", track.ac!, known, report);
}

function checkUnderlay(path: Path, { icmp, via }: FileTrack, { underlay }: Sections, report: Report): void {
  if (via !== undefined)
    report([...path, "via"], "track-key", "via needs the VSI-interface that asks", "add interface: NAME", "key");
  if (underlay === null) return;
  const { family, text } = underlay.address;
  if (icmp!.family !== family) {
    const message = `${icmp!.text} is no IPv${family} address, and the underlay is IPv${family}`;
    report(
      [...path, "icmp"],
      "underlay-family",
      message,
      "name an address of the underlay, or the interface that asks",
    );
  } else if (icmp!.text === text)
    report([...path, "icmp"], "own-address", `${text} is our own VTEP`, "name the address of somebody else");
}

function checkOverlay(path: Path, track: FileTrack, s: Sections, report: Report): void {
  if (s.interfaces === null) return;
  const iface = s.interfaces.find(({ name }) => name === track.interface);
  if (iface === undefined) {
    const known = new Set(s.interfaces.map(({ name }) => name));
    checkReference([...path, "interface"], "VSI-interface", track.interface!, known, report);
    return;
  }
  const target = readHost(track.icmp!.text);
  if ("wrong" in target) {
    report([...path, "icmp"], "bad-value", target.wrong, target.fix);
    return;
  }
  const subnets = new Subnets(s.interfaces);
  const { ip } = target.value;
  const family = typeof ip === "number" ? "IPv4" : "IPv6";
  const owner = subnets.ownerOf(iface.vrf, ip);
  if (owner !== null) {
    const message = `${track.icmp!.text} is our own address, on ${owner}`;
    report([...path, "icmp"], "own-address", message, "name the address of somebody else");
  }
  if (!addressesOf(iface).some((each) => isSameFamily(each.ip, ip))) {
    const code = family === "IPv4" ? "no-ipv4" : "no-ipv6";
    report([...path, "interface"], code, `${iface.name} has no ${family} address to ask with`, "name another one");
  } else if (isShared(iface, ip, s)) {
    const message = `the answers to ${iface.name} would end at another gateway: its ${family} address is on all of them`;
    report([...path, "interface"], "no-unique-source", message, `add icmpSource of ${family} to ${iface.name}`);
  }
  if (track.via !== undefined) checkVia([...path, "via"], track.via, target.value, iface, subnets, report);
  else if (!isOfLink(ip)) checkWay(path, track, { vrf: iface.vrf, ...target.value }, s, report);
}

/** The neighbour through which `target` is asked: of its family, on that VSI-interface, and not ourselves. */
function checkVia(
  path: Path,
  via: Address,
  target: Address,
  iface: FileInterface,
  subnets: Subnets,
  report: Report,
): void {
  const zone = zoneOf(via);
  const owner = subnets.ownerOf(iface.vrf, via.ip);
  const isOurs = owner !== null || subnets.isOwnOfZone(iface.vrf, zone ?? "", via.ip);
  const isNear =
    zone === null ? addressesOf(iface).some(({ prefix }) => contains(prefix, via.ip)) : zone === iface.name;
  if (!isSameFamily(via.ip, target.ip)) {
    const message = `${via.text} is not of the family of ${target.text}`;
    report(path, "family", message, "name a router of the same family");
  } else if (isOurs)
    report(path, "own-address", `${via.text} is our own address, on ${owner ?? zone}`, "name a router there");
  else if (!isNear) report(path, "next-hop", `${via.text} lies in no subnet of ${iface.name}`, "name a router there");
}

/**
 * By the table: the route to what is asked must not depend on the answer. Where it went with the track, the questions would take another
 * way, be answered, and bring the dead one back; or there is none, and the track would be down for ever.
 */
function checkWay(
  path: Path,
  track: FileTrack,
  { vrf, ip, text }: Address & { vrf: string },
  s: Sections,
  report: Report,
) {
  const all = new RouteIndex(s.routes ?? []);
  const subnets = new Subnets(s.interfaces!);
  const routeIn = (of: string) => {
    const found = all.around(of, { network: ip, length: bitsOf(ip), text });
    return found !== null && found.prefix.length > (subnets.find(of, ip)?.prefix.length ?? -1) ? found : null;
  };
  const first = routeIn(vrf);
  const isHopless = first?.nextHop === undefined && first?.nextHops === undefined;
  // Another VRF's table decides, as at run time: once.
  const route = isHopless && first?.viaVrf !== undefined ? routeIn(first.viaVrf) : first;
  if (route === null) return;
  const names = (route.nextHops ?? []).map((hop) => hop.track ?? route.track);
  const isCircle = names.includes(track.name) || (route.nextHop !== undefined && route.track === track.name);
  if (!isCircle) return;
  const message = `${text} is asked by route ${route.prefix.text}, which depends on this track`;
  report([...path, "icmp"], "track-circle", message, "add via: the neighbour through which it is to be asked");
}

/** Do other gateways have the address it would ask with? An uplink's is its own. */
function isShared(iface: FileInterface, to: Ip, { vsis }: Sections): boolean {
  const inFabric = new Set((vsis ?? []).filter(({ vni }) => vni !== undefined).map(({ name }) => name));
  const hasOwn = icmpSourcesOf(iface).some(({ ip }) => isSameFamily(ip, to));
  return iface.distributed && !hasOwn && vsisOf(iface).some((vsi) => inFabric.has(vsi));
}

function checkUses(s: Sections, known: ReadonlySet<string>, report: Report): void {
  const check = (path: Path, track: string | null | undefined) => {
    if (track !== null && track !== undefined) checkReference(path, "track", track, known, report);
  };
  if (s.drain !== null) check(["drain", "track"], s.drain.track);
  for (const [index, route] of (s.routes ?? []).entries()) {
    const path = ["routes", index];
    check([...path, "track"], route.track);
    for (const [at, hop] of (route.nextHops ?? []).entries()) check([...path, "nextHops", at, "track"], hop.track);
    const isHopless = route.nextHop === undefined && route.nextHops === undefined;
    if (route.track !== undefined && isHopless && (route.action ?? route.viaVrf) !== undefined)
      report([...path, "track"], "track-key", "the route has no next hop that depends on it", "remove track", "key");
  }
  for (const [index, policy] of (s.policies ?? []).entries())
    for (const [at, rule] of policy.rules.entries()) {
      const path = ["policies", index, "rules", at];
      check([...path, "track"], rule.track);
      const ways = { nextHops: rule.nextHops, defaultNextHops: rule.defaultNextHops };
      for (const [key, hops] of Object.entries(ways))
        for (const [n, hop] of (hops ?? []).entries()) check([...path, key, n, "track"], hop.track);
      const hasHop = [rule.nextHop, rule.defaultNextHop, ...Object.values(ways)].some((each) => each !== undefined);
      if (rule.track !== undefined && !hasHop)
        report([...path, "track"], "track-key", "the rule has no next hop that depends on it", "remove track", "key");
    }
}
