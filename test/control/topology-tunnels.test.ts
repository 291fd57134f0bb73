/** Tunnels that come and go without a reload: held by several, beside the configuration and across reloads. */
import { describe, expect, test } from "vitest";
import { TunnelHolds } from "../../src/control/topology/tunnel-holds.ts";
import { UNNAMED_TUNNELS } from "../../src/control/topology/tunnels.ts";
import { Bed, plan, SIZES, sorted } from "./topology-bed.ts";

const SITE = `
vsis: [{name: a, vni: 10, tunnels: []}, {name: b, vni: 20, tunnels: []}]
interfaces: [{name: i, vsis: [a, b], address: 10.1.1.1/24}]
acs: [{name: vm1, vsi: a, tap: {device: t1}}]
`;
const named = (name: string, remote: string, vsis = "[a]") => `
tunnels: [{name: ${name}, remote: ${remote}}]
vsis: [{name: a, vni: 10, tunnels: ${vsis.includes("a") ? `[${name}]` : "[]"}}, {name: b, vni: 20, tunnels: ${vsis.includes("b") ? `[${name}]` : "[]"}}]
interfaces: [{name: i, vsis: [a, b], address: 10.1.1.1/24}]
acs: [{name: vm1, vsi: a, tap: {device: t1}}]
`;
const GW7 = "192.0.2.7";

function site(body = SITE): Bed {
  const bed = new Bed();
  bed.apply(plan(body));
  bed.learners.take();
  return bed;
}

function acquire(bed: Bed, remote: string, vnis: readonly number[]) {
  const result = bed.topology.tunnels.acquire(remote, vnis, "evpn");
  if (!result.ok) throw new Error(result.reason);
  bed.settle();
  return result.tunnel;
}

function release(bed: Bed, remote: string, vnis: readonly number[]): void {
  bed.topology.tunnels.release(remote, vnis, "evpn");
  bed.settle();
}

describe("a tunnel that is acquired", () => {
  test("means what a configured one means, but for its name", () => {
    const [bed, twin] = [site(), site(named("evpn-192.0.2.7", GW7, "[a, b]"))];
    acquire(bed, GW7, [10, 20]);
    const text = (each: Bed) => JSON.stringify(sorted(each.meaning())).replaceAll("evpn:", "evpn-");
    expect(text(bed)).toBe(text(twin));
    expect(bed.flood("a")).toEqual([["vm1"], ["evpn:192.0.2.7"]]);
    expect(bed.vniOf(20, "evpn:192.0.2.7")).toBe("b");
    expect(bed.learners.take()).toEqual(["up evpn:192.0.2.7"]);
    expect(bed.events).toContain("tunnel.up");
  });

  test("is gone without a trace when it is released as often as it was acquired", () => {
    const bed = site();
    const before = sorted(bed.meaning());
    const tunnel = acquire(bed, GW7, [10]);
    acquire(bed, GW7, [10]);
    acquire(bed, GW7, []);
    release(bed, GW7, [10]);
    expect(bed.flood("a")[1]).toEqual([tunnel.name]);
    release(bed, GW7, [10]);
    expect(bed.flood("a")[1]).toEqual([]);
    expect(bed.inventory.tunnelTo(GW7)).toBe(tunnel);
    release(bed, GW7, []);
    expect(bed.inventory.tunnelTo(GW7)).toBeUndefined();
    expect([...bed.commands.attached.values()].filter((text) => text.startsWith("peer"))).toEqual([]);
    bed.timers.run(bed.timers.nowMs + 5000);
    expect(sorted(bed.meaning())).toEqual(before);
    expect(bed.tables.ports.kind[tunnel.row]).toBe(0);
    expect(() => bed.topology.tunnels.release(GW7, [10], "evpn")).toThrow(/does not hold/);
  });

  test("loses one VNI: that VSI alone forgets what is behind it", () => {
    const bed = site();
    const tunnel = acquire(bed, GW7, [10, 20]);
    bed.learners.take();
    release(bed, GW7, [20]);
    expect(bed.learners.take()).toEqual([`flush port ${tunnel.name} ${tunnel.row} of b`]);
    expect([bed.vniOf(10, tunnel.name), bed.vniOf(20, tunnel.name)]).toEqual(["a", null]);
  });

  test("is refused where it has no room or makes no sense, and then nothing is held", () => {
    const bed = site();
    const reason = (remote: string) => {
      const result = bed.topology.tunnels.acquire(remote, [10], "evpn");
      return result.ok ? null : result.reason;
    };
    expect(reason("192.0.2.1")).toMatch(/our own/);
    expect(reason("2001:db8::7")).toMatch(/family/);
    for (let i = 0; i < UNNAMED_TUNNELS; i++)
      expect(bed.topology.tunnels.acquire(`198.18.${i >> 8}.${i & 255}`, [], "evpn").ok).toBe(true);
    expect(reason(GW7)).toMatch(/1024 tunnels/);
    expect(bed.inventory.tunnelTo(GW7)).toBeUndefined();
    release(bed, "198.18.0.9", []);
    expect(reason(GW7)).toBeNull();
  });

  test("carries a VNI as soon as a reload brings its VSI, and takes no row for good", () => {
    const bed = site();
    const tunnel = acquire(bed, GW7, [10, 30]);
    bed.apply(plan(SITE.replace("vni: 20", "vni: 30")));
    expect(bed.vniOf(30, tunnel.name)).toBe("b");
    expect(bed.vniOf(20, tunnel.name)).toBeNull();
    for (let i = 0; i < 10_000; i++) {
      acquire(bed, "192.0.2.8", [10]);
      bed.timers.run(bed.timers.nowMs + 1100);
      release(bed, "192.0.2.8", [10]);
    }
    expect(bed.flood("a")[1]).toEqual([tunnel.name]);
  });
});

