/**
 * IPv4 against slow twins: the TTL step over all checksums, sums over random bytes, header checks over every wrong
 * field, option lists of every kind.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emitIpv4 } from "../../src/wire/icmp.ts";
import {
  checkIpv4,
  checksumAfterTtlStep,
  copyFragmentOptions,
  decrementTtl,
  hasForbiddenOptions,
  IP_CHECKSUM,
  IP_TTL,
  IPV4_BAD_CHECKSUM,
  IPV4_MALFORMED,
  IPV4_OK,
  isLinkLocal,
  isLoopback,
  isMartianSource,
  isMulticast,
  isThisNetwork,
  parseIpv4,
  setHeaderChecksum,
  sum16,
} from "../../src/wire/ipv4.ts";
import { dirty, fromHex, naiveChecksum, toHex, viewOf } from "./hex.ts";

/** A header of 20 bytes plus `options`, right in every field. */
function packet(options: number[] = [], payload = 8): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const header = 20 + padded.length;
  const bytes = dirty(header + payload);
  emitIpv4(bytes, 0, header + payload, 0x0a01010b, 0x1401010c, 17, 0, 64, 1);
  bytes[0] = 0x40 | (header >> 2);
  bytes.set(padded, 20);
  setHeaderChecksum(bytes, 0);
  return bytes;
}

describe("IPv4 checksums", () => {
  it("the TTL step equals a full recalculation for all 65536 checksums", () => {
    // For each checksum a header that has it: the TTL word is what is left for it. Naively: sum everything anew.
    const wrong: number[] = [];
    for (let checksum = 0; checksum <= 0xffff; checksum++) {
      // Everything but TTL|protocol contributes `rest`, so that ~(rest + ttl word) is `checksum`.
      const ttlWord = 0x4011;
      const rest = (0xffff - checksum + 0xffff - ttlWord) % 0xffff;
      const after = (rest + ttlWord - 0x0100) % 0xffff;
      // A sum of all ones is stored as 0, and only a header of zeros could ever have the other zero.
      const want = after === 0 ? 0 : 0xffff - after;
      if (checksumAfterTtlStep(checksum) !== want) wrong.push(checksum);
    }
    expect(wrong).toEqual([]);
  });

  it("a header stays right through every TTL, and a wrong one stays wrong", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), fc.integer({ min: 1, max: 255 }), (noise, ttl) => {
        const bytes = Uint8Array.from(noise);
        bytes[0] = 0x45;
        bytes[IP_TTL] = ttl;
        setHeaderChecksum(bytes, 0);
        const view = viewOf(bytes);
        for (let left = ttl; left > 0; left--) {
          decrementTtl(view, 0);
          expect(bytes[IP_TTL]).toBe(left - 1);
          expect(naiveChecksum(bytes)).toBe(0);
        }
        bytes[IP_TTL] = ttl;
        setHeaderChecksum(bytes, 0);
        bytes[IP_CHECKSUM]! ^= 0x10;
        decrementTtl(view, 0);
        expect(naiveChecksum(bytes)).not.toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it("the TTL step touches the TTL and the checksum, nothing else", () => {
    const bytes = packet();
    const before = bytes.slice();
    decrementTtl(viewOf(bytes), 0);
    for (let i = 0; i < bytes.length; i++)
      if (i !== IP_TTL && i !== IP_CHECKSUM && i !== IP_CHECKSUM + 1) expect(bytes[i], `byte ${i}`).toBe(before[i]);
  });

  it("sum16 equals the naive sum at every length and alignment", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5), (noise, at) => {
        const bytes = dirty(at + noise.length + 3);
        bytes.set(noise, at);
        const got = 0xffff - sum16(bytes, at, noise.length, 0);
        expect(got % 0xffff).toBe(naiveChecksum(noise) % 0xffff);
      }),
    );
    const long = new Uint8Array(65535).fill(0xff);
    expect(sum16(long, 0, 65534, 0)).toBe(0xffff);
  });
});

describe("checkIpv4", () => {
  const check = (bytes: Uint8Array, end = bytes.length): number => checkIpv4(viewOf(bytes), 0, end);
  const changed = (change: (b: Uint8Array) => void): number => {
    const bytes = packet();
    change(bytes);
    setHeaderChecksum(bytes, 0);
    return check(bytes);
  };

  it("wants version 4, an IHL of 5 to 15, and a total length between header and what was received", () => {
    expect(check(packet())).toBe(IPV4_OK);
    for (let version = 0; version < 16; version++)
      expect(
        changed((b) => (b[0] = (version << 4) | 5)),
        `version ${version}`,
      ).toBe(version === 4 ? IPV4_OK : IPV4_MALFORMED);
    for (let ihl = 0; ihl < 5; ihl++) expect(changed((b) => (b[0] = 0x40 | ihl))).toBe(IPV4_MALFORMED);
    expect(changed((b) => (b[0] = 0x4f))).toBe(IPV4_MALFORMED); // 60 bytes of header in 28
    expect(changed((b) => (b[3] = 19))).toBe(IPV4_MALFORMED);
    expect(changed((b) => (b[3] = 29))).toBe(IPV4_MALFORMED);
    expect(changed((b) => (b[3] = 20))).toBe(IPV4_OK);
    expect(changed((b) => (b[2] = 0xff))).toBe(IPV4_MALFORMED);
  });

  it("finds every single-bit error of the header", () => {
    for (let bit = 0; bit < 160; bit++) {
      const bytes = packet();
      bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
      expect(check(bytes), `bit ${bit}`).not.toBe(IPV4_OK);
    }
    const bytes = packet([7, 7, 4, 1, 2, 3, 4]);
    bytes[25]! ^= 1;
    expect(check(bytes)).toBe(IPV4_BAD_CHECKSUM);
  });

  it("never throws and never accepts a truncated packet, options included", () => {
    for (const options of [[], [1], [7, 7, 4, 0, 0, 0, 0], new Array<number>(40).fill(1)]) {
      const bytes = packet(options);
      for (let end = 0; end < bytes.length; end++) {
        expect(check(bytes, end)).toBe(IPV4_MALFORMED);
        expect(check(bytes.slice(0, end))).toBe(IPV4_MALFORMED);
      }
    }
  });

  it("is not moved by what stands behind the packet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (tail) => {
        const bytes = packet([7, 3, 4]);
        const padded = new Uint8Array(bytes.length + tail.length);
        padded.set(bytes);
        padded.set(tail, bytes.length);
        expect(check(padded)).toBe(IPV4_OK);
      }),
    );
  });
});

