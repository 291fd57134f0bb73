/**
 * The VXLAN header (RFC 7348 §5), eight bytes between UDP and the inner Ethernet header:
 *
 *     0 flags (0x08: I)   1 reserved (24)   4 VNI (24)   7 reserved (8)
 */
import { u24 } from "./bytes.ts";

export const VXLAN_HEADER_BYTES = 8;
export const VXLAN_PORT = 4789;
export const VNI_MAX = 0xffffff;
const FLAG_I = 0x08;

/** Is the I flag set, so that the VNI is valid? */
export function hasVni(bytes: Uint8Array, at: number): boolean {
  return (bytes[at]! & FLAG_I) !== 0;
}

/** Is anything but the I flag and the VNI set? RFC 7348 says ignore; Linux and `strictReserved` drop. */
export function hasReservedBits(bytes: Uint8Array, at: number): boolean {
  return (bytes[at]! & ~FLAG_I) !== 0 || u24(bytes, at + 1) !== 0 || bytes[at + 7] !== 0;
}

export function vniAt(bytes: Uint8Array, at: number): number {
  return u24(bytes, at + 4);
}

/** Two stores of 32 bits: every encapsulated frame passes here. */
export function emitVxlan(view: DataView, at: number, vni: number): void {
  view.setInt32(at, FLAG_I << 24);
  view.setInt32(at + 4, vni << 8);
}
