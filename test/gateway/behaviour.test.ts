import { describe, expect, it } from "vitest";
import { ARP_REPLY, ARP_REQUEST } from "../../src/wire/arp.ts";
import { BROADCAST, formatMac } from "../../src/wire/ethernet.ts";
import { ICMP_UNREACHABLE } from "../../src/wire/icmp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { article, gatewayMac, siteYaml, tell } from "./article.ts";
import { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;

describe("ARP and neighbours over whole gateways", () => {
  it("resolves sixteen packets to one target in order, none lost, one question (§3.10)", () => {
    const world = article();
    world.get("vm1").ask("10.1.1.1");
    world.settle();
    world.clear();
    for (let i = 1; i <= 16; i++) world.get("vm1").ping("20.1.1.12", { sequence: i });
    world.settle();
    expect(world.get("vm1").replies).toHaveLength(16);
    const order = world
      .get("vm5")
      .received.filter((f) => f[23] === 1)
      .map((f) => f[41]);
    expect(order).toEqual([...Array(16).keys()].map((i) => i + 1));
    expect(tell(world).filter((f) => f.startsWith("gw1>gw2 vni 20") && f.includes(" req "))).toHaveLength(1);
  });

  it("a thousand packets to a dead address: queue bounded, at most four questions in 3 s, one ICMP a second", () => {
    const world = article();
    world.get("vm1").ask("10.1.1.1");
    world.settle();
    world.clear();
    for (let i = 1; i <= 1000; i++) world.get("vm1").ping("20.1.1.200", { sequence: i });
    world.advance(3000);
    const asked = tell(world).filter((f) => f.startsWith("gw1>gw2 vni 20") && f.includes(" req "));
    expect(asked.length).toBeLessThanOrEqual(4);
    world.advance(2000);
    const errors = world.get("vm1").icmp.filter((m) => m.type === ICMP_UNREACHABLE && m.code === 1);
    expect(errors.length).toBeGreaterThan(0);
    const drops = world.gateways.get("gw1")!.drops;
    expect(
      drops.unresolved_queue_full! + (drops.punt_limited ?? 0) + drops.unresolved_timeout! + (drops.icmp_limited ?? 0),
    ).toBe(1000);
    expect(world.gateways.get("gw1")!.control.agent.ledger.held).toBe(0);
  });

  it("a host on an AC cannot take the gateway's address, nor a frame its MAC (§3.7)", () => {
    const world = article();
    const [vm1, gw1] = [world.get("vm1"), world.gateways.get("gw1")!];
    vm1.sendArp({ op: ARP_REPLY, senderIp: ip("10.1.1.1"), targetIp: ip("10.1.1.1") });
    world.settle();
    expect(gw1.drops).toEqual({ arp_gw_spoof: 1 });
    world.get("vm4").ask("10.1.1.1");
    world.settle();
    expect(formatMac(world.get("vm4").arp.get(ip("10.1.1.1"))!)).toBe(
      formatMac(gatewayMac(world, "gw2", "vsi-interface10")),
    );
    const mac = gatewayMac(world, "gw1", "vsi-interface10");
    vm1.tap.send(udpFrame({ dst: BROADCAST, src: mac, from: vm1.ip, to: -1 }));
    world.settle();
    expect(gw1.drops.own_mac_local).toBe(1);
  });

  it("refuses ARP that no honest host sends, by name (A07)", () => {
    const world = article();
    const [vm1, gw1] = [world.get("vm1"), world.gateways.get("gw1")!];
    const gateway = ip("10.1.1.1");
    vm1.sendArp({ op: ARP_REQUEST, senderIp: ip("9.9.9.9"), targetIp: gateway });
    vm1.sendArp({ op: ARP_REQUEST, senderMac: 0x020000000042, targetIp: gateway });
    vm1.sendArp({ op: ARP_REQUEST, senderIp: ip("127.0.0.1"), targetIp: gateway });
    vm1.sendArp({ op: ARP_REQUEST, senderIp: ip("224.0.0.1"), targetIp: gateway });
    vm1.sendArp({ op: ARP_REQUEST, senderIp: -1, targetIp: gateway });
    vm1.sendArp({ op: ARP_REPLY, senderIp: 0, targetIp: gateway });
    const short = new Uint8Array(30);
    short.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 1, 0x11, 8, 6]);
    vm1.tap.send(short);
    world.settle();
    expect(tell(world).filter((f) => f.startsWith("gw1>"))).toEqual([]);
    expect(gw1.drops).toEqual({ arp_not_local: 1, arp_src_mismatch: 1, arp_martian: 4, arp_malformed: 1 });
    expect(gw1.control.agent.neighborViews().filter(({ state }) => state !== "gateway")).toEqual([]);
  });

  it("a VM that moves to the other site is reached there within a second of its announcement (§3.11)", () => {
    const world = article();
    world.get("vm5").ping("10.1.1.11");
    world.get("vm1").ping("20.1.1.12");
    world.advance(1000);
    expect(world.get("vm1").replies).toHaveLength(1);
    // vm1's address and MAC appear behind gw2: it announces itself there, the old one is gone.
    const gw2 = world.gateways.get("gw2")!;
    world.get("vm1").alive = false;
    const moved = world.vm(gw2, {
      name: "moved",
      ac: "vm4",
      ip: "10.1.1.11",
      mac: "02:00:00:00:01:11",
      gateway: "10.1.1.1",
    });
    moved.sendArp({ op: ARP_REQUEST, targetIp: moved.ip });
    world.settle();
    world.advance(1000);
    world.clear();
    world.get("vm2").ping("10.1.1.11");
    world.advance(1500);
    expect(world.get("vm2").replies).toEqual(["10.1.1.11 ttl=62"]);
    expect(moved.icmp).toHaveLength(1);
  });

  it("a VM that kept the old gateway's MAC after a move is still routed (D1)", () => {
    const world = article();
    world.get("vm1").ping("20.1.1.12"); // gw1 asks in VXLAN 20, so gw2 knows G1.20
    world.settle();
    const vm5 = world.get("vm5");
    vm5.arp.set(ip("20.1.1.1"), gatewayMac(world, "gw1", "vsi-interface20"));
    world.clear();
    vm5.ping("30.1.1.12");
    world.settle();
    expect(vm5.replies).toEqual(["30.1.1.12 ttl=63"]);
  });

  it("a silent living host survives ageing by unicast probes; a dead one goes (A10)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    for (let i = 0; i < 26; i++) {
      world.advance(60_000, 1000);
      world.get("vm1").ping("10.1.1.12");
    }
    world.settle();
    expect(world.get("vm1").replies).toHaveLength(27);
    world.get("vm4").alive = false;
    world.clear();
    for (let i = 0; i < 26; i++) {
      world.advance(60_000, 1000);
      world.get("vm1").ping("10.1.1.12");
    }
    world.advance(5000);
    expect(world.get("vm1").icmp.some((m) => m.type === ICMP_UNREACHABLE && m.code === 1)).toBe(true);
  });

  it("pings of both gateway addresses are answered by the nearest gateway, never over the tunnel (R03)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.1");
    world.get("vm1").ping("20.1.1.1");
    world.settle();
    expect(world.get("vm1").replies).toEqual(["10.1.1.1 ttl=64", "20.1.1.1 ttl=64"]);
    expect(tell(world).filter((f) => f.includes(" vni "))).toEqual([]);
  });

  it("traceroute shows the gateways and then the target (R03)", () => {
    const world = article();
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    world.clear();
    for (const ttl of [1, 2, 3]) world.get("vm1").ping("20.1.1.12", { ttl });
    world.settle();
    expect(world.get("vm1").icmp.map((m) => `${m.type} ${m.from}`)).toEqual([
      "11 10.1.1.1",
      "11 20.1.1.1",
      "0 20.1.1.12",
    ]);
  });

  it("a lossy, duplicating, reordering underlay only costs time", () => {
    const world = article({}, 99);
    Object.assign(world.net.faults, { loss: 0.2, duplicate: 0.1, reorder: 0.2 });
    for (let i = 0; i < 40; i++) {
      world.get("vm1").ping("20.1.1.12", { sequence: i });
      world.get("vm4").ping("30.1.1.11", { sequence: i });
      world.advance(1000, 100);
    }
    Object.assign(world.net.faults, { loss: 0, duplicate: 0, reorder: 0 });
    world.advance(3000);
    world.clear();
    world.get("vm1").ping("20.1.1.12");
    world.get("vm4").ping("30.1.1.11");
    world.advance(2000);
    expect(world.get("vm1").replies).toEqual(["20.1.1.12 ttl=62"]);
    expect(world.get("vm4").replies).toEqual(["30.1.1.11 ttl=62"]);
  });
});

