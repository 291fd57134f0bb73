/** Routes from one VRF into another, on whole gateways: what crosses, byte by byte, what does not, and what guards stay. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Trace } from "../../src/api/schema-trace.ts";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { parseConfig } from "../../src/config/load.ts";
import { routeValue } from "../../src/control/routes/routes.ts";
import { settingsOf } from "../../src/evpn/settings.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { ROUTE_VRF } from "../../src/tables/fib.ts";
import { parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { ICMP_ECHO_REQUEST, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../../src/wire/icmp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { UNWATCHED } from "../api/fake-source.ts";
import { datagrams, gw, sites } from "./sites.ts";
import { icmpPacket, type Vm } from "./vm.ts";
import { type Gateway, World } from "./world.ts";

const LEAKS = `
  - {prefix: 10.3.1.0/24, viaVrf: red}
  - {prefix: 10.1.1.0/24, vrf: red, viaVrf: main}
  - {prefix: 0.0.0.0/0, vrf: red, viaVrf: main, nextHop: 50.1.1.2}`;

const yaml = (routes = LEAKS, more = "") => `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
vsis: [{name: vsi10, vni: 10}, {name: vsi30, vni: 30}, {name: uplink}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: if30, vsi: vsi30, address: 10.3.1.1/24, vrf: red}
  - {name: up, vsi: uplink, address: 50.1.1.1/24, distributed: false}
acs:
  - {name: vm1, vsi: vsi10, tap: {device: t1}}
  - {name: vmr, vsi: vsi30, tap: {device: t2}, antiSpoof: true}
  - {name: ext, vsi: uplink, tap: {device: t3}}
routes: ${routes}
${more}
control: {socket: /run/gw1.sock}
`;

let world: World;
let gateway: Gateway;
let vm1: Vm;
let vmr: Vm;
let ext: Vm;

const errorsOf = (vm: Vm) =>
  vm.icmp
    .filter(({ type }) => type === ICMP_TIME_EXCEEDED || type === ICMP_UNREACHABLE)
    .map(({ type, code, from }) => [type, code, from]);
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const macsOf = (to: number, from: number): string => {
  const macs = new Uint8Array(12);
  writeMac(macs, 0, to);
  writeMac(macs, 6, from);
  return hexOf(macs);
};
const macOf = (iface: string, at = gateway) => at.control.shown.inventory.interface(iface)!.mac;

beforeEach(() => {
  world = new World();
  gateway = world.gateway(yaml());
  vm1 = world.vm(gateway, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:10:11", gateway: "10.1.1.1" });
  vmr = world.vm(gateway, { name: "vmr", ip: "10.3.1.11", mac: "02:00:00:00:30:11", gateway: "10.3.1.1" });
  ext = world.vm(gateway, { name: "ext", ip: "50.1.1.2", mac: "02:00:00:00:50:02", gateway: "50.1.1.1" });
});

describe("a packet into another VRF", () => {
  it("is routed there once: TTL, MACs and checksum, byte by byte, and so is the answer", () => {
    vm1.ping("10.3.1.11", { payload: 0 });
    world.advance(100);
    expect(vm1.replies).toEqual(["10.3.1.11 ttl=63"]);
    const request = vmr.received.map(hexOf).find((frame) => frame.slice(24, 28) === "0800")!;
    const ip = "4500001c" + "........" + "3f01" + "....";
    expect(request).toMatch(new RegExp(`^${macsOf(vmr.mac, macOf("if30"))}0800${ip}0a01010b0a03010b0800`));
    const reply = vm1.received.map(hexOf).find((frame) => frame.slice(24, 28) === "0800")!;
    expect(reply).toMatch(new RegExp(`^${macsOf(vm1.mac, macOf("if10"))}0800${ip}0a03010b0a01010b0000`));
    expect(gateway.drops).toEqual({});
  });

  it("to a next hop in it goes there, and what comes back finds its way", () => {
    vmr.ping("8.8.8.8");
    world.advance(100);
    const sent = ext.received.map(hexOf).filter((frame) => frame.startsWith(`${macsOf(ext.mac, macOf("up"))}0800`));
    expect(sent).toHaveLength(1);
    ext.ping("10.3.1.11");
    world.advance(100);
    expect(ext.replies).toEqual(["10.3.1.11 ttl=63"]);
  });

  it("for a gateway address there is answered, and errors come from the gateway of the asker", () => {
    vm1.ping("10.3.1.1");
    vm1.ping("10.3.1.99");
    vm1.ping("10.3.1.11", { ttl: 1 });
    vm1.ping("10.4.1.1");
    world.advance(5000);
    expect(vm1.replies).toEqual(["10.3.1.1 ttl=64"]);
    expect(errorsOf(vm1)).toEqual([
      [ICMP_TIME_EXCEEDED, 0, "10.1.1.1"],
      [ICMP_UNREACHABLE, 0, "10.1.1.1"],
      [ICMP_UNREACHABLE, 1, "10.1.1.1"],
    ]);
  });

  it("does not get past anti-spoofing or a policy of where it came from", () => {
    vmr.ask("10.3.1.1");
    world.advance(100);
    // An address of the other VRF, and the packet would have a way there.
    const forged = icmpPacket(parseIpv4("10.1.1.99")!, vm1.ip, ICMP_ECHO_REQUEST, 64, 1, 0, true);
    vmr.sendPacket(forged);
    world.advance(100);
    expect(gateway.drops.anti_spoof).toBe(1);
    const before = vm1.received.length;
    gateway.reload(
      yaml(
        LEAKS,
        "policies: [{name: p, interfaces: [if30], rules: [{match: {destination: 10.1.1.0/24}, drop: true}]}]",
      ),
    );
    vmr.ping("10.1.1.11");
    world.advance(100);
    expect(gateway.drops.policy_drop).toBe(1);
    expect(vm1.received.length).toBe(before);
  });

  it("never crosses twice, whatever the tables say", () => {
    const { routes, topology } = gateway.control.shown;
    const [main, red] = [topology.interfaces.vrf("main"), topology.interfaces.vrf("red")];
    routes.set("static", main, 0x0a090000, 16, routeValue(ROUTE_VRF, red));
    routes.set("static", red, 0x0a090000, 16, routeValue(ROUTE_VRF, main));
    vm1.ping("10.9.1.1");
    world.advance(100);
    expect(errorsOf(vm1)).toEqual([[ICMP_UNREACHABLE, 0, "10.1.1.1"]]);
    expect(routes.find(main, 0x0a090101)).toBe(0);
  });

  it("follows a reload: nothing crosses without its route, and again with it", () => {
    gateway.reload(yaml("[]"));
    vm1.ping("10.3.1.11");
    world.advance(100);
    expect(errorsOf(vm1)).toEqual([[ICMP_UNREACHABLE, 0, "10.1.1.1"]]);
    gateway.reload(yaml());
    vm1.ping("10.3.1.11", { sequence: 2 });
    world.advance(100);
    expect(vm1.replies).toEqual(["10.3.1.11 ttl=63"]);
    // The same prefix by a next hop instead.
    gateway.reload(
      yaml(
        LEAKS.replace(
          "{prefix: 10.3.1.0/24, viaVrf: red}",
          "{prefix: 10.3.1.0/24, viaVrf: red, nextHops: [10.3.1.11, 10.3.1.12]}",
        ),
      ),
    );
    expect(shownRoutes()).toContain("main 10.3.1.0/24 forward red 10.3.1.11,10.3.1.12");
  });

  const shownRoutes = () =>
    [...new Shown(gateway.control.shown, { view: () => UNWATCHED }).routes()].flatMap((row) =>
      typeof row === "object" && row.origin === "static"
        ? [`${row.vrf} ${row.prefix} ${row.action} ${row.viaVrf} ${row.nextHops.map(({ ip }) => ip)}`]
        : [],
    );

  it("is told: routes, why, trace with both VRFs", () => {
    expect(shownRoutes()).toEqual([
      "main 10.3.1.0/24 vrf red ",
      "red 0.0.0.0/0 forward main 50.1.1.2",
      "red 10.1.1.0/24 vrf main ",
    ]);
    vm1.ping("10.3.1.11");
    world.advance(100);
    const tracer = new Tracer(gateway.control.shown, gateway.control.injector);
    const trace = (source: string, destination: string) => {
      const fields = { ttl: 64, dscp: 0, size: 84, df: false, sourcePort: 1, destinationPort: 2, inject: false };
      return tracer.trace({ protocol: "icmp", ...fields, source, destination }, () => undefined) as Trace;
    };
    const fib = (answer: Trace) => answer.steps.find(({ stage }) => stage === "fib")!;
    expect(fib(trace("10.1.1.11", "10.3.1.11"))).toMatchObject({
      text: "10.3.1.0/24 to VRF red: 10.3.1.11/32 host on if30",
      result: "host 10.3.1.11 is resolved",
    });
    expect(fib(trace("10.3.1.11", "10.1.1.1"))).toMatchObject({
      text: "VRF red: 10.1.1.0/24 to VRF main: 10.1.1.1/32 local",
      result: "an address of if10: to control",
    });
    const answers = new WhyAnswers(gateway.control.shown, new Shown(gateway.control.shown, { view: () => UNWATCHED }));
    const question = { ip: "10.1.1.11", mac: null, interface: null, vsi: null, vrf: "red" };
    expect(Why.parse(answers.why(question)).sentences.join(" ")).toContain(
      "VRF red has 10.1.1.0/24 as its longest match: the look-up goes on in VRF main.",
    );
  });
});

it("between gateways: the packet leaves in the VNI of the other VRF, and the answer in that of the first", () => {
  const all = sites(
    2,
    (n) => `vsis: [{name: vsi10, vni: 10}, {name: vsi30, vni: 30}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: if30, vsi: vsi30, address: 10.3.1.1/24, vrf: red}
acs: [${n === 1 ? "{name: vm1, vsi: vsi10, tap: {device: t1}}" : "{name: vmr, vsi: vsi30, tap: {device: t2}}"}]
routes: [{prefix: 10.3.1.0/24, viaVrf: red}, {prefix: 10.1.1.0/24, vrf: red, viaVrf: main}]`,
  );
  const [one, two] = [gw(all, 1), gw(all, 2)];
  const near = all.vm(one, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:10:11", gateway: "10.1.1.1" });
  const far = all.vm(two, { name: "vmr", ip: "10.3.1.11", mac: "02:00:00:00:30:11", gateway: "10.3.1.1" });
  for (const vm of [near, far]) vm.ask(vm.options.gateway!);
  all.advance(500);
  near.ping("10.3.1.11");
  all.advance(3000);
  expect(near.replies).toEqual(["10.3.1.11 ttl=62"]);
  all.clear();
  near.ping("10.3.1.11", { payload: 0, sequence: 2 });
  all.advance(100);
  const golden = (vni: string, to: number, from: number, ends: string) =>
    new RegExp(`^0800000000${vni}00${macsOf(to, from)}08004500001c........3f01....${ends}`);
  expect(hexOf(datagrams(all, 1, 2)[0]!)).toMatch(
    golden("001e", macOf("if30", two), macOf("if30", one), "0a01010b0a03010b0800"),
  );
  expect(hexOf(datagrams(all, 2, 1)[0]!)).toMatch(
    golden("000a", macOf("if10", one), macOf("if10", two), "0a03010b0a01010b0000"),
  );
});

it("is announced by type 5 like any static route of its VRF", () => {
  const text = yaml()
    .replace("{name: vsi30, vni: 30}", "{name: vsi30, vni: 30, evpn: {}}")
    .replace(
      "routes:",
      "evpn: {engine: {socket: /run/bgp.sock}, as: 65000}\nvrfs: [{name: red, l3vni: 4001}]\nroutes:",
    );
  const read = parseConfig(text, "gw1.yaml");
  if ("errors" in read) throw new Error(JSON.stringify(read.errors));
  const { prefixes } = settingsOf(read.config, () => parseMac("02:aa:00:00:00:01"))!;
  expect(prefixes.map(({ vrf, text: prefix }) => `${vrf} ${prefix}`)).toEqual(["red 10.3.1.0/24", "red 10.1.1.0/24"]);
});
