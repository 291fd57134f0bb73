/** Flooding is exact: who gets a copy, who does not, and every byte of each (RFC 7348 §4.2; L01, L03). */
import { describe, expect, it } from "vitest";
import {
  F_CSUM_OFFSET,
  F_CSUM_START,
  F_FLAGS,
  F_GSO_SIZE,
  F_UNITS,
  GSO_UDP_L4,
  MAX_SENDS,
} from "../../src/io/port-io.ts";
import {
  DROP,
  INJECT,
  MISC_ARENA_SCRATCH,
  MISC_SCRATCH_EXHAUSTED,
  MISC_SENDS_EXHAUSTED,
  MTU_FLOODED,
  PUNT,
  SCOPE_ACS,
  SCOPE_TUNNELS,
} from "../../src/tables/counters.ts";
import { MAC_FLOOD } from "../../src/tables/mac.ts";
import { publishFlood, VSI_FLOOD_BROADCAST, VSI_FLOOD_MULTICAST, VSI_FLOOD_UNKNOWN } from "../../src/tables/vsi.ts";
import { BROADCAST, ETH_BYTES, parseMac } from "../../src/wire/ethernet.ts";
import { toHex } from "../wire/hex.ts";
import { ethernet, tagged, udpFrame, vxlan } from "./packets.ts";
import { packet6, udp6 } from "./packets6.ts";
import { ip, M1, Rig } from "./rig.ts";

const UNKNOWN = parseMac("02:00:00:00:09:99")!;
const GROUP = parseMac("01:00:5e:01:02:03")!;
const FRAME = ethernet(BROADCAST, M1, 0x88b5, 46);

/** VSI 1: ACs 1 (untagged, TAP 1), 11 (VLAN 20 on TAP 5), 12 (untagged, TAP 6), 13 (VLAN 7 on TAP 6); tunnels 3, 4. */
function crowd(order = [1, 11, 12, 13]): Rig {
  const rig = new Rig();
  rig.ac(11, 1, 5, 20);
  rig.ac(12, 1, 6);
  rig.ac(13, 1, 6, 7);
  publishFlood(rig.tables.vsis, 1, order, [3, 4]);
  rig.mac(1, M1, 1);
  return rig;
}

/** Everything that left, as "who: bytes". */
function out(rig: Rig): string[] {
  const acs = rig.heard.flatMap((frames, io) => frames.map((frame) => `tap${io}: ${toHex(frame)}`));
  return [...acs, ...rig.wire.map((d) => `${d.to}: ${toHex(d.bytes)}`)].sort();
}

const want = (frame: Uint8Array, who: string[]): string[] =>
  who
    .map((name) => {
      const [port, tag] = name.split("/");
      if (port!.startsWith("tap")) return `${port}: ${toHex(tag === undefined ? frame : tagged(frame, Number(tag)))}`;
      return `${port}: ${toHex(vxlan(10, frame))}`;
    })
    .sort();

const permutations = (list: number[]): number[][] =>
  list.length < 2 ? [list] : list.flatMap((x, i) => permutations(list.toSpliced(i, 1)).map((rest) => [x, ...rest]));

