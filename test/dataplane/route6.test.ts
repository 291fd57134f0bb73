/** The IPv6 stage: martians, own addresses, the order of the checks, anti-spoof, and the longest match beside a slow twin. */
import { describe, expect, it } from "vitest";
import { lookup6 } from "../../src/dataplane/route6.ts";
import { INJECT, PUNT } from "../../src/tables/counters.ts";
import { ExactMatch6Writer } from "../../src/tables/exact-match6.ts";
import { LENGTHS6_WORDS, ROUTE_ADJACENCY, ROUTE_UNDERLAY, routeKey6 } from "../../src/tables/fib.ts";
import { IF_IPV6, PORT_ANTI_SPOOF } from "../../src/tables/vsi.ts";
import { u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { checksum6 } from "../../src/wire/icmp6.ts";
import { wordsOf } from "../../src/wire/ipv6.ts";
import { xorshift } from "../tables/xorshift.ts";
import { fromHex } from "../wire/hex.ts";
import { ethernet, vxlan } from "./packets.ts";
import { packet6, syn6, udp6 } from "./packets6.ts";
import { G10, G20, M1, P20, Rig } from "./rig.ts";
import { Rig6 } from "./rig6.ts";

const L3 = ETH_BYTES;
const VM = { dst: G10, src: M1, from: "2001:db8:10::11", to: "2001:db8:20::12" };

/** Drops, punts by class, frames to vm2, and datagrams, of one frame from vm1. */
class Offered extends Rig6 {
  offer(frame: Uint8Array) {
    this.vm1.send(frame);
    this.run();
    expect(this.imbalance).toBe(0);
    const punts = this.punts().map(({ kind, arg, arg2 }) => ({ kind, arg, arg2 }));
    return { drops: this.drops, punts, vm2: this.heard[2] ?? [], wire: this.wire };
  }
}

describe("a routed packet", () => {
  it("to a host behind a tunnel: golden bytes", () => {
    const rig = new Offered();
    const { wire, drops } = rig.offer(udp6({ ...VM, payload: 2 }));
    expect(drops).toEqual({});
    expect([...wire[0]!.bytes]).toEqual([
      ...fromHex(
        `08000000 00001400 02bb00000014 02aa00000014 86dd 60000000 000a 11 3f
         20010db8001000000000000000000011 20010db8002000000000000000000012 03e8 07d0 000a`,
      ),
      ...udp6({ ...VM, payload: 2 }).subarray(L3 + 46),
    ]);
  });

  it("has an outer source port of its flow: its ports, or its flow label", () => {
    const ports = (f: object) => new Offered().offer(udp6({ ...VM, ...f })).wire[0]!.entropy;
    expect(ports({ sport: 1 })).not.toBe(ports({ sport: 2 }));
    const label = (n: number) => {
      const frame = packet6({ ...VM, next: 60, rest: `1100 0104 0000 0000 ${"00".repeat(8)}`, label: n });
      return new Offered().offer(frame).wire[0]!.entropy;
    };
    expect(label(1)).not.toBe(label(2));
    expect(label(3)).toBe(label(3));
  });

  it("padding behind it ends here", () => {
    const padded = new Uint8Array(80).fill(0xee);
    const frame = udp6({ ...VM, to: "2001:db8:20::11", payload: 0 });
    padded.set(frame);
    expect(new Offered().offer(padded).vm2.map((each) => each.length)).toEqual([frame.length]);
  });

  it("a TCP SYN gets an MSS that fits: 60 bytes of headers", () => {
    const { vm2 } = new Offered().offer(syn6({ ...VM, to: "2001:db8:20::11", mss: 1440 }));
    expect(u16(vm2[0]!, L3 + 62)).toBe(1450 - 60);
    expect(checksum6(vm2[0]!, L3, 24, 6)).toBe(0xffff);
    const narrow = new Offered();
    narrow.tables.ports.mtu[1] = 1300;
    expect(u16(narrow.offer(syn6({ ...VM, to: "2001:db8:20::11", mss: 1440 })).vm2[0]!, L3 + 62)).toBe(1300 - 60);
    const behindOptions = packet6({
      ...VM,
      to: "2001:db8:20::11",
      next: 60,
      rest: "0600 0104 0000 0000 0001 0002 00000000 00000000 6002 ffff 0000 0000 0204 05a0",
    });
    expect(u16(new Offered().offer(behindOptions).vm2[0]!, L3 + 40 + 8 + 22)).toBe(1440);
  });

  it("too long: told with the MTU and the adjacency; a super-frame is measured by its segments", () => {
    const { punts } = new Offered().offer(udp6({ ...VM, payload: 1403 }));
    expect(punts).toMatchObject([{ kind: PUNT.mtu, arg: 1450 }]);
    expect(punts[0]!.arg2).not.toBe(0);
  });

  it("by a tunnel and back into it goes nowhere", () => {
    const rig = new Offered();
    rig.arrive(2, vxlan(20, udp6({ ...VM, dst: G20, src: P20, from: "2001:db8:20::13" })));
    rig.run();
    expect(rig.drops).toEqual({ l3_loop: 1 });
  });

  it("that control sends is routed, and keeps its hop limit", () => {
    const rig = new Offered();
    rig.inject(INJECT.route, 0, 0, 1, 1, udp6({ ...VM, to: "2001:db8:20::11", hops: 255 }));
    rig.run();
    expect(rig.heard[2]!.map((frame) => frame[L3 + 7])).toEqual([255]);
    expect(rig.imbalance).toBe(0);
  });

  it("that control sends to a link-local address has no way, for it names no link", () => {
    const rig = new Offered();
    rig.inject(INJECT.route, 0, 0, 1, 1, udp6({ ...VM, to: "fe80::11" }));
    rig.run();
    expect(rig.drops).toEqual({ not_forwarded: 1 });
  });
});

describe("a packet that ends here", () => {
  const changed = (frame: Uint8Array, at: number, ...bytes: number[]) => {
    frame.set(bytes, L3 + at);
    return frame;
  };
  it.each([
    ["ip_malformed", "another version", changed(udp6(VM), 0, 0x40)],
    ["ip_malformed", "shorter than its fixed header", ethernet(G10, M1, 0x86dd, 39)],
    ["ip_malformed", "longer than what was received", changed(udp6(VM), 4, 0x7f, 0)],
    ["ip_malformed", "a jumbogram", packet6({ ...VM, next: 0, rest: "" })],
    ["ip_martian", "from ::", udp6({ ...VM, from: "::" })],
    ["ip_martian", "from ::1", udp6({ ...VM, from: "::1" })],
    ["ip_martian", "from a group", udp6({ ...VM, from: "ff02::1" })],
    ["ip_martian", "from an IPv4-mapped address", udp6({ ...VM, from: "::ffff:10.1.1.1" })],
    ["ip_martian", "to ::1", udp6({ ...VM, to: "::1" })],
    ["ip_martian", "to itself", udp6({ ...VM, to: VM.from })],
    ["ip_martian", "from an address of ours", udp6({ ...VM, from: "2001:db8:20::1" })],
    ["ip_martian", "from our link-local address", udp6({ ...VM, from: "fe80::1", to: "2001:db8:10::1" })],
    ["not_forwarded", "to a group, by the gateway's MAC", udp6({ ...VM, to: "ff0e::1" })],
    ["not_forwarded", "to another's link-local address", udp6({ ...VM, to: "fe80::2" })],
    ["not_forwarded", "from a link-local address, to another link", udp6({ ...VM, from: "fe80::11" })],
  ])("%s: %s", (reason, _, frame) => {
    const { drops, punts } = new Offered().offer(frame);
    expect(drops).toEqual({ [reason]: 1 });
    expect(punts).toEqual([]);
  });

  it.each([
    ["our address", udp6({ ...VM, to: "2001:db8:20::1", hops: 1 }), { kind: PUNT.local, arg: 2 }],
    ["our link-local address", udp6({ ...VM, from: "fe80::11", to: "fe80::1" }), { kind: PUNT.local, arg: 1 }],
    ["a hop limit of 1", udp6({ ...VM, hops: 1 }), { kind: PUNT.ttl, arg: 1 }],
    ["a hop limit of 0", udp6({ ...VM, hops: 0 }), { kind: PUNT.ttl, arg: 1 }],
    ["no route", udp6({ ...VM, to: "2001:db8:99::1" }), { kind: PUNT.unreachable, arg: 0 }],
    ["a host that is not known", udp6({ ...VM, to: "2001:db8:20::77" }), { kind: PUNT.unresolved, arg: 2, arg2: 0 }],
  ])("punted: %s", (_, frame, record) => {
    const { punts, drops } = new Offered().offer(frame);
    expect(punts).toMatchObject([record]);
    expect(drops).toEqual({});
  });

  it("overlay_to_underlay: VXLAN to a VTEP, in front of whatever headers; anything else goes on", () => {
    const guarded = () => {
      const rig = new Offered();
      rig.add("2001:db8:f::2", 128, ROUTE_UNDERLAY, 0);
      rig.add("2001:db8:f::", 48, ROUTE_ADJACENCY, 1);
      return rig;
    };
    const vtep = { ...VM, to: "2001:db8:f::2" };
    for (const frame of [
      udp6({ ...vtep, dport: 4789 }),
      packet6({ ...vtep, next: 60, rest: "1100 0104 0000 0000 03e8 12b5 0008 0000" }),
      packet6({ ...vtep, next: 44, rest: "1100 0008 00000001 03e8 12b5 0008 0000" }),
      packet6({ ...vtep, next: 60, rest: "3c00 0104 0000 0000".repeat(9) }),
    ])
      expect(guarded().offer(frame).drops).toEqual({ overlay_to_underlay: 1 });
    expect(guarded().offer(udp6(vtep)).wire).toHaveLength(1);
  });

  it("not_forwarded where the VSI-interface has no IPv6", () => {
    const rig = new Offered();
    rig.tables.interfaces.flags[1]! &= ~IF_IPV6;
    expect(rig.offer(udp6(VM)).drops).toEqual({ not_forwarded: 1 });
  });

  it("anti_spoof: a source that is not at home on the VSI-interface", () => {
    const spoof = (from: string) => {
      const rig = new Offered();
      rig.tables.ports.flags[1]! |= PORT_ANTI_SPOOF;
      return rig.offer(udp6({ ...VM, from })).drops;
    };
    expect(spoof("2001:db8:10::11")).toEqual({});
    expect(spoof("2001:db8:10::99")).toEqual({});
    expect(spoof("2001:db8:20::11")).toEqual({ anti_spoof: 1 });
    expect(spoof("2001:db8:99::1")).toEqual({ anti_spoof: 1 });
  });
});

describe("the longest match", () => {
  it("is the slow twin's, over all lengths and two VRFs", () => {
    const random = xorshift(66);
    const rig = new Rig();
    const { fib } = rig.tables;
    const writer = new ExactMatch6Writer(fib.routes6, rig.tables.heartbeat, 99);
    const all: { vrf: number; network: bigint; length: number; value: number }[] = [];
    const wide = () => [0, 0, 0, 0].reduce((n) => (n << 32n) | BigInt(random() >>> 0), 0n);
    const near = (address: bigint, keep: number) =>
      ((address >> BigInt(128 - keep)) << BigInt(128 - keep)) | (keep === 128 ? 0n : wide() >> BigInt(keep));
    const base = wide();
    for (let i = 0; i < 500; i++) {
      const length = random() % 129;
      const address = near(base, random() % 129);
      const network = length === 0 ? 0n : (address >> BigInt(128 - length)) << BigInt(128 - length);
      const vrf = random() & 1;
      const value = i + 1;
      const same = all.find((each) => each.vrf === vrf && each.length === length && each.network === network);
      if (same !== undefined) continue;
      all.push({ vrf, network, length, value });
      expect(writer.set(...wordsOf(network), routeKey6(vrf, length), value)).toBe("stored");
      if (length < 128) fib.lengths6[vrf * LENGTHS6_WORDS + (length >> 5)]! |= 1 << (length & 31);
    }
    const slow = (vrf: number, address: bigint) =>
      all
        .filter(
          (each) =>
            each.vrf === vrf &&
            each.length < 128 &&
            (each.length === 0 || (each.network ^ address) >> BigInt(128 - each.length) === 0n),
        )
        .reduce((best, each) => (each.length >= best.length ? each : best), { length: -1, value: 0 }).value;
    const { worker } = rig.plane;
    worker.fib.routes6.refresh();
    const f = worker.frame;
    for (let i = 0; i < 5000; i++) {
      const address = near(i % 3 === 0 ? all[random() % all.length]!.network : base, random() % 129);
      const words = wordsOf(address);
      for (let n = 0; n < 4; n++) f.view.setInt32(4 * n, words[n]!);
      for (const vrf of [0, 1]) expect(lookup6(worker, f, 0, vrf, 0)).toBe(slow(vrf, address));
    }
  });
});
