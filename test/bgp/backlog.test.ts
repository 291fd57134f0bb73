/** What waits for main in the engine's thread: in order, bounded, and never a list without its rows. */
import { expect, it } from "vitest";
import { Backlog } from "../../src/bgp/backlog.ts";
import { pathOf } from "../../src/bgp/codec.ts";
import type { EngineEvent, RouteRow } from "../../src/bgp/engine.ts";
import { Gobgp } from "../../src/bgp/gobgp.ts";
import { gobgp3 } from "../../src/bgp/gobgp3.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import { until } from "../../src/lab/deadline.ts";
import { fakeEngine } from "./fake-engine.ts";

const route: MacRoute = {
  ...{ type: 2, rd: "192.0.2.2:10", tag: 0, nextHop: "192.0.2.2", targets: ["65000:10"], encap: 8 },
  ...{ mac: 0x020000000111, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null },
};
const rows = (count: number): EngineEvent => ({
  kind: "rows",
  rows: Array.from({ length: count }, (): RouteRow => ({ route, isWithdrawn: false, peer: null })),
});
const kinds = (backlog: Backlog) => {
  const all: string[] = [];
  for (let next = backlog.take(); next !== undefined; next = backlog.take()) all.push(next.event.kind);
  return all;
};

it("gives what it was given, in order, and counts its rows", () => {
  const backlog = new Backlog(10);
  const given: EngineEvent[] = [{ kind: "snapshot" }, rows(4), rows(6), { kind: "complete" }];
  for (const event of given) expect(backlog.add(event, 1)).toBe(true);
  expect(backlog.rows).toBe(10);
  backlog.take();
  backlog.take();
  expect([backlog.rows, backlog.size]).toEqual([6, 2]);
  expect(kinds(backlog)).toEqual(["rows", "complete"]);
  expect(backlog.rows).toBe(0);
});

it("drops rows that are too many, and the end of their list with them", () => {
  const backlog = new Backlog(10);
  backlog.add({ kind: "snapshot" }, 1);
  backlog.add(rows(5), 1);
  backlog.add({ kind: "complete" }, 1);
  backlog.add({ kind: "endOfRib", peer: "192.0.2.251" }, 1);
  expect(backlog.add(rows(6), 1)).toBe(false);
  // The list that is asked for then.
  for (const event of [{ kind: "snapshot" } as const, rows(3), { kind: "complete" } as const])
    expect(backlog.add(event, 1)).toBe(true);
  expect(kinds(backlog)).toEqual(["snapshot", "endOfRib", "snapshot", "rows", "complete"]);
});

it("the engine's client calls no list complete when another one was asked for at its end", async () => {
  const dialect = gobgp3();
  const path = (mac: number) => ({ ...pathOf({ ...route, mac }, dialect), neighborIp: "192.0.2.251" });
  const ends: (() => void)[] = [];
  let watch: ((mac: number) => void) | null = null;
  const server = await fakeEngine(dialect, {
    unary: { GetBgp: () => ({ global: { asn: 65000, routerId: "192.0.2.1" } }) },
    streams: {
      ListPeer: (_write, end) => end(),
      WatchEvent: (write) => {
        write({ peer: { type: 2 } });
        watch = (mac) => write({ table: { paths: [path(mac)] } });
      },
      ListPath: (write, end) => {
        write({ destination: { paths: [path(1)] } });
        ends.push(end);
      },
    },
  });
  const told: string[] = [];
  const engine: Gobgp = new Gobgp(
    {
      ...{ socket: server.socket, api: "v3", as: 65000, routerId: "192.0.2.1", localAddress: "192.0.2.1", peers: null },
      ...{ holdSeconds: 9, connectRetrySeconds: 1 },
    },
    (event) => {
      told.push(event.kind === "rows" ? event.rows.map((row) => (row.route as MacRoute).mac).join() : event.kind);
      // As the thread does where too much waits: what the watch told meanwhile is the last straw.
      if (event.kind === "rows" && ends.length === 1 && told.at(-1)!.includes("2")) engine.resync();
    },
  );
  try {
    await until("the first list", 10_000, () => ends.length === 1);
    watch!(2);
    // It is held while the list is under way, and there is no word of it: the next message of the watch would be behind it.
    await until(
      "the watch's row to be held",
      10_000,
      () => (engine as unknown as { held: unknown[] }).held.length === 1,
    );
    ends[0]!();
    await until("the second list", 10_000, () => ends.length === 2);
    expect(told).not.toContain("complete");
    ends[1]!();
    await until("its end", 10_000, () => told.includes("complete"));
    const list = told.slice(told.indexOf("snapshot"));
    expect(list).toEqual(["snapshot", "1", "2", "snapshot", "1", "complete"]);
  } finally {
    engine.close();
    server.remove();
  }
});
