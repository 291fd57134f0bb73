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
