/**
 * A peer that announces what it likes, over a real BGP session: the reflector is a gobgpd that is told by its API what to say. Each
 * route is refused with its reason, tables stay within their limits, hosts go on speaking, and nothing is left when it is taken back.
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MacEntry, Neighbor, Tunnel } from "../../src/api/schema.ts";
import type { Evpn, EvpnRefused, EvpnRoute as RouteView } from "../../src/api/schema-evpn.ts";
import { Calls } from "../../src/bgp/calls.ts";
import { FAMILY_EVPN, pathOf } from "../../src/bgp/codec.ts";
import type { Fields } from "../../src/bgp/dialect.ts";
import type { EvpnRoute, MacRoute } from "../../src/evpn/route.ts";
import { until } from "../../src/lab/deadline.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { type Fabric, GATEWAY_MACS, makeFabric, VTEPS } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const EVIL = "192.0.2.77";
const MOST = { vteps: 8, routes: 120 };

const base = { rd: `${EVIL}:10`, tag: 0, nextHop: EVIL, targets: ["65000:10"], encap: 8 };
const host: MacRoute = {
  ...{ ...base, type: 2, mac: 0x020000660000, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null },
};
/** What is said, and why it is refused. */
const LIES: readonly (readonly [string, EvpnRoute, string])[] = [
  ["our own next hop", { ...host, mac: host.mac + 1, nextHop: VTEPS.gw1! }, "next_hop"],
  ["a next hop that is no host", { ...host, mac: host.mac + 2, nextHop: "127.0.0.1" }, "next_hop"],
  ["a group's MAC", { ...host, mac: 0x01005e000001 }, "group_mac"],
  ["the broadcast address as MAC", { ...host, mac: 0xffffffffffff }, "group_mac"],
  ["no MAC", { ...host, mac: 0 }, "group_mac"],
  ["our gateway MAC", { ...host, mac: parseMac(GATEWAY_MACS[10])!, ip: "10.1.1.99" }, "gateway_mac"],
  ["an address of another subnet", { ...host, mac: host.mac + 3, ip: "8.8.8.8" }, "foreign_subnet"],
  ["our gateway's address", { ...host, mac: host.mac + 4, ip: "10.1.1.1" }, "address"],
  ["a multicast address", { ...host, mac: host.mac + 5, ip: "224.0.0.9" }, "address"],
  ["no VNI", { ...host, mac: host.mac + 6, labels: [0] }, "label"],
  ["another VSI's VNI", { ...host, mac: host.mac + 7, labels: [20] }, "vni_mismatch"],
  ["the largest VNI", { ...host, mac: host.mac + 8, labels: [0xffffff] }, "vni_mismatch"],
  ["another encapsulation", { ...host, mac: host.mac + 9, encap: 9 }, "encapsulation"],
  [
    "flooding by another tunnel",
    { ...base, rd: `${EVIL}:11`, type: 3, originator: EVIL, pmsi: { type: 1, label: 10, address: EVIL } },
    "tunnel_type",
  ],
  [
    "a prefix for a VSI",
    { ...base, type: 5, network: 0, length: 0, label: 10, gateway: null, segment: null, routerMac: null },
    "unsupported",
  ],
];

