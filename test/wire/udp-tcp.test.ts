/** The MSS clamp: only on SYNs, only downwards, only where the options really are. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clampMss } from "../../src/wire/udp-tcp.ts";
import { dirty, naiveChecksum, toHex } from "./hex.ts";

const PSEUDO = [10, 1, 1, 11, 20, 1, 1, 12, 0, 6];

/** A TCP segment behind its pseudo-header, with a right checksum. The segment starts at 12. */
function segment(options: number[], flags = 2): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const length = 20 + padded.length;
  const bytes = new Uint8Array(12 + length);
  bytes.set([...PSEUDO, 0, length]);
  bytes.set([3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, (length >> 2) << 4, flags, 255, 255, 0, 0, 0, 0, ...padded], 12);
  const checksum = naiveChecksum(bytes);
  bytes[12 + 16] = checksum >> 8;
  bytes[12 + 17] = checksum;
  return bytes;
}

const clamp = (bytes: Uint8Array, mss: number, end = bytes.length): boolean => clampMss(bytes, 12, end, mss, false);

describe("clampMss", () => {
  it("lowers any larger MSS at any place among the options, and the checksum stays right", () => {
    fc.assert(
      fc.property(fc.nat(65535), fc.nat(65535), fc.nat(9), fc.boolean(), (was, mss, nops, scale) => {
        const options = [...new Array<number>(nops).fill(1), ...(scale ? [3, 3, 7] : []), 2, 4, was >> 8, was & 255];
        const bytes = segment(options);
        const at = 12 + 20 + options.length - 2;
        const changed = clamp(bytes, mss);
        expect(changed).toBe(was > mss);
        expect((bytes[at]! << 8) | bytes[at + 1]!).toBe(Math.min(was, mss));
        expect(naiveChecksum(bytes) % 0xffff).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("leaves an unfinished checksum alone: it is the pseudo-header's", () => {
    const bytes = segment([2, 4, 5, 0xb4]);
    const before = toHex(bytes, 28, 30);
    expect(clampMss(bytes, 12, bytes.length, 1410, true)).toBe(true);
    expect(toHex(bytes, 28, 30)).toBe(before);
  });

  it("also on SYN+ACK; on nothing without SYN", () => {
    expect(clamp(segment([2, 4, 5, 0xb4], 0x12), 1410)).toBe(true);
    for (let flags = 0; flags < 256; flags++)
      expect(clamp(segment([2, 4, 5, 0xb4], flags), 1410), `flags ${flags}`).toBe((flags & 2) !== 0);
  });

  it("changes nothing in an option list that does not parse, ends early, or is cut off", () => {
    for (const options of [
      [0, 2, 4, 5, 0xb4],
      [8, 0, 2, 4, 5, 0xb4],
      [8, 1, 2, 4, 5, 0xb4],
      [8, 40, 2, 4, 5, 0xb4],
      [2, 3, 5, 0xb4],
      [2, 6, 5, 0xb4],
      [1, 1, 1, 2],
    ]) {
      const bytes = segment(options);
      const before = toHex(bytes);
      expect(clamp(bytes, 500), options.join()).toBe(false);
      expect(toHex(bytes)).toBe(before);
    }
  });

  it("never reads or writes past the received bytes, at any truncation and data offset", () => {
    const whole = segment([1, 1, 1, 2, 4, 5, 0xb4, 1]);
    for (let offset = 0; offset < 16; offset++) {
      for (let end = 12; end <= whole.length; end++) {
        const bytes = dirty(whole.length + 64);
        bytes.set(whole);
        bytes[24] = offset << 4;
        // Behind `end` lies something that looks like an MSS option.
        for (let i = end; i + 4 <= bytes.length; i += 4) bytes.set([2, 4, 0xff, 0xff], i);
        const tail = toHex(bytes, end);
        const changed = clampMss(bytes, 12, end, 536, false);
        expect(toHex(bytes, end)).toBe(tail);
        expect(changed && end < 12 + Math.max(20, offset * 4), `offset ${offset} end ${end}`).toBe(false);
      }
    }
  });

  it("survives noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(65535), (noise, mss) => {
        const bytes = dirty(noise.length + 8);
        bytes.set(noise);
        clampMss(bytes, 0, noise.length, mss, false);
        expect(toHex(bytes, noise.length)).toBe("a5".repeat(8));
      }),
    );
  });
});
