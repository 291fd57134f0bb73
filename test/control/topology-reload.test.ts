/** Reloads: what did not change is not touched, what changed is whole, and what went is buried in time. */
import { describe, expect, test } from "vitest";
import { FORMER_MAC_MS } from "../../src/control/topology/former-macs.ts";
import { routeKey } from "../../src/tables/fib.ts";
import { BASE, changed, started } from "./topology-base.ts";
import { Bed, plan, sorted } from "./topology-bed.ts";

describe("what did not change", () => {
  test("the same configuration again touches no word, no TAP, nothing learned", () => {
    const bed = started();
    const before = bed.snapshot();
    bed.apply(plan(BASE));
    expect(bed.snapshot()).toBe(before);
    expect([bed.learners.take(), bed.opener.take(), bed.commands.notes]).toEqual([[], [], []]);
  });

  test("objects beside a new VSI, AC and tunnel keep rows, entries and io ports", () => {
    const bed = started();
    const before = ["vm1", "vm2", "gw2", "gw3"].map((name) => ({ ...bed.port(name) }));
    const rules = bed.tables.fib.policyHead[0];
    bed.apply(
      changed(
        ["tunnels:\n", "tunnels:\n  - {name: gw4, remote: 192.0.2.4}\n"],
        ["vsis:\n", "vsis:\n  - {name: vsi30, vni: 30}\n"],
        ["acs:\n", "acs:\n  - {name: vm3, vsi: vsi30, tap: {device: tap3}}\n"],
      ),
    );
    expect(["vm1", "vm2", "gw2", "gw3"].map((name) => ({ ...bed.port(name) }))).toEqual(before);
    expect(bed.tables.fib.policyHead[0]).toBe(rules);
    expect(bed.learners.take()).toEqual(["up gw4", "up vm3"]);
    expect(bed.opener.take()).toEqual(["open tap3"]);
    expect(bed.flood("vsi30")).toEqual([["vm3"], ["gw4", "gw2", "gw3"]]);
    expect(bed.flood("vsi10")).toEqual([["vm1"], ["gw2", "gw3"]]);
  });
});

