/** The last frame dropped for each reason: kept without a watcher, with what tells its sender, once a millisecond. */
import { describe, expect, it } from "vitest";
import { DROP, DROP_REASONS, type DropName } from "../../src/tables/counters.ts";
import { X_SNAP } from "../../src/tables/drop-example.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { ethernet, tagged, vxlan } from "./packets.ts";
import { ip, M1, Rig } from "./rig.ts";

const REMOTE = parseMac("02:00:00:00:01:12")!;
const plain = (payload = 46) => ethernet(BROADCAST, REMOTE, 0x88b5, payload);
const exampleOf = (rig: Rig, reason: DropName) => rig.tables.examples[0]!.read(DROP[reason]);

describe("the last dropped frame", () => {
  it("nothing was dropped: there is none", () => {
    const rig = new Rig();
    expect(exampleOf(rig, "unknown_vni")).toBeNull();
  });

  it("a VNI that no VSI has: the tunnel, the VNI, the flags, the frame", () => {
    const rig = new Rig();
    rig.arrive(2, vxlan(30, plain()));
    rig.run();
    expect(exampleOf(rig, "unknown_vni")).toMatchObject({
      port: 3,
      vsi: 0,
      outer: ip("192.0.2.2"),
      vxlan: { flags: 8, vni: 30 },
      length: 60,
    });
    expect([...exampleOf(rig, "unknown_vni")!.bytes]).toEqual([...plain()]);
  });

  it("a stranger, and a header without a valid VNI", () => {
    const rig = new Rig();
    rig.arrive(99, vxlan(10, plain()));
    const invalid = vxlan(10, plain());
    invalid[0] = 0x04;
    rig.arrive(2, invalid);
    rig.run();
    const outer = ip("192.0.2.99");
    const stranger = { port: 49152, ipv6: null };
    expect(exampleOf(rig, "unknown_vtep")).toMatchObject({ port: 0, outer, stranger, vxlan: { flags: 8, vni: 10 } });
    expect(exampleOf(rig, "bad_flags")).toMatchObject({ port: 3, stranger: null, vxlan: { flags: 4, vni: 10 } });
  });

  it("from a TAP no AC matches: the io port tells the TAP; what has a VSI needs no VXLAN header", () => {
    const rig = new Rig();
    rig.vm1.send(tagged(plain(200), 99));
    rig.vm1.send(ethernet(parseMac("01:80:c2:00:00:0e")!, M1, 0x88cc, 46));
    rig.run();
    expect(exampleOf(rig, "ac_unbound")).toMatchObject({ port: 0, io: 1, vxlan: null, length: 218 });
    expect(exampleOf(rig, "ac_unbound")!.bytes.length).toBe(X_SNAP);
    expect(exampleOf(rig, "reserved_mac")).toMatchObject({ port: 1, vsi: 1, vxlan: null, outer: 0 });
  });

  it("by port, too: each has its count and its last frame, whatever the others drop", () => {
    const rig = new Rig();
    const [worker] = rig.tables.workerCounters;
    const at = (port: number, reason: DropName) => worker!.portDrops[port * DROP_REASONS + DROP[reason]];
    rig.vm1.send(ethernet(parseMac("01:80:c2:00:00:0e")!, M1, 0x88cc, 46));
    rig.arrive(2, vxlan(10, ethernet(parseMac("01:80:c2:00:00:0e")!, REMOTE, 0x88cc, 50)));
    rig.arrive(2, vxlan(30, plain()));
    rig.arrive(99, vxlan(10, plain()));
    rig.run();
    expect([at(1, "reserved_mac"), at(3, "reserved_mac"), at(3, "unknown_vni"), at(0, "unknown_vtep")]).toEqual([
      1, 1, 1, 1,
    ]);
    const lastAt = (reason: DropName, port: number) => rig.tables.examples[0]!.readAt(DROP[reason], port);
    expect(lastAt("reserved_mac", 1)).toMatchObject({ port: 1, vsi: 1, length: 60 });
    expect(lastAt("reserved_mac", 3)).toMatchObject({ port: 3, length: 64 });
    expect(lastAt("unknown_vni", 3)!.vxlan!.vni).toBe(30);
    expect(lastAt("unknown_vni", 1)).toBeNull();
    // Rows are shared: what has lost its row says nothing rather than something else.
    const { examples } = rig.tables;
    const row = examples[0]!.rowAt(DROP.reserved_mac, 1);
    let other = 2;
    while (examples[0]!.rowAt(DROP.reserved_mac, other) !== row) other++;
    expect(examples[0]!.readAt(DROP.reserved_mac, other)).toBeNull();
  });

  it("no reason has a row that another one shares", () => {
    const rig = new Rig();
    const [examples] = rig.tables.examples;
    const most = Math.max(...Object.values(DROP));
    expect(most).toBeLessThan(DROP_REASONS);
    for (let port = 1; port <= 1024; port++) expect(examples!.rowAt(1, port)).toBeGreaterThan(most);
    rig.ac(20, 1, 6);
    rig.net.tapOf(106)!.send(ethernet(parseMac("01:80:c2:00:00:0e")!, M1, 0x88cc, 46));
    rig.run();
    expect(Object.values(DROP).filter((reason) => examples!.read(reason) !== null)).toEqual([DROP.reserved_mac]);
  });

  it("a flood of drops is one example a millisecond, and the last millisecond's", () => {
    const rig = new Rig();
    for (let n = 0; n < 50; n++) rig.arrive(2, vxlan(30 + n, plain()));
    rig.run();
    expect(exampleOf(rig, "unknown_vni")!.vxlan!.vni).toBe(30);
    rig.net.nowMs += 5;
    rig.arrive(2, vxlan(99, plain()));
    rig.run();
    expect(exampleOf(rig, "unknown_vni")!.vxlan!.vni).toBe(99);
  });
});

describe("idle", () => {
  it("what a batch decided is settled before anything is waited for: the ledger balances, the gateway sleeps", () => {
    const rig = new Rig();
    const waits: [number, number][] = [];
    const { io } = rig;
    const exchange = io.exchange.bind(io);
    io.exchange = (sends, timeoutMs) => {
      waits.push([sends, timeoutMs]);
      return exchange(sends, timeoutMs);
    };
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    for (let n = 0; n < 3; n++) rig.plane.turn(100);
    const [first, second, third] = waits;
    expect([first, third]).toEqual([
      [0, 100],
      [0, 100],
    ]);
    expect(second![0]).toBeGreaterThan(0);
    expect(second![1]).toBe(0);
    expect(rig.imbalance).toBe(0);
  });
});
