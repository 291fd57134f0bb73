/** BFD inside VXLAN (RFC 8971) to the byte, over both families; every field that must not be taken at its edge; and random bytes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BFD_BYTES, type BfdPacket, readBfd } from "../../src/wire/bfd.ts";
import { bfdDatagram, MOST_BFD_FRAME, readInnerBfd } from "../../src/wire/bfd-vxlan.ts";

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const VXLAN = 8;

const packet: BfdPacket = {
  ...{ diagnosis: "none", state: "up", poll: true, final: false, demand: false, multiplier: 3 },
  ...{ mine: 0x11223344, yours: 0xfedcba98, desiredMinTx: 50_000, requiredMinRx: 50_000, requiredMinEchoRx: 0 },
};
const BFD = "20 e0 03 18  11 22 33 44  fe dc ba 98  00 00 c3 50  00 00 c3 50  00 00 00 00";
/** By hand: VXLAN of VNI 1 | to IANA's MAC, from the VTEP's | IPv4, CS6, TTL 255, UDP, from 192.0.2.1 to 127.0.0.1 | 49153 to 3784. */
const IPV4 = `08 00 00 00  00 00 01 00
  00 00 5e 00 52 02  02 00 c0 00 02 01  08 00
  45 c0 00 34  00 00 00 00  ff 11 79 f6  c0 00 02 01  7f 00 00 01
  c0 01 0e c8  00 20 47 6c  ${BFD}`;
/** The same from 2001:db8::1 to ::ffff:127.0.0.1, hop limit 255. */
const IPV6 = `08 00 00 00  00 00 01 00
  00 00 5e 00 52 02  02 00 00 00 00 01  86 dd
  6c 00 00 00  00 20 11 ff  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  00 00 00 00 00 00 00 00 00 00 ff ff 7f 00 00 01
  c0 01 0e c8  00 20 db b3  ${BFD}`;
const SOURCES: Readonly<Record<string, Uint8Array>> = {
  [IPV4]: bytesOf("c0 00 02 01"),
  [IPV6]: bytesOf("20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01"),
};

