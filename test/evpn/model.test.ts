/**
 * Several gateways, hosts that move, engines that die, a reflector that goes, gateways that restart: at random, on virtual time.
 *
 * While it goes on: nothing that was known of a host that did not move is lost on a gateway because its engine or all sessions are
 * away, for as long as `staleSeconds`. After quiet: every host is behind one gateway, and everybody agrees which; one gateway
 * announces it; no entry stands without a route that says so; each tunnel is held by a route, and none else is there.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Host, type Site, VNI, World } from "./site.ts";

const SITES = 4;
const HOSTS = 5;
const STALE_SECONDS = 180;
/** No host is a duplicate here: that has tests of its own. */
const duplicates = { moves: 1_000_000, seconds: 180, action: "freeze" as const, recoverSeconds: 600 };

type Action =
  | { readonly kind: "move"; readonly host: number; readonly to: number }
  | { readonly kind: "leave"; readonly host: number }
  | { readonly kind: "talk"; readonly host: number }
  | { readonly kind: "kill" | "start" | "restart"; readonly site: number }
  | { readonly kind: "reflector"; readonly isUp: boolean }
  | { readonly kind: "pass"; readonly ms: number };

const site = fc.nat(SITES - 1);
const host = fc.nat(HOSTS - 1);
const ACTION: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("move" as const), host, to: site }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), host }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("talk" as const), host }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("kill" as const, "start" as const, "restart" as const), site }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reflector" as const), isUp: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(0, 1, 20, 300, 3000, 50_000, 400_000),
    }),
  },
);

function run(world: World, action: Action): void {
  const of = (n: number): Host => world.hosts[n]!;
  switch (action.kind) {
    case "move": {
      // The gateway that it left is not told, as ever.
      const each = of(action.host);
      each.at = world.sites[action.to]!;
      each.at.speak(each);
      break;
    }
    case "leave": {
      const each = of(action.host);
      each.at?.age(each.mac);
      each.at = null;
      break;
    }
    case "talk":
      of(action.host).at?.speak(of(action.host));
      break;
    case "kill":
      world.sites[action.site]!.engine.kill();
      break;
    case "start":
      if (!world.sites[action.site]!.engine.isUp) world.sites[action.site]!.engine.start();
      break;
    case "restart": {
      const each = world.sites[action.site]!;
      each.start();
      if (each.engine.isUp) each.engine.reconnect();
      break;
    }
    case "reflector":
      world.fabric.setReflecting(action.isUp);
      break;
    case "pass":
      world.pass(action.ms);
  }
}

/** Everything is mended, each host speaks, a host that is not heard ages, and time passes. */
function settle(world: World): void {
  world.fabric.setReflecting(true);
  for (const each of world.sites) if (!each.engine.isUp) each.engine.start();
  world.pass(1000);
  for (const each of world.hosts) {
    for (const at of world.sites) if (at !== each.at) at.age(each.mac);
    each.at?.speak(each);
    world.pass(500);
  }
  world.pass(60_000);
  for (const each of world.hosts) each.at?.speak(each);
  world.pass(2 * STALE_SECONDS * 1000);
}

function check(world: World): void {
  for (const each of world.hosts) {
    const owners = world.sites.filter((at) =>
      at.engine.announced().some((route) => route.type === 2 && route.mac === each.mac),
    );
    expect(owners.map(({ vtep }) => vtep)).toEqual(each.at === null ? [] : [each.at.vtep]);
    for (const at of world.sites) {
      const place = at.placeOf(each.mac);
      expect(place).toBe(each.at === null ? null : each.at === at ? "here" : each.at.vtep);
      const said = at.saidIps.get(each.ip) ?? null;
      expect(said).toEqual(each.at === null || each.at === at ? null : { mac: each.mac, vtep: each.at.vtep });
    }
  }
  for (const at of world.sites) {
    expect(at.evpn.rib.state).toBe("synced");
    expect(at.evpn.rib.stale).toBe(0);
    const others = world.sites.filter((other) => other !== at).map(({ vtep }) => `${vtep} ${VNI}`);
    expect([...at.tunnels.keys()].sort()).toEqual(others.sort());
    const macs = world.sites.filter((other) => other !== at).flatMap((other) => other.engine.announced());
    for (const mac of at.said.keys()) expect(macs.some((route) => route.type === 2 && route.mac === mac)).toBe(true);
  }
}

