/**
 * Policy routing: from rules to the rows that workers walk (D11).
 *
 * A rule with several sources, destinations or port ranges is their cross product: one row for each combination, all
 * with the same hit counter. A policy's rows are shared by its VSI-interfaces, except where these belong to different
 * VRFs, because a next hop is an adjacency of one VRF. Rows live in two banks; the whole set is written into the one that
 * is not published and then published with one store, so a packet sees the old rules or the new ones, never a mixture.
 *
 * The other bank may be written when every worker has left the batch in which the last publication happened; `isSettled`
 * says so, and control/topology/topology.ts asks before it starts. Nothing is published when the rows are the same as before.
 * Between publications one word of a row changes, when its next hops die or revive (rule-way.ts).
 *
 * Hit counters belong to (policy, number of the rule): they survive a reload that changes other rules.
 */
import { MAX_RULES } from "../../tables/counters.ts";
import * as FIB from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import { MAX_INTERFACES } from "../../tables/vsi.ts";
import { maskOf } from "../../wire/ipv4.ts";
import type { Inventory } from "../inventory.ts";
import type { PolicyConfig, PortRange, Prefix, Prefix4, RuleConfig, RuleMatch } from "../plan.ts";
import type { NextHopGroups } from "./next-hop-group.ts";
import { Homes, type NextHops } from "./next-hops.ts";
import { type RuleHop, RuleWay } from "./rule-way.ts";
import type { NextHopState } from "./static.ts";

const ACTIONS = { permit: FIB.RULE_PERMIT, drop: FIB.RULE_DROP } as const;
const ANY: readonly Prefix4[] = [{ text: "0.0.0.0/0", network: 0, length: 0 }];
const ALL_PORTS: readonly PortRange[] = [{ first: 0, last: 65535 }];

/** A rule as the views show it; `id` is the index of its hit counter. */
export interface RuleState {
  readonly id: number;
  readonly rule: RuleConfig;
  /** What the counter showed when this rule got it: an earlier rule's hits. */
  readonly countedBefore: number;
  /** Does any of its next hops live? null: it has none. */
  readonly alive: boolean | null;
  readonly nextHops: readonly NextHopState[];
}

export interface PolicyState {
  readonly name: string;
  readonly interfaces: readonly string[];
  readonly rules: readonly RuleState[];
}

/** Rows that one rule becomes, for one VRF. */
export function rowsOf({ sources, destinations, sourcePorts, destinationPorts }: RuleMatch): number {
  const count = (list: readonly unknown[]) => Math.max(1, list.length);
  return count(sources) * count(destinations) * count(sourcePorts) * count(destinationPorts);
}

/** The next bank in the making. */
interface Bank {
  readonly rows: number[];
  /** By VSI-interface: first row, count. */
  readonly spans: Map<number, { first: number; count: number }>;
  readonly ways: RuleWay[];
  readonly homes: Homes;
}

export class Policies {
  private readonly tables: Tables;
  private readonly nextHops: NextHops;
  private readonly ids = new Map<string, number>();
  private readonly countedBefore = new Map<number, number>();
  private readonly freeIds: number[] = [];
  private freshId = 0;
  private readonly groups: NextHopGroups;
  /** Of all rules with next hops, in each VRF. */
  private ways: readonly RuleWay[] = [];
  private states: PolicyState[] = [];
  private note: Int32Array;

  constructor(tables: Tables, nextHops: NextHops, groups: NextHopGroups) {
    this.tables = tables;
    this.nextHops = nextHops;
    this.groups = groups;
    this.note = tables.heartbeat.note();
    const restateThose = (isChanged: (hop: RuleHop) => boolean) => {
      for (const way of this.ways) if (way.hops.some(isChanged)) this.restate(way);
    };
    nextHops.onChange((adjacency) => restateThose((hop) => hop.adjacency === adjacency));
    groups.tracks.onChange((track) => restateThose(({ address }) => address.track === track));
  }

