/**
 * Routes through the real gobgpd: what is announced comes back as it was, in each version of its API, with every kind of route
 * and community that is used. No bytes are compared here: the engine is the stranger that reads them.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { Calls } from "../../src/bgp/calls.ts";
import type { EngineEvent, EngineRequest, RouteRow } from "../../src/bgp/engine.ts";
import { Gobgp } from "../../src/bgp/gobgp.ts";
import { type EvpnRoute, keyOf, plainOf } from "../../src/evpn/route.ts";
import { until } from "../../src/lab/deadline.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { gobgpds, type Running, startGobgpd } from "./gobgpd.ts";

const base = { rd: "192.0.2.1:10", tag: 0, nextHop: "192.0.2.1", targets: ["65000:10"], encap: 8 };
const mac = {
  ...base,
  type: 2 as const,
  mac: 0x020000000111,
  ip: null,
  labels: [10],
  segment: null,
  sequence: null,
  isSticky: false,
  isGateway: false,
  routerMac: null,
};

const ROUTES: readonly (readonly [string, EvpnRoute])[] = [
  ["a MAC", mac],
  ["a MAC and its IP", { ...mac, ip: "10.1.1.11" }],
  ["a MAC and its IPv6 address", { ...mac, ip: "2001:db8::11" }],
  [
    "the largest VNI and two labels",
    { ...mac, mac: 0x020000000112, ip: "10.1.1.12", labels: [0xffffff, 4001], routerMac: 0x02005e000001 },
  ],
  [
    "an IPv6 host of a VRF",
    { ...mac, mac: 0x020000000120, ip: "2001:db8::12", labels: [10, 4001], routerMac: 0x02005e000001, sequence: 3 },
  ],
  ["a gateway's IPv6 address", { ...mac, mac: 0x020000000121, ip: "2001:db8::1", isGateway: true }],
  ["mobility", { ...mac, mac: 0x020000000113, sequence: 7 }],
  ["the highest sequence", { ...mac, mac: 0x020000000114, sequence: 0xffffffff }],
  ["a sticky MAC", { ...mac, mac: 0x020000000115, sequence: 0, isSticky: true }],
  ["a gateway's address", { ...mac, mac: 0x020000000116, ip: "10.1.1.1", isGateway: true }],
  [
    "targets of three kinds",
    { ...mac, mac: 0x020000000117, targets: ["65000:268435466", "192.0.2.9:17", "4200000000:10"] },
  ],
  ["a distinguisher of an AS", { ...mac, rd: "65000:4294967295", mac: 0x020000000118 }],
  ["a distinguisher of a long AS", { ...mac, rd: "4200000000:10", mac: 0x020000000119 }],
  ["flooding", { ...base, type: 3, originator: "192.0.2.1", pmsi: { type: 6, label: 10, address: "192.0.2.1" } }],
  [
    "a prefix",
    {
      ...base,
      type: 5,
      network: parseIpv4("10.2.0.0")!,
      length: 16,
      label: 4001,
      gateway: null,
      segment: null,
      routerMac: 0x02005e000001,
    },
  ],
  [
    "a default route with a gateway address",
    { ...base, type: 5, network: 0, length: 0, label: 4001, gateway: "10.1.1.9", segment: null, routerMac: null },
  ],
  [
    "an IPv6 prefix",
    {
      ...base,
      type: 5,
      network: parseIpv6("2001:db8:20::")!,
      length: 64,
      label: 4001,
      gateway: null,
      segment: null,
      routerMac: 0x02005e000001,
    },
  ],
  [
    "a default route of IPv6",
    { ...base, type: 5, network: 0n, length: 0, label: 4001, gateway: null, segment: null, routerMac: 0x02005e000001 },
  ],
  [
    "an IPv6 prefix behind a gateway address",
    {
      ...base,
      type: 5,
      network: parseIpv6("2001:db8:ff00::")!,
      length: 40,
      label: 4001,
      gateway: "2001:db8::9",
      segment: null,
      routerMac: null,
    },
  ],
];

const REQUEST: Omit<EngineRequest, "socket"> = {
  ...{ api: "auto", as: 65000, routerId: "192.0.2.1", localAddress: "192.0.2.1", peers: null },
  ...{ holdSeconds: 9, connectRetrySeconds: 1 },
};

/** An engine over `socket`, and all it told. */
function listen(socket: string, request: Partial<EngineRequest> = {}) {
  const events: EngineEvent[] = [];
  const engine = new Gobgp({ ...REQUEST, socket, ...request }, (event) => events.push(event));
  const rows = () => events.flatMap((event): readonly RouteRow[] => (event.kind === "rows" ? event.rows : []));
  const has = (kind: EngineEvent["kind"]) => events.some((event) => event.kind === kind);
  return { engine, events, rows, has, complete: () => until("a complete snapshot", 15_000, () => has("complete")) };
}

let running: Running | null = null;
const open: { close(): void }[] = [];

afterEach(async () => {
  for (const engine of open.splice(0)) engine.close();
  await running?.remove();
  running = null;
});

