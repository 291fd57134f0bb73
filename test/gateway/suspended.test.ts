/** A port that goes down and comes back: what is behind it is out of use at once, and not forgotten for ten seconds. */
import { describe, expect, it } from "vitest";
import { SUSPENDED_MS } from "../../src/control/agent.ts";
import { parseArp } from "../../src/wire/arp.ts";
import { macOf, readMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { article } from "./article.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
/** A host of VXLAN 10 behind gw2 that is only bridged. */
const FAR = macOf(0x0200, 0x00_00_99_01);

const control = (world: World) => world.gateways.get("gw1")!.control;

/** gw1 knows vm4 (10.1.1.12) behind gw2 as a neighbour, and FAR as a MAC. */
function warm(): World {
  const world = article();
  world.get("vm2").ping("10.1.1.12");
  world.settle();
  expect(world.get("vm2").replies).toHaveLength(1);
  world
    .get("vm4")
    .tap.send(udpFrame({ dst: world.get("vm1").mac, src: FAR, from: ip("10.1.1.99"), to: ip("10.1.1.11") }));
  world.settle();
  world.clear();
  return world;
}

function tunnel(world: World, up: boolean): void {
  const { topology, inventory } = control(world).shown;
  topology.setTunnelUp(inventory.tunnel("gw2")!, up);
  world.settle();
}

const state = (world: World) =>
  control(world)
    .agent.neighborViews()
    .find((each) => each.ip === "10.1.1.12" && each.state !== "gateway")?.state;
const macs = (world: World) =>
  control(world)
    .agent.macs.list()
    .filter(({ via, origin }) => via?.name === "gw2" && origin === "learned").length;
/** Datagrams from gw1 to `to` since the last `clear`. */
const sent = (world: World, to: string) =>
  world.seen.filter((each) => each.where === "underlay" && each.from === "192.0.2.1" && each.to === to);
const isRequest = ({ bytes }: { bytes: Uint8Array }) => parseArp(bytes, 8, bytes.length)?.op === 1;

describe("a tunnel that goes down", () => {
  it("takes its MACs and neighbours out of use at once: a frame to such a MAC is flooded where somebody may be", () => {
    const world = warm();
    expect(macs(world)).toBe(1);
    tunnel(world, false);
    expect([macs(world), state(world)]).toEqual([0, "suspended"]);
    const vm1 = world.get("vm1");
    vm1.tap.send(udpFrame({ dst: FAR, src: vm1.mac, from: vm1.ip, to: ip("10.1.1.99") }));
    world.settle();
    expect([sent(world, "192.0.2.2").length, sent(world, "192.0.2.3").length]).toEqual([0, 1]);
  });

  it("up within ten seconds: all of it counts again, nothing is flooded for it, and the host is asked where it was", () => {
    const world = warm();
    tunnel(world, false);
    world.advance(SUSPENDED_MS - 100, 100);
    world.clear();
    tunnel(world, true);
    expect(macs(world)).toBe(1);
    world.get("vm2").ping("10.1.1.12");
    world.settle();
    expect(world.get("vm2").replies).toHaveLength(1);
    world.advance(1000);
    const asked = sent(world, "192.0.2.2")
      .filter(isRequest)
      .map(({ bytes }) => [readMac(bytes, 8) % 2 ** 41 < 2 ** 40, parseArp(bytes, 8, bytes.length)!.targetIp]);
    expect(asked).toContainEqual([true, ip("10.1.1.12")]);
    expect(sent(world, "192.0.2.3").filter(isRequest)).toEqual([]);
    expect(state(world)).toBe("reachable");
    const vm1 = world.get("vm1");
    world.clear();
    vm1.tap.send(udpFrame({ dst: FAR, src: vm1.mac, from: vm1.ip, to: ip("10.1.1.99") }));
    world.settle();
    expect([sent(world, "192.0.2.2").length, sent(world, "192.0.2.3").length]).toEqual([1, 0]);
  });

  it("up again after that: it was forgotten", () => {
    const world = warm();
    tunnel(world, false);
    world.advance(SUSPENDED_MS + 100, 100);
    expect(state(world)).toBeUndefined();
    tunnel(world, true);
    expect([macs(world), state(world)]).toEqual([0, undefined]);
  });

  it("each fall begins the ten seconds anew", () => {
    const world = warm();
    for (let fall = 0; fall < 4; fall++) {
      tunnel(world, false);
      world.advance(7000, 500);
      tunnel(world, true);
      world.advance(1500);
    }
    expect([macs(world), state(world)]).toEqual([1, "reachable"]);
  });

  it("its host speaks elsewhere meanwhile: it is there, and does not come back with the tunnel", () => {
    const world = warm();
    tunnel(world, false);
    const vm1 = world.get("vm1");
    vm1.tap.send(udpFrame({ dst: world.get("vm2").mac, src: FAR, from: ip("10.1.1.99"), to: ip("10.1.1.11") }));
    world.settle();
    tunnel(world, true);
    const where = control(world)
      .agent.macs.list()
      .filter(({ mac }) => mac === "02:00:00:00:99:01");
    expect(where.map(({ via }) => via?.name)).toEqual(["vm1"]);
  });

  it("a next hop behind it leaves its set at once, and is back in it with the tunnel", () => {
    const world = warm();
    const { agent, shown } = control(world);
    const adjacency = agent.neighbors.hold(shown.inventory.interface("vsi-interface10")!, ip("10.1.1.12"));
    const alive = [agent.neighbors.isAlive(adjacency)];
    for (const up of [false, true]) {
      tunnel(world, up);
      alive.push(agent.neighbors.isAlive(adjacency));
    }
    expect(alive).toEqual([true, false, true]);
  });
});
