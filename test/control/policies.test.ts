/** Policies: rules become rows, rows are published at once or not at all, hit counters stay with their rule. */
import { describe, expect, test } from "vitest";
import type { InterfaceObject } from "../../src/control/inventory.ts";
import type { PolicyConfig, RuleAction, RuleConfig, RuleMatch } from "../../src/control/plan.ts";
import { NextHopGroups } from "../../src/control/routes/next-hop-group.ts";
import { Policies } from "../../src/control/routes/policies.ts";
import { Timers } from "../../src/control/timers.ts";
import { MAX_RULES } from "../../src/tables/counters.ts";
import {
  GROUP_WORDS,
  RULE_ACTION,
  RULE_DEAD,
  RULE_DEFAULT_NEXT_HOP,
  RULE_DROP,
  RULE_DST,
  RULE_DST_FIRST,
  RULE_DST_LAST,
  RULE_DST_MASK,
  RULE_HAS_PORTS,
  RULE_ID,
  RULE_NEXT_HOP,
  RULE_NEXT_HOPS,
  RULE_PASSED,
  RULE_PERMIT,
  RULE_PROTOCOL,
  RULE_SRC,
  RULE_SRC_FIRST,
  RULE_SRC_LAST,
  RULE_SRC_MASK,
  RULE_WORDS,
} from "../../src/tables/fib.ts";
import { createTables } from "../../src/tables/tables.ts";
import { MAX_INTERFACES } from "../../src/tables/vsi.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { FakeNextHops } from "./fake-next-hops.ts";
import { address, interfaceObject, inventoryOf, prefix } from "./inventory-bed.ts";

const if10 = interfaceObject("if10", 1, "10.1.1.1/24");
const if20 = interfaceObject("if20", 2, "20.1.1.1/24");
const red10 = interfaceObject("red10", 3, "10.1.1.1/24", 1, "red");

const NO_MATCH: RuleMatch = { sources: [], destinations: [], protocol: null, sourcePorts: [], destinationPorts: [] };
const rule = (action: RuleAction, match: Partial<RuleMatch> = {}): RuleConfig => ({
  match: { ...NO_MATCH, ...match },
  action,
});
const via = (
  kind: "nextHop" | "defaultNextHop",
  hops: string | readonly string[],
  onDead: "fallThrough" | "drop" = "fallThrough",
): RuleAction => ({
  kind,
  nextHops: [hops].flat().map((text) => ({ ...address(text), weight: 1, priority: 1, track: null, tunnel: null })),
  onDead,
});
const policy = (name: string, interfaces: string[], ...rules: RuleConfig[]): PolicyConfig => ({
  name,
  interfaces,
  rules,
});

function setUp(...interfaces: InterfaceObject[]) {
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 64, routes: 64 });
  const hops = new FakeNextHops();
  const policies = new Policies(tables, hops, new NextHopGroups(tables, new Timers(0), hops));
  const inventory = inventoryOf(...(interfaces.length === 0 ? [if10, if20, red10] : interfaces));
  /** The rows a worker walks for packets that arrive on `on`. */
  const rows = (on: InterfaceObject): number[][] => {
    const { fib } = tables;
    const bank = fib.policyHead[0]!;
    const first = fib.policyFirst[bank * MAX_INTERFACES + on.row]!;
    return Array.from({ length: fib.policyCount[bank * MAX_INTERFACES + on.row]! }, (_, i) => {
      const at = (bank * MAX_RULES + first + i) * RULE_WORDS;
      return [...fib.rules.subarray(at, at + RULE_WORDS)];
    });
  };
  return { tables, hops, policies, rows, apply: (...wanted: PolicyConfig[]) => policies.apply(wanted, inventory) };
}

