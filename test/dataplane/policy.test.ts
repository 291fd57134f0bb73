/** Policy rules: the first that matches, found by a slow twin for random rules and packets; then what each action does. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { policy } from "../../src/dataplane/policy.ts";
import { F_AT, F_HEAD, F_LENGTH, F_SOURCE, F_UNITS } from "../../src/io/port-io.ts";
import { PUNT } from "../../src/tables/counters.ts";
import {
  GROUP_WORDS,
  ROUTE_DISCARD,
  ROUTE_UNDERLAY,
  RULE_DEFAULT_NEXT_HOP,
  RULE_DEFAULT_NEXT_HOPS,
  RULE_DROP,
  RULE_NEXT_HOP,
  RULE_NEXT_HOPS,
  RULE_PASSED,
  RULE_PERMIT,
} from "../../src/tables/fib.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { changed, udpFrame } from "./packets.ts";
import { type Prefix, type Rule, rule } from "./policies.ts";
import { G10, ip, M1, P10, P20, Rig } from "./rig.ts";

type Packet = {
  source: number;
  destination: number;
  protocol: number;
  sport: number;
  dport: number;
  /** Fragment offset in units of eight; flags are noise. */
  offset: number;
  /** Bytes behind the IPv4 header. */
  payload: number;
};

const inside = (address: number, prefix: Prefix): boolean => {
  const bits = (n: number): string => (n >>> 0).toString(2).padStart(32, "0");
  return bits(address).slice(0, prefix.length) === bits(prefix.address).slice(0, prefix.length);
};

/** Index of the first matching rule, or -1. */
function naive(rules: readonly Rule[], p: Packet): number {
  const hasPorts = p.offset === 0 && p.payload >= 4;
  const within = (port: number, range?: readonly [number, number]): boolean =>
    range === undefined || (port >= range[0] && port <= range[1]);
  return rules.findIndex(
    (r) =>
      (r.source === undefined || inside(p.source, r.source)) &&
      (r.destination === undefined || inside(p.destination, r.destination)) &&
      (r.protocol === undefined || r.protocol === p.protocol) &&
      ((r.sourcePorts === undefined && r.destinationPorts === undefined) ||
        (hasPorts && within(p.sport, r.sourcePorts) && within(p.dport, r.destinationPorts))),
  );
}

// Small worlds, so that rules and packets meet.
const addresses = fc
  .tuple(fc.constantFrom(0x0a010100, 0x14010100, 0xc0000200 | 0, 0), fc.nat(7))
  .map(([a, b]) => a | b | 0);
const ports = fc.constantFrom(0, 1, 80, 443, 1000, 65534, 65535);
const ranges = fc.oneof(
  fc.constant([0, 65535] as const),
  fc.tuple(ports, ports).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
);
const prefixes = fc.record({ address: addresses, length: fc.constantFrom(0, 0, 0, 0, 1, 8, 24, 29, 30, 31, 32) });
const rules: fc.Arbitrary<Rule[]> = fc.array(
  fc.record(
    {
      source: prefixes,
      destination: prefixes,
      protocol: fc.constantFrom(17, 17, 6, 0, 255),
      sourcePorts: ranges,
      destinationPorts: ranges,
      action: fc.constantFrom(RULE_PERMIT, RULE_DROP, RULE_NEXT_HOP, RULE_DEFAULT_NEXT_HOP),
      adjacency: fc.nat(5000),
    },
    { requiredKeys: ["action", "adjacency"] },
  ),
  { minLength: 1, maxLength: 8, size: "max" },
);
const packets: fc.Arbitrary<Packet> = fc.record({
  source: addresses,
  destination: addresses,
  protocol: fc.constantFrom(17, 17, 6, 0, 255),
  sport: ports,
  dport: ports,
  offset: fc.constantFrom(0, 0, 0, 1, 0x1fff),
  payload: fc.constantFrom(0, 3, 4, 30),
});

