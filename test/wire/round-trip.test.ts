/**
 * parse ∘ emit is the identity; a truncated message is never accepted, and nothing ever throws; text and back.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ARP_FRAME_BYTES, type Arp, emitArp, parseArp } from "../../src/wire/arp.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import {
  formatMac,
  hiOf,
  isBroadcast,
  isGroup,
  isReserved,
  loOf,
  macOf,
  parseMac,
  readMac,
  writeMac,
} from "../../src/wire/ethernet.ts";
import { emitIpv4 } from "../../src/wire/icmp.ts";
import {
  addressesAt,
  checkIpv4,
  formatIpv4,
  headerBytes,
  IP_FRAGMENT,
  IP_ID,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_TOS,
  IP_TTL,
  IPV4_MALFORMED,
  IPV4_OK,
  maskOf,
  parseIpv4,
} from "../../src/wire/ipv4.ts";
import { emitVxlan, hasReservedBits, hasVni, vniAt } from "../../src/wire/vxlan.ts";
import { dirty, viewOf } from "./hex.ts";

const macs = fc.integer({ min: 0, max: 0xffffffffffff });
const words = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const arps: fc.Arbitrary<Arp> = fc.record({
  ethDst: macs,
  ethSrc: macs,
  op: fc.constantFrom(1, 2),
  senderMac: macs,
  senderIp: words,
  targetMac: macs,
  targetIp: words,
});

describe("round trips", () => {
  it("ARP: parse ∘ emit is the identity, anywhere in a buffer, whatever follows", () => {
    fc.assert(
      fc.property(arps, fc.nat(40), fc.nat(40), (arp, at, tail) => {
        const bytes = dirty(at + ARP_FRAME_BYTES + tail);
        expect(emitArp(bytes, at, arp)).toBe(ARP_FRAME_BYTES);
        expect(parseArp(bytes, at, bytes.length)).toEqual(arp);
      }),
    );
  });

  it("ARP: emit ∘ parse gives back the bytes of whatever was accepted", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 28, maxLength: 28 }), fc.boolean(), (noise, fix) => {
        const bytes = dirty(ARP_FRAME_BYTES);
        bytes.set(noise, 14);
        setU16(bytes, 12, 0x0806);
        if (fix) bytes.set([0, 1, 8, 0, 6, 4, 0, 1 + (noise[7]! & 1)], 14);
        const arp = parseArp(bytes, 0, bytes.length);
        if (arp === null) {
          expect(fix).toBe(false);
          return;
        }
        const again = dirty(ARP_FRAME_BYTES);
        emitArp(again, 0, arp);
        expect(again).toEqual(bytes);
      }),
    );
  });

  it("ARP: truncated anywhere, or any fixed field changed, it is refused", () => {
    fc.assert(
      fc.property(arps, (arp) => {
        const bytes = dirty(ARP_FRAME_BYTES);
        emitArp(bytes, 0, arp);
        for (let end = 0; end < ARP_FRAME_BYTES; end++) {
          expect(parseArp(bytes, 0, end)).toBeNull();
          expect(parseArp(bytes.slice(0, end), 0, end)).toBeNull();
        }
        for (let i = 14; i < 22; i++) {
          for (let bit = 1; bit < 256; bit <<= 1) {
            const broken = bytes.slice();
            broken[i]! ^= bit;
            // Bits 0 and 1 of the operation's low byte turn 1 into 0 or 3, 2 into 3 or 0: refused as well.
            expect(parseArp(broken, 0, broken.length), `byte ${i} bit ${bit}`).toBeNull();
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it("IPv4: what emitIpv4 writes, checkIpv4 accepts and the fields read back; at no shorter length", () => {
    const fields = fc.record({
      payload: fc.nat(60),
      source: words,
      destination: words,
      protocol: fc.nat(255),
      tos: fc.nat(255),
      ttl: fc.nat(255),
      id: fc.nat(65535),
      fragment: fc.nat(65535),
    });
    fc.assert(
      fc.property(fields, fc.nat(20), (f, at) => {
        const total = 20 + f.payload;
        const bytes = dirty(at + total + 7);
        emitIpv4(bytes, at, total, f.source, f.destination, f.protocol, f.tos, f.ttl, f.id, f.fragment);
        const view = viewOf(bytes);
        expect(checkIpv4(view, at, bytes.length)).toBe(IPV4_OK);
        for (let end = at; end < at + total; end++) expect(checkIpv4(view, at, end)).toBe(IPV4_MALFORMED);
        expect(addressesAt(bytes, at)).toEqual({ source: f.source, destination: f.destination });
        expect(headerBytes(bytes, at)).toBe(20);
        expect(view.getUint16(at + IP_LENGTH)).toBe(total);
        expect(view.getUint16(at + IP_ID)).toBe(f.id);
        expect(view.getUint16(at + IP_FRAGMENT)).toBe(f.fragment);
        expect([bytes[at + IP_TOS], bytes[at + IP_TTL], bytes[at + IP_PROTOCOL]]).toEqual([f.tos, f.ttl, f.protocol]);
      }),
    );
  });

  it("VXLAN: parse ∘ emit is the identity for every VNI tried", () => {
    fc.assert(
      fc.property(fc.nat(0xffffff), fc.nat(20), (vni, at) => {
        const bytes = dirty(at + 9);
        emitVxlan(viewOf(bytes), at, vni);
        expect([hasVni(bytes, at), hasReservedBits(bytes, at), vniAt(bytes, at)]).toEqual([true, false, vni]);
        expect(bytes[at + 8]).toBe(0xa5);
      }),
    );
  });

  it("MAC: bytes, halves, number and text are one thing", () => {
    fc.assert(
      fc.property(macs, (mac) => {
        expect(macOf(hiOf(mac), loOf(mac))).toBe(mac);
        expect(parseMac(formatMac(mac))).toBe(mac);
        expect(parseMac(formatMac(mac).toUpperCase().replaceAll(":", "-"))).toBe(mac);
        const bytes = dirty(8);
        writeMac(bytes, 1, mac);
        expect(readMac(bytes, 1)).toBe(mac);
        expect(formatMac(mac)).toBe(Buffer.from(bytes).toString("hex", 1, 7).match(/../g)!.join(":"));
        expect(isGroup(mac)).toBe((bytes[1]! & 1) === 1);
      }),
    );
    for (const text of [
      "",
      "02:00:00:00:01",
      "02:00:00:00:01:1",
      "02:00:00:00:01:111",
      "02:00:00:00:01:1g",
      "020000000111",
    ])
      expect(parseMac(text), text).toBeNull();
    for (const text of [
      "02:00:00:00:01:11 ",
      " 02:00:00:00:01:11",
      "02:00:00:00:01:11\n",
      "02::00:00:01:11",
      "2:0:0:0:1:11",
    ])
      expect(parseMac(text), JSON.stringify(text)).toBeNull();
  });

  it("MAC: broadcast and the sixteen reserved addresses, and no other", () => {
    expect(isBroadcast(0xffff, -1)).toBe(true);
    expect(isBroadcast(0xffff, -2)).toBe(false);
    for (let last = 0; last < 256; last++) expect(isReserved(0x0180, 0xc2000000 | last | 0)).toBe(last < 16);
    expect(isReserved(0x0180, 0x42000000)).toBe(false);
    expect(isReserved(0x0181, 0xc2000000 | 0)).toBe(false);
    expect(isReserved(0x0180, 0xc2000100 | 0)).toBe(false);
  });

  it("IPv4 text: four decimal parts and nothing else", () => {
    fc.assert(
      fc.property(words, (address) => {
        const text = formatIpv4(address);
        expect(parseIpv4(text)).toBe(address);
        expect(text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)).toBe(address >>> 0);
      }),
    );
    for (const text of [
      "",
      "10.1.1",
      "10.1.1.1.1",
      "10.1.1.256",
      "10.1.1.01",
      "10.1.1.-1",
      "10.1.1.1 ",
      "0x0a.1.1.1",
      "10.1.1.1\n",
    ])
      expect(parseIpv4(text), JSON.stringify(text)).toBeNull();
    fc.assert(fc.property(fc.string(), (text) => parseIpv4(text) === null || /^\d+\.\d+\.\d+\.\d+$/.test(text)));
  });

  it("prefix masks have their length in ones", () => {
    for (let length = 0; length <= 32; length++) {
      const bits = (maskOf(length) >>> 0).toString(2).padStart(32, "0");
      expect(bits).toBe("1".repeat(length) + "0".repeat(32 - length));
    }
  });
});
