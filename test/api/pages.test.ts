/** Big tables a page at a time, and several answers of one moment. */
import { describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import type { MacEntry, Neighbor, Route } from "../../src/api/schema.ts";
import { Snapshot } from "../../src/api/schema-snapshot.ts";
import type { Vrf } from "../../src/api/schema-vrf.ts";
import { STEP } from "../../src/control/sorted.ts";
import { type ApiSource, STATUS, sourceWith } from "./fake-source.ts";

const macOf = (n: number) => `02:00:00:00:00:${n.toString(16).padStart(2, "0")}`;
const mac = (vsi: string, n: number, ageSeconds = 0): MacEntry => ({
  ...{ vsi, mac: macOf(n), via: null, origin: "learned", ageSeconds },
});
const neighbor = (on: string | null, vsi: string, ip: string, vrf = on && "main"): Neighbor => ({
  ...{ interface: on, vsi, vrf, ip, mac: null, state: "reachable", kind: "host", via: null, ageSeconds: 1, from: null },
});
const route = (vrf: string, prefix: string): Route => ({
  ...{ vrf, prefix, origin: "static", action: "discard", interface: null, nextHops: [] },
});

/** By name as people count: vsi2 before vsi10. */
const MACS = [mac("vsi02", 3), ...[1, 2].map((n) => mac("vsi2", n)), ...[1, 2, 200].map((n) => mac("vsi10", n))];
const NEIGHBORS = [
  neighbor(null, "vsi10", "10.1.1.9"),
  ...["9.0.0.1", "10.1.1.2", "10.1.1.11", "200.0.0.1"].map((ip) => neighbor("i2", "vsi2", ip)),
  neighbor("i10", "vsi10", "1.1.1.1"),
];
const ROUTES = [
  ...["0.0.0.0/0", "9.0.0.0/8"].map((prefix) => route("main", prefix)),
  ...["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.1.1.2/32", "192.0.2.0/24"].map((prefix) => route("red", prefix)),
  ...["::/0", "2001:db8:10::/48", "2001:db8:10::/64", "2001:db8:10::12/128", "fd00::/8"].map((prefix) =>
    route("red", prefix),
  ),
];
const VRFS = ["blue", "main", "red2", "red10"].map(
  (name): Vrf => ({
    ...{ name, state: "up", reason: null, interfaces: [], l3vni: null, rd: null, import: [], export: [] },
    ...{ routerMac: null, vteps: 0, routes: {}, neighbors: 0 },
  }),
);
const VSIS = ["vsi2", "vsi10"].map((name) => ({ name }));

const steps =
  <T>(rows: readonly T[]) =>
  () =>
    rows.flatMap((row): (T | typeof STEP)[] => [STEP, row]);
const apiOf = (parts: Partial<ApiSource> = {}) =>
  createApi(
    sourceWith({
      vsis: () => VSIS as never,
      hasVsi: (name) => VSIS.some((vsi) => vsi.name === name),
      macs: steps(MACS),
      neighbors: steps(NEIGHBORS),
      routes: steps(ROUTES),
      vrfs: steps(VRFS),
      hasVrf: (name) => ["main", "red"].includes(name),
      ...parts,
    }),
  );
const ask = (api: ReturnType<typeof apiOf>, path: string, headers = {}) =>
  Promise.resolve(api(new Request(`http://vtepd${path}`, { headers })));

describe("a page", () => {
  it("of routes goes on behind a VRF of which nothing is left", async () => {
    const left = ROUTES.filter(({ vrf }) => vrf === "red");
    const answer = await ask(apiOf({ routes: steps(left) }), "/v1/routes?limit=99&after=main,9.0.0.0/8");
    expect(await answer.json()).toEqual(left);
  });

  it.each([
    ["/v1/macs", MACS],
    ["/v1/neighbors", NEIGHBORS],
    ["/v1/routes", ROUTES],
    ["/v1/vrfs", VRFS],
  ] as const)("of %s: pages of any length are the whole table, each row once", async (path, all) => {
    const api = apiOf();
    expect(await (await ask(api, path)).json()).toEqual(all);
    for (let limit = 1; limit <= all.length + 1; limit++) {
      const rows: unknown[] = [];
      let after: string | null = "";
      while (after !== null) {
        const answer: Response = await ask(
          api,
          `${path}?limit=${limit}${after && `&after=${encodeURIComponent(after)}`}`,
        );
        const page = (await answer.json()) as unknown[];
        expect(page.length).toBeLessThanOrEqual(limit);
        rows.push(...page);
        after = answer.headers.get("vtepd-next");
      }
      expect(rows, `pages of ${limit}`).toEqual(all);
    }
  });

  it.each([
    ["/v1/macs", MACS, 1],
    ["/v1/neighbors", NEIGHBORS, 2],
    ["/v1/routes", ROUTES, 2],
  ] as const)("of %s goes on where its row was, though it has gone", async (path, all, index) => {
    const first = await ask(apiOf(), `${path}?limit=${index + 1}`);
    const less = all.filter((_, i) => i !== index);
    const api = apiOf({
      macs: steps(less as MacEntry[]),
      neighbors: steps(less as Neighbor[]),
      routes: steps(less as Route[]),
    });
    const after = encodeURIComponent(first.headers.get("vtepd-next")!);
    expect(await (await ask(api, `${path}?after=${after}`)).json()).toEqual(all.slice(index + 1));
    expect(await (await ask(api, `${path}?limit=100&after=${after}`)).json()).toEqual(all.slice(index + 1));
  });

  it("of one VSI has no other's rows; what makes no sense is 400, and no such VSI is 404", async () => {
    const api = apiOf();
    expect(await (await ask(api, "/v1/macs?vsi=vsi10")).json()).toEqual(MACS.slice(3));
    expect(await (await ask(api, "/v1/neighbors?vsi=vsi10&limit=9")).json()).toEqual([NEIGHBORS[0], NEIGHBORS[5]]);
    const status = async (path: string) => (await ask(api, path)).status;
    expect(await status("/v1/macs?vsi=vsi9")).toBe(404);
    expect(await status("/v1/routes?vrf=blue")).toBe(404);
    for (const query of ["limit=0", "limit=10001", "limit=x", "after=vsi10", `after=${"x".repeat(257)}`])
      expect(await status(`/v1/macs?${query}`), query).toBe(400);
    expect(await status("/v1/neighbors?after=i2,vsi2,300.1.1.1")).toBe(400);
    expect(await status("/v1/routes?after=main,10.0.0.0")).toBe(400);
  });

  it("of one VRF has no other's rows, whole and in pages", async () => {
    const api = apiOf({ neighbors: steps([...NEIGHBORS, neighbor("r", "vsi30", "10.1.1.2", "red")]) });
    const read = async (path: string) => (await (await ask(api, path)).json()) as Record<string, unknown>[];
    expect(await read("/v1/routes?vrf=red")).toEqual(ROUTES.slice(2));
    expect(await read("/v1/routes?vrf=red&limit=2&after=red,0.0.0.0%2F0")).toEqual(ROUTES.slice(3, 5));
    expect(await read("/v1/neighbors?vrf=red")).toMatchObject([{ interface: "r", vrf: "red" }]);
    expect(await read("/v1/neighbors?vrf=main&vsi=vsi10")).toEqual([NEIGHBORS[5]]);
  });

  it("is not sent again while only ages change, and is once a row does", async () => {
    const aged = (age: number, last = 3) => apiOf({ macs: steps([mac("vsi2", 1, age), mac("vsi2", last, age)]) });
    const first = await ask(aged(1), "/v1/macs?limit=5");
    const known = { "if-none-match": first.headers.get("etag")! };
    const again = await ask(aged(7), "/v1/macs?limit=5", known);
    expect([again.status, await again.text()]).toEqual([304, ""]);
    expect((await ask(aged(7, 4), "/v1/macs?limit=5", known)).status).toBe(200);
    expect((await ask(aged(7), "/v1/macs?limit=1", known)).status).toBe(200);
  });
});

describe("a snapshot", () => {
  it("has the parts that were asked for, by one clock; of tables so many rows, and says which are cut", async () => {
    const before = process.hrtime.bigint();
    const answer = await ask(apiOf(), "/v1/snapshot?parts=status,macs,routes&limit=6");
    const snapshot = Snapshot.parse(await answer.json());
    expect(Object.keys(snapshot)).toEqual(["at", "spreadMs", "bootId", "truncated", "status", "macs", "routes"]);
    expect(snapshot).toMatchObject({ bootId: "b0", truncated: ["routes"], status: STATUS, macs: MACS });
    expect(snapshot.routes).toEqual(ROUTES.slice(0, 6));
    expect(BigInt(snapshot.at.mono)).toBeGreaterThan(before);
    expect(Math.abs(Date.parse(snapshot.at.wall) - Date.now())).toBeLessThan(10_000);
    const usual = (await (await ask(apiOf({ vsis: () => [] }), "/v1/snapshot")).json()) as object;
    expect(Object.keys(usual).slice(4)).toEqual(["status", "vsis", "acs", "tunnels", "interfaces", "drops"]);
    expect((await ask(apiOf(), "/v1/snapshot?parts=secrets")).status).toBe(400);
  });

  it("gives others their turns while it gathers a long table, and says how old that may be", async () => {
    let turns = 0;
    const endless = setInterval(() => turns++, 0);
    function* slow(): Generator<typeof STEP> {
      const [began, until] = [performance.now(), performance.now() + 5000];
      // A machine that is busy elsewhere has no turns to give for a while.
      while (performance.now() < until && (turns < 3 || performance.now() < began + 60)) yield STEP;
    }
    const answer = await ask(apiOf({ macs: slow }), "/v1/snapshot?parts=macs");
    clearInterval(endless);
    expect(((await answer.json()) as Snapshot).spreadMs).toBeGreaterThanOrEqual(60);
    expect(turns).toBeGreaterThan(0);
  });
});
