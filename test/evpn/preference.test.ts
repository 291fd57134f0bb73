/** LOCAL_PREF from the bytes of an engine's path to the gateways that a prefix is reached by, in both versions of its API. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pathOf } from "../../src/bgp/codec.ts";
import type { Fields } from "../../src/bgp/dialect.ts";
import { gobgp3 } from "../../src/bgp/gobgp3.ts";
import { gobgp4 } from "../../src/bgp/gobgp4.ts";
import { PathReader } from "../../src/bgp/path-reader.ts";
import type { Ip } from "../../src/control/ip.ts";
import { bestOf, compareVteps } from "../../src/evpn/choice.ts";
import { Exporter } from "../../src/evpn/export.ts";
import { Interned } from "../../src/evpn/interned.ts";
import { IpVrf } from "../../src/evpn/ip-vrf.ts";
import {
  type EvpnRoute,
  type HostRoute,
  isSameRoute,
  type MacRoute,
  type PrefixRoute,
  plainOf,
} from "../../src/evpn/route.ts";
import type { Mac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";

const base = { tag: 0, nextHop: "192.0.2.2", targets: ["65000:4001"], encap: 8 };
const PREFIX: PrefixRoute = {
  ...{ ...base, type: 5, rd: "192.0.2.2:4001", network: parseIpv4("10.9.0.0")!, length: 16, label: 4001 },
  ...{ gateway: null, segment: null, routerMac: 0x02000000bbbb },
};
const HOST: MacRoute = {
  ...{ ...base, type: 2, rd: "192.0.2.2:10", mac: 0x020000000111, ip: "10.1.1.11", labels: [10], segment: null },
  ...{ sequence: null, isSticky: false, isGateway: false, routerMac: null },
};
const FLOODING: EvpnRoute = { ...base, type: 3, rd: "192.0.2.2:10", originator: "192.0.2.2", pmsi: null };

/** The attribute by hand: field 1 of LocalPrefAttribute is a varint, in an `Any` with its type or as field 6 of `Attribute`. */
const varints = { 0: "", 100: "0864", 200: "08c801", 4294967295: "08ffffffff0f" } as const;
const any = (value: string) =>
  `0a2c${Buffer.from("type.googleapis.com/apipb.LocalPrefAttribute").toString("hex")}${value === "" ? "" : field("12", value)}`;
const field = (tag: string, value: string) => `${tag}${(value.length / 2).toString(16).padStart(2, "0")}${value}`;

describe.each([
  ["v3", gobgp3(), any],
  ["v4", gobgp4(), (value: string) => field("32", value)],
] as const)("%s", (_, dialect, golden) => {
  /** As the engine sends it: what stands in unions is bytes. */
  const sent = (route: EvpnRoute): Fields => {
    const path = dialect.type("Path");
    return dialect
      .type("HeardPath")
      .decode(path.encode(path.fromObject(pathOf(route, dialect))).finish()) as unknown as Fields;
  };
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const isPreference = (bytes: Uint8Array) => Object.values(varints).some((value) => golden(value) === hex(bytes));
  /** The route, with this LOCAL_PREF in its path; null: none. */
  const read = (route: EvpnRoute, value: string | null, reader = new PathReader(dialect)) => {
    const path = sent(route);
    const pattrs = (path.pattrs as Uint8Array[]).filter((each) => !isPreference(each));
    if (value !== null) pattrs.push(Buffer.from(golden(value), "hex"));
    return plainOf(reader.routeOf({ ...path, pattrs } as Fields)!);
  };

  it("announces 100, and what else a route has", () => {
    const of = (route: EvpnRoute) => (sent(route).pattrs as Uint8Array[]).filter(isPreference).map(hex);
    for (const route of [PREFIX, HOST, FLOODING]) {
      expect(of(route)).toEqual([golden(varints[100])]);
      expect(of({ ...route, preference: 200 })).toEqual([golden(varints[200])]);
      expect(of({ ...route, preference: 0xffffffff })).toEqual([golden(varints[4294967295])]);
    }
  });

  it("reads it of each type; none, and the default, are the same", () => {
    const reader = new PathReader(dialect);
    for (const route of [PREFIX, HOST, FLOODING]) {
      expect(read(route, varints[200], reader)).toEqual({ ...route, preference: 200 });
      expect(read(route, varints[0], reader)).toEqual({ ...route, preference: 0 });
      expect(read(route, varints[4294967295], reader)).toEqual({ ...route, preference: 0xffffffff });
      expect(read(route, varints[100], reader)).toEqual(route);
      expect(read(route, null, reader)).toEqual(route);
    }
  });

  it("takes a LOCAL_PREF that is cut short for no route, and throws what rows.ts catches", () => {
    expect(() => read(PREFIX, "08c8")).toThrow();
  });
});

