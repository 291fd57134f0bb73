/** Hosts that are silent: one that lives keeps its routes, one that is gone loses them. */
import { beforeEach, expect, it } from "vitest";
import { ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { Vm } from "./vm.ts";

const AGE_SECONDS = 10;
const yaml = (n: number): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, mac: {ageSeconds: ${AGE_SECONDS}}, evpn: {}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: vm${n}, vsi: vsi10, tap: {device: t${n}}}]
control: {socket: /run/gw${n}.sock}
`;
const HOST = "02:00:00:00:01:11";

let site: EvpnWorld;
let one: Member;
let two: Member;
let vm: Vm;

/** What the other gateway knows of the host. */
function known(): { readonly mac: boolean; readonly address: boolean } {
  const { agent } = two.gateway.control.shown;
  return {
    mac: agent.macs.list().some(({ mac, origin }) => mac === HOST && origin === "evpn"),
    address: [...agent.neighbors.all()].some(({ ip, origin }) => ip === 0x0a01010b && origin === "evpn"),
  };
}

beforeEach(() => {
  site = new EvpnWorld();
  for (const n of [1, 2]) site.world.net.inbox(`192.0.2.${n}`);
  [one, two] = [site.join(yaml(1)), site.join(yaml(2))];
  vm = site.world.vm(one.gateway, { name: "vm1", ip: "10.1.1.11", mac: HOST, gateway: "10.1.1.1" });
  site.pass(1000);
  vm.ask("10.1.1.1");
  site.pass(1000);
  expect(known()).toEqual({ mac: true, address: true });
});

it("one that lives is asked before its MAC ages, and keeps its routes without a gap", () => {
  const gaps: string[] = [];
  const { macs } = two.gateway.control.agent;
  macs.changes.follow(({ is }) => is === null && gaps.push("the MAC went"));
  const { length } = vm.received;
  site.pass(6 * AGE_SECONDS * 1000);
  expect(known()).toEqual({ mac: true, address: true });
  expect(gaps).toEqual([]);
  // Of a silent host little is asked: a question each time its MAC is about to age.
  expect(vm.received.length - length).toBeLessThanOrEqual(10);
});

it("one that is gone loses them when its MAC ages", () => {
  vm.alive = false;
  site.pass((AGE_SECONDS + 3) * 1000);
  expect(known()).toEqual({ mac: false, address: false });
  vm.alive = true;
  vm.ask("10.1.1.1");
  site.pass(1000);
  expect(known()).toEqual({ mac: true, address: true });
});

it("one that talks is not asked", () => {
  vm.received.length = 0;
  for (let second = 0; second < 3 * AGE_SECONDS; second++) {
    vm.ping("10.1.1.1", { sequence: second });
    site.pass(1000);
  }
  const questions = vm.received.flatMap((frame) => parseArp(frame, 0, frame.length) ?? []);
  expect(questions.filter(({ op, targetIp }) => op === ARP_REQUEST && targetIp === vm.ip)).toEqual([]);
});
