/**
 * Policy routing of IPv6: policy.ts's rules, with addresses of four words. Protocol and ports are those behind all extension headers, or
 * a sender could choose whether a rule is for it; a later fragment has the protocol that its header names, and no ports. What hides them
 * (a chain without an end, RFC 7112) is whatever a rule that drops wants, and nothing that another one does.
 */
import { MAX_RULES } from "../tables/counters.ts";
import {
  RULE_ACTION,
  RULE_DST_FIRST,
  RULE_DST_LAST,
  RULE_HAS_PORTS,
  RULE_ID,
  RULE_PASSED,
  RULE_PROTOCOL,
  RULE_SRC_FIRST,
  RULE_SRC_LAST,
  RULE6_DST,
  RULE6_DST_MASK,
  RULE6_REST,
  RULE6_SRC,
  RULE6_SRC_MASK,
  RULE6_WORDS,
} from "../tables/fib.ts";
import { u16 } from "../wire/bytes.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import {
  IP6_DST,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  LATER_FRAGMENT,
  protocolOfFragment,
  upperLayer,
} from "../wire/ipv6.ts";
import { L4_DST_PORT, L4_SRC_PORT } from "../wire/udp-tcp.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";
import { NO_RULE, POLICY_DROP } from "./policy.ts";

/** The protocol of a packet whose headers have no end. */
const HIDDEN = -1;

/** The action of the first matching rule, as policy.ts tells it. Counts the rule's hit. */
export function policy6(worker: WorkerContext, f: Frame, l3: number, arrival: number): number {
  const fib = worker.fib;
  const count = fib.policyCount6[worker.policyBank + arrival]!;
  const { bytes, view } = f;
  let protocol = bytes[l3 + IP6_NEXT]!;
  let l4 = l3 + IPV6_BYTES;
  if (protocol !== PROTO_TCP && protocol !== PROTO_UDP) {
    const upper = upperLayer(bytes, l3, f.end);
    l4 = upper < 0 ? f.end : upper >> 8;
    protocol = upper >= 0 ? upper & 0xff : upper === LATER_FRAGMENT ? protocolOfFragment(bytes, l3) : HIDDEN;
  }
  const hasPorts = (protocol === PROTO_TCP || protocol === PROTO_UDP) && l4 + 4 <= f.end;
  const rules = fib.rules6;
  const bank = worker.policyBank === 0 ? 0 : MAX_RULES;
  let r = (bank + fib.policyFirst6[worker.policyBank + arrival]!) * RULE6_WORDS;
  for (let i = 0; i < count; i++, r += RULE6_WORDS) {
    if (!matches(view, l3 + IP6_SRC, rules, r + RULE6_SRC, r + RULE6_SRC_MASK)) continue;
    if (!matches(view, l3 + IP6_DST, rules, r + RULE6_DST, r + RULE6_DST_MASK)) continue;
    const rest = r + RULE6_REST;
    const action = rules[rest + RULE_ACTION]!;
    const isAny = protocol === HIDDEN && (action & 0xff) === POLICY_DROP;
    const wanted = rules[rest + RULE_PROTOCOL]!;
    if (wanted >= 0 && wanted !== protocol && !isAny) continue;
    if (rules[rest + RULE_HAS_PORTS] !== 0 && !isAny) {
      if (!hasPorts) continue;
      const from = u16(bytes, l4 + L4_SRC_PORT);
      if (from < rules[rest + RULE_SRC_FIRST]! || from > rules[rest + RULE_SRC_LAST]!) continue;
      const to = u16(bytes, l4 + L4_DST_PORT);
      if (to < rules[rest + RULE_DST_FIRST]! || to > rules[rest + RULE_DST_LAST]!) continue;
    }
    if (action === RULE_PASSED) continue;
    worker.counters.rules[rules[rest + RULE_ID]!]! += f.units;
    return action;
  }
  return NO_RULE;
}

/** Does the address at `at` match the four words of a rule under their mask? */
function matches(view: DataView, at: number, rules: Int32Array, words: number, mask: number): boolean {
  let different = (view.getInt32(at) ^ rules[words]!) & rules[mask]!;
  different |= (view.getInt32(at + 4) ^ rules[words + 1]!) & rules[mask + 1]!;
  different |= (view.getInt32(at + 8) ^ rules[words + 2]!) & rules[mask + 2]!;
  different |= (view.getInt32(at + 12) ^ rules[words + 3]!) & rules[mask + 3]!;
  return different === 0;
}
