/** The default-gateway community (RFC 7432 §10.1): on a gateway's MAC, and where a broken or hostile peer puts it on a host's. */
import { beforeEach, describe, expect, it } from "vitest";
import { rowsOf } from "../../src/control/sorted.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import { routeViews } from "../../src/evpn/story.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { type Host, L3VNI, REFLECTOR, routeOf, type Site, settingsFor, World } from "./site.ts";

const HOSTILE = "192.0.2.66";
let world: World;
let site: Site;
let other: Site;
let host: Host;

const gateway = (fields: Partial<MacRoute> = {}): MacRoute =>
  routeOf(0, { rd: `${HOSTILE}:10`, nextHop: HOSTILE, mac: host.mac, isGateway: true, ...fields });

function say(route: MacRoute, isWithdrawn = false): void {
  site.evpn.rows([{ route, isWithdrawn, peer: REFLECTOR }]);
  world.pass(500);
}

const refused = () => Object.fromEntries([...site.evpn.refused].filter(([, count]) => count > 0));
const stateOf = ({ nextHop }: MacRoute) =>
  [...rowsOf(routeViews(site.evpn, () => 0))].find((row) => row.nextHop === nextHop && row.type === 2)?.state;

beforeEach(() => {
  world = new World();
  [site, other] = [world.site(), world.site()];
  for (const each of world.sites) each.engine.start();
  world.pass(1000);
  host = world.host(1);
});

describe("on the MAC of a host of another gateway", () => {
  it("changes nothing, is counted once, and its state says so", () => {
    other.speak(host);
    world.pass(500);
    const route = gateway({ ip: "10.1.1.1" });
    say(route);
    world.pass(5000);
    expect([site.gateways, refused()]).toEqual([[], { gateway_host: 1 }]);
    expect([site.placeOf(host.mac), site.saidIps.get(host.ip)?.vtep]).toEqual([other.vtep, other.vtep]);
    expect(site.saidIps.has(parseIpv4("10.1.1.1")!)).toBe(false);
    expect(stateOf(route)).toBe("refused: gateway_host");
    // When the host has gone it may be a gateway's.
    other.age(host.mac);
    world.pass(2000);
    expect([site.placeOf(host.mac), site.gateways.at(-1)]).toEqual([null, [host.mac, HOSTILE]]);
    expect(stateOf(route)).toBe("used");
  });

  it("that comes later, too: from then on it is the host's", () => {
    say(gateway());
    expect(site.gateways.at(-1)).toEqual([host.mac, HOSTILE]);
    other.speak(host);
    world.pass(2000);
    site.gateways.length = 0;
    world.pass(5000);
    expect([site.placeOf(host.mac), site.gateways, refused()]).toEqual([other.vtep, [], { gateway_host: 1 }]);
  });
});

it("on the MAC of a host here: it stays here, is announced, and its sequence is what it was", () => {
  site.speak(host);
  say(gateway({ sequence: 7 }));
  say(gateway({ ip: "10.1.1.11", sequence: 9, isSticky: true }));
  expect([site.placeOf(host.mac), site.gateways, refused()]).toEqual(["here", [], { gateway_host: 2 }]);
  expect(other.placeOf(host.mac)).toBe(site.vtep);
  expect(site.engine.announced().flatMap((route) => (route.type === 2 ? [route.sequence] : []))).toEqual([null, null]);
});

it("taken off again, leaves a host", () => {
  say(gateway({ ip: "10.1.1.11" }));
  expect([site.placeOf(host.mac), site.saidIps.size]).toEqual([null, 0]);
  say(gateway({ ip: "10.1.1.11", isGateway: false }));
  expect([site.placeOf(host.mac), site.saidIps.get(parseIpv4("10.1.1.11")!)?.vtep]).toEqual([HOSTILE, HOSTILE]);
});

it("is no host route of a VRF: said where nothing else is made of the route, and by design where a VSI has the gateway", () => {
  const { instances } = settingsFor("192.0.2.3");
  const vrf = {
    ...instances[0]!,
    ...{ vsi: "l3vni:4001", vni: L3VNI, rd: "192.0.2.3:4001", exports: [`65000:${L3VNI}`] },
    vrf: { name: "red", routerMac: 0x02000000aaaa, ecmp: 8 },
  };
  const route = gateway({
    ip: "10.1.1.11",
    labels: [10, L3VNI],
    routerMac: 0x02000000bbbb,
    targets: ["65000:10", "65000:4001"],
  });
  for (const [held, reasons] of [
    [[vrf], { gateway_address: 1 }],
    [[...instances, vrf], {}],
  ] as const) {
    site = world.site({ instances: held });
    site.engine.start();
    world.pass(1000);
    say(route);
    expect([refused(), site.saidPrefixes.size]).toEqual([reasons, 0]);
  }
});
