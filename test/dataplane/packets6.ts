/** Hand-made IPv6 frames of the data plane's tests. */
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, type Mac } from "../../src/wire/ethernet.ts";
import { checksum6 } from "../../src/wire/icmp6.ts";
import {
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  parseIpv6,
  writeIpv6,
} from "../../src/wire/ipv6.ts";
import { fromHex } from "../wire/hex.ts";
import { ethernet } from "./packets.ts";

export interface Packet6 {
  readonly dst: Mac;
  readonly src: Mac;
  readonly from: string;
  readonly to: string;
  /** The next header, and what stands behind the fixed header: hex, or bytes. */
  readonly next: number;
  readonly rest: string | Uint8Array;
  readonly hops?: number;
  readonly trafficClass?: number;
  readonly label?: number;
}

export function packet6({
  dst,
  src,
  from,
  to,
  next,
  rest,
  hops = 64,
  trafficClass = 0,
  label = 0,
}: Packet6): Uint8Array {
  const payload = typeof rest === "string" ? fromHex(rest) : rest;
  const frame = ethernet(dst, src, 0x86dd, IPV6_BYTES + payload.length);
  const at = ETH_BYTES;
  setU16(frame, at, (6 << 12) | (trafficClass << 4) | (label >> 16));
  setU16(frame, at + 2, label & 0xffff);
  setU16(frame, at + IP6_LENGTH, payload.length);
  frame[at + IP6_NEXT] = next;
  frame[at + IP6_HOPS] = hops;
  writeIpv6(frame, at + IP6_SRC, parseIpv6(from)!);
  writeIpv6(frame, at + IP6_DST, parseIpv6(to)!);
  frame.set(payload, at + IPV6_BYTES);
  return frame;
}

/** A UDP datagram between two hosts; `payload` counted bytes. */
export function udp6(
  f: Omit<Packet6, "next" | "rest"> & { sport?: number; dport?: number; payload?: number },
): Uint8Array {
  const length = 8 + (f.payload ?? 10);
  const rest = new Uint8Array(length);
  setU16(rest, 0, f.sport ?? 1000);
  setU16(rest, 2, f.dport ?? 2000);
  setU16(rest, 4, length);
  for (let i = 8; i < length; i++) rest[i] = i - 8;
  return sealed(packet6({ ...f, next: 17, rest }), ETH_BYTES + IPV6_BYTES + 6, length);
}

/** A TCP segment without data: a SYN with an MSS option, unless `flags` says otherwise. */
export function syn6(f: Omit<Packet6, "next" | "rest"> & { mss: number; flags?: number }): Uint8Array {
  const rest = fromHex("03e8 07d0 00000001 00000000 6002 ffff 0000 0000 0204 0000");
  rest[13] = f.flags ?? 2;
  setU16(rest, 22, f.mss);
  return sealed(packet6({ ...f, next: 6, rest }), ETH_BYTES + IPV6_BYTES + 16, rest.length);
}

/** With a right checksum at `at`. */
export function sealed(frame: Uint8Array, at: number, length: number): Uint8Array {
  setU16(frame, at, ~checksum6(frame, ETH_BYTES, length, frame[ETH_BYTES + IP6_NEXT]!) & 0xffff);
  return frame;
}
