/**
 * What the outer header says of the inner packet, and the other way round: RFC 6040 in both directions, DSCP, and the number
 * that becomes the outer source port (RFC 7348 §5).
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergedEcn } from "../../src/dataplane/ingress.ts";
import { SET_DSCP } from "../../src/tables/tables.ts";
import { VSI_KEEP_INNER_VLAN } from "../../src/tables/vsi.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { toHex } from "../wire/hex.ts";
import { changed, ethernet, headerIsRight, ipv6Frame, tagged, tcpFrame, udpFrame, vxlan } from "./packets.ts";
import { G10, ip, M1, P20, Rig } from "./rig.ts";

const REMOTE = parseMac("02:00:00:00:01:12")!;
const bridged = (tos: number): Uint8Array =>
  udpFrame({ dst: REMOTE, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.12"), tos });
const inward = (tos: number): Uint8Array =>
  udpFrame({ dst: M1, src: REMOTE, from: ip("10.1.1.12"), to: ip("10.1.1.11"), tos });

function rig(): Rig {
  const r = new Rig();
  r.mac(1, M1, 1);
  r.mac(1, REMOTE, 3);
  return r;
}

const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3];
/** RFC 6040 §4.2, figure 4: rows inner, columns outer not-ECT, ECT(1), ECT(0), CE by value; null is <drop>. */
const FIGURE_4: Record<number, (number | null)[]> = {
  [NOT!]: [NOT!, NOT!, NOT!, null],
  [ECT1!]: [ECT1!, ECT1!, ECT1!, CE!],
  [ECT0!]: [ECT0!, ECT1!, ECT0!, CE!],
  [CE!]: [CE!, CE!, CE!, CE!],
};

describe("ECN", () => {
  for (let inner = 0; inner < 4; inner++) {
    for (let outer = 0; outer < 4; outer++) {
      const want = FIGURE_4[inner]![outer]!;
      it(`decapsulation: inner ${inner}, outer ${outer} gives ${want === null ? "a drop" : want}`, () => {
        expect(mergedEcn(inner, outer)).toBe(want ?? -1);
        const r = rig();
        // A right and a wrong header checksum; DSCP bits of both headers must not mix.
        const right = inward(0x28 | inner);
        const wrong = right.slice();
        wrong[24]! ^= 0x55;
        r.arrive(2, vxlan(10, right), 0xb8 | outer);
        r.arrive(2, vxlan(10, wrong), 0xb8 | outer);
        r.run();
        if (want === null) expect(r.drops).toEqual({ ecn: 2 });
        else {
          const [first, second] = r.heard[1]! as [Uint8Array, Uint8Array];
          expect(toHex(first)).toBe(toHex(inward(0x28 | want)));
          expect(headerIsRight(second), "wrong stays wrong").toBe(false);
          expect(second[15]).toBe(0x28 | want);
          if (want === inner) expect(toHex(second)).toBe(toHex(wrong));
        }
        expect(r.imbalance).toBe(0);
      });

      it(`IPv6 decapsulation: inner ${inner}, outer ${outer}`, () => {
        const r = rig();
        r.arrive(2, vxlan(10, ipv6Frame({ dst: M1, src: REMOTE, trafficClass: 0x28 | inner })), 0xb8 | outer);
        r.run();
        if (want === null) expect(r.drops).toEqual({ ecn: 1 });
        else expect(toHex(r.heard[1]![0]!)).toBe(toHex(ipv6Frame({ dst: M1, src: REMOTE, trafficClass: 0x28 | want })));
      });
    }
  }

  it("encapsulation copies the inner field, whatever it is, also with a fixed DSCP (normal mode, §4.1)", () => {
    for (let ecn = 0; ecn < 4; ecn++) {
      for (const [dscp, want] of [
        [-1, 0x28 | ecn],
        [46, (46 << 2) | ecn],
        [0, ecn],
      ] as const) {
        const r = rig();
        r.tables.settings[SET_DSCP] = dscp;
        r.vm1.send(bridged(0x28 | ecn));
        r.vm1.send(ipv6Frame({ dst: REMOTE, src: M1, trafficClass: 0x28 | ecn }));
        r.run();
        expect(r.wire.map((d) => d.tos)).toEqual([want, want]);
        expect(toHex(r.wire[0]!.bytes)).toBe(toHex(vxlan(10, bridged(0x28 | ecn))));
      }
    }
  });

  it("a frame that is no IP has outer ECN 0 and the fixed DSCP, and outer CE does not touch it", () => {
    const r = rig();
    r.tables.settings[SET_DSCP] = 10;
    r.vm1.send(ethernet(REMOTE, M1, 0x88b5, 46));
    const other = ethernet(M1, REMOTE, 0x88b5, 46);
    const cut = inward(0).slice(0, 14 + 19);
    r.arrive(2, vxlan(10, other), 3);
    r.arrive(2, vxlan(10, cut), 3);
    r.run();
    expect(r.wire[0]!.tos).toBe(40);
    expect(r.heard[1]!.map((frame) => toHex(frame))).toEqual([toHex(other), toHex(cut)]);
  });
});

