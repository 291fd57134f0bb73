/** Peers that announce what they like: keys of ours, tunnels that are not available, more than there is room for. Nothing of it lasts, and it costs bounded work. */
import { beforeEach, describe, expect, it } from "vitest";
import { rowsOf } from "../../src/control/sorted.ts";
import { vtepsOf } from "../../src/daemon/evpn.ts";
import { type EvpnRoute, keyOf, type MacRoute, MOST_TARGETS } from "../../src/evpn/route.ts";
import { REFLECTOR, routeOf, type Site, World } from "./site.ts";

let world: World;
let site: Site;

function say(routes: readonly EvpnRoute[], isWithdrawn = false, peer: string | null = REFLECTOR): void {
  site.evpn.rows(routes.map((route) => ({ route, isWithdrawn, peer })));
}

const refused = (reason: Parameters<Site["evpn"]["refused"]["get"]>[0]) => site.evpn.refused.get(reason);

function work(): void {
  while (site.evpn.hasWork) site.evpn.work();
}

beforeEach(() => {
  world = new World();
  site = world.site();
  site.engine.start();
  world.pass(1000);
});

describe("another gateway with our distinguisher", () => {
  it("has our key while its route is the better one, and nothing of it stays when ours is again", () => {
    const host = world.host(1);
    site.speak(host);
    world.pass(100);
    const ours = site.engine.announced().filter(({ type }) => type === 2);
    expect(ours).toHaveLength(2);
    const theirs = ours.map((route) => ({ ...(route as MacRoute), nextHop: "192.0.2.66", preference: 200 }));
    say(theirs);
    expect(theirs.map((route) => site.evpn.rib.find(route)?.route.nextHop)).toEqual(["192.0.2.66", "192.0.2.66"]);
    expect([...site.tunnels.keys()]).toEqual(["192.0.2.66 10"]);
    // The engine tells of what is best of a key: it does not say that the other one has gone.
    say(ours, false, null);
    world.pass(1000);
    expect([site.evpn.rib.size, [...site.tunnels], site.said.size]).toEqual([0, [], 0]);
    expect(site.engine.announced().map(keyOf)).toEqual(expect.arrayContaining(ours.map(keyOf)));
  });
});

it("an engine that takes no route of ours is asked once a second, and at once for what is new", () => {
  const host = world.host(1);
  const asked: number[] = [];
  site.evpn.connect({
    announce: (routes) => {
      asked.push(...routes.map(() => world.timers.nowMs));
      for (const route of routes) world.timers.after(1, () => site.evpn.notTaken(keyOf(route), "no room"));
    },
    withdraw: () => undefined,
    resync: () => undefined,
  });
  site.speak(host);
  world.pass(10_000);
  // Two routes of the host.
  expect(asked.length).toBeGreaterThanOrEqual(2 * 10);
  expect(asked.length).toBeLessThanOrEqual(2 * 11);
  asked.length = 0;
  site.put(host.mac, host.ip, true);
  expect(asked).toHaveLength(2);
});

describe("more than there is room for", () => {
  it("a route with more targets than any has is refused, and what it said before goes", () => {
    const targets = (count: number) => ["65000:10", ...Array.from({ length: count - 1 }, (_, n) => `65001:${n}`)];
    say([routeOf(1, { targets: targets(MOST_TARGETS) })]);
    expect([site.said.size, refused("targets")]).toEqual([1, 0]);
    say([routeOf(1, { targets: targets(MOST_TARGETS + 1) })]);
    world.pass(1000);
    expect([site.said.size, site.evpn.rib.size, refused("targets")]).toEqual([0, 0, 1]);
  });

  it("routes that found no room are asked for when there is some, seldom", () => {
    const other = world.site();
    other.engine.start();
    site.evpn.configure({ ...site.settings, limits: { ...site.settings.limits, routes: 100 } });
    const routes = Array.from({ length: 150 }, (_, n) => routeOf(n, { rd: "192.0.2.2:10", nextHop: other.vtep }));
    other.engine.announce(routes);
    world.pass(5000);
    // The other gateway's part in flooding came behind them.
    expect([site.evpn.rib.size, refused("routes_limit"), site.said.size]).toEqual([100, 51, 100]);
    other.engine.withdraw(routes.slice(0, 60));
    world.pass(5000);
    expect([site.evpn.rib.size, site.said.size]).toEqual([91, 90]);
    expect(site.said.has(routes[149]!.mac)).toBe(true);
    // It is not asked for again while nothing is missing, and not at once when it is.
    other.engine.announce(routes.slice(0, 60));
    other.engine.withdraw(routes.slice(60));
    world.pass(5000);
    expect(site.evpn.rib.size).toBeLessThan(61);
    world.pass(60_000);
    expect(site.said.size).toBe(60);
  });
});

