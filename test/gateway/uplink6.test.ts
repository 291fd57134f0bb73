/** IPv6 from outside, by the one port of an uplink: who is looked for, and what a scan from there takes from those inside. */
import { describe, expect, it } from "vitest";
import { ANNOUNCE_AGAIN_MS } from "../../src/control/resolution/announcer.ts";
import { ICMP6_NEIGHBOR_SOLICITATION } from "../../src/wire/icmp6.ts";
import { formatIpv6 } from "../../src/wire/ipv6.ts";
import { udp6 } from "../dataplane/packets6.ts";
import { Host6, LINK, NET } from "./host6.ts";
import { World } from "./world.ts";

const OUT = 0x20010db8_0050_0000_0000_0000_0000_0000n;

function border(more = "") {
  const world = new World();
  const gateway = world.gateway(`node: border
underlay: {address: 192.0.2.3, mtu: 1500}
vsis: [{name: uplink}, {name: inside, vni: 10}]
interfaces:
  - {name: outside, vsi: uplink, address: "2001:db8:50::254/64", distributed: false}
  - {name: inner, vsi: inside, address: "2001:db8:10::1/64"${more}}
acs:
  - {name: ext, vsi: uplink, tap: {device: t1}}
  - {name: vm1, vsi: inside, tap: {device: t2}}
  - {name: vm2, vsi: inside, tap: {device: t3}}
workers: 1
`);
  const host = (name: string, mac: string, ...ips: bigint[]) => new Host6(gateway.taps.get(name)!, name, mac, ips);
  const ext = host("ext", "02:00:00:00:50:01", OUT | 1n);
  const vm1 = host("vm1", "02:00:00:00:01:11", NET | 0x11n, LINK | 0x11n);
  const vm2 = host("vm2", "02:00:00:00:01:12", NET | 0x12n, LINK | 0x12n);
  world.advance(2 * ANNOUNCE_AGAIN_MS);
  ext.ask(OUT | 0x254n);
  world.settle();
  const gatewayMac = gateway.control.shown.inventory.interface("outside")!.mac;
  const send = (to: bigint) =>
    ext.tap.send(udp6({ dst: gatewayMac, src: ext.mac, from: formatIpv6(ext.addresses[0]!), to: formatIpv6(to) }));
  const reached = (vm: Host6) => vm.frames.filter((frame) => frame[20] === 17).length;
  const asked = (vm: Host6) => vm.heard.filter(({ type }) => type === ICMP6_NEIGHBOR_SOLICITATION).length;
  for (const each of [vm1, vm2]) {
    each.frames.length = 0;
    each.heard.length = 0;
  }
  return { world, gateway, ext, vm1, vm2, send, reached, asked };
}

describe("a packet from outside", () => {
  it("has its host looked for", () => {
    const { world, vm1, send, reached } = border();
    send(NET | 0x11n);
    world.settle();
    expect(reached(vm1)).toBe(1);
  });

  it("with gleanFrom: overlay finds a host that has spoken, and no other one", () => {
    const { world, gateway, vm1, vm2, send, reached, asked } = border(", gleanFrom: overlay");
    vm1.ask(NET | 1n);
    world.settle();
    send(NET | 0x11n);
    send(NET | 0x12n);
    world.advance(5000);
    expect([reached(vm1), reached(vm2), asked(vm2)]).toEqual([1, 0, 0]);
    expect(gateway.drops.not_gleaned).toBe(1);
    vm2.ask(NET | 1n);
    world.settle();
    send(NET | 0x12n);
    world.settle();
    expect(reached(vm2)).toBe(1);
  });
});

describe("a scan of 5,000 addresses from outside", () => {
  it.each([
    ["looked for", "", 200 * 6],
    ["with gleanFrom: overlay", ", gleanFrom: overlay", 0],
  ])("%s: what is known is reached, and who asks inside is answered", (_, more, mostAsked) => {
    const { world, vm1, vm2, send, reached, asked } = border(more);
    vm1.ask(NET | 1n);
    vm2.ask(NET | 1n);
    world.settle();
    vm1.heard.length = 0;
    for (let n = 0; n < 5000; n++) {
      send(NET | BigInt(0x10000 + n));
      if (n % 50 !== 49) continue;
      send(NET | 0x11n);
      vm2.ask(NET | 0x11n);
      world.advance(50);
    }
    expect(reached(vm1)).toBe(100);
    const answers = vm2.heard.filter((nd) => nd.type === 136 && nd.target === (NET | 0x11n));
    expect(answers).toHaveLength(100);
    expect(asked(vm1)).toBeLessThanOrEqual(mostAsked);
  });
});
