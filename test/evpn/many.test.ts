/** Many routes: what goes at once goes in steps, a list that says nothing new costs nothing, full tables are tried again, and no host has endless routes. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { STEP } from "../../src/control/sorted.ts";
import { isSameRoute, type MacRoute, nlriText } from "../../src/evpn/route.ts";
import { routeViews } from "../../src/evpn/story.ts";
import { Withdrawals } from "../../src/evpn/withdrawals.ts";
import { formatIpv4 } from "../../src/wire/ipv4.ts";
import { REFLECTOR, routeOf, type Site, World } from "./site.ts";

const SLICE = 256;
/** Routes that go in one step (evpn/sync.ts, evpn/placement.ts). */
const GONE = 64;
let world: World;
let site: Site;

function say(routes: readonly MacRoute[], isWithdrawn = false): void {
  site.evpn.rows(routes.map((route) => ({ route, isWithdrawn, peer: REFLECTOR })));
}

const many = (count: number) => Array.from({ length: count }, (_, n) => routeOf(n));

beforeEach(() => {
  world = new World();
  site = world.site();
  site.engine.start();
  world.pass(1000);
  expect(site.evpn.rib.state).toBe("synced");
});

describe("in steps", () => {
  it("what is withdrawn at once goes a slice at a time, and what comes again meanwhile stays", () => {
    const routes = many(3 * SLICE);
    say(routes);
    say(routes, true);
    world.timers.run(world.timers.nowMs + 220);
    // The beat that let them go, and its step.
    expect(site.evpn.rib.size).toBe(3 * SLICE - 2 * GONE);
    expect(site.evpn.hasWork).toBe(true);
    const last = routes.at(-1)!;
    say([last]);
    while (site.evpn.rib.size > 1) {
      const before = site.evpn.rib.size;
      site.evpn.work();
      expect(before - site.evpn.rib.size).toBeLessThanOrEqual(GONE);
    }
    expect(site.evpn.hasWork).toBe(false);
    expect([...site.said.keys()]).toEqual([last.mac]);
    expect([site.evpn.rib.countBy(REFLECTOR), site.evpn.rib.countOf(2)]).toEqual([1, 1]);
  });

  /** 8,000 routes are withdrawn, so many in each 50 ms. */
  const takeBack = (perBeat: number) => {
    const routes = many(8000);
    say(routes);
    for (let at = 0; at < routes.length; at += perBeat) {
      say(routes.slice(at, at + perBeat), true);
      world.pass(50);
    }
  };

  it.each([
    ["in five seconds", 80],
    ["in half a second", 800],
  ])("what the last session takes with it stays, however long its withdrawals last: %s", (_how, perBeat) => {
    takeBack(perBeat);
    site.evpn.peers([{ address: REFLECTOR, as: 65000, state: "idle", upSince: null }]);
    world.pass(10_000);
    expect([site.evpn.rib.state, site.evpn.rib.size, site.said.size]).toEqual(["deaf", 8000, 8000]);
  });

  it("what is withdrawn goes when that ceases; while it does not, if it is little", () => {
    takeBack(80);
    expect(site.evpn.rib.size).toBe(8000);
    world.pass(10_000);
    expect(site.evpn.rib.size).toBe(0);
    // A thousand in a second, as vtepd's own leave.
    takeBack(50);
    expect(site.evpn.rib.size).toBeLessThan(4000);
    world.pass(10_000);
    takeBack(10);
    expect(site.evpn.rib.size).toBeLessThan(1000);
  });

  it("a flood of withdrawals is believed after half a minute", () => {
    const withdrawals = new Withdrawals<{ number: number }>();
    for (let beat = 0; beat < 600; beat++) {
      for (let n = 0; n < 100; n++) withdrawals.add({ number: beat * 100 + n }, beat * 50);
      // At first they are few.
      if (beat > 40) expect(withdrawals.isDue(beat * 50, 100_000)).toBe(false);
    }
    expect(withdrawals.isDue(30_000, 100_000)).toBe(true);
    expect(withdrawals.take().size).toBe(60_000);
    expect(withdrawals.isDue(60_000, 100_000)).toBe(false);
  });

  it("what trickles behind a flood keeps none of it waiting", () => {
    const withdrawals = new Withdrawals<{ number: number }>();
    let number = 0;
    for (let beat = 0; beat < 10; beat++)
      for (let n = 0; n < 300; n++) withdrawals.add({ number: ++number }, 5000 + beat * 50);
    let nowMs = 5500;
    // From hosts that age out elsewhere.
    for (; !withdrawals.isDue(nowMs, 10_000); nowMs += 150) withdrawals.add({ number: ++number }, nowMs);
    expect(nowMs).toBeGreaterThanOrEqual(7000);
    expect(nowMs).toBeLessThan(9000);
  });

  it("a VTEP whose speaker dies keeps its hosts, though the withdrawals of so many last", () => {
    const flooding = { ...routeOf(0), type: 3, originator: "192.0.2.9", pmsi: null } as unknown as MacRoute;
    say([flooding]);
    const routes = many(8000);
    say(routes);
    say([flooding], true);
    for (let at = 0; at < routes.length; at += 100) {
      say(routes.slice(at, at + 100), true);
      world.pass(50);
    }
    world.pass(10_000);
    expect([site.evpn.rib.size, site.evpn.rib.stale, site.said.size]).toEqual([8001, 8001, 8000]);
  });

  it("a sweep goes a slice at a time, is told when it is over, and counts are right all along", () => {
    say(many(3 * SLICE));
    const { evpn } = site;
    evpn.snapshot();
    expect(evpn.rib.stale).toBe(0);
    say([routeOf(5)]);
    evpn.complete();
    evpn.peers([{ address: REFLECTOR, as: 65000, state: "established", upSince: null }]);
    evpn.endOfRib(REFLECTOR);
    expect(evpn.rib.size).toBeGreaterThan(SLICE);
    expect(site.countOf("evpn.swept")).toBe(0);
    while (evpn.hasWork) evpn.work();
    expect([...site.said.keys()]).toEqual([routeOf(5).mac]);
    expect(site.events.find(({ event }) => event === "evpn.swept")?.fields).toEqual({ routes: 3 * SLICE - 1 });
  });

  it("stale routes are counted without being looked at", () => {
    say(many(10));
    site.engine.kill();
    world.pass(100);
    expect(site.evpn.rib.stale).toBe(10);
    site.evpn.snapshot();
    say(many(4));
    expect(site.evpn.rib.stale).toBe(6);
    site.evpn.rib.lost();
    expect(site.evpn.rib.stale).toBe(10);
  });

  it("another configuration is applied to routes a slice at a time", () => {
    say(many(2 * SLICE));
    const [instance] = site.settings.instances;
    const other = { ...instance!, importsAuto: false, imports: ["65000:77"] };
    site.evpn.configure({ ...site.settings, instances: [other] });
    expect(site.said.size).toBe(2 * SLICE - GONE);
    while (site.evpn.hasWork) site.evpn.work();
    expect(site.said.size).toBe(0);
    site.evpn.configure(site.settings);
    expect(site.said.size).toBeLessThanOrEqual(GONE);
    while (site.evpn.hasWork) site.evpn.work();
    expect(site.said.size).toBe(2 * SLICE);
  });
});