/** Take a packet in hand, as the stages before policy do: trimmed to the IP total length, noise behind it. */
function take(rig: Rig, p: Packet): void {
  const frame = udpFrame({ dst: G10, src: M1, from: p.source, to: p.destination, sport: p.sport, dport: p.dport });
  setU16(frame, 16, 20 + p.payload);
  setU16(frame, 20, p.offset | 0x4000);
  frame[23] = p.protocol;
  const { io } = rig;
  io.arena.set(frame, 64);
  io.frames.fill(0, 0, 16);
  io.frames[F_AT] = 64;
  io.frames[F_LENGTH] = frame.length;
  io.frames[F_HEAD] = frame.length;
  io.frames[F_SOURCE] = 1;
  io.frames[F_UNITS] = 1;
  rig.plane.worker.frame.load(0);
  rig.plane.worker.frame.trim(14 + 20 + p.payload);
}

describe("policy", () => {
  it("the first matching rule decides, and only its hit counter moves", () => {
    const rig = new Rig();
    const hits = rig.tables.counters[0]!.rules;
    let matched = 0;
    fc.assert(
      fc.property(rules, fc.array(packets, { minLength: 8, maxLength: 8 }), fc.nat(100), (list, some, first) => {
        rule(rig, 1, list, first);
        for (const p of some) {
          take(rig, p);
          hits.fill(0);
          const got = policy(rig.plane.worker, rig.plane.worker.frame, 64 + 14, 1);
          const i = naive(list, p);
          if (i >= 0) matched++;
          expect(got).toBe(i < 0 ? 0 : (list[i]!.adjacency! << 8) | list[i]!.action);
          expect([...hits.slice(0, 10)]).toEqual(Array.from({ length: 10 }, (_, k) => (i >= 0 && k === i + 1 ? 1 : 0)));
        }
        expect(policy(rig.plane.worker, rig.plane.worker.frame, 64 + 14, 2), "another VSI-interface has no rules").toBe(
          0,
        );
      }),
      { numRuns: 400 },
    );
    expect(matched).toBeGreaterThan(100);
  });

  it("a packet cut short has no ports, whatever lies behind it in the arena", () => {
    const rig = new Rig();
    rule(rig, 1, [{ action: RULE_DROP, destinationPorts: [2000, 2000] }]);
    rig.neighbor("20.1.1.12", 2, P20, 3);
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), dport: 2000 });
    rig.vm1.send(changed(frame, (b) => setU16(b, 16, 23))); // its ports are padding
    rig.vm1.send(changed(frame, (b) => setU16(b, 20, 1))); // a later fragment
    rig.run();
    expect(rig.drops).toEqual({});
    rig.vm1.send(frame);
    rig.run();
    expect(rig.drops).toEqual({ policy_drop: 1 });
  });
});

