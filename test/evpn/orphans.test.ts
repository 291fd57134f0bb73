/** A gateway whose engine dies goes on forwarding: the others keep its hosts, believe any other claim, and are not deceived by a retirement. */
import { beforeEach, expect, it } from "vitest";
import { type Host, type Site, World } from "./site.ts";

let world: World;
let one: Site;
let two: Site;
let three: Site;
let hosts: Host[];

const at = (site: Site) => hosts.map(({ mac }) => site.placeOf(mac));
const said = (site: Site) => hosts.map(({ ip }) => site.saidIps.get(ip)?.vtep ?? null);

beforeEach(() => {
  world = new World();
  [one, two, three] = [world.site(), world.site(), world.site()];
  for (const site of world.sites) site.engine.start();
  hosts = [1, 2, 3].map((n) => world.host(n));
  world.pass(1000);
  for (const host of hosts) {
    host.at = one;
    one.speak(host);
  }
  world.pass(1000);
  expect([at(two), said(two)]).toEqual([Array(3).fill(one.vtep), Array(3).fill(one.vtep)]);
});

it("no entry of a gateway is lost to the others while its engine is away, for staleSeconds", () => {
  one.engine.kill();
  for (let second = 1; second < 180; second++) {
    world.pass(1000);
    expect([at(two), said(two), [...two.tunnels.keys()].length]).toEqual([
      Array(3).fill(one.vtep),
      Array(3).fill(one.vtep),
      2,
    ]);
  }
  expect(two.evpn.rib.stale).toBe(7);
  expect(two.events.filter(({ event }) => event === "evpn.orphaned").map(({ fields }) => fields)).toEqual([
    { vtep: one.vtep, seconds: 180 },
  ]);
  world.pass(3000);
  expect([at(two), said(two), two.evpn.rib.stale]).toEqual([Array(3).fill(null), Array(3).fill(null), 0]);
  expect([...two.tunnels.keys()]).toEqual([`${three.vtep} 10`]);
});

it("a host that moves meanwhile is followed at once, whatever sequence its new gateway gives", () => {
  one.engine.kill();
  world.pass(2000);
  hosts[0]!.at = three;
  three.speak(hosts[0]!);
  world.pass(500);
  expect(at(two)).toEqual([three.vtep, one.vtep, one.vtep]);
  expect(said(two)).toEqual([three.vtep, one.vtep, one.vtep]);
});

it("any claim that stands wins against an orphan: a lower sequence, a higher address", () => {
  hosts[0]!.at = two;
  two.speak(hosts[0]!);
  world.pass(500);
  two.engine.kill();
  world.pass(1000);
  const { mac } = hosts[0]!;
  const [orphan] = [...one.evpn.rib.routes()].filter(({ route }) => route.type === 2 && route.mac === mac && !route.ip);
  expect(orphan!.route).toMatchObject({ isOrphan: true, sequence: 1, nextHop: two.vtep });
  const { isOrphan: _, ...fresh } = orphan!.route;
  const route = { ...fresh, rd: "192.0.2.9:10", nextHop: "192.0.2.9", sequence: null } as typeof orphan.route;
  one.evpn.rows([{ route, isWithdrawn: false, peer: "192.0.2.251" }]);
  expect(one.said.get(mac)).toBe("192.0.2.9");
});

it("when the engine is back all is as before, and what does not come again goes half a minute later", () => {
  one.engine.kill();
  world.pass(5000);
  one.age(hosts[2]!.mac);
  one.engine.start();
  world.pass(2000);
  expect(two.evpn.rib.stale).toBe(2);
  expect(at(two)).toEqual(Array(3).fill(one.vtep));
  world.pass(31_000);
  expect(at(two)).toEqual([one.vtep, one.vtep, null]);
  expect(two.evpn.rib.stale).toBe(0);
  // A host that leaves now goes at once.
  one.age(hosts[1]!.mac);
  world.pass(500);
  expect(at(two)).toEqual([one.vtep, null, null]);
});

it("a gateway that is retired takes its hosts back first: they go at once", () => {
  one.evpn.close();
  world.pass(500);
  expect([at(two), said(two)]).toEqual([Array(3).fill(null), Array(3).fill(null)]);
  expect(two.tunnels.size).toBe(2);
  world.pass(3000);
  expect([...two.tunnels.keys()]).toEqual([`${three.vtep} 10`]);
  expect(two.countOf("evpn.orphaned")).toBe(0);
});

it("a second loss before all have come again keeps those that had", () => {
  one.engine.kill();
  world.pass(1000);
  one.engine.start();
  world.pass(1000);
  one.engine.kill();
  world.pass(60_000);
  expect(at(two)).toEqual(Array(3).fill(one.vtep));
});

it("an orphan that is withdrawn once more, or swept by a list without it, stays; another list does not shorten it", () => {
  one.engine.kill();
  world.pass(1000);
  const held = [...two.evpn.rib.routes()].filter(({ route }) => route.isOrphan);
  expect(held.length).toBe(7);
  two.evpn.rows(held.map(({ route }) => ({ route, isWithdrawn: true, peer: "192.0.2.251" })));
  two.engine.resync();
  world.pass(1000);
  expect(two.evpn.rib.state).toBe("synced");
  expect(at(two)).toEqual(Array(3).fill(one.vtep));
});
