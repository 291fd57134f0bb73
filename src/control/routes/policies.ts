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
 * A hit counter belongs to (policy, what the rule says): it survives a reload that changes other rules or puts new ones before it,
 * and a rule that says something else begins at 0.
 */
import { MAX_RULES } from "../../tables/counters.ts";
import * as FIB from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import { MAX_INTERFACES } from "../../tables/vsi.ts";
import type { Inventory } from "../inventory.ts";
import type { Family } from "../ip.ts";
import type { PolicyConfig, RuleConfig } from "../plan.ts";
import { planText } from "../plan-text.ts";
import type { NextHopGroups } from "./next-hop-group.ts";
import { Homes, type NextHops } from "./next-hops.ts";
import { expand, familiesOf, REST, ROW_WORDS } from "./rule-rows.ts";
import { type RuleHop, RuleWay } from "./rule-way.ts";
import type { NextHopState } from "./static.ts";

const ACTIONS = { permit: FIB.RULE_PERMIT, drop: FIB.RULE_DROP } as const;

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

interface Span {
  readonly first: number;
  readonly count: number;
}
type ByFamily<T> = Readonly<Record<Family, T>>;

/** The next bank in the making. */
interface Bank {
  readonly rows: ByFamily<number[]>;
  /** By VSI-interface: first row, count. */
  readonly spans: ByFamily<Map<number, Span>>;
  readonly ways: RuleWay[];
  readonly homes: Homes;
}

const FAMILIES = [4, 6] as const;

/** Rows of `bank` so far. */
function rowCount({ rows }: Bank, family: Family): number {
  return rows[family].length / ROW_WORDS[family];
}

/** The columns of a family. */
function columnsOf(fib: FIB.Fib, family: Family) {
  return family === 4
    ? { rules: fib.rules, first: fib.policyFirst, count: fib.policyCount }
    : { rules: fib.rules6, first: fib.policyFirst6, count: fib.policyCount6 };
}

/** What the hits of each rule are counted by: its policy, what it says, and how many before it say the same. */
function counterKeysOf({ name, rules }: PolicyConfig): string[] {
  const before = new Map<string, number>();
  return rules.map((rule) => {
    const text = planText(rule);
    const count = before.get(text) ?? 0;
    before.set(text, count + 1);
    return `${name}\0${count}\0${text}`;
  });
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
    const bank: Bank = {
      rows: { 4: [], 6: [] },
      spans: { 4: new Map(), 6: new Map() },
      ways: [],
      homes: new Homes(inventory),
    };
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
    const nextHops = way.hops.map(({ iface, address: { text: ip, weight, priority, track, tunnel }, adjacency }) => {
      const alive = this.nextHops.isAlive(adjacency) && this.groups.tracks.isUp(track);
      return { ip, interface: iface.name, alive, weight, priority, track, tunnel };
    });
    return { ...state, alive: way.isAlive, nextHops };
  }

  /** Next hops of a published rule died or revived, or their group has another row: one store for each row of the rule. */
  private restate(way: RuleWay): void {
    const { fib } = this.tables;
    const { word, family } = way;
    const { rules } = columnsOf(fib, family);
    const words = ROW_WORDS[family];
    const at = (fib.policyHead[0]! * MAX_RULES + way.first) * words + REST[family] + FIB.RULE_ACTION;
    for (let i = 0; i < way.count; i++) Atomics.store(rules, at + i * words, word);
  }

  private add(bank: Bank, policy: PolicyConfig, inventory: Inventory): PolicyState {
    const spans = new Map<string, ByFamily<Span>>();
    const ids = counterKeysOf(policy).map((key) => this.idOf(key));
    for (const name of policy.interfaces) {
      const iface = inventory.interface(name)!;
      let span = spans.get(iface.vrfName);
      if (span === undefined) {
        const first = { 4: rowCount(bank, 4), 6: rowCount(bank, 6) };
        for (const [index, rule] of policy.rules.entries()) {
          this.addRule(bank, rule, ids[index]!, iface.vrfName);
        }
        const spanOf = (family: Family) => ({ first: first[family], count: rowCount(bank, family) - first[family] });
        span = { 4: spanOf(4), 6: spanOf(6) };
        spans.set(iface.vrfName, span);
      }
      for (const family of FAMILIES) bank.spans[family].set(iface.row, span[family]);
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

  private addRule(bank: Bank, rule: RuleConfig, id: number, vrf: string): void {
    const { action, match } = rule;
    const { rows, ways, homes } = bank;
    if (!("nextHops" in action)) {
      for (const family of familiesOf(rule)) expand(rows[family], family, match, ACTIONS[action.kind], id);
      return;
    }
    const way = new RuleWay(id, action, vrf, homes, this.nextHops, this.groups);
    way.first = rowCount(bank, way.family);
    expand(rows[way.family], way.family, match, way.word, id);
    way.count = rowCount(bank, way.family) - way.first;
    ways.push(way);
  }

  private differs(bank: Bank): boolean {
    return FAMILIES.some((family) => this.differsIn(family, bank));
  }

  private differsIn(family: Family, bank: Bank): boolean {
    const { fib } = this.tables;
    const { rules, first, count } = columnsOf(fib, family);
    const rows = bank.rows[family];
    const published = fib.policyHead[0]!;
    const at = published * MAX_RULES * ROW_WORDS[family];
    for (let i = 0; i < rows.length; i++) if (rules[at + i] !== rows[i]) return true;
    for (let iface = 0; iface < MAX_INTERFACES; iface++) {
      const span = bank.spans[family].get(iface);
      if ((span?.count ?? 0) !== count[published * MAX_INTERFACES + iface]) return true;
      if (span !== undefined && span.count > 0 && span.first !== first[published * MAX_INTERFACES + iface]) return true;
    }
    return false;
  }

  private publish({ rows, spans }: Bank): void {
    const { fib, heartbeat } = this.tables;
    const bank = 1 - fib.policyHead[0]!;
    const at = bank * MAX_INTERFACES;
    for (const family of FAMILIES) {
      const { rules, first, count } = columnsOf(fib, family);
      rules.set(rows[family], bank * MAX_RULES * ROW_WORDS[family]);
      count.fill(0, at, at + MAX_INTERFACES);
      for (const [iface, span] of spans[family]) {
        first[at + iface] = span.first;
        count[at + iface] = span.count;
      }
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
    const keys = new Set(wanted.flatMap(counterKeysOf));
    for (const [key, id] of this.ids) {
      if (keys.has(key)) continue;
      this.ids.delete(key);
      this.freeIds.push(id);
    }
  }
}