describe("the inner frame", () => {
  it("keeps its 802.1Q tag both ways where the VSI says so", () => {
    const r = rig();
    r.tables.vsis.flags[1]! |= VSI_KEEP_INNER_VLAN;
    const frame = tagged(inward(0), 20);
    r.arrive(2, vxlan(10, frame));
    r.run();
    expect(toHex(r.heard[1]![0]!)).toBe(toHex(frame));
  });

  it("reserved VXLAN bits are ignored and counted", () => {
    const r = rig();
    const datagram = vxlan(10, inward(0));
    datagram[0] = 0xff;
    datagram[7] = 0xff;
    r.arrive(2, datagram);
    r.run();
    expect(toHex(r.heard[1]![0]!)).toBe(toHex(inward(0)));
    expect(r.tables.counters[0]!.misc[0]).toBe(1);
  });

  it("VNIs of one to three bytes, each into its own VSI", () => {
    for (const vni of [1, 255, 256, 65535, 65536, 0xffffff]) {
      const r = rig();
      r.tables.vsis.vni[1] = vni;
      r.vnis.set(vni, 3, 1);
      r.vnis.remove(10, 3);
      r.vm1.send(bridged(0));
      r.arrive(2, vxlan(vni, inward(0)));
      r.arrive(2, vxlan(vni ^ 0x010101, inward(0)));
      r.run();
      expect(toHex(r.wire[0]!.bytes)).toBe(toHex(vxlan(vni, bridged(0))));
      expect(r.heard[1]).toHaveLength(1);
      expect(r.drops).toEqual({ unknown_vni: 1 });
    }
  });
});

