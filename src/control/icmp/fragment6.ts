/**
 * Cutting an IPv6 packet of our own into fragments (RFC 8200 §4.5). Routers never do that to a packet they forward; a source may, and
 * an echo reply of 8 KB has us as its source. Only the fixed header stands in front of the fragment header.
 */
import { setI32, setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES } from "../../wire/ethernet.ts";
import { FRAGMENT, IP6_LENGTH, IP6_NEXT, IPV6_BYTES } from "../../wire/ipv6.ts";

const FRAGMENT_BYTES = 8;

/** The Ethernet frames that carry the packet of `frame` in pieces of at most `mtu` bytes, which is 1280 at least. */
export function fragmentIpv6(frame: Uint8Array, mtu: number, identification: number): Uint8Array[] {
  const head = ETH_BYTES + IPV6_BYTES;
  const total = u16(frame, ETH_BYTES + IP6_LENGTH);
  const most = (mtu - IPV6_BYTES - FRAGMENT_BYTES) & ~7;
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < total; at += most) {
    const length = Math.min(most, total - at);
    const piece = new Uint8Array(head + FRAGMENT_BYTES + length);
    piece.set(frame.subarray(0, head));
    setU16(piece, ETH_BYTES + IP6_LENGTH, FRAGMENT_BYTES + length);
    piece[ETH_BYTES + IP6_NEXT] = FRAGMENT;
    piece[head] = frame[ETH_BYTES + IP6_NEXT]!;
    setU16(piece, head + 2, at | (at + length < total ? 1 : 0));
    setI32(piece, head + 4, identification);
    piece.set(frame.subarray(head + at, head + at + length), head + FRAGMENT_BYTES);
    pieces.push(piece);
  }
  return pieces;
}