describe("the centralised scheme (behaviour.md §2.5)", () => {
  const l2 = (
    node: string,
    address: string,
    peers: [string, string][],
    acs: [string, string][],
  ): string => `node: ${node}
underlay: {address: ${address}, mtu: 1500}
tunnels: [${peers.map(([name, remote]) => `{name: ${name}, remote: ${remote}}`).join(", ")}]
vsis: [{name: vsi10, vni: 10, arp: flood}, {name: vsi20, vni: 20, arp: flood}]
acs: [${acs.map(([name, vsi]) => `{name: ${name}, vsi: ${vsi}, tap: {device: ${name}}}`).join(", ")}]
control: {socket: /run/${node}.sock}
`;
  const central = (): World => {
    const world = new World(3);
    for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.9"]) world.net.inbox(address);
    const gw1 = world.gateway(
      l2(
        "gw1",
        "192.0.2.1",
        [
          ["gw2", "192.0.2.2"],
          ["central", "192.0.2.9"],
        ],
        [
          ["vm1", "vsi10"],
          ["vm2", "vsi20"],
        ],
      ),
    );
    const gw2 = world.gateway(
      l2(
        "gw2",
        "192.0.2.2",
        [
          ["gw1", "192.0.2.1"],
          ["central", "192.0.2.9"],
        ],
        [
          ["vm4", "vsi10"],
          ["vm5", "vsi20"],
        ],
      ),
    );
    world.gateway(`node: central
underlay: {address: 192.0.2.9, mtu: 1500}
tunnels: [{name: gw1, remote: 192.0.2.1}, {name: gw2, remote: 192.0.2.2}]
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24, distributed: false}
  - {name: vsi-interface20, vsi: vsi20, address: 20.1.1.1/24, distributed: false}
control: {socket: /run/central.sock}
`);
    world.vm(gw1, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
    world.vm(gw1, { name: "vm2", ip: "20.1.1.11", mac: "02:00:00:00:02:11", gateway: "20.1.1.1" });
    world.vm(gw2, { name: "vm4", ip: "10.1.1.12", mac: "02:00:00:00:04:12", gateway: "10.1.1.1" });
    world.vm(gw2, { name: "vm5", ip: "20.1.1.12", mac: "02:00:00:00:05:12", gateway: "20.1.1.1" });
    world.settle();
    world.clear();
    return world;
  };

  it("the VM's own ARP crosses the tunnel and the central gateway answers (C01)", () => {
    const world = central();
    world.get("vm1").ask("10.1.1.1");
    world.settle();
    expect(world.get("vm1").arp.get(ip("10.1.1.1"))).toBe(gatewayMac(world, "central", "vsi-interface10"));
    expect(world.seen.filter((s) => s.from === "192.0.2.1").length).toBeGreaterThan(0);
  });

  it("between VXLANs it hairpins, one TTL less, even for two VMs of one site (C02)", () => {
    const world = central();
    world.get("vm1").ping("20.1.1.12");
    world.get("vm1").ping("20.1.1.11");
    world.advance(2000);
    expect(world.get("vm1").replies.toSorted()).toEqual(["20.1.1.11 ttl=63", "20.1.1.12 ttl=63"]);
  });

  it("within a VXLAN it stays layer 2 between the sites, TTL unchanged (C03)", () => {
    const world = central();
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    expect(world.get("vm1").replies).toEqual(["10.1.1.12 ttl=64"]);
    world.clear();
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    expect(
      world.seen.filter((s) => s.where === "underlay" && (s.to === "192.0.2.9" || s.from === "192.0.2.9")),
    ).toEqual([]);
  });
});

describe("a running gateway changes", () => {
  it("an unchanged configuration changes nothing, and learned entries stay", () => {
    const world = article();
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    const gw1 = world.gateways.get("gw1")!;
    const before = gw1.control.agent.neighborViews();
    gw1.reload(siteYaml("gw1"));
    expect(gw1.control.agent.neighborViews()).toEqual(before);
    world.clear();
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    expect(tell(world).filter((f) => f.includes(" req "))).toEqual([]);
    expect(world.get("vm1").replies).toHaveLength(1);
  });
});
