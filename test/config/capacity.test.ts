/** What no tables of the sizes that the file asks for would hold is told when the file is read, not when the gateway starts. */
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { base, type Row, testRows } from "./broken-files.ts";

const many = (count: number, each: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => each(i)).join(", ");
const mac = (i: number) =>
  `"02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}"`;
const HEAD = "node: g\nunderlay: {address: 192.0.2.1, mtu: 1500}\n";
const net = (i: number) => `10.${i >> 8}.${i & 255}`;

/** A VSI with `count` static MACs and a VSI-interface. */
const pinned = (count: number, limits: string) =>
  base({
    vsis: `vsis: [{name: v1, vni: 1, mac: {static: [${many(count, (i) => `{mac: ${mac(i)}, tunnel: gw2}`)}]}}, {name: v2, vni: 2}]`,
  }).replace(/$/, `limits: {${limits}}\n`);
const tunnelled = (
  count: number,
) => `${HEAD}tunnels: [${many(count, (i) => `{name: t${i}, remote: 192.1.${i >> 8}.${i & 255}}`)}]
vsis: [{name: other}, {name: v, vni: 1}]\n`;
const locals = (count: number) => `${HEAD}vsis: [${many(count, (i) => `{name: v${i}}`)}]\n`;
const vrfs = (count: number) =>
  `${locals(count)}interfaces: [${many(count, (i) => `{name: i${i}, vsi: v${i}, address: 10.1.1.1/24, vrf: r${i}}`)}]\n`;
const policy = (sources: number) => `${base({})}policies:
  - {name: p, interfaces: [i1], rules: [{drop: true, match: {source: [${many(sources, (i) => `${net(i)}.0/24`)}], destination: [${many(64, (i) => `${net(i)}.0/24`)}]}}]}
`;
const routed = (count: number) =>
  `${locals(count)}interfaces: [${many(count, (i) => `{name: i${i}, vsi: v${i}, address: ${net(i)}.1/24}`)}]
limits: {routes: 1, neighbors: 16}\n`;

const RULES: readonly Row[] = [
  [
    "static MACs and gateway MACs",
    pinned(16, "macs: 16"),
    7,
    "limits.macs",
    "18 static, flooded and gateway MACs are more than limits.macs (16)",
  ],
  [
    "ACs and tunnels of a VSI",
    tunnelled(1023),
    4,
    "vsis[1]",
    "VSI v: 1023 ACs and tunnels are more than a flood list holds (1022)",
  ],
  ["rules", policy(65), 7, "policies", "4160 combinations of source, destination and ports, more than 4096"],
  [
    "addresses",
    routed(9),
    5,
    "limits.routes",
    "0 routes and 37 of our own addresses, subnets and VTEPs are more than 32",
  ],
  ["VSIs", locals(4096), 3, "vsis", "4096 VSIs and L3VNIs are more than 4095"],
  ["VRFs", vrfs(257), 4, "interfaces", "257 VRFs are more than 256"],
];

describe("more than the tables hold", () => testRows(RULES));

it("what just fits is valid", () => {
  for (const text of [pinned(14, "macs: 16"), tunnelled(1022), policy(64), routed(7), locals(4095), vrfs(256)])
    expect(parseConfig(text, "gw1.yaml")).toHaveProperty("config");
});
