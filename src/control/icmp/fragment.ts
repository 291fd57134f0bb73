/**
 * Cutting an IPv4 packet into fragments (RFC 791 §3.2, RFC 1812 §4.2.2.7).
 *
 * Every fragment but the last carries a multiple of eight bytes; non-first fragments keep only the options with the copied
 * flag; a packet that is a fragment already keeps its offset, and its More Fragments flag on the last piece. A checksum
 * that the sender left to the device must be finished first: afterwards its bytes are spread over packets.
 */
import { setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES } from "../../wire/ethernet.ts";
import {
  copyFragmentOptions,
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  headerBytes,
  IP_FRAGMENT,
  IP_LENGTH,
  IPV4_BYTES,
  setHeaderChecksum,
  sum16,
} from "../../wire/ipv4.ts";

/**
 * The Ethernet frames that carry the packet of `frame` in pieces of at most `mtu` bytes.
 * @returns null when the MTU leaves no room for eight bytes of payload. The packet has passed `checkIpv4`.
 */
export function fragmentIpv4(frame: Uint8Array, mtu: number): Uint8Array[] | null {
  const l3 = ETH_BYTES;
  const header = headerBytes(frame, l3);
  const total = u16(frame, l3 + IP_LENGTH);
  const word = u16(frame, l3 + IP_FRAGMENT);
  // The head of non-first fragments: the copied options are gathered right behind a second copy of the head.
  const heads = new Uint8Array(2 * (ETH_BYTES + header));
  heads.set(frame.subarray(0, ETH_BYTES + header));
  const laterHead = heads.subarray(ETH_BYTES + header);
  laterHead.set(frame.subarray(0, ETH_BYTES + IPV4_BYTES));
  const optionsAt = ETH_BYTES + header + ETH_BYTES + IPV4_BYTES;
  const laterHeader = IPV4_BYTES + copyFragmentOptions(heads, l3, optionsAt);
  laterHead[l3] = 0x40 | (laterHeader >> 2);
  const pieces: Uint8Array[] = [];
  let at = header;
  while (at < total) {
    const first = at === header;
    const head = first ? frame.subarray(0, ETH_BYTES + header) : laterHead.subarray(0, ETH_BYTES + laterHeader);
    const headBytes = first ? header : laterHeader;
    let length = total - at;
    if (headBytes + length > mtu) length = (mtu - headBytes) & ~7;
    if (length <= 0) return null;
    const piece = new Uint8Array(ETH_BYTES + headBytes + length);
    piece.set(head);
    piece.set(frame.subarray(l3 + at, l3 + at + length), ETH_BYTES + headBytes);
    const more = at + length < total ? FRAGMENT_MF : word & FRAGMENT_MF;
    const offset = (word & FRAGMENT_OFFSET) + ((at - header) >> 3);
    setU16(piece, l3 + IP_LENGTH, headBytes + length);
    setU16(piece, l3 + IP_FRAGMENT, (word & 0x8000) | more | offset);
    setHeaderChecksum(piece, l3);
    pieces.push(piece);
    at += length;
  }
  return pieces;
}

/**
 * Finish an L4 checksum that holds only its pseudo-header sum (virtio NEEDS_CSUM): from `start` to the packet's end, stored
 * at `field`, all counted from the Ethernet header. @returns false when they do not lie inside the packet.
 */
export function finishChecksum(frame: Uint8Array, start: number, field: number): boolean {
  const end = ETH_BYTES + u16(frame, ETH_BYTES + IP_LENGTH);
  if (start < ETH_BYTES + IPV4_BYTES || field < start || field + 2 > end || end > frame.length) return false;
  const sum = ~sum16(frame, start, end - start, 0) & 0xffff;
  // RFC 768: a computed zero is sent as all ones. For TCP both mean the same.
  setU16(frame, field, sum === 0 ? 0xffff : sum);
  return true;
}
