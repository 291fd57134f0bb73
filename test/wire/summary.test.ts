/** A frame in one line: what is there is told, what is cut off or a lie is not. */
import { expect, it } from "vitest";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { emitAdvertisement, emitSolicitation, groupMac, ND_MAX_BYTES, solicitedNode } from "../../src/wire/nd.ts";
import { summaryOf } from "../../src/wire/summary.ts";
import { SEEDS } from "../dataplane/corpus.ts";
import { arpFrame, changed, ethernet, ipv6Frame, tagged, tcpFrame, udpFrame } from "../dataplane/packets.ts";

const [A, B] = [parseMac("02:00:00:00:00:0a")!, parseMac("02:00:00:00:00:0b")!];
const NET = 0x20010db8_0010_0000_0000_0000_0000_0000n;
const VM1 = NET | 0x11n;
const M1 = 0x020000000111;
const said = (write: (bytes: Uint8Array) => number) => {
  const bytes = new Uint8Array(ND_MAX_BYTES);
  return bytes.slice(0, write(bytes));
};
const solicits = (src: bigint) => {
  const target = NET | 0x12n;
  const dst = solicitedNode(target);
  const around = { ethDst: groupMac(dst), ethSrc: M1, src, dst };
  return said((b) => emitSolicitation(b, 0, around, { target, mac: src === 0n ? null : M1, nonce: null }));
};
const tells = (isRouter: boolean) => {
  const target = NET | 0x12n;
  const flags = { isRouter, isSolicited: true, isOverride: true };
  const around = { ethDst: A, ethSrc: M1, src: target, dst: VM1 };
  return said((b) => emitAdvertisement(b, 0, around, { target, ...flags, mac: M1 }));
};
const packet = { dst: A, src: B, from: parseIpv4("10.1.1.11")!, to: parseIpv4("20.1.1.12")! };

it("names protocol, addresses, ports, TTL and length", () => {
  expect(summaryOf(udpFrame(packet))).toBe("udp 10.1.1.11:1000 > 20.1.1.12:2000 ttl 64, 46 bytes, df");
  expect(summaryOf(tagged(tcpFrame({ ...packet, df: false }), 7))).toBe(
    "tag 7 tcp 10.1.1.11:1000 > 20.1.1.12:2000 ttl 64, 58 bytes",
  );
  const later = changed(udpFrame({ ...packet, df: false }), (b) => b.set([0, 9], 20));
  expect(summaryOf(later)).toBe("udp 10.1.1.11 > 20.1.1.12 ttl 64, 46 bytes, fragment");
  const icmp = changed(udpFrame({ ...packet, df: false }), (b) => b.set([1], 23));
  icmp[34] = 8;
  expect(summaryOf(icmp)).toBe("icmp echo-request 10.1.1.11 > 20.1.1.12 ttl 64, 46 bytes");
  const who = { ethDst: BROADCAST, ethSrc: B, senderMac: B, senderIp: packet.from, targetMac: 0, targetIp: packet.to };
  expect(summaryOf(arpFrame({ ...who, op: 1 }))).toBe("arp who has 20.1.1.12 tell 10.1.1.11 (02:00:00:00:00:0b)");
  expect(summaryOf(arpFrame({ ...who, op: 2 }))).toBe("arp 10.1.1.11 is at 02:00:00:00:00:0b, to 20.1.1.12");
  const udp6 = ipv6Frame({ dst: A, src: B, trafficClass: 0 });
  expect(summaryOf(udp6)).toBe("udp [fd00::1]:1000 > [fd00::2]:2000 hops 64, 58 bytes");
  const advertisement = udp6.slice();
  advertisement[20] = 58;
  advertisement[54] = 134;
  expect(summaryOf(advertisement)).toBe("icmp6 router-advertisement fd00::1 > fd00::2 hops 64, 58 bytes");
  udp6.set([17, 0, 0, 9, 0, 0, 0, 1], 54);
  udp6[20] = 44;
  expect(summaryOf(udp6)).toBe("protocol 44 fd00::1 > fd00::2 hops 64, 58 bytes, fragment");
});

it("tells of what is cut off only what is there, and of a lie the type", () => {
  expect(summaryOf(new Uint8Array(9), 60)).toBe("60 bytes");
  expect(summaryOf(ethernet(A, B, 0x0800, 46))).toBe("type 0x0800 02:00:00:00:00:0b > 02:00:00:00:00:0a, 60 bytes");
  expect(summaryOf(udpFrame(packet).slice(0, 34), 60)).toBe("udp 10.1.1.11 > 20.1.1.12 ttl 64, 46 bytes, df");
  for (const { bytes } of SEEDS)
    for (let n = 0; n <= Math.min(bytes.length, 80); n++)
      expect(summaryOf(bytes.slice(0, n), bytes.length)).not.toMatch(/undefined|NaN/);
});

it.each([
  ["a solicitation", solicits(VM1), "nd who has 2001:db8:10::12 tell 2001:db8:10::11 (02:00:00:00:01:11)"],
  ["a probe", solicits(0n), "nd has anyone 2001:db8:10::12 (02:00:00:00:01:11)"],
  ["an advertisement", tells(false), "nd 2001:db8:10::12 is at 02:00:00:00:01:11, to 2001:db8:10::11"],
  ["a router's", tells(true), "nd router 2001:db8:10::12 is at 02:00:00:00:01:11, to 2001:db8:10::11"],
  [
    "one that is cut",
    tells(true).subarray(0, 80),
    "icmp6 neighbor-advertisement 2001:db8:10::12 > 2001:db8:10::11 hops 255, 72 bytes",
  ],
])("neighbour discovery, %s", (_, frame, text) => expect(summaryOf(frame)).toBe(text));
