/** The CPU port: what is injected, what is told, and where ARP goes in each mode. */
import { describe, expect, it } from "vitest";
import {
  COMMAND_ATTACH_PEER,
  COMMAND_ATTACH_TAP,
  COMMAND_DETACH,
  INJECT,
  PUNT,
  RECORD_LEARN,
  TTL_TAKEN,
} from "../../src/tables/counters.ts";
import { MAC_GATEWAY, MAC_STATIC, macKey } from "../../src/tables/mac.ts";
import { SET_PUNT_TOTAL } from "../../src/tables/tables.ts";
import { VSI_DHCP_RELAY, VSI_DHCP6_RELAY, VSI_LOCAL_PROXY, VSI_SUPPRESS } from "../../src/tables/vsi.ts";
import { BROADCAST, hiOf, loOf, type Mac, macOf, parseMac } from "../../src/wire/ethernet.ts";
import { toHex } from "../wire/hex.ts";
import { arpFrame, ethernet, headerIsRight, tagged, udpFrame, vxlan } from "./packets.ts";
import { udp6 } from "./packets6.ts";
import { G10, G20, ip, M1, M2, P10, P20, Rig } from "./rig.ts";
import { Rig6 } from "./rig6.ts";

const FRAME = ethernet(M1, G10, 0x88b5, 46);
const hex = (frames: Uint8Array[]): string[] => frames.map((frame) => toHex(frame));

describe("inject", () => {
  it("to a port: an AC with its tag, a tunnel with the VNI of the VSI named", () => {
    const rig = new Rig();
    rig.ac(11, 1, 5, 20);
    rig.inject(INJECT.port, 1, 1, 0, 0, FRAME);
    rig.inject(INJECT.port, 11, 1, 0, 0, FRAME);
    rig.inject(INJECT.port, 3, 2, 0, 0, FRAME);
    rig.run();
    expect(hex(rig.heard[1]!)).toEqual([toHex(FRAME)]);
    expect(hex(rig.heard[5]!)).toEqual([toHex(tagged(FRAME, 20))]);
    expect(rig.wire.map((d) => [d.to, toHex(d.bytes)])).toEqual([["192.0.2.2", toHex(vxlan(20, FRAME))]]);
    expect(rig.tables.counters[0]!.injected[INJECT.port]).toBe(3);
    expect(rig.imbalance).toBe(0);
  });

  it("through an adjacency: rewritten, and the TTL taken exactly once, whatever took it", () => {
    const rig = new Rig();
    const hop = rig.neighbor("20.1.1.12", 2, P20, 3);
    const waiting = (ttl: number): Uint8Array =>
      udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), ttl });
    for (const ttl of [64, 2, 255]) rig.inject(INJECT.adjacency, 1, 1, hop, 0, waiting(ttl));
    for (const ttl of [63, 1, 254]) rig.inject(INJECT.adjacency, 1, 1, hop, TTL_TAKEN, waiting(ttl));
    rig.run();
    const want = (ttl: number): string =>
      toHex(vxlan(20, udpFrame({ dst: P20, src: G20, from: ip("10.1.1.11"), to: ip("20.1.1.12"), ttl })));
    expect(rig.wire.map((d) => toHex(d.bytes))).toEqual([63, 1, 254, 63, 1, 254].map(want));
    expect(rig.wire.every((d) => headerIsRight(d.bytes, 22))).toBe(true);
    expect(rig.tables.counters[0]!.injected[INJECT.adjacency]).toBe(6);
  });

  it("TTL_TAKEN gives back exactly the header that was, for every TTL and many checksums", () => {
    const rig = new Rig();
    const hop = rig.neighbor("20.1.1.12", 2, P20, 3);
    const want: string[] = [];
    for (let i = 1; i < 250; i++) {
      const f = { from: ip("10.1.1.11") + i * 7919, to: ip("20.1.1.12") + i * 104729, ttl: i, tos: i };
      rig.inject(INJECT.adjacency, 1, 1, hop, TTL_TAKEN, udpFrame({ ...f, dst: G10, src: M1 }));
      want.push(toHex(vxlan(20, udpFrame({ ...f, dst: P20, src: G20 }))));
    }
    rig.run();
    expect(rig.wire.map((d) => toHex(d.bytes))).toEqual(want);
  });

  it("through an adjacency that is not resolved, or too narrow: back to control, both pages of the ledger right", () => {
    const rig = new Rig();
    const hop = rig.neighbor("20.1.1.12", 2, P20, 3);
    const frame = (payload: number): Uint8Array =>
      udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), payload });
    rig.inject(INJECT.adjacency, 1, 1, hop, 0, frame(1430));
    rig.run();
    rig.tables.fib.rewrite[hop] = 0;
    rig.inject(INJECT.adjacency, 1, 1, hop, 0, frame(18));
    rig.run();
    expect(rig.punts()).toMatchObject([
      { kind: PUNT.mtu, arg: 1450, arg2: hop, port: 1, vsi: 1 },
      { kind: PUNT.unresolved, arg: 2, arg2: hop, port: 1, vsi: 1 },
    ]);
    expect(rig.imbalance).toBe(0);
  });

  it("a packet that came by a tunnel does not go back into it by way of control", () => {
    const rig = new Rig();
    const hop = rig.neighbor("20.1.1.12", 2, P20, 3);
    rig.inject(
      INJECT.adjacency,
      3,
      1,
      hop,
      0,
      udpFrame({ dst: G10, src: P10, from: ip("10.1.1.11"), to: ip("20.1.1.12") }),
    );
    rig.run();
    expect(rig.drops).toEqual({ l3_loop: 1 });
    expect(rig.imbalance).toBe(0);
  });

  it("more than one turn's budget is carried out in order, a full batch of received frames beside it", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    for (let i = 0; i < 600; i++) rig.inject(INJECT.port, 1, 1, 0, 0, ethernet(M1, G10, 0x9000 + i, 46));
    for (let i = 0; i < 300; i++) rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    rig.run();
    expect(rig.heard[1]!.map((b) => (b[12]! << 8) | b[13]!)).toEqual(Array.from({ length: 600 }, (_, i) => 0x9000 + i));
    expect(rig.wire).toHaveLength(600);
    expect(rig.imbalance).toBe(0);
  });

  it("commands move TAPs and peers; a detached port is silent and its sends fail by name", () => {
    const rig = new Rig();
    const nothing = new Uint8Array(0);
    rig.inject(COMMAND_DETACH, 1, 0, 0, 0, nothing);
    rig.inject(COMMAND_DETACH, 3, 0, 0, 0, nothing);
    rig.run();
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    rig.arrive(2, vxlan(10, ethernet(BROADCAST, P10, 0x88b5, 46)));
    rig.inject(INJECT.port, 1, 1, 0, 0, FRAME);
    rig.run();
    expect(rig.drops).toEqual({ unknown_vtep: 1, tap_error: 1 });
    rig.inject(COMMAND_ATTACH_TAP, 1, 0, rig.vm1.fd, 0, nothing);
    rig.inject(COMMAND_ATTACH_PEER, 3, 0, 4789, 0, new Uint8Array([192, 0, 2, 2]));
    rig.run();
    expect(rig.wire.map((d) => d.to)).toEqual(["192.0.2.2", "192.0.2.3"]);
    expect(rig.imbalance).toBe(0);
  });
});