describe("what changed", () => {
  test("settings of an AC are stored in place", () => {
    const bed = started();
    const { row } = bed.port("vm1");
    bed.apply(changed(["{device: tap1}}", "{device: tap1, mtu: 1400}, stormPerSecond: 7, antiSpoof: true}"]));
    expect(bed.port("vm1").row).toBe(row);
    expect([bed.tables.ports.storm[row], bed.tables.ports.mtu[row]]).toEqual([7, 1400]);
    expect(bed.opener.take()).toEqual(["change tap1 1400"]);
    expect(bed.learners.take()).toEqual([]);
  });

  test("an AC in another VSI is another port on the same TAP", () => {
    const bed = started();
    const { row, io } = bed.port("vm2");
    bed.apply(changed(["{name: vm2, vsi: vsi20", "{name: vm2, vsi: vsi10"]));
    const vm2 = bed.port("vm2");
    expect(vm2.io).toBe(io);
    expect(vm2.row).not.toBe(row);
    expect(bed.tables.ports.ofIo[io]).toBe(vm2.row);
    expect(bed.flood("vsi10")[0]).toEqual(["vm1", "vm2"]);
    expect(bed.flood("vsi20")[0]).toEqual([]);
    expect(bed.learners.take()).toEqual([`flush port vm2 ${row}`, "up vm2", "announce if10 on vm2 in vsi10"]);
    expect([bed.opener.take(), bed.commands.notes]).toEqual([[], []]);
  });

  test("a renamed AC keeps its TAP; one on another device gets that", () => {
    const bed = started();
    bed.apply(changed(["name: vm2", "name: vm9"], ["device: tap1", "device: tap9"]));
    expect(bed.opener.take()).toEqual(["open tap9", "close tap1"]);
    expect([...bed.opener.open.keys()].sort()).toEqual(["tap2", "tap9"]);
    // A static neighbour follows its AC to the new port.
    expect(bed.learners.hosts.get("if10 10.1.1.9")).toBe("02:00:00:00:00:09 vm1 vsi10");
  });

  test("two tunnels that swap their VTEPs are detached before they are attached", () => {
    const bed = started();
    bed.apply(changed(["192.0.2.2", "192.0.2.77"], ["192.0.2.3", "192.0.2.2"], ["192.0.2.77", "192.0.2.3"]));
    expect(bed.commands.attached.get(bed.port("gw2").io)).toBe("peer 192.0.2.3:4789");
    expect(bed.commands.attached.get(bed.port("gw3").io)).toBe("peer 192.0.2.2:4789");
    expect(bed.flood("vsi10")[1]).toEqual(["gw2", "gw3"]);
    expect(bed.vniOf(10, "gw2")).toBe("vsi10");
  });

  test("two VSIs that swap their VNIs forget what they learned and keep their ACs", () => {
    const bed = started();
    const { row } = bed.port("vm1");
    bed.apply(changed(["vni: 10", "vni: 99"], ["vni: 20", "vni: 10"], ["vni: 99", "vni: 20"]));
    expect([bed.vniOf(10, "gw2"), bed.vniOf(20, "gw2")]).toEqual(["vsi20", "vsi10"]);
    expect(bed.port("vm1").row).toBe(row);
    const notes = bed.learners.take();
    expect(notes).toContain("flush vsi vsi10");
    expect(notes).toContain("flush vsi vsi20");
    expect(notes.filter((note) => note.startsWith("flush port"))).toEqual([]);
    // The derived gateway MACs follow the VNI, and the pins are back after the flush, those of the former MACs with them.
    expect(notes).toContain("refresh if10");
    expect(bed.learners.pinned.size).toBe(4);
    expect(bed.learners.hosts.size).toBe(1);
  });

  test("a tunnel that leaves a VSI but stays in another: that VSI forgets what was behind it, nothing else", () => {
    const bed = started();
    bed.apply(changed(["{name: vsi20, vni: 20, tunnels: [gw2, gw3]}", "{name: vsi20, vni: 20, tunnels: [gw2]}"]));
    expect([bed.vniOf(20, "gw3"), bed.vniOf(10, "gw3")]).toEqual([null, "vsi10"]);
    expect(bed.learners.take()).toEqual([`flush port gw3 ${bed.port("gw3").row} of vsi20`]);
    expect(bed.learners.pinned.size).toBe(2);
  });

  test("tunnels that leave VSIs are told all at once, for each table is looked through for them", () => {
    const bed = started();
    bed.apply(changed(["tunnels: [gw2, gw3]", "tunnels: []"]));
    const left = ["gw2", "gw3"].map((name) => `flush port ${name} ${bed.port(name).row} of vsi10,vsi20`);
    expect(bed.learners.take()).toEqual([left.join("; ")]);
  });

  test("a tunnel that is gone altogether takes only what was behind it", () => {
    const bed = started();
    const { row, io } = bed.port("gw3");
    bed.apply(changed(["  - {name: gw3, remote: 192.0.2.3}\n", ""], ["[gw2, gw3]", "[gw2]"]));
    expect(bed.learners.take()).toEqual([`flush port gw3 ${row}`]);
    expect(bed.commands.notes).toEqual([`detach ${io}`]);
    expect(bed.tables.ports.ofIo[io]).toBe(0);
    expect(bed.flood("vsi10")).toEqual([["vm1"], ["gw2"]]);
  });

  test("another address empties the VSI-interface, keeps its row, and moves its routes", () => {
    const bed = started();
    const { row, vrf } = bed.interface("if10");
    bed.apply(changed(["10.1.1.1/24", "10.2.1.1/24"], ["ip: 10.1.1.9", "ip: 10.2.1.9"], ["10.1.1.2", "10.2.1.2"]));
    expect(bed.interface("if10").row).toBe(row);
    const routes = [...bed.routes.list()].filter((entry) => entry.vrf === vrf && entry.length === 24);
    expect(routes.map((entry) => entry.network).sort()).toEqual([0x0a020100, 0x14010100]);
    const notes = bed.learners.take();
    expect(notes).toContain("flush interface if10");
    expect(notes).toContain("announce if10 on vm1 in vsi10");
    expect([...bed.learners.hosts.keys()]).toEqual(["if10 10.2.1.9"]);
    expect(bed.learners.hops.names()).toEqual(["if10 10.2.1.2", "if20 20.1.1.2"]);
  });

  test("another MAC is announced on its ACs and pinned, beside the old one for a while", () => {
    const bed = started();
    const pinned = () => [...bed.learners.pinned.keys()].filter((key) => key.startsWith("vsi10"));
    const [old] = pinned();
    bed.apply(changed(["10.1.1.1/24,", "10.1.1.1/24, mac: shared,"]));
    expect(bed.learners.take()).toEqual(["refresh if10", "announce if10 on vm1 in vsi10", "tell hosts of vsi10"]);
    expect(new Set(pinned())).toEqual(new Set([old, "vsi10 02:00:5e:00:00:0a"]));
    bed.timers.run(bed.timers.nowMs + FORMER_MAC_MS);
    expect(pinned()).toEqual(["vsi10 02:00:5e:00:00:0a"]);
  });

  test("in another VRF it is another VSI-interface; its old VRF forgets everything", () => {
    const bed = started();
    const old = bed.interface("if20");
    bed.apply(
      changed(["address: 20.1.1.1/24", "address: 20.1.1.1/24, vrf: red"], ["[10.1.1.2, 20.1.1.2]", "[10.1.1.2]"]),
    );
    const now = bed.interface("if20");
    expect(now).not.toBe(old);
    expect(now.vrf).not.toBe(old.vrf);
    expect(bed.tables.vsis.interface[bed.vsi("vsi20").row]).toBe(now.row);
    expect(bed.tables.fib.routes.get(0x14010101, routeKey(old.vrf, 32))).toBe(0);
    expect(bed.learners.take()).toContain("flush interface if20");
    expect(bed.learners.hops.names()).toEqual(["if10 10.1.1.2"]);
  });

  test("nothing is left of an empty configuration", () => {
    const bed = started();
    bed.apply(plan(""));
    bed.timers.run(bed.timers.nowMs + 2000);
    const empty = new Bed();
    empty.apply(plan(""));
    expect(sorted(bed.meaning())).toEqual(sorted(empty.meaning()));
    expect(bed.learners.hops.names()).toEqual([]);
    expect(bed.opener.open.size).toBe(0);
    const { ports, vsis } = bed.tables;
    for (const column of [ports.kind, ports.flags, ports.ioKind, ports.ofIo, vsis.interface])
      expect(column.every((word) => word === 0)).toBe(true);
    expect(bed.timers.nextDue()).toBeNull();
  });
});

