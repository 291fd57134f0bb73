import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { FLAG_UNFINISHED_CHECKSUM, SUPER_FRAME_MASK } from "../../src/control/icmp/icmp.ts";
import { FLAG_NEEDS_CSUM, GSO_MASK } from "../../src/io/port-io.ts";
import { INJECT, MTU_FLOODED, PUNT } from "../../src/tables/counters.ts";
import { R_CSUM_OFFSET, R_CSUM_START } from "../../src/tables/ring.ts";
import { i32, setU16, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, readMac, writeMac } from "../../src/wire/ethernet.ts";
import { emitIpv4, ICMP_ECHO_REPLY, isIcmpIntact } from "../../src/wire/icmp.ts";
import {
  checkIpv4,
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  formatIpv4,
  headerBytes,
  IP_DST,
  IP_FRAGMENT,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TOS,
  IP_TTL,
  IPV4_OK,
  setHeaderChecksum,
  sum16,
} from "../../src/wire/ipv4.ts";
import { changed, udpFrame } from "../dataplane/packets.ts";
import { AgentBed, G10, ip, LIMITS, M1, P10, type Sent } from "./agent-bed.ts";

const L3 = ETH_BYTES;
let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});

const udp = (to: string, more: Partial<Parameters<typeof udpFrame>[0]> = {}) =>
  udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(to), ...more });

/** An echo request of `data` bytes, in one frame. */
function echo(to: string, data = 56, { type = 8, tos = 0, from = "10.1.1.11" } = {}): Uint8Array {
  const frame = new Uint8Array(ETH_BYTES + 28 + data);
  writeMac(frame, 0, G10);
  writeMac(frame, 6, M1);
  setU16(frame, 12, 0x0800);
  emitIpv4(frame, L3, 28 + data, ip(from), ip(to), 1, tos, 64, 77);
  const l4 = L3 + 20;
  frame[l4] = type;
  setU16(frame, l4 + 4, 0x1234);
  for (let i = 0; i < data; i++) frame[l4 + 8 + i] = i;
  setU16(frame, l4 + 2, ~sum16(frame, l4, 8 + data, 0) & 0xffff);
  return frame;
}

/** The one IPv4 packet that was injected, checked and taken apart. */
function answer(sent: Sent[] = bed.sent()) {
  expect(sent.length).toBe(1);
  const { kind, port, vsi, frame } = sent[0]!;
  expect(kind).toBe(INJECT.port);
  expect(checkIpv4(new DataView(frame.buffer), L3, frame.length)).toBe(IPV4_OK);
  expect(u16(frame, L3 + IP_LENGTH)).toBe(frame.length - L3);
  const l4 = L3 + headerBytes(frame, L3);
  const isWhole = (u16(frame, L3 + IP_FRAGMENT) & (FRAGMENT_MF | FRAGMENT_OFFSET)) === 0;
  if (isWhole) expect(isIcmpIntact(frame, l4, frame.length - l4)).toBe(true);
  return {
    port,
    vsi,
    frame,
    to: readMac(frame, 0),
    by: readMac(frame, 6),
    from: formatIpv4(i32(frame, L3 + IP_SRC)),
    for: formatIpv4(i32(frame, L3 + IP_DST)),
    type: frame[l4]!,
    code: frame[l4 + 1]!,
    rest: i32(frame, l4 + 4),
    body: frame.subarray(l4 + 8),
  };
}

