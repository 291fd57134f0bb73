/** What EVPN told the tables stands through what empties them: a reload, a flush by hand. */
import { beforeEach, expect, it } from "vitest";
import { ManualEntries } from "../../src/api/entries.ts";
import { keyOf } from "../../src/evpn/route.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { World } from "./world.ts";

/** Two gateways with static tunnels: to each other, and to a third one that has no VSI 10. */
const yaml = (n: number, evpn: string, more = ""): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
tunnels: [{name: gw${3 - n}, remote: 192.0.2.${3 - n}}, {name: gw3, remote: 192.0.2.3}]
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, evpn: ${evpn}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24${more}}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}]
control: {socket: /run/gw${n}.sock}
`;

let site: EvpnWorld;
let world: World;
let members: Member[];

beforeEach(() => {
  site = new EvpnWorld();
  ({ world, members } = site);
  for (const n of [1, 2, 3]) world.net.inbox(`192.0.2.${n}`);
  for (const n of [1, 2]) site.join(yaml(n, "{learning: both}"));
  for (const n of [1, 2])
    world.vm(members[n - 1]!.gateway, {
      ...{ name: `a${n}`, ip: `10.1.1.1${n}`, mac: `02:00:00:00:01:1${n}`, gateway: "10.1.1.1" },
    });
  site.pass(1000);
  for (const vm of world.vms.values()) vm.ask("10.1.1.1");
  site.pass(1000);
  expect(ping()).toEqual(["10.1.1.12 ttl=64"]);
});

function ping(): readonly string[] {
  const a1 = world.get("a1");
  const before = a1.replies.length;
  a1.ping("10.1.1.12");
  site.pass(200);
  return a1.replies.slice(before);
}

/** Entries of origin EVPN. */
function said(): string[] {
  const { agent } = members[0]!.gateway.control;
  const macs = agent.macs.list().filter(({ origin }) => origin === "evpn");
  const neighbors = agent.neighborViews().filter(({ origin }) => origin === "evpn");
  return [...macs.map(({ mac }) => mac), ...neighbors.map(({ ip }) => ip)];
}

it("a VSI leaves a static tunnel that no route names: its own hosts stay too", () => {
  const announced = () => members[0]!.engine.announced().map(keyOf).sort();
  const before = announced();
  members[0]!.reload(yaml(1, "{}"));
  site.pass(5000);
  expect(announced()).toEqual(before);
  expect(said()).toEqual(["02:00:00:00:01:12", "10.1.1.12"]);
  expect(ping()).toEqual(["10.1.1.12 ttl=64"]);
});

it("a VSI-interface goes into another VRF", () => {
  members[0]!.reload(yaml(1, "{learning: both}", ", vrf: blue"));
  site.pass(5000);
  expect(said()).toEqual(["02:00:00:00:01:12", "10.1.1.12"]);
  expect(ping()).toEqual(["10.1.1.12 ttl=64"]);
});

it("entries added by hand are flushed and removed, and those of routes stay", () => {
  const { gateway } = members[0]!;
  const entries = new ManualEntries(gateway.control.shown);
  const [mac, ip] = ["02:00:00:00:01:12", "10.1.1.12"];
  const behind = { tunnel: "gw3", origin: "evpn" } as const;
  const refused = { status: 409, message: expect.stringContaining("routes of EVPN") };
  expect([entries.flushMacs(null), entries.flushNeighbors(null, null), entries.flushNeighbors("if10", ip)]).toEqual([
    0, 0, 0,
  ]);
  expect(entries.removeMac("vsi10", mac)).toMatchObject(refused);
  expect(entries.addMac({ vsi: "vsi10", mac, ...behind })).toMatchObject(refused);
  expect(entries.addNeighbor({ interface: "if10", ip, mac, ...behind })).toMatchObject(refused);
  site.pass(400_000);
  expect(said()).toEqual([mac, ip]);
  expect(ping()).toEqual(["10.1.1.12 ttl=64"]);

  const other = { mac: "02:00:00:00:01:13", ...behind };
  expect(entries.addMac({ vsi: "vsi10", ...other })).toBeNull();
  expect(entries.addNeighbor({ interface: "if10", ip: "10.1.1.13", ...other })).toBeNull();
  expect(said()).toEqual([mac, other.mac, ip, "10.1.1.13"]);
  expect([entries.flushMacs(null), entries.flushNeighbors(null, null)]).toEqual([1, 1]);
  expect(said()).toEqual([mac, ip]);
});
