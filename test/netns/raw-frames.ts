/**
 * Frames byte for byte, for the cases that no well-behaved kernel would send: made here, put on a device by a packet socket,
 * and found again in captures by a mark in their last bytes.
 */
import { fileURLToPath } from "node:url";
import { inside } from "../../src/lab/namespace.ts";
import { must } from "../../src/lab/process.ts";
import { setI32, setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { IPV4_BYTES, parseIpv4, pseudoSum, sum16 } from "../../src/wire/ipv4.ts";
import { ethernet, udpFrame } from "../dataplane/packets.ts";
import type { Bed } from "./bed.ts";

const SCRIPT = fileURLToPath(new URL("raw-send.py", import.meta.url));

export const mac = (text: string): Mac => parseMac(text)!;
export const ip = (text: string): number => parseIpv4(text)!;

/** Put frames on a device of a namespace, in their order. */
export async function sendRaw(
  bed: Bed,
  namespace: string,
  device: string,
  frames: readonly Uint8Array[],
): Promise<void> {
  const lines = frames.map((frame) => `${Buffer.from(frame).toString("hex")}\n`).join("");
  const [program, args] = inside(bed.name(namespace), "python3", [SCRIPT, device]);
  const sent = await must(program, args, 20_000, lines);
  if (Number(sent) !== frames.length) throw new Error(`${sent} of ${frames.length} frames were sent`);
}

/** The local experimental EtherType (IEEE 802): no kernel does anything about it. */
export const EXPERIMENTAL = 0x88b5;

/** A frame of 60 bytes of no known protocol, with `mark` behind its header. */
export function marked(dst: Mac, src: Mac, mark: number): Uint8Array {
  const frame = ethernet(dst, src, EXPERIMENTAL, 46);
  setI32(frame, ETH_BYTES, mark);
  return frame;
}

export interface Outer {
  readonly dst: Mac;
  readonly src: Mac;
  readonly from: number;
  readonly to: number;
  readonly vni: number;
  /** First 4 bytes of the VXLAN header; default: the I flag. */
  readonly flags?: number;
  readonly reserved?: number;
  readonly tos?: number;
  /** The UDP checksum: absent, right, or wrong by one. */
  readonly checksum?: "absent" | "right" | "wrong";
}

/** `inner` in VXLAN over IPv4, as its own Ethernet frame (RFC 7348 §5). */
export function encapsulated(inner: Uint8Array, outer: Outer): Uint8Array {
  const { vni, flags = 0x08000000, reserved = 0, tos = 0, checksum = "absent" } = outer;
  const payload = 8 + inner.length;
  const frame = udpFrame({ ...outer, tos, sport: 50_000, dport: 4789, payload });
  const l4 = ETH_BYTES + IPV4_BYTES;
  setI32(frame, l4 + 8, flags);
  setI32(frame, l4 + 12, (vni << 8) | reserved);
  frame.set(inner, l4 + 16);
  setU16(frame, l4 + 6, 0);
  if (checksum !== "absent") {
    const sum = ~sum16(frame, l4, 8 + payload, pseudoSum(frame, ETH_BYTES, 8 + payload)) & 0xffff;
    setU16(frame, l4 + 6, checksum === "right" ? sum || 0xffff : (sum + 1) & 0xffff || 1);
  }
  return frame;
}
