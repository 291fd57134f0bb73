/**
 * One golden frame for each header, written down by hand (checksums by an independent calculation). Emitters write into
 * buffers full of 0xa5, at an odd offset, and must touch exactly their bytes.
 */
import { describe, expect, it } from "vitest";
import { ARP_FRAME_BYTES, ARP_REPLY, ARP_REQUEST, type Arp, emitArp, parseArp } from "../../src/wire/arp.ts";
import { i32, setI32, setU16, setU24, u16, u24 } from "../../src/wire/bytes.ts";
import {
  BROADCAST,
  ETH_BYTES,
  ETH_DST,
  ETH_SRC,
  ETH_TYPE,
  macHi,
  macLo,
  parseMac,
  readMac,
  TYPE_VLAN,
  VLAN_TAG_BYTES,
  writeMac,
} from "../../src/wire/ethernet.ts";
import { echoReply, emitIcmpError, emitIpv4, isIcmpIntact } from "../../src/wire/icmp.ts";
import {
  checkIpv4,
  IPV4_BYTES,
  IPV4_OK,
  PROTO_UDP,
  parseIpv4,
  pseudoSum,
  setHeaderChecksum,
  sum16,
} from "../../src/wire/ipv4.ts";
import { clampMss, L4_DST_PORT, L4_SRC_PORT, UDP_BYTES } from "../../src/wire/udp-tcp.ts";
import { emitVxlan, hasReservedBits, hasVni, VXLAN_HEADER_BYTES, vniAt } from "../../src/wire/vxlan.ts";
import { dirty, fromHex, toHex, viewOf } from "./hex.ts";

const mac = (text: string): number => parseMac(text)!;
const ip = (text: string): number => parseIpv4(text)!;
const AT = 3;

/** Emit into a dirty buffer at AT; the bytes around the `length` emitted ones must stay 0xa5. */
function emitted(length: number, emit: (bytes: Uint8Array, at: number) => void): string {
  const bytes = dirty(AT + length + 8);
  emit(bytes, AT);
  expect(toHex(bytes, 0, AT)).toBe("a5".repeat(AT));
  expect(toHex(bytes, AT + length)).toBe("a5".repeat(8));
  return toHex(bytes, AT, AT + length);
}

const REQUEST = `ffffffffffff 020000000111 0806 0001 0800 06 04 0001
                 020000000111 0a01010b 000000000000 0a01010c`;
const REPLY = `020000000111 024f2000000a 0806 0001 0800 06 04 0002
               024f2000000a 0a01010c 020000000111 0a01010b`;
const QUOTED = "4500002012340000011187810a01010b1401010c 03e8829a000c0000 61626364";

