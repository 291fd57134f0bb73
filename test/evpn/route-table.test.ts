/** Routes as they are kept by the hundred thousand: the table beside the plainest one, a Map of texts, and routes whose attributes are shared. */
import { describe, expect, it } from "vitest";
import { Interned } from "../../src/evpn/interned.ts";
import { type EvpnRoute, HostRoute, ipOf, isSameRoute, keyOf, type MacRoute, plainOf } from "../../src/evpn/route.ts";
import { type Kept, RouteTable } from "../../src/evpn/route-table.ts";

const host = (fields: Partial<MacRoute> = {}): MacRoute => ({
  ...{ type: 2, rd: "192.0.2.9:10", tag: 0, nextHop: "192.0.2.9", targets: ["65000:10"], encap: 8 },
  ...{ mac: 0x020000010000, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null, ...fields },
});

/** Few of each, so that most of what is tried is there already. */
function routeOf(n: number): EvpnRoute {
  const rd = `192.0.2.${n % 3}:10`;
  const common = { rd, tag: (n >> 2) % 2, nextHop: "192.0.2.9", targets: ["65000:10"], encap: 8 };
  const kind = (n >> 3) % 8;
  if (kind === 0) return { ...common, type: 3, originator: `192.0.2.${(n >> 6) % 5}`, pmsi: null };
  if (kind === 1) return { ...common, type: 4, name: String((n >> 6) % 5) };
  const ip = kind < 4 ? null : kind < 7 ? `10.0.0.${(n >> 9) % 4}` : `2001:db8::${(n >> 9) % 4}`;
  return host({ ...common, mac: 0x020000010000 + ((n >> 6) % 5), ip });
}

const HASHES: Record<string, ((route: EvpnRoute, seed: number) => number) | undefined> = {
  "its own": undefined,
  "one that almost always meets": (route) => route.rd.charCodeAt(8) & 1,
};

describe.each(Object.keys(HASHES))("a table of routes with a hash: %s", (name) => {
  it("holds what a Map of keys holds, whatever comes and goes", () => {
    const interned = new Interned();
    const table = new RouteTable<Kept>(12345, HASHES[name]);
    const twin = new Map<string, Kept>();
    let random = 1;
    for (let step = 0; step < 20_000; step++) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      const plain = routeOf(random >>> 8);
      const route = step % 2 === 0 ? plain : interned.route(plain);
      const known = table.find(route);
      expect(known).toBe(twin.get(keyOf(plain)));
      if (known === undefined) {
        const entry = { route, next: null };
        table.add(entry);
        twin.set(keyOf(plain), entry);
      } else if (random % 3 > 0) {
        table.delete(known);
        twin.delete(keyOf(plain));
      }
      expect(table.size).toBe(twin.size);
    }
    expect(new Set(table.values())).toEqual(new Set(twin.values()));
  });

  it("is walked to its end while what was met goes, and other things come", () => {
    const table = new RouteTable<Kept>(1, HASHES[name]);
    const all = Array.from({ length: 50 }, (_, n) => ({ route: host({ mac: 0x020000000000 + n }), next: null }));
    for (const entry of all) table.add(entry);
    const met = new Set<Kept>();
    for (const entry of table.values()) {
      met.add(entry);
      table.delete(entry);
      if (met.size === 10) table.add({ route: host({ rd: "192.0.2.8:10" }), next: null });
    }
    expect(all.every((entry) => met.has(entry))).toBe(true);
    expect(table.size).toBe(0);
  });
});

/** FNV-1a's prime. */
const PRIME = 0x01000193;

