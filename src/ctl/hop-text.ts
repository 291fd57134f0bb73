/** A next hop in a cell of a table. */
import type { Route } from "../api/schema.ts";

/** 10.1.1.2, 10.1.1.2*3 (weight), 10.1.1.3(priority 2), 10.1.1.2(dead), 50.1.1.1[isp] (track), 10.1.1.2@b1 (tunnel). */
export function hopText(hop: Route["nextHops"][number]): string {
  const { ip, alive, weight = 1, priority = 1, track = null, tunnel = null, bypassedBy } = hop;
  const place = tunnel === null ? ip : `${ip}@${tunnel}`;
  const name = (weight === 1 ? place : `${place}*${weight}`) + (track === null ? "" : `[${track}]`);
  if (!alive) return `${name}(dead)`;
  if (bypassedBy !== null) return `${name}(bypassed)`;
  return priority === 1 ? name : `${name}(priority ${priority})`;
}
