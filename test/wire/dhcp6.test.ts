/** DHCPv6 messages: golden bytes by hand, what a relay wraps and unwraps, and every cut. */
import { describe, expect, it } from "vitest";
import {
  DHCP6_MOST_ADDRESSES,
  DHCP6_RELEASE,
  DHCP6_REPLY,
  DHCP6_SOLICIT,
  isOfClient,
  isOfServer,
  readDhcp6,
  readRelayReply,
  relayForward,
} from "../../src/wire/dhcp6.ts";
import { macOfLinkLocal, parseIpv6, readIpv6, writeLinkLocal } from "../../src/wire/ipv6.ts";
import { udp6Frame, udp6Payload } from "../../src/wire/udp6.ts";
import { CLIENT_ID, dhcp6Message, iaNa, relayReply } from "./dhcp6-message.ts";
import { fromHex, toHex } from "./hex.ts";

const ip = (text: string) => parseIpv6(text)!;
const A = "20010db8001000000000000000000064";
const B = "20010db8001000000000000000000065";
const LINK = "20010db80010000000000000000000fb";
const PEER = "fe8000000000000000000000fffe0011";
const bare = (text: string) => text.replaceAll(" ", "");

describe("a client's or a server's message", () => {
  it("is read to its type, its transaction and its addresses", () => {
    expect(readDhcp6(dhcp6Message(DHCP6_SOLICIT))).toEqual({ type: 1, transaction: 0xabcdef, addresses: [] });
    // Two associations, one of them temporary (IA_TA, without T1 and T2), and a prefix that is delegated (25).
    const temporary = `0004 0020 00000008 0005 0018 ${B} 00000e10 ffffffff`;
    const delegated =
      "0019 0029 00000007 00000708 00000b40 001a 0019 00000e10 00001c20 38 20010db8002000000000000000000000";
    const reply = dhcp6Message(DHCP6_REPLY, CLIENT_ID + iaNa(A, 7200) + temporary + delegated);
    expect(readDhcp6(reply)!.addresses).toEqual([
      { ip: ip("2001:db8:10::64"), validSeconds: 7200 },
      { ip: ip("2001:db8:10::65"), validSeconds: 0xffffffff },
    ]);
  });

  it("gives no address that has an error with it", () => {
    const error = "000d 0002 0002";
    const success = "000d 0004 0000 6f6b";
    const inside = `0003 002e 00000007 00000708 00000b40 0005 001e ${A} 00000e10 00001c20 ${error}`;
    const cases = [
      [iaNa(A, 60, success), 1],
      [iaNa(A, 60, error), 0],
      [inside, 0],
      [iaNa(A, 60, "000d 0001 00"), 0],
    ] as const;
    for (const [options, count] of cases)
      expect([options, readDhcp6(dhcp6Message(DHCP6_REPLY, options))!.addresses.length]).toEqual([options, count]);
  });

  it("is read no further than a client needs", () => {
    const many = dhcp6Message(DHCP6_RELEASE, iaNa(A, 60).repeat(20));
    expect(readDhcp6(many)!.addresses).toHaveLength(DHCP6_MOST_ADDRESSES);
  });

  it("is refused where it is cut off, or a relay's", () => {
    const wrong = {
      "three bytes": fromHex("01abcd"),
      "half an option": dhcp6Message(1, "0001 00"),
      "a length beyond the end": dhcp6Message(1, "0001 0004 000300"),
      "an association without its head": dhcp6Message(1, "0003 000b 00000007 00000708 00000b"),
      "an address that is short": dhcp6Message(
        1,
        `0003 0027 00000007 00000708 00000b40 0005 0017 ${A} 00000e10 000000`,
      ),
      "an address that is longer than its association": dhcp6Message(
        1,
        `0003 0028 00000007 00000708 00000b40 0005 0019 ${A} 00000e10 00000000`,
      ),
      "a Relay-forward": dhcp6Message(12),
      "a Relay-reply": relayReply(LINK, PEER, dhcp6Message(7)),
    };
    for (const [what, bytes] of Object.entries(wrong)) expect([what, readDhcp6(bytes)]).toEqual([what, null]);
  });

  it("is a client's or a server's, or neither", () => {
    const types = Array.from({ length: 256 }, (_, type) => type);
    expect(types.filter(isOfClient)).toEqual([1, 3, 4, 5, 6, 8, 9, 11, 20]);
    expect(types.filter(isOfServer)).toEqual([2, 7, 10, 21]);
  });
});

