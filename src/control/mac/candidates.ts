/**
 * The candidates of one (VSI, MAC): what each source says of it. The best one is published, with one store; the others stay,
 * so that a withdrawal falls back without a gap.
 *
 *   pin     configured, added by hand, or a gateway's: nothing takes its place
 *   heard   at an AC: a frame of the host itself came in by it
 *   evpn    said from outside, behind a tunnel: never against what is heard here, so it makes no local host a spoofer
 *   heard   behind a tunnel: flooding and learning
 *
 * A frame from another place replaces what was heard, whichever of the two it was (the host moved). What is behind a port that
 * is down does not count, but for what is configured: it is suspended, and counts again if the port is back in time.
 */
import { MAC_GATEWAY } from "../../tables/mac.ts";
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

export function bestOf(all: Candidates): MacRow | null {
  const [pin, evpn, heard] = [counting(all.pin), counting(all.evpn), counting(all.heard)];
  if (pin !== null || heard?.port?.kind === "ac") return pin ?? heard;
  return evpn ?? heard;
}

/** `row` unless it is suspended. */
export function counting(row: MacRow | null): MacRow | null {
  if (row === null || row.port === null || row.port.up) return row;
  return row.source === "pin" && row.flags !== MAC_GATEWAY ? row : null;
}

export function isEmpty({ pin, evpn, heard }: Candidates): boolean {
  return pin === null && evpn === null && heard === null;
}
