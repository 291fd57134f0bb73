/** Hosts' IPv6 addresses in routes: which are used, which are refused while the MAC is used, and that no family is taken for the other. */
import { beforeEach, describe, expect, it } from "vitest";
import { parseIp } from "../../src/control/ip.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import { routeViews } from "../../src/evpn/story.ts";
import { REFLECTOR, type Site, World } from "./site.ts";

const MAC = 0x020000010000;
let world: World;
let site: Site;

const routeOf = (ip: string | null, fields: Partial<MacRoute> = {}): MacRoute => ({
  ...{ type: 2, rd: "192.0.2.9:10", tag: 0, nextHop: "192.0.2.9", targets: ["65000:10"], encap: 8 },
  ...{ mac: MAC, ip, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null, ...fields },
});
const say = (routes: readonly MacRoute[], isWithdrawn = false) =>
  site.evpn.rows(routes.map((route) => ({ route, isWithdrawn, peer: REFLECTOR })));
const refused = () => [...site.evpn.refused].filter(([, count]) => count > 0);
const states = () => Array.from(rowsOf(routeViews(site.evpn, () => 0)), ({ state }) => state);

beforeEach(() => {
  world = new World();
  site = world.site();
  site.engine.start();
  world.pass(1000);
});

it.each([
  ["2001:db8:10::11", null],
  ["::1", "address"],
  ["::", "address"],
  ["ff02::1:ff00:11", "address"],
  ["::ffff:10.1.1.11", "address"],
  ["2001:db8:10::1", "address"],
  ["2001:db8:99::11", "foreign_subnet"],
] as const)("a route with %s: refused is %s, and the MAC is used", (ip, reason) => {
  say([routeOf(ip)]);
  expect(site.said.get(MAC)).toBe("192.0.2.9");
  expect([...site.saidIps.keys()]).toEqual(reason === null ? [parseIp(ip)] : []);
  expect(refused()).toEqual(reason === null ? [] : [[reason, 1]]);
  say([routeOf(ip)], true);
  world.pass(3000);
  expect([site.said.size, site.saidIps.size, site.tunnels.size]).toEqual([0, 0, 0]);
});

it("of a route with an address of the link the MAC is used, and nothing is wrong with it", () => {
  say([routeOf("fe80::11")]);
  expect([site.said.get(MAC), site.saidIps.size, refused(), states()]).toEqual([
    "192.0.2.9",
    0,
    [],
    ["used", "announced"],
  ]);
});

it("an IPv6 address with the number of an IPv4 one is another one", () => {
  const [ip, ip6] = ["10.1.1.11", "::10.1.1.11"].map((text) => parseIp(text)!);
  expect(BigInt(ip as number)).toBe(ip6);
  const vrf = site.evpn.vrfs.vsi("vsi10")!;
  say([routeOf("10.1.1.11")]);
  expect([vrf.routeTo(ip!)?.mac, vrf.routeTo(ip6!)]).toEqual([MAC, null]);
});

describe("an address that is here and there", () => {
  const ip = parseIp("2001:db8:10::11")!;
  const announced = () =>
    site.engine.announced().flatMap((route) => (route.type === 2 ? [`${route.ip ?? "-"} ${route.sequence}`] : []));

  it("is announced one higher when it is heard, and goes when it is announced higher", () => {
    say([routeOf("2001:db8:10::11", { sequence: 4 }), routeOf(null, { sequence: 4 })]);
    site.put(MAC, ip, false);
    world.pass(100);
    expect(announced().sort()).toEqual(["- 5", "2001:db8:10::11 5"]);
    say([routeOf("2001:db8:10::11", { sequence: 6 })]);
    world.pass(100);
    expect([announced(), site.saidIps.get(ip)]).toEqual([[], { mac: MAC, vtep: "192.0.2.9" }]);
  });

  it("with another MAC than its host's goes on with the sequence of the host that it displaces", () => {
    say([routeOf("2001:db8:10::11", { sequence: 4 })]);
    site.put(MAC + 1, ip, false);
    world.pass(100);
    expect(announced().sort()).toEqual(["- 5", "2001:db8:10::11 5"]);
  });
});