/** IPv6 texts that FNV-1a takes for one when it begins with 1: heads and tails that meet in the middle. */
function meetingTexts(most: number): string[] {
  let inverse = PRIME;
  for (let round = 0; round < 5; round++) inverse = Math.imul(inverse, 2 - Math.imul(PRIME, inverse));
  const forward = (text: string) => [...text].reduce((h, char) => Math.imul(h ^ char.charCodeAt(0), PRIME), 1);
  const back = (text: string) => [...text].reduceRight((h, char) => Math.imul(h, inverse) ^ char.charCodeAt(0), 12345);
  const group = (n: number) => (0x1000 + n).toString(16);
  const heads = new Map<number, string>();
  for (let n = 0; n < 1 << 16; n++) {
    const head = `2001:db8:${group(n & 0xff)}:${group(n >> 8)}:`;
    heads.set(forward(head), head);
  }
  const found: string[] = [];
  for (let n = 0; n < 1 << 22 && found.length < most; n++) {
    const tail = `1111:2222:${group(n & 0x7ff)}:${group(n >> 11)}`;
    const head = heads.get(back(tail));
    if (head !== undefined) found.push(head + tail);
  }
  return found;
}

describe("routes that a peer chose", () => {
  const meeting = meetingTexts(8);
  const chosen: Record<string, MacRoute[]> = {
    "IPv6 addresses whose texts meet": meeting.map((ip) => host({ ip })),
    "IPv6 addresses with one low half": Array.from({ length: 64 }, (_, n) => host({ ip: `2001:db8:${n}::1` })),
    "tags that undo the MAC": Array.from({ length: 64 }, (_, n) => host({ tag: n, mac: 0x020000000000 + (n ^ 0x5a) })),
  };

  it.each(Object.keys(chosen))("do not meet in one chain: %s", (name) => {
    const routes = chosen[name]!;
    expect(routes.length).toBeGreaterThan(5);
    for (const seed of [1, 12345, -7]) {
      const table = new RouteTable<Kept>(seed);
      const all = routes.map((route) => ({ route, next: null }) as Kept);
      for (const kept of all) table.add(kept);
      expect(all.filter(({ next }) => next !== null)).toEqual([]);
    }
  });
});

describe("a host's route as it is kept", () => {
  const route = host({ ip: "10.1.1.9", sequence: 3, labels: [10, 4001], routerMac: 0x020000000001 });

  it("says what it said, and is the same route", () => {
    const kept = new Interned().route(route) as HostRoute;
    expect(kept).toBeInstanceOf(HostRoute);
    expect(plainOf(kept)).toEqual(route);
    for (const name of Object.keys(route) as (keyof MacRoute)[])
      expect((kept as MacRoute)[name], name).toEqual(route[name]);
    expect([keyOf(kept), ipOf(kept)]).toEqual([keyOf(route), 0x0a010109]);
    expect([isSameRoute(kept, route), isSameRoute(route, kept)]).toEqual([true, true]);
    expect(isSameRoute(kept, { ...route, sequence: 4 })).toBe(false);
  });

  it("shares its attributes with all that say the same, also when they came as copies", () => {
    const interned = new Interned();
    const first = interned.route(route) as HostRoute;
    const other = host({ ...route, mac: 0x020000000777, ip: null });
    const copy = new HostRoute(structuredClone(first.attributes), 0x020000000778, 5);
    for (const each of [other, copy]) expect((interned.route(each) as HostRoute).attributes).toBe(first.attributes);
    expect((interned.route(host({ ...route, isSticky: true })) as HostRoute).attributes).not.toBe(first.attributes);
  });

  it("is the same with an IPv6 address, which it has in one form", () => {
    const other = host({ ip: "2001:0DB8::0:1", sequence: 3 });
    const kept = new Interned().route(other) as HostRoute;
    expect(plainOf(kept)).toEqual({ ...other, ip: "2001:db8::1" });
    expect([keyOf(kept), ipOf(kept)]).toEqual([keyOf({ ...other, ip: "2001:db8::1" }), 0x20010db8n * 2n ** 96n + 1n]);
    expect(isSameRoute(kept, new Interned().route(structuredClone(other)))).toBe(true);
    expect(isSameRoute(kept, new Interned().route(host({ ip: "2001:db8::2", sequence: 3 })))).toBe(false);
  });

  it("is left as it is as an orphan", () => {
    const kept = new Interned().route(host({ isOrphan: true }));
    expect(kept).not.toBeInstanceOf(HostRoute);
    expect(kept).toEqual(host({ isOrphan: true }));
  });
});
