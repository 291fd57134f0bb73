/** Hosts that move between gateways: sequences, who yields, sticky ones, duplicates; and what each side announces. */
import { beforeEach, describe, expect, it } from "vitest";
import { formatIp } from "../../src/control/ip.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { type Host, REFLECTOR, routeOf, type Site, VSI, World } from "./site.ts";

let world: World;
let one: Site;
let two: Site;
let host: Host;

const macRoutes = (site: Site) =>
  site.engine
    .announced()
    .filter((route): route is MacRoute => route.type === 2)
    .map(({ mac, ip, sequence, isSticky }) => ({ mac, ip, sequence, isSticky }))
    .sort((a, b) => (String(a.ip) < String(b.ip) ? -1 : 1));

beforeEach(() => {
  world = new World();
  [one, two] = [world.site(), world.site()];
  host = world.host(1);
  for (const site of world.sites) site.engine.start();
  world.pass(1000);
});

const speaksAt = (site: Site) => {
  host.at = site;
  site.speak(host);
  world.pass(1000);
};

describe("a host", () => {
  it("is announced with its MAC alone and with its address, and is behind its gateway everywhere", () => {
    speaksAt(one);
    const ip = formatIp(host.ip);
    const plain = { mac: host.mac, sequence: null, isSticky: false };
    expect(macRoutes(one)).toEqual([
      { ...plain, ip },
      { ...plain, ip: null },
    ]);
    expect(two.placeOf(host.mac)).toBe("192.0.2.1");
    expect(two.saidIps.get(host.ip)).toEqual({ mac: host.mac, vtep: "192.0.2.1" });
  });

  it("that moved is announced one higher; the old gateway yields and takes its routes back", () => {
    speaksAt(one);
    speaksAt(two);
    expect(macRoutes(two).map(({ sequence }) => sequence)).toEqual([1, 1]);
    expect(macRoutes(one)).toEqual([]);
    expect([one.placeOf(host.mac), two.placeOf(host.mac)]).toEqual(["192.0.2.2", "here"]);
    speaksAt(one);
    expect(macRoutes(one).map(({ sequence }) => sequence)).toEqual([2, 2]);
    expect(macRoutes(two)).toEqual([]);
    expect([one.placeOf(host.mac), two.placeOf(host.mac)]).toEqual(["here", "192.0.2.1"]);
    expect(one.evpn.vrfs.vsi(VSI)!.moves).toEqual({ in: 1, out: 1 });
  });

  it("that is asked after it yielded, and answers, is back with the next sequence", () => {
    speaksAt(one);
    // A stranger's claim, while the host has not moved at all.
    host.at = one;
    two.speak(host);
    world.pass(1000);
    expect(macRoutes(one).map(({ sequence }) => sequence)).toEqual([2, 2]);
    expect(two.placeOf(host.mac)).toBe("192.0.2.1");
  });

  it("that falls silent goes from its gateway at once, with all its addresses, and its sequence is remembered", () => {
    speaksAt(one);
    speaksAt(two);
    two.age(host.mac);
    world.pass(1000);
    expect(macRoutes(two)).toEqual([]);
    expect([one.placeOf(host.mac), two.placeOf(host.mac)]).toEqual([null, null]);
    expect(one.saidIps.size + two.saidIps.size).toBe(0);
    // Some speakers ignore a lower sequence than they have seen.
    speaksAt(two);
    expect(macRoutes(two).map(({ sequence }) => sequence)).toEqual([1, 1]);
  });

  it("whose address comes up with another MAC elsewhere has been replaced: the sequence goes on", () => {
    speaksAt(one);
    two.put(0x020000000999, host.ip, false);
    world.pass(1000);
    expect(one.saidIps.get(host.ip)).toEqual({ mac: 0x020000000999, vtep: "192.0.2.2" });
    expect(macRoutes(two).map(({ sequence }) => sequence)).toEqual([1, 1]);
    expect(macRoutes(one)).toEqual([{ mac: host.mac, ip: null, sequence: null, isSticky: false }]);
  });

  it("with equal sequences on two gateways is where the lower address says", () => {
    // Both hear it at the same moment, before either has heard of the other.
    host.at = two;
    one.speak(host);
    two.speak(host);
    world.pass(1000);
    // Gateway 2 yielded to the lower address, asked, was answered, and won it back.
    expect(macRoutes(two).map(({ sequence }) => sequence)).toEqual([1, 1]);
    expect(one.placeOf(host.mac)).toBe("192.0.2.2");
  });
});

describe("a sticky host", () => {
  it("is not taken by a higher claim, and the conflict is told once", () => {
    one.put(host.mac, host.ip, true);
    world.pass(1000);
    expect(macRoutes(one).map(({ sequence, isSticky }) => [sequence, isSticky])).toEqual([
      [0, true],
      [0, true],
    ]);
    two.speak(host);
    two.speak(host);
    world.pass(1000);
    expect(macRoutes(two)).toEqual([]);
    expect(two.placeOf(host.mac)).toBe("192.0.2.1");
    expect(two.countOf("evpn.sticky-conflict")).toBeGreaterThan(0);
    expect(one.placeOf(host.mac)).toBe("here");
  });
});

