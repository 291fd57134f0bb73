/** What the doctor says of the BGP engine. */
import { expect, it } from "vitest";
import type { Evpn } from "../../src/api/schema-evpn.ts";
import type { Config } from "../../src/control/plan.ts";
import { checkDrops, type LastDrop } from "../../src/doctor/drops.ts";
import { checkEvpn } from "../../src/doctor/evpn.ts";
import { readyFix } from "../../src/doctor/gateway.ts";

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

it("tells of VTEPs that have no tunnel, once for each reason, and of IPv6 ones what to do", () => {
  const problems = new Map([
    ["it is not of our underlay's family, IPv4", { vtep: "2001:db8::4", count: 1 }],
    ["evpn.limits.vteps is 8", { vtep: "192.0.2.9", count: 12 }],
  ]);
  const told = checkEvpn(view("v4", 9), config, problems).filter(({ name }) => name === "evpn tunnels");
  expect(told).toEqual([
    {
      name: "evpn tunnels",
      result: "warn",
      text: "routes are behind 2001:db8::4, to which there is none: it is not of our underlay's family, IPv4",
      fix: "give it an IPv4 VTEP address: EVPN has no IPv6 underlay here",
    },
    {
      name: "evpn tunnels",
      result: "warn",
      text: "routes are behind 192.0.2.9 and 11 more, to which there is none: evpn.limits.vteps is 8",
      fix: "vtepctl show evpn vteps",
    },
  ]);
  expect(checkEvpn(view("v4", 9), config).some(({ name }) => name === "evpn tunnels")).toBe(false);
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

it("looks for a stranger in EVPN's VTEPs where that is what finds tunnels, and has none once it is a tunnel", () => {
  const last = { ...{ secondsAgo: 3, via: null, taps: [], vni: 10 }, outer: "192.0.2.9", outerPort: 50_000 };
  const drops = [{ reason: "unknown_vtep", count: 7, last: last as unknown as LastDrop }];
  const told = (hasEvpn: boolean, ...remotes: string[]) => {
    const tunnels = remotes.map((remote) => ({ remote }));
    return checkDrops(drops, { vsis: [], interfaces: [], tunnels, hasEvpn }).find(({ name }) => name === "strangers");
  };
  expect(told(true)?.fix).toMatch(/^is it a peer\? vtepctl show evpn vteps has it once its routes are here/);
  expect(told(false)?.fix).toContain("remote: 192.0.2.9");
  expect(told(true, "192.0.2.9")).toMatchObject({
    result: "ok",
    text: "7 packets came from VTEPs that were no tunnel of ours; the last was 192.0.2.9, which is one now",
  });
});

it("tells a gateway that drains how that ends, and what is missing besides", () => {
  expect(readyFix(["draining"])).toBe("vtepctl undrain ends it");
  expect(readyFix(["draining: track isp is down"])).toBe("it ends when track isp is up: vtepctl show track");
  expect(readyFix(["AC vm1 is down"])).toBe("bring what is missing; vtepctl show ac");
  expect(readyFix(["draining", "AC vm1 is down"])).toBe("bring what is missing; vtepctl show ac");
});