describe("golden bytes", () => {
  it("Ethernet: both MACs and the type stand where IEEE 802.3 puts them", () => {
    const bytes = fromHex("00 0a0b0c0d0e0f 020000000111 0800");
    expect(readMac(bytes, 1 + ETH_DST)).toBe(0x0a0b0c0d0e0f);
    expect([macHi(bytes, 1 + ETH_SRC), macLo(bytes, 1 + ETH_SRC)]).toEqual([0x0200, 0x00000111]);
    expect(u16(bytes, 1 + ETH_TYPE)).toBe(0x0800);
    expect(bytes.length).toBe(1 + ETH_BYTES);
    expect(emitted(6, (b, at) => writeMac(b, at, 0xfedcba987654))).toBe("fedcba987654");
  });

  it("802.1Q: type 8100 and the tag between source and type", () => {
    const bytes = fromHex("020000000211 020000000111 8100 2014 0800");
    expect(u16(bytes, ETH_TYPE)).toBe(TYPE_VLAN);
    expect(u16(bytes, ETH_BYTES) & 0xfff).toBe(20);
    expect(u16(bytes, ETH_TYPE + VLAN_TAG_BYTES)).toBe(0x0800);
  });

  it("fields of 16, 24 and 32 bits are big-endian, 32 bits signed", () => {
    expect(emitted(2, (b, at) => setU16(b, at, 0xfedc))).toBe("fedc");
    expect(emitted(3, (b, at) => setU24(b, at, 0xfedcba))).toBe("fedcba");
    expect(emitted(4, (b, at) => setI32(b, at, -2))).toBe("fffffffe");
    const bytes = fromHex("fedcba98");
    expect([u16(bytes, 0), u24(bytes, 0), i32(bytes, 0)]).toEqual([0xfedc, 0xfedcba, 0xfedcba98 | 0]);
  });

  it("ARP request", () => {
    const arp: Arp = {
      ethDst: BROADCAST,
      ethSrc: mac("02:00:00:00:01:11"),
      op: ARP_REQUEST,
      senderMac: mac("02:00:00:00:01:11"),
      senderIp: ip("10.1.1.11"),
      targetMac: 0,
      targetIp: ip("10.1.1.12"),
    };
    expect(emitted(ARP_FRAME_BYTES, (b, at) => emitArp(b, at, arp))).toBe(toHex(fromHex(REQUEST)));
    expect(parseArp(fromHex(REQUEST), 0, ARP_FRAME_BYTES)).toEqual(arp);
  });

  it("ARP reply, with padding behind it", () => {
    const arp: Arp = {
      ethDst: mac("02:00:00:00:01:11"),
      ethSrc: mac("02:4f:20:00:00:0a"),
      op: ARP_REPLY,
      senderMac: mac("02:4f:20:00:00:0a"),
      senderIp: ip("10.1.1.12"),
      targetMac: mac("02:00:00:00:01:11"),
      targetIp: ip("10.1.1.11"),
    };
    expect(emitted(ARP_FRAME_BYTES, (b, at) => emitArp(b, at, arp))).toBe(toHex(fromHex(REPLY)));
    const padded = fromHex(`${REPLY} ${"ee".repeat(18)}`);
    expect(parseArp(padded, 0, padded.length)).toEqual(arp);
  });

  it("IPv4: the header of RFC 1071's favourite example", () => {
    const want = "45000073000040004011b861c0a80001c0a800c7";
    const emit = (b: Uint8Array, at: number): void =>
      emitIpv4(b, at, 0x73, ip("192.168.0.1"), ip("192.168.0.199"), PROTO_UDP, 0, 64, 0, 0x4000);
    expect(emitted(IPV4_BYTES, emit)).toBe(want);
    const packet = fromHex(want + "00".repeat(0x73 - 20));
    expect(checkIpv4(viewOf(packet), 0, packet.length)).toBe(IPV4_OK);
    const broken = fromHex(want.replace("b861", "a5a5"));
    setHeaderChecksum(broken, 0);
    expect(toHex(broken)).toBe(want);
  });

  it("ICMP time exceeded: quotes the whole short packet", () => {
    const want = `45c0003c00000000400163f40a0101010a01010b 0b00a9aa00000000 ${QUOTED}`;
    const quoted = fromHex(QUOTED);
    const emit = (b: Uint8Array, at: number): number => emitIcmpError(b, at, quoted, 0, ip("10.1.1.1"), 11, 0, 0);
    expect(emitted(60, emit)).toBe(toHex(fromHex(want)));
  });

  it("ICMP fragmentation needed: the MTU in the low half of the second word (RFC 1191)", () => {
    const want = `45c0003c00000000400163f40a0101010a01010b 0304abfc000005aa ${QUOTED}`;
    const quoted = fromHex(QUOTED);
    const emit = (b: Uint8Array, at: number): number => emitIcmpError(b, at, quoted, 0, ip("10.1.1.1"), 3, 4, 1450);
    expect(emitted(60, emit)).toBe(toHex(fromHex(want)));
  });

  it("ICMP echo: the reply differs from the request in type and checksum alone", () => {
    const bytes = fromHex("0800 2104 1234 0001 61626364");
    expect(isIcmpIntact(bytes, 0, bytes.length)).toBe(true);
    echoReply(bytes, 0, bytes.length);
    expect(toHex(bytes)).toBe("000029041234000161626364");
    expect(isIcmpIntact(bytes, 0, bytes.length)).toBe(true);
    expect(isIcmpIntact(bytes, 0, bytes.length - 2)).toBe(false);
  });

  it("UDP: ports, and a checksum over the pseudo-header", () => {
    const packet = fromHex("4500002000000000401100000a01010b1401010c 03e807d0000c0f3f61626364");
    expect(u16(packet, 20 + L4_SRC_PORT)).toBe(1000);
    expect(u16(packet, 20 + L4_DST_PORT)).toBe(2000);
    expect(sum16(packet, 20, UDP_BYTES + 4, pseudoSum(packet, 0, UDP_BYTES + 4))).toBe(0xffff);
  });

  it("TCP SYN: the MSS is lowered and the checksum follows, at an even and at an odd place", () => {
    const even = fromHex("03e80050000000010000000060 02ffff73d50000 020405b4");
    expect(clampMss(even, 0, even.length, 1410, false)).toBe(true);
    expect(toHex(even)).toBe("03e8005000000001000000006002ffff7407000002040582");
    const odd = fromHex("03e8005000000001000000007002ffffb1800000 01 020405b4 010100");
    expect(clampMss(odd, 0, odd.length, 1410, false)).toBe(true);
    expect(toHex(odd)).toBe("03e8005000000001000000007002ffffe38000000102040582010100");
  });

  it("VXLAN: I flag, VNI, everything else zero", () => {
    const emit = (b: Uint8Array, at: number): void => emitVxlan(viewOf(b), at, 0xfedcba);
    expect(emitted(VXLAN_HEADER_BYTES, emit)).toBe("08000000fedcba00");
    for (const vni of [1, 255, 256, 65535, 65536, 0xffffff]) {
      const bytes = dirty(8);
      emitVxlan(viewOf(bytes), 0, vni);
      expect([hasVni(bytes, 0), hasReservedBits(bytes, 0), vniAt(bytes, 0)]).toEqual([true, false, vni]);
    }
  });

  it("VXLAN: each bit but I and the VNI is reserved", () => {
    for (let bit = 0; bit < 64; bit++) {
      const bytes = fromHex("0800000000000a00");
      bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
      const isVni = bit >= 32 && bit < 56;
      const isI = bit === 4;
      expect(hasReservedBits(bytes, 0), `bit ${bit}`).toBe(!isVni && !isI);
      expect(hasVni(bytes, 0), `bit ${bit}`).toBe(!isI);
    }
  });
});