describe("a host that a configured address makes sticky", () => {
  const areSticky = (site: Site) => macRoutes(site).map(({ isSticky }) => isSticky);
  const second = parseIpv4("10.1.1.99")!;
  beforeEach(() => speaksAt(one));

  it("moves as others do when the address is none any more", () => {
    one.evpn.ipHere(VSI, host.ip, host.mac, true);
    // It is heard meanwhile.
    one.evpn.macHere(VSI, host.mac, false);
    one.evpn.ipHere(VSI, second, host.mac, false);
    world.pass(1000);
    expect(areSticky(one)).toEqual([true, true, true]);
    one.evpn.ipGone(VSI, host.ip);
    world.pass(1000);
    expect(areSticky(one)).toEqual([false, false]);
    speaksAt(two);
    expect([one.placeOf(host.mac), two.placeOf(host.mac)]).toEqual(["192.0.2.2", "here"]);
    expect([two.countOf("evpn.sticky-conflict"), areSticky(one), areSticky(two)]).toEqual([0, [], [false, false]]);
  });

  it("stays sticky by its other configured address, or its own MAC", () => {
    for (const ip of [host.ip, second]) one.evpn.ipHere(VSI, ip, host.mac, true);
    one.evpn.ipGone(VSI, host.ip);
    world.pass(1000);
    expect(areSticky(one)).toEqual([true, true]);
    one.evpn.macHere(VSI, host.mac, true);
    one.evpn.ipHere(VSI, second, host.mac, false);
    world.pass(1000);
    expect(areSticky(one)).toEqual([true, true]);
    one.evpn.macHere(VSI, host.mac, false);
    world.pass(1000);
    expect(areSticky(one)).toEqual([false, false]);
  });

  it("stays sticky while its MAC is not heard, and when it is heard again", () => {
    one.evpn.ipHere(VSI, host.ip, host.mac, true);
    one.evpn.macGone(VSI, host.mac);
    world.pass(1000);
    expect(macRoutes(one)).toEqual([]);
    one.evpn.macHere(VSI, host.mac, false);
    world.pass(1000);
    expect(areSticky(one)).toEqual([true, true]);
  });

  it("yields to a claim that was held off, as soon as it is not sticky any more", () => {
    const far = routeOf(0, { mac: host.mac, sequence: 7 });
    one.evpn.ipHere(VSI, host.ip, host.mac, true);
    one.evpn.rows([{ route: far, isWithdrawn: false, peer: REFLECTOR }]);
    world.pass(1000);
    expect(areSticky(one)).toEqual([true, true]);
    host.at = two;
    one.evpn.ipGone(VSI, host.ip);
    world.pass(1000);
    expect([one.placeOf(host.mac), macRoutes(one)]).toEqual(["192.0.2.9", []]);
  });

  it("keeps its address too where an impostor speaks at another gateway", () => {
    one.evpn.ipHere(VSI, host.ip, host.mac, true);
    world.pass(1000);
    two.evpn.ipHere(VSI, host.ip, host.mac, false);
    two.evpn.ipHere(VSI, second, host.mac, false);
    expect(two.yielded).toEqual([host.ip, second]);
    expect(two.saidIps.get(host.ip)).toEqual({ mac: host.mac, vtep: "192.0.2.1" });
  });
});

describe("a MAC that two sites fight for", () => {
  const fight = (moves: number) => {
    for (let n = 0; n < moves; n++) speaksAt(n % 2 === 0 ? one : two);
  };

  it("is frozen after five moves: no route of ours, its place stays, and it recovers", () => {
    fight(9);
    const frozen = [one, two].filter((site) => site.evpn.vrfs.vsi(VSI)!.duplicates.size > 0);
    expect(frozen).not.toEqual([]);
    for (const site of frozen) {
      expect(macRoutes(site)).toEqual([]);
      expect(site.countOf("evpn.duplicate")).toBe(1);
    }
    const before = world.sites.map((site) => site.placeOf(host.mac));
    speaksAt(one);
    expect(world.sites.map((site) => site.placeOf(host.mac))).toEqual(["here", before[1]]);
    two.age(host.mac);
    world.pass(610_000);
    expect(frozen.map((site) => site.countOf("evpn.duplicate-over"))).toEqual(frozen.map(() => 1));
    expect(macRoutes(one).length).toBe(2);
    expect(two.placeOf(host.mac)).toBe("192.0.2.1");
  });

  it("is free at once when it is cleared by hand", () => {
    fight(9);
    // The second host with this MAC has been found, and switched off.
    two.age(host.mac);
    const cleared = [one, two].filter((site) => site.evpn.vrfs.vsi(VSI)!.clearDuplicate(host.mac));
    expect(cleared.length).toBeGreaterThan(0);
    expect(one.evpn.vrfs.vsi(VSI)!.clearDuplicate(host.mac)).toBe(false);
    speaksAt(one);
    expect(macRoutes(one).length).toBe(2);
  });

  it("has a clean record when it is cleared before it is one: the next moves do not freeze it", () => {
    // One short of five at either site.
    const sitesOf = () => [one, two].map((site) => site.evpn.vrfs.vsi(VSI)!);
    for (let i = 0; i < 8 && sitesOf().every(({ duplicates }) => duplicates.size === 0); i++) {
      speaksAt(i % 2 === 0 ? one : two);
      for (const vrf of sitesOf()) expect(vrf.clearDuplicate(host.mac)).toBe(false);
    }
    expect(sitesOf().map(({ duplicates }) => duplicates.size)).toEqual([0, 0]);
  });

  it("is only told about with action warn", () => {
    world = new World();
    const duplicates = { moves: 5, seconds: 180, action: "warn" as const, recoverSeconds: 600 };
    [one, two] = [world.site({ duplicates }), world.site({ duplicates })];
    host = world.host(1);
    for (const site of world.sites) site.engine.start();
    world.pass(1000);
    fight(9);
    expect(one.countOf("evpn.duplicate") + two.countOf("evpn.duplicate")).toBeGreaterThan(0);
    expect(macRoutes(one).length).toBe(2);
  });
});

