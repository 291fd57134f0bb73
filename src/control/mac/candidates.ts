/**
 * The candidates of one (VSI, MAC): what each source says of it. The best one is published, with one store; the others stay,
 * so that a withdrawal falls back without a gap.
 *
 *   pin     configured, added by hand, or a gateway's: nothing takes its place
 *   heard   at an AC: a frame of the host itself came in by it
 *   evpn    said from outside, behind a tunnel: never against what is heard here, so it makes no local host a spoofer
 *   heard   behind a tunnel: flooding and learning
 *
 * A frame from another place replaces what was heard, whichever of the two it was (the host moved). What is said from outside
 * does not count while its tunnel is down.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { MacRow, MacSource } from "./entry.ts";

export const MAC_SOURCES: readonly MacSource[] = ["pin", "evpn", "heard"];

export interface Candidates extends Record<MacSource, MacRow | null> {
  readonly mac: Mac;
  /** The one that workers see; null: none, all are behind tunnels that are down. */
  published: MacRow | null;
}

export function noCandidates(mac: Mac): Candidates {
  return { mac, pin: null, evpn: null, heard: null, published: null };
}

export function bestOf({ pin, evpn, heard }: Candidates): MacRow | null {
  if (pin !== null || heard?.port?.kind === "ac") return pin ?? heard;
  return evpn?.port?.up ? evpn : heard;
}

export function isEmpty({ pin, evpn, heard }: Candidates): boolean {
  return pin === null && evpn === null && heard === null;
}
