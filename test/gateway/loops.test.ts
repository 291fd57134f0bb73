/** Two ACs of one VSI that a VM has bridged together, on whole gateways: it stays those ACs' own affair. */
import { describe, expect, it } from "vitest";
import { LOOP_FLOODS_PER_SECOND, TYPE_LOOP_PROBE } from "../../src/control/mac/loops.ts";
import { checkLoops } from "../../src/doctor/loops.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { setU16, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, ETH_TYPE, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { ethernet } from "../dataplane/packets.ts";
import { toHex } from "../wire/hex.ts";
import { EvpnWorld } from "./evpn-world.ts";
import { gw, sites } from "./sites.ts";
import type { World } from "./world.ts";

/** VMs v and w beside the loop a-b at site 1; far at site 2. `vsi`: what the VSI is besides. */
function bed(vsi: string, iface = ""): World {
  const world = sites(2, (n) => {
    const acs = n === 1 ? ["v", "w", "a", "b"] : ["far"];
    return `
vsis: [{name: vsi10, vni: 10${vsi}}]
interfaces: [${iface}]
acs: [${acs.map((name) => `{name: ${name}, vsi: vsi10, tap: {device: ${name}}}`).join(", ")}]`;
  });
  world.vm(gw(world, 1), { name: "v", ip: "10.1.1.11", mac: "02:00:00:00:00:11" });
  world.vm(gw(world, 1), { name: "w", ip: "10.1.1.12", mac: "02:00:00:00:00:12" });
  world.vm(gw(world, 2), { name: "far", ip: "10.1.1.13", mac: "02:00:00:00:00:13" });
  return world;
}

const LAYER_2 = () => bed(", arp: flood");
const GATEWAY = () => bed("", "{name: if10, vsi: vsi10, address: 10.1.1.1/24}");

/** A bridge in a VM, with these TAPs as its ports; it sends what it gets by one of them out of the others. @returns how it is taken apart. */
function bridge(world: World, ...names: readonly string[]): { crossed: number; cut: () => void } {
  const state = { crossed: 0, cut: () => {} };
  const taps = names.map((name) => gw(world, 1).taps.get(name)!);
  for (const tap of taps)
    tap.receive = (frame) => {
      for (const other of taps) {
        if (other === tap && taps.length > 1) continue;
        state.crossed++;
        other.send(frame.slice());
      }
    };
  state.cut = () => {
    for (const tap of taps) tap.receive = () => {};
  };
  return state;
}

const found = (world: World) => gw(world, 1).events.filter(({ event }) => event === "loop.found");
const broadcast = (world: World, name: string) => {
  world.get(name).tap.send(ethernet(BROADCAST, world.get(name).mac, 0x88b5, 46));
  world.settle();
};
const places = (world: World, mac: Mac) =>
  gw(world, 1)
    .control.agent.macs.stories(mac)
    .map(({ via }) => via?.name);

function rowsOf(world: World): { rows: number[]; vsi: number } {
  const { ports, vsis } = gw(world, 1).control.shown.inventory;
  return { rows: [...ports.keys()], vsi: [...vsis.keys()][0]! };
}