describe("learning", () => {
  const learned = (rig: Rig): unknown[] =>
    rig
      .punts()
      .filter((p) => p.kind === RECORD_LEARN)
      .map((p) => ({ mac: macOf(p.arg2, p.arg), port: p.port, vsi: p.vsi, units: p.units, bytes: p.bytes.length }));
  const record = (mac: Mac, port: number, vsi: number): unknown => ({ mac, port, vsi, units: 0, bytes: 0 });
  const from = (mac: Mac): Uint8Array => ethernet(BROADCAST, mac, 0x88b5, 46);

  it("an unknown source is told, from an AC and from a tunnel, and the frame goes on", () => {
    const rig = new Rig();
    rig.vm1.send(from(M1));
    rig.arrive(2, vxlan(20, from(P20)));
    rig.run();
    expect(learned(rig)).toEqual([record(M1, 1, 1), record(P20, 3, 2)]);
    expect(rig.wire).toHaveLength(2);
    expect(rig.heard[2]).toHaveLength(1);
    expect(rig.imbalance, "a record is no frame").toBe(0);
  });

  it("a moved source is told; a known one only gets its hit byte", () => {
    const rig = new Rig();
    rig.mac(1, M1, 3);
    rig.mac(1, M2, 1);
    rig.vm1.send(from(M1));
    rig.vm1.send(from(M2));
    rig.run();
    expect(learned(rig)).toEqual([record(M1, 1, 1)]);
    const take = (mac: Mac): boolean => rig.macs.takeHit(loOf(mac), macKey(1, hiOf(mac)));
    expect([take(M1), take(M2), take(M2)]).toEqual([false, true, false]);
  });

  it("being a destination does not refresh: ageing is by source alone", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(1, M2, 3);
    rig.vm1.send(ethernet(M2, M1, 0x88b5, 46));
    rig.run();
    expect(rig.macs.takeHit(loOf(M2), macKey(1, hiOf(M2)))).toBe(false);
  });

  it("gateway MACs, ours and a peer's, static and withdrawn ones: never told, never told, never told, told", () => {
    const rig = new Rig();
    rig.mac(1, P10, MAC_GATEWAY | 4);
    rig.mac(1, M1, MAC_STATIC | 4);
    rig.mac(1, M2, 1);
    rig.macs.remove(loOf(M2), macKey(1, hiOf(M2)));
    rig.arrive(2, vxlan(10, from(G10)));
    rig.arrive(2, vxlan(10, from(P10)));
    rig.vm1.send(from(P10));
    rig.vm1.send(from(G10));
    rig.vm1.send(from(M1));
    rig.vm1.send(from(M2));
    rig.run();
    expect(learned(rig)).toEqual([record(M2, 1, 1)]);
    expect(rig.drops).toEqual({ own_mac_local: 2 });
  });

  it("what is no station is never told: groups, zero, and anything dropped at the door", () => {
    const rig = new Rig();
    rig.vm1.send(from(parseMac("01:00:5e:00:00:01")!));
    rig.vm1.send(from(0));
    rig.vm1.send(tagged(from(M1), 99));
    rig.arrive(99, vxlan(10, from(P10)));
    rig.arrive(2, vxlan(30, from(P10)));
    rig.run();
    expect(learned(rig)).toEqual([]);
  });

  it("the same news is told twice a second at most; another port or VSI is other news", () => {
    const rig = new Rig();
    for (let ms = 0; ms < 2000; ms += 10) {
      rig.net.nowMs = ms;
      rig.vm1.send(from(M1));
      rig.plane.turn(0);
    }
    rig.vm2.send(from(M1));
    rig.arrive(2, vxlan(10, from(M1)));
    rig.run();
    const told = learned(rig) as { port: number }[];
    expect(told.filter((r) => r.port === 1)).toHaveLength(4);
    expect(told.filter((r) => r.port !== 1)).toHaveLength(2);
  });

  it("a scan of MACs is told at a bounded rate, and takes no tokens of frames", () => {
    const rig = new Rig();
    rig.tables.settings[SET_PUNT_TOTAL] = 100;
    let told = 0;
    for (let ms = 0; ms < 1000; ms += 5) {
      rig.net.nowMs = ms;
      for (let i = 0; i < 50; i++) rig.vm1.send(ethernet(M2, 0x020000000000 + ms * 64 + i, 0x88b5, 46));
      rig.plane.turn(0);
      told += learned(rig).length;
    }
    expect(told).toBeLessThanOrEqual(400 * 1.25 + 1);
    expect(told).toBeGreaterThan(400);
    rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.1") }));
    rig.run();
    expect(rig.punts().map((p) => p.kind)).toContain(PUNT.local);
    expect(rig.drops).toEqual({});
  });
});