describe("a relay's message", () => {
  it("is made byte for byte", () => {
    const place = {
      link: ip("2001:db8:10::fb"),
      peer: ip("fe80::ff:fe00:11"),
      interfaceId: "vsi10/vm1",
      mac: 0x020000000011,
      vrf: null,
    };
    // §9.1, then interface-id (§21.18), client link-layer address (RFC 6939 §4), relay message (§21.10).
    expect(toHex(relayForward(dhcp6Message(1, ""), place))).toBe(
      bare(
        `0c 00 ${LINK} fe80000000000000000000fffe000011
        0012 0009 76736931302f766d31
        004f 0008 0001 020000000011
        0009 0004 01abcdef`.replaceAll(/\s+/g, ""),
      ),
    );
  });

  it("tells the VRF by name (RFC 6607 §3.2)", () => {
    const place = { link: ip("2001:db8:10::fb"), peer: ip("fe80::1"), interfaceId: "v/a", mac: 1, vrf: "red" };
    expect(toHex(relayForward(dhcp6Message(1, ""), place))).toMatch(/0044000400726564000900 ?04/);
  });

  it("is taken apart", () => {
    const inner = dhcp6Message(DHCP6_REPLY, iaNa(A, 60));
    const read = readRelayReply(relayReply(LINK, PEER, inner, "vsi10/vm1"))!;
    expect({ ...read, message: toHex(read.message) }).toEqual({
      link: ip("2001:db8:10::fb"),
      peer: readIpv6(fromHex(PEER), 0),
      interfaceId: "vsi10/vm1",
      message: toHex(inner),
    });
    expect(readRelayReply(relayReply(LINK, PEER, inner))!.interfaceId).toBeNull();
  });

  it("is refused where it is another one, has no message or two, or is cut off", () => {
    const inner = dhcp6Message(7);
    const whole = relayReply(LINK, PEER, inner, "vsi10/vm1");
    const twice = fromHex(`${toHex(whole)}0009000401abcdef`);
    const twoIds = fromHex(`${toHex(whole)}0012000141`);
    const forward = whole.slice();
    forward[0] = 12;
    for (const bytes of [forward, twice, twoIds, whole.subarray(0, 34), whole.subarray(0, 33), new Uint8Array(0)])
      expect(readRelayReply(bytes)).toBeNull();
    for (let length = 0; length < whole.length; length++) {
      const read = readRelayReply(whole.slice(0, length));
      expect([length, read?.message.length ?? 0]).toEqual([length, 0]);
    }
  });

  it("of random bytes never yields more than was there", () => {
    let seed = 7;
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      return (seed >>> 16) & 0xff;
    };
    const whole = relayReply(LINK, PEER, dhcp6Message(DHCP6_REPLY, CLIENT_ID + iaNa(A, 60) + iaNa(B, 60)), "vsi10/vm1");
    for (let round = 0; round < 5000; round++) {
      const bytes = whole.slice(0, whole.length - (random() % 8 === 0 ? random() % whole.length : 0));
      for (let n = random() % 4; n >= 0; n--)
        if (bytes.length > 0)
          bytes[((random() << 8) | random()) % bytes.length] = [0, 3, 4, 5, 9, 18, 255, random()][random() % 8]!;
      const reply = readRelayReply(bytes);
      if (reply !== null) {
        expect(reply.message.byteOffset + reply.message.length).toBeLessThanOrEqual(bytes.byteOffset + bytes.length);
        readDhcp6(reply.message);
      }
      const dhcp = readDhcp6(bytes.subarray(1));
      if (dhcp !== null) expect(dhcp.addresses.length).toBeLessThanOrEqual(DHCP6_MOST_ADDRESSES);
    }
  });
});

describe("UDP over IPv6", () => {
  const ends = { from: ip("2001:db8:10::fb"), fromPort: 547, to: ip("2001:db8:50::67"), toPort: 547 };

  it("is made byte for byte, and read again", () => {
    const frame = udp6Frame(ends, fromHex("01abcdef"), 64);
    // Sum by hand: 2 x 2001 + 2 x 0db8 + 10 + fb + 50 + 67 + 000c + 11 + 2 x 0223 + 000c + 01ab + cdef.
    expect(toHex(frame.subarray(12))).toBe(
      bare(`86dd 60000000000c1140 ${LINK} 20010db8005000000000000000000067 0223 0223 000c cec1 01abcdef`),
    );
    expect(toHex(udp6Payload(frame, 14, false)!)).toBe("01abcdef");
  });

  it("is not taken with another length or checksum, or without one", () => {
    const frame = udp6Frame(ends, fromHex("01abcdef"), 64);
    const changed = (at: number, value: number) => {
      const other = frame.slice();
      other[at] = value;
      return other;
    };
    const none = changed(60, 0);
    none[61] = 0;
    for (const bytes of [changed(62, 9), none, changed(59, 7), changed(59, 13), changed(20, 6), changed(14, 0x40)])
      expect(udp6Payload(bytes, 14, false)).toBeNull();
    expect(udp6Payload(none, 14, true)).not.toBeNull();
    for (let length = 0; length < frame.length; length++)
      expect(udp6Payload(frame.slice(0, length), 14, false)).toBeNull();
  });
});

it("a link-local address tells the MAC that made it, and another one none", () => {
  const bytes = new Uint8Array(16);
  for (const mac of [0x020000000011, 0x525400abcdef, 0, 0xfffffffffffe]) {
    writeLinkLocal(bytes, 0, mac);
    expect(macOfLinkLocal(readIpv6(bytes, 0))).toBe(mac);
  }
  for (const text of ["fe80::1", "fe80:1::ff:fe00:11", "2001:db8::ff:fe00:11", "fe80::ff:ff00:11"])
    expect(macOfLinkLocal(ip(text))).toBeNull();
});