it("routes are listed in order, a step at a time, and what goes meanwhile is left out", () => {
  const hosts = many(3000).flatMap((route, n) => [route, { ...route, ip: formatIpv4(0x0a010102 + (n % 200)) }]);
  say([...hosts].reverse());
  const listed: string[] = [];
  let steps = 0;
  for (const row of routeViews(site.evpn, () => world.timers.nowMs)) {
    if (row !== STEP) {
      listed.push(`${row.direction} ${row.route}`);
      if (listed.length > 1) continue;
      // The second and the last one.
      say([hosts[1]!, hosts.at(-1)!], true);
      world.pass(300);
    } else steps++;
  }
  expect(steps).toBeGreaterThanOrEqual(5);
  expect(listed.filter((text) => text.startsWith("in"))).toEqual(
    [hosts[0]!, ...hosts.slice(2, -1)].map((route) => `in ${nlriText(route)}`),
  );
  expect(listed.at(-1)).toBe(`out ${nlriText([...site.evpn.exporter.routes()].at(-1)!)}`);
});

it("a further list that says the same reaches no table", () => {
  const routes = many(100);
  say(routes);
  const { said } = site;
  const set = vi.spyOn(said, "set");
  site.evpn.snapshot();
  say(structuredClone(routes));
  expect(set).not.toHaveBeenCalled();
  say([routeOf(3, { nextHop: "192.0.2.8" })]);
  expect(said.get(routeOf(3).mac)).toBe("192.0.2.8");
});