describe("what a rule does", () => {
  const packet = (to: string, ttl = 64): Uint8Array =>
    udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(to), ttl });
  const run = (rig: Rig, frame: Uint8Array): string[] => {
    rig.vm1.send(frame);
    rig.run();
    return rig.wire.splice(0).map((d) => d.to);
  };
  /** Routes: 20.1.1.12 behind gw2, connected prefixes; the border (192.0.2.3) is the policy's next hop. */
  function lab(): { rig: Rig; border: number } {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.neighbor("20.1.1.12", 2, P20, 3);
    return { rig, border: rig.neighbor("10.1.1.2", 1, P10, 4) };
  }

  it("a rule that is passed over counts nothing, and the next one decides; several next hops are a group", () => {
    const { rig, border } = lab();
    const other = rig.neighbor("10.1.1.3", 1, P10, 3);
    const places = Array.from({ length: GROUP_WORDS }, (_, place) => (place % 2 === 0 ? border : other));
    rig.tables.fib.groups.set(places, 7 * GROUP_WORDS);
    rule(rig, 1, [{ action: RULE_PASSED }, { action: RULE_NEXT_HOPS, adjacency: 7 }]);
    const ways = new Set<string>();
    for (let sport = 1; sport < 40; sport++) {
      const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), sport });
      for (const to of run(rig, frame)) ways.add(to);
    }
    expect(ways).toEqual(new Set(["192.0.2.3", "192.0.2.2"]));
    expect([...rig.plane.worker.counters.rules.slice(1, 3)]).toEqual([0, 39]);
    // By default: the table knows 20.1.1.12, and nothing of 99.1.1.1.
    rule(rig, 1, [{ action: RULE_DEFAULT_NEXT_HOPS, adjacency: 7 }]);
    rig.tables.fib.groups.fill(border, 7 * GROUP_WORDS, 8 * GROUP_WORDS);
    expect(run(rig, packet("20.1.1.12"))).toEqual(["192.0.2.2"]);
    expect(run(rig, packet("99.1.1.1"))).toEqual(["192.0.2.3"]);
  });

  it("nextHop stands before the table, also for connected hosts; permit leaves it to the table", () => {
    const { rig, border } = lab();
    rule(rig, 1, [
      {
        action: RULE_PERMIT,
        destination: { address: ip("20.1.1.12"), length: 32 },
        protocol: 17,
        destinationPorts: [53, 53],
      },
      { action: RULE_NEXT_HOP, adjacency: border },
    ]);
    expect(run(rig, packet("20.1.1.12"))).toEqual(["192.0.2.3"]);
    expect(run(rig, packet("99.1.1.1"))).toEqual(["192.0.2.3"]);
    const dns = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), dport: 53 });
    expect(run(rig, dns)).toEqual(["192.0.2.2"]);
    expect(rig.imbalance).toBe(0);
  });

  it("defaultNextHop only where the table has nothing more specific than a default route (D11)", () => {
    const { rig, border } = lab();
    rule(rig, 1, [{ action: RULE_DEFAULT_NEXT_HOP, adjacency: border }]);
    expect(run(rig, packet("20.1.1.12")), "a host route").toEqual(["192.0.2.2"]);
    expect(run(rig, packet("99.1.1.1")), "no route").toEqual(["192.0.2.3"]);
    rig.route("0.0.0.0", 0, ROUTE_DISCARD, 0);
    expect(run(rig, packet("99.1.1.1")), "a default route").toEqual(["192.0.2.3"]);
    expect(run(rig, packet("20.1.1.77")), "a connected prefix").toEqual([]);
    expect(rig.punts().map((p) => p.kind)).toEqual([PUNT.unresolved]);
    rig.route("99.0.0.0", 8, ROUTE_DISCARD, 0);
    expect(run(rig, packet("99.1.1.1")), "a static prefix").toEqual([]);
    expect(rig.drops).toEqual({ discard_route: 1 });
    rig.route("192.0.2.2", 32, ROUTE_UNDERLAY, 0);
    expect(run(rig, packet("192.0.2.2")), "a VTEP's address is no route").toEqual(["192.0.2.3"]);
  });

  it("no rule takes our own addresses away, nor the TTL's end", () => {
    const { rig } = lab();
    rule(rig, 1, [{ action: RULE_DROP }]);
    run(rig, packet("10.1.1.1"));
    run(rig, packet("20.1.1.1"));
    run(rig, packet("20.1.1.12", 1));
    expect(rig.punts().map((p) => p.kind)).toEqual([PUNT.local, PUNT.local, PUNT.ttl]);
    expect(rig.drops).toEqual({});
  });

  it("rules hold for the VSI-interface the packet arrived on, and a publication replaces them all", () => {
    const { rig, border } = lab();
    rule(rig, 2, [{ action: RULE_DROP }]);
    expect(run(rig, packet("20.1.1.12"))).toEqual(["192.0.2.2"]);
    rule(rig, 1, [{ action: RULE_NEXT_HOP, adjacency: border }]);
    expect(run(rig, packet("20.1.1.12"))).toEqual(["192.0.2.3"]);
    rule(rig, 1, []);
    expect(run(rig, packet("20.1.1.12"))).toEqual(["192.0.2.2"]);
  });

  it("a next hop that is not resolved is punted with who it is", () => {
    const { rig, border } = lab();
    rig.tables.fib.rewrite[border] = 0;
    rule(rig, 1, [{ action: RULE_NEXT_HOP, adjacency: border }]);
    run(rig, packet("99.1.1.1"));
    expect(rig.punts()).toMatchObject([{ kind: PUNT.unresolved, arg: 1, arg2: border, port: 1, vsi: 1 }]);
  });
});
