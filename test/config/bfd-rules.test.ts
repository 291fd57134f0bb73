/** BFD in the file: what a tunnel gets of its own words and of those for all, and what is refused. */
import { expect, it } from "vitest";
import { configDiff } from "../../src/config/diff.ts";
import { fileForm } from "../../src/config/form.ts";
import { parseConfig } from "../../src/config/load.ts";
import { BASE, base, type Row, testRows, tunnels } from "./broken-files.ts";

function good(text: string) {
  const result = parseConfig(text, "gw1.yaml");
  if ("errors" in result) throw new Error(result.errors[0]!.message);
  return result.config;
}
const THREE =
  "{name: gw2, remote: 192.0.2.2}, {name: gw3, remote: 192.0.2.3, bfd: {intervalMs: 50, mode: multihop}}, {name: gw4, remote: 192.0.2.4, bfd: false}";
const ALL = "bfd: {intervalMs: 300, multiplier: 5}\n";

it("a tunnel's own words come before those for all, and false before both", () => {
  const common = { intervalMs: 300, multiplier: 5, mode: "oneHop" };
  expect(good(`${tunnels(THREE)}${ALL}`).tunnels.map(({ bfd }) => bfd)).toEqual([
    common,
    { ...common, intervalMs: 50, mode: "multihop" },
    null,
  ]);
});

it("without a section for all there is a session where a tunnel says so, by the defaults", () => {
  const { bfd, tunnels: list } = good(tunnels(`${THREE}, {name: gw5, remote: 192.0.2.5, bfd: true}`));
  const defaults = { intervalMs: 1000, multiplier: 3, mode: "oneHop" };
  expect(bfd).toBeNull();
  expect(list.map((each) => each.bfd)).toEqual([
    null,
    { ...defaults, intervalMs: 50, mode: "multihop" },
    null,
    defaults,
  ]);
});

it("what config get prints is the same configuration; a change of it is a change of tunnels and settings, without a restart", () => {
  const config = good(`${tunnels(THREE)}${ALL}`);
  expect(good(JSON.stringify(fileForm(config)))).toEqual(config);
  const diff = configDiff(good(tunnels(THREE)), config);
  expect(diff.tunnels.changed.map(({ to }) => to.name)).toEqual(["gw2", "gw3"]);
  expect([diff.settings, diff.needsRestart]).toEqual([["bfd"], []]);
});

it("the management VNI may be anybody's while no session is in it", () => {
  expect(good(`${BASE}bfd: {}\n`).underlay.managementVni).toBe(1);
  const inside = base({ underlay: "underlay: {address: 192.0.2.1, managementVni: 4000}" });
  expect(good(`${inside}bfd: {mode: vxlan}\n`).underlay.managementVni).toBe(4000);
});

const many = Array.from({ length: 1024 }, (_, i) => `{name: t${i}, remote: 198.18.${i >> 8}.${i & 255}}`).join(", ");
const RULES: readonly Row[] = [
  ["faster than a timer", `${BASE}bfd: {intervalMs: 19}\n`, 7, "bfd.intervalMs", "expected 20..60000"],
  ["one packet", `${BASE}bfd: {multiplier: 1}\n`, 7, "bfd.multiplier", "expected 2..20"],
  ["another mode", `${BASE}bfd: {mode: echo}\n`, 7, "bfd.mode", "oneHop"],
  ["more sessions than there are slots", `${base({ tunnels: `tunnels: [${many}]` })}bfd: {}\n`, 7, "bfd", "1023"],
  [
    "the management VNI is a tenant's",
    `${BASE}bfd: {mode: vxlan}\n`,
    4,
    "vsis[0].vni",
    "VNI 1 is that of BFD inside VXLAN",
  ],
  [
    "the same by a tunnel alone, of another VNI",
    base({
      underlay: "underlay: {address: 192.0.2.1, managementVni: 2}",
      tunnels: "tunnels: [{name: gw2, remote: 192.0.2.2, bfd: {mode: vxlan}}]",
    }),
    4,
    "vsis[1].vni",
    "VNI 2 is that of BFD inside VXLAN",
  ],
];
testRows(RULES);
