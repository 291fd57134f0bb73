/** A VSI or a VRF that leaves the fabric: its routes, entries and tunnels go in one go, and nothing else does. */
import { beforeEach, expect, it } from "vitest";
import { rowsOf } from "../../src/control/sorted.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";

const yaml = (n: number, vnis: readonly number[], vrfs = "vrfs: [{name: red, l3vni: 4001}]"): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [${vnis.map((vni) => `{name: vsi${vni}, vni: ${vni}, evpn: {}}`).join(", ")}]
interfaces: [${vnis.map((vni) => `{name: if${vni}, vsi: vsi${vni}, address: 10.1.${vni / 10}.1/24, vrf: red}`).join(", ")}]
${vrfs}
acs: [${vnis.map((vni) => `{name: vm${n}-${vni}, vsi: vsi${vni}, tap: {device: t${n}-${vni}}}`).join(", ")}]
control: {socket: /run/gw${n}.sock}
`;

let site: EvpnWorld;
let [one, two]: Member[] = [];

/** Prefixes and hosts of the VRF that are in the tables. */
const routes = ({ evpn }: Member): number => evpn.vrfs.vrf("l3vni:4001")?.size ?? 0;
const macs = ({ gateway }: Member, vsi: string) =>
  gateway.control.agent.macs.list().filter((row) => row.vsi === vsi && row.origin === "evpn").length;
const vnisOf = ({ evpn }: Member) =>
  Array.from(rowsOf(evpn.fabric.views()), ({ vtep, vnis }) => `${vtep} ${vnis.join(",")}`);
const own = ({ engine }: Member, rd: string) => engine.announced().filter((route) => route.rd.endsWith(rd));

beforeEach(() => {
  site = new EvpnWorld();
  for (const n of [1, 2]) site.world.net.inbox(`192.0.2.${n}`);
  [one, two] = [1, 2].map((n) => site.join(yaml(n, [10, 20])));
  for (const [at, n] of [
    [one!, 1],
    [two!, 2],
  ] as const)
    for (const vni of [10, 20]) {
      const subnet = vni / 10;
      const name = `vm${n}-${vni}`;
      site.world.vm(at.gateway, {
        ...{ name, ip: `10.1.${subnet}.${10 + n}`, mac: `02:00:00:00:${vni}:1${n}`, gateway: `10.1.${subnet}.1` },
      });
    }
  site.pass(1000);
  for (const vm of site.world.vms.values()) vm.ask(vm.options.gateway!);
  site.pass(1000);
});

it("a VSI: at once here, with its VNI of each tunnel; the VRF keeps its hosts all the time", () => {
  expect(routes(one!)).toBe(4);
  const gaps: string[] = [];
  const { fabricRoutes } = one!.gateway.control.topology;
  const clear = fabricRoutes.clear.bind(fabricRoutes);
  fabricRoutes.clear = (...call: Parameters<typeof clear>) => {
    gaps.push("a route of the VRF was cleared");
    clear(...call);
  };
  one!.reload(yaml(1, [10]));
  expect(vnisOf(one!)).toEqual(["192.0.2.2 10,4001"]);
  expect([macs(one!, "vsi10"), macs(one!, "vsi20")]).toEqual([1, 0]);
  site.pass(3000);
  expect(routes(one!)).toBe(4);
  expect(gaps).toEqual([]);
  // And nothing of it stands outside.
  expect(own(one!, ":20")).toEqual([]);
  expect(vnisOf(two!)).toEqual(["192.0.2.1 10,4001"]);
  expect([macs(two!, "vsi10"), macs(two!, "vsi20")]).toEqual([1, 0]);
});

it("a VRF: at once here, and its subnets are bridged as before", () => {
  one!.reload(yaml(1, [10, 20], ""));
  expect(vnisOf(one!)).toEqual(["192.0.2.2 10,20"]);
  expect(routes(one!)).toBe(0);
  expect([macs(one!, "vsi10"), macs(one!, "vsi20")]).toEqual([1, 1]);
  site.pass(3000);
  expect(own(one!, ":4001")).toEqual([]);
  expect(routes(two!)).toBe(0);
});

it("the last VSI: no tunnel is left, and after it came back all is as it was", () => {
  const before = [vnisOf(one!), routes(one!), macs(one!, "vsi10")];
  one!.reload(yaml(1, [], ""));
  expect(vnisOf(one!)).toEqual([]);
  expect(one!.gateway.control.shown.inventory.tunnels()).toEqual([]);
  site.pass(3000);
  expect(one!.engine.announced()).toEqual([]);
  expect([one!.evpn.exporter.size, one!.evpn.exporter.backlog]).toEqual([0, 0]);
  expect(two!.gateway.control.shown.inventory.tunnels().every(({ lingering }) => lingering)).toBe(true);
  one!.reload(yaml(1, [10, 20]));
  site.pass(1000);
  expect([vnisOf(one!), routes(one!), macs(one!, "vsi10")]).toEqual(before);
});