/** The VTEP that reads, by family. */
const OWN4 = bytesOf("c0 00 02 02");
const OWN6 = bytesOf("20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02");
const read = (bytes: Uint8Array, own = OWN4) => readInnerBfd(bytes, VXLAN, bytes.length, own);
/** `hex` with bytes changed at `at`, counted from its inner Ethernet header; checksums stay as they were. */
function changed(hex: string, at: number, ...values: number[]): Uint8Array {
  const bytes = bytesOf(hex);
  bytes.set(values, VXLAN + at);
  return bytes;
}
/** The UDP checksum left out, as IPv4 allows. */
function unsummed(bytes: Uint8Array): Uint8Array {
  bytes.set([0, 0], VXLAN + 40);
  return bytes;
}
/** The IPv4 header's checksum made right again, so that it is not what is refused. */
function summed(bytes: Uint8Array): Uint8Array {
  const ip = VXLAN + 14;
  bytes.set([0, 0], ip + 10);
  let sum = 0;
  for (let n = 0; n < 20; n += 2) sum += (bytes[ip + n]! << 8) | bytes[ip + n + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  bytes.set([(~sum >> 8) & 0xff, ~sum & 0xff], ip + 10);
  return bytes;
}

/** The UDP checksum over IPv6 made right again. */
function sealed6(bytes: Uint8Array): Uint8Array {
  const [addresses, udp] = [VXLAN + 22, VXLAN + 54];
  bytes.set([0, 0], udp + 6);
  const words = [...bytes.subarray(addresses, addresses + 32), 0, bytes.length - udp, 0, 17, ...bytes.subarray(udp)];
  let sum = 0;
  for (let n = 0; n < words.length; n += 2) sum += (words[n]! << 8) | words[n + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  bytes.set([(~sum >> 8) & 0xff, ~sum & 0xff], udp + 6);
  return bytes;
}

describe.each([
  ["IPv4", IPV4],
  ["IPv6", IPV6],
])("golden bytes over %s", (_, hex) => {
  it("are written", () => {
    const source = SOURCES[hex]!;
    expect(Buffer.from(bfdDatagram({ vni: 1, source, sourcePort: 49153 }, packet)).toString("hex")).toBe(
      Buffer.from(bytesOf(hex)).toString("hex"),
    );
  });

  it("are read, wherever they stand", () => {
    const bytes = Uint8Array.from([...new Uint8Array(5).fill(0xa5), ...bytesOf(hex), 0xa5, 0xa5]);
    const inner = readInnerBfd(bytes, 5 + VXLAN, bytes.length, OWN4)!;
    expect([[...inner.source], inner.hops, inner.end - inner.at]).toEqual([[...SOURCES[hex]!], 255, BFD_BYTES]);
    expect(readBfd(bytes, inner.at, inner.end)).toEqual(packet);
  });

  it("cut anywhere, or with any length too long, are none of BFD's, and no byte behind them is read", () => {
    const whole = bytesOf(hex);
    for (let length = 0; length < whole.length; length++) expect(read(whole.slice(0, length)), `${length}`).toBeNull();
    expect(whole.length - VXLAN).toBeLessThanOrEqual(MOST_BFD_FRAME);
  });

  it("of another checksum are not taken", () => {
    const whole = bytesOf(hex);
    for (let at = whole.length - BFD_BYTES; at < whole.length; at++) {
      const bytes = bytesOf(hex);
      bytes[at]! ^= 1;
      expect(read(bytes), `${at}`).toBeNull();
    }
  });
});

const REFUSED: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["to a group", changed(IPV4, 0, 1)],
  ["to all", changed(IPV4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ["of another EtherType", changed(IPV4, 12, 0x08, 0x06)],
  ["with IPv4 options", summed(changed(IPV4, 14, 0x46))],
  ["of IP version 5", summed(changed(IPV4, 14, 0x55))],
  ["with a wrong header checksum", changed(IPV4, 24, 0)],
  ["shorter than its headers, it says", summed(changed(IPV4, 16, 0, 27))],
  ["longer than it is, it says", summed(changed(IPV4, 16, 0, 0x35))],
  ["a first fragment", summed(changed(IPV4, 20, 0x20, 0))],
  ["a later fragment", summed(changed(IPV4, 20, 0, 1))],
  ["of TCP", summed(changed(IPV4, 23, 6))],
  ["to a tenant", unsummed(summed(changed(IPV4, 30, 10, 1, 1, 11)))],
  ["to another VTEP", unsummed(summed(changed(IPV4, 30, ...bytesOf("c0 00 02 03"))))],
  ["to another UDP port", changed(IPV4, 36, 0x12, 0xb0)],
  ["of a UDP length of less than its header", changed(IPV4, 38, 0, 7)],
  ["of a UDP length beyond its packet", changed(IPV4, 38, 0, 0x21)],
  ["IPv6 that says version 4", changed(IPV6, 14, 0x4c)],
  ["IPv6 with an extension header", changed(IPV6, 20, 0)],
  ["IPv6 longer than it is, it says", changed(IPV6, 18, 0, 0x21)],
  ["IPv6 shorter than UDP, it says", changed(IPV6, 18, 0, 7)],
  ["IPv6 to ::1", changed(IPV6, 48, 0, 0, 0, 0, 0, 1)],
  ["IPv6 without a checksum", changed(IPV6, 60, 0, 0)],
];

describe("what is none of BFD's (§6)", () => {
  it.each(REFUSED)("%s", (_what, bytes) => {
    expect(read(bytes)).toBeNull();
  });

  it("IPv4 without a UDP checksum is taken, and any of 127/8; the hop count is told as it is", () => {
    expect(read(changed(IPV4, 40, 0, 0))).toMatchObject({ hops: 255 });
    const other = changed(IPV4, 31, 9, 9, 9);
    other.set([0, 0], VXLAN + 40);
    expect(read(summed(other))).not.toBeNull();
    expect(read(summed(changed(IPV4, 22, 254)))).toMatchObject({ hops: 254 });
  });

  it("a peer's own choice of MAC is taken, and this VTEP's address instead of 127/8 (§5), of its own family alone", () => {
    expect(read(changed(IPV4, 0, 0x00, 0x52, 0x02, 0, 0, 0))).toMatchObject({ hops: 255 });
    expect(read(unsummed(summed(changed(IPV4, 30, ...OWN4))))).toMatchObject({ hops: 255 });
    const to6 = changed(IPV6, 38, ...OWN6);
    expect(read(sealed6(to6), OWN6)).toMatchObject({ hops: 255 });
    expect(read(to6, OWN4)).toBeNull();
    to6[VXLAN + 38 + 15] = 3;
    expect(read(sealed6(to6), OWN6)).toBeNull();
  });

  it("random bytes, and golden ones with random bytes in them, end in an answer within what came", () => {
    const mutated = fc
      .tuple(fc.constantFrom(IPV4, IPV6), fc.array(fc.tuple(fc.nat(110), fc.nat(255)), { maxLength: 8 }), fc.nat(110))
      .map(([hex, changes, cut]) => {
        const bytes = bytesOf(hex);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes.slice(0, bytes.length - (cut % bytes.length));
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        const inner = read(bytes);
        if (inner === null) return;
        expect(inner.end).toBeLessThanOrEqual(bytes.length);
        expect(inner.at).toBeLessThanOrEqual(inner.end);
      }),
      { numRuns: 5000 },
    );
  });
});
