/** Echo probes: golden bytes, what comes back, and hostile packets. */
import { describe, expect, it } from "vitest";
import { setU16 } from "../../src/wire/bytes.ts";
import { echoRequest, readEcho4, readEcho6, shortestEcho } from "../../src/wire/echo.ts";
import { checkIpv4, sum16 } from "../../src/wire/ipv4.ts";

const US = Uint8Array.of(192, 0, 2, 1);
const PEER = Uint8Array.of(192, 0, 2, 2);
const US6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const PEER6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** An ICMP 3/4 from a router about `quoted`. */
function tooBig4(quoted: Uint8Array, mtu: number): Uint8Array {
  const packet = new Uint8Array(28 + 28);
  packet.set(Uint8Array.of(0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 254, ...US));
  packet[20] = 3;
  packet[21] = 4;
  setU16(packet, 26, mtu);
  packet.set(quoted.subarray(0, 28), 28);
  setU16(packet, 22, ~sum16(packet, 20, 36, 0) & 0xffff);
  return packet;
}

describe("an echo request", () => {
  it("over IPv4: ours is the source, DF is set, both checksums are right", () => {
    const packet = echoRequest(US, PEER, 0x1234, 7, 32);
    expect(hex(packet)).toBe(
      `45c000200000400040 01b619 c0000201 c0000202 0800 ab88 1234 0007 1c1d1e1f`.replaceAll(" ", ""),
    );
    expect(checkIpv4(new DataView(packet.buffer), 0, packet.length)).toBe(0);
    expect(sum16(packet, 20, 12, 0)).toBe(0xffff);
  });

  it("over IPv6: the checksum covers the pseudo-header", () => {
    const packet = echoRequest(US6, PEER6, 0x1234, 7, 1400);
    expect(hex(packet.subarray(0, 8))).toBe("6c00000005503a40");
    expect(packet.length).toBe(1400);
    expect(sum16(packet, 40, 1360, sum16(packet, 8, 32, 58 + 1360))).toBe(0xffff);
  });

  it("has a shortest length", () => {
    expect([shortestEcho(4), shortestEcho(16)]).toEqual([28, 48]);
    expect(echoRequest(US, PEER, 1, 1, 28)).toHaveLength(28);
  });
});

describe("what comes back", () => {
  it("a reply", () => {
    const packet = echoRequest(PEER, US, 0x1234, 7, 64);
    packet[20] = 0;
    setU16(packet, 22, 0);
    setU16(packet, 22, ~sum16(packet, 20, 44, 0) & 0xffff);
    expect(readEcho4(packet)).toEqual({ kind: "reply", identifier: 0x1234, sequence: 7 });
    packet[40]! ^= 1;
    expect(readEcho4(packet), "a broken checksum").toBeNull();
    const six = echoRequest(PEER6, US6, 0x1234, 8, 64).subarray(40);
    six[0] = 129;
    expect(readEcho6(six)).toEqual({ kind: "reply", identifier: 0x1234, sequence: 8 });
  });

  it("too big, about a probe and about a tunnel's datagram", () => {
    const probe = echoRequest(US, PEER, 0x1234, 9, 1500);
    expect(readEcho4(tooBig4(probe, 1400))).toEqual({
      kind: "probeTooBig",
      identifier: 0x1234,
      sequence: 9,
      mtu: 1400,
    });
    const datagram = Uint8Array.from(probe.subarray(0, 28));
    datagram[9] = 17;
    setU16(datagram, 22, 4789);
    expect(readEcho4(tooBig4(datagram, 1400))).toEqual({ kind: "datagramTooBig", target: PEER, port: 4789, mtu: 1400 });
    const six = new Uint8Array(8 + 48);
    six[0] = 2;
    six[6] = 1400 >> 8;
    six[7] = 1400 & 255;
    six.set(echoRequest(US6, PEER6, 0x1234, 10, 1500).subarray(0, 48), 8);
    expect(readEcho6(six)).toEqual({ kind: "probeTooBig", identifier: 0x1234, sequence: 10, mtu: 1400 });
    six[14] = 17;
    expect(readEcho6(six)).toMatchObject({ kind: "datagramTooBig", target: PEER6 });
  });

  it("another ICMP, or one of another protocol, is nothing", () => {
    const probe = echoRequest(US, PEER, 0x1234, 9, 1500);
    const other = tooBig4(probe, 1400);
    other[21] = 1;
    setU16(other, 22, 0);
    setU16(other, 22, ~sum16(other, 20, 36, 0) & 0xffff);
    expect(readEcho4(other)).toBeNull();
    const tcp = Uint8Array.from(probe.subarray(0, 28));
    tcp[9] = 6;
    expect(readEcho4(tooBig4(tcp, 1400))).toBeNull();
  });

  it("hostile packets of every length and header length never throw and read nothing beyond their end", () => {
    const whole = tooBig4(echoRequest(US, PEER, 0x1234, 9, 1500), 1400);
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.slice(0, length);
      if (length > 24) {
        setU16(cut, 22, 0);
        setU16(cut, 22, ~sum16(cut, 20, length - 20, 0) & 0xffff);
      }
      expect(readEcho4(cut), String(length)).toBeNull();
    }
    let seed = 1;
    for (let n = 0; n < 20_000; n++) {
      const packet = Uint8Array.from({ length: n % 70 }, () => (seed = (seed * 48271) % 0x7fffffff) & 255);
      if (n % 3 === 0 && packet.length > 0) packet[0] = 0x45;
      if (n % 3 === 1 && packet.length > 0) packet[0] = 2;
      for (const news of [readEcho4(packet), readEcho6(packet)])
        for (const value of Object.values(news ?? {})) expect(value).not.toBeNaN();
    }
  });
});
