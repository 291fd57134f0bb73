/** Rules of policies in words. */
import type { PortRange, RuleAction, RuleMatch } from "../control/plan.ts";

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp" };

export function matchText({ sources, destinations, protocol, sourcePorts, destinationPorts }: RuleMatch): string {
  const words: string[] = [];
  const add = (name: string, values: readonly string[]) => {
    if (values.length > 0) words.push(`${name} ${values.join(",")}`);
  };
  add(
    "source",
    sources.map((prefix) => prefix.text),
  );
  add(
    "destination",
    destinations.map((prefix) => prefix.text),
  );
  add("protocol", protocol === null ? [] : [PROTOCOLS[protocol] ?? String(protocol)]);
  add("source port", sourcePorts.map(rangeText));
  add("destination port", destinationPorts.map(rangeText));
  return words.length === 0 ? "any" : words.join(" ");
}

function rangeText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

export function actionText(action: RuleAction): string {
  if ("nextHops" in action) return `${action.kind} ${action.nextHops.map(({ text }) => text).join(",")}`;
  return action.kind;
}