describe("rows", () => {
  test("every word of a rule with all conditions", () => {
    const { apply, rows, hops } = setUp();
    const match = {
      sources: [prefix("10.1.1.0/28")],
      destinations: [prefix("50.1.1.0/24")],
      protocol: 6,
      sourcePorts: [{ first: 1000, last: 2000 }],
      destinationPorts: [{ first: 443, last: 443 }],
    };
    apply(policy("p", ["if10"], rule(via("nextHop", "10.1.1.2"), match)));
    const [row] = rows(if10);
    expect(row![RULE_SRC]).toBe(parseIpv4("10.1.1.0"));
    expect(row![RULE_SRC_MASK]).toBe(0xfffffff0 | 0);
    expect(row![RULE_DST]).toBe(parseIpv4("50.1.1.0"));
    expect(row![RULE_DST_MASK]).toBe(0xffffff00 | 0);
    expect(row![RULE_PROTOCOL]).toBe(6);
    expect([row![RULE_SRC_FIRST], row![RULE_SRC_LAST], row![RULE_DST_FIRST], row![RULE_DST_LAST]]).toEqual([
      1000, 2000, 443, 443,
    ]);
    expect(row![RULE_HAS_PORTS]).toBe(1);
    expect(row![RULE_ACTION]).toBe(RULE_NEXT_HOP | (hops.of("if10 10.1.1.2") << 8));
    expect(rows(if20)).toEqual([]);
  });

  test("a rule without conditions matches everything, non-first fragments too", () => {
    const { apply, rows, hops } = setUp();
    apply(
      policy("p", ["if20"], rule({ kind: "drop" }), rule({ kind: "permit" }), rule(via("defaultNextHop", "20.1.1.2"))),
    );
    const found = rows(if20);
    expect(found.map((row) => row[RULE_ACTION])).toEqual([
      RULE_DROP,
      RULE_PERMIT,
      RULE_DEFAULT_NEXT_HOP | (hops.of("if20 20.1.1.2") << 8),
    ]);
    for (const row of found) {
      expect([row[RULE_SRC_MASK], row[RULE_DST_MASK], row[RULE_PROTOCOL], row[RULE_HAS_PORTS]]).toEqual([0, 0, -1, 0]);
      expect([row[RULE_SRC_FIRST], row[RULE_SRC_LAST], row[RULE_DST_FIRST], row[RULE_DST_LAST]]).toEqual([
        0, 65535, 0, 65535,
      ]);
    }
  });

  test("lists become their cross product, in the order of the rules, with one counter per rule", () => {
    const { apply, rows } = setUp();
    const match = {
      sources: [prefix("10.1.1.0/25"), prefix("10.1.1.128/25")],
      destinations: [prefix("50.0.0.0/8"), prefix("60.0.0.0/8"), prefix("70.0.0.0/8")],
      protocol: 17,
      destinationPorts: [
        { first: 53, last: 53 },
        { first: 123, last: 123 },
      ],
    };
    apply(policy("p", ["if10"], rule({ kind: "drop" }, match), rule({ kind: "permit" })));
    const found = rows(if10);
    expect(found).toHaveLength(13);
    const combinations = new Set(
      found.slice(0, 12).map((row) => [row[RULE_SRC], row[RULE_DST], row[RULE_DST_FIRST]].join()),
    );
    expect(combinations.size).toBe(12);
    expect(new Set(found.slice(0, 12).map((row) => row[RULE_ID])).size).toBe(1);
    expect(found[12]![RULE_ACTION]).toBe(RULE_PERMIT);
    expect(found[12]![RULE_ID]).not.toBe(found[0]![RULE_ID]);
  });

  test("VSI-interfaces of one VRF share rows; in another VRF the next hop is another", () => {
    const { apply, tables, hops } = setUp();
    const { fib } = tables;
    apply(policy("p", ["if10", "if20", "red10"], rule(via("nextHop", "10.1.1.2"))));
    const bank = fib.policyHead[0]! * MAX_INTERFACES;
    expect(fib.policyFirst[bank + if20.row]).toBe(fib.policyFirst[bank + if10.row]);
    expect(fib.policyFirst[bank + red10.row]).not.toBe(fib.policyFirst[bank + if10.row]);
    expect(hops.names()).toEqual(["if10 10.1.1.2", "red10 10.1.1.2"]);
  });
});

