/**
 * The MAC table: (VSI, MAC) -> where a frame to that MAC goes.
 *
 * Writer: control (control/mac/learn.ts), told by the workers' LEARN records. The key is the MAC's last four bytes, and its first
 * two with the VSI above them: VSIs are below 4096, so the word stays positive and is never 0.
 *
 * A value is a bridge port, with MAC_GATEWAY when frames to this MAC are to be routed: our own gateway MACs (port 0),
 * and those of peer gateways as seen through a tunnel, which are routed when an AC uses them (D1: a VM that moved here
 * still has the old gateway's MAC). MAC_FLOOD alone is a selective-flood exception: known, but everywhere.
 */
import { ExactMatch } from "./exact-match.ts";
import type { Carver } from "./layout.ts";

/** Frames to this MAC go up to the VSI-interface. */
export const MAC_GATEWAY = 0x10000;
/** Frames to this MAC are flooded, whatever the flood policy says. */
export const MAC_FLOOD = 0x20000;
/** Configured: learning and ageing leave it alone. */
export const MAC_STATIC = 0x40000;
/** The bridge port in a value. */
export const MAC_PORT_MASK = 0xffff;

/** The table as workers read it. */
export type MacTable = ExactMatch;

export function createMacTable(carver: Carver, limit: number): MacTable {
  return new ExactMatch(carver, limit);
}

/** The key's second word for a MAC whose first two bytes are `hi`, in `vsi`. */
export function macKey(vsi: number, hi: number): number {
  return (vsi << 16) | hi;
}
