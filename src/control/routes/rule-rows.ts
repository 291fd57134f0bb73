/**
 * The rows that one rule of a policy becomes: the cross product of its sources, destinations and port ranges, for each family that it
 * speaks of. A rule that names no address and no next hop speaks of both.
 */
import * as FIB from "../../tables/fib.ts";
import { maskOf } from "../../wire/ipv4.ts";
import { wordsOf } from "../../wire/ipv6.ts";
import type { Family, Ip } from "../ip.ts";
import type { PortRange, Prefix, RuleConfig, RuleMatch } from "../plan.ts";

export const ROW_WORDS: Readonly<Record<Family, number>> = { 4: FIB.RULE_WORDS, 6: FIB.RULE6_WORDS };
/** Where the columns behind the addresses are, less where IPv4 has them. */
export const REST: Readonly<Record<Family, number>> = { 4: 0, 6: FIB.RULE6_REST };

const ANY: Readonly<Record<Family, readonly Prefix[]>> = {
  4: [{ text: "0.0.0.0/0", network: 0, length: 0 }],
  6: [{ text: "::/0", network: 0n, length: 0 }],
};
const ALL_PORTS: readonly PortRange[] = [{ first: 0, last: 65535 }];
const ALL_ONES = (1n << 128n) - 1n;

/** Which families a rule speaks of: that of its addresses and next hops (they are of one), or both. */
export function familiesOf({ match, action }: RuleConfig): readonly Family[] {
  const { sources, destinations } = match;
  const hop = "nextHops" in action ? action.nextHops[0]?.ip : undefined;
  const one: Ip | undefined = sources[0]?.network ?? destinations[0]?.network ?? hop;
  return one === undefined ? [4, 6] : [typeof one === "number" ? 4 : 6];
}

/** Rows of a rule in each family that it speaks of, for one VRF. */
export function rowsOf({ sources, destinations, sourcePorts, destinationPorts }: RuleMatch): number {
  const count = (list: readonly unknown[]) => Math.max(1, list.length);
  return count(sources) * count(destinations) * count(sourcePorts) * count(destinationPorts);
}

/** Append the rows of one rule. */
export function expand(rows: number[], family: Family, match: RuleMatch, action: number, id: number): void {
  const orAny = <T>(list: readonly T[], any: readonly T[]) => (list.length === 0 ? any : list);
  const hasPorts = match.sourcePorts.length + match.destinationPorts.length > 0 ? 1 : 0;
  for (const source of orAny(match.sources, ANY[family]))
    for (const destination of orAny(match.destinations, ANY[family]))
      for (const from of orAny(match.sourcePorts, ALL_PORTS))
        for (const to of orAny(match.destinationPorts, ALL_PORTS)) {
          const row = new Array<number>(ROW_WORDS[family]).fill(0);
          row.splice(0, 4 + REST[family], ...wordsAndMask(source), ...wordsAndMask(destination));
          const at = REST[family];
          row[at + FIB.RULE_PROTOCOL] = match.protocol ?? -1;
          row[at + FIB.RULE_SRC_FIRST] = from.first;
          row[at + FIB.RULE_SRC_LAST] = from.last;
          row[at + FIB.RULE_DST_FIRST] = to.first;
          row[at + FIB.RULE_DST_LAST] = to.last;
          row[at + FIB.RULE_HAS_PORTS] = hasPorts;
          row[at + FIB.RULE_ACTION] = action;
          row[at + FIB.RULE_ID] = id;
          rows.push(...row);
        }
}

/** RULE_SRC and RULE_SRC_MASK, or RULE_DST and RULE_DST_MASK. */
function wordsAndMask({ network, length }: Prefix): number[] {
  if (typeof network === "number") return [network, maskOf(length)];
  return [...wordsOf(network), ...wordsOf((ALL_ONES << BigInt(128 - length)) & ALL_ONES)];
}