describe("what a broken peer announces", () => {
  const announce = (change: Partial<MacRoute>, isWithdrawn = false) => {
    const route: MacRoute = {
      ...{ type: 2, rd: "192.0.2.99:1", tag: 0, nextHop: "192.0.2.99", targets: ["65000:10"], encap: 8 },
      ...{ mac: 0x020000000777, ip: "10.1.1.77", labels: [10], segment: null, sequence: null },
      ...{ isSticky: false, isGateway: false, routerMac: null, ...change },
    };
    one.evpn.rows([{ route, isWithdrawn, peer: "192.0.2.251" }]);
    world.pass(100);
  };
  const refused = () => Object.fromEntries([...one.evpn.refused].filter(([, count]) => count > 0));

  it.each([
    ["next_hop", { nextHop: "192.0.2.1" }],
    ["gateway_mac", { mac: 0x02005e00000a }],
    ["group_mac", { mac: 0x01005e000001 }],
    ["vni_mismatch", { labels: [4711] }],
    ["label", { labels: [0] }],
  ] as const)("%s changes nothing but its counter", (reason, change) => {
    const before = one.tunnels.size;
    announce(change);
    expect(refused()).toEqual({ [reason]: 1 });
    expect([one.said.size, one.saidIps.size, one.tunnels.size]).toEqual([0, 0, before]);
  });

  it("the highest sequence takes a host once: it is announced with it too, and never wraps round", () => {
    speaksAt(one);
    host.at = one;
    announce({ mac: host.mac, sequence: 0xffffffff });
    expect(macRoutes(one).map(({ sequence }) => sequence)).toEqual([0xffffffff, 0xffffffff]);
    expect(one.placeOf(host.mac)).toBe("here");
  });

  it.each([
    ["foreign_subnet", "10.9.9.9"],
    ["address", "10.1.1.1"],
    ["address", "224.0.0.9"],
    ["address", "255.255.255.255"],
  ])("an address with %s leaves the MAC alone in use", (reason, ip) => {
    announce({ ip });
    expect(refused()).toEqual({ [reason]: 1 });
    expect(one.said.get(0x020000000777)).toBe("192.0.2.99");
    expect(one.saidIps.size).toBe(0);
  });

  it("a gateway's address is noted as a gateway, never as a host", () => {
    announce({ isGateway: true });
    expect(new Set(one.gateways.map(String))).toEqual(new Set([String([0x020000000777, "192.0.2.99"])]));
    expect([one.said.size, one.saidIps.size]).toEqual([0, 0]);
  });

  it("a gateway is noted again and again while its route stands: the tables forget one that is silent for an hour", () => {
    announce({ isGateway: true });
    one.gateways.length = 0;
    world.pass(5000);
    expect(one.gateways.length).toBeGreaterThanOrEqual(4);
    announce({ isGateway: true }, true);
    world.pass(1000);
    one.gateways.length = 0;
    world.pass(5000);
    expect(one.gateways).toEqual([]);
  });

  it("more VTEPs than there is room for are refused, and taken when there is", () => {
    one.most = one.tunnels.size;
    announce({});
    expect(refused()).toEqual({ vtep: 1 });
    expect(one.said.size).toBe(0);
    one.most = 100;
    world.pass(2000);
    expect(one.said.get(0x020000000777)).toBe("192.0.2.99");
    expect(one.saidIps.get(parseIpv4("10.1.1.77")!)).toEqual({ mac: 0x020000000777, vtep: "192.0.2.99" });
  });

  it("more routes than evpn.limits.routes are refused", () => {
    world = new World();
    one = world.site({ limits: { vteps: 1000, routes: 3, announcePerSecond: 1000 } });
    one.engine.start();
    world.pass(1000);
    for (let n = 0; n < 5; n++) announce({ mac: 0x020000000800 + n, ip: null });
    expect(refused()).toEqual({ routes_limit: 2 });
    expect(one.said.size).toBe(3);
  });
});
