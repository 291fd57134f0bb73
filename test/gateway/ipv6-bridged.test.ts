/** IPv6 inside VXLAN, which is bridged: what the gateway says about it, and what it keeps out. */
import { describe, expect, it } from "vitest";
import { Outlook } from "../../src/insight/control-outlook.ts";
import { PUNT } from "../../src/tables/counters.ts";
import { i32 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { ipv6Frame } from "../dataplane/packets.ts";
import { article } from "./article.ts";
import { gw } from "./sites.ts";

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

  it("is foretold so by trace", () => {
    const { shown, agent } = gw(article(), 1).control;
    const outlook = new Outlook(shown.inventory, agent.neighbors, agent.ways);
    const said = (bytes: Uint8Array) => outlook.of({ kind: PUNT.mtu, port: 1, vsi: 1, arg: 1450, arg2: 0, bytes });
    const frame = ipv6Frame({ dst: 2, src: 4, trafficClass: 0, payload: 1452 });
    expect(said(frame)).toBe("ICMPv6 packet too big, MTU 1450, back where the packet came from");
    frame.fill(0, ETH_BYTES + 8, ETH_BYTES + 24);
    expect(said(frame)).toMatch(/^dropped in silence/);
  });
});
