/** Flooded ARP is rationed per VSI, and no host behind one port can use the ration up for the others. */
import { describe, expect, it } from "vitest";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame, udpFrame, vxlan } from "../dataplane/packets.ts";
import { gatewayMac } from "./article.ts";
import { datagrams, gw, sites, vtep } from "./sites.ts";
import type { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;

/** Two sites, one VSI: vm1 and vm3 at gw1, and vm5 to vm7 at gw2. */
function twoSites(extra = ""): World {
  const world = sites(
    2,
    (n) => `vsis: [{name: vsi10, vni: 10${extra}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.0.1/16}]
acs: [${(n === 1 ? [1, 3] : [5, 6, 7]).map((i) => `{name: vm${i}, vsi: vsi10, tap: {device: vm${i}}}`).join(", ")}]`,
  );
  for (const [i, site] of [
    [1, 1],
    [3, 1],
    [5, 2],
    [6, 2],
    [7, 2],
  ] as const)
    world.vm(gw(world, site), {
      name: `vm${i}`,
      ip: `10.1.9.${i}`,
      mac: `02:00:00:00:00:0${i}`,
      gateway: "10.1.0.1",
      length: 16,
    });
  return world;
}

const request = (vm: Vm, senderIp: number, targetIp: number): Uint8Array =>
  arpFrame({
    ethDst: BROADCAST,
    ethSrc: vm.mac,
    op: ARP_REQUEST,
    senderMac: vm.mac,
    senderIp,
    targetMac: 0,
    targetIp,
  });

/** What one tenant can have flooded: one frame of it each time. `gateway`: the MAC of vm1's gateway. */
const STORMS: [string, (vm: Vm, i: number, gateway: number) => Uint8Array][] = [
  ["announcements of 250 addresses", (vm, i) => request(vm, ip("10.1.1.1") + (i % 250), ip("10.1.1.1") + (i % 250))],
  ["questions for unknown hosts", (vm, i) => request(vm, vm.ip, ip("10.1.16.1") + (i % 20_000))],
  ["probes of unknown addresses", (vm, i) => request(vm, 0, ip("10.1.16.1") + (i % 20_000))],
  ["packets to unknown hosts", (vm, i, dst) => udpFrame({ dst, src: vm.mac, from: vm.ip, to: ip("10.1.16.1") + i })],
];

describe("a tenant's flooded ARP takes no other share", () => {
  for (const pps of [400, 700, 1500])
    for (const [what, frame] of STORMS)
      it(`${what}, ${pps} a second: another VM's first ping is answered at once, and the VSI's ration holds`, () => {
        const world = twoSites();
        const [vm1, vm3] = [world.get("vm1"), world.get("vm3")];
        const gateway = gatewayMac(world, "gw1", "if10");
        const sentAt = new Map<string, number>();
        const late: string[] = [];
        let [sent, second, floods, most] = [0, 0, 0, 0];
        for (let ms = 0; ms < 5000; ms += 5) {
          for (; sent < (ms * pps) / 1000; sent++) vm1.tap.send(frame(vm1, sent, gateway));
          if (ms >= 1000 && ms % 1000 === 0 && sentAt.size < 3) {
            const host = `10.1.9.${5 + sentAt.size}`;
            sentAt.set(host, ms);
            vm3.ping(host);
          }
          world.net.nowMs += 5;
          world.settle();
          for (const [host, at] of sentAt)
            if (ms - at === 100 && !vm3.replies.some((line) => line.startsWith(host))) late.push(host);
          floods += datagrams(world, 1, 2).length;
          world.seen.length = 0;
          if (Math.floor(ms / 1000) > second) {
            most = Math.max(most, floods);
            [floods, second] = [0, second + 1];
          }
        }
        expect(sentAt.size).toBe(3);
        expect(late).toEqual([]);
        expect(most).toBeLessThanOrEqual(200 + 20);
      });

  it("questions by a tunnel, 1500 a second: another site's first question is asked on at once", () => {
    const world = sites(
      3,
      (n) => `vsis: [{name: vsi10, vni: 10, relay: always}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.0.1/16}]
acs: [{name: ac${n}, vsi: vsi10, tap: {device: ac${n}}}]`,
    );
    const vm = (n: number, name: string) =>
      world.vm(gw(world, n), {
        ...{ name, ac: `ac${n}`, ip: `10.1.9.${n}`, mac: `02:00:00:00:00:0${n}` },
        ...{ gateway: "10.1.0.1", length: 16 },
      });
    const [vm1, vm2, vm3] = [vm(1, "vm1"), vm(2, "vm2"), vm(3, "vm3")];
    let sent = 0;
    for (let ms = 0; ms < 2000; ms += 5) {
      for (; sent < (ms * 1500) / 1000; sent++) {
        const bytes = vxlan(10, request(vm2, vm2.ip, ip("10.1.16.1") + sent));
        world.net.carry({ from: vtep(2), to: vtep(1), tos: 0, entropy: 1, bytes });
      }
      if (ms === 1500) vm3.ping("10.1.9.1");
      world.net.nowMs += 5;
      world.settle();
      world.seen.length = 0;
      if (ms === 1600) expect(vm3.replies).toHaveLength(1);
    }
    expect(vm1.received.length).toBeGreaterThan(0);
  });
});
