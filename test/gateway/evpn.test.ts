/**
 * Whole gateways in a fabric: real planes and real tables over memory io, EVPN over engines in memory. What frames do when routes
 * say who is where, and what a reload changes.
 */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { parseArp } from "../../src/wire/arp.ts";
import { formatMac } from "../../src/wire/ethernet.ts";
import { formatIpv4, parseIpv4 } from "../../src/wire/ipv4.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { World } from "./world.ts";

const SHARED = { 10: "02:00:5e:00:00:0a", 20: "02:00:5e:00:00:14" };

/** Gateway `n` with VSIs 10 and 20 and an AC in each; `more`: keys of VSI 10. */
const yaml = (n: number, more = "evpn: {}"): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, ${more}}, {name: vsi20, vni: 20, evpn: {}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24, mac: shared}, {name: if20, vsi: vsi20, address: 10.1.2.1/24}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}, {name: b${n}, vsi: vsi20, tap: {device: b${n}}}]
control: {socket: /run/gw${n}.sock}
`;

let site: EvpnWorld;
let world: World;
let members: Member[];

const join = (n: number, more?: string): Member => site.join(yaml(n, more));
const pass = (ms: number): void => site.pass(ms);

const guest = (n: number, subnet: 1 | 2) =>
  world.vm(members[n - 1]!.gateway, {
    name: `${subnet === 1 ? "a" : "b"}${n}`,
    ip: `10.1.${subnet}.${10 + n}`,
    mac: `02:00:00:00:0${subnet}:1${n}`,
    gateway: `10.1.${subnet}.1`,
  });

/** ARP that left for VTEP `to`: "sender-mac sender-ip asks for target". */
const arpTo = (to: number) =>
  world.seen
    .filter((seen) => seen.where === "underlay" && seen.to === `192.0.2.${to}`)
    .flatMap(({ bytes }) => parseArp(bytes, 8, bytes.length) ?? [])
    .map((arp) => `${formatMac(arp.senderMac)} ${formatIpv4(arp.senderIp)} ${formatIpv4(arp.targetIp)}`);

beforeEach(() => {
  site = new EvpnWorld();
  ({ world, members } = site);
  for (const n of [1, 2]) world.net.inbox(`192.0.2.${n}`);
});

describe("two gateways", () => {
  beforeEach(() => {
    for (const n of [1, 2]) join(n);
    for (const n of [1, 2]) for (const subnet of [1, 2] as const) guest(n, subnet);
    pass(1000);
    for (const vm of world.vms.values()) vm.ask(vm.options.gateway!);
    pass(1000);
    world.clear();
  });

  it("bridge in one subnet with the hosts' own MACs, and the question never leaves the site", () => {
    const [a1, a2] = [world.get("a1"), world.get("a2")];
    a1.ping("10.1.1.12");
    pass(100);
    expect(a1.replies).toEqual(["10.1.1.12 ttl=64"]);
    expect(a1.arp.get(a2.ip)).toBe(a2.mac);
    expect(arpTo(2)).toEqual([]);
  });

  it("route to another subnet into its VNI, both with the shared gateway MAC", () => {
    world.get("a1").ping("10.1.2.12");
    pass(100);
    expect(world.get("a1").replies).toEqual(["10.1.2.12 ttl=63"]);
    const macs = members.map(({ gateway }) => formatMac(gateway.control.shown.inventory.interface("if20")!.mac));
    expect(macs).toEqual([SHARED[20], SHARED[20]]);
  });

  it("learn nothing from frames of a tunnel: what routes do not say is not known", () => {
    const [one, two] = members.map(({ gateway }) => gateway.control.agent);
    const a2 = world.get("a2");
    // A frame with a source that no route speaks of: the gateway behind the tunnel is told to keep it to itself.
    members[1]!.entries.close();
    const told = vi.spyOn(one!.macs, "learn");
    a2.sendArp({
      op: 1,
      ethSrc: 0x020000000999,
      senderMac: 0x020000000999,
      senderIp: parseIpv4("10.1.1.99")!,
      targetIp: parseIpv4("10.1.1.88")!,
    });
    pass(100);
    const has = (agent: typeof one) => agent!.macs.list().some(({ mac }) => mac === "02:00:00:00:09:99");
    expect([has(one), has(two)]).toEqual([false, true]);
    // Not even told of: a peer with a million source MACs costs control nothing.
    expect(told).not.toHaveBeenCalled();
  });

  it("ask for an unknown host in their own name, at the ACs and at every VTEP", () => {
    world.get("a1").ping("10.1.2.77");
    pass(100);
    expect(arpTo(2)).toEqual([`${SHARED[20]} 10.1.2.1 10.1.2.77`]);
  });

  it("take the tunnel away with the last route, and what was behind it", () => {
    const { inventory, agent } = members[0]!.gateway.control.shown;
    expect(inventory.tunnels().map(({ name }) => name)).toEqual(["evpn:192.0.2.2"]);
    members[1]!.evpn.close();
    pass(3000);
    expect(inventory.tunnels().filter(({ lingering }) => !lingering)).toEqual([]);
    expect(agent.macs.list().filter(({ origin }) => origin === "evpn")).toEqual([]);
  });

  it("keep routes and entries through a reload that does not touch them", () => {
    const { gateway, evpn, reload } = members[0]!;
    const before = [evpn.rib.size, evpn.exporter.size, gateway.control.agent.macs.size];
    reload(yaml(1).replace("mtu: 1500", "mtu: 1500, dscp: 46"));
    pass(200);
    expect([evpn.rib.size, evpn.exporter.size, gateway.control.agent.macs.size]).toEqual(before);
    world.get("a1").ping("10.1.1.12");
    pass(100);
    expect(world.get("a1").replies).toEqual(["10.1.1.12 ttl=64"]);
  });

  it("leave a VSI by a reload, and come back to it", () => {
    const apply = (text: string) => {
      members[0]!.reload(text);
      pass(1000);
    };
    apply(yaml(1, "arp: suppress"));
    const other = members[1]!.gateway.control.agent;
    expect(other.macs.list().some(({ mac }) => mac === "02:00:00:00:01:11")).toBe(false);
    apply(yaml(1));
    world.get("a1").ask("10.1.1.1");
    pass(1000);
    expect(other.macs.list().find(({ mac }) => mac === "02:00:00:00:01:11")).toMatchObject({ origin: "evpn" });
    world.get("a1").ping("10.1.1.12");
    pass(100);
    expect(world.get("a1").replies).toEqual(["10.1.1.12 ttl=64"]);
  });
});

it("localProxy never passes a guest's address on with the gateway's MAC: the fabric is asked in our name", () => {
  join(1, "evpn: {}, arp: localProxy");
  join(2);
  const a1 = guest(1, 1);
  pass(1000);
  world.clear();
  a1.ask("10.1.1.12");
  a1.sendArp({ op: 1, targetIp: a1.ip });
  pass(100);
  expect(arpTo(2)).toEqual([`${SHARED[10]} 10.1.1.1 10.1.1.12`]);
});
