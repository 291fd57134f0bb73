/**
 * The speaker: one protocol of address resolution, from bytes to messages and back, and what is wrong with a message by its rules.
 *
 * A contract, because decisions are the same for each address family and bytes, drop reasons and the names of events are not. A
 * speaker decides nothing, knows no neighbour, and sends nothing.
 */
import type { EventName } from "../event.ts";
import type { Fate } from "../fate.ts";
import type { InterfaceObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Message } from "./message.ts";

/** What is told of resolution. */
export type ResolutionEvent =
  | "gatewayReply"
  | "proxyReply"
  | "suppressReply"
  | "relayRequest"
  | "relayReply"
  | "solicit"
  | "announce"
  | "defend"
  | "ignored";

/** Why a message ends; `notLocal`: its addresses are no subnet's of the VSI-interface. */
export interface ResolutionDrops {
  readonly malformed: Fate;
  readonly notLocal: Fate;
  readonly gatewaySpoof: Fate;
  readonly limit: Fate;
}

export interface Speaker {
  readonly events: Readonly<Record<ResolutionEvent, EventName>>;
  readonly drops: ResolutionDrops;
  /** Is `ip` of the family that it resolves? A VSI-interface may have addresses, and neighbours, of both. */
  speaksOf(ip: Ip): boolean;
  /** The message in an Ethernet frame, or null if it is none of this protocol. */
  parse(frame: Uint8Array): Message | null;
  /** A drop reason, or CONSUMED when nothing is wrong with `message`. `iface` null: a VSI without subnets. */
  check(message: Message, iface: InterfaceObject | null): Fate;
  /** In mode `suppress`: was this frame, which is a message, kept from being bridged until it is decided here (dataplane/punt.ts)? */
  isHeldBack(frame: Uint8Array): boolean;
  /** `message` as an Ethernet frame; its bytes are the speaker's, until the next one. */
  emit(message: Message): Uint8Array;
}
