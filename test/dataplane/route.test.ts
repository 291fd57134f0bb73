/** Routing, byte for byte: what leaves, by which way, and what goes to control instead and with which arguments. */
import { describe, expect, it } from "vitest";
import { INJECT, PUNT, RECORD_STALE } from "../../src/tables/counters.ts";
import {
  GROUP_WORDS,
  ROUTE_DISCARD,
  ROUTE_GLEAN,
  ROUTE_GROUP,
  ROUTE_PROHIBIT,
  ROUTE_UNDERLAY,
  ROUTE_UNREACHABLE,
} from "../../src/tables/fib.ts";
import { MAC_GATEWAY } from "../../src/tables/mac.ts";
import { IF_MSS_CLAMP } from "../../src/tables/vsi.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { toHex } from "../wire/hex.ts";
import {
  changed,
  ethernet,
  headerIsRight,
  l4IsRight,
  tcpFrame,
  type UdpFields,
  udpFrame,
  vxlan,
  withOptions,
} from "./packets.ts";
import { G10, G20, ip, M1, M2, P10, P20, Rig } from "./rig.ts";

const VM1 = ip("10.1.1.11");
const VM2 = ip("20.1.1.11");
const VM5 = ip("20.1.1.12");
const PUNT_FIELDS = { port: 1, vsi: 1, units: 1 };

function lab(): Rig {
  const rig = new Rig();
  rig.mac(1, M1, 1);
  rig.mac(2, M2, 2);
  rig.neighbor("20.1.1.12", 2, P20, 3);
  rig.neighbor("20.1.1.11", 2, M2, 2);
  rig.neighbor("10.1.1.11", 1, M1, 1);
  return rig;
}

const packet = (f: Partial<UdpFields> = {}): Uint8Array => udpFrame({ dst: G10, src: M1, from: VM1, to: VM5, ...f });
const hex = (frames: { bytes: Uint8Array }[]): string[] => frames.map((d) => toHex(d.bytes));

describe("a routed packet", () => {
  it("AC to AC, AC to tunnel, tunnel to AC: the right way, VNI, MACs and TTL; every other byte as it was", () => {
    const rig = lab();
    rig.vm1.send(packet({ to: VM2, tos: 0x28 }));
    rig.vm1.send(packet());
    rig.arrive(2, vxlan(10, udpFrame({ dst: G10, src: P10, from: VM5, to: VM1, ttl: 63 })));
    rig.run();
    const want = (f: Partial<UdpFields>): string => toHex(packet({ ttl: 63, ...f }));
    expect(rig.heard[2]!.map((b) => toHex(b))).toEqual([want({ dst: M2, src: G20, to: VM2, tos: 0x28 })]);
    expect(hex(rig.wire)).toEqual([toHex(vxlan(20, packet({ dst: P20, src: G20, ttl: 63 })))]);
    expect(rig.heard[1]!.map((b) => toHex(b))).toEqual([want({ dst: M1, src: G10, from: VM5, to: VM1, ttl: 62 })]);
    expect(rig.imbalance).toBe(0);
  });

  it("keeps its options, loses its padding", () => {
    const rig = lab();
    const options = [7, 7, 4, 0, 0, 0, 0];
    const padded = new Uint8Array(packet().length + 20).fill(0xee);
    padded.set(packet());
    rig.vm1.send(padded);
    rig.vm1.send(withOptions(packet(), options));
    rig.run();
    const out = packet({ dst: P20, src: G20, ttl: 63 });
    expect(hex(rig.wire)).toEqual([toHex(vxlan(20, out)), toHex(vxlan(20, withOptions(out, options)))]);
  });

  it("with TTL 2 leaves with 1; with 1 or 0 it is control's, unless it is for us", () => {
    const rig = lab();
    for (const ttl of [2, 1, 0]) rig.vm1.send(packet({ ttl }));
    rig.vm1.send(packet({ ttl: 1, to: ip("10.1.1.1") }));
    rig.vm1.send(packet({ ttl: 0, to: ip("20.1.1.1") }));
    rig.run();
    expect(hex(rig.wire)).toEqual([toHex(vxlan(20, packet({ dst: P20, src: G20, ttl: 1 })))]);
    const punts = rig.punts();
    expect(punts).toMatchObject([
      { ...PUNT_FIELDS, kind: PUNT.ttl, arg: 1 },
      { ...PUNT_FIELDS, kind: PUNT.ttl, arg: 1 },
      { ...PUNT_FIELDS, kind: PUNT.local, arg: 1 },
      { ...PUNT_FIELDS, kind: PUNT.local, arg: 2 },
    ]);
    expect(toHex(punts[0]!.bytes), "as it was received").toBe(toHex(packet({ ttl: 1 })));
    expect(rig.imbalance).toBe(0);
  });

  it("to the gateway MAC of a peer is routed when an AC uses it (a VM that moved here), bridged by horizon from a tunnel", () => {
    const rig = lab();
    rig.mac(1, P10, MAC_GATEWAY | 3);
    rig.vm1.send(packet({ dst: P10, to: VM2 }));
    rig.arrive(3, vxlan(10, packet({ dst: P10, src: P20 })));
    rig.run();
    expect(rig.heard[2]!.map((b) => toHex(b))).toEqual([toHex(packet({ dst: M2, src: G20, to: VM2, ttl: 63 }))]);
    expect(rig.drops).toEqual({ split_horizon: 1 });
  });

  it("stays in its VRF", () => {
    const rig = lab();
    rig.tables.interfaces.vrf[1] = 2;
    rig.vm1.send(packet());
    rig.run();
    expect(rig.wire).toEqual([]);
    expect(rig.punts()).toMatchObject([{ kind: PUNT.unreachable, arg: 0, arg2: 1 }]);
  });
});

