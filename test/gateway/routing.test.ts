import { describe, expect, it } from "vitest";
import { Shown } from "../../src/api/shown.ts";
import { u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES } from "../../src/wire/ethernet.ts";
import { PROTO_ICMP, parseIpv4 } from "../../src/wire/ipv4.ts";
import {
  changed,
  headerIsRight,
  l4IsRight,
  tcpFrame,
  type UdpFields,
  udpFrame,
  withOptions,
} from "../dataplane/packets.ts";
import { article, borderYaml, gatewayMac, siteYaml, tell } from "./article.ts";
import { datagrams, gw, sites } from "./sites.ts";
import { icmpPacket, type Vm } from "./vm.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;

/** A UDP frame from `vm` to its gateway's MAC. */
function packet(world: World, vm: Vm, to: string, more: Partial<UdpFields> = {}): Uint8Array {
  const dst = gatewayMac(world, "gw1", "vsi-interface10");
  return udpFrame({ dst, src: vm.mac, from: vm.ip, to: ip(to), ...more });
}

const errors = (vm: Vm): string[] => vm.icmp.map((m) => `${m.type}/${m.code} ${m.from}`);

/** The article's network with everybody resolved. */
function warm(): World {
  const world = article();
  world.get("vm1").ping("20.1.1.12");
  world.get("vm1").ping("10.1.1.12");
  world.settle();
  world.clear();
  return world;
}

describe("TTL, errors and silence (R02, R04)", () => {
  it("TTL 1 and 0 of UDP and echo are answered: from the gateway, with a quote, at most 576 bytes (R02)", () => {
    const world = warm();
    const vm1 = world.get("vm1");
    for (const ttl of [1, 0]) vm1.tap.send(packet(world, vm1, "20.1.1.12", { ttl, payload: 900 }));
    vm1.ping("20.1.1.12", { ttl: 1 });
    world.settle();
    expect(errors(vm1)).toEqual(Array(3).fill("11/0 10.1.1.1"));
    for (const [i, { frame }] of vm1.icmp.entries()) {
      expect(u16(frame, 16)).toBe(i < 2 ? 576 : 20 + 8 + 84);
      expect(headerIsRight(frame)).toBe(true);
    }
    // The quote is the packet as it came.
    const sent = packet(world, vm1, "20.1.1.12", { ttl: 1, payload: 900 });
    expect(vm1.icmp[0]!.frame.slice(42)).toEqual(sent.slice(ETH_BYTES, ETH_BYTES + 548));
    expect(world.seen.filter((seen) => seen.where === "underlay")).toEqual([]);
  });

  it("silence about errors, groups, broadcast frames, later fragments and impossible sources (R02)", () => {
    const world = warm();
    const vm1 = world.get("vm1");
    const gateway = gatewayMac(world, "gw1", "vsi-interface10");
    const good = packet(world, vm1, "20.1.1.12", { ttl: 1 });
    const icmpError = changed(good, (frame) => {
      frame[23] = PROTO_ICMP;
      frame[34] = 3;
    });
    const silent = [
      icmpError,
      changed(good, (frame) => frame.set([0, 9], 20)), // a later fragment
      udpFrame({ dst: gateway, src: vm1.mac, from: vm1.ip, to: ip("224.1.1.1"), ttl: 1 }),
      udpFrame({ dst: gateway, src: vm1.mac, from: vm1.ip, to: -1, ttl: 1 }),
      udpFrame({ dst: gateway, src: vm1.mac, from: 0, to: ip("20.1.1.12"), ttl: 1 }),
      udpFrame({ dst: gateway, src: vm1.mac, from: ip("224.0.0.9"), to: ip("20.1.1.12"), ttl: 1 }),
      udpFrame({ dst: BROADCAST, src: vm1.mac, from: vm1.ip, to: ip("20.1.1.12"), ttl: 1 }), // bridged, not routed
    ];
    for (const frame of silent) vm1.tap.send(frame);
    world.settle();
    expect(vm1.icmp).toEqual([]);
    expect(gw(world, 1).drops).toEqual({ ttl_exceeded: 2, not_forwarded: 2, ip_martian: 2 });
    // TTL 1 to the gateway itself is fine.
    vm1.ping("10.1.1.1", { ttl: 1 });
    world.settle();
    expect(vm1.replies).toEqual(["10.1.1.1 ttl=64"]);
  });

  it("no route, unreachable, prohibit, discard: 3/0, 3/1, 3/13, silence (R04)", () => {
    const world = warm();
    const routes = ["61", "62", "63"].map(
      (n, i) => `{prefix: ${n}.0.0.0/8, action: ${["unreachable", "prohibit", "discard"][i]}}`,
    );
    gw(world, 1).reload(siteYaml("gw1").replace(/routes:\n.*\n/, `routes: [${routes.join(", ")}]\n`));
    const vm1 = world.get("vm1");
    for (const to of ["60.1.1.1", "61.1.1.1", "62.1.1.1", "63.1.1.1"]) vm1.ping(to);
    world.settle();
    expect(errors(vm1)).toEqual(["3/0 10.1.1.1", "3/1 10.1.1.1", "3/13 10.1.1.1"]);
    expect(gw(world, 1).drops).toEqual({ no_route: 3, discard_route: 1 });
  });

  it("20,000 packets a second with TTL 1: a hundred errors a second, and traceroute elsewhere is complete (R09)", () => {
    const world = article();
    const [vm1, vm3] = [world.get("vm1"), world.get("vm3")];
    vm3.ping("10.1.1.12");
    world.settle();
    world.clear();
    const flood = packet(world, vm1, "20.1.1.12", { ttl: 1 });
    for (let ms = 0; ms < 2000; ms += 5) {
      for (let i = 0; i < 100; i++) vm1.tap.send(flood);
      if (ms % 200 === 0) for (const ttl of [1, 2, 3]) vm3.ping("10.1.1.12", { ttl });
      world.net.nowMs += 5;
      world.settle();
    }
    expect(vm1.icmp.length).toBeGreaterThanOrEqual(100);
    expect(vm1.icmp.length).toBeLessThanOrEqual(300);
    expect(errors(vm3).filter((line) => line.startsWith("11/0 30.1.1.1"))).toHaveLength(10);
    expect(errors(vm3).filter((line) => line.startsWith("11/0 10.1.1.1"))).toHaveLength(10);
    expect(vm3.replies).toHaveLength(10);
  }, 60_000);
});