it("finds no two owners after quiet, no entry without a route, no tunnel too many", () => {
  fc.assert(
    fc.property(fc.array(ACTION, { maxLength: 40 }), (actions) => {
      const world = new World();
      for (let n = 0; n < SITES; n++) world.site({ duplicates, staleSeconds: STALE_SECONDS });
      for (let n = 0; n < HOSTS; n++) world.host(n);
      for (const each of world.sites) each.engine.start();
      world.pass(1000);
      for (const action of actions) run(world, action);
      settle(world);
      check(world);
    }),
    { numRuns: 60 },
  );
});

const whole = (): World => {
  const world = new World();
  for (let n = 0; n < SITES; n++) world.site({ duplicates, staleSeconds: STALE_SECONDS });
  for (let n = 0; n < HOSTS; n++) world.host(n);
  for (const each of world.sites) each.engine.start();
  world.pass(1000);
  for (const [n, each] of world.hosts.entries()) {
    each.at = world.sites[n % SITES]!;
    each.at.speak(each);
  }
  world.pass(40_000);
  return world;
};

const placesAt = (world: World, at: Site) => world.hosts.map((each) => at.placeOf(each.mac));

it("keeps what it knows while its engine is away, and forgets it only after staleSeconds", () => {
  const world = whole();
  const at = world.sites[0]!;
  const before = placesAt(world, at);
  expect(before).not.toContain(null);
  at.engine.kill();
  for (let second = 0; second < STALE_SECONDS - 1; second++) {
    world.pass(1000);
    expect(placesAt(world, at)).toEqual(before);
  }
  expect(at.evpn.rib.state).toBe("stale");
  expect(at.evpn.rib.stale).toBeGreaterThan(0);
  world.pass(2000);
  expect(placesAt(world, at)).toEqual(before.map((place) => (place === "here" ? "here" : null)));
  expect([...at.tunnels]).toEqual([]);
  at.engine.start();
  world.pass(2000);
  expect(placesAt(world, at)).toEqual(before);
});

it("keeps what it knows while all sessions are lost, though the engine takes every route back first", () => {
  const world = whole();
  const at = world.sites[0]!;
  const before = placesAt(world, at);
  world.fabric.setReflecting(false);
  for (let second = 0; second < STALE_SECONDS - 1; second++) {
    world.pass(1000);
    expect(placesAt(world, at)).toEqual(before);
  }
  expect(at.evpn.rib.state).toBe("deaf");
  // What has gone meanwhile goes when the session is back and has brought everything.
  const gone = world.hosts.find((each) => each.at === world.sites[1])!;
  gone.at!.age(gone.mac);
  world.pass(500);
  world.fabric.setReflecting(true);
  world.pass(1000);
  expect(at.placeOf(gone.mac)).toBeNull();
  expect(at.evpn.rib.state).toBe("synced");
});

it("restarts without its peers noticing: its routes stand, and go only for hosts that do not speak again", () => {
  const world = whole();
  const [at, other] = [world.sites[0]!, world.sites[1]!];
  const mine = world.hosts.filter((each) => each.at === at);
  const silent = mine[1]!;
  const routes = () => at.engine.announced().length;
  const before = routes();
  at.start();
  at.engine.reconnect();
  world.pass(5000);
  expect(routes()).toBe(before);
  expect(placesAt(world, at).filter((place) => place !== null).length).toBe(HOSTS - mine.length);
  at.speak(mine[0]!);
  world.pass(20_000);
  expect([mine[0]!, silent].map((each) => other.placeOf(each.mac))).toEqual(["192.0.2.1", "192.0.2.1"]);
  world.pass(10_000);
  expect([mine[0]!, silent].map((each) => other.placeOf(each.mac))).toEqual(["192.0.2.1", null]);
});

it("announces no faster than its rate, withdrawals first, and what came and went meanwhile not at all", () => {
  const world = new World();
  const at = world.site({ limits: { vteps: 10, routes: 1000, announcePerSecond: 20 } });
  at.engine.start();
  world.pass(2000);
  for (let n = 0; n < 200; n++) at.put(0x020000001000 + n, null, false);
  world.pass(1000);
  expect(at.engine.announced().length).toBeLessThanOrEqual(45);
  for (let n = 0; n < 199; n++) at.age(0x020000001000 + n);
  world.pass(5000);
  expect(
    at.engine
      .announced()
      .map(({ type }) => type)
      .sort(),
  ).toEqual([2, 3]);
});
