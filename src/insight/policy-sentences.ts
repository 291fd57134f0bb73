/** What `why` tells of policies. */
import type { Policy, Route } from "../api/schema.ts";
import type { InterfaceObject } from "../control/inventory.ts";
import { type Ip, isWithin } from "../control/ip.ts";
import type { Config, Prefix } from "../control/plan.ts";
import { familiesOf } from "../control/routes/rule-rows.ts";

/**
 * What policies decide about packets to `ip`: of each, the rules that such a packet may meet before another one that it meets
 * for certain. A default next hop that the table beats (D11) decides nothing, and is not told.
 */
export function policySentences(
  policies: readonly Policy[],
  config: Config,
  scope: readonly InterfaceObject[],
  ip: Ip,
  routes: readonly Route[],
): string[] {
  return policies.flatMap(({ name, interfaces, rules }) => {
    const arrivals = scope.filter((each) => interfaces.includes(each.name));
    // Of several VRFs the one without such a route is where the default decides.
    const isRouted = arrivals.every(({ vrfName }) =>
      routes.some(({ vrf, prefix }) => vrf === vrfName && !prefix.endsWith("/0")),
    );
    const told: string[] = [];
    for (const [i, rule] of (config.policies.find((each) => each.name === name)?.rules ?? []).entries()) {
      if (!familiesOf(rule).includes(typeof ip === "number" ? 4 : 6)) continue;
      const { match, action } = rule;
      const { sources, destinations, protocol, sourcePorts, destinationPorts } = match;
      const isMeant = ({ network, length }: Prefix) => isWithin(ip, network, length);
      if (destinations.length > 0 && !destinations.some(isMeant)) continue;
      if (!(action.kind === "defaultNextHop" && isRouted) && rules[i] !== undefined)
        told.push(
          `rule ${i + 1}: ${rules[i].match} -> ${rules[i].action}${rules[i].alive === false ? " (dead, so it is passed over)" : ""}`,
        );
      if (sources.length + sourcePorts.length + destinationPorts.length === 0 && protocol === null) break;
    }
    if (arrivals.length === 0 || told.length === 0) return [];
    const from = arrivals.map((each) => each.name).join(", ");
    return [`Policy ${name} is asked before the routes for packets from ${from} (${told.join("; ")}).`];
  });
}
