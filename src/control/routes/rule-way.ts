/**
 * The way of a policy's rule: its next hops in one VRF, and the word that workers find in the rows of the rule.
 *
 * The word changes while the rows stay: one store for each row, and a worker reads it once. Next hops that are all dead, or out
 * of use by their tracks, make of the rule one that is passed over (the next rule decides, then the table), or with `onDead: drop`
 * one that drops. A next hop that was never used is not dead: the first packet must begin the search.
 */
import * as FIB from "../../tables/fib.ts";
import type { InterfaceObject } from "../inventory.ts";
import type { NextHopConfig, RuleAction } from "../plan.ts";
import type { NextHopGroup, NextHopGroups } from "./next-hop-group.ts";
import { type Homes, mustHold, type NextHops, nameOf } from "./next-hops.ts";

const ALONE = { nextHop: FIB.RULE_NEXT_HOP, defaultNextHop: FIB.RULE_DEFAULT_NEXT_HOP } as const;
const SEVERAL = { nextHop: FIB.RULE_NEXT_HOPS, defaultNextHop: FIB.RULE_DEFAULT_NEXT_HOPS } as const;

type NextHopAction = Extract<RuleAction, { kind: "nextHop" | "defaultNextHop" }>;

export interface RuleHop {
  readonly iface: InterfaceObject;
  readonly address: NextHopConfig;
  readonly adjacency: number;
}

export class RuleWay {
  /** The rule's counter. */
  readonly id: number;
  readonly hops: readonly RuleHop[];
  private readonly action: NextHopAction;
  private readonly nextHops: NextHops;
  private readonly groups: NextHopGroups;
  private readonly group: NextHopGroup | null;
  private row = 0;
  /** Its rows in the bank: the first, and how many. */
  first = 0;
  count = 0;
  /** Called when the word is another one. */
  onChange: (() => void) | null = null;
  private readonly user = (row: number) => {
    this.row = row;
    this.onChange?.();
  };

  constructor(id: number, action: NextHopAction, vrf: string, homes: Homes, nextHops: NextHops, groups: NextHopGroups) {
    this.id = id;
    this.action = action;
    this.nextHops = nextHops;
    this.groups = groups;
    this.hops = action.nextHops.map((address) => {
      const iface = homes.of(vrf, address);
      return { iface, address, adjacency: mustHold(nextHops, iface, address.ip, address.tunnel) };
    });
    const members = this.hops.map(({ adjacency, address }) => {
      const { weight, priority, track } = address;
      return { adjacency, name: nameOf(address), weight, priority, track };
    });
    this.group = members.length > 1 ? groups.join(members, this.user) : null;
  }

  /** Its next hops are of one. */
  get family(): 4 | 6 {
    return typeof this.hops[0]!.address.ip === "number" ? 4 : 6;
  }

  get isAlive(): boolean {
    const { nextHops, groups } = this;
    return this.hops.some(({ adjacency, address }) => nextHops.isAlive(adjacency) && groups.tracks.isUp(address.track));
  }

  /** RULE_ACTION of its rows. */
  get word(): number {
    const { kind, onDead } = this.action;
    if (!this.isAlive) return onDead === "drop" ? FIB.RULE_DEAD : FIB.RULE_PASSED;
    return this.group === null ? ALONE[kind] | (this.hops[0]!.adjacency << 8) : SEVERAL[kind] | (this.row << 8);
  }

  /** No row names it any more. */
  release(): void {
    this.onChange = null;
    if (this.group !== null) this.groups.leave(this.group, this.user);
    for (const { adjacency } of this.hops) this.nextHops.release(adjacency);
  }
}
