/** A tunnel whose last route has gone: what its peer still sends arrives for a while, and nothing is sent by it. */
import { beforeEach, expect, it } from "vitest";
import { Timers } from "../../src/control/timers.ts";
import { LINGER_MS, Lingering, MOST_LINGERING } from "../../src/control/topology/lingering.ts";
import { ICMP_ECHO_REQUEST } from "../../src/wire/icmp.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";

const leaf = `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: a, vni: 10, evpn: {}}]
interfaces: [{name: i, vsi: a, address: 10.1.1.1/24, vrf: red}]
vrfs: [{name: red, l3vni: 4001}]
acs: [{name: vm1, vsi: a, tap: {device: t1}}]
control: {socket: /run/gw1.sock}
`;
/** An uplink in the VRF, and no VNI but the L3VNI: it announces no type 3. */
const border = `node: border2
underlay: {address: 192.0.2.2, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: uplink}]
interfaces: [{name: up, vsi: uplink, address: 50.1.2.1/24, vrf: red, distributed: false}]
vrfs: [{name: red, l3vni: 4001, evpn: {advertise: {default: true}}}]
routes: [{prefix: 0.0.0.0/0, nextHop: 50.1.2.2, vrf: red}]
acs: [{name: ext, vsi: uplink, tap: {device: e}}]
control: {socket: /run/border2.sock}
`;
const VTEP = "192.0.2.2";

let site: EvpnWorld;
let [one, two]: Member[] = [];

/** Pings from outside that reach the VM. */
function arrived(): number {
  const pings = () => site.world.get("vm1").icmp.filter(({ type }) => type === ICMP_ECHO_REQUEST).length;
  const before = pings();
  for (let sequence = 1; sequence <= 10; sequence++) {
    site.world.get("ext").ping("10.1.1.11", { sequence });
    site.pass(20);
  }
  return pings() - before;
}
const tunnel = () => one!.gateway.control.shown.inventory.tunnelTo(VTEP);
const sentTo = (vtep: string) => site.world.seen.filter((each) => each.where === "underlay" && each.to === vtep).length;

beforeEach(() => {
  site = new EvpnWorld();
  for (const n of [1, 2]) site.world.net.inbox(`192.0.2.${n}`);
  [one, two] = [site.join(leaf), site.join(border)];
  const vm = { name: "vm1", mac: "02:00:00:00:00:11", ip: "10.1.1.11", gateway: "10.1.1.1" };
  site.world.vm(one!.gateway, vm);
  site.world.vm(two!.gateway, { name: "ext", mac: "02:00:00:00:50:02", ip: "50.1.2.2", gateway: "50.1.2.1" });
  site.pass(1000);
  for (const each of site.world.vms.values()) each.ask(each.options.gateway!);
  site.pass(1000);
  expect(arrived()).toBe(10);
  two!.evpn.setDraining(true);
  site.pass(1000);
});

it("takes what a Border that drains still forwards, and ends in time", () => {
  expect([...one!.evpn.fabric.views()]).toEqual([]);
  expect(tunnel()).toMatchObject({ lingering: true, name: `evpn:${VTEP}` });
  expect(one!.gateway.control.topology.tunnels.lingering.list()).toEqual(new Map([[VTEP, [4001]]]));
  site.world.clear();
  expect(arrived()).toBe(10);
  expect(one!.gateway.drops.unknown_vtep).toBeUndefined();
  // Nothing goes back by it.
  expect(sentTo(VTEP)).toBe(0);
  site.world.advance(LINGER_MS);
  expect(tunnel()).toBeUndefined();
  expect(arrived()).toBe(0);
  expect(one!.gateway.drops.unknown_vtep).toBe(10);
});

it("is taken over by a route that comes back: the same port, and no second end", () => {
  const port = tunnel();
  site.world.advance(LINGER_MS / 2);
  two!.evpn.setDraining(false);
  site.pass(1000);
  expect(tunnel()).toBe(port);
  expect(port!.lingering).toBe(false);
  site.world.advance(LINGER_MS);
  site.pass(1000);
  expect(tunnel()).toBe(port);
  const before = site.world.get("ext").replies.length;
  expect([arrived(), site.world.get("ext").replies.length - before]).toEqual([10, 10]);
});

it("ends at once with a configuration, and with EVPN", () => {
  one!.reload(`log: {level: warn}\n${leaf}`);
  expect(tunnel()).toBeUndefined();
  two!.evpn.setDraining(false);
  site.pass(1000);
  two!.evpn.setDraining(true);
  site.pass(1000);
  expect(tunnel()?.lingering).toBe(true);
  one!.entries.close();
  expect(tunnel()).toBeUndefined();
});

it("is not for what a sweep removes: that was not taken back", () => {
  two!.evpn.setDraining(false);
  site.pass(1000);
  expect(tunnel()?.lingering).toBe(false);
  one!.engine.kill();
  site.pass(100);
  site.world.advance(200_000);
  site.pass(1000);
  expect(one!.evpn.rib.size).toBe(0);
  expect(tunnel()).toBeUndefined();
});

it("is bounded: the oldest ends", () => {
  const ended: number[] = [];
  const timers = new Timers(0);
  const lingering = new Lingering(timers, (_, vni) => void ended.push(vni));
  for (let vni = 1; vni <= MOST_LINGERING + 2; vni++) lingering.add(VTEP, vni);
  expect([ended, lingering.size]).toEqual([[1, 2], MOST_LINGERING]);
  expect(lingering.take(VTEP, 3)).toBe(true);
  timers.run(LINGER_MS - 1);
  expect(ended).toEqual([1, 2]);
  timers.run(LINGER_MS);
  expect([ended.length, ended.includes(3), lingering.size]).toEqual([MOST_LINGERING + 1, false, 0]);
});