for (const { name, bin, missing } of gobgpds()) {
  describe.skipIf(bin === null)(`gobgpd, ${name}${bin === null ? `: skipped, ${missing}` : ""}`, () => {
    it("gives every route back as it was announced, live and in a snapshot, and withdraws it", async () => {
      running = startGobgpd(bin!);
      const one = listen(running.socket);
      open.push(one.engine);
      await one.complete();
      one.engine.announce(ROUTES.map(([, route]) => route));
      await until("all routes", 15_000, () => one.rows().length >= ROUTES.length);
      expect(one.events.filter(({ kind }) => kind === "refused")).toEqual([]);
      // Another client sees them in its first snapshot.
      const two = listen(running.socket);
      open.push(two.engine);
      await two.complete();
      for (const rows of [one.rows(), two.rows()]) {
        const got = new Map(rows.map((row) => [keyOf(row.route), row]));
        for (const [what, route] of ROUTES) {
          const row = got.get(keyOf(route))!;
          expect({ ...row, route: plainOf(row.route) }, what).toEqual({ route, isWithdrawn: false, peer: null });
        }
      }
      one.engine.withdraw(ROUTES.map(([, route]) => route));
      await until("all withdrawn", 15_000, () => two.rows().filter((row) => row.isWithdrawn).length >= ROUTES.length);
      expect(one.events.filter(({ kind }) => kind === "refused")).toEqual([]);
    });

    it("withdraws a MAC that another has announced with a higher sequence", async () => {
      running = startGobgpd(bin!);
      const one = listen(running.socket);
      open.push(one.engine);
      await one.complete();
      const ours = { ...mac, ip: "10.1.1.11", sequence: 1 };
      one.engine.announce([ours]);
      await until("ours", 5000, () => one.rows().length === 1);
      one.engine.announce([{ ...ours, rd: "192.0.2.2:10", nextHop: "192.0.2.2", sequence: 2 }]);
      await until("the other's", 5000, () => one.rows().length === 2);
      one.engine.withdraw([ours]);
      await until("the answer", 5000, () => one.rows().length === 3 || one.has("refused"));
      expect(one.events.filter(({ kind }) => kind === "refused")).toEqual([]);
      expect(one.rows().at(-1)).toMatchObject({ route: { rd: ours.rd, ip: ours.ip }, isWithdrawn: true });
    });

    it("is told when the engine dies, and found again when it is back", async () => {
      running = startGobgpd(bin!);
      const { socket } = running;
      const one = listen(socket);
      open.push(one.engine);
      await one.complete();
      one.engine.announce([mac]);
      await until("the route", 5000, () => one.rows().length > 0);
      await running.kill();
      await until("the loss", 5000, () => one.events.at(-1)?.kind === "lost");
      // A new engine knows nothing, and what the old one was asked is void.
      running = startGobgpd(bin!, [], socket);
      const from = one.events.length;
      const fresh = () => one.events.slice(from).map(({ kind }) => kind);
      await until("the new engine", 10_000, () => fresh().includes("complete"));
      expect(fresh().filter((kind) => kind !== "lost")).toEqual(["ready", "peers", "snapshot", "complete"]);
    });

    it("has each session as the last configuration wants it, and leaves alone what stays", async () => {
      running = startGobgpd(bin!);
      const { socket } = running;
      const password = (text: string | null) => [
        { address: "127.0.0.9", as: 65000, password: text },
        { address: "127.0.0.8", as: 65001, password: null },
      ];
      const first = { localAddress: "127.0.0.1", peers: password(null) };
      const one = listen(socket, first);
      open.push(one.engine);
      await one.complete();
      const asked = vi.spyOn(Calls.prototype, "ask");
      const changes = () => asked.mock.calls.flatMap(([method]) => (/Peer$/.test(method) ? [method] : []));
      try {
        const ask = async (request: Partial<EngineRequest>) => {
          asked.mockClear();
          const next = listen(socket, request);
          open.push(next.engine);
          await next.complete();
          return changes();
        };
        expect(await ask(first)).toEqual([]);
        const both = ["DeletePeer", "DeletePeer", "AddPeer", "AddPeer"];
        expect(await ask({ ...first, localAddress: "127.0.0.2" })).toEqual(both);
        expect(await ask({ ...first, holdSeconds: 30 })).toEqual(both);
        expect(await ask({ ...first, holdSeconds: 30, connectRetrySeconds: 5 })).toEqual(both);
        const last = { ...first, holdSeconds: 30, connectRetrySeconds: 5, peers: password("secret") };
        expect(await ask(last)).toEqual(["DeletePeer", "AddPeer"]);
        expect(await ask(last)).toEqual([]);
        // Two changes at once: both are done, one after the other.
        asked.mockClear();
        const { engine } = one;
        for (const holdSeconds of [12, 15]) engine.setPeers({ ...REQUEST, socket, ...last, holdSeconds });
        await until("the sessions", 5000, () => changes().filter((method) => method === "AddPeer").length >= 2);
        expect(await ask({ ...last, holdSeconds: 15 })).toEqual([]);
        // The first attempts may have been before it listened.
        const ready = one.events.findIndex(({ kind }) => kind === "ready");
        expect(one.events.slice(ready).filter(({ kind }) => kind === "lost")).toEqual([]);
      } finally {
        asked.mockRestore();
      }
    });

    it("refuses an engine of another AS, with both numbers", async () => {
      running = startGobgpd(bin!);
      const one = listen(running.socket);
      open.push(one.engine);
      await one.complete();
      const two = listen(running.socket, { as: 65001 });
      open.push(two.engine);
      await until("the refusal", 5000, () => two.has("lost"));
      const told = two.events.find((event) => event.kind === "lost" && event.reason.includes("AS"));
      expect(told).toMatchObject({ reason: "the engine is of AS 65000, evpn.as is 65001" });
      expect(two.has("ready")).toBe(false);
    });
  });
}
