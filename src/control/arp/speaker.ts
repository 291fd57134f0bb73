/**
 * ARP's half of address resolution (RFC 826): its frames as messages, and messages as its frames.
 *
 * An announcement is a request or a reply whose sender and target are one (RFC 5227 §2.3, RFC 5944 §4.6); we say it as a request. A probe
 * is a request without a sender (RFC 5227 §2.1.1).
 */
import { DROP } from "../../tables/counters.ts";
import { ARP_FRAME_BYTES, ARP_REPLY, ARP_REQUEST, type Arp, emitArp, parseArp } from "../../wire/arp.ts";
import { BROADCAST, isGroup } from "../../wire/ethernet.ts";
import { asIpv4, type Ip } from "../ip.ts";
import type { Message } from "../resolution/message.ts";
import type { Speaker } from "../resolution/speaker.ts";
import { checkArp } from "./check.ts";

/** Sender or target of a message that has none. */
const UNSPECIFIED = 0;

export class ArpSpeaker implements Speaker {
  readonly events = {
    gatewayReply: "arp.gateway-reply",
    proxyReply: "arp.proxy-reply",
    suppressReply: "arp.suppress-reply",
    relayRequest: "arp.relay-request",
    relayReply: "arp.relay-reply",
    solicit: "arp.solicit",
    announce: "arp.announce",
    defend: "arp.defend",
    ignored: "arp.ignored",
  } as const;
  readonly drops = {
    malformed: DROP.arp_malformed,
    notLocal: DROP.arp_not_local,
    gatewaySpoof: DROP.arp_gw_spoof,
    limit: DROP.arp_limit,
  };
  readonly check = checkArp;
  private readonly bytes = new Uint8Array(ARP_FRAME_BYTES);

  speaksOf(ip: Ip): boolean {
    return typeof ip === "number";
  }

  parse(frame: Uint8Array): Message | null {
    const arp = parseArp(frame, 0, frame.length);
    return arp === null ? null : messageOf(arp);
  }

  /** Broadcast requests are; everything else comes here as a copy. */
  isHeldBack(frame: Uint8Array): boolean {
    const arp = parseArp(frame, 0, frame.length);
    return arp !== null && arp.op === ARP_REQUEST && isGroup(arp.ethDst);
  }

  emit(message: Message): Uint8Array {
    const { kind, senderMac, from, to } = message;
    const isAnswer = kind === "answer";
    emitArp(this.bytes, 0, {
      ethDst: to ?? BROADCAST,
      ethSrc: from,
      op: isAnswer ? ARP_REPLY : ARP_REQUEST,
      senderMac,
      senderIp: asIpv4(message.sender ?? UNSPECIFIED),
      targetMac: isAnswer ? to! : 0,
      targetIp: asIpv4(message.target ?? UNSPECIFIED),
    });
    return this.bytes;
  }
}

function messageOf({ ethDst, ethSrc, op, senderMac, senderIp, targetIp }: Arp): Message {
  const envelope = { senderMac, from: ethSrc, to: isGroup(ethDst) ? null : ethDst };
  if (senderIp === UNSPECIFIED && op === ARP_REQUEST)
    return { kind: "probe", sender: null, target: targetIp, ...envelope };
  if (senderIp === targetIp) return { kind: "announcement", sender: senderIp, target: targetIp, ...envelope };
  return op === ARP_REQUEST
    ? { kind: "question", sender: senderIp, target: targetIp, ...envelope }
    : { kind: "answer", sender: senderIp, target: targetIp === UNSPECIFIED ? null : targetIp, ...envelope };
}
