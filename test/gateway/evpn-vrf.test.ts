/**
 * VRFs of whole gateways in a fabric: prefixes (type 5) and hosts (type 2 with two labels) by an L3VNI, hop by hop, and what
 * becomes of them when routes, gateways or tunnels go.
 */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { rowsOf } from "../../src/control/sorted.ts";
import { routeViews } from "../../src/control/topology/views.ts";
import { sentencesOf, routeViews as storyOf } from "../../src/evpn/story.ts";
import { formatMac, writeMac } from "../../src/wire/ethernet.ts";
import { ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../../src/wire/icmp.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { World } from "./world.ts";

const VRFS = "vrfs: [{name: red, l3vni: 4001}]";

/** Gateway `n`: its VSIs, each with a guest's AC in VRF red. */
const leaf = (n: number, vnis: readonly number[], vrfs = VRFS): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [${vnis.map((vni) => `{name: vsi${vni}, vni: ${vni}, evpn: {}}`).join(", ")}]
interfaces: [${vnis.map((vni) => `{name: if${vni}, vsi: vsi${vni}, address: 10.1.${vni / 10}.1/24, vrf: red}`).join(", ")}]
${vrfs}
acs: [${vnis.map((vni) => `{name: vm${n}-${vni}, vsi: vsi${vni}, tap: {device: t${n}-${vni}}}`).join(", ")}]
control: {socket: /run/gw${n}.sock}
`;

/** Border `n`: an uplink in the VRF with a router behind it, and no VNI but the L3VNI. */
const border = (n: number, advertise = "default: true"): string => `node: border${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: uplink}]
interfaces: [{name: up, vsi: uplink, address: 50.1.${n}.1/24, vrf: red, distributed: false}]
vrfs: [{name: red, l3vni: 4001, evpn: {advertise: {${advertise}}}}]
routes:
  - {prefix: 0.0.0.0/0, nextHop: 50.1.${n}.2, vrf: red}
  - {prefix: 172.16.${n}.0/24, nextHop: 50.1.${n}.2, vrf: red}
