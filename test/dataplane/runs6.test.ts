/**
 * What a worker knows of IPv6 addresses must never be believed of other ones, nor after control has changed a route. The slow twin is a
 * gateway with the same tables that gets each packet in a batch of its own, and remembers nothing from one to the next.
 */
import { describe, expect, it } from "vitest";
import { INJECT } from "../../src/tables/counters.ts";
import {
  LENGTHS6_WORDS,
  ROUTE_ADJACENCY,
  ROUTE_DISCARD,
  ROUTE_GLEAN,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_LOCAL,
  ROUTE_PROHIBIT,
  ROUTE_UNREACHABLE,
  ROUTE_VRF,
  RULE_ACTION,
  RULE_DEFAULT_NEXT_HOP,
  RULE_DST_LAST,
  RULE_ID,
  RULE_PROTOCOL,
  RULE_SRC_LAST,
  RULE6_REST,
  routeKey6,
} from "../../src/tables/fib.ts";
import { PORT_ANTI_SPOOF } from "../../src/tables/vsi.ts";
import { parseIpv6, wordsOf } from "../../src/wire/ipv6.ts";
import { xorshift } from "../tables/xorshift.ts";
import { vxlan } from "./packets.ts";
import { udp6 } from "./packets6.ts";
import { G10, G20, M1, M2, P20 } from "./rig.ts";
import { Rig6 } from "./rig6.ts";

type Random = () => number;

const KINDS = [ROUTE_ADJACENCY, ROUTE_ADJACENCY, ROUTE_GLEAN, ROUTE_DISCARD, ROUTE_UNREACHABLE, ROUTE_PROHIBIT];
const TAILS = ["1", "2", "1:1", "2:1", "1:0:1", "8000:0:0:1"];
const DESTINATIONS = ["2001:db8:20:", "2001:db8:99:", "2001:db9:99:"].flatMap((net) => TAILS.map((t) => `${net}:${t}`));
const SOURCES = ["2001:db8:10::11", "2001:db8:10::12", "2001:db8:20::77", "2001:db8:10::1", "fe80::11"];

class Routed extends Rig6 {
  put(vrf: number, address: string, length: number, kind: number, arg: number): void {
    const all = parseIpv6(address)!;
    const network = length === 0 ? 0n : (all >> BigInt(128 - length)) << BigInt(128 - length);
    this.routes6.set(...wordsOf(network), routeKey6(vrf, length), (kind << ROUTE_KIND_SHIFT) | arg);
    if (length < 128) this.tables.fib.lengths6[vrf * LENGTHS6_WORDS + (length >> 5)]! |= 1 << (length & 31);
  }

  /** The bit of its length stays, as it may. */
  take(vrf: number, address: string, length: number): void {
    const all = parseIpv6(address)!;
    const network = length === 0 ? 0n : (all >> BigInt(128 - length)) << BigInt(128 - length);
    this.routes6.remove(...wordsOf(network), routeKey6(vrf, length));
  }

  /** Whatever is in no other route goes to `adjacency`: from the next batch on. */
  putDefaultRule(adjacency: number): void {
    const { fib } = this.tables;
    const rest = RULE6_REST;
    fib.rules6[rest + RULE_PROTOCOL] = -1;
    fib.rules6[rest + RULE_SRC_LAST] = 65535;
    fib.rules6[rest + RULE_DST_LAST] = 65535;
    fib.rules6[rest + RULE_ACTION] = (adjacency << 8) | RULE_DEFAULT_NEXT_HOP;
    fib.rules6[rest + RULE_ID] = 1;
    fib.policyCount6[1] = 1;
  }

  get fates() {
    return {
      punts: this.punts().map(({ kind, arg, arg2, bytes }) => ({ kind, arg, arg2, bytes: [...bytes] })),
      vm2: this.heard[2],
      wire: this.wire.map(({ to, bytes }) => ({ to, bytes: [...bytes] })),
      drops: this.drops,
      rules: this.tables.counters[0]!.rules[1],
      imbalance: this.imbalance,
    };
  }
}

/** The same tables for the same `random`. */
function gateway(random: Random): { rig: Routed; change: () => void } {
  const rig = new Routed();
  const some = <T>(all: readonly T[]): T => all[random() % all.length]!;
  const hops = ["2001:db8:20::d1", "2001:db8:20::d2"].map((hop, i) => rig.host(hop, 2, i === 0 ? P20 : M2, 3 - i));
  const change = () => {
    const kind = random() % 8 === 0 ? ROUTE_VRF : some(KINDS);
    const arg = kind === ROUTE_ADJACENCY ? some(hops) : kind === ROUTE_VRF ? 2 : kind === ROUTE_GLEAN ? 2 : 0;
    rig.put(1, some(DESTINATIONS), some([0, 0, 20, 40, 64, 97, 127]), kind, arg);
    rig.put(2, some(DESTINATIONS), some([0, 32, 64, 126]), some(KINDS.slice(0, 2)), some(hops));
    if (random() % 4 === 0) rig.put(1 + (random() & 1), some(DESTINATIONS), 128, ROUTE_HOST, some(hops));
    if (random() % 4 === 0) rig.take(1, some(DESTINATIONS), some([0, 40, 64, 128]));
  };
  for (let n = 0; n < 12; n++) change();
  rig.put(1, some(DESTINATIONS), 128, ROUTE_LOCAL, 2);
  if (random() % 2 === 0) rig.tables.ports.flags[1]! |= PORT_ANTI_SPOOF;
  if (random() % 2 === 0) rig.putDefaultRule(some(hops));
  return { rig, change };
}

