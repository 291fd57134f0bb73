/** What people see of a configured gateway: control for real, no worker, no TAP. */
import { beforeEach, expect, it } from "vitest";
import * as schema from "../../src/api/schema.ts";
import type { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import type { Control } from "../../src/daemon/assemble.ts";
import { DROP, DROPS } from "../../src/tables/counters.ts";
import type { Tables } from "../../src/tables/tables.ts";
import { loOf, parseMac } from "../../src/wire/ethernet.ts";
import { assembled } from "../control/assembled.ts";

const TEXT = `
node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
tunnels:
  - {name: gw10, remote: 192.0.2.10}
  - {name: gw2, remote: 192.0.2.2}
vsis:
  - {name: vsi10, vni: 10, mac: {static: [{mac: "02:00:00:00:00:99", tunnel: gw2}]}}
  - {name: vsi2, vni: 2}
interfaces:
  - name: if10
    vsi: vsi10
    address: [10.1.1.1/24, 10.1.2.1/24]
    arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:99", tunnel: gw2}]}
  - {name: if2, vsi: vsi2, address: 20.1.1.1/24, mac: "02:00:00:00:00:02", distributed: false}
acs:
  - {name: vm10, vsi: vsi10, tap: {device: eth0, netns: vm10}}
  - {name: vm2, vsi: vsi10, tap: {device: eth0, netns: vm2}, vlan: 7}
routes:
  - {prefix: 0.0.0.0/0, nextHop: 10.1.1.2}
  - {prefix: 50.0.0.0/8, action: prohibit}
policies:
  - name: p
    interfaces: [if10]
    rules:
      - {match: {source: 10.1.1.0/24, destination: [50.1.1.0/24, 60.1.1.0/24], protocol: tcp, destinationPorts: [80, "90-99"]}, nextHop: 10.1.1.2}
      - {match: {}, drop: true}
`;

let tables: Tables;
let control: Control;
let shown: Shown;

beforeEach(() => {
  ({ control, tables, shown } = assembled(TEXT, { macs: 65_536, neighbors: 65_536, routes: 16_384 }));
});

it("fits its own schemas, whole and in every list", () => {
  schema.Vsi.array().parse(shown.vsis());
  schema.Ac.array().parse(shown.acs());
  schema.Tunnel.array().parse(shown.tunnels());
  schema.Interface.array().parse(shown.interfaces());
  schema.MacEntry.array().parse([...rowsOf(shown.macs())]);
  schema.Neighbor.array().parse([...rowsOf(shown.neighbors())]);
  schema.Route.array().parse([...rowsOf(shown.routes())]);
  schema.Policy.array().parse(shown.policies());
  schema.DropCount.omit({ last: true, ports: true }).array().parse(shown.drops());
  schema.Status.shape.counts.parse(shown.counts());
  schema.Status.shape.ledger.parse(shown.ledger());
});

it("sorts names as people count and addresses by value", () => {
  expect(shown.vsis().map((vsi) => vsi.name)).toEqual(["vsi2", "vsi10"]);
  expect(shown.acs().map((ac) => ac.name)).toEqual(["vm2", "vm10"]);
  expect(shown.tunnels().map((tunnel) => tunnel.name)).toEqual(["gw2", "gw10"]);
  expect(shown.vsis()[1]).toMatchObject({ acs: ["vm2", "vm10"], tunnels: ["gw2", "gw10"], vni: 10, interface: "if10" });
});

it("shows a VSI-interface with everything people ask for", () => {
  const [if2, if10] = shown.interfaces();
  expect(if10).toMatchObject({
    name: "if10",
    vsis: ["vsi10"],
    addresses: ["10.1.1.1/24", "10.1.2.1/24"],
    vrf: "main",
    distributed: true,
    mtu: 1450,
    policy: "p",
    neighbors: 1,
  });
  expect(if2).toMatchObject({ mac: "02:00:00:00:00:02", distributed: false, policy: null });
});

it("shows where a MAC and a neighbour are, and where they come from", () => {
  const via = { kind: "tunnel", name: "gw2" };
  expect([...rowsOf(shown.macs())]).toContainEqual({
    vsi: "vsi10",
    mac: "02:00:00:00:00:99",
    via,
    origin: "static",
    ageSeconds: null,
  });
  expect([...rowsOf(shown.macs())]).toContainEqual({
    vsi: "vsi2",
    mac: "02:00:00:00:00:02",
    via: null,
    origin: "gateway",
    ageSeconds: null,
  });
  expect([...rowsOf(shown.neighbors())]).toEqual([
    expect.objectContaining({
      interface: "if10",
      ip: "10.1.1.9",
      mac: "02:00:00:00:00:99",
      kind: "static",
      via,
      from: "static",
    }),
  ]);
});

it("shows routes with their next hops, and says which are dead ends", () => {
  const routes = new Map([...rowsOf(shown.routes())].map((route) => [route.prefix, route]));
  expect(routes.get("0.0.0.0/0")).toMatchObject({
    origin: "static",
    action: "forward",
    interface: "if10",
    nextHops: [{ ip: "10.1.1.2", interface: "if10" }],
  });
  expect(routes.get("50.0.0.0/8")).toMatchObject({ origin: "static", action: "prohibit", nextHops: [] });
  expect(routes.get("10.1.1.1/32")).toMatchObject({ origin: "own", action: "local", interface: "if10" });
  const entries = shown.routeEntries().get("main")!;
  expect(entries).toMatchObject({ own: 3, connected: 3, static: 2 });
});

it("says rules in words, with their hits", () => {
  tables.counters[0]!.rules[0] = 5;
  expect(shown.policies()).toEqual([
    {
      name: "p",
      interfaces: ["if10"],
      rules: [
        {
          match: "source 10.1.1.0/24 destination 50.1.1.0/24,60.1.1.0/24 protocol tcp destination port 80,90-99",
          action: "nextHop 10.1.1.2",
          alive: expect.any(Boolean),
          nextHops: [expect.objectContaining({ ip: "10.1.1.2", interface: "if10", bypassedBy: null })],
          bypassedBy: null,
          hits: 5,
        },
        { match: "any", action: "drop", alive: null, nextHops: [], bypassedBy: null, hits: 0 },
      ],
    },
  ]);
});

it("counts drops of both planes, every reason, in the order of the manual", () => {
  tables.counters[0]!.drops[DROP.runt] = 1;
  tables.controlCounters.drops[DROP.unresolved_timeout] = 2;
  const drops = shown.drops();
  expect(drops.map((drop) => drop.reason)).toEqual(DROPS.map(([reason]) => reason));
  expect(drops.filter((drop) => drop.count > 0).map(({ reason, count }) => [reason, count])).toEqual([
    ["runt", 1],
    ["unresolved_timeout", 2],
  ]);
});

it("shows what does not balance", () => {
  expect(shown.ledger().dataplane.imbalance).toBe(0);
  tables.counters[0]!.received[0] = 3;
  tables.counters[0]!.sent[0] = 1;
  expect(shown.ledger().dataplane).toMatchObject({ received: 3, sent: 1, imbalance: 2 });
  tables.controlCounters.refused[DROP.mac_limit] = 7;
  expect(shown.drops().find(({ reason }) => reason === "mac_limit")?.count).toBe(7);
  expect(shown.ledger().control).toMatchObject({ dropped: 0, imbalance: 0 });
});

it("flushes what was learned, not what was configured", () => {
  const { inventory, agent } = control.shown;
  const mac = parseMac("02:00:00:00:00:55")!;
  const vm2 = inventory.ac("vm2")!;
  agent.macs.learn(inventory.vsi("vsi10")!.row, vm2.row, loOf(mac), 0x0200);
  expect([...rowsOf(shown.macs())].filter((entry) => entry.origin === "learned")).toMatchObject([
    { vsi: "vsi10", mac: "02:00:00:00:00:55", via: { kind: "ac", name: "vm2" }, ageSeconds: 0 },
  ]);
  expect(shown.flushMacs("vsi2")).toBe(0);
  expect(shown.flushMacs("nope")).toBeNull();
  expect(shown.flushMacs("vsi10")).toBe(1);
  expect(shown.flushNeighbors(null, null)).toBe(0);
  expect(shown.flushNeighbors("if10", "10.1.1.9")).toBe(0);
  expect(shown.flushNeighbors("nope", null)).toBeNull();
  expect([...rowsOf(shown.neighbors())]).toHaveLength(1);
});
