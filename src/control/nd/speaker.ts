/**
 * Neighbour discovery's half of address resolution (RFC 4861 §7): its frames as messages, and messages as its frames.
 *
 * A solicitation is a question, one without a sender a probe (RFC 4862 §5.4.2). An advertisement to one that asked is an answer; to
 * all nodes it is an announcement (§7.2.6), or, in a frame to a single host, the answer to one that probed (§7.2.4): that has no
 * address yet, and whom else would it concern (RFC 6085)?
 *
 * What we say is said with O = 1: §7.2.8 wants O = 0 of a proxy so that the owner may win, but here the owner's own word never
 * reaches the asker, which would keep a MAC that is no more. R is the host's own: a router that says R = 0 is struck from the
 * lists of its hosts (§7.3.3).
 */
import { DROP } from "../../tables/counters.ts";
import { isGroup, type Mac } from "../../wire/ethernet.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT, ICMP6_NEIGHBOR_SOLICITATION } from "../../wire/icmp6.ts";
import { type Ipv6, isMulticast6 } from "../../wire/ipv6.ts";
import {
  ALL_NODES,
  emitAdvertisement,
  emitSolicitation,
  groupMac,
  ND_MAX_BYTES,
  type NdEnvelope,
  type NeighborAdvertisement,
  type NeighborSolicitation,
  parseNd,
  solicitedNode,
  UNSPECIFIED,
} from "../../wire/nd.ts";
import { asIpv6, type Ip } from "../ip.ts";
import type { Message } from "../resolution/message.ts";
import type { Speaker } from "../resolution/speaker.ts";
import { checkNd } from "./check.ts";

export class NdSpeaker implements Speaker {
  readonly events = {
    gatewayReply: "nd.gateway-reply",
    proxyReply: "nd.proxy-reply",
    suppressReply: "nd.suppress-reply",
    relayRequest: "nd.relay-request",
    relayReply: "nd.relay-reply",
    solicit: "nd.solicit",
    announce: "nd.announce",
    defend: "nd.defend",
    ignored: "nd.ignored",
  } as const;
  readonly drops = {
    malformed: DROP.nd_malformed,
    notLocal: DROP.nd_not_local,
    gatewaySpoof: DROP.nd_gw_spoof,
    limit: DROP.arp_limit,
  };
  readonly check = checkNd;
  private readonly bytes = new Uint8Array(ND_MAX_BYTES);

  speaksOf(ip: Ip): boolean {
    return typeof ip === "bigint";
  }

  parse(frame: Uint8Array): Message | null {
    const nd = parseNd(frame, 0, frame.length);
    if (nd?.type === ICMP6_NEIGHBOR_SOLICITATION) return askedBy(nd);
    return nd?.type === ICMP6_NEIGHBOR_ADVERTISEMENT ? toldBy(nd) : null;
  }

  /** Questions to a group are; everything else comes here as a copy. */
  isHeldBack(frame: Uint8Array): boolean {
    const nd = parseNd(frame, 0, frame.length);
    return nd !== null && nd.type === ICMP6_NEIGHBOR_SOLICITATION && isGroup(nd.ethDst);
  }

  emit(message: Message): Uint8Array {
    const isAsking = message.kind === "question" || message.kind === "probe";
    return this.bytes.subarray(0, isAsking ? this.ask(message) : this.tell(message));
  }

  private ask(message: Extract<Message, { kind: "question" | "probe" }>): number {
    const { sender, from, to, senderMac, nonce = null } = message;
    const target = asIpv6(message.target);
    const src = sender === null ? UNSPECIFIED : asIpv6(sender);
    // A host is asked whether it is still there at its own address (§7.3.3), who probes speaks to the group (RFC 4862 §5.4.2).
    const dst = to === null || sender === null ? solicitedNode(target) : target;
    const around = { ethDst: to ?? groupMac(dst), ethSrc: from, src, dst };
    return emitSolicitation(this.bytes, 0, around, { target, mac: sender === null ? null : senderMac, nonce });
  }

  private tell(message: Extract<Message, { kind: "answer" | "announcement" }>): number {
    const { kind, sender, from, to, senderMac, isRouter = false, by = sender } = message;
    const asker = kind === "answer" && message.target !== null ? asIpv6(message.target) : null;
    const dst = asker ?? ALL_NODES;
    const around = { ethDst: to ?? groupMac(dst), ethSrc: from, src: asIpv6(by), dst };
    const flags = { isRouter, isSolicited: asker !== null, isOverride: true };
    return emitAdvertisement(this.bytes, 0, around, { target: asIpv6(sender), ...flags, mac: senderMac });
  }
}

function askedBy({ ethDst, ethSrc, src, target, mac, nonce }: NdEnvelope & NeighborSolicitation): Message {
  const envelope = { ...envelopeOf(ethDst, ethSrc, mac), ...(nonce !== null && { nonce }) };
  return src === UNSPECIFIED
    ? { kind: "probe", sender: null, target, ...envelope }
    : { kind: "question", sender: src, target, ...envelope };
}

function toldBy({ ethDst, ethSrc, dst, target, mac, isRouter }: NdEnvelope & NeighborAdvertisement): Message {
  const envelope = { ...envelopeOf(ethDst, ethSrc, mac), isRouter };
  if (isMulticast6(dst) && isGroup(ethDst)) return { kind: "announcement", sender: target, target, ...envelope };
  return { kind: "answer", sender: target, target: askerAt(dst), ...envelope };
}

function askerAt(dst: Ipv6): Ipv6 | null {
  return isMulticast6(dst) ? null : dst;
}

/** Without the option (§4.3, §4.4: where the other one has it) it is the frame that tells. */
function envelopeOf(ethDst: Mac, ethSrc: Mac, mac: Mac | null) {
  return { senderMac: mac ?? ethSrc, from: ethSrc, to: isGroup(ethDst) ? null : ethDst };
}
