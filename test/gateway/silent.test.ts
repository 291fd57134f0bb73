/** Hosts that change without a word: re-created with another MAC, moved behind another port, cut off. */
import { describe, expect, it } from "vitest";
import { ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { article } from "./article.ts";
import { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
const NEW_MAC = "02:00:00:00:77:77";

/** vm5 (site 2) and vm2 (site 1) know vm1's way. */
function warm(): World {
  const world = article();
  world.get("vm5").ping("10.1.1.11");
  world.get("vm2").ping("10.1.1.11");
  world.settle();
  expect(world.get("vm5").replies).toHaveLength(1);
  expect(world.get("vm2").replies).toHaveLength(1);
  world.clear();
  return world;
}

/** vm1 is destroyed and made again behind the same AC: same address, another MAC, and it says nothing by itself. */
function recreated(world: World, name = "vm1", address = "10.1.1.11"): Vm {
  return new Vm(world.get(name).tap, { name, ip: address, mac: NEW_MAC, gateway: address.replace(/\d+$/, "1") });
}

/** vm5 pings every 100 ms. @returns seconds until its first answer, or null within `forSeconds`. */
function secondsUntilAnswer(world: World, forSeconds: number, pinger = "vm5"): number | null {
  const vm = world.get(pinger);
  for (let tenth = 1; tenth <= forSeconds * 10; tenth++) {
    vm.ping("10.1.1.11", { sequence: tenth });
    world.advance(100, 100);
    if (vm.replies.length > 0) return tenth / 10;
  }
  return null;
}

const requestsTo = (vm: Vm): number =>
  vm.received.filter((frame) => parseArp(frame, 0, frame.length)?.op === ARP_REQUEST).length;

describe("a VM that is made again with another MAC", () => {
  it("and says nothing: packets to it reach it again within 30 s", () => {
    const world = warm();
    world.advance(1000);
    recreated(world);
    const seconds = secondsUntilAnswer(world, 60);
    expect(seconds).not.toBeNull();
    expect(seconds!).toBeLessThan(30);
  });

  it("and says nothing, after ten minutes in which nothing was sent to it: within 30 s", () => {
    const world = article();
    world.get("vm2").ping("10.1.1.11");
    world.settle();
    for (let second = 0; second < 605; second++) world.advance(1000, 1000);
    world.clear();
    recreated(world);
    const seconds = secondsUntilAnswer(world, 60, "vm2");
    expect(seconds).not.toBeNull();
    expect(seconds!).toBeLessThan(30);
  });

  it("and sends anything at all, no ARP even: within 1 s", () => {
    const world = warm();
    world.advance(3000);
    const again = recreated(world);
    expect(secondsUntilAnswer(world, 3)).toBeNull();
    // An IPv6 router solicitation, as every kernel sends when its interface comes up.
    const frame = udpFrame({ dst: parseMac("33:33:00:00:00:02")!, src: again.mac, from: again.ip, to: -1 });
    frame.set([0x86, 0xdd], 12);
    again.tap.send(frame);
    const seconds = secondsUntilAnswer(world, 5);
    expect(seconds).not.toBeNull();
    expect(seconds!).toBeLessThanOrEqual(1);
  });

  it.each([500, 1500, 3000])(
    "and speaks after %i ms away, while the old one was busy until then: soon after",
    (away) => {
      const world = warm();
      const vm5 = world.get("vm5");
      for (let tenth = 0; tenth < 30; tenth++) {
        vm5.ping("10.1.1.11", { sequence: tenth });
        world.advance(100, 100);
      }
      world.clear();
      const again = recreated(world);
      expect(secondsUntilAnswer(world, away / 1000)).toBeNull();
      const frame = udpFrame({ dst: parseMac("33:33:00:00:00:02")!, src: again.mac, from: again.ip, to: -1 });
      frame.set([0x86, 0xdd], 12);
      again.tap.send(frame);
      const seconds = secondsUntilAnswer(world, 5);
      expect(seconds).not.toBeNull();
      expect(seconds!).toBeLessThanOrEqual(1.2);
    },
  );

  it("and asks for its gateway: at once", () => {
    const world = warm();
    const again = recreated(world);
    again.ask("10.1.1.1");
    world.settle();
    expect(secondsUntilAnswer(world, 1)).toBe(0.1);
  });
});

describe("what the watch over silent hosts costs the others", () => {
  it("a host that talks is never asked, however much is sent to it", () => {
    const world = warm();
    const [vm1, vm5] = [world.get("vm1"), world.get("vm5")];
    for (let second = 0; second < 120; second++) {
      vm5.ping("10.1.1.11", { sequence: second });
      world.advance(1000, 500);
    }
    expect(vm5.replies).toHaveLength(120);
    expect(requestsTo(vm1)).toBe(0);
  });

  it("a host that only listens is asked once in 15 s or more seldom, and nothing to it is lost", () => {
    const world = warm();
    const [vm1, vm2] = [world.get("vm1"), world.get("vm2")];
    const mac = world.gateways.get("gw1")!.control.shown.inventory.interface("vsi-interface20")!.mac;
    const packets = () => vm1.received.filter((frame) => frame[23] === 17).length;
    for (let second = 0; second < 120; second++) {
      vm2.tap.send(udpFrame({ dst: mac, src: vm2.mac, from: vm2.ip, to: vm1.ip }));
      world.advance(1000, 500);
    }
    expect(packets()).toBe(120);
    expect(requestsTo(vm1)).toBeGreaterThan(3);
    expect(requestsTo(vm1)).toBeLessThanOrEqual(8);
  });

  it("a host that nothing is sent to is not asked before its age is over", () => {
    const world = warm();
    world.advance(120_000, 500);
    expect(requestsTo(world.get("vm1"))).toBe(0);
  });

  it("a host behind a peer gateway is that gateway's to watch: we do not ask it", () => {
    const world = warm();
    const vm1 = world.get("vm1");
    const mac = world.gateways.get("gw1")!.control.shown.inventory.interface("vsi-interface10")!.mac;
    // gw2 asks with the gateway address in VXLAN 20: so it is known to be one.
    world.get("vm4").ping("20.1.1.11");
    world.settle();
    world.clear();
    for (let second = 0; second < 60; second++) {
      vm1.tap.send(udpFrame({ dst: mac, src: vm1.mac, from: vm1.ip, to: ip("20.1.1.12") }));
      world.advance(1000, 500);
    }
    const asked = world.seen.filter(
      ({ where, from, bytes }) =>
        where === "underlay" && from === "192.0.2.1" && parseArp(bytes, 8, bytes.length) !== null,
    );
    expect(asked).toEqual([]);
  });
});

describe("a VM that sets its interface down", () => {
  const acOf = (world: World, name: string) => world.gateways.get("gw1")!.control.shown.inventory.ac(name)!;
  const link = (world: World, name: string, up: boolean): void => {
    world.gateways.get("gw1")!.control.topology.setLink(acOf(world, name), up);
    world.settle();
  };
  const state = (world: World) =>
    world.gateways
      .get("gw1")!
      .control.agent.neighborViews()
      .find((each) => each.ip === "10.1.1.11" && each.state !== "gateway")?.state;

  it("is suspended, not forgotten; packets to it end with host unreachable within 4 s; show ac says link down", () => {
    const world = warm();
    const vm2 = world.get("vm2");
    link(world, "vm1", false);
    expect(state(world)).toBe("suspended");
    expect(acOf(world, "vm1")).toMatchObject({ up: false, linkDown: true });
    world.clear();
    vm2.ping("10.1.1.11");
    world.advance(4000);
    expect(vm2.icmp.map(({ type, code }) => `${type}/${code}`)).toEqual(["3/1"]);
    expect(world.get("vm1").received).toEqual([]);
  });

  it("up again within ten seconds: used at once and asked whether it is still there", () => {
    const world = warm();
    const [vm1, vm2] = [world.get("vm1"), world.get("vm2")];
    link(world, "vm1", false);
    world.advance(5000);
    vm1.received.length = 0;
    link(world, "vm1", true);
    expect(acOf(world, "vm1")).toMatchObject({ up: true, linkDown: false });
    vm2.ping("10.1.1.11");
    world.settle();
    expect(vm2.replies).toHaveLength(1);
    expect(requestsTo(vm1)).toBeGreaterThan(0);
    expect(state(world)).toBe("reachable");
    const { events } = world.gateways.get("gw1")!;
    expect(events.filter(({ event }) => event.startsWith("neighbor.")).map(({ event }) => event)).toContain(
      "neighbor.restored",
    );
    // The gateway tells it its address (behaviour.md §3.12).
    expect(
      vm1.received.map((frame) => parseArp(frame, 0, frame.length)).some((arp) => arp?.senderIp === arp?.targetIp),
    ).toBe(true);
  });

  it("up again after that: it is found like any other", () => {
    const world = warm();
    link(world, "vm1", false);
    world.advance(11_000);
    expect(state(world)).toBeUndefined();
    link(world, "vm1", true);
    world.get("vm2").ping("10.1.1.11");
    world.settle();
    expect(world.get("vm2").replies).toHaveLength(1);
  });

  it("up again as another VM with another MAC: followed when it answers", () => {
    const world = warm();
    link(world, "vm1", false);
    recreated(world);
    world.advance(1000);
    link(world, "vm1", true);
    expect(secondsUntilAnswer(world, 10)).toBeLessThan(5);
  });

  it("up again while it is being looked for: asked there, and no host is told that it is unreachable", () => {
    const world = article();
    const vm2 = world.get("vm2");
    link(world, "vm1", false);
    vm2.ping("10.1.1.11");
    world.advance(2500);
    link(world, "vm1", true);
    world.advance(2500);
    expect(vm2.replies).toHaveLength(1);
    expect(vm2.icmp).toHaveLength(1);
  });

  it("comes up at the other site meanwhile: found there by the next packet", () => {
    const world = warm();
    world.advance(1500);
    link(world, "vm1", false);
    const moved = new Vm(world.get("vm4").tap, {
      name: "vm1",
      ip: "10.1.1.11",
      mac: "02:00:00:00:01:11",
      gateway: "10.1.1.1",
    });
    moved.alive = true;
    const vm2 = world.get("vm2");
    vm2.ping("10.1.1.11");
    world.advance(500);
    expect(vm2.replies).toHaveLength(1);
  });

  it("its TAP is taken away while it is down: nothing is kept of it", () => {
    const world = warm();
    link(world, "vm1", false);
    world.gateways.get("gw1")!.control.topology.loseTap(acOf(world, "vm1"));
    expect(state(world)).toBeUndefined();
    expect(acOf(world, "vm1").linkDown).toBe(false);
  });

  it("its next hop role: the route is dead while it is down, and lives again with it", () => {
    const world = warm();
    const { topology, agent, shown } = world.gateways.get("gw1")!.control;
    const iface = shown.inventory.interface("vsi-interface10")!;
    const adjacency = agent.neighbors.hold(iface, ip("10.1.1.11"));
    expect(agent.neighbors.isAlive(adjacency)).toBe(true);
    topology.setLink(acOf(world, "vm1"), false);
    expect(agent.neighbors.isAlive(adjacency)).toBe(false);
    topology.setLink(acOf(world, "vm1"), true);
    expect(agent.neighbors.isAlive(adjacency)).toBe(true);
  });
});

it("a MAC that speaks behind another port of the site: its host is asked there, and followed", () => {
  const world = warm();
  const [vm1, vm4] = [world.get("vm1"), world.get("vm4")];
  expect(vm1.mac).not.toBe(vm4.mac);
  // vm1 is moved to site 2 behind vm4's AC, and sends a frame that is no ARP.
  world.advance(2000);
  vm1.tap.receive = () => {};
  const moved = new Vm(vm4.tap, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
  const frame = udpFrame({ dst: BROADCAST, src: moved.mac, from: moved.ip, to: -1 });
  moved.tap.send(frame);
  world.settle();
  const seconds = secondsUntilAnswer(world, 40);
  expect(seconds).not.toBeNull();
  expect(seconds!).toBeLessThan(30);
});
