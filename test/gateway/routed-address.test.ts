/** A VM with an address on its loopback that the gateway routes to it: it asks for its gateway with that address as sender. */
import { beforeEach, describe, expect, it } from "vitest";
import { Tracer } from "../../src/insight/trace.ts";
import { ARP_REPLY, ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame, udpFrame } from "../dataplane/packets.ts";
import { toHex } from "../wire/hex.ts";
import { gw, sites } from "./sites.ts";
import type { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
const LO = "5.5.5.5";

const site = (mode: string) => (n: number) =>
  `
vsis: [{name: vsi10, vni: 10${mode}}, {name: vsi20, vni: 20}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}, {name: if20, vsi: vsi20, address: 20.1.1.1/24}]
routes: [{prefix: ${LO}/32, nextHop: 10.1.1.11}, {prefix: 6.6.6.6/32, nextHop: 20.1.1.9}, {prefix: 0.0.0.0/0, nextHop: 10.1.1.2}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}, {name: b${n}, vsi: vsi10, tap: {device: b${n}}}]`;

function bed(mode = ""): World {
  const world = sites(2, site(mode));
  for (const [n, name, host] of [
    [1, "a1", 11],
    [1, "b1", 21],
    [2, "a2", 12],
  ] as const)
    world.vm(gw(world, n), { name, ip: `10.1.1.${host}`, mac: `02:00:00:00:00:${host}`, gateway: "10.1.1.1" });
  world.settle();
  world.clear();
  return world;
}

const asks = (vm: Vm, sender: string, target: string): void =>
  vm.sendArp({ op: ARP_REQUEST, senderIp: ip(sender), targetIp: ip(target) });

const answers = (vm: Vm): number =>
  vm.received.filter((frame) => parseArp(frame, 0, frame.length)?.op === ARP_REPLY).length;

describe("ARP with a sender outside the subnet", () => {
  let world: World;
  let vm: Vm;
  beforeEach(() => {
    world = bed();
    vm = world.get("a1");
  });

  for (const mode of ["", ", arp: flood", ", arp: suppress"])
    it(`whose route leaves by this VSI-interface${mode}: the gateway answers, and learns nothing`, () => {
      world = bed(mode);
      vm = world.get("a1");
      asks(vm, LO, "10.1.1.1");
      world.settle();
      expect(answers(vm)).toBe(1);
      expect(gw(world, 1).drops.arp_not_local).toBeUndefined();
      expect(
        gw(world, 1)
          .control.agent.neighborViews()
          .filter((each) => each.ip === LO),
      ).toEqual([]);
    });

  it("asks for a host of another site: answered by proxy, and the other site is asked with our own address", () => {
    asks(vm, LO, "10.1.1.12");
    world.settle();
    expect(answers(vm)).toBe(1);
    expect(
      gw(world, 1)
        .control.agent.neighborViews()
        .filter((each) => each.ip === "10.1.1.12"),
    ).toMatchObject([{ state: "reachable", via: { name: "gw2" } }]);
    expect(gw(world, 2).drops).toEqual({});
  });

  it("and packets go both ways", () => {
    world.get("b1").sendPacket(udpFrame({ dst: 0, src: 0, from: ip("10.1.1.21"), to: ip(LO) }).slice(14));
    world.settle();
    const got = vm.received.filter((frame) => frame[23] === 17);
    expect(got).toHaveLength(1);
  });

  it("without such a route, or with one by another VSI-interface, or a default route alone: dropped as before, and nothing is learned", () => {
    asks(vm, "7.7.7.7", "10.1.1.1");
    asks(vm, "6.6.6.6", "10.1.1.1");
    asks(vm, "20.1.1.5", "10.1.1.1");
    asks(vm, "20.1.1.1", "10.1.1.1");
    asks(vm, LO, "99.1.1.1");
    world.settle();
    expect(answers(vm)).toBe(0);
    expect(gw(world, 1).drops.arp_not_local).toBe(5);
  });

  it("an announcement, a reply, or a question from a tunnel with it is dropped", () => {
    asks(vm, LO, LO);
    vm.sendArp({ op: ARP_REPLY, senderIp: ip(LO), targetIp: ip("10.1.1.1") });
    world.settle();
    expect(gw(world, 1).drops.arp_not_local).toBe(2);
  });

  it("trace says the same", () => {
    const { shown, injector } = gw(world, 1).control;
    const next = (sender: string) => {
      const said = { senderMac: vm.mac, senderIp: ip(sender), targetMac: 0, targetIp: ip("10.1.1.1") };
      const hex = toHex(arpFrame({ ethDst: BROADCAST, ethSrc: vm.mac, op: ARP_REQUEST, ...said }));
      const trace = new Tracer(shown, injector).trace({ ac: "a1", hex, inject: false } as never, () => undefined);
      return "message" in trace ? trace.message : trace.fate.next;
    };
    expect(next(LO)).toContain("if10 answers with its gateway MAC");
    expect(next("7.7.7.7")).toContain("dropped: ARP sender, or the address it asks for, outside the subnets");
  });
});
