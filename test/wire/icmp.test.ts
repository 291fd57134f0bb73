/** What may be answered with an ICMP error, and what such an error may contain (RFC 1812 §4.3.2). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emitIcmpError, emitIpv4, ICMP_ERROR_MAX_BYTES, mayAnswerError } from "../../src/wire/icmp.ts";
import { PROTO_ICMP, PROTO_TCP, PROTO_UDP, parseIpv4, setHeaderChecksum } from "../../src/wire/ipv4.ts";
import { dirty, naiveChecksum, toHex } from "./hex.ts";

const ip = (text: string): number => parseIpv4(text)!;

type Fields = { from?: string; to?: string; protocol?: number; fragment?: number; type?: number; payload?: number };

function packet(f: Fields): Uint8Array {
  const payload = f.payload ?? 8;
  const bytes = dirty(20 + payload);
  emitIpv4(
    bytes,
    0,
    20 + payload,
    ip(f.from ?? "10.1.1.11"),
    ip(f.to ?? "20.1.1.12"),
    f.protocol ?? PROTO_UDP,
    0,
    1,
    7,
    f.fragment ?? 0,
  );
  if (payload > 0) bytes[20] = f.type ?? 8;
  return bytes;
}

const may = (f: Fields): boolean => mayAnswerError(packet(f), 0);

describe("mayAnswerError", () => {
  it("an ordinary packet may, also with DF, also the first fragment", () => {
    expect(may({})).toBe(true);
    expect(may({ protocol: PROTO_TCP })).toBe(true);
    expect(may({ fragment: 0x4000 })).toBe(true);
    expect(may({ fragment: 0x2000 })).toBe(true);
    expect(may({ protocol: 132 })).toBe(true);
  });

  it("a non-first fragment may not", () => {
    for (const fragment of [1, 0x1fff, 0x2001, 0x4001]) expect(may({ fragment }), `${fragment}`).toBe(false);
  });

  it("of ICMP only queries may: errors, redirects and what is unknown not", () => {
    const queries = [0, 8, 13, 14, 15, 16, 17, 18];
    for (let type = 0; type < 256; type++)
      expect(may({ protocol: PROTO_ICMP, type }), `type ${type}`).toBe(queries.includes(type));
    expect(may({ protocol: PROTO_ICMP, payload: 0 }), "no type at all").toBe(false);
  });

  it("the type of an ICMP is read behind the options", () => {
    const bytes = dirty(32);
    emitIpv4(bytes, 0, 32, ip("10.1.1.11"), ip("20.1.1.12"), PROTO_ICMP, 0, 1, 7);
    bytes[0] = 0x46;
    bytes.set([8, 1, 1, 0], 20);
    bytes[24] = 3;
    setHeaderChecksum(bytes, 0);
    expect(mayAnswerError(bytes, 0)).toBe(false);
    bytes[24] = 8;
    expect(mayAnswerError(bytes, 0)).toBe(true);
  });

  it("to a group, broadcast or loopback it may not", () => {
    for (const to of ["224.0.0.1", "239.255.255.255", "255.255.255.255", "127.0.0.1"])
      expect(may({ to }), to).toBe(false);
    expect(may({ to: "223.255.255.255" })).toBe(true);
  });

  it("from no address, loopback, a group, class E or broadcast it may not", () => {
    for (const from of ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"])
      expect(may({ from }), from).toBe(false);
    expect(may({ from: "223.255.255.254" })).toBe(true);
  });
});

describe("emitIcmpError", () => {
  it("quotes a prefix of the packet, at most 576 bytes in all, with two right checksums, and nothing behind the packet", () => {
    fc.assert(
      fc.property(
        fc.nat(1400),
        fc.nat(60),
        fc.constantFrom([3, 0], [3, 1], [3, 4], [3, 13], [11, 0]),
        (payload, padding, kind) => {
          const quoted = new Uint8Array(20 + payload + padding).fill(0xee);
          quoted.set(packet({ payload }));
          for (let i = 21; i < 20 + payload; i++) quoted[i] = i * 7;
          const out = dirty(700);
          const [type, code] = kind as [number, number];
          const n = emitIcmpError(out, 5, quoted, 0, ip("10.1.1.1"), type, code, 1450);
          expect(n).toBe(Math.min(28 + 20 + payload, ICMP_ERROR_MAX_BYTES));
          expect(toHex(out, 33, 5 + n)).toBe(toHex(quoted, 0, n - 28));
          expect(naiveChecksum(out, 5, 20)).toBe(0);
          expect(naiveChecksum(out, 25, n - 20)).toBe(0);
          expect(toHex(out, 0, 5) + toHex(out, 5 + n)).toBe("a5".repeat(700 - n));
          expect([out[25], out[26], out[5 + 8], out[5 + 1]]).toEqual([type, code, 64, 0xc0]);
        },
      ),
    );
  });
});
