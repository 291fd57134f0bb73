/** The topology: what the tables hold after a configuration, and after the next one. */
import { describe, expect, test } from "vitest";
import type { AcConfig, Config } from "../../src/control/plan.ts";
import { routeValue } from "../../src/control/routes/routes.ts";
import {
  ROUTE_ADJACENCY,
  ROUTE_BROADCAST,
  ROUTE_GLEAN,
  ROUTE_LOCAL,
  ROUTE_UNDERLAY,
  routeKey,
} from "../../src/tables/fib.ts";
import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../../src/tables/mac.ts";
import { SET_DSCP, SET_OVERHEAD, SET_PUNT_AC, SET_STRICT_RESERVED, SET_VXLAN_PORT } from "../../src/tables/tables.ts";
import {
  IF_DISTRIBUTED,
  IF_MSS_CLAMP,
  IO_PEER,
  IO_TAP,
  KIND_AC,
  KIND_TUNNEL,
  PORT_ANTI_SPOOF,
  PORT_RA_GUARD,
  PORT_UP,
  VSI_FLOOD_BROADCAST,
  VSI_FLOOD_MULTICAST,
  VSI_FLOOD_UNKNOWN,
  VSI_KEEP_INNER_VLAN,
  VSI_LOCAL_PROXY,
} from "../../src/tables/vsi.ts";
import { formatMac } from "../../src/wire/ethernet.ts";
import { maskOf, parseIpv4 } from "../../src/wire/ipv4.ts";
import { Bed, plan, SIZES } from "./topology-bed.ts";

const ARTICLE = `
tunnels:
  - {name: gw2, remote: 192.0.2.2}
  - {name: border, remote: 192.0.2.3}
vsis:
  - {name: vsi10, vni: 10}
  - {name: vsi20, vni: 20, tunnels: [gw2]}
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24, mac: shared}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24, distributed: false, mssClamp: false}
acs:
  - {name: vm1, vsi: vsi10, tap: {device: tap1}}
  - {name: vm2, vsi: vsi20, tap: {device: tap2}}
`;

const routeOf = (bed: Bed, vrf: number, text: string, length: number) =>
  bed.tables.fib.routes.get(parseIpv4(text)! & maskOf(length), routeKey(vrf, length));

