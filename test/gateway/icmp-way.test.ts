/**
 * ICMP errors go to the packet's source, whatever hop the packet came from last (RFC 1812 §4.3.2).
 *
 *   vm 10.1.1.11 (if10)  ->  gateway  ->  fw 20.1.1.5 (if20), a firewall VM that sends everything back to its gateway
 *
 * What a policy or a route sends through the firewall arrives a second time, in a frame from the firewall's MAC.
 */
import { describe, expect, it } from "vitest";
import { i32 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, type Mac, readMac, writeMac } from "../../src/wire/ethernet.ts";
import { decrementTtl, IP_DST, IP_TTL, parseIpv4 } from "../../src/wire/ipv4.ts";
import { headerIsRight, udpFrame } from "../dataplane/packets.ts";
import { udp6 } from "../dataplane/packets6.ts";
import { NET, Sites6, site6 } from "./host6.ts";
import { datagrams, gw, sites } from "./sites.ts";
import type { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
const FW = "20.1.1.5";

const SITE = (n: number): string => `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}, {name: vsi30, vni: 30}, {name: red, vni: 40}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
  - {name: if30, vsi: vsi30, address: 30.1.1.1/24, mtu: 1000}
  - {name: ifred, vsi: red, address: 10.1.1.1/24, vrf: red}
routes:
  - {prefix: 63.0.0.0/8, action: prohibit}
  - {prefix: 64.0.0.0/8, action: unreachable}
  - {prefix: 99.0.0.0/8, nextHop: 20.1.1.77}
policies:
  - name: inspect
    interfaces: [if10]
    rules: [{match: {source: 10.1.1.0/24, destination: 30.0.0.0/8}, nextHop: ${FW}}, {match: {destination: 60.0.0.0/6}, nextHop: ${FW}}]
acs: [${["vm", "fw", "far", "rv"].map((name, i) => `{name: ${name}${n}, vsi: ${["vsi10", "vsi20", "vsi30", "red"][i]}, tap: {device: ${name}${n}}}`).join(", ")}]`;

/** One site, or two with the asker at the second. */
function bed(count = 1): World {
  const world = sites(count, SITE);
  for (let n = 1; n <= count; n++) {
    const host = (name: string, address: string, mac: string): Vm =>
      world.vm(gw(world, n), { name: `${name}${n}`, ip: address, mac, gateway: address.replace(/\d+$/, "1") });
    host("vm", `10.1.1.${10 + n}`, `02:00:00:00:0${n}:11`);
    if (n === 1) firewall(host("fw", FW, "02:00:00:00:0f:05"));
    host("far", `30.1.1.${10 + n}`, `02:00:00:00:0${n}:31`);
    host("rv", `10.1.1.${10 + n}`, `02:00:00:00:0${n}:41`);
  }
  world.settle();
  for (const vm of world.vms.values()) vm.ping("20.1.1.5");
  world.settle();
  world.clear();
  return world;
}

/** It forwards: whatever is not for itself goes back to the gateway, with one less to live. */
function firewall(fw: Vm): void {
  const receive = fw.tap.receive;
  fw.tap.receive = (frame) => {
    const isPacket = frame[12] === 8 && frame[13] === 0 && readMac(frame, 0) === fw.mac;
    receive(frame);
    if (!isPacket || i32(frame, ETH_BYTES + IP_DST) === fw.ip || frame[ETH_BYTES + IP_TTL]! <= 1) return;
    const back = frame.slice();
    writeMac(back, 0, readMac(frame, 6));
    writeMac(back, 6, fw.mac);
    decrementTtl(new DataView(back.buffer), ETH_BYTES);
    fw.tap.send(back);
  };
}

const gatewayMac = (world: World, n: number, on: string): Mac =>
  gw(world, n).control.shown.inventory.interface(on)!.mac;

function send(world: World, vm: Vm, n: number, to: string, more: object = {}): void {
  vm.tap.send(udpFrame({ dst: gatewayMac(world, n, "if10"), src: vm.mac, from: vm.ip, to: ip(to), ...more }));
  world.settle();
}

const errors = (vm: Vm): string[] => vm.icmp.filter((m) => m.type !== 0).map((m) => `${m.type}/${m.code} ${m.from}`);

describe("errors about packets that come from a firewall's MAC reach the asker", () => {
  const CASES: readonly (readonly [what: string, to: string, more: object, error: string])[] = [
    ["time exceeded", "30.1.1.11", { ttl: 3 }, "11/0 20.1.1.1"],
    ["no route", "61.1.1.1", {}, "3/0 20.1.1.1"],
    ["prohibited", "63.1.1.1", {}, "3/13 20.1.1.1"],
    ["unreachable", "62.1.1.1", {}, "3/0 20.1.1.1"],
    ["too big", "30.1.1.11", { payload: 1200, df: true }, "3/4 20.1.1.1"],
  ];
  for (const [what, to, more, error] of CASES)
    it(what, () => {
      const world = bed();
      const vm = world.get("vm1");
      send(world, vm, 1, to, more);
      expect(errors(vm)).toEqual([error]);
      expect(headerIsRight(vm.icmp[0]!.frame)).toBe(true);
      expect(vm.icmp[0]!.ttl).toBe(64);
      expect(errors(world.get("fw1"))).toEqual([]);
      // Same addresses, another VRF: nothing crosses.
      expect(world.get("rv1").received).toEqual([]);
      expect(gw(world, 1).drops.ip_martian).toBeUndefined();
    });

  it("host unreachable, when the host behind the firewall is silent", () => {
    const world = bed();
    send(world, world.get("vm1"), 1, "30.1.1.99");
    world.advance(4000);
    expect(errors(world.get("vm1"))).toEqual(["3/1 20.1.1.1"]);
  });

  it("an asker that is not resolved is asked for first, and then gets it", () => {
    const world = bed();
    const vm = world.get("vm1");
    const gw1 = gw(world, 1);
    const on = gw1.control.shown.inventory.interface("if10")!;
    send(world, vm, 1, "30.1.1.11");
    gw1.control.agent.neighbors.delete(on, vm.ip);
    send(world, vm, 1, "30.1.1.11", { ttl: 3 });
    world.advance(100);
    expect(errors(vm)).toEqual(["11/0 20.1.1.1"]);
  });

  it("an asker behind another gateway gets it by the tunnel", () => {
    const world = bed(2);
    const vm = world.get("vm2");
    const fw = world.get("fw1");
    fw.tap.send(udpFrame({ dst: gatewayMac(world, 1, "if20"), src: fw.mac, from: vm.ip, to: ip("30.1.1.11"), ttl: 1 }));
    world.advance(500);
    expect(errors(vm)).toEqual(["11/0 20.1.1.1"]);
    expect(datagrams(world, 1, 2).length).toBeGreaterThan(0);
  });
});

describe("what stays as it was", () => {
  it("an asker that no route leads to is answered where its frame came from", () => {
    const world = bed();
    const fw = world.get("fw1");
    fw.tap.send(
      udpFrame({ dst: gatewayMac(world, 1, "if20"), src: fw.mac, from: ip("80.1.1.1"), to: ip("30.1.1.11"), ttl: 1 }),
    );
    world.settle();
    expect(
      world.seen.filter(({ to, bytes }) => to === "fw1" && bytes[23] === 1 && i32(bytes, 30) === ip("80.1.1.1")),
    ).toHaveLength(1);
  });

  it("no error about an error, none to an address of ours, a broadcast address or a group", () => {
    const world = bed();
    const fw = world.get("fw1");
    world.clear();
    for (const from of ["10.1.1.1", "30.1.1.1", "10.1.1.255", "10.1.1.0", "224.1.1.1"])
      fw.tap.send(
        udpFrame({ dst: gatewayMac(world, 1, "if20"), src: fw.mac, from: ip(from), to: ip("30.1.1.11"), ttl: 1 }),
      );
    world.settle();
    const sent = world.seen.filter(({ from, bytes }) => from === "gw1" && bytes[23] === 1);
    expect(sent).toEqual([]);
  });

  it("the rate limit is the port's that the packet came by: 100 a second", () => {
    const world = bed();
    const [fw, vm] = [world.get("fw1"), world.get("vm1")];
    for (let i = 0; i < 300; i++)
      fw.tap.send(
        udpFrame({
          dst: gatewayMac(world, 1, "if20"),
          src: fw.mac,
          from: vm.ip,
          to: ip("30.1.1.11"),
          ttl: 1,
          sport: i,
        }),
      );
    world.settle();
    expect(errors(vm).length).toBe(100);
    expect(gw(world, 1).drops.icmp_limited).toBeGreaterThan(0);
  });

  it("a made-up asker for each packet: searches stay within the port's share, and others resolve", () => {
    const world = bed();
    const fw = world.get("fw1");
    for (let i = 0; i < 2000; i++) {
      const from = ip("10.1.1.20") + (i % 200);
      fw.tap.send(udpFrame({ dst: gatewayMac(world, 1, "if20"), src: fw.mac, from, to: ip("30.1.1.11"), ttl: 1 }));
      if (i % 20 === 0) world.advance(100, 100);
    }
    const { neighbors } = gw(world, 1).control.agent;
    expect([...neighbors.all()].filter(({ state }) => state === "incomplete").length).toBeLessThanOrEqual(129);
    expect(neighbors.waiting).toBeLessThanOrEqual(256);
    world.advance(10_000);
    expect(gw(world, 1).control.agent.ledger.held).toBe(0);
  });
});

it("an asker of the link alone is answered on its link, whatever the table has for ::/0", () => {
  const sites = new Sites6();
  const { vm1, gw1, world } = sites;
  gw1.reload(`${site6(1)}routes: [{prefix: "::/0", nextHop: "2001:db8:10::12"}]\n`);
  vm1.ask(NET | 0x12n);
  world.settle();
  sites.clear();
  const dst = gw1.control.shown.inventory.interface("if10")!.mac;
  vm1.tap.send(udp6({ dst, src: vm1.mac, from: "fe80::11", to: "fe80::1" }));
  world.settle();
  const isError = (bytes: Uint8Array, at: number) => bytes[at + 20] === 58 && bytes[at + 54] === 1;
  expect(vm1.frames.filter((frame) => isError(frame, 0))).toHaveLength(1);
  expect(world.seen.filter(({ where, bytes }) => where === "underlay" && isError(bytes, 8))).toEqual([]);
});