describe("errors", () => {
  it("time exceeded: from the arrival VSI-interface, back out of the port it came by, to its own MAC; the quote is the packet", () => {
    const frame = udp("20.1.1.12", { ttl: 1 });
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, frame, { arg: 1 });
    const a = answer();
    expect(a).toMatchObject({ port: bed.vm1.row, vsi: 1, to: M1, by: G10, from: "10.1.1.1", for: "10.1.1.11" });
    expect([a.type, a.code, a.rest]).toEqual([11, 0, 0]);
    expect(a.body).toEqual(frame.subarray(L3));
    expect(a.frame[L3 + IP_TTL]).toBe(64);
    expect(bed.drops).toEqual({ ttl_exceeded: 1 });
  });

  it("from a tunnel: back to the gateway that sent it, over that tunnel", () => {
    const frame = udp("20.1.1.12", { ttl: 1, src: P10, from: ip("10.1.1.12") });
    bed.punt(PUNT.ttl, bed.gw2, bed.vsi10, frame, { arg: 1 });
    expect(answer()).toMatchObject({ port: bed.gw2.row, to: P10, from: "10.1.1.1", for: "10.1.1.12" });
  });

  it("speaks with icmpSource where there is one, else with the address of the sender's subnet", () => {
    bed.if10.subnets = [...bed.if10.subnets, { address: ip("10.2.1.1"), network: ip("10.2.1.0"), length: 24 }];
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, udp("20.1.1.12", { ttl: 1, from: ip("10.2.1.5") }), { arg: 1 });
    expect(answer().from).toBe("10.2.1.1");
    bed = new AgentBed({}, { icmpSource: { text: "10.1.1.201", ip: ip("10.1.1.201") } });
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, udp("20.1.1.12", { ttl: 1 }), { arg: 1 });
    expect(answer().from).toBe("10.1.1.201");
  });

  it("unreachable carries the code it was punted with; each has its reason", () => {
    for (const code of [0, 1, 13]) {
      bed.punt(PUNT.unreachable, bed.vm1, bed.vsi10, udp("50.1.1.1"), { arg: code, arg2: 1 });
      const a = answer();
      expect([a.type, a.code]).toEqual([3, code]);
    }
    expect(bed.drops).toEqual({ no_route: 3 });
  });

  it("the quote stops at 576 bytes in all, and at the packet's end when padding follows", () => {
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, udp("20.1.1.12", { ttl: 1, payload: 1400 }), { arg: 1 });
    expect(answer().frame.length).toBe(ETH_BYTES + 576);
    const padded = new Uint8Array(60 + ETH_BYTES).fill(0xa5);
    const short = udp("20.1.1.12", { ttl: 1, payload: 2 });
    padded.set(short);
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, padded, { arg: 1 });
    expect(answer().body).toEqual(short.subarray(L3));
  });

  describe("what is never answered (RFC 1812 §4.3.2.7): dropped with its reason, in silence", () => {
    const cases: [string, () => Uint8Array][] = [
      ["an ICMP error", () => changed(echo("20.1.1.12"), (f) => (f[L3 + 20] = 3))],
      ["a non-first fragment", () => changed(udp("20.1.1.12"), (f) => setU16(f, L3 + IP_FRAGMENT, 100))],
      ["a group destination", () => udp("224.0.0.5")],
      ["the limited broadcast", () => udp("255.255.255.255")],
      ["a directed broadcast", () => udp("10.1.1.255")],
      ["a broadcast frame", () => udp("20.1.1.12", { dst: BROADCAST })],
      ["source 0.0.0.0", () => udp("20.1.1.12", { from: 0 })],
      ["a multicast source", () => udp("20.1.1.12", { from: ip("224.0.0.1") })],
      ["a loopback source", () => udp("20.1.1.12", { from: ip("127.0.0.1") })],
      ["a class E source", () => udp("20.1.1.12", { from: ip("240.0.0.1") })],
      ["our own address as source", () => udp("20.1.1.12", { from: ip("10.1.1.1") })],
    ];
    for (const [what, frame] of cases)
      it(what, () => {
        bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, frame(), { arg: 1 });
        expect(bed.sent()).toEqual([]);
        expect(bed.drops).toEqual({ ttl_exceeded: 1 });
      });
  });

  it("echo and its reply are queries: they are answered", () => {
    for (const type of [8, 0]) {
      bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, echo("20.1.1.12", 56, { type }), { arg: 1 });
      expect(answer().type).toBe(11);
    }
  });

  it("a VM is limited by itself, all of them by the total (R09)", () => {
    for (let i = 0; i < 150; i++) {
      bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, udp("20.1.1.12", { ttl: 1 }), { arg: 1 });
      bed.advance(1);
    }
    expect(bed.sent().length).toBe(LIMITS.icmpPerAcPerSecond);
    expect(bed.drops).toEqual({ ttl_exceeded: 100, icmp_limited: 50 });
    bed.punt(PUNT.ttl, bed.vm3, bed.vsi10, udp("20.1.1.12", { ttl: 1 }), { arg: 1 });
    expect(bed.sent().length).toBe(1);
    bed.agent.setLimits({ ...LIMITS, icmpPerSecond: 3, icmpPerAcPerSecond: 2 });
    for (const port of [bed.vm1, bed.vm1, bed.vm1, bed.vm3, bed.vm3])
      bed.punt(PUNT.ttl, port, bed.vsi10, udp("20.1.1.12", { ttl: 1 }), { arg: 1 });
    expect(bed.sent().map((each) => each.port)).toEqual([bed.vm1.row, bed.vm1.row, bed.vm3.row]);
  });

  it("malformed: no ICMP, ip_malformed or ip_checksum; random bytes are answered only if they are a packet", () => {
    const frame = udp("20.1.1.12", { ttl: 1 });
    const wrong = frame.slice();
    wrong[L3 + 10]! ^= 0xff;
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, wrong, { arg: 1 });
    bed.punt(PUNT.ttl, bed.vm1, bed.vsi10, frame.subarray(0, 40), { arg: 1 });
    expect(bed.drops).toEqual({ ip_checksum: 1, ip_malformed: 1 });
    expect(bed.sent()).toEqual([]);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 14, maxLength: 120 }),
        fc.constantFrom(PUNT.ttl, PUNT.local, PUNT.unreachable, PUNT.mtu, PUNT.arp),
        (bytes, kind) => {
          bed.punt(kind, bed.vm1, bed.vsi10, bytes, { arg: 1, arg2: 0 });
          bed.sent();
        },
      ),
    );
  });
});