describe("flood", () => {
  it("from an AC: to every other AC with its own tag, to every tunnel with the VNI, never back; in any order of the list", () => {
    for (const order of permutations([1, 11, 12, 13])) {
      const rig = crowd(order);
      rig.vm1.send(FRAME);
      rig.run();
      expect(out(rig), order.join()).toEqual(want(FRAME, ["tap5/20", "tap6", "tap6/7", "192.0.2.2", "192.0.2.3"]));
      expect(rig.tables.counters[0]!.copies[0]).toBe(4);
      expect(rig.imbalance).toBe(0);
    }
  });

  it("from a tunnel: to the ACs alone, exact even when the last of them is tagged (the MACs move only in its own copy)", () => {
    for (const order of permutations([1, 11, 12, 13])) {
      const rig = crowd(order);
      rig.arrive(2, vxlan(10, FRAME));
      rig.run();
      expect(out(rig), order.join()).toEqual(want(FRAME, ["tap1", "tap5/20", "tap6", "tap6/7"]));
      expect(rig.imbalance).toBe(0);
    }
  });

  it("from a tagged AC: the tag is stripped inward and put back outward, each AC its own", () => {
    const rig = crowd();
    rig.net.tapOf(106)!.send(tagged(FRAME, 7));
    rig.run();
    expect(out(rig)).toEqual(want(FRAME, ["tap1", "tap5/20", "tap6", "192.0.2.2", "192.0.2.3"]));
  });

  it("a priority tag (VLAN id 0) is stripped and belongs to the untagged AC; priority bits do not choose", () => {
    const rig = crowd();
    rig.vm1.send(tagged(FRAME, 0xe000));
    rig.run();
    expect(out(rig)).toEqual(want(FRAME, ["tap5/20", "tap6", "tap6/7", "192.0.2.2", "192.0.2.3"]));
    const other = crowd();
    other.net.tapOf(105)!.send(tagged(FRAME, 0xe014));
    other.run();
    expect(out(other)).toEqual(want(FRAME, ["tap1", "tap6", "tap6/7", "192.0.2.2", "192.0.2.3"]));
  });

  it("many frames in one batch, tagged and not: none of them touches another's bytes", () => {
    const rig = crowd([12, 1, 13, 11]);
    const frames = Array.from({ length: 40 }, (_, i) => ethernet(BROADCAST, M1, 0x88b5, 46 + i, i));
    for (const frame of frames) rig.vm1.send(frame);
    rig.run();
    const who = ["tap5/20", "tap6", "tap6/7", "192.0.2.2", "192.0.2.3"];
    expect(out(rig)).toEqual(frames.flatMap((frame) => want(frame, who)).sort());
  });

  it("each class has its switch: off, copies go to ACs only", () => {
    const classes = [
      [BROADCAST, VSI_FLOOD_BROADCAST],
      [GROUP, VSI_FLOOD_MULTICAST],
      [UNKNOWN, VSI_FLOOD_UNKNOWN],
    ] as const;
    for (const [dst] of classes) {
      for (const [owner, flag] of classes) {
        const rig = crowd();
        rig.tables.vsis.flags[1]! &= ~flag;
        const frame = ethernet(dst, M1, 0x88b5, 46);
        rig.vm1.send(frame);
        rig.run();
        const tunnels = dst === owner ? [] : ["192.0.2.2", "192.0.2.3"];
        expect(out(rig)).toEqual(want(frame, ["tap5/20", "tap6", "tap6/7", ...tunnels]));
      }
    }
  });

  it("a selective MAC is flooded whatever the switch says", () => {
    const rig = crowd();
    rig.tables.vsis.flags[1]! &= ~VSI_FLOOD_UNKNOWN;
    rig.mac(1, UNKNOWN, MAC_FLOOD);
    const frame = ethernet(UNKNOWN, M1, 0x88b5, 46);
    rig.vm1.send(frame);
    rig.run();
    expect(out(rig)).toEqual(want(frame, ["tap5/20", "tap6", "tap6/7", "192.0.2.2", "192.0.2.3"]));
  });

  it("a port with a smaller MTU loses its copy, counted; the others do not", () => {
    const rig = crowd();
    rig.tables.ports.mtu[12] = 100;
    rig.tables.ports.mtu[4] = 100;
    const frame = ethernet(BROADCAST, M1, 0x88b5, 101);
    rig.vm1.send(frame);
    rig.run();
    expect(out(rig)).toEqual(want(frame, ["tap5/20", "tap6/7", "192.0.2.2"]));
    expect(rig.drops).toEqual({ too_big: 2 });
    expect(rig.imbalance).toBe(0);
  });

  it("copies whose heads do not fit are dropped pool_exhausted, the rest leave", () => {
    const rig = crowd([1, 11, 13]);
    // 500 KB of frames, each with two tagged copies of its own: twice the scratch.
    const frame = ethernet(BROADCAST, M1, 0x88b5, 1400);
    for (let i = 0; i < 250; i++) rig.vm1.send(frame);
    rig.run();
    expect(Object.keys(rig.drops)).toEqual(["pool_exhausted"]);
    const { misc } = rig.tables.counters[0]!;
    expect([misc[MISC_SCRATCH_EXHAUSTED], misc[MISC_SENDS_EXHAUSTED]]).toEqual([rig.drops.pool_exhausted, 0]);
    expect(misc[MISC_ARENA_SCRATCH]).toBeGreaterThan(rig.plane.worker.pool.size - 2000);
    expect(rig.wire).toHaveLength(500);
    expect(rig.heard[5]!.length + rig.heard[6]!.length).toBe(500 - rig.drops.pool_exhausted!);
    for (const got of [...rig.heard[5]!]) expect(toHex(got)).toBe(toHex(tagged(frame, 20)));
    expect(rig.imbalance).toBe(0);
  });

  it("more copies than an exchange has send records for are dropped pool_exhausted, and counted as that pool's", () => {
    const rig = crowd();
    const many = Array.from({ length: 20 }, (_, i) => 20 + i);
    for (const port of many) rig.ac(port, 1, 7);
    publishFlood(rig.tables.vsis, 1, [1, ...many], [3, 4]);
    for (let i = 0; i < 1000; i++) rig.vm1.send(FRAME);
    rig.run();
    const { misc } = rig.tables.counters[0]!;
    expect(rig.drops).toEqual({ pool_exhausted: 1000 * 22 - MAX_SENDS });
    expect([misc[MISC_SCRATCH_EXHAUSTED], misc[MISC_SENDS_EXHAUSTED]]).toEqual([0, 1000 * 22 - MAX_SENDS]);
    expect(rig.imbalance).toBe(0);
  });

  it("an injected flood goes where its scope says, leaving out its port; flood policy does not apply", () => {
    for (const [scope, except, who] of [
      [SCOPE_ACS, 0, ["tap1", "tap5/20", "tap6", "tap6/7"]],
      [SCOPE_ACS, 13, ["tap1", "tap5/20", "tap6"]],
      [SCOPE_TUNNELS, 0, ["192.0.2.2", "192.0.2.3"]],
      [SCOPE_TUNNELS, 3, ["192.0.2.3"]],
      [SCOPE_ACS | SCOPE_TUNNELS, 1, ["tap5/20", "tap6", "tap6/7", "192.0.2.2", "192.0.2.3"]],
    ] as const) {
      const rig = crowd();
      rig.tables.vsis.flags[1] = 0;
      rig.inject(INJECT.flood, except, 1, scope, 0, FRAME);
      rig.run();
      expect(out(rig)).toEqual(want(FRAME, [...who]));
      expect(rig.imbalance).toBe(0);
    }
  });

  it("nowhere to go: split_horizon where only tunnels are left, flood_disabled where there is none", () => {
    const lonely = new Rig();
    publishFlood(lonely.tables.vsis, 1, [], [3, 4]);
    lonely.arrive(2, vxlan(10, FRAME));
    lonely.run();
    expect(lonely.drops).toEqual({ split_horizon: 1 });
    const empty = new Rig();
    publishFlood(empty.tables.vsis, 1, [], [3]);
    empty.arrive(2, vxlan(10, FRAME));
    empty.run();
    expect(empty.drops).toEqual({ flood_disabled: 1 });
    expect(DROP.flood_disabled).toBeGreaterThan(0);
    expect([...lonely.wire, ...empty.wire]).toEqual([]);
  });
});

