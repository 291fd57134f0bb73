/**
 * The few L4 fields that policies, the MSS clamp and the flow hash need (RFC 768, RFC 9293).
 *
 * All offsets are of the L4 header. Nothing here is read from a non-first fragment: its first bytes are payload.
 */
import { setU16, u16 } from "./bytes.ts";

export const UDP_BYTES = 8;
export const TCP_BYTES = 20;
export const L4_SRC_PORT = 0;
export const L4_DST_PORT = 2;
export const TCP_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_CHECKSUM = 16;
export const TCP_SYN = 0x02;

/**
 * Lower the MSS option of a TCP SYN at `at` to `mss` if it is larger, and repair the checksum (RFC 9293 §3.7.1,
 * RFC 1624) unless it is `unfinished` (holds only the pseudo-header sum, which no option is part of).
 * `end` is one past the last received byte of the segment. @returns true if the segment was changed.
 */
export function clampMss(bytes: Uint8Array, at: number, end: number, mss: number, unfinished: boolean): boolean {
  if (end - at < TCP_BYTES || (bytes[at + TCP_FLAGS]! & TCP_SYN) === 0) return false;
  const optionsEnd = at + ((bytes[at + TCP_OFFSET]! >> 4) << 2);
  if (optionsEnd > end) return false;
  let i = at + TCP_BYTES;
  while (i + 1 < optionsEnd) {
    const kind = bytes[i]!;
    if (kind === 0) return false;
    if (kind === 1) {
      i++;
      continue;
    }
    const length = bytes[i + 1]!;
    if (length < 2 || i + length > optionsEnd) return false;
    if (kind === 2 && length === 4) {
      const old = u16(bytes, i + 2);
      if (old <= mss) return false;
      setU16(bytes, i + 2, mss);
      if (!unfinished) repairChecksum(bytes, at + TCP_CHECKSUM, old, mss, ((i + 2 - at) & 1) === 1);
      return true;
    }
    i += length;
  }
  return false;
}

/** RFC 1624 eqn. 3 for one 16-bit word; a word at an odd offset counts with its bytes swapped. */
function repairChecksum(bytes: Uint8Array, at: number, old: number, now: number, odd: boolean): void {
  const m = odd ? ((old & 255) << 8) | (old >> 8) : old;
  const n = odd ? ((now & 255) << 8) | (now >> 8) : now;
  let sum = (~u16(bytes, at) & 0xffff) + (~m & 0xffff) + n;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  setU16(bytes, at, ~sum & 0xffff);
}