describe("echo to our addresses", () => {
  it("is answered from the address that was pinged, with the request's data and TOS", () => {
    for (const to of ["10.1.1.1", "20.1.1.1"]) {
      bed.punt(PUNT.local, bed.vm1, bed.vsi10, echo(to, 56, { tos: 0xb8 }), { arg: 1 });
      const a = answer();
      expect(a).toMatchObject({
        port: bed.vm1.row,
        to: M1,
        by: G10,
        from: to,
        for: "10.1.1.11",
        type: ICMP_ECHO_REPLY,
      });
      expect(a.rest >>> 16).toBe(0x1234);
      expect(a.body).toEqual(echo(to).subarray(L3 + 28));
      expect(a.frame[L3 + IP_TOS]).toBe(0xb8);
    }
    expect(bed.drops).toEqual({});
  });

  it("TTL 1 to the gateway itself is no reason to refuse", () => {
    bed.punt(
      PUNT.local,
      bed.vm1,
      bed.vsi10,
      changed(echo("10.1.1.1"), (f) => (f[L3 + IP_TTL] = 1)),
      { arg: 1 },
    );
    expect(answer().type).toBe(ICMP_ECHO_REPLY);
  });

  it("a wrong checksum is dropped csum_bad, unless the VM left it to the device", () => {
    const frame = echo("10.1.1.1");
    frame[L3 + 22]! ^= 1;
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, frame, { arg: 1 });
    expect(bed.drops).toEqual({ csum_bad: 1 });
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, frame, { arg: 1, flags: FLAG_NEEDS_CSUM });
    expect(answer().type).toBe(ICMP_ECHO_REPLY);
    expect([FLAG_UNFINISHED_CHECKSUM, SUPER_FRAME_MASK]).toEqual([FLAG_NEEDS_CSUM, GSO_MASK]);
  });

  for (const data of [1600, 3000, 8192])
    it(`${data} bytes in fragments, in and out`, () => {
      const whole = echo("10.1.1.1", data);
      const message = whole.subarray(L3 + 20);
      const step = 1424;
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < message.length; at += step) {
        const part = message.subarray(at, at + step);
        const frame = new Uint8Array(L3 + 20 + part.length);
        frame.set(whole.subarray(0, L3 + 20));
        frame.set(part, L3 + 20);
        setU16(frame, L3 + IP_LENGTH, 20 + part.length);
        setU16(frame, L3 + IP_FRAGMENT, (at + step < message.length ? FRAGMENT_MF : 0) | (at >> 3));
        setHeaderChecksum(frame, L3);
        pieces.push(frame);
      }
      for (const piece of pieces.reverse()) bed.punt(PUNT.local, bed.vm1, bed.vsi10, piece, { arg: 1 });
      const sent = bed.sent();
      expect(sent.length).toBe(pieces.length);
      const joined = new Uint8Array(message.length);
      for (const { frame } of sent) {
        expect(frame.length - L3).toBeLessThanOrEqual(bed.if10.mtu);
        joined.set(frame.subarray(L3 + 20), (u16(frame, L3 + IP_FRAGMENT) & FRAGMENT_OFFSET) << 3);
      }
      expect(isIcmpIntact(joined, 0, joined.length)).toBe(true);
      expect(joined[0]).toBe(ICMP_ECHO_REPLY);
      expect(joined.subarray(4)).toEqual(message.subarray(4));
      expect(bed.drops).toEqual({});
      expect(bed.agent.ledger.held).toBe(0);
    });

  it("fragments that stay alone are dropped in the end", () => {
    const first = changed(echo("10.1.1.1", 96), (f) => setU16(f, L3 + IP_FRAGMENT, FRAGMENT_MF));
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, first, { arg: 1 });
    expect(bed.agent.ledger.held).toBe(1);
    bed.advance(10_000);
    expect(bed.drops).toEqual({ not_forwarded: 1 });
  });

  it("other ICMP is taken in silence", () => {
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, echo("10.1.1.1", 56, { type: 0 }), { arg: 1 });
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({});
  });

  it("over the rate: icmp_limited", () => {
    for (let i = 0; i < 107; i++) bed.punt(PUNT.local, bed.vm1, bed.vsi10, echo("10.1.1.1"), { arg: 1 });
    expect(bed.drops).toEqual({ icmp_limited: 7 });
  });
});

