/** Rules between values, BFD part: there are so many sessions, and no more. */
import type { Report, Sections } from "./rules-l2.ts";

/** As many as the BFD thread has slots (MAX_BFD_SESSIONS of tables/vsi.ts). */
const MOST = 1023;

export function checkBfd({ bfd, tunnels }: Sections, report: Report): void {
  if (bfd === null || tunnels === null) return;
  const watched = tunnels.filter((tunnel) => (tunnel.bfd ?? bfd !== undefined) !== false);
  if (watched.length <= MOST) return;
  const text = `${watched.length} tunnels have BFD, and ${MOST} sessions are the most`;
  report(
    bfd === undefined ? ["tunnels"] : ["bfd"],
    "too-many-sessions",
    text,
    "say bfd: false for some tunnels",
    "key",
  );
}
