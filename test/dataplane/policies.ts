/** Policy rules for tests, and the slow twin that says which one matches. */

import { MAX_RULES } from "../../src/tables/counters.ts";
import {
  RULE_ACTION,
  RULE_DST,
  RULE_DST_FIRST,
  RULE_DST_LAST,
  RULE_DST_MASK,
  RULE_HAS_PORTS,
  RULE_ID,
  RULE_PROTOCOL,
  RULE_SRC,
  RULE_SRC_FIRST,
  RULE_SRC_LAST,
  RULE_SRC_MASK,
  RULE_WORDS,
} from "../../src/tables/fib.ts";
import { MAX_INTERFACES } from "../../src/tables/vsi.ts";
import { maskOf } from "../../src/wire/ipv4.ts";
import type { Rig } from "./rig.ts";

export type Prefix = { address: number; length: number };
export type Rule = {
  source?: Prefix;
  destination?: Prefix;
  protocol?: number;
  sourcePorts?: readonly [number, number];
  destinationPorts?: readonly [number, number];
  action: number;
  adjacency?: number;
};

/** Publish `rules` for VSI-interface `on`: rule i has number i + 1. Written into the bank that is not published. */
export function rule(rig: Rig, on: number, rules: readonly Rule[], first = 0): void {
  const fib = rig.tables.fib;
  const bank = 1 - fib.policyHead[0]!;
  rules.forEach((r, i) => {
    const at = (bank * MAX_RULES + first + i) * RULE_WORDS;
    const w = fib.rules;
    w.fill(0, at, at + RULE_WORDS);
    w[at + RULE_SRC] = r.source?.address ?? 0;
    w[at + RULE_SRC_MASK] = maskOf(r.source?.length ?? 0);
    w[at + RULE_DST] = r.destination?.address ?? 0;
    w[at + RULE_DST_MASK] = maskOf(r.destination?.length ?? 0);
    w[at + RULE_PROTOCOL] = r.protocol ?? -1;
    [w[at + RULE_SRC_FIRST], w[at + RULE_SRC_LAST]] = r.sourcePorts ?? [0, 65535];
    [w[at + RULE_DST_FIRST], w[at + RULE_DST_LAST]] = r.destinationPorts ?? [0, 65535];
    w[at + RULE_HAS_PORTS] = r.sourcePorts === undefined && r.destinationPorts === undefined ? 0 : 1;
    w[at + RULE_ACTION] = ((r.adjacency ?? 0) << 8) | r.action;
    w[at + RULE_ID] = i + 1;
  });
  fib.policyFirst[bank * MAX_INTERFACES + on] = first;
  fib.policyCount[bank * MAX_INTERFACES + on] = rules.length;
  fib.policyHead[0] = bank;
  rig.plane.worker.begin(); // a batch sees the bank that was published when it began
}