describe("martians and options (R06)", () => {
  it("martians are dropped by name, directed broadcasts and link-local are not routed", () => {
    const world = warm();
    const vm1 = world.get("vm1");
    const gateway = gatewayMac(world, "gw1", "vsi-interface10");
    const send = (from: string, to: string): void =>
      vm1.tap.send(udpFrame({ dst: gateway, src: vm1.mac, from: ip(from), to: ip(to) }));
    for (const from of ["0.1.1.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.1.1.1", "20.1.1.1"])
      send(from, "20.1.1.12");
    send("10.1.1.11", "127.0.0.1");
    send("10.1.1.11", "0.1.2.3");
    send("20.1.1.12", "20.1.1.12");
    for (const to of ["20.1.1.255", "169.254.1.1", "240.0.0.1"]) send("10.1.1.11", to);
    world.settle();
    expect(gw(world, 1).drops).toEqual({ ip_martian: 9, not_forwarded: 3 });
    expect(world.seen.filter((seen) => seen.from !== "vm1")).toEqual([]);
  });

  it("options go through unchanged; source routes and options that do not parse are dropped", () => {
    const world = warm();
    const vm1 = world.get("vm1");
    const plain = packet(world, vm1, "20.1.1.12");
    const record = [7, 7, 4, 0, 0, 0, 0];
    const nops = Array(40).fill(1);
    for (const options of [record, nops]) vm1.tap.send(withOptions(plain, options));
    for (const options of [
      [131, 7, 4, 1, 2, 3, 4],
      [137, 7, 4, 1, 2, 3, 4],
      [7, 99, 4],
      [7, 1, 4],
    ])
      vm1.tap.send(withOptions(plain, options));
    world.settle();
    const got = world.get("vm5").received;
    expect(got.map((frame) => [...frame.slice(34, ETH_BYTES + ((frame[14]! & 15) << 2))])).toEqual([
      [...record, 0],
      nops,
    ]);
    expect(got.every((frame) => headerIsRight(frame) && frame[22] === 62)).toBe(true);
    expect(gw(world, 1).drops).toEqual({ ip_options: 4 });
  });
});

