/**
 * What a worker remembers from one frame to the next of its batch must never be taken for something else: same MAC, other
 * port; same MAC, other VSI; same address, other AC. And a new batch sees the tables as they are then.
 */
import { describe, expect, it } from "vitest";
import { RECORD_LEARN } from "../../src/tables/counters.ts";
import { ROUTE_DISCARD, RULE_DROP } from "../../src/tables/fib.ts";
import { macKey } from "../../src/tables/mac.ts";
import { PORT_ANTI_SPOOF, publishFlood } from "../../src/tables/vsi.ts";
import { hiOf, loOf, parseMac } from "../../src/wire/ethernet.ts";
import { ethernet, udpFrame, vxlan } from "./packets.ts";
import { rule } from "./policies.ts";
import { G10, G20, ip, M1, M2, P20, Rig } from "./rig.ts";

const FAR = parseMac("02:00:00:00:01:12")!;
const frame = (dst: number, src: number): Uint8Array => ethernet(dst, src, 0x88b5, 46);
const learned = (rig: Rig): number[][] =>
  rig
    .punts()
    .filter((p) => p.kind === RECORD_LEARN)
    .map((p) => [p.port, p.vsi]);
/** Frames sent to each peer and each TAP since the last time. */
function went(rig: Rig): string[] {
  const to = [
    ...rig.wire.splice(0).map((d) => d.to),
    ...rig.heard.flatMap((list, io) => list.splice(0).map(() => `tap${io}`)),
  ];
  return to.sort();
}

describe("within a batch", () => {
  it("a source known at one port is news at another, and in another VSI", () => {
    const rig = new Rig();
    rig.ac(11, 1, 5);
    rig.mac(1, M1, 1);
    rig.mac(1, FAR, 3);
    rig.vm1.send(frame(FAR, M1));
    rig.vm1.send(frame(FAR, M1));
    rig.net.tapOf(105)!.send(frame(FAR, M1));
    rig.vm2.send(frame(FAR, M1));
    rig.arrive(3, vxlan(10, frame(FAR, M1)));
    rig.run();
    expect(learned(rig).sort()).toEqual(
      [
        [11, 1],
        [2, 2],
        [4, 1],
      ].sort(),
    );
  });

  it("a destination is looked up in each VSI, and after a frame for somebody else", () => {
    const rig = new Rig();
    for (const [vsi, src, port] of [
      [1, M1, 1],
      [2, M2, 2],
    ] as const)
      rig.mac(vsi, src, port);
    rig.mac(1, FAR, 3);
    rig.mac(2, FAR, 4);
    rig.mac(2, G10, 3);
    for (let i = 0; i < 3; i++) {
      rig.vm1.send(frame(FAR, M1));
      rig.vm2.send(frame(FAR, M2));
      rig.vm2.send(frame(G10, M2));
      rig.vm1.send(frame(M1, FAR));
    }
    rig.run();
    expect(went(rig)).toEqual([...new Array(6).fill("192.0.2.2"), ...new Array(3).fill("192.0.2.3")].sort());
    expect(rig.drops).toEqual({ same_port: 3 });
  });

  it("an address allowed on one AC is not on another", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(2, M1, 2);
    rig.neighbor("20.1.1.12", 2, P20, 3);
    rig.tables.ports.flags[2]! |= PORT_ANTI_SPOOF;
    const from = { src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") };
    rig.vm1.send(udpFrame({ ...from, dst: G10 }));
    rig.vm2.send(udpFrame({ ...from, dst: G20 }));
    rig.run();
    expect(went(rig)).toEqual(["192.0.2.2"]);
    expect(rig.drops).toEqual({ anti_spoof: 1 });
  });

  it("counters of ports and VSIs are exact when frames of many interleave", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(2, M2, 2);
    rig.mac(1, FAR, 3);
    rig.mac(2, FAR, 4);
    for (let i = 0; i < 20; i++) {
      for (let k = 0; k <= i % 3; k++) rig.vm1.send(frame(FAR, M1));
      rig.vm2.send(frame(FAR, M2));
      rig.arrive(2, vxlan(i & 1 ? 10 : 20, frame(i & 1 ? M1 : M2, P20)));
    }
    rig.run();
    const { ports, vsis } = rig.tables.counters[0]!;
    const row = (column: Float64Array, n: number): number[] => [...column.slice(n * 4, n * 4 + 4)];
    expect([1, 2, 3, 4].map((n) => row(ports, n))).toEqual([
      [39, 39 * 60, 10, 600],
      [20, 1200, 10, 600],
      [20, 1200, 39, 39 * 60],
      [0, 0, 20, 1200],
    ]);
    expect([1, 2].map((n) => row(vsis, n))).toEqual([
      [49, 49 * 60, 49, 49 * 60],
      [30, 1800, 30, 1800],
    ]);
    expect(rig.imbalance).toBe(0);
  });
});

describe("from batch to batch", () => {
  it("a moved, withdrawn or new destination is seen at once", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    const send = (): string[] => {
      rig.vm1.send(frame(FAR, M1));
      rig.run();
      return went(rig);
    };
    expect(send()).toEqual(["192.0.2.2", "192.0.2.3"]);
    rig.mac(1, FAR, 3);
    expect(send()).toEqual(["192.0.2.2"]);
    rig.mac(1, FAR, 4);
    expect(send()).toEqual(["192.0.2.3"]);
    rig.macs.remove(loOf(FAR), macKey(1, hiOf(FAR)));
    publishFlood(rig.tables.vsis, 1, [1], [4]);
    expect(send()).toEqual(["192.0.2.3"]);
  });

  it("a source withdrawn or moved is news again, and is marked again after control has looked", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(1, FAR, 3);
    const send = (): boolean => {
      rig.net.nowMs += 1000;
      rig.vm1.send(frame(FAR, M1));
      rig.run();
      return rig.macs.takeHit(loOf(M1), macKey(1, hiOf(M1)));
    };
    expect([send(), send(), learned(rig)]).toEqual([true, true, []]);
    rig.mac(1, M1, 4);
    expect([send(), learned(rig)]).toEqual([false, [[1, 1]]]);
    rig.macs.remove(loOf(M1), macKey(1, hiOf(M1)));
    expect([send(), learned(rig)]).toEqual([false, [[1, 1]]]);
  });

  it("routes, rewrites, policies and switches hold from the next batch on", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    const hop = rig.neighbor("20.1.1.12", 2, P20, 3);
    const send = (): string[] => {
      rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") }));
      rig.run();
      return went(rig);
    };
    expect(send()).toEqual(["192.0.2.2"]);
    rig.tables.fib.rewritePort[50] = 4;
    rig.tables.fib.rewriteVsi[50] = 2;
    rig.tables.fib.rewrite[hop] = 50;
    expect(send()).toEqual(["192.0.2.3"]);
    rule(rig, 1, [{ action: RULE_DROP }]);
    expect(send()).toEqual([]);
    rule(rig, 1, []);
    rig.route("20.1.1.12", 32, ROUTE_DISCARD, 0);
    expect(send()).toEqual([]);
    rig.tables.ports.flags[1]! |= PORT_ANTI_SPOOF;
    rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("99.1.1.1"), to: ip("20.1.1.12") }));
    rig.run();
    expect(rig.drops).toEqual({ policy_drop: 1, discard_route: 1, anti_spoof: 1 });
  });
});
