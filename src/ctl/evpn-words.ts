/** How EVPN's engine stands, in words: of `vtepctl show evpn`, and of the page. */
import type { Evpn } from "../api/schema-evpn.ts";

export const ENGINE_STATES: Readonly<Record<Evpn["state"], string>> = {
  away: "not seen",
  listing: "being listed",
  settling: "listed; peers have not sent everything yet",
  synced: "in sync",
  deaf: "no session is up; entries are kept",
  stale: "gone; entries are kept",
};