describe("entropy", () => {
  /** The number each of `frames` got on its way into the tunnel. */
  function numbers(frames: Uint8Array[]): number[] {
    const r = rig();
    for (const frame of frames) r.vm1.send(frame);
    r.run();
    expect(r.wire).toHaveLength(frames.length);
    return r.wire.map((d) => d.entropy);
  }
  const flows = fc.record({
    from: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    to: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    sport: fc.nat(65535),
    dport: fc.nat(65535),
  });

  it("is a pure function of the inner flow: nothing else of the frame changes it", () => {
    fc.assert(
      fc.property(flows, fc.boolean(), fc.nat(255), fc.nat(255), fc.nat(300), (flow, isTcp, tos, ttl, payload) => {
        const make = isTcp ? tcpFrame : udpFrame;
        const base = { ...flow, dst: REMOTE, src: M1 };
        const one = make(base);
        const other = make({ ...base, tos, ttl, payload, df: false });
        setU16(other, 18, tos * 256 + ttl); // identification
        const padded = new Uint8Array(one.length + 9).fill(tos);
        padded.set(one);
        const [a, b, c] = numbers([one, other, padded]);
        expect(b).toBe(a);
        expect(c).toBe(a);
        expect(a).toBeGreaterThanOrEqual(0);
        expect(Number.isInteger(a)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("is the same bridged and routed, and on every gateway", () => {
    const r = rig();
    r.neighbor("20.1.1.12", 2, P20, 3);
    const flow = { src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") };
    r.vm1.send(udpFrame({ ...flow, dst: G10 }));
    r.vm1.send(udpFrame({ ...flow, dst: REMOTE }));
    r.run();
    expect(r.wire[0]!.entropy).toBe(r.wire[1]!.entropy);
    expect(r.wire[0]!.entropy).toBe(numbers([udpFrame({ ...flow, dst: REMOTE })])[0]);
  });

  it("is equal for all fragments of a packet, whatever their bytes, and leaves the ports out", () => {
    fc.assert(
      fc.property(flows, fc.array(fc.nat(0x1fff), { minLength: 1, maxLength: 5 }), (flow, offsets) => {
        const base = { ...flow, dst: REMOTE, src: M1, payload: 64 };
        const first = changed(udpFrame(base), (b) => setU16(b, 20, 0x2000));
        const rest = offsets.map((offset, i) =>
          changed(udpFrame({ ...base, sport: offset, dport: i }), (b) => setU16(b, 20, offset === 0 ? 0x2000 : offset)),
        );
        expect(new Set(numbers([first, ...rest])).size).toBe(1);
      }),
      { numRuns: 60 },
    );
  });

  it("never reads ports from the padding behind a packet that has none", () => {
    const bare = (noise: number): Uint8Array => {
      const frame = changed(udpFrame({ dst: REMOTE, src: M1, from: 1, to: 2 }), (b) => setU16(b, 16, 20));
      frame.fill(noise, 34);
      return frame;
    };
    const bare6 = (noise: number): Uint8Array => {
      const frame = ipv6Frame({ dst: REMOTE, src: M1, trafficClass: 0 });
      setU16(frame, 18, 0);
      frame.fill(noise, 54);
      return frame;
    };
    expect(new Set(numbers([bare(0), bare(7), bare(0xff)])).size).toBe(1);
    expect(new Set(numbers([bare6(0), bare6(7), bare6(0xff)])).size).toBe(1);
  });

  it("spreads: 512 flows that differ in one port alone, over sixteen outer ports", () => {
    const frames = Array.from({ length: 512 }, (_, i) =>
      udpFrame({ dst: REMOTE, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.12"), sport: 40_000 + i }),
    );
    const all = numbers(frames);
    expect(new Set(all).size).toBeGreaterThanOrEqual(510);
    const buckets = new Array<number>(16).fill(0);
    for (const n of all) buckets[n % 16]!++;
    // 32 each on average; 6 standard deviations.
    expect(Math.min(...buckets)).toBeGreaterThan(5);
    expect(Math.max(...buckets)).toBeLessThan(65);
  });

  const SIX = ipv6Frame({ dst: REMOTE, src: M1, trafficClass: 0 });
  /** The frame SIX with `value` in the 16 bits at `at`. */
  const six = (at: number, value: number): Uint8Array => {
    const frame = SIX.slice();
    setU16(frame, at, value);
    return frame;
  };

  it.each([
    ["the source port", 54],
    ["the destination port", 56],
    ["the end of the source address", 36],
    ["its interface identifier", 30],
    ["its prefix", 26],
    ["the end of the destination address", 52],
    ["its prefix", 42],
  ])("spreads IPv6: 512 flows that differ in %s alone (at %i)", (_, at) => {
    const all = numbers(Array.from({ length: 512 }, (_, i) => six(at, 40_000 + i)));
    expect(new Set(all).size).toBeGreaterThanOrEqual(510);
    const buckets = new Array<number>(16).fill(0);
    for (const n of all) buckets[n % 16]!++;
    expect(Math.min(...buckets)).toBeGreaterThan(5);
    expect(Math.max(...buckets)).toBeLessThan(65);
  });

  it("tells the two ways of an IPv6 flow apart, and its hosts, when words change places", () => {
    const back = SIX.slice();
    back.set(SIX.slice(22, 38), 38);
    back.set(SIX.slice(38, 54), 22);
    expect(new Set(numbers([SIX, back])).size).toBe(2);
  });

  it("IPv6 whose ports are behind other headers, or encrypted, goes by its flow label (RFC 6438)", () => {
    const labelled = (next: number, label: number, ports: number): Uint8Array => {
      const frame = six(16, label);
      frame[20] = next;
      setU16(frame, 54, ports);
      return frame;
    };
    for (const next of [0, 43, 44, 50, 60]) {
      expect(new Set(numbers([1, 2, 3].map((ports) => labelled(next, 7, ports)))).size).toBe(1);
      expect(new Set(numbers([1, 2, 3].map((label) => labelled(next, label, 1)))).size).toBe(3);
    }
    // A sender that has no label for it changes it as it likes: where there are ports, it does not count.
    expect(new Set(numbers([1, 2, 3].map((label) => labelled(17, label, 1)))).size).toBe(1);
  });

  it("what is no IP is told apart by its MACs", () => {
    const others = [1, 2, 3].map((n) => ethernet(REMOTE, M1 + n, 0x88b5, 46));
    expect(new Set(numbers(others)).size).toBe(3);
  });
});
