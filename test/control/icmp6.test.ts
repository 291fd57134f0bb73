/** ICMPv6 about bridged packets that are too long: when, to whom, how often. */
import { beforeEach, describe, expect, it } from "vitest";
import { INJECT, MTU_FLOODED, PUNT } from "../../src/tables/counters.ts";
import { i32, setU16, u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, readMac } from "../../src/wire/ethernet.ts";
import { checksum6 } from "../../src/wire/icmp6.ts";
import { formatIpv6, readIpv6 } from "../../src/wire/ipv6.ts";
import { ipv6Frame } from "../dataplane/packets.ts";
import { AgentBed, G10, M1, P10 } from "./agent-bed.ts";

const L3 = ETH_BYTES;
const long = (payload = 1443) => ipv6Frame({ dst: P10, src: M1, trafficClass: 0, payload });
let bed: AgentBed;

beforeEach(() => {
  bed = new AgentBed();
});

/** A bridged frame too long for a way of MTU `mtu`. */
const tooLong = (frame = long(), { mtu = 1450, ...more } = {}) =>
  bed.punt(PUNT.mtu, bed.vm1, bed.vsi10, frame, { arg: mtu, arg2: 0, ...more });

describe("packet too big", () => {
  it("goes back out of the AC to the sender's MAC, from the link-local address of the gateway MAC, with the overlay's MTU", () => {
    tooLong();
    const [answer, ...rest] = bed.sent();
    expect(rest).toEqual([]);
    const { frame, kind, port, vsi } = answer!;
    expect([kind, port, vsi]).toEqual([INJECT.port, bed.vm1.row, bed.vsi10.row]);
    expect([readMac(frame, 0), readMac(frame, 6), u16(frame, 12)]).toEqual([M1, G10, 0x86dd]);
    expect(formatIpv6(readIpv6(frame, L3 + 8))).toBe("fe80::aa:ff:fe00:a");
    expect(formatIpv6(readIpv6(frame, L3 + 24))).toBe("fd00::1");
    expect([frame[L3 + 40], frame[L3 + 41], i32(frame, L3 + 44)]).toEqual([2, 0, 1450]);
    expect(frame.length).toBe(L3 + 1280);
    expect(checksum6(frame, L3, 1240)).toBe(0xffff);
    expect([...frame.subarray(L3 + 48)]).toEqual([...long().subarray(L3, L3 + 1232)]);
    expect(bed.drops).toEqual({});
    expect(bed.eventsNamed("icmp.error")).toMatchObject([{ ac: "vm1", to: "fd00::1", type: 2, code: 0, way: "back" }]);
  });

  it("one for a super-frame", () => {
    tooLong(long(4000), { flags: 4, gsoSize: 1430, units: 3 } as object);
    expect(bed.sent()).toHaveLength(1);
    expect(bed.drops).toEqual({});
  });

  it("never says less than the least MTU of IPv6, and nothing about a packet that every link carries", () => {
    tooLong(long(1443), { mtu: 1000 });
    expect(i32(bed.sent()[0]!.frame, L3 + 44)).toBe(1280);
    tooLong(long(1232), { mtu: 1000 });
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({ too_big: 1 });
  });

  it("is not said about an ICMPv6 error, nor to a source that is no host's", () => {
    const error = long();
    error[L3 + 6] = 58;
    error[L3 + 40] = 1;
    const unspecified = long();
    unspecified.fill(0, L3 + 8, L3 + 24);
    tooLong(error);
    tooLong(unspecified);
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({ too_big: 2 });
  });

  it("has the rate of ICMP errors, and one share with them", () => {
    for (let i = 0; i < 150; i++) tooLong();
    expect(bed.sent()).toHaveLength(100);
    expect(bed.drops).toEqual({ icmp_limited: 50 });
    bed.advance(1000);
    tooLong();
    expect(bed.sent()).toHaveLength(1);
  });

  it("a packet whose length is not true is malformed", () => {
    const longer = long();
    setU16(longer, L3 + 4, 1500);
    const other = long();
    other[L3] = 0x40;
    tooLong(longer);
    tooLong(other);
    tooLong(long().subarray(0, L3 + 39));
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({ ip_malformed: 3 });
  });

  it("is said of a flooded one as of a bridged one, also to a group; the fates of what was lost are counted elsewhere", () => {
    const group = long();
    group.set([0x33, 0x33, 0, 0, 0, 0xfb]);
    group.set([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb], L3 + 24);
    for (const frame of [long(), group]) {
      tooLong(frame, { arg2: MTU_FLOODED } as object);
      const [answer, ...rest] = bed.sent();
      expect(rest).toEqual([]);
      expect([answer!.kind, answer!.port, readMac(answer!.frame, 0)]).toEqual([INJECT.port, bed.vm1.row, M1]);
      expect([answer!.frame[L3 + 40], i32(answer!.frame, L3 + 44)]).toEqual([2, 1450]);
    }
    const error = long();
    error[L3 + 6] = 58;
    error[L3 + 40] = 1;
    tooLong(error, { arg2: MTU_FLOODED } as object);
    bed.vsi10.interface = null;
    tooLong(long(), { arg2: MTU_FLOODED } as object);
    expect(bed.sent()).toEqual([]);
    expect(bed.drops).toEqual({});
  });

  it("is not said where there is no VSI-interface any more", () => {
    bed.vsi10.interface = null;
    tooLong();
    expect(bed.drops).toEqual({ too_big: 1 });
  });
});
