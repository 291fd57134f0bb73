/** Devices of a lab's nodes: `capture NODE` looks at them, so they must be those that the gateways' own files make. */
import { expect, it } from "vitest";
import { parse } from "yaml";
import * as bordersFiles from "../../src/lab/borders/config-file.ts";
import { FAR, FAR_PORTS } from "../../src/lab/borders/plan.ts";
import { configFile } from "../../src/lab/config-file.ts";
import { borderFile, gatewayFile } from "../../src/lab/evpn/config-file.ts";
import { BORDER, GATEWAYS, LEAF, REFLECTORS, ROAMER, ROAMER_PORTS } from "../../src/lab/evpn/fabric.ts";
import { membersOf, portsOf } from "../../src/lab/members.ts";
import { type Mode, VTEPS } from "../../src/lab/topology.ts";

const places = { namespace: (node: string) => node, socket: (node: string) => `/run/${node}.sock` };
const choice = { bfd: false, members: 5 };
const FILES: readonly (readonly [Mode, readonly string[]])[] = [
  ["distributed", VTEPS.map(({ name }) => configFile(name, "distributed", places))],
  ["centralized", VTEPS.map(({ name }) => configFile(name, "centralized", places))],
  [
    "evpn",
    [...GATEWAYS.map(({ name }) => gatewayFile(name, places, "/run/bgp.sock")), borderFile(places, "/run/bgp.sock")],
  ],
  [
    "borders",
    [bordersFiles.gatewayFile(places, choice), ...[0, 1].map((n) => bordersFiles.borderFile(n, places, choice))],
  ],
];

it.each(FILES)("%s: each TAP that a gateway makes in a machine is a port of that machine", (mode, files) => {
  const taps = files.flatMap(
    (text) => (parse(text) as { acs: { tap: { device: string; netns: string } }[] | null }).acs ?? [],
  );
  const machines = membersOf(mode).machines.map(({ name }) => name);
  expect(taps.length).toBeGreaterThan(0);
  for (const { tap } of taps) {
    expect(machines).toContain(tap.netns);
    expect(portsOf(mode, tap.netns)).toContainEqual({ device: tap.device, isUnderlay: false });
  }
});

it("a machine that moves has all its ports, one behind two routers both, and every other node the one it is known by", () => {
  const devices = (mode: Mode, node: string) => portsOf(mode, node).map(({ device }) => device);
  expect(devices("evpn", ROAMER.name)).toEqual(["at-gw1", "at-gw2", "at-leaf"]);
  expect(devices("evpn", ROAMER.name)).toEqual(Object.values(ROAMER_PORTS));
  expect(devices("borders", FAR.name)).toEqual(["to-r1", "to-r2"]);
  expect(FAR_PORTS).toEqual(devices("borders", FAR.name));
  for (const name of [BORDER.name, LEAF.name, ...REFLECTORS.map((each) => each.name)])
    expect(portsOf("evpn", name)).toEqual([{ device: "ul0", isUnderlay: true }]);
  for (const name of ["vm1", "h20", "h60", "ext"]) expect(devices("evpn", name)).toEqual(["eth0"]);
  expect([devices("borders", "r1"), devices("distributed", "vm6"), devices("distributed", "gw1")]).toEqual([
    ...[["eth0"], ["eth0"], ["ul0"]],
  ]);
});
