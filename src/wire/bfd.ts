/**
 * BFD control packets (RFC 5880 §4.1): bytes to fields and back. What §6.8.6 refuses before a session is looked for is refused here,
 * each refusal by its name.
 *
 * ```
 *  0                   1                   2                   3
 * |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
 * |                       My Discriminator                        |
 * |                      Your Discriminator                       |
 * |                 Desired Min TX Interval, µs                   |
 * |                 Required Min RX Interval, µs                  |
 * |              Required Min Echo RX Interval, µs                |
 * ```
 */
import { setI32, u32 } from "./bytes.ts";

export const BFD_PORT = 3784;
export const BFD_MULTIHOP_PORT = 4784;
/** Without the authentication section, which is neither sent nor understood. */
export const BFD_BYTES = 24;
/** Every packet leaves with it; over one hop it must arrive with it (RFC 5881 §5, RFC 5082). */
export const BFD_TTL = 255;

const VERSION = 1;

/** As on the wire. */
export const STATES = ["adminDown", "down", "init", "up"] as const;
export type BfdState = (typeof STATES)[number];

/** Why the last session ended (§4.1), as on the wire; what is above them is reserved. */
export const DIAGNOSES = [
  "none",
  "detectionTimeExpired",
  "echoFailed",
  "neighborSignaledDown",
  "forwardingPlaneReset",
  "pathDown",
  "concatenatedPathDown",
  "adminDown",
  "reverseConcatenatedPathDown",
] as const;
export type Diagnosis = (typeof DIAGNOSES)[number] | "reserved";

export interface BfdPacket {
  readonly diagnosis: Diagnosis;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  readonly demand: boolean;
  readonly multiplier: number;
  readonly mine: number;
  readonly yours: number;
  /** Microseconds, as are the two below. */
  readonly desiredMinTx: number;
  readonly requiredMinRx: number;
  readonly requiredMinEchoRx: number;
}

/** Refusals, in the order in which they are looked for. */
export const BFD_MALFORMED = [
  "too_short",
  "version",
  "length",
  "multiplier_zero",
  "multipoint",
  "discriminator_zero",
  "no_session_named",
  "authenticated",
  "poll_and_final",
] as const;
export type BfdMalformed = (typeof BFD_MALFORMED)[number];

const POLL = 0x20;
const FINAL = 0x10;
const AUTHENTICATED = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;

/** The packet that is the payload of a datagram: bytes `at` to `end`. What stands behind its own length is not looked at. */
export function readBfd(bytes: Uint8Array, at: number, end: number): BfdPacket | BfdMalformed {
  if (end - at < BFD_BYTES) return "too_short";
  if (bytes[at]! >> 5 !== VERSION) return "version";
  const flags = bytes[at + 1]!;
  const length = bytes[at + 3]!;
  const isAuthenticated = (flags & AUTHENTICATED) !== 0;
  // With authentication, which nothing here asks for, its type and length at least.
  if (length < (isAuthenticated ? BFD_BYTES + 2 : BFD_BYTES) || length > end - at) return "length";
  if (bytes[at + 2] === 0) return "multiplier_zero";
  if ((flags & MULTIPOINT) !== 0) return "multipoint";
  const mine = u32(bytes, at + 4);
  if (mine === 0) return "discriminator_zero";
  const yours = u32(bytes, at + 8);
  const state = STATES[flags >> 6]!;
  if (yours === 0 && (state === "init" || state === "up")) return "no_session_named";
  if (isAuthenticated) return "authenticated";
  const [poll, final] = [(flags & POLL) !== 0, (flags & FINAL) !== 0];
  // §6.5: "MUST NOT be set in the same packet".
  if (poll && final) return "poll_and_final";
  return {
    diagnosis: DIAGNOSES[bytes[at]! & 0x1f] ?? "reserved",
    state,
    poll,
    final,
    demand: (flags & DEMAND) !== 0,
    multiplier: bytes[at + 2]!,
    mine,
    yours,
    desiredMinTx: u32(bytes, at + 12),
    requiredMinRx: u32(bytes, at + 16),
    requiredMinEchoRx: u32(bytes, at + 20),
  };
}

/** Write it at `at`: BFD_BYTES. */
export function writeBfd(packet: BfdPacket, bytes: Uint8Array, at: number): void {
  const { diagnosis, state, poll, final, demand, multiplier } = packet;
  const code = diagnosis === "reserved" ? 0 : DIAGNOSES.indexOf(diagnosis);
  bytes[at] = (VERSION << 5) | code;
  bytes[at + 1] = (STATES.indexOf(state) << 6) | (poll ? POLL : 0) | (final ? FINAL : 0) | (demand ? DEMAND : 0);
  bytes[at + 2] = multiplier;
  bytes[at + 3] = BFD_BYTES;
  setI32(bytes, at + 4, packet.mine);
  setI32(bytes, at + 8, packet.yours);
  setI32(bytes, at + 12, packet.desiredMinTx);
  setI32(bytes, at + 16, packet.requiredMinRx);
  setI32(bytes, at + 20, packet.requiredMinEchoRx);
}
