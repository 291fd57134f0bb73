/** Anycast Borders in the file: a next hop behind a tunnel, and what is refused of it. */
import { expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { base, type Row, testRows } from "./broken-files.ts";

const BOTH = base({
  tunnels: "tunnels: [{name: b1, remote: 192.0.2.2}, {name: b2, remote: 192.0.2.3}]",
  vsis: "vsis: [{name: v1, vni: 1}, {name: v2, vni: 2, tunnels: [b1]}, {name: up}]",
  interfaces:
    "interfaces: [{name: i1, vsi: v1, address: 10.1.1.1/24}, {name: i2, vsi: v2, address: 20.1.1.1/24}, {name: i3, vsi: up, address: 50.1.1.1/24}]",
});
const hops = (list: string) => `${BOTH}routes: [{prefix: 6.0.0.0/8, nextHops: [${list}]}]\n`;
const rule = (list: string) =>
  `${BOTH}policies: [{name: p, interfaces: [i1], rules: [{defaultNextHops: [${list}]}]}]\n`;

it("one address behind two tunnels is two next hops, of a route and of a rule", () => {
  const list = "{ip: 10.1.1.2, tunnel: b1}, {ip: 10.1.1.2, tunnel: b2, weight: 2}";
  for (const text of [hops(list), rule(list)]) {
    const result = parseConfig(text, "gw1.yaml");
    if ("errors" in result) throw new Error(result.errors[0]!.message);
    const { routes, policies } = result.config;
    const target = (routes[0]?.target ?? policies[0]!.rules[0]!.action) as unknown as {
      nextHops: { text: string; tunnel: string }[];
    };
    expect(target.nextHops.map(({ text: ip, tunnel }) => `${ip} ${tunnel}`)).toEqual(["10.1.1.2 b1", "10.1.1.2 b2"]);
  }
});

const RULES: readonly Row[] = [
  ["no such tunnel", hops("{ip: 10.1.1.2, tunnel: b3}"), 7, "routes[0].nextHops[0].tunnel", "there is no tunnel b3"],
  [
    "twice behind one tunnel",
    hops("{ip: 10.1.1.2, tunnel: b1}, {ip: 10.1.1.2, tunnel: b1}"),
    7,
    "routes[0].nextHops[1]",
    "10.1.1.2 behind b1 stands twice",
  ],
  ["twice without one", hops("10.1.1.2, 10.1.1.2"), 7, "routes[0].nextHops[1]", "needs the tunnel of each"],
  [
    "with and without",
    hops("{ip: 10.1.1.2, tunnel: b1}, 10.1.1.2"),
    7,
    "routes[0].nextHops[1]",
    "with a tunnel and without one",
  ],
  [
    "a tunnel that does not carry the VXLAN",
    hops("{ip: 20.1.1.2, tunnel: b2}"),
    7,
    "routes[0].nextHops[0].tunnel",
    "b2 carries no VSI of i2",
  ],
  [
    "of a VSI without VXLAN",
    hops("{ip: 50.1.1.2, tunnel: b1}"),
    7,
    "routes[0].nextHops[0].tunnel",
    "the VSI has no VXLAN",
  ],
  [
    "of a rule",
    rule("{ip: 10.1.1.2, tunnel: b3}"),
    7,
    "policies[0].rules[0].defaultNextHops[0].tunnel",
    "there is no tunnel b3",
  ],
];
testRows(RULES);