describe("ARP", () => {
  const arp = (f: { dst?: Mac; op?: number; src?: Mac }): Uint8Array =>
    arpFrame({
      ethDst: f.dst ?? BROADCAST,
      ethSrc: f.src ?? M1,
      op: f.op ?? 1,
      senderMac: f.src ?? M1,
      senderIp: ip("10.1.1.11"),
      targetMac: 0,
      targetIp: ip("10.1.1.12"),
    });
  const third = parseMac("02:00:00:00:01:12")!;
  /** What happens to `frame` from VM1: how many copies reach control, how many the tunnels. */
  function run(
    flags: number,
    hasInterface: boolean,
    frame: Uint8Array,
    viaTunnel = false,
  ): { punted: number; flooded: number } {
    const rig = new Rig();
    rig.mac(1, M1, viaTunnel ? 3 : 1);
    rig.mac(1, third, viaTunnel ? 1 : 4);
    rig.mac(1, P10, MAC_GATEWAY | 4);
    rig.tables.vsis.flags[1] = (rig.tables.vsis.flags[1]! & ~(VSI_LOCAL_PROXY | VSI_SUPPRESS)) | flags;
    if (!hasInterface) {
      rig.tables.vsis.interface[1] = 0;
      rig.macs.remove(loOf(G10), macKey(1, hiOf(G10)));
    }
    if (viaTunnel) rig.arrive(2, vxlan(10, frame));
    else rig.vm1.send(frame);
    rig.run();
    const punts = rig.punts();
    for (const p of punts) {
      expect(p).toMatchObject({ kind: PUNT.arp, vsi: 1, port: viaTunnel ? 3 : 1 });
      expect(toHex(p.bytes)).toBe(toHex(frame));
    }
    expect(rig.imbalance).toBe(0);
    expect(rig.drops).toEqual({});
    return { punted: punts.length, flooded: rig.wire.length + rig.heard[1]!.length };
  }

  it("local proxy: every broadcast is control's alone, requests and announcements, from ACs and from tunnels (N2)", () => {
    for (const op of [1, 2])
      for (const viaTunnel of [false, true])
        expect(run(VSI_LOCAL_PROXY, true, arp({ op }), viaTunnel)).toEqual({ punted: 1, flooded: 0 });
  });

  it("suppression: a request is control's alone; an announcement is flooded and control gets a copy", () => {
    expect(run(VSI_SUPPRESS, false, arp({ op: 1 }))).toEqual({ punted: 1, flooded: 0 });
    expect(run(VSI_SUPPRESS, false, arp({ op: 2 }))).toEqual({ punted: 1, flooded: 2 });
    expect(run(VSI_SUPPRESS, false, arp({ op: 1 }).slice(0, 21))).toEqual({ punted: 1, flooded: 2 });
  });

  it("flood: with a VSI-interface control listens, without one ARP is nothing special", () => {
    expect(run(0, true, arp({}))).toEqual({ punted: 1, flooded: 2 });
    expect(run(0, false, arp({}))).toEqual({ punted: 0, flooded: 2 });
  });

  it("to our gateway MAC, or from an AC to a peer's: control. To a third MAC: bridged, and heard under suppression", () => {
    expect(run(VSI_LOCAL_PROXY, true, arp({ dst: G10 }))).toEqual({ punted: 1, flooded: 0 });
    expect(run(VSI_LOCAL_PROXY, true, arp({ dst: P10 }))).toEqual({ punted: 1, flooded: 0 });
    expect(run(VSI_LOCAL_PROXY, true, arp({ dst: third }))).toEqual({ punted: 0, flooded: 1 });
    expect(run(VSI_SUPPRESS, true, arp({ dst: third, op: 2 }))).toEqual({ punted: 1, flooded: 1 });
    expect(run(VSI_LOCAL_PROXY, true, arp({ dst: G10 }), true)).toEqual({ punted: 1, flooded: 0 });
  });

  it("from a tunnel to a peer's gateway MAC: not ours; it ends at the split horizon, control hears nothing", () => {
    const rig = new Rig();
    rig.mac(1, P10, MAC_GATEWAY | 4);
    rig.arrive(2, vxlan(10, arp({ dst: P10, src: third })));
    rig.run();
    expect(rig.punts().filter((p) => p.kind === PUNT.arp)).toEqual([]);
    expect(rig.drops).toEqual({ split_horizon: 1 });
  });

  it("a punted frame says where it came from", () => {
    const rig = new Rig();
    rig.arrive(3, vxlan(10, arp({ src: P10 })), 0xb8);
    rig.run();
    const [p] = rig.punts().filter((record) => record.kind === PUNT.arp);
    expect(p).toMatchObject({ port: 4, vsi: 1, units: 1, flags: 0, outerSource: ip("192.0.2.3"), outerTos: 0xb8 });
  });
});

