import { describe, expect, it } from "vitest";
import { i32, setI32, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { ethernet, ipv6Frame, tagged, udpFrame, vxlan } from "../dataplane/packets.ts";
import { xorshift } from "../tables/xorshift.ts";
import { article, gatewayMac } from "./article.ts";
import { DEAD, datagrams, gw, sites, siteText, vtep } from "./sites.ts";
import type { World } from "./world.ts";

const mac = (text: string): Mac => parseMac(text)!;
const ip = (text: string): number => parseIpv4(text)!;
const UNKNOWN = mac("02:00:00:00:77:77");
const GROUP = mac("01:00:5e:01:02:03");
const TYPE = 0x88b5;

const l2 = (acs: string[], more = ""): string => `vsis: [{name: vsi10, vni: 10${more}}, {name: vsi20, vni: 20}]
acs: [${[...acs.map((ac) => `{name: ${ac}, vsi: vsi10, tap: {device: ${ac}}}`), "{name: other, vsi: vsi20, tap: {device: other}}"].join(", ")}]`;

/** Two ACs on gw1, one on gw2 and gw3; a tunnel without a peer. */
function bridge(more = ""): World {
  const world = sites(3, (n) => (n === 1 ? l2(["a1", "b1"], more) : l2([`a${n}`])));
  for (const n of [1, 2, 3])
    for (const ac of n === 1 ? ["a1", "b1"] : [`a${n}`])
      world.vm(gw(world, n), {
        name: ac,
        ip: `10.1.1.${n}`,
        mac: `02:00:00:00:00:${ac.startsWith("b") ? "b" : "a"}${n}`,
      });
  world.vm(gw(world, 1), { name: "x1", ac: "other", ip: "20.1.1.1", mac: "02:00:00:00:00:f1" });
  world.clear();
  return world;
}

const heard = (world: World): Record<string, number> =>
  Object.fromEntries([...world.vms.values()].map((vm) => [vm.name, vm.received.length]));

describe("bridging over whole gateways", () => {
  it("floods exactly: one copy for each member tunnel and each other AC, none back, a dead peer duplicates nothing (L01)", () => {
    const world = bridge();
    const vm = world.get("a1");
    for (const dst of [UNKNOWN, BROADCAST, GROUP])
      for (let i = 0; i < 10; i++) vm.tap.send(ethernet(dst, vm.mac, TYPE, 50, i));
    world.settle();
    expect(heard(world)).toEqual({ a1: 0, b1: 30, a2: 30, a3: 30, x1: 0 });
    for (const to of [2, 3, DEAD]) expect(datagrams(world, 1, to)).toHaveLength(30);
    for (const from of [2, 3])
      for (const to of [1, 2, 3, DEAD]) if (from !== to) expect(datagrams(world, from, to)).toHaveLength(0);
    expect(new Set(datagrams(world, 1, 2).map((d) => (d[4]! << 16) | u16(d, 5)))).toEqual(new Set([10]));
  });

  it("floods, learns from one frame, sends to one; forgets on request and with age, and by source alone (L02)", () => {
    const world = bridge(", mac: {ageSeconds: 10}");
    const [a1, a2] = [world.get("a1"), world.get("a2")];
    const ten = (): void => {
      world.clear();
      for (let i = 0; i < 10; i++) a1.tap.send(ethernet(a2.mac, a1.mac, TYPE, 50, i));
      world.settle();
    };
    ten();
    expect(heard(world)).toMatchObject({ b1: 10, a2: 10, a3: 10 });
    a2.tap.send(ethernet(a1.mac, a2.mac, TYPE, 50));
    world.settle();
    ten();
    expect(heard(world)).toMatchObject({ b1: 0, a2: 10, a3: 0 });
    const { agent, shown } = gw(world, 1).control;
    expect(agent.macs.delete(shown.inventory.vsi("vsi10")!, a2.mac)).toBe(true);
    ten();
    expect(heard(world)).toMatchObject({ b1: 10, a2: 10, a3: 10 });
    a2.tap.send(ethernet(a1.mac, a2.mac, TYPE, 50));
    world.settle();
    // It goes out with age although frames go *to* it all the time.
    for (let i = 0; i < 15; i++) {
      world.advance(1000, 500);
      ten();
    }
    expect(heard(world)).toMatchObject({ b1: 10, a2: 10, a3: 10 });
    expect(
      gw(world, 1)
        .control.agent.macs.list()
        .map((row) => row.mac),
    ).toEqual(["02:00:00:00:00:a1"]);
  });

  it("a static MAC is neither learned over nor aged (L02)", () => {
    const world = bridge(', mac: {ageSeconds: 10, static: [{mac: "02:00:00:00:00:77", tunnel: gw3}]}');
    const [a1, b1] = [world.get("a1"), world.get("b1")];
    const pinned = mac("02:00:00:00:00:77");
    b1.tap.send(ethernet(BROADCAST, pinned, TYPE, 50));
    world.advance(60_000, 1000);
    world.clear();
    a1.tap.send(ethernet(pinned, a1.mac, TYPE, 50));
    world.settle();
    expect([2, 3, DEAD].map((to) => datagrams(world, 1, to).length)).toEqual([0, 1, 0]);
    expect(heard(world)).toMatchObject({ b1: 0, a2: 0 });
  });

  it("split horizon: BUM from a listed VTEP reaches the ACs, and nothing leaves to any peer (L03)", () => {
    const world = bridge();
    for (const dst of [UNKNOWN, BROADCAST, GROUP]) {
      const bytes = vxlan(10, ethernet(dst, mac("02:00:00:00:00:a2"), TYPE, 50));
      world.net.carry({ from: vtep(2), to: vtep(1), tos: 0, entropy: 1, bytes });
    }
    world.settle();
    expect(heard(world)).toEqual({ a1: 3, b1: 3, a2: 0, a3: 0, x1: 0 });
    for (const to of [2, 3, DEAD]) expect(datagrams(world, 1, to)).toEqual([]);
  });

  it("the same subnets, addresses and MACs in two VXLANs and VRFs: 10,000 random frames in each, none crosses (L04)", () => {
    const sections = (n: number): string => `vsis: [{name: vsi10, vni: 10}, {name: vsi30, vni: 30}]
interfaces:
  - {name: red, vsi: vsi10, address: 10.1.1.1/24, mac: shared}
  - {name: blue, vsi: vsi30, address: 10.1.1.1/24, mac: shared, vrf: blue}
acs:
${["red1", "red2", "blue1", "blue2"].map((ac) => `  - {name: ${ac}, vsi: ${ac.startsWith("r") ? "vsi10" : "vsi30"}, tap: {device: ${ac}}}`).join("\n")}
limits: {puntPerSecond: 1000000, puntPerAcPerSecond: 1000000}
routes: [{prefix: 60.0.0.0/8, nextHop: 10.1.1.${10 + n}}, {prefix: 60.0.0.0/8, nextHop: 10.1.1.${10 + n}, vrf: blue}]`;
    const world = sites(2, sections);
    const vms = [1, 2].flatMap((n) =>
      ["red1", "red2", "blue1", "blue2"].map((ac) => {
        const host = n * 10 + Number(ac.at(-1));
        const options = {
          name: `${ac}@${n}`,
          ac,
          ip: `10.1.1.${host}`,
          mac: `02:00:00:00:01:${host}`,
          gateway: "10.1.1.1",
        };
        return world.vm(gw(world, n), options);
      }),
    );
    const isRed = (name: string): boolean => name.startsWith("red");
    const random = xorshift(4);
    const macs = [
      ...vms.map((vm) => vm.mac),
      BROADCAST,
      UNKNOWN,
      gatewayMac(world, "gw1", "red"),
      gatewayMac(world, "gw1", "blue"),
    ];
    const TAG = [0x11111111, 0x33333333] as const;
    let seen = 0;
    for (let round = 0; round < 200; round++) {
      for (const vm of vms) {
        for (let i = 0; i < 25; i++) {
          const dst = macs[random() % macs.length]!;
          const to = random() % 4 === 0 ? random() | 0 : ip("10.1.1.10") + (random() % 14);
          const frame =
            random() % 3 === 0
              ? ethernet(dst, vm.mac, TYPE, 50)
              : udpFrame({ dst, src: vm.mac, from: vm.ip, to, payload: 30, ttl: 1 + (random() % 4) });
          setI32(frame, frame.length - 4, TAG[isRed(vm.name) ? 0 : 1]);
          vm.tap.send(frame);
        }
        if (random() % 5 === 0) vm.sendArp({ op: 1 + (random() & 1), targetIp: ip("10.1.1.10") + (random() % 14) });
      }
      world.net.nowMs += 100;
      world.settle();
      for (const { where, bytes } of world.seen) {
        if (where === "underlay") {
          const tag = i32(bytes, bytes.length - 4);
          if (tag === TAG[0]) expect(u16(bytes, 5)).toBe(10);
          if (tag === TAG[1]) expect(u16(bytes, 5)).toBe(30);
        }
      }
      for (const vm of vms)
        for (const frame of vm.received) {
          const tag = i32(frame, frame.length - 4);
          if (tag === TAG[0] || tag === TAG[1]) seen++;
          if (tag === TAG[isRed(vm.name) ? 1 : 0])
            throw new Error(`round ${round}: ${vm.name} got a frame of the other VRF`);
        }
      world.clear();
    }
    expect(seen).toBeGreaterThan(20_000);
    // Tables are apart, and blue goes without a trace in red.
    const rows = (): unknown[] =>
      gw(world, 1)
        .control.agent.neighborViews()
        .filter((row) => row.interface === "red")
        .map(({ ip, mac, via }) => ({ ip, mac, via }));
    const before = rows();
    expect(before.length).toBeGreaterThan(2);
    const redOnly = sections(1)
      .split("\n")
      .filter((line) => !/blue|name: vsi30/.test(line) || line.startsWith("vsis"))
      .join("\n")
      .replace(", {name: vsi30, vni: 30}", "");
    gw(world, 1).reload(`${siteText(1, 2, `${redOnly}\nroutes: [{prefix: 60.0.0.0/8, nextHop: 10.1.1.11}]`)}`);
    expect(rows()).toEqual(before);
    expect(
      gw(world, 1)
        .control.agent.neighborViews()
        .filter((row) => row.interface === "blue"),
    ).toEqual([]);
  });

  it("what no bridge forwards: 01:80:c2:00:00:0x; sources that are groups or zero are not learned (L05)", () => {
    const world = bridge();
    const vm = world.get("a1");
    for (let i = 0; i < 16; i++) vm.tap.send(ethernet(0x0180c2000000 + i, vm.mac, TYPE, 50));
    for (const src of [GROUP, BROADCAST, 0]) vm.tap.send(ethernet(BROADCAST, src, TYPE, 50));
    world.settle();
    expect(heard(world)).toEqual({ a1: 0, b1: 0, a2: 0, a3: 0, x1: 0 });
    expect(gw(world, 1).drops).toEqual({ reserved_mac: 16, bad_src_mac: 3 });
    expect(
      gw(world, 1)
        .control.agent.macs.list()
        .map((row) => row.mac),
    ).toEqual(["02:00:00:00:00:a1"]);
  });

  it("IPv6, other EtherTypes and DHCP's broadcasts are bridged with their own MACs, also where there is a gateway", () => {
    const world = article();
    const [vm1, vm4] = [world.get("vm1"), world.get("vm4")];
    const frames = [
      ipv6Frame({ dst: mac("33:33:00:00:00:01"), src: vm1.mac, trafficClass: 0 }),
      ipv6Frame({ dst: vm4.mac, src: vm1.mac, trafficClass: 0 }),
      ethernet(BROADCAST, vm1.mac, TYPE, 50),
      udpFrame({ dst: BROADCAST, src: vm1.mac, from: 0, to: -1, sport: 68, dport: 67, payload: 300 }),
    ];
    for (const frame of frames) vm1.tap.send(frame);
    world.settle();
    expect(vm4.received).toEqual(frames);
    expect(gw(world, 1).drops).toEqual({});
    expect(world.get("vm5").received).toEqual([]);
    // IPv6 to the gateway MAC has no taker.
    vm1.tap.send(ipv6Frame({ dst: gatewayMac(world, "gw1", "vsi-interface10"), src: vm1.mac, trafficClass: 0 }));
    world.settle();
    expect(gw(world, 1).drops).toEqual({ not_forwarded: 1 });
  });

  it("VLAN ACs: the tag chooses the VSI and comes back outward; routed between two VLANs of one TAP", () => {
    const world = sites(
      1,
      () => `vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
acs:
  - {name: plain, vsi: vsi10, tap: {device: trunk}}
  - {name: tag20, vsi: vsi20, tap: {device: trunk}, vlan: 20}
  - {name: far, vsi: vsi20, tap: {device: far}}`,
    );
    const vm = world.vm(gw(world, 1), {
      name: "plain",
      ip: "10.1.1.11",
      mac: "02:00:00:00:00:11",
      gateway: "10.1.1.1",
    });
    const far = world.vm(gw(world, 1), { name: "far", ip: "20.1.1.12", mac: "02:00:00:00:00:12", gateway: "20.1.1.1" });
    const inside = mac("02:00:00:00:00:13");
    // The host in VLAN 20 of the trunk broadcasts: "far" gets it untagged; and back.
    vm.tap.send(tagged(ethernet(BROADCAST, inside, TYPE, 50), 20));
    vm.tap.send(tagged(ethernet(BROADCAST, inside, TYPE, 50), 21));
    world.settle();
    expect(far.received).toEqual([ethernet(BROADCAST, inside, TYPE, 50)]);
    expect(gw(world, 1).drops).toEqual({ ac_unbound: 1 });
    far.tap.send(ethernet(inside, far.mac, TYPE, 50));
    world.settle();
    expect(vm.received).toEqual([tagged(ethernet(inside, far.mac, TYPE, 50), 20)]);
    vm.ping("20.1.1.12");
    world.settle();
    expect(vm.replies).toEqual(["20.1.1.12 ttl=63"]);
  });

  it("flood switches: a class that is off stays on the site's ACs, a selected MAC goes everywhere", () => {
    const world = bridge(
      ', flood: {broadcast: false, unknownUnicast: false, multicast: false, selective: ["02:00:00:00:77:77"]}',
    );
    const vm = world.get("a1");
    for (const dst of [BROADCAST, GROUP, mac("02:00:00:00:66:66")]) vm.tap.send(ethernet(dst, vm.mac, TYPE, 50));
    world.settle();
    expect(heard(world)).toEqual({ a1: 0, b1: 3, a2: 0, a3: 0, x1: 0 });
    vm.tap.send(ethernet(UNKNOWN, vm.mac, TYPE, 50));
    world.settle();
    expect(heard(world)).toEqual({ a1: 0, b1: 4, a2: 1, a3: 1, x1: 0 });
  });
});