describe.each([
  ["bridged alone", LAYER_2],
  ["with a gateway", GATEWAY],
])("a VSI that is %s", (_, start) => {
  it("is told which two ACs are bridged together, at once, and what to do", () => {
    const world = start();
    bridge(world, "a", "b");
    broadcast(world, "v");
    broadcast(world, "far");
    expect(found(world)).toHaveLength(1);
    const { ac, other } = found(world)[0]!.fields;
    expect([ac, other].sort()).toEqual(["a", "b"]);
    const [view] = gw(world, 1).control.shown.loops.list();
    const [check] = checkLoops([view!]);
    expect(check).toMatchObject({ result: "warn", name: "loop in vsi10" });
    expect(check!.text).toContain("between AC ");
    expect(check!.fix).toContain("one of the two out of the bridge");
  });

  it("loses no ping of others, however long it lasts, and keeps their MACs where they are", () => {
    const world = start();
    for (const to of ["10.1.1.12", "10.1.1.13"]) world.get("v").ping(to);
    world.advance(2000);
    bridge(world, "a", "b");
    const [v, w] = [world.get("v"), world.get("w")];
    v.icmp.length = 0;
    for (let n = 0; n < 100; n++) {
      if (n % 5 === 0) for (const name of ["v", "w", "far"]) broadcast(world, name);
      v.ping(n % 2 === 0 ? "10.1.1.12" : "10.1.1.13", { sequence: n });
      world.advance(100);
    }
    expect(v.replies).toHaveLength(100);
    expect(found(world)).toHaveLength(1);
    expect([...places(world, v.mac), ...places(world, w.mac)]).toEqual(["v", "w"]);
    expect(gw(world, 1).drops.looped ?? 0).toBeGreaterThanOrEqual(0);
  });

  it("floods little of what goes round, here and to other sites", () => {
    const world = start();
    const loop = bridge(world, "a", "b");
    for (let n = 0; n < 4; n++) broadcast(world, "v");
    world.advance(2000);
    world.clear();
    loop.crossed = 0;
    for (let n = 0; n < 50; n++) {
      broadcast(world, "v");
      world.advance(200);
    }
    // Ten seconds: what v sends, and what each of the two ACs may send again, with a bucket of a quarter of a second.
    const most = 2 * LOOP_FLOODS_PER_SECOND * 11;
    expect(loop.crossed).toBeGreaterThan(100);
    expect(loop.crossed).toBeLessThan(most + 200);
    const toFar = world.seen.filter(({ where, from }) => where === "underlay" && from === "192.0.2.1");
    expect(toFar.length).toBeLessThan(3 * (most + 200));
    expect(gw(world, 1).drops.storm_limited).toBeGreaterThan(10);
  });

  it("is as before ten seconds after the bridge is gone", () => {
    const world = start();
    const loop = bridge(world, "a", "b");
    broadcast(world, "v");
    broadcast(world, "far");
    expect(gw(world, 1).control.shown.loops.list()).toHaveLength(1);
    loop.cut();
    world.advance(12_000);
    expect(gw(world, 1).control.shown.loops.list()).toEqual([]);
    expect(gw(world, 1).events.filter(({ event }) => event === "loop.over")).toHaveLength(1);
    expect(gw(world, 1).control.agent.macs.looped.size).toBe(0);
    const row = gw(world, 1).control.shown.inventory.ac("a")!.row;
    expect(gw(world, 1).tables.ports.storm[row]).toBe(0);
  });
});

it("one AC that sends back what it gets is a loop of itself", () => {
  const world = GATEWAY();
  bridge(world, "a");
  world.get("v").ask("10.1.1.99");
  world.settle();
  world.advance(3000);
  expect(found(world).map(({ fields }) => [fields.ac, fields.other])).toEqual([["a", "a"]]);
});

it("a VM that moves between two ACs, twice, is none", () => {
  const world = LAYER_2();
  const mac = parseMac("02:00:00:00:00:77")!;
  const hello = () => ethernet(BROADCAST, mac, 0x88b5, 46);
  for (const name of ["a", "b", "a", "b"]) {
    gw(world, 1).taps.get(name)!.send(hello());
    world.settle();
    world.advance(300);
  }
  world.advance(20_000);
  expect(found(world)).toEqual([]);
  expect(places(world, mac)).toEqual(["b"]);
  // What was there to ask with is gone again.
  expect(gw(world, 1).control.agent.macs.list()).toHaveLength(1);
});

it("a forged probe proves nothing", () => {
  const world = GATEWAY();
  const own = gw(world, 1).control.shown.inventory.interface("if10")!.mac;
  const forged = ethernet(0x037674657064, own, 0x88b6, 46);
  gw(world, 1).taps.get("a")!.send(forged);
  world.settle();
  expect(found(world)).toEqual([]);
});

/** What an AC gets, with the two signs that make us ask by it: own MAC and moves. @returns probes, as they came. */
function probed(world: World, name: string): readonly Uint8Array[] {
  const probes: Uint8Array[] = [];
  const tap = gw(world, 1).taps.get(name)!;
  tap.receive = (frame) => void (u16(frame, ETH_TYPE) === TYPE_LOOP_PROBE && probes.push(frame.slice()));
  signs(world, name);
  expect(probes).toHaveLength(1);
  return probes;
}

function signs(world: World, name: string): void {
  for (const host of ["w", "far"]) broadcast(world, host);
  for (const host of ["w", "far"]) {
    gw(world, 1)
      .taps.get(name)!
      .send(ethernet(BROADCAST, world.get(host).mac, 0x88b5, 46));
    world.settle();
  }
}