describe("publication", () => {
  test("a change goes to the other bank; the same rules again touch nothing", () => {
    const { apply, tables, policies } = setUp();
    apply(policy("p", ["if10"], rule({ kind: "drop" })));
    const bank = tables.fib.policyHead[0]!;
    apply(policy("p", ["if10"], rule({ kind: "drop" })));
    expect(tables.fib.policyHead[0]).toBe(bank);
    const at = bank * MAX_RULES * RULE_WORDS;
    const before = [...tables.fib.rules.subarray(at, at + RULE_WORDS)];
    tables.heartbeat.enter(0);
    apply(policy("p", ["if10"], rule({ kind: "permit" })));
    expect(tables.fib.policyHead[0]).toBe(1 - bank);
    expect([...tables.fib.rules.subarray(at, at + RULE_WORDS)]).toEqual(before);
    expect(policies.isSettled).toBe(false);
    tables.heartbeat.leave(0);
    expect(policies.isSettled).toBe(true);
  });

  test("an interface that loses its policy has no rows, in either bank", () => {
    const { apply, rows } = setUp();
    apply(policy("p", ["if10", "if20"], rule({ kind: "drop" })));
    apply(policy("p", ["if20"], rule({ kind: "drop" })));
    expect(rows(if10)).toEqual([]);
    expect(rows(if20)).toHaveLength(1);
    apply();
    expect(rows(if20)).toEqual([]);
  });

  test("next hops are held once per rule and let go with it", () => {
    const { apply, hops, policies } = setUp();
    apply(
      policy("p", ["if10"], rule(via("nextHop", "10.1.1.2")), rule(via("defaultNextHop", "10.1.1.2"))),
      policy("q", ["if20"], rule(via("nextHop", "20.1.1.2"))),
    );
    expect(hops.held.get(hops.of("if10 10.1.1.2"))!.count).toBe(2);
    hops.set(hops.of("if20 20.1.1.2"), false);
    expect(policies.list().map((each) => each.rules.map((state) => state.alive))).toEqual([[true, true], [false]]);
    apply(policy("p", ["if10"], rule(via("nextHop", "10.1.1.2")), rule({ kind: "drop" })));
    expect(hops.held.get(hops.of("if10 10.1.1.2"))!.count).toBe(1);
    expect(policies.list()[0]!.rules.map((state) => state.alive)).toEqual([true, null]);
    apply();
    expect(hops.names()).toEqual([]);
  });
});

