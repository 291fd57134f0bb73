/**
 * Policy routing: the first rule of the arrival VSI-interface that matches decides (D11), unless its next hops are dead.
 *
 * A rule that names ports never matches a non-first fragment: it has none, and guessing would route the pieces of one
 * packet differently. Rules without ports match fragments like any packet. So does a rule with ports match the *first*
 * fragment: a rule that must keep all pieces on one path has no ports.
 */

import { MAX_RULES } from "../tables/counters.ts";
import {
  RULE_ACTION,
  RULE_DEAD,
  RULE_DEFAULT_NEXT_HOP,
  RULE_DEFAULT_NEXT_HOPS,
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
} from "../tables/fib.ts";
import { u16 } from "../wire/bytes.ts";
import { FRAGMENT_OFFSET, headerBytes, IP_DST, IP_FRAGMENT, IP_PROTOCOL, IP_SRC } from "../wire/ipv4.ts";
import { L4_DST_PORT, L4_SRC_PORT } from "../wire/udp-tcp.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";

/** No rule matched. */
export const NO_RULE = 0;
export const POLICY_PERMIT = RULE_PERMIT;
export const POLICY_DROP = RULE_DROP;
export const POLICY_NEXT_HOP = RULE_NEXT_HOP;
export const POLICY_DEFAULT = RULE_DEFAULT_NEXT_HOP;
/** The same with a group of next hops. */
export const POLICY_NEXT_HOPS = RULE_NEXT_HOPS;
export const POLICY_DEFAULTS = RULE_DEFAULT_NEXT_HOPS;
export const POLICY_DEAD = RULE_DEAD;

/** The action of the first matching rule: POLICY_* in the low byte, an adjacency or a group above it; NO_RULE. Counts the rule's hit. */
export function policy(worker: WorkerContext, f: Frame, l3: number, arrival: number): number {
  const fib = worker.fib;
  const count = fib.policyCount[worker.policyBank + arrival]!;
  const bytes = f.bytes;
  const source = f.view.getInt32(l3 + IP_SRC);
  const destination = f.view.getInt32(l3 + IP_DST);
  const protocol = bytes[l3 + IP_PROTOCOL]!;
  const l4 = l3 + headerBytes(bytes, l3);
  const hasPorts = (u16(bytes, l3 + IP_FRAGMENT) & FRAGMENT_OFFSET) === 0 && l4 + 4 <= f.end;
  const rules = fib.rules;
  const bank = worker.policyBank === 0 ? 0 : MAX_RULES;
  let r = (bank + fib.policyFirst[worker.policyBank + arrival]!) * RULE_WORDS;
  for (let i = 0; i < count; i++, r += RULE_WORDS) {
    if (((source ^ rules[r + RULE_SRC]!) & rules[r + RULE_SRC_MASK]!) !== 0) continue;
    if (((destination ^ rules[r + RULE_DST]!) & rules[r + RULE_DST_MASK]!) !== 0) continue;
    const wanted = rules[r + RULE_PROTOCOL]!;
    if (wanted >= 0 && wanted !== protocol) continue;
    if (rules[r + RULE_HAS_PORTS] !== 0) {
      if (!hasPorts) continue;
      const from = u16(bytes, l4 + L4_SRC_PORT);
      if (from < rules[r + RULE_SRC_FIRST]! || from > rules[r + RULE_SRC_LAST]!) continue;
      const to = u16(bytes, l4 + L4_DST_PORT);
      if (to < rules[r + RULE_DST_FIRST]! || to > rules[r + RULE_DST_LAST]!) continue;
    }
    const action = rules[r + RULE_ACTION]!;
    if (action === RULE_PASSED) continue;
    worker.counters.rules[rules[r + RULE_ID]!]! += f.units;
    return action;
  }
  return NO_RULE;
}