describeReal(missing, "a hostile peer", () => {
  let fabric: Fabric;
  let gw1: Gateway;
  let calls: Calls;

  const view = () => gw1.look<Evpn>("/v1/evpn");
  const refused = async () =>
    Object.fromEntries((await gw1.look<EvpnRefused[]>("/v1/evpn/refused")).map(({ reason, count }) => [reason, count]));
  const table = () => calls.dialect.enumBase;
  const say = (path: Fields) => calls.ask("AddPath", { tableType: table(), path });
  const unsay = (path: Fields) => calls.ask("DeletePath", { tableType: table(), family: FAMILY_EVPN, path });
  const routes = async () =>
    (await gw1.look<RouteView[]>("/v1/evpn/routes")).filter(({ direction }) => direction === "in");
  const reaches = () =>
    until(
      "h10 from vm1",
      60_000,
      async () => (await ping(fabric.bed, "vm1", "10.1.1.21", { count: 3, waitSeconds: 1 })).ttls.length === 3,
    );

  beforeAll(async () => {
    fabric = await makeFabric("evpnhostile", { reflector: "gobgpd" });
    const { bed } = fabric;
    await fabric.engine("gw1");
    const socket = join(bed.folder, "gw1.bgp.sock");
    gw1 = await fabric.gateway("gw1", {
      evpn: {
        engine: { socket },
        as: 65000,
        peers: [{ address: "192.0.2.251", as: 65000 }],
        limits: MOST,
        staleSeconds: 10,
      },
    });
    await bed.ip("vm1", "link set dev eth0 up", "addr add 10.1.1.11/24 dev eth0", "route add default via 10.1.1.1");
    await until("sync", 60_000, async () => (await view()).state === "synced");
    await reaches();
    calls = await Calls.open(join(bed.folder, "rr.bgp.sock"), "auto");
  }, 180_000);
  afterAll(async () => {
    calls?.close();
    await fabric?.remove();
  });

  test("each lie is refused with its reason, and counted", async () => {
    const before = await refused();
    for (const [, route] of LIES) await say(pathOf(route, calls.dialect));
    const expected: Record<string, number> = {};
    for (const [, , reason] of LIES) expected[reason] = (expected[reason] ?? 0) + 1;
    await until("all reasons", 20_000, async () => {
      const now = await refused();
      return Object.entries(expected).every(([reason, count]) => (now[reason] ?? 0) - (before[reason] ?? 0) >= count);
    });
    const all = await routes();
    const states = all.filter(({ rd }) => rd.startsWith(EVIL)).map(({ state }) => state);
    expect(states).toHaveLength(LIES.length);
    // Of an address that is wrong the MAC is used; of the others nothing.
    const macs = (await gw1.look<MacEntry[]>("/v1/macs")).filter(({ via }) => via?.name === `evpn:${EVIL}`);
    expect(macs.map(({ mac }) => mac).sort()).toEqual(["02:00:00:66:00:03", "02:00:00:66:00:04", "02:00:00:66:00:05"]);
    const arp = await gw1.look<Neighbor[]>("/v1/neighbors");
    expect(arp.filter(({ mac }) => mac?.startsWith("02:00:00:66"))).toEqual([]);
    await reaches();
    for (const [, route] of LIES) await unsay(pathOf(route, calls.dialect));
    // What a VTEP takes back all at once may be its engine's death: it is kept for staleSeconds.
    await until("no tunnel to it", 60_000, async () =>
      (await gw1.look<Tunnel[]>("/v1/tunnels")).every(({ remote }) => remote !== EVIL),
    );
  });

  test("messages that its engine is asked to make wrong cost nothing, whether it makes them or not", async () => {
    const good = () => pathOf({ ...host, mac: host.mac + 0x100 }, calls.dialect);
    const { wrap } = calls.dialect;
    const nlri = (change: Fields) =>
      wrap("EVPNMACIPAdvertisementRoute", {
        ...{ rd: wrap("RouteDistinguisherIPAddress", { admin: EVIL, assigned: 12 }), esi: { type: 0 } },
        ...{ ethernetTag: 0, macAddress: "02:00:00:66:01:00", ipAddress: "", labels: [10], ...change },
      });
    const targets = (count: number) =>
      pathOf(
        {
          ...host,
          mac: host.mac + 0x101,
          targets: ["65000:10", ...Array.from({ length: count }, (_, n) => `65001:${n}`)],
        },
        calls.dialect,
      );
    const wrong: Fields[] = [
      { ...good(), nlri: nlri({ macAddress: "02:00" }) },
      { ...good(), nlri: nlri({ macAddress: "02:00:00:66:01:00:11:22" }) },
      { ...good(), nlri: nlri({ ipAddress: "10.1.1" }) },
      { ...good(), nlri: nlri({ labels: [] }) },
      { ...good(), nlri: nlri({ labels: [10, 10, 10, 10] }) },
      { ...good(), nlri: nlri({ ethernetTag: 0xffffffff }) },
      { ...good(), nlri: nlri({ esi: { type: 9, value: new Uint8Array(3) } }) },
      { ...good(), pattrs: [] },
      targets(400),
      targets(10_000),
    ];
    for (const path of wrong) await say(path).catch(() => undefined);
    // What is said last is believed, so the session and the gateway are there.
    const last = { ...host, mac: host.mac + 0x1ff };
    await until("a route that is right", 60_000, async () => {
      await say(pathOf(last, calls.dialect));
      return (await routes()).some(({ route, state }) => route.includes("02:00:00:66:01:ff") && state === "used");
    });
    await reaches();
    for (const path of [...wrong, pathOf(last, calls.dialect)]) await unsay(path).catch(() => undefined);
  });

  test("the highest sequence there is takes a host for a while and no longer; ours never wraps round", async () => {
    const { bed } = fabric;
    const mac = (await bed.must("vm1", "cat", ["/sys/class/net/eth0/address"])).trim();
    const theft = pathOf({ ...host, mac: parseMac(mac)!, sequence: 0xffffffff }, calls.dialect);
    await say(theft);
    await until("the claim", 15_000, async () =>
      (await routes()).some(({ route, rd }) => rd === host.rd && route.includes(mac)),
    );
    await until("a ping of ours", 30_000, async () => {
      const { status } = await bed.run("vm1", "ping", ["-c", "1", "-W", "1", "10.1.1.1"]);
      const own = (await gw1.look<RouteView[]>("/v1/evpn/routes")).filter(
        ({ direction, route }) => direction === "out" && route.includes(mac),
      );
      return status === 0 && own.length > 0 && own.every(({ sequence }) => sequence === 0xffffffff);
    });
    await unsay(theft);
    await reaches();
  });

  test("a flood of VTEPs and of routes stays within the limits, and all goes when it ends", async () => {
    const flood = (n: number): EvpnRoute =>
      n % 2 === 0
        ? { ...host, rd: `${EVIL}:13`, mac: host.mac + 0x1000 + n }
        : {
            ...{ ...base, rd: `${EVIL}:${100 + n}`, nextHop: `198.51.${n >> 8}.${n & 255 || 1}`, type: 3 },
            originator: `198.51.${n >> 8}.${n & 255 || 1}`,
            pmsi: null,
          };
    const paths = Array.from({ length: 300 }, (_, n) => pathOf(flood(n), calls.dialect));
    for (const path of paths) await say(path);
    await until("both limits", 30_000, async () => {
      const now = await refused();
      return (now.routes_limit ?? 0) > 0 && (now.vtep ?? 0) > 0;
    });
    expect((await routes()).length).toBeLessThanOrEqual(MOST.routes);
    expect((await gw1.look<Tunnel[]>("/v1/tunnels")).length).toBeLessThanOrEqual(MOST.vteps);
    await reaches();
    for (const path of paths) await unsay(path);
    await until("none of it", 60_000, async () =>
      (await routes()).every(({ rd, nextHop }) => !rd.startsWith(EVIL) && !nextHop.startsWith("198.51")),
    );
    await gw1.ctl("evpn", "resync");
    await until("sync", 30_000, async () => (await view()).state === "synced");
    await reaches();
  });
});
