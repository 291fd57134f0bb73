/** Super-frames counted by where they came from, in and out; and the arena's peak over time. */
import { describe, expect, it } from "vitest";
import { ARENA_WINDOW_MS, ArenaPeak } from "../../src/dataplane/arena-peak.ts";
import {
  F_CSUM_START,
  F_FLAGS,
  F_GSO_SIZE,
  F_UNITS,
  FLAG_NEEDS_CSUM,
  GSO_TCPV4,
  GSO_UDP_L4,
} from "../../src/io/port-io.ts";
import {
  MISC_ARENA_RECEIVED,
  MISC_ARENA_SCRATCH,
  MISC_SUPER_RECEIVE,
  MISC_SUPER_TRANSMIT,
} from "../../src/tables/counters.ts";
import { publishFlood } from "../../src/tables/vsi.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { ethernet, tcpFrame, udpFrame, vxlan } from "./packets.ts";
import { G10, ip, M1, P10, P20, Rig } from "./rig.ts";

const HOST = parseMac("02:00:00:00:01:12")!;
const payload = 6000;
const tcp = tcpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), payload });
const udp = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), payload });

/** Everything that arrives is a super-frame of `units` segments. */
function rigOf(type: number, units: number): Rig {
  const rig = new Rig();
  rig.mac(1, M1, 1);
  rig.neighbor("20.1.1.12", 2, P20, 3);
  rig.neighbor("10.1.1.12", 1, HOST, 1);
  rig.net.mtu = 65_535;
  rig.describe = (frames, d) => {
    frames[d + F_FLAGS] = type | FLAG_NEEDS_CSUM;
    frames[d + F_GSO_SIZE] = Math.ceil(payload / units);
    frames[d + F_UNITS] = units;
    frames[d + F_CSUM_START] = 34;
  };
  return rig;
}

/** Frames and segments of tso, uso, gro; received and transmitted. */
function counted(rig: Rig): number[][] {
  const { misc } = rig.tables.counters[0]!;
  return [[...misc.slice(MISC_SUPER_RECEIVE, MISC_SUPER_TRANSMIT)], [...misc.slice(MISC_SUPER_TRANSMIT, 28)]];
}

describe("super-frames are counted", () => {
  it("of a guest's TCP as tso, in and out", () => {
    const rig = rigOf(GSO_TCPV4, 5);
    rig.vm1.send(tcp);
    rig.vm1.send(tcp);
    rig.run();
    expect(counted(rig)).toEqual([
      [2, 10, 0, 0, 0, 0],
      [2, 10, 0, 0, 0, 0],
    ]);
  });

  it("of a guest's UDP as uso, in and out", () => {
    const rig = rigOf(GSO_UDP_L4, 6);
    rig.vm1.send(udp);
    rig.run();
    expect(counted(rig)).toEqual([
      [0, 0, 1, 6, 0, 0],
      [0, 0, 1, 6, 0, 0],
    ]);
  });

  it("from a tunnel as gro, TCP and UDP, and gro they stay when they leave", () => {
    for (const [type, build] of [
      [GSO_TCPV4, tcpFrame],
      [GSO_UDP_L4, udpFrame],
    ] as const) {
      const rig = rigOf(type, 7);
      rig.arrive(2, vxlan(10, build({ dst: G10, src: P10, from: ip("20.1.1.12"), to: ip("10.1.1.12"), payload })));
      rig.run();
      expect(rig.heard[1]).toHaveLength(1);
      expect(counted(rig)).toEqual([
        [0, 0, 0, 0, 1, 7],
        [0, 0, 0, 0, 1, 7],
      ]);
    }
  });

  it("once for each copy that leaves", () => {
    const rig = rigOf(GSO_TCPV4, 5);
    publishFlood(rig.tables.vsis, 1, [1], [3, 4]);
    rig.vm1.send(tcpFrame({ dst: BROADCAST, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.12"), payload }));
    rig.run();
    expect(counted(rig)).toEqual([
      [1, 5, 0, 0, 0, 0],
      [2, 10, 0, 0, 0, 0],
    ]);
  });

  it("and plain frames are none, nor is one whose checksum alone is unfinished", () => {
    const rig = rigOf(0, 1);
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    rig.vm1.send(tcp.slice(0, 500));
    rig.run();
    expect(counted(rig)).toEqual([new Array(6).fill(0), new Array(6).fill(0)]);
  });
});

describe("the arena's peak", () => {
  it("is the largest batch of this window and the one before, across the wrap of the clock", () => {
    const peak = new ArenaPeak();
    const misc = new Float64Array(64);
    const start = 0x7fff_ff00;
    const at = (ms: number, received: number, scratch: number) => {
      peak.note(misc, received, scratch, (start + ms) | 0);
      return [misc[MISC_ARENA_RECEIVED], misc[MISC_ARENA_SCRATCH]];
    };
    expect(at(0, 100, 5)).toEqual([100, 5]);
    expect(at(10, 900, 0)).toEqual([900, 5]);
    expect(at(20, 50, 7)).toEqual([900, 7]);
    expect(at(ARENA_WINDOW_MS, 60, 0)).toEqual([900, 7]);
    expect(at(ARENA_WINDOW_MS + 10, 70, 0)).toEqual([900, 7]);
    expect(at(2 * ARENA_WINDOW_MS, 0, 0)).toEqual([70, 0]);
    expect(at(3 * ARENA_WINDOW_MS, 0, 0)).toEqual([0, 0]);
  });

  it("is what the batches of a gateway took", () => {
    const rig = rigOf(0, 1);
    for (let i = 0; i < 10; i++) rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 1400));
    rig.run();
    const { misc } = rig.tables.counters[0]!;
    expect(misc[MISC_ARENA_RECEIVED]).toBeGreaterThanOrEqual(14_000);
    expect(misc[MISC_ARENA_RECEIVED]).toBeLessThan(20_000);
  });
});