  /** May the other bank be written? */
  get isSettled(): boolean {
    return this.tables.heartbeat.passed(this.note);
  }

  /** Make `wanted` the policies. Rows have been counted before, and `isSettled` is true. */
  apply(wanted: readonly PolicyConfig[], inventory: Inventory): void {
    this.freeIdsOf(wanted);
    const bank: Bank = { rows: [], spans: new Map(), ways: [], homes: new Homes(inventory) };
    this.states = wanted.map((policy) => this.add(bank, policy, inventory));
    if (this.differs(bank)) this.publish(bank);
    const old = this.ways;
    this.ways = bank.ways;
    for (const way of bank.ways) way.onChange = () => this.restate(way);
    for (const way of old) way.release();
  }

  list(): readonly PolicyState[] {
    return this.states.map((policy) => ({ ...policy, rules: policy.rules.map((rule) => this.refreshed(rule)) }));
  }

  /** Next hops of rules. */
  *hops(): Generator<{ readonly of: string; readonly adjacency: number }> {
    const names = new Map<number, string>();
    for (const { name, rules } of this.states)
      for (const [index, { id }] of rules.entries()) names.set(id, `policy ${name}, rule ${index + 1}`);
    for (const { id, hops } of this.ways) for (const { adjacency } of hops) yield { of: names.get(id)!, adjacency };
  }

  /** Its next hops are those of one VRF, if there are several. */
  private refreshed(state: RuleState): RuleState {
    const way = this.ways.findLast(({ id }) => id === state.id);
    if (way === undefined) return state;
    const nextHops = way.hops.map(({ iface, address: { text: ip, weight, priority, track }, adjacency }) => {
      const alive = this.nextHops.isAlive(adjacency) && this.groups.tracks.isUp(track);
      return { ip, interface: iface.name, alive, weight, priority, track };
    });
    return { ...state, alive: way.isAlive, nextHops };
  }

  /** Next hops of a published rule died or revived, or their group has another row: one store for each row of the rule. */
  private restate(way: RuleWay): void {
    const { fib } = this.tables;
    const at = (fib.policyHead[0]! * MAX_RULES + way.first) * FIB.RULE_WORDS + FIB.RULE_ACTION;
    const { word } = way;
    for (let i = 0; i < way.count; i++) Atomics.store(fib.rules, at + i * FIB.RULE_WORDS, word);
  }

  private add(bank: Bank, policy: PolicyConfig, inventory: Inventory): PolicyState {
    const spans = new Map<string, { first: number; count: number }>();
    const ids = policy.rules.map((_, index) => this.idOf(`${policy.name}\0${index}`));
    for (const name of policy.interfaces) {
      const iface = inventory.interface(name)!;
      let span = spans.get(iface.vrfName);
      if (span === undefined) {
        const first = bank.rows.length / FIB.RULE_WORDS;
        for (const [index, rule] of policy.rules.entries()) {
          this.addRule(bank, rule, ids[index]!, iface.vrfName);
        }
        span = { first, count: bank.rows.length / FIB.RULE_WORDS - first };
        spans.set(iface.vrfName, span);
      }
      bank.spans.set(iface.row, span);
    }
    const rules = policy.rules.map((rule, index) => ({
      id: ids[index]!,
      rule,
      countedBefore: this.countedBefore.get(ids[index]!) ?? 0,
      alive: null,
      nextHops: [],
    }));
    return { name: policy.name, interfaces: policy.interfaces, rules };
  }

  private addRule({ rows, ways, homes }: Bank, { action, match }: RuleConfig, id: number, vrf: string): void {
    if (!("nextHops" in action)) {
      expand(rows, match, ACTIONS[action.kind], id);
      return;
    }
    const way = new RuleWay(id, action, vrf, homes, this.nextHops, this.groups);
    way.first = rows.length / FIB.RULE_WORDS;
    expand(rows, match, way.word, id);
    way.count = rows.length / FIB.RULE_WORDS - way.first;
    ways.push(way);
  }

