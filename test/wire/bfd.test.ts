/** BFD control packets to the byte, every field refused at its edge, and whatever random bytes may be. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BFD_BYTES, BFD_MALFORMED, type BfdPacket, DIAGNOSES, readBfd, STATES, writeBfd } from "../../src/wire/bfd.ts";

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const read = (bytes: Uint8Array) => readBfd(bytes, 0, bytes.length);

/** By hand: version 1, no diagnosis | Up, Poll | multiplier 3 | 24 bytes | 0x11223344 | 0xfedcba98 | 50 ms | 50 ms | no echo. */
const POLLING = "20 e0 03 18  11 22 33 44  fe dc ba 98  00 00 c3 50  00 00 c3 50  00 00 00 00";
/** Diagnosis 1 | Down | 5 | 24 | 7 | no session yet | 1 s | 300 ms | 50 ms. */
const EXPIRED = "21 40 05 18  00 00 00 07  00 00 00 00  00 0f 42 40  00 04 93 e0  00 00 c3 50";

const polling: BfdPacket = {
  ...{ diagnosis: "none", state: "up", poll: true, final: false, demand: false, multiplier: 3 },
  ...{ mine: 0x11223344, yours: 0xfedcba98, desiredMinTx: 50_000, requiredMinRx: 50_000, requiredMinEchoRx: 0 },
};
const expired: BfdPacket = {
  ...{ diagnosis: "detectionTimeExpired", state: "down", poll: false, final: false, demand: false, multiplier: 5 },
  ...{ mine: 7, yours: 0, desiredMinTx: 1_000_000, requiredMinRx: 300_000, requiredMinEchoRx: 50_000 },
};

/** `POLLING` with one byte changed. */
const withByte = (at: number, value: number): Uint8Array => {
  const bytes = bytesOf(POLLING);
  bytes[at] = value;
  return bytes;
};

describe("golden bytes", () => {
  it("are read and written", () => {
    for (const [hex, packet] of [
      [POLLING, polling],
      [EXPIRED, expired],
    ] as const) {
      expect(read(bytesOf(hex))).toEqual(packet);
      const out = new Uint8Array(BFD_BYTES + 2).fill(0xa5);
      writeBfd(packet, out, 1);
      expect([...out]).toEqual([0xa5, ...bytesOf(hex), 0xa5]);
    }
  });

  it("flags: final, demand, control plane independent", () => {
    expect(read(withByte(1, 0xd0))).toMatchObject({ state: "up", poll: false, final: true });
    expect(read(withByte(1, 0xc2))).toMatchObject({ demand: true });
    expect(read(withByte(1, 0xc8))).toMatchObject({ state: "up", demand: false, poll: false });
  });

  it("a diagnosis that is not assigned is no reason to refuse", () => {
    expect(read(withByte(0, 0x3f))).toMatchObject({ diagnosis: "reserved" });
  });

  it("bytes behind the packet's own length mean nothing", () => {
    expect(read(Uint8Array.from([...bytesOf(POLLING), 1, 2, 3]))).toEqual(polling);
  });
});

describe("refused (RFC 5880 §6.8.6)", () => {
  const cases: readonly (readonly [(typeof BFD_MALFORMED)[number], Uint8Array])[] = [
    ["too_short", bytesOf(POLLING).subarray(0, 23)],
    ["too_short", new Uint8Array(0)],
    ["version", withByte(0, 0x00)],
    ["version", withByte(0, 0x40)],
    ["length", withByte(3, 23)],
    ["length", withByte(3, 25)],
    ["length", withByte(1, 0xc4)],
    ["multiplier_zero", withByte(2, 0)],
    ["multipoint", withByte(1, 0xc1)],
    ["discriminator_zero", bytesOf(POLLING.replace("11 22 33 44", "00 00 00 00"))],
    ["no_session_named", bytesOf(POLLING.replace("fe dc ba 98", "00 00 00 00"))],
    ["no_session_named", bytesOf(EXPIRED.replace("21 40", "21 80"))],
    ["authenticated", bytesOf(`${POLLING.replace("20 e0 03 18", "20 e4 03 1a")} 01 02`)],
    ["poll_and_final", withByte(1, 0xf0)],
  ];
  it.each(cases)("%s", (reason, bytes) => {
    expect(read(bytes)).toBe(reason);
  });

  it("each has a case here", () => {
    expect(new Set(cases.map(([reason]) => reason))).toEqual(new Set(BFD_MALFORMED));
  });
});

it("whatever comes is a packet or a reason, and what is taken is written as it came", () => {
  const word = fc.integer({ min: 0, max: 0xffff_ffff });
  const good = fc.record({
    ...{ first: fc.integer({ min: 0, max: 31 }), flags: fc.integer({ min: 0, max: 255 }) },
    ...{ multiplier: fc.integer({ min: 0, max: 255 }), length: fc.integer({ min: 20, max: 30 }) },
    words: fc.array(word, { minLength: 5, maxLength: 7 }),
  });
  const nearly = good.map(({ first, flags, multiplier, length, words }) => {
    const bytes = Buffer.alloc(4 + words.length * 4);
    bytes.set([0x20 | first, flags, multiplier, length]);
    for (const [i, each] of words.entries()) bytes.writeUInt32BE(each, 4 + i * 4);
    return Uint8Array.from(bytes);
  });
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof(nearly, fc.uint8Array({ maxLength: 64 })), (bytes) => {
      const packet = read(bytes);
      if (typeof packet === "string") return BFD_MALFORMED.includes(packet);
      taken++;
      const out = new Uint8Array(BFD_BYTES);
      writeBfd(packet, out, 0);
      expect(STATES).toContain(packet.state);
      const same = read(out);
      expect(same).toEqual(packet.diagnosis === "reserved" ? { ...packet, diagnosis: DIAGNOSES[0] } : packet);
      return true;
    }),
    { numRuns: 20_000 },
  );
  expect(taken).toBeGreaterThan(100);
});