describe("policies and next hops (B02, B03, ECMP)", () => {
  const POLICY = `policies:
  - name: order
    interfaces: [vsi-interface10]
    rules:
      - {match: {source: 10.1.1.13}, action: drop}
      - {match: {source: 10.1.1.0/28, destination: 50.0.0.0/8}, nextHop: 10.1.1.2}
      - {match: {source: 10.1.1.16/28}, permit: true}
`;

  it("the first match wins, before routes, TTL falls once, and each rule counts its own (B02)", () => {
    const world = article();
    const base = siteYaml("gw1").replace("0.0.0.0/0, nextHop: 10.1.1.2", "51.0.0.0/8, action: discard");
    const gw1 = gw(world, 1);
    gw1.reload(base.replace("control:", `${POLICY}control:`));
    const vm1 = world.get("vm1");
    vm1.ask("10.1.1.1");
    world.settle();
    const from = (source: string, to: string): void => vm1.tap.send(packet(world, vm1, to, { from: ip(source) }));
    for (let i = 0; i < 3; i++) from("10.1.1.13", "20.1.1.12");
    for (let i = 0; i < 4; i++) from("10.1.1.11", "50.1.1.1");
    for (let i = 0; i < 5; i++) from("10.1.1.20", "51.1.1.1");
    from("10.1.1.40", "51.1.1.1");
    world.settle();
    const hits = (): number[] =>
      gw1.control.shown.topology.policies.list()[0]!.rules.map(({ id }) => gw1.tables.counters[0]!.rules[id]!);
    expect(hits()).toEqual([3, 4, 5]);
    expect(gw1.drops).toEqual({ policy_drop: 3, discard_route: 6 });
    const out = tell(world).filter((line) => line.includes("10.1.1.11>50.1.1.1"));
    expect(out.filter((line) => line.startsWith("gw1>border vni 10"))).toHaveLength(4);
    expect(out.every((line) => !line.startsWith("gw1>border") || line.endsWith("ttl 63"))).toBe(true);
    // A rule before the others: it begins at 0, and they keep their counts, each its own. One that says something else begins anew.
    const shown = new Shown(gw1.control.shown, { view: () => ({ state: "unwatched" }) as never });
    const told = () => shown.policies()[0]!.rules.map(({ hits: count }) => count);
    const first = "      - {match: {source: 10.1.1.99}, drop: true}\n";
    gw1.reload(base.replace("control:", `${POLICY.replace("rules:\n", `rules:\n${first}`)}control:`));
    expect(told()).toEqual([0, 3, 4, 5]);
    gw1.reload(base.replace("control:", `${POLICY.replace("10.1.1.13", "10.1.1.14")}control:`));
    expect(told()).toEqual([0, 4, 5]);
    // A rule is taken out: the others keep their counts, the change is immediate.
    gw1.reload(base);
    from("10.1.1.13", "51.1.1.1");
    world.settle();
    expect(gw1.drops).toEqual({ policy_drop: 3, discard_route: 7 });
  });

  it("a Border that is not there: host unreachable within 4 s, at most once a second; there again: traffic in 2 s (B03)", () => {
    const world = article();
    world.gateways.delete("border");
    const vm1 = world.get("vm1");
    for (let s = 0; s < 30; s++) {
      vm1.ping("50.1.1.1", { sequence: s });
      world.advance(1000);
      if (s === 4) expect(vm1.icmp.length).toBeGreaterThanOrEqual(1);
    }
    expect(vm1.icmp.length).toBeLessThanOrEqual(30);
    expect(errors(vm1).every((line) => line === "3/1 10.1.1.1")).toBe(true);
    const asked = datagrams(world, 1, 3).filter((d) => u16(d, 20) === 0x0806).length;
    expect(asked).toBeLessThanOrEqual(31);
    world.clear();
    world.net.inbox("192.0.2.3").length = 0;
    const border = world.gateway(borderYaml());
    world.vm(border, { name: "ext2", ac: "ext", ip: "50.1.1.1", mac: "02:00:00:00:0e:01", gateway: "50.1.1.254" });
    for (let i = 0; i < 4; i++) {
      vm1.ping("50.1.1.1", { sequence: 100 + i });
      world.advance(500);
    }
    expect(vm1.replies.length).toBeGreaterThanOrEqual(1);
  });

  it("ECMP: flows are spread, a dead next hop leaves the set within its probes, and comes back", () => {
    const world = sites(
      1,
      () => `vsis: [{name: vsi10, vni: 10}, {name: out, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: up, vsi: out, address: 20.1.1.1/24, arp: {ageSeconds: 10}}
acs: [{name: vm, vsi: vsi10, tap: {device: vm}}, {name: r1, vsi: out, tap: {device: r1}}, {name: r2, vsi: out, tap: {device: r2}}]
routes: [{prefix: 0.0.0.0/0, nextHops: [20.1.1.11, 20.1.1.12]}]`,
    );
    const vm = world.vm(gw(world, 1), { name: "vm", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
    const [r1, r2] = [1, 2].map((n) =>
      world.vm(gw(world, 1), { name: `r${n}`, ip: `20.1.1.1${n}`, mac: `02:00:00:00:02:1${n}` }),
    ) as [Vm, Vm];
    const dst = gatewayMac(world, "gw1", "if10");
    const flows = (): [number, number] => {
      world.clear();
      for (let i = 0; i < 64; i++)
        vm.tap.send(udpFrame({ dst, src: vm.mac, from: vm.ip, to: ip("60.1.1.1"), sport: 5000 + i }));
      world.settle();
      const count = (r: Vm): number => r.received.filter((frame) => frame[23] === 17).length;
      return [count(r1), count(r2)];
    };
    flows();
    const [a, b] = flows();
    expect(a + b).toBe(64);
    expect(Math.min(a, b)).toBeGreaterThan(16);
    r2.alive = false;
    for (let s = 0; s < 12; s++) {
      flows();
      world.advance(1000);
    }
    expect(flows()).toEqual([64, 0]);
    r2.alive = true;
    r2.sendArp({ op: 1, targetIp: r2.ip });
    world.settle();
    expect(flows()).toEqual([a, b]);
  });
});

describe("mssClamp", () => {
  it("lowers the MSS of a SYN to what the overlay carries, checksum right; leaves smaller ones and data alone", () => {
    const world = warm();
    const vm1 = world.get("vm1");
    const dst = gatewayMac(world, "gw1", "vsi-interface10");
    const fields = { dst, src: vm1.mac, from: vm1.ip, to: ip("20.1.1.12") };
    for (const mss of [1460, 1410, 536]) vm1.tap.send(tcpFrame({ ...fields, flags: 2, mss, payload: 0 }));
    vm1.tap.send(tcpFrame({ ...fields, flags: 0x10, mss: 1460, payload: 10 }));
    world.settle();
    const got = world.get("vm5").received;
    expect(got.map((frame) => u16(frame, 56))).toEqual([1410, 1410, 536, 1460]);
    expect(got.every(l4IsRight)).toBe(true);
    gw(world, 1).reload(siteYaml("gw1").replaceAll("mac: auto}", "mac: auto, mssClamp: false}"));
    gw(world, 2).reload(siteYaml("gw2").replaceAll("mac: auto}", "mac: auto, mssClamp: false}"));
    world.clear();
    vm1.tap.send(tcpFrame({ ...fields, flags: 2, mss: 1460, payload: 0 }));
    world.settle();
    expect(world.get("vm5").received.map((frame) => u16(frame, 56))).toEqual([1460]);
  });
});

describe("VRFs over whole gateways", () => {
  it("the same addresses in two VRFs: each pings its own, and nothing of the other is seen", () => {
    const world = sites(
      2,
      (n) => `vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}, {name: vsi30, vni: 30}, {name: vsi40, vni: 40}]
interfaces:
  - {name: a10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: a20, vsi: vsi20, address: 20.1.1.1/24}
  - {name: b10, vsi: vsi30, address: 10.1.1.1/24, vrf: blue}
  - {name: b20, vsi: vsi40, address: 20.1.1.1/24, vrf: blue}
acs: [${[10, 20, 30, 40].map((vni) => `{name: h${vni}-${n}, vsi: vsi${vni}, tap: {device: h${vni}-${n}}}`).join(", ")}]`,
    );
    for (const n of [1, 2])
      for (const vni of [10, 20, 30, 40]) {
        const net = vni % 20 === 10 ? 10 : 20;
        world.vm(gw(world, n), {
          name: `h${vni}-${n}`,
          ip: `${net}.1.1.1${n}`,
          mac: `02:00:00:00:${net}:1${n}`,
          gateway: `${net}.1.1.1`,
        });
      }
    world.get("h40-2").alive = false; // blue's 20.1.1.12 does not answer, main's does
    world.get("h10-1").sendPacket(icmpPacket(ip("10.1.1.11"), ip("20.1.1.12"), 8, 64, 1, 56));
    world.get("h30-1").sendPacket(icmpPacket(ip("10.1.1.11"), ip("20.1.1.12"), 8, 64, 2, 56));
    world.advance(5000);
    expect(world.get("h10-1").replies).toEqual(["20.1.1.12 ttl=62"]);
    expect(errors(world.get("h30-1"))).toEqual(["3/1 10.1.1.1"]);
  });
});