describe("other traffic to our addresses", () => {
  it("UDP: port unreachable from the address asked, so that traceroute ends", () => {
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, udp("20.1.1.1"), { arg: 2 });
    expect(answer()).toMatchObject({ type: 3, code: 3, from: "20.1.1.1" });
    expect(bed.drops).toEqual({ not_forwarded: 1 });
  });

  it("an unknown protocol: protocol unreachable; TCP: silence", () => {
    const to = (protocol: number) => changed(udp("10.1.1.1"), (f) => (f[L3 + IP_PROTOCOL] = protocol));
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, to(47), { arg: 1 });
    expect(answer()).toMatchObject({ type: 3, code: 2 });
    bed.punt(PUNT.local, bed.vm1, bed.vsi10, to(6), { arg: 1 });
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({ not_forwarded: 2 });
  });
});

describe("too big for the way out", () => {
  it("DF: 3/4 with the MTU that was too small, nothing else (N10)", () => {
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, udp("20.1.1.12", { payload: 1423 }), { arg: 1450, arg2: 5 });
    expect(answer()).toMatchObject({ type: 3, code: 4, rest: 1450 });
    expect(bed.drops).toEqual({});
  });

  it("no DF: fragments through the adjacency, the TTL untouched", () => {
    const frame = udp("20.1.1.12", { payload: 2000, df: false, ttl: 9 });
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, frame, { arg: 1450, arg2: 5 });
    const sent = bed.sent();
    expect(sent.map(({ kind, arg, frame: f }) => [kind, arg, f.length - L3, f[L3 + IP_TTL]])).toEqual([
      [INJECT.adjacency, 5, 1444, 9],
      [INJECT.adjacency, 5, 604, 9],
    ]);
    expect(bed.drops).toEqual({});
  });

  it("no DF, with a checksum left to the device: finished before it is cut", () => {
    const frame = udp("20.1.1.12", { payload: 2000, df: false });
    const ring = bed.tables.punts[0]!;
    const l4 = L3 + 20;
    setU16(frame, l4 + 6, 0x1111);
    const expected = ~sum16(frame, l4, 2008, 0) & 0xffff;
    const at = ring.reserve(frame.length);
    ring.words[at + 1] = PUNT.mtu;
    ring.words[at + 2] = bed.vm1.row;
    ring.words[at + 3] = bed.vsi10.row;
    ring.words[at + 4] = 1450;
    ring.words[at + 5] = 5;
    ring.words[at + 6] = FLAG_NEEDS_CSUM;
    ring.words[at + R_CSUM_START] = l4;
    ring.words[at + R_CSUM_OFFSET] = l4 + 6;
    ring.words[at + 10] = 1;
    ring.bytes.set(frame, ring.frameAt(at));
    ring.commit();
    bed.poll();
    expect(u16(bed.sent()[0]!.frame, l4 + 6)).toBe(expected);
  });

  it("bridged without DF, or a super-frame without DF: too_big", () => {
    const frame = udp("20.1.1.12", { payload: 2000, df: false });
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, frame, { arg: 1450, arg2: 0 });
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, frame, { arg: 1450, arg2: 5, flags: 5, gsoSize: 1460, units: 2 });
    expect(bed.drops).toEqual({ too_big: 3 });
    expect(bed.sent()).toEqual([]);
  });

  it("bridged with DF: the gateway tells, being the one that made the MTU small", () => {
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, udp("10.1.1.12", { payload: 1460 }), { arg: 1450, arg2: 0 });
    expect(answer()).toMatchObject({ type: 3, code: 4, rest: 1450, from: "10.1.1.1" });
  });

  it("flooded with DF: the same, once; what may not be answered has its fates already", () => {
    const flooded = { arg: 1450, arg2: MTU_FLOODED };
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, udp("10.1.1.99", { payload: 1460 }), flooded);
    expect(answer()).toMatchObject({ type: 3, code: 4, rest: 1450, from: "10.1.1.1" });
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, udp("224.0.0.251", { payload: 1460 }), flooded);
    bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, udp("10.1.1.99", { payload: 1460, df: false }), flooded);
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({});
  });
});
