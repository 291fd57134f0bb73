/**
 * The state machine of a BFD session (RFC 5880 §6.2, §6.8.6) as a table: state, event, next state, and the diagnosis that goes with it.
 *
 * What a packet says of its sender's state is the event; besides there are the end of the detection time and the operator's
 * word. What is not in the table changes nothing.
 */
import type { BfdState, Diagnosis } from "../../wire/bfd.ts";

/** A state: that of the peer, as its packet says. */
export type BfdEvent = BfdState | "expired" | "disable" | "enable";

/** `null`: the diagnosis of before stays. */
type Move = readonly [to: BfdState, diagnosis: Diagnosis | null];

export const MOVES: Readonly<Record<BfdState, Partial<Record<BfdEvent, Move>>>> = {
  adminDown: {
    enable: ["down", "none"],
  },
  down: {
    down: ["init", null],
    init: ["up", "none"],
    disable: ["adminDown", "adminDown"],
  },
  init: {
    init: ["up", "none"],
    up: ["up", "none"],
    adminDown: ["down", "neighborSignaledDown"],
    expired: ["down", "detectionTimeExpired"],
    disable: ["adminDown", "adminDown"],
  },
  up: {
    down: ["down", "neighborSignaledDown"],
    adminDown: ["down", "neighborSignaledDown"],
    expired: ["down", "detectionTimeExpired"],
    disable: ["adminDown", "adminDown"],
  },
};
