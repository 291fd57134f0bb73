/**
 * One message of address resolution as decisions see it: who says what of whom, without the bytes that say it.
 *
 *   question      who has `target`? asks `sender`
 *   probe         the same of a host that has no address yet: is `target` taken (RFC 5227 §2.1, RFC 4862 §5.4)?
 *   answer        `sender` is at `senderMac`, to `target`, who asked; to one that probed it says the same without that
 *   announcement  `sender` is at `senderMac`, to all that may believe it elsewhere
 *
 * Speakers parse to it and emit from it (speaker.ts).
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Ip } from "../ip.ts";

interface Envelope {
  /** The MAC that the message tells of its sender. */
  readonly senderMac: Mac;
  /** Ethernet source. */
  readonly from: Mac;
  /** Ethernet destination; null: a group. */
  readonly to: Mac | null;
}

/** What asks may carry a word that its sender knows it by (RFC 7527): it goes where the question goes. */
interface Asking extends Envelope {
  readonly nonce?: Uint8Array;
}

interface Telling extends Envelope {
  /** Is `sender` a router (RFC 4861 §4.4)? ARP does not say. */
  readonly isRouter?: boolean;
  /** Which address speaks for `sender`, where it is not its own: a packet's source is an address of its node. */
  readonly by?: Ip;
}

export type Question = Asking & { readonly kind: "question"; readonly sender: Ip; readonly target: Ip };
export type Probe = Asking & { readonly kind: "probe"; readonly sender: null; readonly target: Ip };
export type Answer = Telling & { readonly kind: "answer"; readonly sender: Ip; readonly target: Ip | null };
export type Announcement = Telling & { readonly kind: "announcement"; readonly sender: Ip; readonly target: Ip };
export type Message = Question | Probe | Answer | Announcement;
/** What tells where somebody is. */
export type Statement = Exclude<Message, Probe>;

/** `sender` null: a probe. */
export function question(
  mac: Mac,
  to: Mac | null,
  sender: Ip | null,
  target: Ip,
  nonce: Uint8Array | null = null,
): Question | Probe {
  const envelope = { senderMac: mac, from: mac, to, ...(nonce !== null && { nonce }) };
  return sender === null
    ? { kind: "probe", sender, target, ...envelope }
    : { kind: "question", sender, target, ...envelope };
}

/** What is told beside where somebody is. */
export type More = Pick<Telling, "isRouter" | "by">;

/** `target` null: it has no address. */
export function answer(mac: Mac, to: Mac, sender: Ip, target: Ip | null, more: More = {}): Answer {
  return { kind: "answer", sender, target, senderMac: mac, from: mac, to, ...more };
}

export function announcement(mac: Mac, ip: Ip, more: More = {}): Announcement {
  return { kind: "announcement", sender: ip, target: ip, senderMac: mac, from: mac, to: null, ...more };
}