it("tells two routes apart by every field, and not by the order of targets", () => {
  const route = routeOf(1, { targets: ["65000:10", "65000:20"] });
  expect(isSameRoute(route, { ...structuredClone(route), targets: ["65000:20", "65000:10"] })).toBe(true);
  const changes: Partial<MacRoute>[] = [
    { rd: "192.0.2.8:10" },
    { tag: 1 },
    { nextHop: "192.0.2.8" },
    { targets: ["65000:10"] },
    { targets: ["65000:10", "65000:30"] },
    { encap: null },
    { mac: 2 },
    { ip: "10.1.1.9" },
    { labels: [11] },
    { labels: [10, 4001] },
    { segment: "01" },
    { sequence: 0 },
    { isSticky: true },
    { isGateway: true },
    { routerMac: 2 },
  ];
  expect(changes.flatMap(Object.keys).filter((name, at, all) => all.indexOf(name) === at).length).toBe(13);
  for (const change of changes) expect(isSameRoute(route, { ...route, ...change }), JSON.stringify(change)).toBe(false);
});

describe("without room", () => {
  it("what a full table refused is entered when there is room, and counted once", () => {
    site.mostMacs = 2;
    say(many(4));
    expect(site.evpn.refused.get("table_full")).toBe(2);
    world.pass(3000);
    expect(site.evpn.refused.get("table_full")).toBe(2);
    say([routeOf(0)], true);
    world.pass(2000);
    expect([...site.said.keys()].sort()).toEqual([routeOf(1).mac, routeOf(2).mac].sort());
    site.mostMacs = 3;
    world.pass(2000);
    expect(site.said.size).toBe(3);
  });

  it("addresses too, and one that goes meanwhile is not tried again", () => {
    site.mostIps = 0;
    const host = routeOf(1, { ip: "10.1.1.21" });
    say([host]);
    expect(site.evpn.refused.get("table_full")).toBe(1);
    say([host], true);
    world.pass(1000);
    site.mostIps = 10;
    world.pass(2000);
    expect(site.saidIps.size).toBe(0);
    say([host]);
    expect(site.saidIps.size).toBe(1);
  });

  it("no MAC has more than 1024 routes, whatever a peer says of it", () => {
    const mac = routeOf(0).mac;
    const routes = Array.from({ length: 2000 }, (_, n) =>
      routeOf(0, { mac, rd: `192.0.2.9:${n}`, ip: formatIpv4(0x0a010100 + 2 + (n % 200)) }),
    );
    say(routes);
    expect(site.evpn.refused.get("host_routes")).toBe(2000 - 1024);
    expect(site.said.get(mac)).toBe("192.0.2.9");
    say(routes, true);
    world.pass(3000);
    expect([site.said.size, site.saidIps.size, site.evpn.rib.size]).toEqual([0, 0, 0]);
    expect([...site.tunnels]).toEqual([]);
  });
});
