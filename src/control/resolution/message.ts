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

export type Question = Envelope & { readonly kind: "question"; readonly sender: Ip; readonly target: Ip };
export type Probe = Envelope & { readonly kind: "probe"; readonly sender: null; readonly target: Ip };
export type Answer = Envelope & { readonly kind: "answer"; readonly sender: Ip; readonly target: Ip | null };
export type Announcement = Envelope & { readonly kind: "announcement"; readonly sender: Ip; readonly target: Ip };
export type Message = Question | Probe | Answer | Announcement;
/** What tells where somebody is. */
export type Statement = Exclude<Message, Probe>;

/** `sender` null: a probe. */
export function question(mac: Mac, to: Mac | null, sender: Ip | null, target: Ip): Question | Probe {
  const envelope = { senderMac: mac, from: mac, to };
  return sender === null
    ? { kind: "probe", sender, target, ...envelope }
    : { kind: "question", sender, target, ...envelope };
}

/** `target` null: it has no address. */
export function answer(mac: Mac, to: Mac, sender: Ip, target: Ip | null): Answer {
  return { kind: "answer", sender, target, senderMac: mac, from: mac, to };
}

export function announcement(mac: Mac, ip: Ip): Announcement {
  return { kind: "announcement", sender: ip, target: ip, senderMac: mac, from: mac, to: null };
}
