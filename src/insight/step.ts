/** A step of the story of a what-if packet: its words, and what it is made of. */
import { type Fate, PUNTED } from "../dataplane/frame.ts";
import { DROPS } from "../tables/counters.ts";

/** Rows in words: what the operator calls them. */
export interface Names {
  /** "ac vm1", "tunnel gw2". */
  port(row: number): string;
  vsi(row: number): string;
  interface(row: number): string;
  vrf(row: number): string;
  /** The address whose adjacency that is. */
  nextHop(adjacency: number): string;
  /** The policy of VSI-interface `row`, or null. */
  policy(row: number): string | null;
  /** The rule behind a hit counter: "rule 2". */
  rule(id: number): string;
}

/** One line of the story: where, what was found, what follows. */
export interface Step {
  readonly stage: string;
  readonly text: string;
  readonly result: string;
}

/** A copy that would be sent: the bytes from the Ethernet header (to an AC) or the VXLAN header (to a tunnel) on. */
export interface WouldSend {
  readonly port: number;
  readonly vsi: number;
  readonly bytes: Uint8Array;
  readonly tos: number;
  readonly entropy: number;
}

/** A record that would be in the punt ring. */
export interface WouldPunt {
  readonly kind: number;
  readonly port: number;
  readonly vsi: number;
  readonly arg: number;
  readonly arg2: number;
  readonly bytes: Uint8Array;
}

/** "drop ip_checksum" and the like; "" while it goes on. */
export function resultOf(fate: Fate): string {
  if (fate > 0) return `drop ${DROPS[fate - 1]![0]}`;
  return fate === PUNTED ? "to control" : "";
}
