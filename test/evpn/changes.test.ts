/** Another configuration of many routes: what leaves is emptied in steps, what is another begins when the former one is empty, and whatever comes in between ends as if it had always been so. */
import fc from "fast-check";
import { beforeEach, expect, it, vi } from "vitest";
import type { Instance } from "../../src/evpn/import.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import { routeOf as hostRoute, REFLECTOR, type Site, VSI, World } from "./site.ts";

const SLICE = 256;
/** Routes that go in one step (evpn/placement.ts). */
const GONE = 64;
let world: World;
let site: Site;
let own: Instance;

/** With an address. */
const routeOf = (n: number, fields: Partial<MacRoute> = {}): MacRoute =>
  hostRoute(n, { ip: `10.1.1.${2 + (n % 200)}`, ...fields });

function say(routes: readonly MacRoute[], isWithdrawn = false): void {
  site.evpn.rows(routes.map((route) => ({ route, isWithdrawn, peer: REFLECTOR })));
}

const configure = (...instances: Instance[]) => site.evpn.configure({ ...site.settings, instances });

/** Steps until nothing is left to do. @returns how many. */
function work(): number {
  let steps = 0;
  for (; site.evpn.hasWork; steps++) site.evpn.work();
  return steps;
}

beforeEach(() => {
  world = new World();
  site = world.site();
  site.engine.start();
  world.pass(1000);
  own = site.settings.instances[0]!;
});

it("a VSI that leaves is emptied in steps; what it announced is taken back at once", () => {
  say(Array.from({ length: 3 * SLICE }, (_, n) => routeOf(n)));
  site.speak(world.host(230));
  world.pass(100);
  expect(site.engine.announced()).toHaveLength(3);
  configure();
  expect(site.said.size).toBe(3 * SLICE - GONE);
  world.pass(20);
  expect(site.engine.announced().filter(({ type }) => type === 2)).toEqual([]);
  // What is heard there meanwhile is not announced.
  site.speak(world.host(231));
  expect(work()).toBeGreaterThan(1);
  world.pass(2000);
  expect([site.said.size, site.saidIps.size, [...site.tunnels], site.engine.announced()]).toEqual([0, 0, [], []]);
});

it("the end of EVPN too", () => {
  say(Array.from({ length: 3 * SLICE }, (_, n) => routeOf(n)));
  site.evpn.close();
  expect(site.said.size).toBe(3 * SLICE - GONE);
  work();
  expect([site.said.size, site.saidIps.size, [...site.tunnels]]).toEqual([0, 0, []]);
});

it("one that imports something else now has all that concerns it in the end, and its own routes stand meanwhile", () => {
  const others = Array.from({ length: SLICE }, (_, n) =>
    routeOf(5000 + n, { rd: "192.0.2.8:10", nextHop: "192.0.2.8", targets: ["65000:77"] }),
  );
  say([...Array.from({ length: 3 * SLICE }, (_, n) => routeOf(n)), ...others]);
  const host = world.host(230);
  site.speak(host);
  world.pass(1000);
  const withdraw = vi.spyOn(site.engine, "withdraw");
  const announce = vi.spyOn(site.engine, "announce");
  configure({ ...own, importsAuto: false, imports: ["65000:77"] });
  for (let step = 0; site.evpn.hasWork; step++) {
    site.evpn.work();
    // While it is under way routes come and go, and hosts speak.
    if (step === 1) say([routeOf(9000), routeOf(9001, { targets: ["65000:77"] })]);
    if (step === 1) say(others.slice(0, 10), true);
    site.evpn.exporter.pump(world.timers.nowMs);
  }
  world.pass(2000);
  work();
  expect(site.said.size).toBe(SLICE - 10 + 1);
  expect(site.said.has(routeOf(9001).mac)).toBe(true);
  expect([withdraw.mock.calls, announce.mock.calls]).toEqual([[], []]);
});

it("one that is back before it has gone is as if it had stayed", () => {
  say(Array.from({ length: 3 * SLICE }, (_, n) => routeOf(n)));
  site.speak(world.host(230));
  configure();
  configure({ ...own });
  work();
  world.pass(2000);
  expect(site.said.size).toBe(3 * SLICE);
  expect(site.evpn.vrfs.vsi(VSI)!.instance).toEqual(own);
  expect(site.engine.announced().filter(({ type }) => type === 3)).toHaveLength(1);
});

it("whatever order of configurations, routes and steps ends as a gateway that never had another one", () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("configure" as const), to: fc.nat(3) }),
    fc.record({ kind: fc.constant("say" as const), from: fc.nat(900), isWithdrawn: fc.boolean(), sequence: fc.nat(2) }),
    fc.record({ kind: fc.constant("work" as const), steps: fc.nat(3) }),
    fc.record({ kind: fc.constant("room" as const), most: fc.nat(3) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(1500) }),
  );
  const forms = (to: number): Instance[] =>
    [[], [own], [{ ...own, importsAuto: false, imports: ["65000:77"] }], [{ ...own, rd: "192.0.2.1:999" }]][to]!;
  const routeFor = (n: number, sequence: number) => {
    const vtep = `192.0.2.${9 + (n % 3)}`;
    const targets = n % 4 === 0 ? ["65000:77"] : n % 7 === 0 ? ["65000:10", "65000:77"] : ["65000:10"];
    // Of some the address is foreign: the MAC is used.
    const ip = n % 5 === 0 ? "8.8.8.8" : `10.1.1.${2 + (n % 200)}`;
    return routeOf(n, { rd: `${vtep}:10`, nextHop: vtep, targets, ip, sequence });
  };
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 30 }), (actions) => {
      world = new World();
      site = world.site();
      site.engine.start();
      world.pass(1000);
      const standing = new Map<number, MacRoute>();
      let last = forms(1);
      for (const each of actions) {
        if (each.kind === "configure") {
          last = forms(each.to);
          configure(...last);
        } else if (each.kind === "say") {
          for (let n = each.from; n < each.from + 150; n++) {
            const route = routeFor(n, each.sequence);
            if (each.isWithdrawn) standing.delete(n);
            else standing.set(n, route);
            say([route], each.isWithdrawn);
          }
        } else if (each.kind === "room") site.most = each.most;
        else if (each.kind === "work") for (let n = 0; n < each.steps; n++) site.evpn.work();
        else world.pass(each.ms);
      }
      site.most = Number.POSITIVE_INFINITY;
      world.pass(5000);
      work();
      const found = { said: sorted(site.said), ips: sorted(site.saidIps), tunnels: [...site.tunnels.keys()].sort() };
      world = new World();
      site = world.site({ instances: last });
      site.engine.start();
      world.pass(1000);
      say([...standing.values()]);
      world.pass(5000);
      work();
      const plain = { said: sorted(site.said), ips: sorted(site.saidIps), tunnels: [...site.tunnels.keys()].sort() };
      expect(found).toEqual(plain);
    }),
    { numRuns: 60 },
  );
});

function sorted<V>(map: ReadonlyMap<unknown, V>): [string, V][] {
  return Array.from(map, ([key, value]): [string, V] => [String(key), value]).sort(([a], [b]) => (a < b ? -1 : 1));
}