  private differs({ rows, spans }: Bank): boolean {
    const { fib } = this.tables;
    const bank = fib.policyHead[0]!;
    const at = bank * MAX_RULES * FIB.RULE_WORDS;
    for (let i = 0; i < rows.length; i++) if (fib.rules[at + i] !== rows[i]) return true;
    for (let iface = 0; iface < MAX_INTERFACES; iface++) {
      const span = spans.get(iface);
      if ((span?.count ?? 0) !== fib.policyCount[bank * MAX_INTERFACES + iface]) return true;
      if (span !== undefined && span.count > 0 && span.first !== fib.policyFirst[bank * MAX_INTERFACES + iface])
        return true;
    }
    return false;
  }

  private publish({ rows, spans }: Bank): void {
    const { fib, heartbeat } = this.tables;
    const bank = 1 - fib.policyHead[0]!;
    fib.rules.set(rows, bank * MAX_RULES * FIB.RULE_WORDS);
    const at = bank * MAX_INTERFACES;
    fib.policyCount.fill(0, at, at + MAX_INTERFACES);
    for (const [iface, { first, count }] of spans) {
      fib.policyFirst[at + iface] = first;
      fib.policyCount[at + iface] = count;
    }
    Atomics.store(fib.policyHead, 0, bank);
    this.note = heartbeat.note();
  }

  private idOf(key: string): number {
    let id = this.ids.get(key);
    if (id === undefined) {
      id = this.freshId < MAX_RULES ? this.freshId++ : this.freeIds.shift();
      if (id === undefined) throw new Error("no rule counter left, although the plan was checked");
      this.ids.set(key, id);
      this.countedBefore.set(
        id,
        this.tables.counters.reduce((sum, block) => sum + block.rules[id!]!, 0),
      );
    }
    return id;
  }

  /** Give back the counters of rules that are no more. Fresh numbers are used first, so that counts start at 0 for long. */
  private freeIdsOf(wanted: readonly PolicyConfig[]): void {
    const keys = new Set(wanted.flatMap((policy) => policy.rules.map((_, index) => `${policy.name}\0${index}`)));
    for (const [key, id] of this.ids) {
      if (keys.has(key)) continue;
      this.ids.delete(key);
      this.freeIds.push(id);
    }
  }
}

/** Append the rows of one rule. */
function expand(rows: number[], match: RuleMatch, action: number, id: number): void {
  const orAny = <T>(list: readonly T[], any: readonly T[]) => (list.length === 0 ? any : list);
  const hasPorts = match.sourcePorts.length + match.destinationPorts.length > 0 ? 1 : 0;
  const isIpv4 = (prefix: Prefix): prefix is Prefix4 => typeof prefix.network === "number";
  if (![...match.sources, ...match.destinations].every(isIpv4)) return;
  for (const source of orAny(match.sources.filter(isIpv4), ANY))
    for (const destination of orAny(match.destinations.filter(isIpv4), ANY))
      for (const from of orAny(match.sourcePorts, ALL_PORTS))
        for (const to of orAny(match.destinationPorts, ALL_PORTS)) {
          const at = rows.length;
          for (let i = 0; i < FIB.RULE_WORDS; i++) rows.push(0);
          rows[at + FIB.RULE_SRC] = source.network;
          rows[at + FIB.RULE_SRC_MASK] = maskOf(source.length);
          rows[at + FIB.RULE_DST] = destination.network;
          rows[at + FIB.RULE_DST_MASK] = maskOf(destination.length);
          rows[at + FIB.RULE_PROTOCOL] = match.protocol ?? -1;
          rows[at + FIB.RULE_SRC_FIRST] = from.first;
          rows[at + FIB.RULE_SRC_LAST] = from.last;
          rows[at + FIB.RULE_DST_FIRST] = to.first;
          rows[at + FIB.RULE_DST_LAST] = to.last;
          rows[at + FIB.RULE_HAS_PORTS] = hasPorts;
          rows[at + FIB.RULE_ACTION] = action;
          rows[at + FIB.RULE_ID] = id;
        }
}
