/** What the doctor says of VRFs. */
import { expect, it } from "vitest";
import type { Vrf } from "../../src/api/schema-vrf.ts";
import type { Config } from "../../src/control/plan.ts";
import { checkVrfs, type VrfFacts } from "../../src/doctor/vrfs.ts";

const RED: Vrf = {
  ...{ name: "red", state: "up", reason: null, interfaces: ["if10"], l3vni: 4001, rd: "192.0.2.1:4001", vteps: 2 },
  ...{ import: ["*:4001"], export: ["65000:4001"], routerMac: null, routes: { own: 1, evpn: 4 }, neighbors: 0 },
};
const MAIN: Vrf = { ...RED, name: "main", interfaces: [], l3vni: null, state: "down", reason: "nothing" };
const CONFIG = { interfaces: [], vrfs: [] } as unknown as Config;
const said = (facts: Partial<VrfFacts>) =>
  checkVrfs({ vrfs: [RED], fabric: null, overlaps: [], config: CONFIG, ...facts }).map(
    ({ name, result, text }) => `${result} ${name}: ${text}`,
  );

it("tells how each stands, and nothing of a default VRF without anything in it", () => {
  expect(said({ vrfs: [MAIN, RED] })).toEqual(["ok vrf red: 1 VSI-interface, 5 routes, L3VNI 4001 to 2 gateways"]);
  expect(said({ vrfs: [{ ...RED, state: "degraded", reason: "L3VNI 4001: EVPN has not begun" }] })).toEqual([
    "warn vrf red: degraded: L3VNI 4001: EVPN has not begun",
  ]);
});

it("an L3VNI that no other gateway has: another VNI, or targets that no route has", () => {
  const alone = { vrfs: [{ ...RED, vteps: 0 }] };
  expect(said({ ...alone, fabric: { isSynced: true, routes: 9, mismatches: 3 } })[1]).toBe(
    "warn vrf red l3vni: no other gateway is in L3VNI 4001, and 3 routes with targets of ours came with another VNI",
  );
  expect(said({ ...alone, fabric: { isSynced: true, routes: 9, mismatches: 0 } })[1]).toBe(
    "warn vrf red targets: routes come, and none has a target of *:4001: no other gateway imports or exports its targets",
  );
  // Too early to say, or it is the first gateway of all.
  expect(said({ ...alone, fabric: { isSynced: false, routes: 9, mismatches: 3 } })).toHaveLength(1);
  expect(said({ ...alone, fabric: { isSynced: true, routes: 0, mismatches: 0 } })).toHaveLength(1);
  expect(said({ fabric: { isSynced: true, routes: 9, mismatches: 3 } })).toHaveLength(1);
});

it("a VSI-interface in a VRF that vrfs does not have", () => {
  const iface = (name: string, vrf: string, addresses: readonly unknown[] = [1]) => ({ name, vrf, addresses });
  const interfaces = [iface("if10", "red"), iface("if30", "rde"), iface("l3vni:4001", "red", [])];
  const config = { interfaces, vrfs: [{ name: "red" }] } as unknown as Config;
  expect(said({ config }).slice(1)).toEqual([
    "warn vrf of if30: it is in VRF rde, which vrfs does not have: no L3VNI carries its packets",
  ]);
  expect(said({ config: { ...config, vrfs: [] } })).toHaveLength(1);
});

it("a prefix of another gateway inside a subnet of ours", () => {
  const overlaps = [{ vrf: "red", prefix: "10.1.1.0/25", subnet: "10.1.1.0/24", interface: "if10" }];
  expect(said({ overlaps })[1]).toBe(
    "warn subnets of vrf red: another gateway announces 10.1.1.0/25 in it, inside 10.1.1.0/24 of if10: those hosts are taken from here",
  );
});
