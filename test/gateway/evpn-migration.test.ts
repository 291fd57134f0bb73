/**
 * `learning: both`: gateways of an EVPN fabric beside a peer that speaks none of it (a bridge with VXLAN, as the kernel's), by a
 * static tunnel from each of them.
 *
 *     a1 - gw1 ══ EVPN ══ gw2 - a2
 *             \            /
 *              old (static) - k9
 */
import { beforeEach, expect, it } from "vitest";
import { formatMac } from "../../src/wire/ethernet.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { Vm } from "./vm.ts";
import type { Gateway, World } from "./world.ts";

/** `more`: keys of VSI 10 within `evpn`. */
const yaml = (n: number, more = ""): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
tunnels: [{name: old, remote: 192.0.2.9}]
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, evpn: {learning: both${more}}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}]
control: {socket: /run/gw${n}.sock}
`;
const OLD = `node: old
underlay: {address: 192.0.2.9, mtu: 1500}
tunnels: [{name: gw1, remote: 192.0.2.1}, {name: gw2, remote: 192.0.2.2}]
vsis: [{name: vsi10, vni: 10}]
acs: [{name: k9, vsi: vsi10, tap: {device: k9}}]
control: {socket: /run/old.sock}
`;

let site: EvpnWorld;
let world: World;
let members: Member[];
let old: Gateway;
let [a1, a2, k9]: Vm[] = [];

const macOf = (gateway: Gateway, vm: Vm) =>
  gateway.control.agent.macs
    .list()
    .flatMap(({ mac, via, origin }) => (mac === formatMac(vm.mac) ? [`${via?.name} ${origin}`] : []));
/** Copies of frames of `vm` on the underlay, by sender and receiver. */
const copies = (vm: Vm) =>
  world.seen
    .filter(({ where, bytes }) => where === "underlay" && formatMac(vm.mac) === hex(bytes.subarray(14, 20)))
    .map(({ from, to }) => `${from} ${to}`);
const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");

function answers(from: Vm, to: string): readonly string[] {
  const before = from.replies.length;
  from.ping(to);
  site.pass(200);
  return from.replies.slice(before);
}

beforeEach(() => {
  site = new EvpnWorld();
  ({ world, members } = site);
  for (const n of [1, 2, 9]) world.net.inbox(`192.0.2.${n}`);
  for (const n of [1, 2]) site.join(yaml(n));
  old = world.gateway(OLD);
  const guest = (gateway: Gateway, name: string, last: number) =>
    world.vm(gateway, {
      ...{ name, ip: `10.1.1.${last}`, mac: `02:00:00:00:01:${last}`, gateway: "10.1.1.1" },
    });
  [a1, a2, k9] = [guest(members[0]!.gateway, "a1", 11), guest(members[1]!.gateway, "a2", 12), guest(old, "k9", 19)];
  site.pass(1000);
  for (const vm of [a1, a2]) vm!.ask("10.1.1.1");
  site.pass(1000);
});

it("all reach each other, by routes where there are, by what frames taught where there are not", () => {
  expect(answers(a1!, "10.1.1.12")).toEqual(["10.1.1.12 ttl=64"]);
  expect(answers(a1!, "10.1.1.19")).toEqual(["10.1.1.19 ttl=64"]);
  expect(answers(k9!, "10.1.1.12")).toEqual(["10.1.1.12 ttl=64"]);
  const [one, two] = members.map(({ gateway }) => gateway);
  expect(macOf(one!, a2!)).toEqual(["evpn:192.0.2.2 evpn"]);
  expect([macOf(one!, k9!), macOf(two!, k9!)]).toEqual([["old learned"], ["old learned"]]);
  expect([macOf(old, a1!), macOf(old, a2!)]).toEqual([["gw1 learned"], ["gw2 learned"]]);
});

it("a flood goes once to each VTEP of either kind, and what came by a tunnel goes into none", () => {
  world.clear();
  a1!.ask("10.1.1.77");
  site.pass(100);
  expect(copies(a1!).sort()).toEqual(["192.0.2.1 192.0.2.2", "192.0.2.1 192.0.2.9"]);
  world.clear();
  k9!.ask("10.1.1.77");
  site.pass(100);
  expect(copies(k9!).sort()).toEqual(["192.0.2.9 192.0.2.1", "192.0.2.9 192.0.2.2"]);
});

it("no gateway announces what is behind the static tunnel", () => {
  answers(k9!, "10.1.1.11");
  answers(a1!, "10.1.1.19");
  const announced = members.flatMap(({ engine }) => engine.announced());
  expect(announced.flatMap((route) => (route.type === 2 ? [formatMac(route.mac)] : []))).not.toContain(
    formatMac(k9!.mac),
  );
});

it("a frame by the static tunnel that claims a host of a route does not move it", () => {
  k9!.sendArp({ op: 1, ethSrc: a2!.mac, senderMac: a2!.mac, senderIp: a2!.ip, targetIp: a1!.ip });
  site.pass(500);
  expect(macOf(members[0]!.gateway, a2!)).toEqual(["evpn:192.0.2.2 evpn"]);
  expect(answers(a1!, "10.1.1.12")).toEqual(["10.1.1.12 ttl=64"]);
});

it("a host behind the static peer whose MAC is forgotten is still reached by who knows it: unknown unicast is flooded", () => {
  expect(answers(a1!, "10.1.1.19")).toEqual(["10.1.1.19 ttl=64"]);
  const { agent, inventory } = members[0]!.gateway.control.shown;
  agent.macs.delete(inventory.vsi("vsi10")!, k9!.mac);
  expect(answers(a1!, "10.1.1.19")).toEqual(["10.1.1.19 ttl=64"]);
});

it("a host moves from the static peer into the fabric, and back", () => {
  answers(a1!, "10.1.1.19");
  const moved = world.vm(members[1]!.gateway, { ...k9!.options, name: "a2" });
  moved.sendArp({ op: 1, targetIp: a1!.ip });
  site.pass(500);
  const [one, two] = members.map(({ gateway }) => gateway);
  expect(macOf(one!, moved)).toEqual(["evpn:192.0.2.2 evpn"]);
  expect(answers(a1!, "10.1.1.19")).toEqual(["10.1.1.19 ttl=64"]);
  // Back: no route tells; frames do, from where no route holds it any more.
  world.vm(two!, a2!.options);
  world.vm(old, k9!.options).sendArp({ op: 1, targetIp: a1!.ip });
  site.pass(1500);
  expect(macOf(one!, k9!)).toEqual(["old learned"]);
  expect(answers(a1!, "10.1.1.19")).toEqual(["10.1.1.19 ttl=64"]);
});

it("the last step: without the static tunnel frames teach nothing, and nothing of it is left", () => {
  answers(a1!, "10.1.1.19");
  members[0]!.reload(
    yaml(1).replace("{learning: both}", "{}").replace("tunnels: [{name: old, remote: 192.0.2.9}]\n", ""),
  );
  site.pass(1500);
  expect(macOf(members[0]!.gateway, k9!)).toEqual([]);
  expect(members[0]!.gateway.control.shown.inventory.tunnels().map(({ name }) => name)).toEqual(["evpn:192.0.2.2"]);
  expect(answers(a1!, "10.1.1.12")).toEqual(["10.1.1.12 ttl=64"]);
});
