/** Addresses of a VSI-interface that come and go by reload: what was learned of the others stays, and stays announced. */
import { beforeEach, expect, it } from "vitest";
import { EvpnWorld, type Member } from "./evpn-world.ts";

const yaml = (addresses: string): string => `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: a, vni: 10, evpn: {}}]
interfaces:
  - name: i
    vsi: a
    address: [${addresses}]
    arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:19", ac: vm1}]}
acs: [{name: vm1, vsi: a, tap: {device: t1}}]
control: {socket: /run/gw1.sock}
`;
const V4 = "10.1.1.1/24";
const V6 = "2001:db8:1::1/64";
const KNOWN = ["10.1.1.11 reachable ac", "10.1.1.9 static ac"];

let site: EvpnWorld;
let one: Member;
let withdrawn: string[];

const neighbors = () =>
  one.gateway.control.agent
    .neighborViews()
    .map(({ ip, state, origin, via }) => `${ip} ${origin === "static" ? origin : state} ${via?.kind}`)
    .sort();
const hostRoutes = () => one.engine.announced().filter((route) => route.type === 2 && route.ip !== null).length;

function start(addresses: string): void {
  site = new EvpnWorld();
  site.world.net.inbox("192.0.2.1");
  one = site.join(yaml(addresses));
  const vm = { name: "vm1", mac: "02:00:00:00:00:11", ip: "10.1.1.11", gateway: "10.1.1.1" };
  site.world.vm(one.gateway, vm);
  site.pass(1000);
  site.world.vms.get("vm1")!.ask("10.1.1.1");
  site.pass(1000);
  expect([neighbors(), hostRoutes()]).toEqual([KNOWN, 2]);
  const withdraw = one.engine.withdraw.bind(one.engine);
  one.engine.withdraw = (routes) => {
    withdrawn.push(...routes.map((route) => (route.type === 2 ? `${route.ip}` : `type ${route.type}`)));
    withdraw(routes);
  };
}

function reload(addresses: string): void {
  one.reload(yaml(addresses));
  expect(neighbors()).toEqual(KNOWN);
  site.pass(3000);
  expect([neighbors(), hostRoutes()]).toEqual([KNOWN, 2]);
  expect(withdrawn.filter((text) => !text.startsWith("type"))).toEqual([]);
}

beforeEach(() => {
  withdrawn = [];
});

it("an IPv6 address comes and goes: IPv4 neighbours stay, and are never withdrawn", () => {
  start(V4);
  reload(`${V4}, "${V6}"`);
  reload(V4);
});

it("so does a second IPv4 subnet", () => {
  start(V4);
  reload(`${V4}, 10.9.1.1/24`);
  reload(V4);
});

it("another address of ours in their own subnet makes them new, as before", () => {
  start(V4);
  one.reload(yaml("10.1.1.2/24"));
  expect(neighbors()).toEqual(["10.1.1.9 static ac"]);
});

it("a host whose address became ours is forgotten, and no other", () => {
  start(V4);
  one.reload(yaml(V4).replace("vsi: a\n", "vsi: a\n    icmpSource: 10.1.1.11\n"));
  expect(neighbors()).toEqual(["10.1.1.9 static ac"]);
});
