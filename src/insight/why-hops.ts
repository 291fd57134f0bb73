/** What the ways to an address depend on, and how that stands: next hops that are dead, tracks that are down, a gateway that drains. */
import type { Route } from "../api/schema.ts";
import type { Track } from "../api/schema-tracks.ts";
import { formatIp, type Ip, isOfLink, isSameFamily, isWithin, parseIp } from "../control/ip.ts";
import type { Prefix } from "../control/plan.ts";
import { type DeadHop, deathText } from "../control/routes/hop-states.ts";
import { someNames } from "../wire/some-names.ts";

export interface HopParts {
  readonly dead: () => readonly DeadHop[];
  readonly tracks: () => readonly Track[];
  /** The longest match of each of these VRFs. */
  readonly routesTo: (ip: string, vrfs: ReadonlySet<string>) => readonly Route[];
  /** Routes that their tracks have withdrawn. */
  readonly withdrawn: () => Iterable<Withdrawn>;
  /** Why we drain; null: we do not. */
  readonly draining: () => string | null;
  readonly isOwn: (ip: string) => boolean;
}

interface Withdrawn {
  readonly vrf: string;
  readonly prefix: Prefix;
  readonly tracks: readonly string[];
}

/** VSI-interfaces that are asked about, and their VRFs: another one's host may have the same address. */
export interface HopScope {
  readonly interfaces: ReadonlySet<string>;
  readonly vrfs: ReadonlySet<string>;
}

export function hopSentences(parts: HopParts, ip: string, { interfaces, vrfs }: HopScope): string[] {
  const subject = parseIp(ip);
  if (subject === null) return [];
  const dead = new Map(parts.dead().map((hop) => [keyOf(hop), hop]));
  const down = new Map(parts.tracks().flatMap((track) => (track.state === "down" ? [[track.name, track]] : [])));
  const said: string[] = [];
  const isMeant = (hop: DeadHop) => hop.ip === ip && interfaces.has(hop.interface);
  for (const hop of dead.values())
    if (isMeant(hop)) said.push(`${deadText(hop)}; it is a next hop of ${usesText(hop)}.`);
  // No route leads to an address of the link.
  for (const { prefix, vrf: home, nextHops } of isOfLink(subject) ? [] : parts.routesTo(ip, vrfs)) {
    const where = `${prefix} in VRF ${home}`;
    const told = new Set<string>();
    for (const nextHop of nextHops) {
      const { ip: hop, track = null } = nextHop;
      const state = dead.get(keyOf(nextHop));
      if (state !== undefined && !isMeant(state)) said.push(`Of the next hops of ${where}, ${deadText(state)}.`);
      const cause = track === null ? undefined : down.get(track);
      if (cause !== undefined && !told.has(cause.name)) {
        told.add(cause.name);
        const blind = cause.blind === null ? "" : ` (it cannot be asked: ${cause.blind})`;
        const since = `down for ${cause.seconds} s${blind}`;
        said.push(
          `Of the next hops of ${where}, ${hop} is out of use: its track ${cause.name}, ${cause.target}, is ${since}.`,
        );
      }
    }
  }
  if (!isOfLink(subject)) said.push(...withdrawnSentences(parts, subject, vrfs));
  const draining = parts.draining();
  if (draining !== null && parts.isOwn(ip))
    said.push(
      `This gateway is ${draining}; peers are asked to leave it, and ARP from tunnels for its own addresses is not answered.`,
    );
  return said;
}

/** Of each VRF the longest match among the routes that would be one: what is in the table instead is told anyway. */
function withdrawnSentences({ withdrawn, routesTo, tracks }: HopParts, ip: Ip, vrfs: ReadonlySet<string>): string[] {
  const longest = new Map<string, Withdrawn>();
  for (const route of withdrawn()) {
    const { vrf, prefix } = route;
    if (!vrfs.has(vrf) || !isSameFamily(ip, prefix.network) || !isWithin(ip, prefix.network, prefix.length)) continue;
    if (prefix.length > (longest.get(vrf)?.prefix.length ?? -1)) longest.set(vrf, route);
  }
  const inTable = longest.size === 0 ? [] : routesTo(formatIp(ip), vrfs);
  const targets = new Map(tracks().map((track) => [track.name, track.target]));
  return [...longest.values()].flatMap(({ vrf, prefix, tracks: names }) => {
    const used = inTable.find((route) => route.vrf === vrf)?.prefix.split("/")[1];
    if (used !== undefined && Number(used) > prefix.length) return [];
    const down = names.map((name) => `${name} (${targets.get(name)})`).join(", ");
    const what = names.length === 1 ? `its track ${down} is down` : `its tracks ${down} are down`;
    return [`Route ${prefix.text} in VRF ${vrf} leads there too, but is withdrawn: ${what}.`];
  });
}

/** Address, tunnel and VSI-interface: what tells next hops apart. A route names one of the link with its VSI-interface, "fe80::2%if10". */
function keyOf({
  ip,
  tunnel = null,
  interface: iface,
}: Pick<Route["nextHops"][number], "ip" | "tunnel" | "interface">) {
  return JSON.stringify([ip.split("%", 1)[0], tunnel, iface]);
}

function usesText({ of, useCount }: DeadHop): string {
  return useCount === 0 ? "nothing any more" : someNames(of, useCount);
}

function deadText(hop: DeadHop): string {
  const { ip, tunnel } = hop;
  return `${tunnel === null ? ip : `${ip} behind tunnel ${tunnel}`} is dead: ${deathText(hop)}`;
}
