/**
 * The ground the addon's tests stand on: opening things that are closed after the test, and writing send records.
 */
import { existsSync } from "node:fs";
import { afterEach } from "vitest";
import * as native from "../../src/io/native.ts";
import * as io from "../../src/io/port-io.ts";
import * as taps from "../../src/io/tap.ts";
import * as underlays from "../../src/io/underlay.ts";

/** Why the tests that need the kernel cannot run here, or undefined. */
export const missing =
  process.getuid?.() !== 0
    ? "needs root"
    : !existsSync("/dev/net/tun")
      ? "/dev/net/tun is missing"
      : !existsSync(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url))
        ? "the addon is not built (npm run build)"
        : undefined;

/** Whatever a test opened, closed after it. */
export const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

export function openTap(request: taps.TapRequest): taps.Tap {
  const tap = taps.openTap(request);
  cleanups.push(() => tap.fds.map(native.closeFd));
  return tap;
}

export function openUnderlay(
  address: string,
  port = 4789,
  count = 2,
  sums: Pick<underlays.UnderlayRequest, "zeroChecksum" | "acceptsZeroChecksum"> = {},
): underlays.Underlay {
  const underlay = underlays.openUnderlay({ address, port, sourcePorts: { first: 50000, count }, ...sums });
  cleanups.push(() => [underlay.fd, ...underlay.txFds].map(native.closeFd));
  return underlay;
}

export function createIo(request: Partial<native.PortIoRequest> = {}): native.NativePortIo & { bell: number } {
  const bell = native.openDoorbell();
  const made = native.createPortIo({ doorbell: bell, innerMtu: 1450, ...request });
  cleanups.push(() => {
    made.destroy();
    native.closeFd(bell);
  });
  return Object.assign(made, { bell });
}

/** Offset of word `word` of frame or record `index`. */
export const f = (index: number, word: number): number => index * io.FRAME_WORDS + word;
export const s = (index: number, word: number): number => index * io.SEND_WORDS + word;

export function bytesOf(one: io.PortIo, index: number): Buffer {
  const at = one.frames[f(index, io.F_AT)]!;
  return Buffer.from(one.arena.subarray(at, at + one.frames[f(index, io.F_LENGTH)]!));
}

interface SendRecord {
  at: number;
  length: number;
  port: number;
  flags?: number;
  gsoSize?: number;
  tos?: number;
  entropy?: number;
  csumStart?: number;
  csumOffset?: number;
  chain?: number;
  units?: number;
}

export function putSend(one: io.PortIo, index: number, record: SendRecord): void {
  const { at, length, port, flags = 0, gsoSize = 0, tos = 0, entropy = 0 } = record;
  const { csumStart = 0, csumOffset = 0, chain = 0, units = 1 } = record;
  one.sends.set(
    [at, length, port, flags, gsoSize, tos, entropy, csumStart, csumOffset, chain, units, -1, -1],
    index * 16,
  );
}

export function attachPeer(one: io.PortIo, port: number, address: string, udpPort = 4789): number {
  const bytes = address.includes(":") ? v6(address) : address.split(".").map(Number);
  one.arena.set(bytes, one.scratchAt);
  return one.attachPeer(port, one.scratchAt, bytes.length, udpPort);
}

function v6(text: string): number[] {
  const [left, right = ""] = text.split("::") as [string, string?];
  const words = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const a = words(left);
  const b = words(right);
  const all = [...a, ...new Array<string>(8 - a.length - b.length).fill("0"), ...b];
  return all.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff]);
}

/** Send, then exchange until `wanted` frames arrived or a second passed; the batch's contents through `take`. */
export function receive(one: io.PortIo, wanted: number, take: (index: number) => void = () => {}, sends = 0): number {
  let got = 0;
  for (let idle = 0; got < wanted && idle < 20; sends = 0) {
    const count = one.exchange(sends, 50);
    for (let i = 0; i < count; i++) take(i);
    got += count;
    if (count === 0) idle++;
  }
  return got;
}

/** A VXLAN packet: VNI 10, an Ethernet frame of an experimental EtherType, `length` bytes in all, marked. */
export function vxlanPacket(length: number, mark: number): Buffer {
  const bytes = Buffer.alloc(length, mark & 0xff);
  bytes.set([8, 0, 0, 0, 0, 0, 10, 0]);
  if (length >= 22) bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5], 8);
  if (length >= 26) bytes.writeUInt32BE(mark, 22);
  return bytes;
}
