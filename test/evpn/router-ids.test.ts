/** Two gateways with one BGP router id: who notices, what is said of it, and what stays of it. */
import { beforeEach, expect, it } from "vitest";
import type { Evpn } from "../../src/api/schema-evpn.ts";
import type { Config } from "../../src/control/plan.ts";
import { checkEvpn } from "../../src/doctor/evpn.ts";
import { Distinguishers } from "../../src/evpn/distinguishers.ts";
import { multicastRouteOf } from "../../src/evpn/own-routes.ts";
import { type MulticastRoute, plainOf } from "../../src/evpn/route.ts";
import { viewOf } from "../../src/evpn/story.ts";
import { REFLECTOR, routeOf, type Site, settingsFor, World } from "./site.ts";

const TWIN = "198.51.100.7";
let world: World;

function twinOf(vtep: string): Partial<ReturnType<typeof settingsFor>> {
  const { instances } = settingsFor(vtep);
  return { routerId: TWIN, instances: instances.map((instance) => ({ ...instance, rd: `${TWIN}:10` })) };
}

const shared = (site: Site) => viewOf(site.evpn).sharedRouterIds;

function told(site: Site): (string | null)[] {
  const evpn = { ...viewOf(site.evpn), engine: { up: true, socket: "/nonexistent/bgp.sock" } } as unknown as Evpn;
  return checkEvpn(evpn, { interfaces: [], vsis: [] } as unknown as Config)
    .filter(({ name }) => name === "evpn router ids")
    .flatMap(({ result, text, fix }) => [result, text, fix]);
}

/** A part in flooding, as a gateway at `vtep` announces it. */
function flooding(vtep: string, rd: string): MulticastRoute {
  return { ...multicastRouteOf({ ...settingsFor(vtep).instances[0]!, rd }, vtep), originator: vtep };
}

beforeEach(() => {
  world = new World();
});

it("behind a reflector the two hear nothing of each other, and a third gateway says which two they are", () => {
  const [one, two, third] = [world.site(twinOf("192.0.2.1")), world.site(twinOf("192.0.2.2")), world.site()];
  for (const site of world.sites) site.engine.start();
  world.pass(1000);
  const [here, there] = [world.host(1), world.host(2)];
  one.speak(here);
  two.speak(there);
  world.pass(1000);
  expect([one.placeOf(there.mac), two.placeOf(here.mac)]).toEqual([null, null]);
  expect(shared(third)).toEqual([{ routerId: TWIN, isOurs: false, vteps: ["192.0.2.1", "192.0.2.2"] }]);
  expect(told(third)).toEqual([
    "warn",
    `VTEPs 192.0.2.1, 192.0.2.2 have one router id, ${TWIN}: hosts of each may be missing at the other, and elsewhere`,
    "give each its own evpn.routerId (another maker's: its BGP router id)",
  ]);
  expect([shared(one), told(one)]).toEqual([[], []]);
  // One of the two leaves, first its hosts and then its part in flooding.
  two.age(there.mac);
  world.pass(2000);
  two.evpn.close();
  world.pass(5000);
  expect([shared(third), told(third)]).toEqual([[], []]);
});

it("where their routes come (eBGP), a gateway hears that another one has its router id, and tells when it has not any more", () => {
  const site = world.site();
  site.engine.start();
  world.pass(1000);
  const rd = `${site.vtep}:20`;
  const routes = [routeOf(1, { rd, nextHop: "192.0.2.8" }), flooding("192.0.2.7", rd), flooding("192.0.2.8", rd)];
  const say = (isWithdrawn: boolean) => {
    site.evpn.rows(routes.map((route) => ({ route, isWithdrawn, peer: REFLECTOR })));
    world.pass(1000);
  };
  say(false);
  const twins = ["192.0.2.7", "192.0.2.8"];
  expect(shared(site)).toEqual([{ routerId: site.vtep, isOurs: true, vteps: twins }]);
  expect(told(site)[1]).toBe(
    "router id 192.0.2.1 is ours, and that of VTEP 192.0.2.7, 192.0.2.8: hosts of each may be missing at the other, and elsewhere",
  );
  say(true);
  expect([shared(site), told(site)]).toEqual([[], []]);
});

it("next hops of one gateway are none of two: its prefixes and hosts, its VNIs, what returns after it was an orphan", () => {
  const site = world.site();
  const other = world.site();
  for (const each of world.sites) each.engine.start();
  world.pass(1000);
  const rows = [
    routeOf(1, { rd: "192.0.2.9:10", nextHop: "192.0.2.10" }),
    flooding("192.0.2.9", "192.0.2.9:10"),
    flooding("192.0.2.10", "192.0.2.9:20"),
    // By hand, with no router id in it.
    flooding("192.0.2.11", "65000:10"),
    flooding("192.0.2.12", "65000:10"),
    // What is ours and came back says nothing of another one.
    flooding(site.vtep, `${site.vtep}:30`),
  ];
  site.evpn.rows(rows.map((route) => ({ route, isWithdrawn: false, peer: REFLECTOR })));
  const host = world.host(1);
  other.speak(host);
  world.pass(1000);
  other.engine.kill();
  world.pass(1000);
  expect(site.placeOf(host.mac)).toBe(other.vtep);
  const moved = flooding("192.0.2.22", `${other.vtep}:10`);
  site.evpn.rows([{ route: moved, isWithdrawn: false, peer: REFLECTOR }]);
  world.pass(1000);
  expect(shared(site)).toEqual([]);
});

it("of a peer that names thousands, a few are noted and told, and nothing stays when they go", () => {
  const distinguishers = new Distinguishers("192.0.2.1");
  const all: MulticastRoute[] = [];
  for (let n = 0; n < 2000; n++) all.push(flooding(`10.1.${n >> 8}.${n & 255}`, "192.0.2.9:10"));
  for (let n = 0; n < 2000; n++)
    for (const vtep of ["192.0.2.7", "192.0.2.8"]) all.push(flooding(vtep, `10.2.${n >> 8}.${n & 255}:1`));
  for (let n = 0; n < 2000; n++) all.push(flooding(`10.3.${n >> 8}.${n & 255}`, "192.0.2.1:10"));
  for (const route of all) distinguishers.hold(route, 1);
  const list = distinguishers.list("192.0.2.1");
  expect([list.length, list[0]!.isOurs]).toEqual([8, true]);
  for (const { vteps } of list) expect(vteps.length).toBeLessThanOrEqual(8);
  type Hop = { readonly next: Hop | null };
  type Inside = { readonly [column in "floods" | "shared" | "twins"]: Map<string, Hop> };
  const { floods, shared: rest, twins } = distinguishers as unknown as Inside;
  let hops = 0;
  for (let hop = floods.get("192.0.2.9:10") ?? null; hop !== null; hop = hop.next) hops++;
  expect(hops).toBe(8);
  for (const route of all) distinguishers.hold(plainOf(route), -1);
  expect([floods.size, rest.size, twins.size, distinguishers.list("192.0.2.1").length]).toEqual([0, 0, 0, 0]);
});
