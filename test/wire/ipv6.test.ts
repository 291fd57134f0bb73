/** IPv6 headers and ICMPv6, by hand. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksum6, emitTooBig, ICMP6_ERROR_MAX_BYTES, mayAnswerTooBig } from "../../src/wire/icmp6.ts";
import { isSource6, LATER_FRAGMENT, readIpv6, UNDETERMINED, upperLayer, writeLinkLocal } from "../../src/wire/ipv6.ts";
import { fromHex as hex, toHex } from "./hex.ts";

const A = "fd000000000000000000000000000001";
const B = "fd000000000000000000000000000002";

/** A packet with `next` in its fixed header, and what stands behind it. */
function packet(next: number, rest: string, source = A): Uint8Array {
  const length = (rest.replaceAll(" ", "").length / 2).toString(16).padStart(4, "0");
  return hex(`60000000 ${length} ${next.toString(16).padStart(2, "0")} 40 ${source} ${B} ${rest}`);
}

const upper = (bytes: Uint8Array, end = bytes.length) => {
  const found = upperLayer(bytes, 0, end);
  return found < 0 ? found : [found & 0xff, found >> 8];
};

describe("the chain of headers", () => {
  const EMPTY = "0000000000000000";
  it.each([
    ["none", packet(17, ""), [17, 40]],
    ["hop-by-hop of 8 bytes", packet(0, `3a00000000000000 ${EMPTY}`), [58, 48]],
    ["of 24 bytes", packet(0, `3a02${"00".repeat(22)}`), [58, 64]],
    [
      "hop-by-hop, routing, destination options",
      packet(0, `2b00${"00".repeat(6)} 3c00${"00".repeat(6)} 0600${"00".repeat(6)}`),
      [6, 64],
    ],
    ["authentication: words of four bytes", packet(51, `3a04${"00".repeat(22)}`), [58, 64]],
    [
      "mobility, HIP, shim6",
      packet(135, `8b00${"00".repeat(6)} 8c00${"00".repeat(6)} 1100${"00".repeat(6)}`),
      [17, 64],
    ],
    ["the first fragment", packet(44, "3a00 0001 12345678 8600"), [58, 48]],
    ["an atomic fragment (RFC 6946), its second byte not a length", packet(44, "3aff 0000 12345678 8600"), [58, 48]],
    ["a later fragment", packet(44, "3a00 0008 12345678"), LATER_FRAGMENT],
    ["encrypted", packet(50, EMPTY), [50, 40]],
    ["no next header", packet(59, ""), [59, 40]],
    ["cut in the first header", packet(60, "3a000000"), UNDETERMINED],
    ["that says it is longer than the packet", packet(60, "3aff000000000000"), [58, 40 + 2048]],
    ["that goes on there", packet(60, "3cff000000000000"), UNDETERMINED],
  ])("%s", (_, bytes, found) => expect(upper(bytes)).toEqual(found));

  it("eight extension headers are looked through, nine are not", () => {
    const chain = (n: number) => packet(60, `${"3c00000000000000".repeat(n - 1)}3a00000000000000`);
    expect(upper(chain(8))).toEqual([58, 104]);
    expect(upper(chain(9))).toBe(UNDETERMINED);
  });

  it("nothing is read behind the end, whatever stands there", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 120 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (bytes, behind) => {
          const longer = new Uint8Array([...bytes, ...behind]);
          expect(upperLayer(longer, 0, bytes.length)).toBe(upperLayer(bytes, 0, bytes.length));
        },
      ),
    );
  });
});

describe("addresses", () => {
  it("of a MAC: its universal bit turned, fffe in the middle", () => {
    const out = new Uint8Array(18).fill(0xa5);
    writeLinkLocal(out, 1, 0x02aa0b0c0d0e);
    expect(toHex(out)).toBe(`a5 fe80 0000 0000 0000 00aa 0bff fe0c 0d0e a5`.replaceAll(" ", ""));
    expect(readIpv6(out, 1)).toBe(0xfe80_0000_0000_0000_00aa_0bff_fe0c_0d0en);
  });

  it.each([
    [A, true],
    ["fe800000000000000000000000000001", true],
    ["00000000000000000000000000000000", false],
    ["00000000000000000000000000000001", false],
    ["00000000000000000000000000000002", true],
    ["ff020000000000000000000000000001", false],
  ])("%s can be a source: %s", (address, can) => expect(isSource6(hex(address), 0)).toBe(can));
});

describe("packet too big", () => {
  it("golden, by hand", () => {
    const quoted = packet(17, "03e807d0000c1234deadbeef");
    const out = new Uint8Array(40 + 8 + quoted.length + 1).fill(0xa5);
    writeLinkLocal(out, 8, 0x02aa0000000a);
    expect(emitTooBig(out, 0, quoted, 0, quoted.length, 1450, ICMP6_ERROR_MAX_BYTES)).toBe(40 + 8 + 52);
    const said = "0200 CCCC 000005aa";
    const text = toHex(out).replaceAll(" ", "");
    const wanted = `60000000 003c 3a 40 fe8000000000000000aa00fffe00000a ${A} ${said} ${toHex(quoted)} a5`.replaceAll(
      " ",
      "",
    );
    // The sum by hand: pseudo-header and message, in 16-bit words.
    const words = wanted
      .replace("CCCC", "0000")
      .slice(16, -2)
      .match(/..../g)!
      .map((word) => Number.parseInt(word, 16));
    let sum = words.reduce((a, b) => a + b, 0x3c + 58);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    expect(text).toBe(wanted.replace("CCCC", (~sum & 0xffff).toString(16).padStart(4, "0")));
    expect(checksum6(out, 0, 60)).toBe(0xffff);
  });

  it("quotes what fits into 1280 bytes, and reads no further than the packet", () => {
    const long = packet(17, "00".repeat(1400));
    const out = new Uint8Array(1400);
    expect(emitTooBig(out, 0, long, 0, long.length, 1450, ICMP6_ERROR_MAX_BYTES)).toBe(1280);
    expect(checksum6(out, 0, 1240)).toBe(0xffff);
    expect(emitTooBig(out, 0, long, 0, 100, 1450, ICMP6_ERROR_MAX_BYTES)).toBe(148);
    expect(emitTooBig(out, 0, long, 0, long.length, 1450, 600)).toBe(600);
  });

  it.each([
    ["UDP", packet(17, "03e807d000080000"), true],
    ["an echo request", packet(58, "8000000000000000"), true],
    ["to a group", hex(`60000000 0008 11 40 ${A} ff020000000000000000000000000001 03e807d000080000`), true],
    ["another packet too big", packet(58, "0200000000000000"), false],
    ["an error behind options", packet(60, "3a00000000000000 0100000000000000"), false],
    ["a redirect", packet(58, "8900000000000000"), false],
    ["ICMPv6 without a type", packet(58, ""), false],
    ["from ::", packet(17, "03e807d000080000", "0".repeat(32)), false],
    ["from a group", packet(17, "03e807d000080000", "ff020000000000000000000000000001"), false],
    ["a first fragment", packet(44, "1100 0001 12345678 03e807d000080000"), true],
    ["a later one", packet(44, "1100 0009 12345678 03e807d000080000"), false],
    ["headers without an end", packet(60, "3c00"), false],
  ])("about %s: %o", (_, bytes, may) => expect(mayAnswerTooBig(bytes, 0, bytes.length)).toBe(may));
});
