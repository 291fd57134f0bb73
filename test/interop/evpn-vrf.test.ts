/**
 * A VRF between vtepd and a FRR leaf that have no VNI of a subnet in common: type 5 and type 2 with two labels both ways by the
 * L3VNI, router's MACs, and frames that are routed twice (symmetric IRB). The leaf's default VRF is the tenant's.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Route } from "../../src/api/schema.ts";
import type { Evpn, EvpnRoute } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { type Fabric, LEAF_ROUTER_MAC, makeFabric } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const VM1 = "10.1.3.11";
const H20 = "10.1.2.21";

describeReal(missing, "a VRF of vtepd and of FRR, by an L3VNI", () => {
  let fabric: Fabric;
  let gw1: Gateway;

  const vrf = async () => (await gw1.look<Evpn>("/v1/evpn")).vrfs[0]!;
  const learned = async (prefix: string) =>
    (await gw1.look<Route[]>("/v1/routes")).find((route) => route.origin === "evpn" && route.prefix === prefix);

  beforeAll(async () => {
    fabric = await makeFabric("evpnvrf", { l3vni: 4001 });
    const { bed } = fabric;
    await fabric.engine("gw1");
    gw1 = await fabric.gateway("gw1", {
      vsis: [{ name: "vsi30", vni: 30, evpn: {} }, { name: "uplink" }],
      interfaces: [
        { name: "if30", vsi: "vsi30", address: "10.1.3.1/24" },
        { name: "up", vsi: "uplink", address: "50.1.1.1/24", distributed: false },
      ],
      vrfs: [{ name: "main", l3vni: 4001 }],
      acs: [{ name: "vm1", vsi: "vsi30", tap: { device: "eth0", netns: bed.name("vm1") } }],
    });
    await bed.ip("vm1", "link set dev eth0 up", `addr add ${VM1}/24 dev eth0`, "route add default via 10.1.3.1");
  }, 120_000);
  afterAll(() => fabric?.remove());

  test("the leaf's subnet comes as type 5: a route by the L3VNI to its VTEP", async () => {
    await until("the prefix", 30_000, async () => (await learned("10.1.2.0/24")) !== undefined);
    expect((await learned("10.1.2.0/24"))!.nextHops).toEqual([
      expect.objectContaining({ ip: "192.0.2.2", interface: "l3vni:4001", alive: true }),
    ]);
    const routes = await gw1.look<EvpnRoute[]>("/v1/evpn/routes");
    expect(routes.find(({ route }) => route === "[5]:[0]:[24]:[10.1.2.0]")).toMatchObject({
      ...{ type: 5, direction: "in", nextHop: "192.0.2.2", labels: [4001], vrf: "main", state: "used" },
    });
  });

  test("ours is in the leaf's table, behind our router's MAC", async () => {
    await until("the leaf's route", 30_000, async () =>
      (await fabric.bed.must("leaf", "ip", ["route", "show", "10.1.3.0/24"])).includes("via 192.0.2.1 dev br4001"),
    );
    const { routerMac } = await vrf();
    await until("our router's MAC", 10_000, async () =>
      (await fabric.leaf.ask("show evpn rmac vni 4001")).includes(routerMac),
    );
    await until("its FDB row", 10_000, async () =>
      (await fabric.bed.must("leaf", "bridge", ["fdb", "show", "dev", "vxlan4001"])).includes(
        `${routerMac} dst 192.0.2.1`,
      ),
    );
  });

  test("a ping there and back is routed by both: TTL 62, and hosts have routes of their own then", async () => {
    const { bed } = fabric;
    await until("a ping", 30_000, async () => (await ping(bed, "vm1", H20, { waitSeconds: 1 })).ttls.length === 3);
    expect((await ping(bed, "vm1", H20, { count: 5 })).ttls).toEqual([62, 62, 62, 62, 62]);
    expect((await ping(bed, "h20", VM1, { count: 5 })).ttls).toEqual([62, 62, 62, 62, 62]);
    await until("the host's route", 15_000, async () => (await learned(`${H20}/32`)) !== undefined);
    await until("ours, there", 15_000, async () =>
      (await bed.must("leaf", "ip", ["route", "show", VM1])).includes("via 192.0.2.1 dev br4001"),
    );
    const arp = await gw1.ctl("show", "arp");
    expect(arp.stdout).toContain(LEAF_ROUTER_MAC);
    const { stdout } = await gw1.ctl("why", H20);
    expect(stdout).toContain(
      `VRF main reaches ${H20}/32 by L3VNI 4001 at VTEP 192.0.2.2, router's MAC ${LEAF_ROUTER_MAC}`,
    );
  });

  test("what the leaf takes back goes here", async () => {
    await fabric.leaf.ask(
      "configure terminal",
      "router bgp 65000",
      "address-family l2vpn evpn",
      "no advertise ipv4 unicast",
    );
    await until("no prefix", 15_000, async () => (await learned("10.1.2.0/24")) === undefined);
    // Its host is announced by itself, and still reached.
    expect((await ping(fabric.bed, "vm1", H20, { count: 3 })).ttls).toEqual([62, 62, 62]);
  });

  test("a gateway that drains, or ends, takes back what leads on; its hosts stay, and all is back with it", async () => {
    const there = async (prefix: string) => (await fabric.bed.must("leaf", "ip", ["route", "show", prefix])) !== "";
    const uplink = (isThere: boolean) =>
      until(
        `the leaf ${isThere ? "has" : "has not"} what is behind it`,
        15_000,
        async () => (await there("50.1.1.0/24")) === isThere,
      );
    await uplink(true);
    expect((await gw1.ctl("drain")).status).toBe(0);
    await uplink(false);
    expect([await there("10.1.3.0/24"), await there(VM1)]).toEqual([true, true]);
    expect((await ping(fabric.bed, "vm1", H20, { count: 3 })).ttls).toEqual([62, 62, 62]);
    expect((await gw1.ctl("undrain")).status).toBe(0);
    await uplink(true);
    await gw1.stop();
    await gw1.logged(/gateway\.draining/, 2);
    await uplink(false);
    expect([await there("10.1.3.0/24"), await there(VM1)]).toEqual([true, true]);
    gw1 = await gw1.restart();
    await uplink(true);
  });
});
