/** UDP datagrams over IPv6, whole: udp.ts's twin. There is no datagram without a checksum (RFC 8200 §8.1). */
import { setU16, u16 } from "./bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV6 } from "./ethernet.ts";
import { checksum6 } from "./icmp6.ts";
import { PROTO_UDP } from "./ipv4.ts";
import { IP6_DST, IP6_HOPS, IP6_LENGTH, IP6_NEXT, IP6_SRC, IPV6_BYTES, type Ipv6, writeIpv6 } from "./ipv6.ts";
import { UDP_CHECKSUM, UDP_LENGTH } from "./udp.ts";
import { L4_DST_PORT, L4_SRC_PORT, UDP_BYTES } from "./udp-tcp.ts";

export interface Udp6Ends {
  readonly from: Ipv6;
  readonly fromPort: number;
  readonly to: Ipv6;
  readonly toPort: number;
}

/** A frame with this datagram in an IPv6 packet; its MAC addresses are still zero. */
export function udp6Frame({ from, fromPort, to, toPort }: Udp6Ends, payload: Uint8Array, hops: number): Uint8Array {
  const length = UDP_BYTES + payload.length;
  const frame = new Uint8Array(ETH_BYTES + IPV6_BYTES + length);
  setU16(frame, ETH_TYPE, TYPE_IPV6);
  frame[ETH_BYTES] = 0x60;
  setU16(frame, ETH_BYTES + IP6_LENGTH, length);
  frame[ETH_BYTES + IP6_NEXT] = PROTO_UDP;
  frame[ETH_BYTES + IP6_HOPS] = hops;
  writeIpv6(frame, ETH_BYTES + IP6_SRC, from);
  writeIpv6(frame, ETH_BYTES + IP6_DST, to);
  const at = ETH_BYTES + IPV6_BYTES;
  setU16(frame, at + L4_SRC_PORT, fromPort);
  setU16(frame, at + L4_DST_PORT, toPort);
  setU16(frame, at + UDP_LENGTH, length);
  frame.set(payload, at + UDP_BYTES);
  const sum = ~checksum6(frame, ETH_BYTES, length, PROTO_UDP) & 0xffff;
  setU16(frame, at + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
  return frame;
}

/**
 * Payload of the datagram that stands directly behind the fixed header of the IPv6 packet at `ip`.
 * @param isTrusted its checksum is not finished yet. @returns null: it is none, is cut off, or its checksum is wrong.
 */
export function udp6Payload(bytes: Uint8Array, ip: number, isTrusted: boolean): Uint8Array | null {
  const at = ip + IPV6_BYTES;
  if (bytes.length < at + UDP_BYTES || bytes[ip]! >> 4 !== 6 || bytes[ip + IP6_NEXT] !== PROTO_UDP) return null;
  const room = u16(bytes, ip + IP6_LENGTH);
  const length = u16(bytes, at + UDP_LENGTH);
  if (room > bytes.length - at || length < UDP_BYTES || length > room) return null;
  if (!isTrusted && u16(bytes, at + UDP_CHECKSUM) === 0) return null;
  if (!isTrusted && checksum6(bytes, ip, length, PROTO_UDP) !== 0xffff) return null;
  return bytes.subarray(at + UDP_BYTES, at + length);
}