describe("VTEPs without a tunnel", () => {
  /** Calls for a tunnel, while each is refused. */
  function countTries(): { tries: number } {
    const count = { tries: 0, room: 0 };
    Object.defineProperty(site, "most", {
      get: () => {
        count.tries++;
        return count.room;
      },
      set: (room: number) => {
        count.room = room;
      },
    });
    return count;
  }

  it("thousands of them are tried again some at a time", () => {
    const count = countTries();
    say(Array.from({ length: 3000 }, (_, n) => routeOf(n, { nextHop: `198.51.${1 + (n >> 8)}.${n & 255}` })));
    count.tries = 0;
    world.pass(4000);
    expect(count.tries).toBeGreaterThan(256);
    expect(count.tries).toBeLessThanOrEqual(4 * 256 + 256);
    expect(site.said.size).toBe(0);
  });

  it("thousands of them are listed in steps, by address as numbers, those that linger among them", () => {
    countTries();
    say(Array.from({ length: 3000 }, (_, n) => routeOf(n, { nextHop: `198.51.${1 + (n >> 8)}.${n & 255}` })));
    say([routeOf(1, { rd: "192.0.2.7:10", nextHop: "9.0.0.9" }), routeOf(1, { nextHop: "2001:db8::1" })]);
    const lingering = ["198.51.1.7", "10.0.0.9", "203.0.113.9"].map((vtep) => ({ vtep, vnis: [10] }));
    const steps = [...vtepsOf(site.evpn.fabric.views(), lingering, () => null)];
    const listed = [...rowsOf(steps)];
    expect(steps.length - listed.length).toBeGreaterThanOrEqual(4);
    expect(listed.length).toBe(3003);
    const of = (row: (typeof listed)[number]) => [row.vtep, row.lingering, row.refused === null];
    expect(listed.slice(0, 3).map(of)).toEqual([
      ["9.0.0.9", false, false],
      ["10.0.0.9", true, true],
      ["198.51.1.0", false, false],
    ]);
    expect(listed.slice(-2).map(of)).toEqual([
      ["203.0.113.9", true, true],
      ["2001:db8::1", false, false],
    ]);
    expect(listed.find(({ vtep }) => vtep === "198.51.1.7")?.lingering).toBe(false);
  });

  it("when there is room, what waited is entered in steps, and nothing else is looked at", () => {
    const count = countTries();
    const routes = Array.from({ length: 1000 }, (_, n) => routeOf(n));
    say([...routes, ...Array.from({ length: 50 }, (_, n) => routeOf(5000 + n, { nextHop: "192.0.2.8" }))]);
    say(routes.slice(0, 100), true);
    world.pass(500);
    expect(site.said.size).toBe(0);
    site.most = 2;
    count.tries = 0;
    const routesWalked = { count: 0 };
    const { rib } = site.evpn;
    const walk = rib.routes.bind(rib);
    rib.routes = () => {
      routesWalked.count++;
      return walk();
    };
    site.evpn.fabric.retry();
    let most = 0;
    while (site.evpn.hasWork) {
      const before = site.said.size;
      site.evpn.work();
      most = Math.max(most, site.said.size - before);
    }
    expect(site.said.size).toBe(950);
    expect(most).toBeLessThanOrEqual(64);
    expect(routesWalked.count).toBe(0);
    // What is withdrawn then goes like any other.
    say(routes, true);
    world.pass(2000);
    work();
    expect([site.said.size, [...site.tunnels.keys()]]).toEqual([50, ["192.0.2.8 10"]]);
  });

  it("a route that waits and is another one waits as it is now", () => {
    countTries();
    say([routeOf(1, { ip: "10.1.1.21" })]);
    say([routeOf(1, { ip: "10.1.1.21", sequence: 3 })]);
    site.most = 1;
    world.pass(2000);
    expect([site.said.size, site.saidIps.size]).toEqual([1, 1]);
    expect(site.evpn.vrfs.vsi("vsi10")!.claimTo(routeOf(1).mac)!.sequence).toBe(3);
    say([routeOf(1, { ip: "10.1.1.21", sequence: 3 })], true);
    world.pass(2000);
    expect([site.said.size, site.saidIps.size, [...site.tunnels]]).toEqual([0, 0, []]);
  });
});

it("a host that insists on a sticky one's MAC is told of once", () => {
  const host = world.host(1);
  say([routeOf(0, { mac: host.mac, isSticky: true, sequence: 0 })]);
  for (let n = 0; n < 50; n++) {
    site.speak(host);
    world.pass(500);
  }
  expect(site.countOf("evpn.sticky-conflict")).toBe(1);
  say([routeOf(0, { mac: host.mac, isSticky: true, sequence: 0 })], true);
  world.pass(1000);
  site.speak(host);
  expect(site.placeOf(host.mac)).toBe("here");
});

it("an engine that dies ten times in ten seconds, and is told of routes that never were, costs no host its place", () => {
  const other = world.site();
  other.engine.start();
  const [here, there] = [world.host(1), world.host(2)];
  site.speak(here);
  other.speak(there);
  world.pass(1000);
  const places = () => [site.placeOf(there.mac), other.placeOf(here.mac)];
  const right = [other.vtep, site.vtep];
  expect(places()).toEqual(right);
  for (let life = 0; life < 10; life++) {
    site.engine.kill();
    for (let n = 0; n < 4; n++) {
      world.pass(100);
      expect(places()).toEqual(right);
    }
    site.engine.start();
    // Before the list, in its midst, and behind it.
    for (const ms of [0, 50, 200]) {
      world.pass(ms);
      say(
        Array.from({ length: 50 }, (_, n) => routeOf(n)),
        true,
      );
      for (let n = 0; n < 50; n++) site.evpn.endOfRib(REFLECTOR);
      expect(places()).toEqual(right);
    }
    world.pass(350);
    expect(places()).toEqual(right);
  }
  world.pass(1000);
  expect([site.evpn.rib.state, site.evpn.rib.stale]).toEqual(["synced", 0]);
  expect(site.countOf("evpn.engine-lost")).toBe(10);
  // What the other one kept for the engine's sake is vouched for again.
  world.pass(240_000);
  expect(places()).toEqual(right);
  expect([other.evpn.rib.stale, [...other.tunnels.keys()]]).toEqual([0, [`${site.vtep} 10`]]);
});
