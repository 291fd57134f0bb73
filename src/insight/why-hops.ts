/** What the ways to an address depend on, and how that stands: next hops that are dead, tracks that are down, a gateway that drains. */
import type { Route } from "../api/schema.ts";
import type { Track } from "../api/schema-tracks.ts";
import { parseIp } from "../control/ip.ts";
import type { DeadHop } from "../control/routes/hop-states.ts";

export interface HopParts {
  readonly dead: () => readonly DeadHop[];
  readonly tracks: () => readonly Track[];
  /** The longest match of each VRF that is asked about. */
  readonly routesTo: (ip: string, vrf: string | null) => readonly Route[];
  /** Why we drain; null: we do not. */
  readonly draining: () => string | null;
  readonly isOwn: (ip: string) => boolean;
}

/** @param vrf only in this one; null: in all. */
export function hopSentences(parts: HopParts, ip: string, vrf: string | null): string[] {
  if (parseIp(ip) === null) return [];
  const dead = parts.dead();
  const down = new Map(parts.tracks().flatMap((track) => (track.state === "down" ? [[track.name, track]] : [])));
  const said: string[] = [];
  for (const hop of dead)
    if (hop.ip === ip) said.push(`${deadText(hop)}; it is a next hop of ${hop.of.join("; ") || "nothing any more"}.`);
  for (const { prefix, vrf: home, nextHops } of parts.routesTo(ip, vrf)) {
    const where = `${prefix} in VRF ${home}`;
    const told = new Set<string>();
    for (const { ip: hop, tunnel = null, interface: iface, track = null } of nextHops) {
      const state = dead.find((each) => each.ip === hop && each.tunnel === tunnel && each.interface === iface);
      if (state !== undefined && hop !== ip) said.push(`Of the next hops of ${where}, ${deadText(state)}.`);
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
  const draining = parts.draining();
  if (draining !== null && parts.isOwn(ip))
    said.push(
      `This gateway is ${draining}; peers are asked to leave it, and ARP from tunnels for its own addresses is not answered.`,
    );
  return said;
}

function deadText({ ip, tunnel, interface: iface, seconds }: DeadHop): string {
  const name = tunnel === null ? ip : `${ip} behind tunnel ${tunnel}`;
  const question = ip.includes(":") ? "neighbour solicitation" : "ARP";
  return `${name} is dead: it has answered no ${question} on ${iface} for ${seconds} s`;
}
