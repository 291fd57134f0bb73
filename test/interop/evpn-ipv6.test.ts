/**
 * IPv6 in a fabric of vtepd and a FRR leaf with the kernel's VXLAN, once with FRR and once with gobgpd as its reflector: hosts of one
 * subnet by type 2, of different ones by an L3VNI (type 5, type 2 with two labels), both ways, and what is taken back.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Route } from "../../src/api/schema.ts";
import type { EvpnRoute } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { type Fabric, joinIpv6, makeFabric } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

/** vm1 is of a subnet that the leaf has not, vm2 of one that it has; h20 is of one that gw1 has not. */
const [VM1, VM2, H10, H20] = ["2001:db8:30::11", "2001:db8:10::12", "2001:db8:10::21", "2001:db8:20::21"];
const VM2_MAC = "02:00:00:00:01:12";
/** Routers and kernels may be late on a busy machine. */
const DEADLINE_MS = 30_000;

for (const reflector of ["frr", "gobgpd"] as const)
  describeReal(missing, `IPv6 of vtepd and of FRR, reflected by ${reflector}`, () => {
    let fabric: Fabric;
    let gw1: Gateway;

    const routes = () => gw1.look<EvpnRoute[]>("/v1/evpn/routes");
    const has = async (text: string) => (await routes()).some(({ route, state }) => route === text && state === "used");
    const learned = async (prefix: string) =>
      (await gw1.look<Route[]>("/v1/routes")).find((route) => route.origin === "evpn" && route.prefix === prefix);
    const leafRoute = (prefix: string) => fabric.bed.must("leaf", "ip", ["-6", "route", "show", prefix]);
    const reaches = (from: string, to: string) =>
      until(
        `${to} from ${from}`,
        DEADLINE_MS,
        async () => (await ping(fabric.bed, from, to, { waitSeconds: 1 })).ttls.length === 3,
      );
    const hops = async (from: string, to: string) => (await ping(fabric.bed, from, to, { count: 3 })).ttls;

    beforeAll(async () => {
      fabric = await makeFabric(`evpn6${reflector}`, { l3vni: 4001, isDual: true, reflector });
      const { bed } = fabric;
      await fabric.engine("gw1");
      gw1 = await fabric.gateway("gw1", {
        vsis: [
          { name: "vsi10", vni: 10, evpn: {} },
          { name: "vsi30", vni: 30, evpn: {} },
        ],
        interfaces: [
          { name: "if10", vsi: "vsi10", address: ["10.1.1.1/24", "2001:db8:10::1/64"] },
          { name: "if30", vsi: "vsi30", address: ["10.1.3.1/24", "2001:db8:30::1/64"] },
        ],
        vrfs: [{ name: "main", l3vni: 4001 }],
        acs: [
          { name: "vm1", vsi: "vsi30", tap: { device: "eth0", netns: bed.name("vm1") } },
          { name: "vm2", vsi: "vsi10", tap: { device: "eth0", netns: bed.name("vm2") } },
        ],
      });
      await bed.ip("vm2", `link set dev eth0 address ${VM2_MAC}`);
      for (const [vm, address] of [
        ["vm1", VM1],
        ["vm2", VM2],
      ] as const) {
        await bed.ip(vm, "link set dev eth0 up");
        await joinIpv6(bed, vm, address!);
      }
    }, 180_000);
    afterAll(() => fabric?.remove());

    test("hosts of one subnet are bridged, by routes of both, and answered for without a flood", async () => {
      // FRR announces what its kernel knows: a host that has spoken to its gateway.
      for (const host of ["h10", "vm2"]) await reaches(host, "2001:db8:10::1");
      await reaches("vm2", H10!);
      expect(await hops("vm2", H10!)).toEqual([64, 64, 64]);
      const mac = (await fabric.bed.must("h10", "cat", ["/sys/class/net/eth0/address"])).trim();
      await until("its route", DEADLINE_MS, () => has(`[2]:[0]:[48]:[${mac}]:[128]:[${H10}]`));
      const nd = await gw1.ctl("show", "nd");
      expect(nd.stdout.split("\n").find((line) => line.includes(H10!))).toContain(mac);
      await until("ours, in FRR", DEADLINE_MS, async () =>
        (await fabric.leaf.ask("show evpn arp-cache vni 10")).split("\n").some((line) => {
          return line.includes(VM2!) && line.includes(VM2_MAC) && line.includes("remote");
        }),
      );
      // The kernel's bridge answers h10 with it.
      await until("ours, in the leaf's kernel", DEADLINE_MS, async () =>
        (await fabric.bed.must("leaf", "ip", ["-6", "neigh", "show", VM2!, "dev", "br10"])).includes(
          `lladdr ${VM2_MAC}`,
        ),
      );
    });

    test("the leaf's subnet comes as type 5, and ours is in its table behind our router's MAC", async () => {
      await until("the prefix", DEADLINE_MS, async () => (await learned("2001:db8:20::/64")) !== undefined);
      expect((await learned("2001:db8:20::/64"))!.nextHops).toEqual([
        expect.objectContaining({ ip: "192.0.2.2", interface: "l3vni:4001", alive: true }),
      ]);
      expect((await routes()).find(({ route }) => route === "[5]:[0]:[64]:[2001:db8:20::]")).toMatchObject({
        ...{ type: 5, direction: "in", nextHop: "192.0.2.2", labels: [4001], vrf: "main", state: "used" },
      });
      await until("the leaf's route", DEADLINE_MS, async () =>
        (await leafRoute("2001:db8:30::/64")).includes("192.0.2.1 dev br4001"),
      );
    });

    test("across subnets both route, there and back: hop limit 62, and hosts have routes of their own then", async () => {
      await reaches("vm1", H20!);
      expect(await hops("vm1", H20!)).toEqual([62, 62, 62]);
      expect(await hops("h20", VM1!)).toEqual([62, 62, 62]);
      await until("the host's route", DEADLINE_MS, async () => (await learned(`${H20}/128`)) !== undefined);
      await until("ours, there", DEADLINE_MS, async () => (await leafRoute(VM1!)).includes("192.0.2.1 dev br4001"));
      await reaches("vm2", H20!);
      await reaches("vm1", H10!);
    });

    test("a hop limit that ends here is told with an address of the VRF", async () => {
      await until("the error", DEADLINE_MS, async () => {
        const { errors } = await ping(fabric.bed, "h20", VM1!, { count: 1, ttl: 2 });
        return /^From 2001:db8:(10|30)::1 Time exceeded/.test(errors.join());
      });
    });

    test("a router behind FRR is announced with the ARP/ND community, for which gobgpd drops its address; it answers itself", async () => {
      const { bed, leaf } = fabric;
      const mac = (await bed.must("h10", "cat", ["/sys/class/net/eth0/address"])).trim();
      const route = `[2]:[0]:[48]:[${mac}]:[128]:[${H10}]`;
      await bed.must("h10", "sysctl", ["-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.eth0.forwarding=1"]);
      await bed.must("h10", "ip", ["-6", "route", "replace", "default", "via", "2001:db8:10::1", "dev", "eth0"]);
      await bed.run("leaf", "ip", ["-6", "neigh", "del", H10!, "dev", "br10"]);
      await until("FRR's word of a router", DEADLINE_MS, async () => {
        await bed.run("leaf", "ping", ["-c1", "-W1", H10!]);
        return /ND:Router/.test(await leaf.ask(`show bgp l2vpn evpn route vni 10 mac ${mac} ip ${H10}`));
      });
      await until("no route of its address", DEADLINE_MS, async () => !(await has(route)));
      await until("the route of its MAC", DEADLINE_MS, () => has(`[2]:[0]:[48]:[${mac}]`));
      await bed.must("vm2", "ip", ["-6", "neigh", "flush", "dev", "eth0"]);
      await reaches("vm2", H10!);
      await until("its own word of it", DEADLINE_MS, async () =>
        (await bed.must("vm2", "ip", ["-6", "neigh", "show", H10!])).includes(`lladdr ${mac} router`),
      );
    });

    test("what the leaf takes back goes here, and an address of ours that is gone goes there", async () => {
      await fabric.leaf.ask(
        "configure terminal",
        "router bgp 65000",
        "address-family l2vpn evpn",
        "no advertise ipv6 unicast",
      );
      await until("no prefix", DEADLINE_MS, async () => (await learned("2001:db8:20::/64")) === undefined);
      expect(await hops("vm1", H20!)).toEqual([62, 62, 62]);
      await fabric.bed.must("vm1", "ip", ["-6", "addr", "del", `${VM1}/64`, "dev", "eth0"]);
      expect((await gw1.ctl("nd", "del", VM1!, "--interface", "if30")).stderr).toBe("");
      await until("no host route", DEADLINE_MS, async () => (await leafRoute(VM1!)) === "");
    });
  });