/** Packets of an AC, of a tunnel and of control, in runs that are often broken. */
function* arrivals(random: Random): Generator<(rig: Routed) => void> {
  const some = <T>(all: readonly T[]): T => all[random() % all.length]!;
  for (let n = 0, to = some(DESTINATIONS), from = SOURCES[0]!; n < 40; n++) {
    if (random() % 3 === 0) to = some(DESTINATIONS);
    if (random() % 4 === 0) from = some(SOURCES);
    const hops = random() % 16 === 0 ? 1 : 64;
    const packet = { from, to, hops, sport: random() & 0xffff };
    const way = random() % 8;
    if (way === 0) yield (rig) => rig.arrive(2, vxlan(20, udp6({ ...packet, dst: G20, src: P20 })));
    else if (way === 1) yield (rig) => rig.inject(INJECT.route, 0, 0, 1, 1, udp6({ ...packet, dst: G10, src: M1 }));
    else yield (rig) => rig.vm1.send(udp6({ ...packet, dst: G10, src: M1 }));
  }
}

describe("a run of IPv6 packets", () => {
  it("each has the fate that it has alone, whatever the tables say and become", () => {
    const seen = { wire: 0, vm2: 0, punts: 0, drops: new Set<string>() };
    for (let seed = 1; seed <= 40; seed++) {
      const [together, alone] = [gateway(xorshift(seed)), gateway(xorshift(seed))];
      const random = xorshift(1000 + seed);
      for (let batch = 0; batch < 3; batch++) {
        const all = [...arrivals(random)];
        for (const arrive of all) arrive(together.rig);
        together.rig.run();
        for (const arrive of all) {
          alone.rig.routes6.renew();
          arrive(alone.rig);
          alone.rig.run();
        }
        for (const { change } of [together, alone]) change();
      }
      const [a, b] = [sorted(together.rig.fates), sorted(alone.rig.fates)];
      expect({ seed, ...a }).toEqual({ seed, ...b });
      seen.wire += a.wire.length;
      seen.vm2 += a.vm2?.length ?? 0;
      seen.punts += a.punts.length;
      for (const reason of Object.keys(a.drops)) seen.drops.add(reason);
    }
    // The worlds are not so strange that nothing meets.
    expect(Math.min(seen.wire, seen.vm2, seen.punts)).toBeGreaterThan(50);
    expect([...seen.drops]).toEqual(
      expect.arrayContaining(["ip_martian", "anti_spoof", "discard_route", "not_forwarded", "l3_loop"]),
    );
  });

  it("what control has changed is not remembered in the next batch", () => {
    const rig = new Routed();
    const packet = udp6({ dst: G10, src: M1, from: "2001:db8:10::11", to: "2001:db8:99::1" });
    const offer = () => {
      for (let n = 0; n < 3; n++) rig.vm1.send(packet);
      rig.run();
      return [rig.wire.length, rig.heard[2]!.length, rig.drops];
    };
    rig.put(1, "2001:db8:99::", 48, ROUTE_ADJACENCY, rig.host("2001:db8:20::d1", 2, P20, 3));
    expect(offer()).toEqual([3, 0, {}]);
    rig.put(1, "2001:db8:99::", 64, ROUTE_ADJACENCY, rig.host("2001:db8:20::d2", 2, M2, 2));
    expect(offer()).toEqual([3, 3, {}]);
    rig.put(1, "2001:db8:99::1", 128, ROUTE_DISCARD, 0);
    expect(offer()).toEqual([3, 3, { discard_route: 3 }]);
    rig.take(1, "2001:db8:99::1", 128);
    rig.take(1, "2001:db8:99::", 64);
    expect(offer()).toEqual([6, 3, { discard_route: 3 }]);
  });
});

/** Of two packets by different ways the batch may take the later one first. */
function sorted<T extends { readonly [key: string]: unknown }>(fates: T): T {
  const inOrder = (value: unknown) =>
    Array.isArray(value) ? [...value].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value;
  return Object.fromEntries(Object.entries(fates).map(([key, value]) => [key, inOrder(value)])) as unknown as T;
}
