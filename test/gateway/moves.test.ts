/**
 * Gateway MACs that change under running traffic: by a reload, by a gateway or a Border that is replaced. Hosts, peers and
 * next hops follow within two seconds, and no frame to an old gateway MAC is flooded.
 */
import { describe, expect, it } from "vitest";
import { parseArp } from "../../src/wire/arp.ts";
import { formatMac, type Mac, readMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { type ArticleOptions, article, borderYaml, gatewayMac, siteYaml, tell } from "./article.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;

/** What is heard within `ms` of one ping from `from` to `to` every 100 ms, as "from ttl". */
function answered(world: World, from: string, to: string, ms: number): number {
  const vm = world.get(from);
  const before = vm.replies.length;
  for (let at = 0; at < ms; at += 100) {
    vm.ping(to);
    world.advance(100);
  }
  return vm.replies.length - before;
}

/** Frames with this destination MAC that left a gateway for a host or another gateway. */
const framesTo = (world: World, mac: Mac): number =>
  world.seen.filter(({ where, from, bytes }) => {
    if (where !== "underlay" && from === where) return false;
    return readMac(bytes, where === "underlay" ? 8 : 0) === mac;
  }).length;

const warm = (o: ArticleOptions = {}): World => {
  const world = article(o);
  for (const [from, to] of [
    ["vm1", "10.1.1.12"],
    ["vm1", "20.1.1.12"],
    ["vm4", "10.1.1.11"],
    ["vm5", "10.1.1.11"],
    ["vm1", "50.1.1.1"],
    ["ext", "20.1.1.12"],
  ] as const) {
    world.get(from).ping(to);
    world.advance(200);
  }
  world.advance(5000);
  for (const vm of ["vm1", "vm4", "vm5", "ext"]) expect(world.get(vm).replies.length, vm).toBeGreaterThan(0);
  world.clear();
  return world;
};

describe("a gateway MAC changes by a reload", () => {
  it("auto to shared: not one packet of any flow is lost, and none to the old MAC is flooded", () => {
    const world = warm();
    const old = gatewayMac(world, "gw1", "vsi-interface10");
    world.gateways.get("gw1")!.reload(siteYaml("gw1", { mac: "shared" }));
    world.clear();
    expect(answered(world, "vm1", "10.1.1.12", 2000)).toBe(20);
    expect(answered(world, "vm1", "20.1.1.12", 1000)).toBe(10);
    expect(answered(world, "vm4", "10.1.1.11", 1000)).toBe(10);
    expect(answered(world, "ext", "10.1.1.11", 1000)).toBe(10);
    expect(framesTo(world, old)).toBe(0);
    expect(Object.keys(world.gateways.get("gw1")!.drops)).toEqual([]);
  });

  it("its hosts hear the new MAC for the gateway and for every host it stands for; its peers re-point their entries", () => {
    const world = warm();
    const [vm1, gw1, gw2] = [world.get("vm1"), world.gateways.get("gw1")!, world.gateways.get("gw2")!];
    gw1.reload(siteYaml("gw1", { mac: "shared" }));
    world.advance(2000);
    const mac = gatewayMac(world, "gw1", "vsi-interface10");
    expect(formatMac(vm1.arp.get(ip("10.1.1.1"))!)).toBe(formatMac(mac));
    expect(formatMac(vm1.arp.get(ip("10.1.1.12"))!)).toBe(formatMac(mac));
    const at = gw2.control.agent.neighborViews().find((each) => each.ip === "10.1.1.11");
    expect(at).toMatchObject({ mac: formatMac(mac), via: { kind: "tunnel", name: "gw1" } });
    const border = world.gateways.get("border")!.control.agent.neighborViews();
    expect(border.filter((each) => each.ip === "10.1.1.11" && each.mac !== formatMac(mac))).toEqual([]);
  });

  it("frames to the old MAC are routed for twenty minutes; a host that asks it by unicast hears the new one", () => {
    const world = warm();
    const [vm1, gw1] = [world.get("vm1"), world.gateways.get("gw1")!];
    const old = gatewayMac(world, "gw1", "vsi-interface10");
    gw1.reload(siteYaml("gw1", { mac: "shared" }));
    world.advance(19 * 60_000, 1000);
    vm1.arp.set(ip("20.1.1.12"), old);
    vm1.arp.set(ip("10.1.1.1"), old);
    world.clear();
    vm1.ping("20.1.1.12");
    world.advance(1000);
    expect(vm1.replies).toEqual(["20.1.1.12 ttl=62"]);
    vm1.sendArp({ op: 1, ethDst: old, targetIp: ip("10.1.1.12") });
    world.settle();
    expect(vm1.arp.get(ip("10.1.1.12"))).toBe(gatewayMac(world, "gw1", "vsi-interface10"));
    const knows = () => gw1.control.agent.macs.list().some((each) => each.mac === formatMac(old));
    expect(knows()).toBe(true);
    world.advance(120_000, 1000);
    expect(knows()).toBe(false);
  });

  it("there and back: the MAC that is in force again is not taken away when its time as a former one ends", () => {
    const world = warm();
    const gw1 = world.gateways.get("gw1")!;
    for (const mac of ["shared", "auto", "shared", "auto"]) {
      gw1.reload(siteYaml("gw1", { mac }));
      world.advance(1000);
    }
    world.advance(30 * 60_000, 1000);
    world.clear();
    const rows = gw1.control.agent.macs.list().filter((each) => each.vsi === "vsi10" && each.via === null);
    expect(rows.map((each) => each.mac)).toEqual([formatMac(gatewayMac(world, "gw1", "vsi-interface10"))]);
    expect(answered(world, "vm1", "20.1.1.12", 3000)).toBeGreaterThan(27);
  });
});

describe("a gateway is replaced under another node name", () => {
  it("its peers, the Border and its own hosts follow within two seconds", () => {
    const world = warm();
    const old = gatewayMac(world, "gw2", "vsi-interface10");
    const yaml = siteYaml("gw2", { node: "gw2b" });
    world.replace("gw2", yaml, ["vm4", "vm5", "vm6"]);
    expect(gatewayMac(world, "gw2b", "vsi-interface10")).not.toBe(old);
    world.advance(1500);
    world.clear();
    for (const [from, to] of [
      ["vm1", "10.1.1.12"],
      ["vm1", "20.1.1.12"],
      ["vm4", "10.1.1.11"],
      ["vm5", "10.1.1.11"],
      ["ext", "20.1.1.12"],
    ] as const) {
      world.get(from).ping(to);
      world.advance(100);
      expect(world.get(from).replies, `${from} to ${to}`).toHaveLength(1);
      world.clear();
    }
    expect(framesTo(world, old)).toBe(0);
  });

  it("so they do when the tunnel was down meanwhile: what is suspended comes back with the new MAC", () => {
    const world = warm();
    const { topology, inventory } = world.gateways.get("gw1")!.control.shown;
    const tunnel = inventory.tunnel("gw2")!;
    topology.setTunnelUp(tunnel, false);
    world.advance(3000);
    world.replace("gw2", siteYaml("gw2", { node: "gw2b" }), ["vm4", "vm5", "vm6"]);
    world.advance(500);
    topology.setTunnelUp(tunnel, true);
    world.advance(1500);
    world.clear();
    world.get("vm1").ping("10.1.1.12");
    world.get("vm4").ping("10.1.1.11");
    world.advance(100);
    expect(world.get("vm1").replies).toHaveLength(1);
    expect(world.get("vm4").replies).toHaveLength(1);
  });

  it("an AC that comes up hears the gateway alone, not its hosts: what arrives may be one of them", () => {
    const world = warm();
    const gw2 = world.gateways.get("gw2")!;
    // gw2 knows vm1's address behind gw1, and vm1 moves to vm4's AC: it listens and has not spoken yet.
    const { topology, inventory } = gw2.control.shown;
    const ac = inventory.ac("vm4")!;
    topology.setAcUp(ac, false);
    world.advance(1000);
    const heard: Uint8Array[] = [];
    const tap = gw2.taps.get("vm4")!;
    tap.receive = (frame) => heard.push(frame.slice());
    world.clear();
    topology.setAcUp(ac, true);
    world.advance(3000);
    const senders = heard.map((frame) => parseArp(frame, 0, frame.length)?.senderIp);
    expect(senders).toContain(ip("10.1.1.1"));
    expect(senders).not.toContain(ip("10.1.1.11"));
  });

  it("the announcements are few, and end", () => {
    const world = warm();
    world.replace("gw2", siteYaml("gw2", { node: "gw2b" }), ["vm4", "vm5", "vm6"]);
    world.advance(5000);
    const frames = tell(world).filter((each) => each.includes(" vni ") && /,(\d+\.1\.1\.\d+) \/ 0,\1$/.test(each));
    // Per VXLAN: two rounds of the new gateway to two peers, one answer of its peer gateway, and that one's own hosts.
    expect(frames.length).toBeLessThanOrEqual(3 * (4 + 2 + 2));
    world.clear();
    world.advance(60_000, 1000);
    expect(tell(world).filter((each) => / (req|rep) /.test(each) && each.includes("10.1.1.1 / 0,10.1.1.1"))).toEqual(
      [],
    );
  });

  it("what it says into tunnels has its own MACs, and no peer answers or passes it on into a tunnel (N2, N7)", () => {
    const world = warm();
    world.replace("gw2", siteYaml("gw2", { node: "gw2b" }), ["vm4", "vm5", "vm6"]);
    world.advance(3000);
    const arps = tell(world).filter((each) => each.includes(" vni ") && / (req|rep) /.test(each));
    expect(arps.filter((each) => /M\d/.test(each))).toEqual([]);
    for (const gateway of world.gateways.values())
      expect(gateway.events.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  });
});

describe("the Border is replaced under another node name", () => {
  for (const outside of ["static", "policy"] as const)
    it(`the ${outside} next hops that lead to it heal within two seconds, both ways`, () => {
      const world = warm({ outside });
      world.replace("border", borderYaml({ node: "border-b" }), ["ext"]);
      world.advance(1500);
      world.clear();
      world.get("vm1").ping("50.1.1.1");
      world.advance(100);
      expect(world.get("vm1").replies).toEqual(["50.1.1.1 ttl=62"]);
      world.get("ext").ping("20.1.1.12");
      world.advance(1500);
      expect(world.get("ext").replies).toHaveLength(1);
    });
});
