/** What a reload would change, told with values: what people read in `vtepctl config diff`. */
import { expect, it } from "vitest";
import { changesOf } from "../../src/config/change-list.ts";
import { configDiff } from "../../src/config/diff.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/control/plan.ts";

const BASE = `node: gw1
underlay: {address: 192.0.2.1}
tunnels: [{name: gw2, remote: 192.0.2.2}, {name: border, remote: 192.0.2.3}]
vsis: [{name: vsi10, vni: 10, tunnels: [gw2, border], mac: {static: [{mac: "02:00:00:00:00:01", ac: vm1}]}}]
interfaces: [{name: i10, vsi: vsi10, address: [10.1.1.1/24, 10.1.2.1/24]}]
acs: [{name: vm1, vsi: vsi10, tap: {device: tap1}}]
routes: [{prefix: 0.0.0.0/0, nextHop: 10.1.1.2}]
policies: [{name: p, interfaces: [i10], rules: [{match: {}, defaultNextHop: 10.1.1.2}]}]
log: {level: info}
`;

function parsed(text: string): Config {
  const result = parseConfig(text, "gw1.yaml");
  if ("errors" in result) throw new Error(result.errors.map(({ message }) => message).join("; "));
  return result.config;
}

function told(...swaps: [from: string, to: string][]): string[] {
  const [from, to] = [parsed(BASE), parsed(swaps.reduce((text, [old, now]) => text.replace(old, now), BASE))];
  return changesOf(configDiff(from, to), from, to).flatMap(({ action, kind, name, details }) =>
    details.length === 0
      ? [`${action} ${kind} ${name}`]
      : details.map((each) => `${action} ${kind} ${name}: ${each.path} ${each.from} -> ${each.to}`),
  );
}

it.each<[string, [string, string][], string[]]>([
  ["nothing", [], []],
  ["a number", [["vni: 10", "vni: 11"]], ["change vsi vsi10: vni 10 -> 11"]],
  [
    "an element of a list, not the list",
    [["tunnels: [gw2, border]", "tunnels: [gw2]"]],
    ["change vsi vsi10: tunnels border -> null"],
  ],
  ["a key deep inside", [["mac: {", "mac: {limit: 9, "]], ["change vsi vsi10: mac.limit 8192 -> 9"]],
  [
    "a static entry",
    [["00:01", "00:02"]],
    [
      "change vsi vsi10: mac.static {mac: 02:00:00:00:00:01, ac: vm1} -> null",
      "change vsi vsi10: mac.static null -> {mac: 02:00:00:00:00:02, ac: vm1}",
    ],
  ],
  [
    "the order of addresses, of which the first is the primary one",
    [["[10.1.1.1/24, 10.1.2.1/24]", "[10.1.2.1/24, 10.1.1.1/24]"]],
    ["change interface i10: address [10.1.1.1/24, 10.1.2.1/24] -> [10.1.2.1/24, 10.1.1.1/24]"],
  ],
  [
    "a next hop",
    [["nextHop: 10.1.1.2}]\np", "nextHop: 10.1.1.3}]\np"]],
    [
      "change route 0.0.0.0/0 in VRF main: nextHops 10.1.1.2 -> null",
      "change route 0.0.0.0/0 in VRF main: nextHops null -> 10.1.1.3",
    ],
  ],
  [
    "a rule by its place",
    [["rules: [", "rules: [{match: {protocol: tcp}, action: drop}, "]],
    [
      "change policy p: rules[0] {match: {}, defaultNextHop: 10.1.1.2} -> {match: {protocol: 6}, action: drop}",
      "change policy p: rules[1] null -> {match: {}, defaultNextHop: 10.1.1.2}",
    ],
  ],
  ["a setting", [["level: info", "level: debug"]], ["change setting log.level:  info -> debug"]],
  ["what comes", [["acs: [", "acs: [{name: vm2, vsi: vsi10, tap: {device: tap2}}, "]], ["add ac vm2"]],
  [
    "a section that comes",
    [["log:", "attach: {socket: /run/a.sock}\nlog:"]],
    ["change setting attach:  null -> {socket: /run/a.sock}"],
  ],
])("tells %s", (_, swaps, lines) => expect(told(...swaps)).toEqual(lines));

it("bounds what it tells of one object", () => {
  const list = Array.from(
    { length: 200 },
    (_, i) => `{mac: "02:00:00:00:01:${i.toString(16).padStart(2, "0")}", ac: vm1}`,
  );
  const lines = told(["static: [", `static: [${list.join(", ")}, `]);
  expect(lines).toHaveLength(51);
  expect(lines.at(-1)).toBe("change vsi vsi10: and 150 more null -> null");
});