describe("DHCP of an AC to a client's port, where it is relayed", () => {
  const VICTIM = parseMac("02:00:00:00:01:15")!;
  /** Fates, and how many packets came out anywhere, of one message of a server, behind so many plain packets to the same MAC. */
  const dropped = (rig: Rig, to: Mac, family: 4 | 6, before: number): Record<string, number> => {
    rig.tables.vsis.flags[1]! |= VSI_DHCP_RELAY | VSI_DHCP6_RELAY;
    rig.mac(1, M1, 1);
    rig.mac(1, VICTIM, 3);
    const ends = { dst: to, src: M1 };
    const packet = (dport: number): Uint8Array =>
      family === 4
        ? udpFrame({ ...ends, from: ip("10.1.1.11"), to: ip("20.1.1.12"), sport: 67, dport })
        : udp6({ ...ends, from: "2001:db8:10::11", to: "2001:db8:20::12", sport: 547, dport });
    for (let n = 0; n < before; n++) rig.vm1.send(packet(9));
    rig.vm1.send(packet(family === 4 ? 68 : 546));
    rig.run();
    expect(rig.wire).toHaveLength(before + 1 - (rig.drops.dhcp_guard ?? 0));
    return rig.drops;
  };

  it.each([
    [4, 0],
    [4, 1],
    [6, 0],
    [6, 1],
  ] as const)("IPv%i behind %i: routed like any other, never bridged", (family, before) => {
    const made = (): Rig => {
      const rig = new Rig6();
      rig.neighbor("20.1.1.12", 2, P20, 3);
      return rig;
    };
    expect(dropped(made(), G10, family, before)).toEqual({});
    expect(dropped(made(), VICTIM, family, before)).toEqual({ dhcp_guard: 1 });
  });
});