describe("what a route says", () => {
  const ask = (prepare: (rig: Rig) => void, to: string) => {
    const rig = lab();
    prepare(rig);
    rig.vm1.send(packet({ to: ip(to) }));
    rig.run();
    expect(rig.imbalance).toBe(0);
    return { punts: rig.punts(), drops: rig.drops, wire: rig.wire };
  };

  it("glean, unreachable, prohibit, nothing, discard", () => {
    expect(ask(() => {}, "20.1.1.77").punts).toMatchObject([
      { ...PUNT_FIELDS, kind: PUNT.unresolved, arg: 2, arg2: 0 },
    ]);
    const kinds = [
      [ROUTE_UNREACHABLE, 1],
      [ROUTE_PROHIBIT, 13],
    ] as const;
    for (const [kind, code] of kinds)
      expect(ask((r) => r.route("30.0.0.0", 8, kind, 0), "30.1.1.1").punts).toMatchObject([
        { ...PUNT_FIELDS, kind: PUNT.unreachable, arg: code, arg2: 1 },
      ]);
    expect(ask(() => {}, "30.1.1.1").punts).toMatchObject([
      { ...PUNT_FIELDS, kind: PUNT.unreachable, arg: 0, arg2: 1 },
    ]);
    expect(ask((r) => r.route("30.0.0.0", 8, ROUTE_DISCARD, 0), "30.1.1.1")).toMatchObject({
      punts: [],
      drops: { discard_route: 1 },
    });
  });

  it("a VTEP's address: not for VXLAN; anything else goes on with the next shorter prefix", () => {
    const rig = lab();
    rig.route("192.0.2.2", 32, ROUTE_UNDERLAY, 0);
    rig.route("192.0.2.0", 24, ROUTE_GLEAN, 2);
    const to = ip("192.0.2.2");
    for (const frame of [
      packet({ to, dport: 53 }),
      packet({ to, sport: 4789 }),
      tcpFrame({ dst: G10, src: M1, from: VM1, to, dport: 4789 }),
    ])
      rig.vm1.send(frame);
    rig.run();
    expect(rig.punts()).toMatchObject(new Array(3).fill({ kind: PUNT.unresolved, arg: 2, arg2: 0 }));
    rig.vm1.send(packet({ to, dport: 4789 }));
    rig.run();
    expect(rig.drops).toEqual({ overlay_to_underlay: 1 });
  });

  it("an adjacency that is not resolved: control hears for whom", () => {
    const rig = lab();
    rig.tables.fib.rewrite[1] = 0;
    rig.vm1.send(packet());
    rig.run();
    expect(rig.punts()).toMatchObject([{ ...PUNT_FIELDS, kind: PUNT.unresolved, arg: 2, arg2: 1 }]);
    expect(rig.tables.fib.adjacencyHit[1], "not used").toBe(0);
  });

  it("a used adjacency is marked", () => {
    const rig = lab();
    rig.vm1.send(packet());
    rig.run();
    expect([...rig.tables.fib.adjacencyHit.slice(0, 4)]).toEqual([0, 1, 0, 0]);
  });
});

