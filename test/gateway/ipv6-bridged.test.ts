/** IPv6 inside VXLAN, which is bridged: what the gateway says about it, and what it keeps out. */
import { describe, expect, it } from "vitest";
import { Outlook } from "../../src/insight/control-outlook.ts";
import { MTU_BRIDGED, MTU_FLOODED, PUNT } from "../../src/tables/counters.ts";
import { i32 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, parseMac } from "../../src/wire/ethernet.ts";
import { ipv6Frame, udpFrame } from "../dataplane/packets.ts";
import { article, siteYaml } from "./article.ts";
import { gw, sites } from "./sites.ts";
import type { Vm } from "./vm.ts";

describe("a packet that is too long for the overlay", () => {
  it("is answered with packet too big, and the shorter one that the VM then sends arrives (no black hole)", () => {
    const world = article();
    const [vm1, vm4] = [world.get("vm1"), world.get("vm4")];
    const packet = (payload: number) => ipv6Frame({ dst: vm4.mac, src: vm1.mac, trafficClass: 0, payload });
    // vm4's MAC is known where vm1 is, as after any answer.
    vm4.tap.send(ipv6Frame({ dst: vm1.mac, src: vm4.mac, trafficClass: 0 }));
    world.settle();
    world.clear();
    vm1.tap.send(packet(1452));
    world.settle();
    expect(vm4.received).toEqual([]);
    expect(vm1.received.map((frame) => [frame[ETH_BYTES + 40], i32(frame, ETH_BYTES + 44)])).toEqual([[2, 1450]]);
    vm1.tap.send(packet(1402));
    world.settle();
    expect(vm4.received).toEqual([packet(1402)]);
    expect(gw(world, 1).drops).toEqual({});
  });

  it("so it is where the destination is not known yet, and every tunnel is too small; the shorter one is flooded and arrives", () => {
    const world = article();
    const [vm1, vm4] = [world.get("vm1"), world.get("vm4")];
    const packet = (payload: number) => ipv6Frame({ dst: vm4.mac, src: vm1.mac, trafficClass: 0, payload });
    const answers = () => vm1.received.map((frame) => [frame[ETH_BYTES + 40], i32(frame, ETH_BYTES + 44)]);
    vm1.tap.send(packet(1452));
    world.settle();
    expect([vm4.received, answers()]).toEqual([[], [[2, 1450]]]);
    // What was lost is told too: no host got it.
    expect(gw(world, 1).drops).toEqual({ too_big: 1 });
    vm1.tap.send(packet(1402));
    world.settle();
    expect(vm4.received).toEqual([packet(1402)]);
    expect(answers()).toHaveLength(1);
  });

  it("and by IPv4, with Don't Fragment: fragmentation needed", () => {
    const world = article();
    const [vm1, vm4] = [world.get("vm1"), world.get("vm4")];
    const packet = (payload: number) => udpFrame({ dst: vm4.mac, src: vm1.mac, from: vm1.ip, to: vm4.ip, payload });
    vm1.tap.send(packet(1423));
    world.settle();
    expect(vm1.icmp.map(({ type, code, rest, from }) => [type, code, rest, from])).toEqual([[3, 4, 1450, "10.1.1.1"]]);
    expect(vm4.received).toEqual([]);
    vm1.tap.send(packet(1422));
    world.settle();
    expect(vm4.received).toEqual([packet(1422)]);
    expect(gw(world, 1).drops).toEqual({ too_big: 1 });
  });

  it("is foretold so by trace", () => {
    const { shown, agent } = gw(article(), 1).control;
    const outlook = new Outlook(shown.inventory, agent.neighbors, agent.ways);
    const said = (bytes: Uint8Array, arg2 = MTU_BRIDGED) =>
      outlook.of({ kind: PUNT.mtu, port: 1, vsi: 1, arg: 1450, arg2, bytes });
    const frame = ipv6Frame({ dst: 2, src: 4, trafficClass: 0, payload: 1452 });
    expect(said(frame)).toBe("ICMPv6 packet too big, MTU 1450, back where the packet came from");
    expect(said(frame, MTU_FLOODED)).toBe(
      "ICMPv6 packet too big, MTU 1450, back where the packet came from, twice a second at most",
    );
    frame.fill(0, ETH_BYTES + 8, ETH_BYTES + 24);
    expect(said(frame)).toMatch(/^dropped in silence/);
    expect(said(frame, MTU_FLOODED)).toBe("consumed: no answer is due");
  });
});

describe("a router advertisement from a VM", () => {
  const advertise = (vm: Vm): Uint8Array => {
    const frame = ipv6Frame({ dst: parseMac("33:33:00:00:00:01")!, src: vm.mac, trafficClass: 0, payload: 24 });
    frame.set([58, 255, 0xfe, 0x80], 20);
    frame[54] = 134;
    vm.tap.send(frame);
    return frame;
  };

  it("goes nowhere from a VXLAN that has its gateway, unless its AC may, and then reaches all sites", () => {
    const world = article();
    const [vm1, vm3, vm4] = [world.get("vm1"), world.get("vm3"), world.get("vm4")];
    advertise(vm1);
    world.settle();
    expect([vm3.received, vm4.received]).toEqual([[], []]);
    expect(gw(world, 1).drops).toEqual({ nd_ra_guard: 1 });
    gw(world, 1).reload(siteYaml("gw1").replace("{name: vm1,", "{name: vm1, routerAdvertisements: allow,"));
    world.clear();
    const frame = advertise(vm1);
    world.settle();
    expect(vm4.received).toEqual([frame]);
    advertise(vm3);
    world.settle();
    expect(gw(world, 1).drops).toEqual({ nd_ra_guard: 2 });
  });

  it("passes where the VSI has no gateway of ours, unless its AC says no", () => {
    const acs = [1, 2, 3].map(
      (n) => `{name: a${n}, vsi: v, tap: {device: a${n}}${n === 2 ? ", routerAdvertisements: deny" : ""}}`,
    );
    const world = sites(1, () => `vsis: [{name: v, vni: 10}]\nacs: [${acs.join(", ")}]`);
    for (const n of [1, 2, 3])
      world.vm(gw(world, 1), { name: `a${n}`, ip: `10.1.1.${n}`, mac: `02:00:00:00:00:a${n}` });
    world.clear();
    const frame = advertise(world.get("a1"));
    advertise(world.get("a2"));
    world.settle();
    expect(world.get("a3").received).toEqual([frame]);
    expect(gw(world, 1).drops).toEqual({ nd_ra_guard: 1 });
  });
});