describe("what went is buried in time", () => {
  const without = changed(["  - {name: vm2, vsi: vsi20, tap: {device: tap2}}\n", ""]);

  test("a TAP is closed when every worker has let go of it, not before", () => {
    const bed = started();
    bed.isDrained = false;
    expect(bed.topology.apply(without).ok).toBe(true);
    bed.timers.run(bed.timers.nowMs + 500);
    expect(bed.opener.take()).toEqual([]);
    expect(bed.topology.isReady).toBe(false);
    expect(bed.topology.apply(plan(BASE))).toMatchObject({ ok: false, reason: expect.stringMatching(/every worker/) });
    bed.tables.heartbeat.enter(1);
    bed.isDrained = true;
    bed.timers.run(bed.timers.nowMs + 500);
    expect(bed.opener.take()).toEqual([]);
    bed.tables.heartbeat.leave(1);
    bed.timers.run(bed.timers.nowMs + 10);
    expect(bed.opener.take()).toEqual(["close tap2"]);
    expect(bed.topology.isReady).toBe(true);
  });

  test("rows and io ports stay unused for a second more", () => {
    const bed = started();
    const { row, io } = bed.port("vm2");
    bed.apply(without);
    bed.apply(plan(BASE));
    expect([bed.port("vm2").row === row, bed.port("vm2").io === io]).toEqual([false, false]);
    bed.apply(without);
    bed.timers.run(bed.timers.nowMs + 3000);
    bed.apply(plan(BASE));
    expect([row, io].every((each) => each > 0)).toBe(true);
    expect(bed.port("vm2").row).toBeLessThanOrEqual(row + 1);
  });

  test("a thousand ACs come and go: rows are used again", () => {
    const bed = started();
    for (let i = 0; i < 1000; i++) {
      bed.apply(i % 2 === 0 ? without : plan(BASE));
      bed.timers.run(bed.timers.nowMs + 200);
    }
    expect(bed.port("vm2").row).toBeLessThan(40);
    expect(bed.opener.open.size).toBe(2);
  });

  test("a row's new owner knows what the old one counted", () => {
    const bed = started();
    const { row } = bed.port("vm2");
    bed.tables.counters[0]!.ports[row * 4]! += 11;
    bed.tables.counters[1]!.ports[row * 4]! += 31;
    expect(bed.topology.counted.of(bed.port("vm2"))).toEqual([0, 0, 0, 0, 0]);
    bed.apply(without);
    bed.timers.run(bed.timers.nowMs + 3000);
    bed.apply(plan(BASE));
    const vm2 = bed.port("vm2");
    const sum = bed.tables.counters.reduce((all, block) => all + block.ports[vm2.row * 4]!, 0);
    expect(bed.topology.counted.of(vm2)[0]).toBe(sum);
  });
});