describe("equal-cost next hops", () => {
  function group(members: number): Rig {
    const rig = lab();
    const hops: number[] = [];
    for (let i = 0; i < members; i++) {
      rig.tables.ports.mtu[10 + i] = 1450;
      hops.push(rig.neighbor(`10.1.1.${100 + i}`, 1, parseMac(`02:cc:00:00:00:0${i}`)!, 3 + (i & 1)));
    }
    const places = Array.from({ length: GROUP_WORDS }, (_, place) => hops[place % members]!);
    rig.tables.fib.groups.set(places, 5 * GROUP_WORDS);
    rig.route("50.0.0.0", 8, ROUTE_GROUP, 5);
    return rig;
  }
  const hopOf = (datagram: { bytes: Uint8Array }): number => datagram.bytes[8 + 5]!;

  it("flows spread over all of them, and each flow keeps to one", () => {
    const rig = group(4);
    const flows = Array.from({ length: 200 }, (_, i) => packet({ to: ip("50.1.1.1"), sport: 1000 + i }));
    for (let round = 0; round < 2; round++) for (const flow of flows) rig.vm1.send(flow);
    rig.run();
    const hops = rig.wire.map(hopOf);
    expect(hops).toHaveLength(400);
    expect(hops.slice(0, 200)).toEqual(hops.slice(200));
    for (let i = 0; i < 4; i++) expect(hops.filter((hop) => hop === i).length).toBeGreaterThan(50);
  });

  it("all fragments of a packet go one way", () => {
    const rig = group(4);
    for (let i = 0; i < 40; i++)
      rig.vm1.send(
        changed(packet({ to: ip("50.1.1.1"), sport: i * 77, dport: i }), (b) =>
          setU16(b, 20, i === 0 ? 0x2000 : i < 39 ? 0x2000 | i : i),
        ),
      );
    rig.run();
    expect(rig.wire).toHaveLength(40);
    expect(new Set(rig.wire.map(hopOf)).size).toBe(1);
  });
});

describe("MTU", () => {
  const of = (bytes: number, f: Partial<UdpFields> = {}): Uint8Array => packet({ payload: bytes - 28, ...f });

  it("exactly the MTU passes, one more is control's, with the MTU and the adjacency; DF or not", () => {
    for (const df of [true, false]) {
      const rig = lab();
      rig.vm1.send(of(1450, { df }));
      rig.vm1.send(of(1451, { df }));
      rig.run();
      expect(rig.wire.map((d) => d.bytes.length)).toEqual([1450 + 14 + 8]);
      expect(rig.punts()).toMatchObject([{ ...PUNT_FIELDS, kind: PUNT.mtu, arg: 1450, arg2: 1 }]);
    }
  });

  it("is the smaller of the way's and the VSI-interface's", () => {
    for (const [on, way, want] of [
      [1000, 1450, 1000],
      [1450, 900, 900],
    ] as const) {
      const rig = lab();
      rig.tables.interfaces.mtu[2] = on;
      rig.tables.ports.mtu[3] = way;
      rig.vm1.send(of(want));
      rig.vm1.send(of(want + 1));
      rig.run();
      expect(rig.wire).toHaveLength(1);
      expect(rig.punts()).toMatchObject([{ kind: PUNT.mtu, arg: want }]);
    }
  });

  it("padding does not make a packet too long, bridged length does", () => {
    const rig = lab();
    const padded = new Uint8Array(14 + 1500);
    padded.set(of(1000));
    rig.vm1.send(padded);
    rig.run();
    expect(rig.wire.map((d) => d.bytes.length)).toEqual([1000 + 14 + 8]);
  });

  it("a bridged IPv4 packet is answered where there is a gateway, else dropped", () => {
    const remote = parseMac("02:00:00:00:01:12")!;
    const rig = lab();
    rig.mac(1, remote, 3);
    rig.vm1.send(of(1451, { dst: remote }));
    rig.run();
    expect(rig.punts()).toMatchObject([{ ...PUNT_FIELDS, kind: PUNT.mtu, arg: 1450, arg2: 0 }]);
    rig.tables.vsis.interface[1] = 0;
    rig.vm1.send(of(1451, { dst: remote }));
    rig.vm1.send(ethernet(remote, M1, 0x86dd, 1451));
    rig.run();
    expect(rig.drops).toEqual({ too_big: 2 });
  });
});