describe("options", () => {
  const forbidden = (...options: number[]): boolean => hasForbiddenOptions(packet(options), 0);

  it("refuses source routes and lists that do not parse, and nothing else", () => {
    expect(forbidden()).toBe(false);
    expect(forbidden(...new Array<number>(40).fill(1))).toBe(false);
    expect(forbidden(7, 7, 4, 0, 0, 0, 0)).toBe(false); // record route
    expect(forbidden(68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(false); // timestamp
    expect(forbidden(148, 4, 0, 0)).toBe(false); // router alert
    expect(forbidden(131, 7, 4, 10, 0, 0, 1)).toBe(true); // LSRR
    expect(forbidden(1, 1, 137, 7, 4, 10, 0, 0, 1)).toBe(true); // SSRR behind NOPs
    expect(forbidden(0, 131, 3, 4)).toBe(false); // behind the end of the list nothing counts
    expect(forbidden(7, 0, 0, 0)).toBe(true); // would never advance
    expect(forbidden(7, 1, 0, 0)).toBe(true);
    expect(forbidden(7, 5, 4, 0)).toBe(true); // longer than the header
    expect(forbidden(1, 1, 1, 7)).toBe(true); // no room for its length
  });

  it("never throws, never loops and never looks past the header", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 40 }), fc.uint8Array({ maxLength: 8 }), (list, tail) => {
        const bytes = packet([...list]);
        const header = (bytes[0]! & 15) << 2;
        const other = new Uint8Array(header + tail.length);
        other.set(bytes.slice(0, header));
        other.set(tail, header);
        const verdict = hasForbiddenOptions(bytes, 0);
        expect(hasForbiddenOptions(other, 0)).toBe(verdict);
        expect(verdict).toBe(naivelyForbidden([...bytes.slice(20, header)]));
        if (verdict) return;
        // A fragment's options: the copied ones in order, padded; nothing written behind them.
        const out = dirty(160);
        out.set(bytes.slice(0, header));
        const n = copyFragmentOptions(out, 0, 80);
        expect(n % 4).toBe(0);
        expect(toHex(out, 80, 80 + n)).toBe(naivelyCopied([...bytes.slice(20, header)]));
        expect(toHex(out, 80 + n)).toBe("a5".repeat(80 - n));
      }),
      { numRuns: 500 },
    );
  });

  it("a non-first fragment carries the options with the copied flag, padded to four bytes (RFC 791 §3.1)", () => {
    const bytes = dirty(120);
    bytes.set(packet([1, 7, 3, 4, 148, 4, 0, 0, 130, 3, 9]), 0);
    expect(copyFragmentOptions(bytes, 0, 80)).toBe(8);
    expect(toHex(bytes, 80, 90)).toBe(toHex(fromHex("94040000 82030900 a5a5")));
  });
});

function* optionsOf(list: number[]): Generator<number[] | null> {
  for (let i = 0; i < list.length; ) {
    const kind = list[i]!;
    if (kind === 0) return;
    const length = kind === 1 ? 1 : (list[i + 1] ?? 0);
    if (kind !== 1 && (length < 2 || i + length > list.length)) return void (yield null);
    yield list.slice(i, i + length);
    i += length;
  }
}

function naivelyForbidden(list: number[]): boolean {
  for (const option of optionsOf(list)) if (option === null || option[0] === 131 || option[0] === 137) return true;
  // A source route that does not parse is refused for either reason.
  return false;
}

function naivelyCopied(list: number[]): string {
  const copied = [...optionsOf(list)].flatMap((option) => (option !== null && option[0]! >= 128 ? option : []));
  while (copied.length % 4 !== 0) copied.push(0);
  return Buffer.from(copied).toString("hex");
}

describe("address classes", () => {
  const ip = (text: string): number => parseIpv4(text)!;
  it("begin and end where the RFCs say", () => {
    const edges: [(a: number) => boolean, string, string][] = [
      [isThisNetwork, "0.0.0.0", "0.255.255.255"],
      [isLoopback, "127.0.0.0", "127.255.255.255"],
      [isLinkLocal, "169.254.0.0", "169.254.255.255"],
      [isMulticast, "224.0.0.0", "239.255.255.255"],
    ];
    for (const [is, first, last] of edges) {
      expect([is(ip(first)), is(ip(last))]).toEqual([true, true]);
      if (first !== "0.0.0.0") expect(is(ip(first) - 1)).toBe(false);
      expect(is((ip(last) + 1) | 0)).toBe(false);
    }
    for (const text of ["0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
      expect(isMartianSource(ip(text)), text).toBe(true);
    for (const text of ["10.0.0.1", "192.0.2.1", "223.255.255.255", "240.0.0.1", "1.0.0.0"])
      expect(isMartianSource(ip(text)), text).toBe(false);
  });
});
