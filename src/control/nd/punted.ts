/** Neighbour discovery as it came by the CPU port: whose it is, and its checksum, which is never taken on trust. */
import { setU16, u16 } from "../../wire/bytes.ts";
import { ETH_BYTES } from "../../wire/ethernet.ts";
import { checksum6, ICMP6_ROUTER_SOLICITATION } from "../../wire/icmp6.ts";
import { IP6_LENGTH, IP6_NEXT, IPV6_BYTES, PROTO_ICMP6 } from "../../wire/ipv6.ts";
import type { HeldFrame } from "../inject.ts";

const L4 = ETH_BYTES + IPV6_BYTES;
/** Of the frame's flags word (ring.ts R_FLAGS): the sender left the checksum to us. */
const FLAG_UNFINISHED_CHECKSUM = 0x100;

export function isRouterSolicitation({ bytes }: Pick<HeldFrame, "bytes">): boolean {
  return bytes.length > L4 && isIcmp(bytes) && bytes[L4] === ICMP6_ROUTER_SOLICITATION;
}

/** A checksum that the VM left to its device is made first; any other is the sender's, and is looked at by the parser. */
export function finishChecksum({ bytes, flags }: HeldFrame): void {
  if ((flags & FLAG_UNFINISHED_CHECKSUM) === 0 || bytes.length < L4 + 4 || !isIcmp(bytes)) return;
  const length = u16(bytes, ETH_BYTES + IP6_LENGTH);
  if (length < 4 || L4 + length > bytes.length) return;
  setU16(bytes, L4 + 2, 0);
  setU16(bytes, L4 + 2, ~checksum6(bytes, ETH_BYTES, length) & 0xffff);
}

function isIcmp(bytes: Uint8Array): boolean {
  return bytes[ETH_BYTES + IP6_NEXT] === PROTO_ICMP6;
}
