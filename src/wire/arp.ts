/**
 * ARP for IPv4 over Ethernet (RFC 826), 28 bytes behind the Ethernet header:
 *
 *     0 htype=1  2 ptype=0x0800  4 hlen=6  5 plen=4  6 op
 *     8 SHA      14 SPA          18 THA    24 TPA
 *
 * The message is parsed once, into an object: ARP is handled by control, where objects are allowed.
 */
import { i32, setI32, setU16, u16 } from "./bytes.ts";
import { ETH_BYTES, ETH_DST, ETH_SRC, ETH_TYPE, type Mac, readMac, TYPE_ARP, writeMac } from "./ethernet.ts";
import type { Ipv4 } from "./ipv4.ts";

export const ARP_BYTES = 28;
export const ARP_FRAME_BYTES = ETH_BYTES + ARP_BYTES;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
/** From the message on. */
export const ARP_SENDER_MAC = 8;
export const ARP_SENDER_IP = 14;

/** One ARP frame, Ethernet header included. */
export type Arp = {
  readonly ethDst: Mac;
  readonly ethSrc: Mac;
  readonly op: number;
  readonly senderMac: Mac;
  readonly senderIp: Ipv4;
  readonly targetMac: Mac;
  readonly targetIp: Ipv4;
};

/** Is the message at `at` about IPv4 over Ethernet, with addresses of these lengths? */
export function isIpv4Arp(bytes: Uint8Array, at: number): boolean {
  return u16(bytes, at) === 1 && u16(bytes, at + 2) === 0x0800 && bytes[at + 4] === 6 && bytes[at + 5] === 4;
}

/** The ARP frame in `bytes[at, end)`, or null if it is not exactly IPv4 over Ethernet, request or reply. Trailing bytes do not matter. */
export function parseArp(bytes: Uint8Array, at: number, end: number): Arp | null {
  if (end - at < ARP_FRAME_BYTES) return null;
  const m = at + ETH_BYTES;
  if (!isIpv4Arp(bytes, m)) return null;
  const op = u16(bytes, m + 6);
  if (op !== ARP_REQUEST && op !== ARP_REPLY) return null;
  return {
    ethDst: readMac(bytes, at + ETH_DST),
    ethSrc: readMac(bytes, at + ETH_SRC),
    op,
    senderMac: readMac(bytes, m + ARP_SENDER_MAC),
    senderIp: i32(bytes, m + ARP_SENDER_IP),
    targetMac: readMac(bytes, m + 18),
    targetIp: i32(bytes, m + 24),
  };
}

/** Write an ARP frame of ARP_FRAME_BYTES at `at`; every byte of it is written. */
export function emitArp(bytes: Uint8Array, at: number, arp: Arp): number {
  writeMac(bytes, at + ETH_DST, arp.ethDst);
  writeMac(bytes, at + ETH_SRC, arp.ethSrc);
  setU16(bytes, at + ETH_TYPE, TYPE_ARP);
  const m = at + ETH_BYTES;
  setU16(bytes, m, 1);
  setU16(bytes, m + 2, 0x0800);
  bytes[m + 4] = 6;
  bytes[m + 5] = 4;
  setU16(bytes, m + 6, arp.op);
  writeMac(bytes, m + 8, arp.senderMac);
  setI32(bytes, m + 14, arp.senderIp);
  writeMac(bytes, m + 18, arp.targetMac);
  setI32(bytes, m + 24, arp.targetIp);
  return ARP_FRAME_BYTES;
}