it("is something that a route says, in either direction, and is kept where attributes are shared", () => {
  for (const route of [PREFIX, HOST, FLOODING]) {
    const other = { ...route, preference: 200 };
    expect([isSameRoute(route, other), isSameRoute(other, route)]).toEqual([false, false]);
    expect(isSameRoute(other, { ...other })).toBe(true);
  }
  const common = new Interned();
  const [plain, high, again] = [HOST, { ...HOST, preference: 200 }, { ...HOST, preference: 200, mac: 5 }].map((each) =>
    common.route(each as MacRoute),
  ) as HostRoute[];
  expect([plain!.preference, high!.preference]).toEqual([undefined, 200]);
  expect(high!.attributes).toBe(again!.attributes);
  expect(plain!.attributes).not.toBe(high!.attributes);
  expect("preference" in plain!.attributes).toBe(false);
});

it("moves no host: mobility decides, and the lowest VTEP (RFC 7432 §15)", () => {
  const far = { ...HOST, rd: "192.0.2.3:10", nextHop: "192.0.2.3", preference: 200 };
  expect(bestOf([far, HOST])).toBe(HOST);
  expect(bestOf([HOST, { ...far, sequence: 1 }])!.nextHop).toBe("192.0.2.3");
});

it("of ours is the engine's policy, and no reason to announce a route again", () => {
  const sent: EvpnRoute[] = [];
  const exporter = new Exporter(1000, 0);
  exporter.connect({ announce: (routes) => sent.push(...routes), withdraw: () => undefined, resync: () => undefined });
  exporter.set(HOST);
  exporter.set(PREFIX);
  exporter.found({ ...HOST, preference: 200 });
  exporter.found({ ...PREFIX, preference: 200, label: 4002 });
  exporter.open(0, 0);
  exporter.pump(0);
  expect(sent).toEqual([PREFIX]);
});

/** Prefixes of one VRF, and what its tables are told of them: "VTEP priority". The tunnels to those in `down` are down. */
function bench(ecmp: number) {
  const said = new Map<string, readonly string[]>();
  const hops = { room: Number.POSITIVE_INFINITY, full: 0, said: new Map<string, Mac>() };
  const down = new Set<string>();
  const vrf = new IpVrf({
    instance: {
      ...{ vsi: "l3", vrf: { name: "red", routerMac: 1, ecmp }, subnets: "", vni: 4001, rd: "192.0.2.1:4001" },
      ...{ importsAuto: true, imports: [], exports: [], irb: null },
    },
    beliefs: {
      wantHop: (_vsi, vtep, mac, was) => {
        expect(hops.said.get(vtep) ?? null).toBe(was);
        return hops.said.size - (was === null ? 0 : 1) < hops.room && hops.said.set(vtep, mac) !== undefined;
      },
      unwantHop: (_vsi, vtep, mac) => {
        expect(hops.said.get(vtep)).toBe(mac);
        hops.said.delete(vtep);
      },
      wantPrefix: (_vsi, network, length, vteps, priorities) => {
        const ways = vteps.map((vtep, n) => `${vtep} ${priorities[n]}`);
        return said.set(`${network}/${length}`, ways) !== undefined;
      },
      unwantPrefix: (_vsi, network, length) => void said.delete(`${network}/${length}`),
      isUp: (vtep) => !down.has(vtep),
    },
    full: () => void hops.full++,
  });
  return { vrf, said, down, hops };
}

