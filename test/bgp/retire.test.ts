/** What a gateway that is gone for good announced is taken out of the engine: hosts first, flooding last, what is of others never. */
import { afterEach, describe, expect, it } from "vitest";
import type { EngineEvent, RouteRow } from "../../src/bgp/engine.ts";
import { Gobgp } from "../../src/bgp/gobgp.ts";
import { retire } from "../../src/bgp/retire.ts";
import type { EvpnRoute } from "../../src/evpn/route.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds, type Running, startGobgpd } from "./gobgpd.ts";

const base = { rd: "192.0.2.1:10", tag: 0, nextHop: "192.0.2.1", targets: ["65000:10"], encap: 8 };
const host = (n: number, fields: object = {}): EvpnRoute => ({
  ...{ ...base, type: 2, mac: 0x020000000100 + n, ip: null, labels: [10], segment: null, sequence: n },
  ...{ isSticky: false, isGateway: false, routerMac: null, ...fields },
});
const flooding: EvpnRoute = {
  ...base,
  type: 3,
  originator: "192.0.2.1",
  pmsi: { type: 6, label: 10, address: "192.0.2.1" },
};

let running: Running | null = null;
let engine: Gobgp | null = null;

afterEach(async () => {
  engine?.close();
  await running?.remove();
  running = null;
});

for (const { name, bin, missing } of gobgpds())
  describe(`${name} gobgpd`, () => {
    it.skipIf(bin === null)(`gives back what it is asked for${bin === null ? `: ${missing}` : ""}`, async () => {
      running = startGobgpd(bin!);
      const events: { event: EngineEvent; atMs: number }[] = [];
      engine = new Gobgp(
        {
          ...{ socket: running.socket, api: "auto", as: 65000, routerId: "192.0.2.1", localAddress: "192.0.2.1" },
          ...{ peers: null, holdSeconds: 9, connectRetrySeconds: 1 },
        },
        (event) => void events.push({ event, atMs: performance.now() }),
      );
      const rows = () =>
        events.flatMap(({ event, atMs }) =>
          event.kind === "rows" ? event.rows.map((row: RouteRow) => ({ ...row, atMs })) : [],
        );
      await until("a complete list", 10_000, () => events.some(({ event }) => event.kind === "complete"));
      const other = host(9, { rd: "192.0.2.2:10", nextHop: "192.0.2.2", sequence: null });
      engine.announce([flooding, host(1), host(2, { ip: "10.1.1.12", isSticky: true, sequence: 0 }), other]);
      await until("all of them", 10_000, () => rows().length >= 4);
      expect(await retire(running.socket, "auto", "192.0.2.1")).toEqual({ hosts: 2, prefixes: 0, flooding: 1 });
      const gone = () => rows().filter(({ isWithdrawn }) => isWithdrawn);
      await until("three to go", 10_000, () => gone().length >= 3);
      expect(gone().map(({ route }) => route.type)).toEqual([2, 2, 3]);
      expect(gone()[2]!.atMs - gone()[1]!.atMs).toBeGreaterThan(900);
      expect(await retire(running.socket, "auto", null)).toEqual({ hosts: 1, prefixes: 0, flooding: 0 });
    });
  });

it("says so where no engine answers", async () => {
  await expect(retire("/nonexistent/bgp.sock", "auto", null)).rejects.toThrow(/UNAVAILABLE/);
});