describe("a VM that was asked", () => {
  it.each([
    ["bridged alone", LAYER_2],
    ["with a gateway", GATEWAY],
  ])("proves a loop of its own AC and of no other, whatever it writes into the probe: %s", (_, start) => {
    const world = start();
    const [probe] = probed(world, "a");
    const { rows, vsi } = rowsOf(world);
    for (const row of rows) {
      const forged = probe!.slice();
      setU16(forged, ETH_BYTES + 16, vsi);
      setU16(forged, ETH_BYTES + 18, row);
      gw(world, 1).taps.get("a")!.send(forged);
      world.advance(100);
    }
    expect(found(world).map(({ fields }) => [fields.ac, fields.other])).toEqual([["a", "a"]]);
    expect(places(world, world.get("w").mac)).not.toContain("a");
  });

  it("proves nothing by a probe of long ago, nor by another one's nonce that it guesses", () => {
    const world = LAYER_2();
    const [probe] = probed(world, "a");
    const guessed = probe!.slice();
    guessed[ETH_BYTES]! ^= 1;
    gw(world, 1).taps.get("a")!.send(guessed);
    world.settle();
    expect(found(world)).toEqual([]);
    world.advance(2500);
    gw(world, 1).taps.get("a")!.send(probe!.slice());
    world.settle();
    expect(found(world)).toEqual([]);
  });

  it("is asked with another nonce each time", () => {
    const world = LAYER_2();
    const probes = probed(world, "a");
    world.advance(1500);
    signs(world, "a");
    expect(probes).toHaveLength(2);
    expect(toHex(probes[0]!.subarray(ETH_BYTES, ETH_BYTES + 16))).not.toBe(
      toHex(probes[1]!.subarray(ETH_BYTES, ETH_BYTES + 16)),
    );
  });
});

it("what is forgotten at one AC of a loop is not learned at the other one", () => {
  const world = LAYER_2();
  const [a, b] = ["a", "b"].map((name) => gw(world, 1).taps.get(name)!);
  const host = parseMac("02:00:00:00:00:77")!;
  const hello = () => ethernet(BROADCAST, host, 0x88b5, 46);
  a!.send(hello());
  world.settle();
  expect(places(world, host)).toEqual(["a"]);
  // It lets nothing through but what proves a loop.
  a!.receive = (frame) => void (u16(frame, ETH_TYPE) === TYPE_LOOP_PROBE && b!.send(frame.slice()));
  signs(world, "a");
  expect(found(world).map(({ fields }) => [fields.ac, fields.other])).toEqual([["a", "b"]]);
  expect(places(world, host)).toEqual([]);
  b!.send(hello());
  world.advance(1500);
  expect(places(world, host)).toEqual([]);
  a!.send(hello());
  world.settle();
  expect(places(world, host)).toEqual(["a"]);
});

it("ARP that a loop brings back moves no host", () => {
  const world = bed(", arp: suppress");
  bridge(world, "a", "b");
  const v = world.get("v");
  for (let n = 0; n < 3; n++) {
    v.sendArp({ op: ARP_REQUEST, targetIp: parseIpv4("10.1.1.99")! });
    world.advance(1100);
  }
  expect(found(world)).toHaveLength(1);
  expect(gw(world, 1).drops.looped).toBeGreaterThan(0);
  const hosts = gw(world, 1).control.agent.suppressedViews();
  expect(hosts.map(({ ip, via }) => [ip, via?.name])).toEqual([["10.1.1.11", "v"]]);
});

it.each([
  ["bridged alone", ""],
  ["with a gateway", "interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]"],
])("keeps hosts of an EVPN fabric where routes say they are: %s", (_, iface) => {
  const site = new EvpnWorld();
  const { world, members } = site;
  for (const n of [1, 2]) world.net.inbox(`192.0.2.${n}`);
  for (const [n, acs] of [
    [1, ["v", "a", "b"]],
    [2, ["far"]],
  ] as const)
    site.join(`node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, evpn: {}}]
${iface}
acs: [${acs.map((name) => `{name: ${name}, vsi: vsi10, tap: {device: ${name}}}`).join(", ")}]
control: {socket: /run/gw${n}.sock}
`);
  const v = world.vm(members[0]!.gateway, { name: "v", ip: "10.1.1.11", mac: "02:00:00:00:00:11" });
  const far = world.vm(members[1]!.gateway, { name: "far", ip: "10.1.1.13", mac: "02:00:00:00:00:13" });
  site.pass(1000);
  for (const vm of [v, far]) vm.ask("10.1.1.1");
  site.pass(1000);
  v.ping("10.1.1.13");
  site.pass(1000);
  bridge(world, "a", "b");
  v.icmp.length = 0;
  for (let n = 0; n < 60; n++) {
    if (n % 5 === 0) for (const name of ["v", "far"]) broadcast(world, name);
    v.ping("10.1.1.13", { sequence: n });
    site.pass(100);
  }
  expect(found(world)).toHaveLength(1);
  expect([...places(world, v.mac), ...places(world, far.mac)]).toEqual(["v", "evpn:192.0.2.2"]);
  expect(members.flatMap(({ evpn }) => evpn.vrfs.vsis.flatMap(({ duplicates }) => [...duplicates.list()]))).toEqual([]);
  expect(v.replies.length).toBeGreaterThan(50);
});