describe("the MSS clamp", () => {
  const syn = (mss: number, f: Partial<UdpFields> & { flags?: number } = {}): Uint8Array =>
    tcpFrame({ dst: G10, src: M1, from: VM1, to: VM5, flags: 2, payload: 0, mss, ...f });
  const send = (frame: Uint8Array, prepare: (rig: Rig) => void = () => {}): Uint8Array => {
    const rig = lab();
    prepare(rig);
    rig.vm1.send(frame);
    rig.run();
    expect(rig.wire).toHaveLength(1);
    return rig.wire[0]!.bytes.slice(8);
  };

  it("makes a SYN's MSS fit the way: MTU - 40, both checksums right, everything else as it was", () => {
    const out = send(syn(1460));
    expect(toHex(out)).toBe(toHex(syn(1410, { dst: P20, src: G20, ttl: 63 })));
    expect([headerIsRight(out), l4IsRight(out)]).toEqual([true, true]);
  });

  it("also the way back counts: the smaller of arrival and departure", () => {
    const out = send(syn(1460), (rig) => {
      rig.tables.interfaces.mtu[1] = 1000;
    });
    expect(toHex(out)).toBe(toHex(syn(960, { dst: P20, src: G20, ttl: 63 })));
  });

  it("the tunnel that it came by counts as the one that it leaves by", () => {
    const rig = lab();
    rig.tables.ports.mtu[4] = 1200;
    rig.arrive(3, vxlan(10, syn(1460, { src: P10 })));
    rig.run();
    expect(rig.wire.map(({ bytes }) => toHex(bytes.subarray(8)))).toEqual([
      toHex(syn(1160, { dst: P20, src: G20, ttl: 63 })),
    ]);
  });

  it("one that waited for its next hop gets the same as one that did not", () => {
    const rig = lab();
    rig.tables.interfaces.mtu[1] = 1000;
    // What is our own has arrived by nothing.
    for (const vsi of [1, 0]) rig.inject(INJECT.adjacency, vsi, vsi, 1, 0, syn(1460));
    rig.run();
    expect(rig.wire.map(({ bytes }) => toHex(bytes.subarray(8)))).toEqual(
      [960, 1410].map((mss) => toHex(syn(mss, { dst: P20, src: G20, ttl: 63 }))),
    );
  });

  it("never raises it, never touches other segments, fragments, or where it is switched off", () => {
    expect(toHex(send(syn(536)))).toBe(toHex(syn(536, { dst: P20, src: G20, ttl: 63 })));
    const ack = { flags: 0x10 };
    expect(toHex(send(syn(1460, ack)))).toBe(toHex(syn(1460, { ...ack, dst: P20, src: G20, ttl: 63 })));
    const off = (rig: Rig): void => {
      rig.tables.interfaces.flags[1]! &= ~IF_MSS_CLAMP;
      rig.tables.interfaces.flags[2]! &= ~IF_MSS_CLAMP;
    };
    expect(toHex(send(syn(1460), off))).toBe(toHex(syn(1460, { dst: P20, src: G20, ttl: 63 })));
    const fragment = (b: Uint8Array): Uint8Array => changed(b, (c) => setU16(c, 20, 0x2000));
    expect(toHex(send(fragment(syn(1460))))).toBe(toHex(fragment(syn(1460, { dst: P20, src: G20, ttl: 63 }))));
  });
});

describe("from tunnel to tunnel", () => {
  const inward = vxlan(10, packet({ src: P10 }));

  it("a distributed gateway passes a packet on to another tunnel, never back, and tells control that the entry is stale", () => {
    const rig = lab();
    rig.arrive(3, inward); // from the border on to gw2
    rig.run();
    expect(hex(rig.wire)).toEqual([toHex(vxlan(20, packet({ dst: P20, src: G20, ttl: 63 })))]);
    rig.arrive(2, inward);
    rig.run();
    expect(rig.drops).toEqual({ l3_loop: 1 });
    const stale = rig.punts().filter((p) => p.kind === RECORD_STALE);
    expect(stale).toMatchObject([{ arg: 1, arg2: 0, port: 3, units: 0 }]);
    expect(rig.imbalance).toBe(0);
  });

  it("a central gateway hairpins between two VSIs, VNI 10 in, 20 out; within one VSI not even that one", () => {
    const rig = lab();
    rig.tables.interfaces.flags.fill(0);
    rig.arrive(2, inward);
    rig.run();
    expect(hex(rig.wire)).toEqual([toHex(vxlan(20, packet({ dst: P20, src: G20, ttl: 63 })))]);
    rig.neighbor("10.1.1.12", 1, P10, 3);
    rig.arrive(2, vxlan(10, packet({ src: P10, to: ip("10.1.1.12") })));
    rig.run();
    expect(rig.drops).toEqual({ l3_loop: 1 });
  });
});
