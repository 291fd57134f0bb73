/** What the doctor says of the BGP engine. */
import { expect, it } from "vitest";
import type { Evpn } from "../../src/api/schema-evpn.ts";
import type { Config } from "../../src/control/plan.ts";
import { checkEvpn } from "../../src/doctor/evpn.ts";

const view = (api: string, routes: number): Evpn =>
  ({
    ...{ as: 65000, routerId: "192.0.2.1", vtep: "192.0.2.1", backlog: 0, state: "synced", stateSeconds: 1 },
    engine: { socket: "/nonexistent/bgp.sock", up: true, api, problem: null },
    routes: { in: routes, out: 1, stale: 0, pending: 0 },
    ...{ peers: [], vsis: [], vrfs: [] },
  }) as unknown as Evpn;
const config = { interfaces: [], vsis: [] } as unknown as Config;
const engine = (api: string, routes: number) =>
  checkEvpn(view(api, routes), config).find(({ name }) => name === "evpn engine");

it("asks which gobgpd it is where an old one would be too slow, since its API does not tell", () => {
  expect(engine("v3", 1001)?.text).toContain("`gobgpd --version` should say 3.27 or later");
  expect(engine("v3", 1000)?.text).not.toContain("--version");
  expect(engine("v4", 100_000)?.text).not.toContain("--version");
});

it("asks for a shared MAC of the VSI-interfaces with addresses, and not of an L3VNI's", () => {
  const of = (name: string, vsi: string, addresses: string[]) => ({
    ...{ name, addresses, mac: "auto", distributed: true, vsis: [vsi] },
  });
  const interfaces = [of("if10", "vsi10", ["10.1.1.1/24"]), of("l3vni:4001", "l3vni:4001", [])];
  const vsis = [
    { name: "vsi10", evpn: {} },
    { name: "l3vni:4001", evpn: {} },
  ];
  const checks = checkEvpn(view("v4", 1), { interfaces, vsis } as unknown as Config);
  expect(checks.flatMap(({ name }) => (name.startsWith("gateway MAC") ? [name] : []))).toEqual(["gateway MAC of if10"]);
});
