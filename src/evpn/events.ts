/** What EVPN tells people of itself: states of the session with the engine, hosts that move. */
import type { Emit } from "../control/event.ts";
import { formatMac, type Mac } from "../wire/ethernet.ts";
import type { Claim } from "./choice.ts";
import type { HostEvent } from "./mac-vrf.ts";
import type { SyncState } from "./sync.ts";

export function tellState(emit: Emit, state: SyncState, from: SyncState, routes: number, staleSeconds: number): void {
  if (state === "synced") emit("info", "evpn.in-sync", { routes });
  else if ((state === "stale" || state === "deaf") && routes > 0)
    emit("warn", "evpn.stale", { from, routes, seconds: staleSeconds });
}

export interface HostNews {
  readonly vsi: string;
  readonly mac: Mac;
  readonly claim: Claim | null;
  readonly action: "freeze" | "warn";
}

export function tellHost(emit: Emit, event: Exclude<HostEvent, "full">, { vsi, mac, claim, action }: HostNews): void {
  const host = { vsi, mac: formatMac(mac) };
  const fields = { ...host, vtep: claim?.vtep ?? null, sequence: claim?.sequence ?? null };
  switch (event) {
    case "moved-in":
      emit("info", "evpn.moved", { ...fields, direction: "in" });
      break;
    case "moved-out":
      emit("info", "evpn.moved", { ...fields, direction: "out" });
      break;
    case "duplicate":
      emit("warn", "evpn.duplicate", { ...fields, action });
      break;
    case "duplicate-over":
      emit("info", "evpn.duplicate-over", host);
      break;
    case "sticky-conflict":
      emit("warn", "evpn.sticky-conflict", fields);
      break;
  }
}