describe("the article's gateway", () => {
  const bed = new Bed();
  bed.apply(plan(ARTICLE));
  const { ports, vsis, interfaces, settings } = bed.tables;

  test("an AC: its row, its circuit, its TAP", () => {
    const { row, io, mtu } = bed.ac("vm1");
    expect([ports.kind[row], ports.io[row], ports.vlan[row]]).toEqual([KIND_AC, io, 0]);
    expect(ports.vsi[row]).toBe(bed.vsi("vsi10").row);
    expect(ports.flags[row]).toBe(PORT_UP | PORT_RA_GUARD);
    expect([ports.mtu[row], mtu]).toEqual([1550, 1550]);
    expect([ports.ioKind[io], ports.ofIo[io]]).toEqual([IO_TAP, row]);
    expect(bed.opener.open.get("tap1")).toBe(1550);
    expect(bed.commands.attached.get(io)).toMatch(/^tap \d+,\d+$/);
  });

  test("a tunnel: its row, its peer, the VNIs on it", () => {
    const { row, io } = bed.tunnel("gw2");
    expect([ports.kind[row], ports.vsi[row], ports.mtu[row], ports.flags[row]]).toEqual([
      KIND_TUNNEL,
      0,
      1550,
      PORT_UP,
    ]);
    expect([ports.ioKind[io], ports.ofIo[io]]).toEqual([IO_PEER, row]);
    expect(bed.commands.attached.get(io)).toBe("peer 192.0.2.2:4789");
    expect([bed.vniOf(10, "gw2"), bed.vniOf(20, "gw2")]).toEqual(["vsi10", "vsi20"]);
    expect([bed.vniOf(10, "border"), bed.vniOf(20, "border")]).toEqual(["vsi10", null]);
  });

  test("a VSI: VNI, flags, VSI-interface, flood list", () => {
    const { row } = bed.vsi("vsi10");
    expect(vsis.vni[row]).toBe(10);
    expect(vsis.flags[row]).toBe(VSI_LOCAL_PROXY | VSI_FLOOD_BROADCAST | VSI_FLOOD_UNKNOWN | VSI_FLOOD_MULTICAST);
    expect(vsis.interface[row]).toBe(bed.interface("if10").row);
    expect(bed.flood("vsi10")).toEqual([["vm1"], ["gw2", "border"]]);
    expect(bed.flood("vsi20")).toEqual([["vm2"], ["gw2"]]);
  });

  test("a VSI-interface: MAC, MTU, flags, and its MAC in the MAC table", () => {
    const { row, mac } = bed.interface("if10");
    expect(formatMac(mac)).toBe("02:00:5e:00:00:0a");
    expect([interfaces.macHi[row], interfaces.macLo[row]]).toEqual([0x0200, 0x5e00000a]);
    expect(interfaces.mtu[row]).toBe(1550);
    expect(interfaces.flags[row]).toBe(IF_DISTRIBUTED | IF_MSS_CLAMP);
    expect(interfaces.flags[bed.interface("if20").row]).toBe(0);
    expect(bed.learners.pinned.get("vsi10 02:00:5e:00:00:0a")).toBe(`- ${MAC_GATEWAY.toString(16)}`);
  });

  test("routes: own, connected, both ends of the subnet, the VTEPs", () => {
    const { row, vrf } = bed.interface("if10");
    expect(routeOf(bed, vrf, "10.1.1.1", 32)).toBe(routeValue(ROUTE_LOCAL, row));
    expect(routeOf(bed, vrf, "10.1.1.0", 24)).toBe(routeValue(ROUTE_GLEAN, row));
    for (const end of ["10.1.1.0", "10.1.1.255"])
      expect(routeOf(bed, vrf, end, 32)).toBe(routeValue(ROUTE_BROADCAST, 0));
    for (const vtep of ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
      expect(routeOf(bed, vrf, vtep, 32)).toBe(routeValue(ROUTE_UNDERLAY, 0));
    expect(bed.tables.fib.lengths[vrf]! >>> 0).toBe((1 << 24) >>> 0);
  });

  test("settings", () => {
    expect([
      settings[SET_STRICT_RESERVED],
      settings[SET_DSCP],
      settings[SET_VXLAN_PORT],
      settings[SET_OVERHEAD],
    ]).toEqual([0, -1, 4789, 50]);
    expect(settings[SET_PUNT_AC]).toBe(500);
  });

  test("hosts learn their gateway; people are told", () => {
    const notes = bed.learners.take();
    expect(notes).toContain("announce if10 on vm1 in vsi10");
    expect(notes).toContain("announce if20 on vm2 in vsi20");
    expect(bed.events.at(-1)).toBe("config.applied");
  });
});

describe("details", () => {
  test("ACs of one TAP share its io port, by VLAN; flags, storm and MTU are their own", () => {
    const bed = new Bed();
    bed.apply(
      plan(`
vsis:
  - {name: a, vni: 10, innerVlan: keep, flood: {broadcast: false, selective: ["01:00:5e:00:00:05"]}}
  - {name: b}
interfaces:
  - {name: ifa, vsi: a, address: 10.1.1.1/24}
  - {name: ifb, vsi: b, address: 50.1.1.254/24}
acs:
  - {name: one, vsi: a, tap: {device: trunk}, vlan: 100, antiSpoof: true, stormPerSecond: 50, storm: {multicast: 7}}
  - {name: two, vsi: b, tap: {device: trunk}, vlan: 4094}
  - {name: three, vsi: b, tap: {device: trunk}}
`),
    );
    const [one, two, three] = ["one", "two", "three"].map((name) => bed.port(name));
    const { ports, vsis } = bed.tables;
    expect(new Set([one!.io, two!.io, three!.io]).size).toBe(1);
    expect(ports.ofVlan.get(one!.io, 100)).toBe(one!.row);
    expect(ports.ofVlan.get(one!.io, 4094)).toBe(two!.row);
    expect(ports.ofIo[one!.io]).toBe(three!.row);
    expect(ports.flags[one!.row]).toBe(PORT_UP | PORT_ANTI_SPOOF | PORT_RA_GUARD);
    expect(ports.storm[one!.row]).toBe(50);
    expect(Array.from(ports.stormOf.subarray(one!.row * 3, one!.row * 3 + 3))).toEqual([0, 0, 7]);
    expect(Array.from(ports.stormOf.subarray(two!.row * 3, two!.row * 3 + 3))).toEqual([0, 0, 0]);
    // VSI b has no VNI: what the underlay leaves does not matter there. The device takes the longest of all.
    expect([one!.mtu, two!.mtu, three!.mtu]).toEqual([1550, 1500, 1500]);
    expect(bed.opener.open).toEqual(new Map([["trunk", 1550]]));
    expect(vsis.flags[bed.vsi("a").row]).toBe(
      VSI_LOCAL_PROXY | VSI_FLOOD_UNKNOWN | VSI_FLOOD_MULTICAST | VSI_KEEP_INNER_VLAN,
    );
    expect(bed.learners.pinned.get("a 01:00:5e:00:00:05")).toBe(`- ${(MAC_FLOOD | MAC_STATIC).toString(16)}`);
  });

  test("VRFs have the same subnets apart, the VTEP guard in each, and policies and routes of their own", () => {
    const bed = new Bed();
    bed.apply(
      plan(`
vsis: [{name: a, vni: 10}, {name: b, vni: 20}]
interfaces:
  - {name: ifa, vsi: a, address: [10.1.1.1/24, 10.9.0.1/31], icmpSource: 10.1.1.201}
  - {name: ifb, vsi: b, address: 10.1.1.1/24, vrf: red}
routes:
  - {prefix: 0.0.0.0/0, nextHop: 10.1.1.2}
  - {prefix: 0.0.0.0/0, nextHop: 10.1.1.3, vrf: red}
policies:
  - {name: p, interfaces: [ifb], rules: [{match: {}, nextHop: 10.1.1.4}]}
`),
    );
    const [a, b] = [bed.interface("ifa"), bed.interface("ifb")];
    expect(a.vrf).not.toBe(b.vrf);
    for (const on of [a, b]) {
      expect(routeOf(bed, on.vrf, "10.1.1.0", 24)).toBe(routeValue(ROUTE_GLEAN, on.row));
      expect(routeOf(bed, on.vrf, "192.0.2.1", 32)).toBe(routeValue(ROUTE_UNDERLAY, 0));
    }
    const hop = (name: string) => routeValue(ROUTE_ADJACENCY, bed.learners.hops.of(name));
    expect(routeOf(bed, a.vrf, "0.0.0.0", 0)).toBe(hop("ifa 10.1.1.2"));
    expect(routeOf(bed, b.vrf, "0.0.0.0", 0)).toBe(hop("ifb 10.1.1.3"));
    expect(bed.learners.hops.names()).toContain("ifb 10.1.1.4");
    expect(routeOf(bed, a.vrf, "10.1.1.201", 32)).toBe(routeValue(ROUTE_LOCAL, a.row));
    // RFC 3021: both ends of a /31 are hosts.
    expect(routeOf(bed, a.vrf, "10.9.0.0", 32)).toBe(0);
    expect(routeOf(bed, a.vrf, "10.9.0.0", 31)).toBe(routeValue(ROUTE_GLEAN, a.row));
  });

  test("static MACs and neighbours are pinned to their ports", () => {
    const bed = new Bed();
    bed.apply(
      plan(`
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis:
  - {name: a, vni: 10, mac: {static: [{mac: "02:00:00:00:00:01", ac: vm}, {mac: "02:00:00:00:00:02", tunnel: gw2}]}}
interfaces:
  - {name: ifa, vsi: a, address: 10.1.1.1/24, arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:09", ac: vm}]}}
acs: [{name: vm, vsi: a, tap: {device: tap1}}]
`),
    );
    expect(bed.learners.pinned.get("a 02:00:00:00:00:01")).toBe(`vm ${MAC_STATIC.toString(16)}`);
    expect(bed.learners.pinned.get("a 02:00:00:00:00:02")).toBe(`gw2 ${MAC_STATIC.toString(16)}`);
    expect(bed.learners.hosts.get("ifa 10.1.1.9")).toBe("02:00:00:00:00:09 vm a");
  });

  test("an IPv6 underlay: 16 address bytes, 70 bytes of overhead, no IPv4 guard", () => {
    const body = "tunnels: [{name: t, remote: '2001:db8::2'}]\nvsis: [{name: a, vni: 10}]\n";
    const config = plan(body, "{address: '2001:db8::1', mtu: 1500}");
    const bed = new Bed(SIZES, config);
    bed.apply(config);
    const bytes = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    expect(bed.commands.attached.get(bed.port("t").io)).toBe(`peer ${bytes.join(".")}:4789`);
    expect(bed.port("t").mtu).toBe(1430);
    expect(bed.tables.settings[SET_OVERHEAD]).toBe(70);
    expect([...bed.routes.list()]).toEqual([]);
  });

  test("a full MAC table delays a pin, and does not forget it", () => {
    const bed = new Bed();
    bed.learners.hasRoom = false;
    bed.apply(plan(ARTICLE));
    expect(bed.learners.pinned.size).toBe(0);
    expect(bed.events).toContain("mac.limit");
    bed.learners.hasRoom = true;
    bed.timers.run(bed.timers.nowMs + 1500);
    expect(bed.learners.pinned.has("vsi10 02:00:5e:00:00:0a")).toBe(true);
  });
});

describe("ports go up and down", () => {
  test("a dead tunnel leaves the flood lists, and comes back", () => {
    const bed = new Bed();
    bed.apply(plan(ARTICLE));
    bed.learners.take();
    const gw2 = bed.tunnel("gw2");
    bed.topology.setTunnelUp(gw2, false);
    expect(bed.flood("vsi10")).toEqual([["vm1"], ["border"]]);
    expect(bed.flood("vsi20")).toEqual([["vm2"], []]);
    expect(bed.tables.ports.flags[gw2.row]! & PORT_UP).toBe(0);
    expect(bed.learners.take()).toEqual([`suspend port gw2 ${gw2.row}`]);
    expect(bed.events.at(-1)).toBe("tunnel.down");
    // It stays down through a reload that does not concern it, and it is told once.
    bed.topology.setTunnelUp(gw2, false);
    bed.apply(plan(`${ARTICLE}log: {level: debug}\n`));
    expect(bed.events.filter((event) => event === "tunnel.down")).toHaveLength(1);
    expect(bed.flood("vsi10")).toEqual([["vm1"], ["border"]]);
    bed.topology.setTunnelUp(gw2, true);
    expect(bed.flood("vsi10")).toEqual([["vm1"], ["gw2", "border"]]);
    expect(bed.learners.take()).toEqual(["up gw2", "tell gw2"]);
  });

  test("an AC that comes up hears from its gateway", () => {
    const bed = new Bed();
    bed.apply(plan(ARTICLE));
    bed.learners.take();
    const vm1 = bed.ac("vm1");
    bed.topology.setAcUp(vm1, false);
    expect(bed.flood("vsi10")[0]).toEqual([]);
    bed.topology.setAcUp(vm1, true);
    expect(bed.flood("vsi10")[0]).toEqual(["vm1"]);
    expect(bed.learners.take()).toEqual([`suspend port vm1 ${vm1.row}`, "up vm1", "announce if10 on vm1 in vsi10"]);
  });

  test("a list that a worker may read is never written: changes wait for it and then all hold", () => {
    const bed = new Bed();
    bed.apply(plan(ARTICLE));
    const gw2 = bed.tunnel("gw2");
    const border = bed.tunnel("border");
    const { heartbeat, vsis } = bed.tables;
    heartbeat.enter(0);
    bed.topology.setTunnelUp(gw2, false);
    const at = vsis.floodAt[bed.vsi("vsi10").row]!;
    expect(bed.flood("vsi10")[1]).toEqual(["border"]);
    bed.topology.setTunnelUp(border, false);
    bed.topology.setTunnelUp(gw2, true);
    bed.timers.run(bed.timers.nowMs + 50);
    expect(vsis.floodAt[bed.vsi("vsi10").row]).toBe(at);
    expect(bed.flood("vsi10")[1]).toEqual(["border"]);
    expect(bed.topology.isReady).toBe(false);
    expect(bed.topology.apply(plan(ARTICLE))).toMatchObject({ ok: false });
    heartbeat.leave(0);
    bed.timers.run(bed.timers.nowMs + 5);
    expect(bed.flood("vsi10")[1]).toEqual(["gw2"]);
    expect(bed.topology.isReady).toBe(true);
  });

  test("the underlay's MTU changes everything that is auto, and a path MTU one tunnel", () => {
    const bed = new Bed();
    const body = ARTICLE.replace("{device: tap2}", "{device: tap2, mtu: 1400}");
    bed.apply(plan(body, "{address: 192.0.2.1}"));
    const mtus = () => ["gw2", "border", "vm1", "vm2"].map((name) => bed.tables.ports.mtu[bed.port(name).row]);
    expect(mtus()).toEqual([1550, 1550, 1550, 1400]);
    bed.topology.setUnderlayMtu(1500);
    expect(mtus()).toEqual([1450, 1450, 1450, 1400]);
    expect(bed.tables.interfaces.mtu[bed.interface("if10").row]).toBe(1450);
    expect(bed.opener.open).toEqual(
      new Map([
        ["tap1", 1450],
        ["tap2", 1400],
      ]),
    );
    bed.topology.setPathMtu(bed.tunnel("gw2"), 1400);
    bed.topology.setPathMtu(bed.tunnel("border"), 9000);
    expect(mtus()).toEqual([1350, 1450, 1450, 1400]);
    bed.topology.setPathMtu(bed.tunnel("gw2"), null);
    expect(mtus()).toEqual([1450, 1450, 1450, 1400]);
  });
});

describe("a TAP that is handed over", () => {
  /** The configuration as it is once the schema offers hand-over. */
  function handedOver(vlan: number | null = null): Config {
    const config = plan(ARTICLE);
    const acs = config.acs.map((ac): AcConfig => (ac.name === "vm1" ? { ...ac, tap: null, handover: true, vlan } : ac));
    return { ...config, acs };
  }

  test("the AC waits for it, and changes it when the VM restarts", () => {
    for (const vlan of [null, 7]) {
      const bed = new Bed();
      bed.apply(handedOver(vlan));
      const vm1 = bed.ac("vm1");
      const leadsTo = () => (vlan === null ? bed.tables.ports.ofIo[vm1.io] : bed.tables.ports.ofVlan.get(vm1.io, vlan));
      expect(vm1.up).toBe(false);
      expect(bed.flood("vsi10")[0]).toEqual([]);
      expect(bed.topology.handOver("vm1", { fds: [7, 8], ifindex: 3 })).toBeNull();
      expect(bed.flood("vsi10")[0]).toEqual(["vm1"]);
      expect(bed.commands.attached.get(vm1.io)).toBe("tap 7,8");
      expect(leadsTo()).toBe(vm1.row);
      bed.learners.take();
      expect(bed.topology.handOver("vm1", { fds: [9, 10], ifindex: 4 })).toBeNull();
      expect(bed.learners.take()).toEqual([`flush port vm1 ${vm1.row}`, "announce if10 on vm1 in vsi10"]);
      expect(bed.commands.attached.get(vm1.io)).toBe("tap 9,10");
      expect(leadsTo()).toBe(vm1.row);
      expect(bed.opener.take().filter((note) => note.startsWith("close"))).toEqual([]);
      bed.settle();
      expect(bed.opener.take()).toEqual(["close fd 7"]);
    }
  });

  test("it goes with its VM, and the AC waits for the next", () => {
    const bed = new Bed();
    bed.apply(handedOver());
    const vm1 = bed.ac("vm1");
    bed.topology.takeBack("vm1");
    bed.topology.handOver("vm1", { fds: [7, 8], ifindex: 3 });
    bed.learners.take();
    bed.topology.takeBack("vm1");
    expect([vm1.up, bed.flood("vsi10")[0], bed.commands.attached.has(vm1.io)]).toEqual([false, [], false]);
    expect(bed.learners.take()).toEqual([`suspend port vm1 ${vm1.row}`, `flush port vm1 ${vm1.row}`]);
    expect(bed.events.at(-1)).toBe("ac.down");
    bed.settle();
    expect(bed.opener.take().filter((note) => note.startsWith("close"))).toEqual(["close fd 7"]);
    expect(bed.topology.handOver("vm1", { fds: [9, 10], ifindex: 4 })).toBeNull();
    expect([vm1.up, bed.commands.attached.get(vm1.io)]).toEqual([true, "tap 9,10"]);
    // One that came and went, and is taken out of the configuration then, is closed once.
    bed.topology.takeBack("vm1");
    bed.topology.takeBack("vm1");
    bed.topology.takeBack("vm2");
    bed.topology.takeBack("vm99");
    bed.settle();
    const config = handedOver();
    bed.apply({ ...config, acs: config.acs.filter((ac) => ac.name !== "vm1") });
    expect(bed.opener.take().filter((note) => note.startsWith("close"))).toEqual(["close fd 9"]);
    expect(bed.port("vm2").up).toBe(true);
  });

  test("only to an AC that wants one", () => {
    const bed = new Bed();
    bed.apply(handedOver());
    expect(bed.topology.handOver("vm2", { fds: [7], ifindex: 3 })).toMatch(/has a TAP of its own/);
    expect(bed.topology.handOver("vm99", { fds: [7], ifindex: 3 })).toMatch(/no AC vm99/);
  });

  test("a reload keeps it", () => {
    const bed = new Bed();
    bed.apply(handedOver());
    bed.topology.handOver("vm1", { fds: [7, 8], ifindex: 3 });
    bed.opener.take();
    const config = handedOver();
    bed.apply({ ...config, acs: config.acs.map((ac) => ({ ...ac, stormPerSecond: 9 })) });
    expect(bed.opener.take()).toEqual([]);
    expect(bed.port("vm1").up).toBe(true);
    expect(bed.tables.ports.storm[bed.port("vm1").row]).toBe(9);
    bed.apply({ ...config, acs: config.acs.filter((ac) => ac.name !== "vm1") });
    expect(bed.opener.take()).toEqual(["close fd 7"]);
  });
});
