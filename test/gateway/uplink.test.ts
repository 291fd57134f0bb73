/** An uplink, a VSI without a VNI: a LAN that is somebody else's. The gateway has an address there and proxies for no host. */
import { expect, it } from "vitest";
import { formatMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { World } from "./world.ts";

const YAML = `node: border
underlay: {address: 192.0.2.3, mtu: 1500}
vsis: [{name: uplink}, {name: inside, vni: 10}]
interfaces:
  - {name: outside, vsi: uplink, address: 50.1.1.254/24, distributed: false}
  - {name: inner, vsi: inside, address: 10.1.1.1/24}
acs:
  - {name: ext1, vsi: uplink, tap: {device: t1}}
  - {name: ext2, vsi: uplink, tap: {device: t2}}
  - {name: vm1, vsi: inside, tap: {device: t3}}
`;
const ip = (text: string) => parseIpv4(text)!;

function lan() {
  const world = new World();
  const border = world.gateway(YAML);
  const host = (name: string, last: number) =>
    world.vm(border, { name, ip: `50.1.1.${last}`, mac: `02:00:00:00:50:0${last}`, gateway: "50.1.1.254" });
  const hosts = [host("ext1", 1), host("ext2", 2)] as const;
  const vm = world.vm(border, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
  return { world, border, hosts, vm };
}

it("its hosts find each other themselves, and the gateway finds and is found", () => {
  const { world, border, hosts, vm } = lan();
  const [ext1, ext2] = hosts;
  ext1.ping("50.1.1.2");
  world.settle();
  expect(formatMac(ext1.arp.get(ip("50.1.1.2"))!)).toBe("02:00:00:00:50:02");
  expect(ext1.replies).toHaveLength(1);
  ext1.ask("50.1.1.254");
  world.settle();
  const own = border.control.shown.inventory.interface("outside")!.mac;
  expect(ext1.arp.get(ip("50.1.1.254"))).toBe(own);
  vm.ping("50.1.1.2");
  world.settle();
  expect(vm.replies).toHaveLength(1);
  ext2.ping("10.1.1.11", { sequence: 7 });
  world.settle();
  expect(ext2.replies).toHaveLength(1);
});

it("a question for a host that is not there gets no answer", () => {
  const { world, hosts } = lan();
  hosts[0].ask("50.1.1.77");
  world.advance(5000);
  expect(hosts[0].arp.get(ip("50.1.1.77"))).toBeUndefined();
});

it("a proxy there is a proxy on request", () => {
  const world = new World();
  const border = world.gateway(YAML.replace("{name: uplink}", "{name: uplink, arp: localProxy}"));
  const one = world.vm(border, { name: "ext1", ip: "50.1.1.1", mac: "02:00:00:00:50:01", gateway: "50.1.1.254" });
  one.ask("50.1.1.2");
  world.settle();
  expect(one.arp.get(ip("50.1.1.2"))).toBe(border.control.shown.inventory.interface("outside")!.mac);
});
