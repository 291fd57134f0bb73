import { describe, expect, it } from "vitest";
import { ARP_REPLY, ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, formatMac, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { PROTO_ICMP, parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame, changed, ethernet, udpFrame, vxlan, withOptions } from "../dataplane/packets.ts";
import { article, gatewayMac } from "./article.ts";
import { datagrams, gw, sites, vtep } from "./sites.ts";
import { icmpPacket, type Vm } from "./vm.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
const mac = (text: string): Mac => parseMac(text)!;

/** vm1 sends each of `frames` at `pps` for `ms`; every `each` ms `also` happens. */
function storm(
  world: World,
  ms: number,
  pps: number,
  frame: (i: number) => Uint8Array,
  each: number,
  also: () => void,
): void {
  const vm1 = world.get("vm1");
  let i = 0;
  for (let t = 0; t < ms; t += 5) {
    for (let n = 0; n < (pps * 5) / 1000; n++) vm1.tap.send(frame(i++));
    if (t % each === 0) also();
    world.net.nowMs += 5;
    world.settle();
    if (world.seen.length > 20_000) world.seen.length = 0;
  }
}

describe("one VM's storm stays its own (S06)", () => {
  const classes: [string, (world: World, vm: Vm, gateway: Mac) => (i: number) => Uint8Array][] = [
    [
      "ARP requests",
      (_, vm) => (i) =>
        arpFrame({
          ethDst: BROADCAST,
          ethSrc: vm.mac,
          op: ARP_REQUEST,
          senderMac: vm.mac,
          senderIp: vm.ip,
          targetMac: 0,
          targetIp: ip("10.1.1.20") + (i % 200),
        }),
    ],
    [
      "announcements",
      (_, vm) => () =>
        arpFrame({
          ethDst: BROADCAST,
          ethSrc: vm.mac,
          op: ARP_REQUEST,
          senderMac: vm.mac,
          senderIp: vm.ip,
          targetMac: 0,
          targetIp: vm.ip,
        }),
    ],
    [
      "ARP for the gateway",
      (_, vm) => () =>
        arpFrame({
          ethDst: BROADCAST,
          ethSrc: vm.mac,
          op: ARP_REQUEST,
          senderMac: vm.mac,
          senderIp: vm.ip,
          targetMac: 0,
          targetIp: ip("10.1.1.1"),
        }),
    ],
    [
      "echo to the gateway",
      (_, vm, gateway) => {
        const packet = icmpPacket(vm.ip, ip("10.1.1.1"), 8, 64, 1, 56);
        const frame = ethernet(gateway, vm.mac, 0x0800, packet.length);
        frame.set(packet, 14);
        return () => frame;
      },
    ],
    [
      "TTL 1",
      (_, vm, gateway) => () => udpFrame({ dst: gateway, src: vm.mac, from: vm.ip, to: ip("20.1.1.12"), ttl: 1 }),
    ],
    [
      "unresolved targets",
      (_, vm, gateway) => (i) => udpFrame({ dst: gateway, src: vm.mac, from: vm.ip, to: ip("20.1.1.20") + (i % 200) }),
    ],
    [
      "IP options",
      (_, vm, gateway) => () =>
        withOptions(
          udpFrame({ dst: gateway, src: vm.mac, from: vm.ip, to: ip("20.1.1.12"), ttl: 1 }),
          [7, 7, 4, 0, 0, 0, 0],
        ),
    ],
    ["unknown EtherTypes to the gateway MAC", (_, vm, gateway) => () => ethernet(gateway, vm.mac, 0x88b5, 46)],
    [
      "spoofed gateway addresses",
      (_, vm) => () =>
        arpFrame({
          ethDst: BROADCAST,
          ethSrc: vm.mac,
          op: ARP_REPLY,
          senderMac: vm.mac,
          senderIp: ip("10.1.1.1"),
          targetMac: 0,
          targetIp: ip("10.1.1.1"),
        }),
    ],
  ];
  for (const [name, make] of classes)
    it(`20,000 a second of: ${name}`, () => {
      const world = article();
      const [vm1, vm3] = [world.get("vm1"), world.get("vm3")];
      vm3.ping("20.1.1.11");
      world.settle();
      world.clear();
      const gw1 = gw(world, 1);
      const before = gw1.punted;
      const frame = make(world, vm1, gatewayMac(world, "gw1", "vsi-interface10"));
      let asked = 0;
      let answered = 0;
      storm(world, 1000, 20_000, frame, 50, () => {
        vm3.arp.delete(ip("30.1.1.1"));
        vm3.ping("30.1.1.1"); // ARP, then echo
        vm3.ping("20.1.1.11"); // forwarded
        asked++;
        world.settle();
        answered += vm3.arp.has(ip("30.1.1.1")) ? 1 : 0;
      });
      expect(answered).toBe(asked);
      expect(vm3.replies.filter((line) => line.startsWith("30.1.1.1"))).toHaveLength(asked);
      expect(vm3.replies.filter((line) => line.startsWith("20.1.1.11"))).toHaveLength(asked);
      // 500 a second and a quarter of that at once; vm3's own are beside it.
      expect(gw1.punted - before).toBeLessThanOrEqual(500 + 125 + 4 * asked);
    }, 30_000);
});

it("two VMs that flood ARP leave a third its own (S06)", () => {
  const world = article();
  const [vm1, vm2, vm3] = ["vm1", "vm2", "vm3"].map((name) => world.get(name)) as [Vm, Vm, Vm];
  let [asked, answered] = [0, 0];
  for (let t = 0; t < 2000; t += 5) {
    for (let n = 0; n < 50; n++) {
      vm1.ask("10.1.1.1");
      vm2.ask("20.1.1.1");
    }
    if (t % 50 === 0) {
      vm3.arp.delete(ip("30.1.1.1"));
      vm3.ping("30.1.1.1");
      asked++;
    }
    world.net.nowMs += 5;
    world.settle();
    world.seen.length = 0;
    if (t % 50 === 0 && vm3.arp.has(ip("30.1.1.1"))) answered++;
  }
  expect([asked, answered]).toEqual([40, 40]);
}, 30_000);

describe("address scans (S07)", () => {
  it("5,000 targets a second: bounded searches and floods, another VM resolves within a second, nothing stays", () => {
    const world = sites(
      2,
      (n) => `vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: if20, vsi: vsi20, address: 20.1.0.1/16}
acs: [${n === 1 ? "{name: vm1, vsi: vsi10, tap: {device: vm1}}, {name: vm3, vsi: vsi10, tap: {device: vm3}}" : "{name: vm5, vsi: vsi20, tap: {device: vm5}}"}]`,
    );
    const vm1 = world.vm(gw(world, 1), { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
    const vm3 = world.vm(gw(world, 1), { name: "vm3", ip: "10.1.1.13", mac: "02:00:00:00:01:13", gateway: "10.1.1.1" });
    world.vm(gw(world, 2), {
      name: "vm5",
      ip: "20.1.99.12",
      mac: "02:00:00:00:02:12",
      gateway: "20.1.0.1",
      length: 16,
    });
    const dst = gatewayMac(world, "gw1", "if10");
    const { agent } = gw(world, 1).control;
    let [most, floods, secondsAgo] = [0, 0, world.net.nowMs];
    storm(
      world,
      3000,
      5000,
      (i) => udpFrame({ dst, src: vm1.mac, from: vm1.ip, to: ip("20.1.1.1") + (i % 20_000) }),
      100,
      () => {
        most = Math.max(most, agent.neighborViews().length);
        if (world.net.nowMs - secondsAgo >= 1000) {
          const asked = datagrams(world, 1, 2).filter((d) => u16(d, 20) === 0x0806).length;
          floods = Math.max(floods, asked);
          world.clear();
          secondsAgo = world.net.nowMs;
        }
        if (vm3.arp.size === 0) vm3.ping("20.1.99.12");
      },
    );
    expect(vm3.arp.size).toBe(1);
    expect(most).toBeLessThanOrEqual(1024 + 16);
    expect(floods).toBeLessThanOrEqual(200 * 1.2);
    expect(vm1.icmp.length).toBeLessThanOrEqual(400);
    vm3.ping("20.1.99.12");
    world.settle();
    expect(vm3.replies).toContain("20.1.99.12 ttl=62");
    world.advance(30_000, 500);
    expect(agent.neighbors.waiting).toBe(0);
    expect(agent.neighborViews().filter((row) => row.state === "incomplete" || row.state === "failed")).toEqual([]);
    expect(agent.ledger.held).toBe(0);
  }, 30_000);
});

describe("moves, replays and their abuse (S12)", () => {
  it("a replay of yesterday's datagrams takes no gateway and no host for more than a second after its next word", () => {
    const world = article();
    for (const [from, to] of [
      ["vm1", "10.1.1.12"],
      ["vm4", "20.1.1.11"],
      ["vm5", "10.1.1.11"],
    ] as const)
      world.get(from).ping(to);
    world.settle();
    const tape = world.seen.filter((seen) => seen.where === "underlay" && seen.to === vtep(1));
    world.advance(3_600_000, 5000);
    // vm4 has moved to site 1 since.
    world.get("vm4").alive = false;
    const moved = world.vm(gw(world, 1), {
      name: "moved",
      ac: "vm1",
      ip: "10.1.1.12",
      mac: formatMac(world.get("vm4").mac),
      gateway: "10.1.1.1",
    });
    moved.sendArp({ op: ARP_REQUEST, targetIp: moved.ip });
    world.advance(1000);
    for (const times of [1, 100])
      for (let i = 0; i < times; i++) {
        for (const { from, to, bytes } of tape) world.net.carry({ from, to, tos: 0, entropy: 1, bytes: bytes.slice() });
        world.settle();
      }
    world.advance(1000);
    moved.sendArp({ op: ARP_REQUEST, targetIp: moved.ip });
    world.advance(1000);
    const row = gw(world, 1)
      .control.agent.neighborViews()
      .find((each) => each.ip === "10.1.1.12")!;
    expect(row.via).toEqual({ kind: "ac", name: "vm1" });
    const own = gw(world, 1)
      .control.agent.neighborViews()
      .filter((each) => each.ip.endsWith(".1") && each.origin !== "gateway");
    expect(own).toEqual([]);
    world.clear();
    world.get("vm2").ping("10.1.1.12");
    world.settle();
    expect(world.get("vm2").replies).toEqual(["10.1.1.12 ttl=63"]);
    world.get("vm1").ask("10.1.1.1");
    world.settle();
    expect(world.get("vm1").arp.get(ip("10.1.1.1"))).toBe(gatewayMac(world, "gw1", "vsi-interface10"));
  });

  it("an address that two VMs fight for stays put after five moves, is counted, and keeps its traffic", () => {
    const world = sites(
      1,
      () => `vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: a, vsi: vsi10, tap: {device: a}}, {name: b, vsi: vsi10, tap: {device: b}}, {name: c, vsi: vsi10, tap: {device: c}}]`,
    );
    const vm = (ac: string, host: number, at: string): Vm =>
      world.vm(gw(world, 1), { name: ac, ip: `10.1.1.${host}`, mac: at, gateway: "10.1.1.1" });
    const [a, b, c] = [
      vm("a", 11, "02:00:00:00:01:0a"),
      vm("b", 11, "02:00:00:00:01:0b"),
      vm("c", 13, "02:00:00:00:01:0c"),
    ];
    for (let i = 0; i < 20; i++) {
      (i % 2 === 0 ? a : b).sendArp({ op: ARP_REQUEST, targetIp: ip("10.1.1.11") });
      world.advance(1000, 500);
    }
    const gw1 = gw(world, 1);
    expect(gw1.control.agent.neighbors.moves.get("vsi10")).toBe(5);
    expect(gw1.drops.move_damped).toBeGreaterThanOrEqual(7); // both defend themselves as well
    const via = gw1.control.agent.neighborViews().find((row) => row.ip === "10.1.1.11")!.via!.name;
    world.clear();
    c.ping("10.1.1.11");
    world.settle();
    expect(c.replies).toHaveLength(1);
    expect(world.get(via).icmp).toHaveLength(1);
    // Three minutes later the winner of the last word is believed again.
    world.advance(181_000, 1000);
    const other = via === "a" ? b : a;
    other.sendArp({ op: ARP_REQUEST, targetIp: other.ip });
    world.settle();
    expect(gw1.control.agent.neighborViews().find((row) => row.ip === "10.1.1.11")!.via!.name).toBe(other.name);
  });

  it("a hostile site cannot take a living host: its own gateway asks it, and keeps it", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    // gw2's site claims 10.1.1.11, which lives at gw1.
    const claim = arpFrame({
      ethDst: BROADCAST,
      ethSrc: mac("02:00:00:00:66:66"),
      op: ARP_REQUEST,
      senderMac: mac("02:00:00:00:66:66"),
      senderIp: ip("10.1.1.11"),
      targetMac: 0,
      targetIp: ip("10.1.1.11"),
    });
    for (let i = 0; i < 10; i++) {
      world.net.carry({ from: vtep(2), to: vtep(1), tos: 0, entropy: 1, bytes: vxlan(10, claim) });
      world.advance(1000);
    }
    const row = gw(world, 1)
      .control.agent.neighborViews()
      .find((each) => each.ip === "10.1.1.11" && each.interface === "vsi-interface10")!;
    expect([row.via, row.state]).toEqual([{ kind: "ac", name: "vm1" }, "reachable"]);
  });

  it("what is no listed VTEP is not heard, and gets no answer", () => {
    const world = article();
    const vm1 = world.get("vm1");
    const question = arpFrame({
      ethDst: BROADCAST,
      ethSrc: mac("02:00:00:00:66:66"),
      op: ARP_REQUEST,
      senderMac: mac("02:00:00:00:66:66"),
      senderIp: ip("10.1.1.66"),
      targetMac: 0,
      targetIp: vm1.ip,
    });
    world.net.inbox("192.0.2.66");
    for (let i = 0; i < 100; i++)
      world.net.carry({ from: "192.0.2.66", to: vtep(1), tos: 0, entropy: 1, bytes: vxlan(10, question) });
    for (let i = 0; i < 100; i++)
      world.net.carry({ from: vtep(2), to: vtep(1), tos: 0, entropy: 1, bytes: vxlan(1000 + i, question) });
    world.settle();
    expect(gw(world, 1).drops).toEqual({ unknown_vtep: 100, unknown_vni: 100 });
    expect(vm1.received).toEqual([]);
    expect(world.seen.filter((seen) => seen.from === vtep(1))).toEqual([]);
    const known = gw(world, 1).control.agent.neighborViews();
    expect(known.filter(({ state }) => state !== "gateway")).toEqual([]);
  });
});

describe("ICMP errors are no amplifier", () => {
  it("answers nothing that could start a storm: errors about errors, at rates, to groups", () => {
    const world = article();
    const vm1 = world.get("vm1");
    const dst = gatewayMac(world, "gw1", "vsi-interface10");
    const base = udpFrame({ dst, src: vm1.mac, from: vm1.ip, to: ip("60.9.9.9"), ttl: 1, payload: 40 });
    for (const type of [3, 4, 5, 11, 12])
      vm1.tap.send(
        changed(base, (frame) => {
          frame[23] = PROTO_ICMP;
          frame[34] = type;
        }),
      );
    world.settle();
    expect(vm1.received.filter((frame) => parseArp(frame, 0, frame.length) === null)).toEqual([]);
  });
});
