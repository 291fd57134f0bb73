/** What several VMs that scan, provoke errors or solicit routers at once leave a quiet one: searches, room to wait, ICMP, advertisements. */
import { describe, expect, it } from "vitest";
import { parseMac } from "../../src/wire/ethernet.ts";
import { ICMP_ECHO_REPLY, ICMP_TIME_EXCEEDED } from "../../src/wire/icmp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { ALL_ROUTERS, emitRouterSolicitation, groupMac, ND_MAX_BYTES } from "../../src/wire/nd.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { gatewayMac } from "./article.ts";
import { LINK } from "./host6.ts";
import { gw, sites } from "./sites.ts";

const ip = (text: string): number => parseIpv4(text)!;
const HOSTILE = 10;

/** A site with that many hostile VMs, and one quiet VM behind the last AC; a host that the quiet one asks for is in another VXLAN. */
function bed() {
  const names = [...Array.from({ length: HOSTILE }, (_, i) => `h${i}`), "quiet"];
  const acs = names.map((name) => `{name: ${name}, vsi: vsi10, tap: {device: ${name}}}`);
  const world = sites(
    1,
    () => `vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.0.1/16}
  - {name: if20, vsi: vsi20, address: 20.1.0.1/16}
acs: [${acs.join(", ")}, {name: other, vsi: vsi20, tap: {device: other}}]
limits: {puntPerSecond: 100000, puntPerAcPerSecond: 10000}`,
  );
  const vms = names.map((name, i) =>
    world.vm(gw(world, 1), {
      ...{ name, ip: `10.1.9.${i + 1}`, mac: `02:00:00:00:01:${10 + i}`, gateway: "10.1.0.1", length: 16 },
    }),
  );
  world.vm(gw(world, 1), { name: "other", ip: "20.1.9.9", mac: "02:00:00:00:02:09", gateway: "20.1.0.1", length: 16 });
  const quiet = vms.pop()!;
  quiet.ask("10.1.0.1");
  world.settle();
  return { world, hostile: vms, quiet, dst: gatewayMac(world, "gw1", "if10") };
}

describe("ten VMs that scan addresses", () => {
  it("leave a quiet one its search, and its first packets their place", () => {
    const { world, hostile, quiet, dst } = bed();
    let target = 0;
    for (let t = 0; t < 2500; t += 50) {
      for (const vm of hostile)
        for (let n = 0; n < 40; n++)
          vm.tap.send(udpFrame({ dst, src: vm.mac, from: vm.ip, to: ip("20.1.10.0") + (target++ % 40_000) }));
      if (t === 2000) quiet.ping("20.1.9.9");
      world.net.nowMs += 50;
      world.settle();
      world.seen.length = 0;
    }
    expect(gw(world, 1).drops.unresolved_queue_full).toBeGreaterThan(10_000);
    expect(quiet.icmp.map(({ type }) => type)).toEqual([ICMP_ECHO_REPLY]);
  }, 60_000);
});

describe("ten VMs that provoke errors", () => {
  it("leave a quiet one its own", () => {
    const { world, hostile, quiet, dst } = bed();
    for (let t = 0; t < 500; t += 50) {
      for (const vm of hostile)
        for (let n = 0; n < 40; n++)
          vm.tap.send(udpFrame({ dst, src: vm.mac, from: vm.ip, to: ip("20.1.9.9"), ttl: 1 }));
      world.net.nowMs += 50;
      world.settle();
      world.seen.length = 0;
    }
    for (let n = 0; n < 5; n++) {
      quiet.tap.send(udpFrame({ dst, src: quiet.mac, from: quiet.ip, to: ip("20.1.9.9"), ttl: 1 }));
      world.settle();
    }
    expect(gw(world, 1).drops.icmp_limited).toBeGreaterThan(1000);
    expect(quiet.icmp.map(({ type }) => type)).toEqual(Array(5).fill(ICMP_TIME_EXCEEDED));
  });
});

describe("twenty VMs that solicit routers", () => {
  it("leave a quiet one its answers", () => {
    const names = [...Array.from({ length: 20 }, (_, i) => `h${i}`), "quiet"];
    const acs = names.map((name) => `{name: ${name}, vsi: vsi10, tap: {device: ${name}}}`);
    const world = sites(
      1,
      () => `vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: "2001:db8:10::1/64", routerAdvertisement: {}}]
acs: [${acs.join(", ")}]
limits: {puntPerSecond: 100000, puntPerAcPerSecond: 10000}`,
    );
    const { taps } = gw(world, 1);
    const solicit = (name: string): void => {
      const mac = parseMac(`02:00:00:00:03:${(10 + names.indexOf(name)).toString(16).padStart(2, "0")}`)!;
      const bytes = new Uint8Array(ND_MAX_BYTES);
      const around = { ethDst: groupMac(ALL_ROUTERS), ethSrc: mac, src: LINK | BigInt(mac), dst: ALL_ROUTERS };
      taps.get(name)!.send(bytes.slice(0, emitRouterSolicitation(bytes, 0, around, { mac })));
    };
    world.advance(3000);
    let answers = 0;
    taps.get("quiet")!.receive = () => answers++;
    for (let t = 0; t < 3000; t += 50) {
      for (const name of names.slice(0, -1)) for (let n = 0; n < 2; n++) solicit(name);
      if (t === 1500 || t === 1600) solicit("quiet");
      world.advance(50);
    }
    expect(answers).toBe(2);
    const { solicited, limited } = gw(world, 1).control.agent.advertiser.counts.byName.get("if10")!;
    // In any second 150 by those that have had their two, and what the quiet one asked for.
    expect(solicited).toBe(3 * 150 + 2);
    expect(limited).toBe(2400 + 2 - solicited);
  }, 60_000);
});