acs: [{name: ext${n}, vsi: uplink, tap: {device: e${n}}}]
control: {socket: /run/border${n}.sock}
`;

let site: EvpnWorld;
let world: World;

const guest = (member: Member, n: number, vni: number) =>
  world.vm(member.gateway, {
    name: `vm${n}-${vni}`,
    ip: `10.1.${vni / 10}.${10 + n}`,
    mac: `02:00:00:00:${vni}:1${n}`,
    gateway: `10.1.${vni / 10}.1`,
  });
const outside = (member: Member, n: number) =>
  world.vm(member.gateway, { name: `ext${n}`, ip: `50.1.${n}.2`, mac: `02:00:00:00:50:0${n}`, gateway: `50.1.${n}.1` });

/** "prefix next hop, next hop" of the fabric's routes: dead ones in parentheses, those that stand by with a priority. */
function learned({ gateway }: Member): string[] {
  const { tables, inventory, routes, topology } = gateway.control.shown;
  const parts = { tables, inventory, routes, hops: topology, vrfNames: topology.interfaces.vrfNames() };
  const rows = [...rowsOf(routeViews(parts))].filter(({ origin, vrf }) => origin === "evpn" && vrf === "red");
  const hopText = ({ ip, alive, interface: on, priority }: (typeof rows)[number]["nextHops"][number]) =>
    (alive && on === "l3vni:4001" ? ip : `(${ip})`) + (priority === 1 ? "" : `@${priority}`);
  return rows.map(({ prefix, nextHops }) => `${prefix} ${nextHops.map(hopText).join(" ")}`);
}

const routerMac = ({ gateway }: Member) => gateway.control.shown.inventory.interface("l3vni:4001")!.mac;
/** Datagrams from VTEP `from` to VTEP `to`. */
const between = (from: number, to: number) =>
  world.seen.filter(
    (seen) => seen.where === "underlay" && seen.from.startsWith(`192.0.2.${from}`) && seen.to === `192.0.2.${to}`,
  );

function speak(): void {
  for (const vm of world.vms.values()) vm.ask(vm.options.gateway!);
  site.pass(1000);
  world.clear();
}

beforeEach(() => {
  site = new EvpnWorld();
  world = site.world;
  for (const n of [1, 2, 3, 4]) world.net.inbox(`192.0.2.${n}`);
});

describe("two leaves without a VNI in common", () => {
  let one: Member;
  let two: Member;

  beforeEach(() => {
    one = site.join(leaf(1, [10]));
    two = site.join(leaf(2, [20]));
    guest(one, 1, 10);
    guest(two, 2, 20);
    site.pass(1000);
    speak();
  });

  it("announce their subnets and hosts with the L3VNI, and have each other's", () => {
    expect(learned(one)).toEqual(["10.1.2.0/24 192.0.2.2", "10.1.2.12/32 192.0.2.2"]);
    expect(learned(two)).toEqual(["10.1.1.0/24 192.0.2.1", "10.1.1.11/32 192.0.2.1"]);
    const routes = one.engine.announced().map((route) => ({
      ...{ type: route.type, rd: route.rd, targets: route.targets },
      labels: route.type === 2 ? route.labels : route.type === 5 ? [route.label] : [],
      mac: route.type === 2 || route.type === 5 ? route.routerMac : null,
    }));
    expect(routes).toEqual(
      expect.arrayContaining([
        { type: 2, rd: "192.0.2.1:10", targets: ["65000:10", "65000:4001"], labels: [10, 4001], mac: routerMac(one) },
        { type: 2, rd: "192.0.2.1:10", targets: ["65000:10"], labels: [10], mac: null },
        { type: 3, rd: "192.0.2.1:10", targets: ["65000:10"], labels: [], mac: null },
        { type: 5, rd: "192.0.2.1:4001", targets: ["65000:4001"], labels: [4001], mac: routerMac(one) },
      ]),
    );
    expect(routes).toHaveLength(4);
  });

  it("route to each other's hosts through the L3VNI (symmetric IRB): the frame between them, byte by byte", () => {
    const [vm1, vm2] = [world.get("vm1-10"), world.get("vm2-20")];
    vm1.ping("10.1.2.12", { payload: 0 });
    site.pass(100);
    expect(vm1.replies).toEqual(["10.1.2.12 ttl=62"]);
    const [request] = between(1, 2);
    const macs = new Uint8Array(12);
    writeMac(macs, 0, routerMac(two));
    writeMac(macs, 6, routerMac(one));
    const golden = [
      "0800000000" + "0fa100", // VXLAN, VNI 4001
      Buffer.from(macs).toString("hex"),
      "0800",
      "4500001c" + "........" + "3f01" + "....", // TTL 63, ICMP
      "0a01010b" + "0a01020c",
      "0800",
    ].join("");
    expect(Buffer.from(request!.bytes).toString("hex")).toMatch(new RegExp(`^${golden}`));
    expect(between(2, 1)).toHaveLength(1);
    // What arrives has the host's own MAC, from its gateway's shared one.
    const [reply] = vm1.received.slice(-1);
    expect(Buffer.from(reply!.subarray(0, 12)).toString("hex")).toBe("0200000010110200" + "5e00000a");
    expect(formatMac(vm2.mac)).toBe("02:00:00:00:20:12");
  });

  it("find a silent host behind the gateway whose subnet it is in", () => {
    const silent = world.get("vm2-20");
    two.gateway.control.agent.neighbors.flushLearned(null);
    site.pass(1000);
    expect(learned(one)).toEqual(["10.1.2.0/24 192.0.2.2"]);
    world.get("vm1-10").ping("10.1.2.12");
    site.pass(500);
    expect(world.get("vm1-10").replies).toEqual(["10.1.2.12 ttl=62"]);
    expect(learned(one)).toEqual(["10.1.2.0/24 192.0.2.2", "10.1.2.12/32 192.0.2.2"]);
    expect(silent.alive).toBe(true);
  });

  it("answer for themselves: gateway addresses, a TTL that ends, a host that is not there", () => {
    const vm1 = world.get("vm1-10");
    vm1.ping("10.1.2.1");
    vm1.ping("10.1.2.12", { ttl: 2 });
    vm1.ping("10.1.2.99");
    site.pass(5000);
    expect(vm1.replies).toEqual(["10.1.2.1 ttl=63"]);
    const errors = vm1.icmp.filter(({ type }) => type === ICMP_TIME_EXCEEDED || type === ICMP_UNREACHABLE);
    // An L3VNI has no address: the errors come from the one that its VRF has.
    expect(errors.map(({ type, code, from }) => [type, code, from])).toEqual([
      [ICMP_TIME_EXCEEDED, 0, "10.1.2.1"],
      [ICMP_UNREACHABLE, 1, "10.1.2.1"],
    ]);
  });

  it("never send back into the L3VNI what came by it", () => {
    // Both believe that the other one has the prefix; a frame would go round until its TTL ends.
    const red = (member: Member) => member.gateway.control.shown.inventory.interface("l3vni:4001")!;
    const prefix = 0x0a4d0000;
    one.gateway.control.topology.fabricRoutes.set(red(one), prefix, 16, [0xc0000202 | 0]);
    two.gateway.control.topology.fabricRoutes.set(red(two), prefix, 16, [0xc0000201 | 0]);
    world.get("vm1-10").ping("10.77.1.1");
    site.pass(100);
    expect(two.gateway.drops.l3_loop).toBe(1);
    expect([between(1, 2).length, between(2, 1).length]).toEqual([1, 0]);
  });

  it("take everything away with the routes: prefixes, next hops, MACs, tunnels", () => {
    two.evpn.close();
    site.pass(1000);
    expect(learned(one)).toEqual([]);
    const { inventory, agent } = one.gateway.control.shown;
    expect(inventory.tunnels().filter(({ lingering }) => !lingering)).toEqual([]);
    expect(agent.macs.list().filter(({ origin }) => origin === "evpn")).toEqual([]);
    expect([...agent.neighbors.all()].filter(({ origin }) => origin === "evpn")).toEqual([]);
    world.get("vm1-10").ping("10.1.2.12");
    site.pass(100);
    expect(world.get("vm1-10").icmp.map(({ type, code }) => [type, code])).toEqual([[ICMP_UNREACHABLE, 0]]);
  });

  it("keep subnets and hosts announced while they drain: no other gateway has those hosts", () => {
    one.evpn.setDraining(true);
    site.pass(1000);
    expect(learned(two)).toEqual(["10.1.1.0/24 192.0.2.1", "10.1.1.11/32 192.0.2.1"]);
    expect([one.evpn.attracts, two.evpn.attracts]).toEqual([false, false]);
  });

  it("keep it all through a reload that does not touch it, and lose it with the VRF's L3VNI", () => {
    const before = learned(one);
    one.reload(leaf(1, [10]).replace("mtu: 1500", "mtu: 1500, dscp: 46"));
    site.pass(200);
    expect(learned(one)).toEqual(before);
    one.reload(leaf(1, [10], ""));
    site.pass(1000);
    expect(learned(one)).toEqual([]);
    expect(learned(two)).toEqual([]);
    expect(one.gateway.control.shown.inventory.vsi("l3vni:4001")).toBeUndefined();
    one.reload(leaf(1, [10], "vrfs: [{name: red, l3vni: 4001, evpn: {routerMac: '02:aa:00:00:00:01'}}]"));
    site.pass(1000);
    expect(learned(one)).toEqual(before);
    world.get("vm1-10").ping("10.1.2.12");
    site.pass(100);
    expect(world.get("vm1-10").replies).toEqual(["10.1.2.12 ttl=62"]);
    expect(formatMac(routerMac(one))).toBe("02:aa:00:00:00:01");
  });
});

it("leaves with both VNIs route into the host's own (asymmetric IRB), one with the VRF alone by the L3VNI", () => {
  const members = [[10, 20], [10, 20], [30]].map((vnis, i) => site.join(leaf(i + 1, vnis)));
  guest(members[0]!, 1, 10);
  guest(members[1]!, 2, 20);
  guest(members[2]!, 3, 30);
  site.pass(1000);
  speak();
  world.get("vm1-10").ping("10.1.2.12");
  world.get("vm3-30").ping("10.1.1.11");
  site.pass(100);
  expect(world.get("vm1-10").replies).toEqual(["10.1.2.12 ttl=63"]);
  expect(world.get("vm3-30").replies).toEqual(["10.1.1.11 ttl=62"]);
});

describe("Borders that announce prefixes alone", () => {
  let one: Member;
  let borders: Member[];

  beforeEach(() => {
    one = site.join(leaf(1, [10]));
    borders = [2, 3].map((n) => site.join(border(n)));
    guest(one, 1, 10);
    for (const n of [2, 3]) outside(borders[n - 2]!, n);
    site.pass(1000);
    speak();
  });

  const defaults = () => learned(one).find((text) => text.startsWith("0.0.0.0/0"));

  it("are found by them: tunnels, a default route by both, what else each has", () => {
    expect(learned(one)).toEqual([
      "0.0.0.0/0 192.0.2.2 192.0.2.3",
      "50.1.2.0/24 192.0.2.2",
      "50.1.3.0/24 192.0.2.3",
      "172.16.2.0/24 192.0.2.2",
      "172.16.3.0/24 192.0.2.3",
    ]);
    // They have no VNI of a subnet, and each has the default route of its own.
    expect(borders.map((each) => learned(each).filter((text) => text.startsWith("0.0.0.0/0")))).toEqual([[], []]);
  });

  it("take the flows in turn, each flow always the same one (ECMP), and answers come back", () => {
    const vm1 = world.get("vm1-10");
    for (let host = 1; host <= 32; host++) vm1.ping(`8.8.8.${host}`);
    site.pass(200);
    const counts = [between(1, 2).length, between(1, 3).length];
    expect(counts[0]! + counts[1]!).toBe(32);
    expect(Math.min(...counts)).toBeGreaterThan(8);
    world.clear();
    for (let host = 1; host <= 32; host++) vm1.ping(`8.8.8.${host}`, { sequence: 2 });
    site.pass(200);
    expect([between(1, 2).length, between(1, 3).length]).toEqual(counts);
    vm1.ping("50.1.3.2");
    site.pass(200);
    expect(vm1.replies).toEqual(["50.1.3.2 ttl=62"]);
  });

  it("leave the set when they withdraw, and when their tunnel goes down; flows of the others stay", () => {
    const { topology, inventory } = one.gateway.control.shown;
    topology.setTunnelUp(inventory.tunnelTo("192.0.2.3")!, false);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 (192.0.2.3)");
    for (let host = 1; host <= 16; host++) world.get("vm1-10").ping(`8.8.8.${host}`);
    site.pass(200);
    expect([between(1, 2).length, between(1, 3).length]).toEqual([16, 0]);
    topology.setTunnelUp(inventory.tunnelTo("192.0.2.3")!, true);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3");
    borders[0]!.evpn.close();
    site.pass(1000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.3");
  });

  it("stand by where another has a higher LOCAL_PREF, and take its flows when it goes", () => {
    const used = () =>
      [...rowsOf(storyOf(one.evpn, () => 0))].flatMap(({ route, nextHop, localPreference, state }) =>
        route.endsWith("[0]:[0.0.0.0]") ? [`${nextHop} ${localPreference} ${state}`] : [],
      );
    const prefer = (n: number, preference: number) => {
      site.preferences.set(`192.0.2.${n}`, preference);
      const { engine } = borders[n - 2]!;
      engine.announce(engine.announced().map((each) => ({ ...each, preference })));
      site.pass(100);
    };
    const flows = () => {
      world.clear();
      for (let host = 1; host <= 16; host++) world.get("vm1-10").ping(`8.8.8.${host}`);
      site.pass(200);
      return [between(1, 2).length, between(1, 3).length];
    };
    prefer(3, 200);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.3 192.0.2.2@2");
    expect(used()).toEqual(["192.0.2.2 100 shadowed", "192.0.2.3 200 used"]);
    expect(flows()).toEqual([0, 16]);
    expect(sentencesOf(one.evpn, { ip: "8.8.8.8" }, 0).join()).toContain(
      "of RD 192.0.2.3:4001 says so, LOCAL_PREF 200",
    );
    // What only the other announces is reached by it, whatever it is preferred by.
    expect(learned(one)).toContain("172.16.2.0/24 192.0.2.2");
    borders[1]!.evpn.close();
    site.pass(1000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2");
    expect(flows()).toEqual([16, 0]);
    borders[1]!.reload(border(3));
    site.pass(2000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.3 192.0.2.2@2");
    // Its tunnel alone is down: BGP still says that it is there.
    const { topology, inventory } = one.gateway.control.shown;
    topology.setTunnelUp(inventory.tunnelTo("192.0.2.3")!, false);
    expect(defaults()).toBe("0.0.0.0/0 (192.0.2.3) 192.0.2.2@2");
    expect(used()).toEqual(["192.0.2.2 100 used", "192.0.2.3 200 shadowed"]);
    expect(flows()).toEqual([16, 0]);
    topology.setTunnelUp(inventory.tunnelTo("192.0.2.3")!, true);
    expect(flows()).toEqual([0, 16]);
    // Equal ones share, at whatever height; one that sinks is left.
    prefer(2, 200);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3");
    prefer(3, 0);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3@2");
  });

  it("are kept while stale, and swept when they did not come again", () => {
    site.fabric.setReflecting(false);
    site.pass(5000);
    expect(one.evpn.rib.state).toBe("deaf");
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3");
    borders[1]!.engine.kill();
    site.fabric.setReflecting(true);
    site.pass(5000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2");
    expect(learned(one)).not.toContain("172.16.3.0/24 192.0.2.3");
  });

  it("are left while they drain, without a loss, and come back; one that reloads meanwhile stays away", () => {
    const vm1 = world.get("vm1-10");
    const ping = (sequence: number) => {
      for (let host = 1; host <= 8; host++) vm1.ping(`50.1.2.2`, { sequence: sequence * 8 + host });
    };
    ping(1);
    site.pass(100);
    borders[0]!.evpn.setDraining(true);
    // Not known there yet: what still comes is forwarded.
    ping(2);
    site.pass(1000);
    expect(vm1.replies).toHaveLength(16);
    expect(learned(one)).toEqual(["0.0.0.0/0 192.0.2.3", "50.1.3.0/24 192.0.2.3", "172.16.3.0/24 192.0.2.3"]);
    expect(borders[0]!.engine.announced()).toEqual([]);
    borders[0]!.reload(border(2).replace("mtu: 1500", "mtu: 1500, dscp: 46"));
    site.pass(1000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.3");
    borders[0]!.evpn.setDraining(false);
    site.pass(1000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3");
  });

  it("announce what leads on while it does: a router behind one that is dead takes its flows to the other", () => {
    const { agent, topology } = borders[0]!.gateway.control.shown;
    const [{ hops }] = [...topology.staticRoutes.hops()];
    const { adjacency } = hops[0]!;
    const isAlive = vi.spyOn(agent.neighbors, "isAlive").mockImplementation((id) => id !== adjacency);
    site.pass(2000);
    // Its own subnet is still there.
    expect(learned(one)).toEqual([
      "0.0.0.0/0 192.0.2.3",
      "50.1.2.0/24 192.0.2.2",
      "50.1.3.0/24 192.0.2.3",
      "172.16.3.0/24 192.0.2.3",
    ]);
    isAlive.mockRestore();
    site.pass(2000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3");
    expect(learned(one)).toContain("172.16.2.0/24 192.0.2.2");
    // Without a default route of its own, it announces one because it was told to.
    borders[0]!.reload(border(2).replace(/ {2}- \{prefix: 0.0.0.0\/0.*\n/, ""));
    site.pass(2000);
    expect(defaults()).toBe("0.0.0.0/0 192.0.2.2 192.0.2.3");
  });

  it("announce what the configuration allows", () => {
    borders[0]!.reload(border(2, "connected: false, static: false"));
    site.pass(1000);
    expect(learned(one)).toEqual(["0.0.0.0/0 192.0.2.3", "50.1.3.0/24 192.0.2.3", "172.16.3.0/24 192.0.2.3"]);
  });
});