describe("a rule whose next hop dies", () => {
  const match = { sources: [prefix("10.1.1.0/25"), prefix("10.1.1.128/25")] };
  const actions = (found: number[][]) => found.map((row) => row[RULE_ACTION]);

  test("is passed over in every row and VRF, by a store in the published rows; its life restores it", () => {
    const { apply, rows, hops, tables } = setUp();
    apply(policy("p", ["if10", "red10"], rule({ kind: "permit" }, match), rule(via("nextHop", "10.1.1.2"), match)));
    const bank = tables.fib.policyHead[0];
    const [here, red] = [hops.of("if10 10.1.1.2"), hops.of("red10 10.1.1.2")];
    hops.set(here, false);
    expect(actions(rows(if10))).toEqual([RULE_PERMIT, RULE_PERMIT, RULE_PASSED, RULE_PASSED]);
    expect(actions(rows(red10)).slice(2)).toEqual([RULE_NEXT_HOP | (red << 8), RULE_NEXT_HOP | (red << 8)]);
    // A reload meanwhile leaves it as it is, and what the other bank gets is right too.
    apply(policy("p", ["if10", "red10"], rule({ kind: "permit" }, match), rule(via("nextHop", "10.1.1.2"), match)));
    expect(tables.fib.policyHead[0]).toBe(bank);
    apply(policy("p", ["if10"], rule({ kind: "drop" }), rule(via("nextHop", "10.1.1.2"))));
    expect(actions(rows(if10))).toEqual([RULE_DROP, RULE_PASSED]);
    hops.set(here, true);
    expect(actions(rows(if10))).toEqual([RULE_DROP, RULE_NEXT_HOP | (here << 8)]);
    apply();
    expect(hops.names()).toEqual([]);
  });

  test("drops where it says so, by a next hop of either kind", () => {
    const { apply, rows, hops } = setUp();
    apply(
      policy("p", ["if10"], rule(via("nextHop", "10.1.1.2", "drop")), rule(via("defaultNextHop", "10.1.1.3", "drop"))),
    );
    hops.set(hops.of("if10 10.1.1.2"), false);
    expect(actions(rows(if10))[0]).toBe(RULE_DEAD);
    hops.set(hops.of("if10 10.1.1.3"), false);
    expect(actions(rows(if10))).toEqual([RULE_DEAD, RULE_DEAD]);
  });

  test("with several: the group goes on without the dead one, and the rule falls through with the last", () => {
    const { apply, rows, hops, tables, policies } = setUp();
    apply(policy("p", ["if10"], rule(via("nextHop", ["10.1.1.2", "10.1.1.3"])), rule({ kind: "drop" })));
    const [a, b] = [hops.of("if10 10.1.1.2"), hops.of("if10 10.1.1.3")];
    const members = () => {
      const word = rows(if10)[0]![RULE_ACTION]!;
      expect(word & 0xff).toBe(RULE_NEXT_HOPS);
      return new Set(tables.fib.groups.subarray((word >> 8) * GROUP_WORDS, ((word >> 8) + 1) * GROUP_WORDS));
    };
    expect(members()).toEqual(new Set([a, b]));
    hops.set(a, false);
    expect(members()).toEqual(new Set([b]));
    expect(policies.list()[0]!.rules[0]).toMatchObject({ alive: true, nextHops: [{ alive: false }, { alive: true }] });
    hops.set(b, false);
    expect(actions(rows(if10))).toEqual([RULE_PASSED, RULE_DROP]);
    hops.set(a, true);
    expect(members()).toEqual(new Set([a]));
    apply();
    expect(hops.names()).toEqual([]);
  });
});

describe("hit counters", () => {
  test("stay with (policy, what the rule says) while other rules and policies come and go", () => {
    const { apply, policies } = setUp();
    const ids = (name: string) =>
      policies
        .list()
        .find((each) => each.name === name)!
        .rules.map((state) => state.id);
    apply(
      policy("q", ["if20"], rule({ kind: "drop" })),
      policy("p", ["if10"], rule({ kind: "drop" }), rule({ kind: "permit" })),
    );
    const before = ids("p");
    apply(policy("p", ["if10"], rule({ kind: "drop" }), rule({ kind: "permit" }), rule({ kind: "drop" })));
    expect(ids("p").slice(0, 2)).toEqual(before);
    apply(policy("p", ["if10"], rule({ kind: "permit" })), policy("q", ["if20"], rule({ kind: "drop" })));
    expect(ids("p")).toEqual(before.slice(1, 2));
    expect(new Set([...ids("p"), ...ids("q")]).size).toBe(2);
  });

  test("a counter that had another rule before says so, and all of them can be used", () => {
    const { apply, policies, tables } = setUp();
    const many = Array.from({ length: MAX_RULES }, () => rule({ kind: "permit" }));
    apply(policy("p", ["if10"], ...many));
    expect(new Set(policies.list()[0]!.rules.map((state) => state.id)).size).toBe(MAX_RULES);
    for (const block of tables.workerCounters) block.rules.fill(5);
    apply(policy("other", ["if10"], rule({ kind: "drop" })));
    expect(policies.list()[0]!.rules[0]!.countedBefore).toBe(5);
  });
});
