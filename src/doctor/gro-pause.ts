/** The doctor, about UDP_GRO, which goes off by itself and comes back by itself: no newer kernel is needed for that. */
import type { Features } from "../api/schema.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import { plural } from "../wire/plural.ts";

const timesOf = (fallbacks: Features["fallbacks"]): number =>
  fallbacks.find(({ cause }) => cause === "udp_gro_doubt")?.count ?? 0;

/** Where it is off: is that a pause? */
export function isGroPaused(fallbacks: Features["fallbacks"]): boolean {
  return timesOf(fallbacks) > 0;
}

export function checkGroPause({ offloads, fallbacks }: Pick<Features, "offloads" | "fallbacks">): Check[] {
  const times = timesOf(fallbacks);
  if (times === 0) return [];
  const isOff = offloads.some(({ name, wanted, inUse }) => name === "udpGro" && wanted && !inUse);
  const text = `paused ${plural(times, "time")}: datagrams came joined that may be of two VNIs, and were dropped (gso_bad)`;
  if (!isOff) return [ok("udpGro", `${text}; in use again`)];
  const fix =
    "it comes back within 10 minutes, slower until then; a guest behind a kernel VXLAN peer on this host sends them";
  return [warn("udpGro", text, `${fix}: vtepctl show drops names the peer`)];
}