describe("a flooded packet that is too long for some ports", () => {
  const GROUP6 = parseMac("33:33:00:00:00:fb")!;
  const long6 = (dst = UNKNOWN, payload = 1350) =>
    udp6({ dst, src: M1, from: "2001:db8:10::11", to: dst === GROUP6 ? "ff02::fb" : "2001:db8:10::99", payload });
  const long4 = (dst = UNKNOWN, df = true) =>
    udpFrame({ dst, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.99"), payload: 1350, df });

  /** vm1 sends; tunnel 3 carries 1300 bytes and tunnel 4 carries 1290. @returns what control is told. */
  function sent(frame: Uint8Array, change: (rig: Rig) => void = () => {}, rig: Rig = crowd()): string[] {
    rig.tables.ports.mtu[3] = 1300;
    rig.tables.ports.mtu[4] = 1290;
    change(rig);
    rig.vm1.send(frame);
    rig.run();
    expect(rig.imbalance).toBe(0);
    const told = rig.punts().filter(({ kind }) => kind === PUNT.mtu);
    for (const each of told) expect(toHex(each.bytes)).toBe(toHex(frame));
    return told.map(({ port, vsi, arg, arg2, units }) => [port, vsi, arg, arg2, units].join());
  }
  const TOLD = `1,1,1290,${MTU_FLOODED},1`;

  it.each([
    ["IPv6 to an unknown MAC", long6()],
    ["IPv6 to a group (RFC 4443 §2.4 e.3)", long6(GROUP6)],
    ["IPv4 with Don't Fragment to an unknown MAC", long4()],
  ])(
    "%s: control has one copy, with the least of their MTUs; the others leave, and what is lost is too_big",
    (_, frame) => {
      const rig = crowd();
      expect(sent(frame, undefined, rig)).toEqual([TOLD]);
      expect(rig.drops).toEqual({ too_big: 2 });
      expect(out(rig)).toEqual(want(frame, ["tap5/20", "tap6", "tap6/7"]));
      const { copies, sent: left } = rig.tables.counters[0]!;
      expect([copies[0], left[0]]).toEqual([5, 3]);
    },
  );

  it("also where no port takes it, and to a MAC that is flooded by configuration", () => {
    const alone = new Rig();
    publishFlood(alone.tables.vsis, 1, [1], [3, 4]);
    expect(sent(long6(), undefined, alone)).toEqual([TOLD]);
    expect(alone.drops).toEqual({ too_big: 1 });
    expect(sent(long6(), (rig) => rig.mac(1, UNKNOWN, MAC_FLOOD))).toEqual([TOLD]);
  });

  const QUIET: readonly (readonly [what: string, frame: Uint8Array, change?: (rig: Rig) => void])[] = [
    ["a frame that fits", long6(UNKNOWN, 1200)],
    ["IPv6 of no more than 1280 bytes", long6(UNKNOWN, 1232), (rig) => void (rig.tables.ports.mtu[4] = 1200)],
    ["IPv4 that may be fragmented, which a bridge does not", long4(UNKNOWN, false)],
    ["IPv4 to a group", long4(GROUP)],
    ["IPv4 to all", long4(BROADCAST)],
    ["what is no IP", ethernet(UNKNOWN, M1, 0x88b5, 1400)],
    ["a VSI without a VSI-interface", long6(), (rig) => void (rig.tables.vsis.interface[1] = 0)],
    ["ACs alone, which carry it", long6(), (rig) => void (rig.tables.vsis.flags[1]! &= ~VSI_FLOOD_UNKNOWN)],
  ];
  for (const [what, frame, change] of QUIET)
    it(`nothing is told of ${what}`, () => {
      expect(sent(frame, change)).toEqual([]);
    });

  it("nothing is told of what a tunnel brought, since each site would say it, nor of a flood of our own", () => {
    const rig = crowd();
    rig.tables.ports.mtu[12] = 1300;
    rig.arrive(2, vxlan(10, long6()));
    rig.inject(INJECT.flood, 0, 1, SCOPE_ACS | SCOPE_TUNNELS, 0, long6());
    rig.run();
    expect(rig.punts().filter(({ kind }) => kind === PUNT.mtu)).toEqual([]);
    expect(rig.drops).toEqual({ too_big: 2 });
  });

  it("of a stream between two MACs control hears twice a second", () => {
    const rig = crowd();
    expect(sent(long6(), undefined, rig)).toHaveLength(1);
    expect(sent(long6(), undefined, rig)).toHaveLength(0);
    expect(sent(long6(GROUP6), undefined, rig)).toHaveLength(1);
    expect(sent(long6(), () => (rig.net.nowMs += 500), rig)).toHaveLength(1);
    expect(rig.drops).toEqual({ too_big: 8 });
  });

  it("a super-frame is told of by the length of its segments, once", () => {
    const rig = crowd();
    rig.describe = (frames, d) => {
      frames[d + F_FLAGS] = GSO_UDP_L4;
      frames[d + F_GSO_SIZE] = 1350;
      frames[d + F_CSUM_START] = ETH_BYTES + 40;
      frames[d + F_CSUM_OFFSET] = ETH_BYTES + 46;
      frames[d + F_UNITS] = 2;
    };
    expect(sent(long6(UNKNOWN, 2700), undefined, rig)).toEqual([`1,1,1290,${MTU_FLOODED},2`]);
    expect(rig.drops).toEqual({ too_big: 4 });
  });
});

describe("the flood policy and IPv6", () => {
  const group = parseMac("33:33:00:00:00:01")!;
  const from = { dst: group, src: M1, from: "fe80::11", to: "ff02::1", hops: 255 };
  const message = (type: string) => packet6({ ...from, next: 58, rest: `${type}00 0000 0000 0000` });
  const policy = (flags: number, frame: Uint8Array) => {
    const rig = new Rig();
    const all = VSI_FLOOD_BROADCAST | VSI_FLOOD_UNKNOWN | VSI_FLOOD_MULTICAST;
    rig.tables.vsis.flags[1] = (rig.tables.vsis.flags[1]! & ~all) | flags;
    rig.mac(1, M1, 1);
    rig.vm1.send(frame);
    rig.run();
    expect(rig.imbalance).toBe(0);
    return rig.wire.length;
  };

  it.each(["85", "86", "87", "88"])("neighbour discovery (%s) goes where broadcast goes, as ARP does", (type) => {
    expect(policy(VSI_FLOOD_BROADCAST, message(type))).toBe(2);
    expect(policy(VSI_FLOOD_MULTICAST, message(type))).toBe(0);
  });

  it.each([
    ["MLD", packet6({ ...from, to: "ff02::16", next: 0, rest: "3a00 0502 0000 0100 8f00 0000 0000 0000" })],
    ["an echo of all nodes", message("80")],
    ["a header that is cut off", message("87").subarray(0, ETH_BYTES + 40)],
    ["data", udp6(from)],
  ])("%s is multicast", (_, frame) => {
    expect(policy(VSI_FLOOD_BROADCAST, frame)).toBe(0);
    expect(policy(VSI_FLOOD_MULTICAST, frame)).toBe(2);
  });
});
