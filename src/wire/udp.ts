/** UDP datagrams over IPv4, whole: what control sends and hears (RFC 768). */
import { setU16, u16 } from "./bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV4 } from "./ethernet.ts";
import { emitIpv4 } from "./icmp.ts";
import { headerBytes, IP_LENGTH, IPV4_BYTES, type Ipv4, PROTO_UDP, pseudoSum, sum16 } from "./ipv4.ts";
import { L4_DST_PORT, L4_SRC_PORT, UDP_BYTES } from "./udp-tcp.ts";

export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;

export interface UdpEnds {
  readonly from: Ipv4;
  readonly fromPort: number;
  readonly to: Ipv4;
  readonly toPort: number;
}

/** A frame with this datagram in an IPv4 packet; its MAC addresses are still zero. */
export function udpFrame({ from, fromPort, to, toPort }: UdpEnds, payload: Uint8Array, ttl: number): Uint8Array {
  const length = UDP_BYTES + payload.length;
  const frame = new Uint8Array(ETH_BYTES + IPV4_BYTES + length);
  setU16(frame, ETH_TYPE, TYPE_IPV4);
  emitIpv4(frame, ETH_BYTES, IPV4_BYTES + length, from, to, PROTO_UDP, 0, ttl, 0);
  const at = ETH_BYTES + IPV4_BYTES;
  setU16(frame, at + L4_SRC_PORT, fromPort);
  setU16(frame, at + L4_DST_PORT, toPort);
  setU16(frame, at + UDP_LENGTH, length);
  frame.set(payload, at + UDP_BYTES);
  const sum = ~sum16(frame, at, length, pseudoSum(frame, ETH_BYTES, length)) & 0xffff;
  // Zero says "no checksum".
  setU16(frame, at + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
  return frame;
}

/**
 * Payload of the datagram in the unfragmented IPv4 packet at `ip`, whose header was checked.
 * @param isTrusted its checksum is not finished yet. @returns null: too short, or its checksum is wrong.
 */
export function udpPayload(bytes: Uint8Array, ip: number, isTrusted: boolean): Uint8Array | null {
  const at = ip + headerBytes(bytes, ip);
  const room = ip + u16(bytes, ip + IP_LENGTH) - at;
  if (room < UDP_BYTES) return null;
  const length = u16(bytes, at + UDP_LENGTH);
  if (length < UDP_BYTES || length > room) return null;
  const isSummed = !isTrusted && u16(bytes, at + UDP_CHECKSUM) !== 0;
  if (isSummed && sum16(bytes, at, length, pseudoSum(bytes, ip, length)) !== 0xffff) return null;
  return bytes.subarray(at + UDP_BYTES, at + length);
}
