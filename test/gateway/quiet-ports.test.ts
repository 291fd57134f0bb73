/** What several VMs that scan or provoke errors at once leave a quiet one: searches, room to wait, ICMP. */
import { describe, expect, it } from "vitest";
import { ICMP_ECHO_REPLY, ICMP_TIME_EXCEEDED } from "../../src/wire/icmp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { gatewayMac } from "./article.ts";
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