/** The gateways of a prefix, the naive way: those of each preference, in turn. */
function waysOf(routes: readonly PrefixRoute[], ecmp: number) {
  const bestBy = new Map<string, number>();
  for (const { nextHop, preference = 100 } of routes) {
    const known = bestBy.get(nextHop);
    if (known === undefined || known < preference) bestBy.set(nextHop, preference);
  }
  const heights = [...new Set(bestBy.values())].sort((a, b) => b - a);
  return heights.flatMap((height, n) => {
    const all = [...bestBy.keys()].filter((vtep) => bestBy.get(vtep) === height).sort(compareVteps);
    return (n === 0 ? all.slice(0, ecmp) : all).map((vtep) => ({ vtep, height, priority: n + 1 }));
  });
}

it("chooses a prefix's gateways as the naive twin does, whatever came and went before", () => {
  const change = fc.record({
    // The last one begins as the first one does, and is of another family.
    network: fc.constantFrom<Ip>(0x0a090000, 0x0a0a0000, 0x20010000n << 96n, 0x0a090000n << 96n),
    host: fc.integer({ min: 1, max: 6 }),
    rd: fc.constantFrom("a", "b"),
    preference: fc.constantFrom(undefined, 0, 99, 101, 0xffffffff),
    isGone: fc.boolean(),
    isDown: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (changes, ecmp) => {
      const { vrf, said, down } = bench(ecmp);
      const standing = new Map<string, PrefixRoute>();
      for (const { network, host, rd, preference, isGone, isDown } of changes) {
        if (isDown) down.add(`192.0.2.${host}`);
        else down.delete(`192.0.2.${host}`);
        const key = `${network} ${host} ${rd}`;
        const was = standing.get(key);
        const route: PrefixRoute = { ...PREFIX, network, nextHop: `192.0.2.${host}`, rd, preference };
        if (!isGone) vrf.addRoute(route);
        if (was !== undefined) vrf.removeRoute(was);
        standing.delete(key);
        if (!isGone) standing.set(key, route);
        const expected = new Map<string, readonly string[]>();
        for (const each of new Set(Array.from(standing.values(), (one) => one.network))) {
          const all = [...standing.values()].filter((one) => one.network === each);
          const ways = waysOf(all, ecmp);
          const told = ways.map(({ vtep, priority }) => `${vtep} ${priority}`);
          expected.set(`${each}/16`, told);
          // The first whose tunnel is up, and its equals; else the first of all.
          const serving = ways.find(({ vtep }) => !down.has(vtep))?.priority ?? 1;
          const used = all.filter(({ nextHop, preference: of = 100 }) =>
            ways.some(({ vtep, height, priority }) => vtep === nextHop && height === of && priority === serving),
          );
          for (const one of all) expect(vrf.useOf(one)).toBe(used.includes(one) ? "used" : "shadowed");
          expect(new Set(vrf.match(typeof each === "number" ? each | 1 : each | 1n)!.routes)).toEqual(new Set(used));
        }
        expect(said).toEqual(expected);
        expect(vrf.size).toBe(expected.size);
      }
    }),
    { numRuns: 200 },
  );
});

it("asks again for a next hop that found no room, and says meanwhile that its prefixes are not used", () => {
  const { vrf, said, hops } = bench(8);
  hops.room = 0;
  const [first, other] = [PREFIX, { ...PREFIX, network: parseIpv4("10.10.0.0")! }];
  vrf.addRoute(first);
  vrf.addRoute(other);
  for (let second = 0; second < 3; second++) vrf.tick();
  expect([hops.said.size, hops.full, vrf.useOf(first)]).toEqual([0, 1, "shadowed"]);
  hops.room = 1;
  vrf.tick();
  expect([...hops.said]).toEqual([["192.0.2.2", 0x02000000bbbb]]);
  expect([said.size, vrf.useOf(first), vrf.useOf(other)]).toEqual([2, "used", "used"]);
  // Another MAC that finds no room leaves nothing of the former one behind.
  hops.room = 0;
  const changed = { ...first, routerMac: 0x02000000cccc };
  vrf.addRoute(changed);
  vrf.removeRoute(first);
  expect(hops.said.size).toBe(0);
  hops.room = 1;
  vrf.tick();
  expect([...hops.said]).toEqual([["192.0.2.2", 0x02000000cccc]]);
  for (const route of [changed, other]) vrf.removeRoute(route);
  vrf.tick();
  expect([hops.said.size, said.size]).toEqual([0, 0]);
});
