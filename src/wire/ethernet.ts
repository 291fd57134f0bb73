/**
 * Ethernet II frames and MAC addresses.
 *
 *     0      6      12     14
 *     | dst  | src  | type | payload        without a tag
 *     0      6      12     14     16     18
 *     | dst  | src  | 8100 | tci  | type |  with an 802.1Q tag (IEEE 802.1Q §9.6)
 *
 * A MAC is two int32 at frame time: `hi` the first two bytes (0..65535), `lo` the last four (signed). At configuration
 * time and in control it is one number, hi * 2^32 + lo, which a double holds exactly and a Map takes as a key.
 */
import { i32, setI32, setU16, u16 } from "./bytes.ts";

export const ETH_BYTES = 14;
export const ETH_DST = 0;
export const ETH_SRC = 6;
export const ETH_TYPE = 12;
export const VLAN_TAG_BYTES = 4;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_VLAN = 0x8100;
export const TYPE_QINQ = 0x88a8;
export const TYPE_IPV6 = 0x86dd;
/** Less than the least type is a length (IEEE 802.3 §3.2.6). */
export const LEAST_TYPE = 0x0600;
const SNAP_BYTES = 8;

/** The Ethernet type in an LLC and SNAP header (RFC 1042: aa aa 03, organization 0) at `at`, behind a length; 0: there is none. */
export function snapType(bytes: Uint8Array, at: number, end: number): number {
  const isSnap = at + SNAP_BYTES <= end && i32(bytes, at) === (0xaaaa0300 | 0) && u16(bytes, at + 4) === 0;
  return isSnap ? u16(bytes, at + 6) : 0;
}

/** First two bytes of the MAC at `at`. */
export function macHi(bytes: Uint8Array, at: number): number {
  return u16(bytes, at);
}

/** Last four bytes of the MAC at `at`, signed. */
export function macLo(bytes: Uint8Array, at: number): number {
  return i32(bytes, at + 2);
}

export function setMac(bytes: Uint8Array, at: number, hi: number, lo: number): void {
  setU16(bytes, at, hi);
  setI32(bytes, at + 2, lo);
}

/** Group (multicast or broadcast) bit of a MAC's first half (IEEE 802 §8.2.2). */
export function isGroupHi(hi: number): boolean {
  return (hi & 0x0100) !== 0;
}

export function isBroadcast(hi: number, lo: number): boolean {
  return hi === 0xffff && lo === -1;
}

/** 01:80:c2:00:00:00-0f: link-local control protocols, never forwarded by a bridge (IEEE 802.1Q §8.6.3). */
export function isReserved(hi: number, lo: number): boolean {
  return hi === 0x0180 && (lo & 0xfffffff0) === (0xc2000000 | 0);
}

/** A MAC as one number (hi * 2^32 + unsigned lo), for control and configuration. */
export type Mac = number;
export const BROADCAST: Mac = 0xffffffffffff;

export function macOf(hi: number, lo: number): Mac {
  return hi * 0x100000000 + (lo >>> 0);
}

export function hiOf(mac: Mac): number {
  return Math.floor(mac / 0x100000000);
}

export function loOf(mac: Mac): number {
  return mac | 0;
}

/** The MAC at `at` as one number. */
export function readMac(bytes: Uint8Array, at: number): Mac {
  return macOf(macHi(bytes, at), macLo(bytes, at));
}

export function writeMac(bytes: Uint8Array, at: number, mac: Mac): void {
  setMac(bytes, at, hiOf(mac), loOf(mac));
}

export function isGroup(mac: Mac): boolean {
  return isGroupHi(hiOf(mac));
}

/** "02:00:00:00:01:11". */
export function formatMac(mac: Mac): string {
  const hex = mac.toString(16).padStart(12, "0");
  return hex.match(/../g)!.join(":");
}

/** The MAC that `text` spells (six hex pairs with ':' or '-'), or null. */
export function parseMac(text: string): Mac | null {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return null;
  return Number.parseInt(text.replace(/[:-]/g, ""), 16);
}