describe("beside the configuration", () => {
  test("a reload does not touch it", () => {
    const bed = site();
    const tunnel = acquire(bed, GW7, [10]);
    bed.commands.notes.length = 0;
    bed.learners.take();
    bed.apply(plan(`log: {level: warn}\n${SITE}`));
    expect(bed.flood("a")[1]).toEqual([tunnel.name]);
    expect([bed.commands.notes, bed.learners.take()]).toEqual([[], []]);
  });

  test("the file names it: same row, nothing forgotten; unnames it: the same", () => {
    const bed = site();
    const tunnel = acquire(bed, GW7, [10]);
    bed.learners.take();
    bed.apply(plan(named("gw7", GW7, "[a, b]")));
    expect(bed.tunnel("gw7")).toBe(tunnel);
    expect(bed.vniOf(20, "gw7")).toBe("b");
    expect(bed.learners.take()).toEqual([]);
    bed.apply(plan(SITE));
    expect(bed.tunnel("evpn:192.0.2.7")).toBe(tunnel);
    expect([bed.vniOf(10, tunnel.name), bed.vniOf(20, tunnel.name)]).toEqual(["a", null]);
    // VSI b has lost it, VSI a has not.
    expect(bed.learners.take()).toEqual([`flush port ${tunnel.name} ${tunnel.row} of b`]);
    release(bed, GW7, [10]);
    expect(bed.inventory.tunnels()).toEqual([]);
  });

  test("the last owner but the file lets go: the tunnel stays", () => {
    const bed = site(named("gw7", GW7));
    const tunnel = bed.tunnel("gw7");
    acquire(bed, GW7, [10, 20]);
    release(bed, GW7, [10, 20]);
    expect(bed.tunnel("gw7")).toBe(tunnel);
    expect([bed.vniOf(10, "gw7"), bed.vniOf(20, "gw7")]).toEqual(["a", null]);
  });

  test("a configured tunnel moves to its address, and away from one that others hold", () => {
    const bed = site(named("gw7", GW7));
    const [first, second] = [bed.tunnel("gw7"), acquire(bed, "192.0.2.8", [20])];
    acquire(bed, GW7, [10]);
    bed.apply(plan(named("gw7", "192.0.2.8")));
    expect([first.name, second.name]).toEqual(["evpn:192.0.2.7", "gw7"]);
    expect(bed.flood("a")[1]).toEqual(["gw7", "evpn:192.0.2.7"]);
    expect(bed.flood("b")[1]).toEqual(["gw7"]);
  });

  test("its address is guarded from tenants while it is there", () => {
    const bed = site();
    const guards = () => [...bed.routes.list()].filter(({ origin }) => origin === "underlay").length;
    const before = guards();
    acquire(bed, GW7, []);
    bed.apply(plan(`log: {level: warn}\n${SITE}`));
    expect(guards()).toBe(before + 1);
    release(bed, GW7, []);
    expect(guards()).toBe(before);
  });

  test("a configuration that does not fit beside it is refused", () => {
    const bed = new Bed(SIZES);
    bed.apply(plan("vsis: [{name: a, vni: 10, tunnels: []}]"));
    for (let i = 0; i < 1000; i++) bed.topology.tunnels.acquire(`198.18.${i >> 8}.${i & 255}`, [10], "evpn");
    bed.settle();
    const acs = Array.from({ length: 23 }, (_, i) => `{name: v${i}, vsi: a, tap: {device: t${i}}}`);
    const wide = plan(`vsis: [{name: a, vni: 10, tunnels: []}]\nacs: [${acs}]`);
    expect(bed.topology.apply(wide)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/1023 ACs and tunnels/),
    });
  });
});

test("the ledger counts each owner apart", () => {
  const holds = new TunnelHolds();
  expect(holds.hold(GW7, [10, 10, 20], "evpn")).toEqual([10, 20]);
  holds.replaceConfig(new Map([[GW7, new Set([20, 30])]]));
  expect([holds.pairs, holds.unnamed, holds.othersOf(20)]).toEqual([3, 0, 1]);
  expect(holds.letGo(GW7, [10, 20], "evpn")).toEqual([10]);
  holds.replaceConfig(new Map());
  expect([holds.pairs, holds.isHeld(GW7)]).toEqual([0, false]);
});
