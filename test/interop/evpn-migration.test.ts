/**
 * The way from static tunnels to EVPN: the kernel's vxlan, which speaks no BGP, by a static tunnel of each gateway, beside a fabric of
 * two gateways and a leaf of FRR. All of it in one VXLAN, `learning: both`; then the last step, without the static tunnel.
 *
 *     vm1 - gw1, vm2 - gw2, h10 - leaf (FRR)       EVPN
 *     hk 10.1.1.31 - kp 192.0.2.9                  static: flood entries for gw1 and gw2
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MacEntry } from "../../src/api/schema.ts";
import type { Evpn, EvpnRoute } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { type Fabric, makeFabric, VTEPS } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const KERNEL = "192.0.2.9";
const HK = { address: "10.1.1.31", mac: "02:00:00:00:01:31" };

describeReal(missing, "the kernel's vxlan by a static tunnel beside a fabric", () => {
  let fabric: Fabric;
  let gws: Gateway[] = [];

  const reaches = (from: string, to: string) =>
    until(
      `${to} from ${from}`,
      30_000,
      async () => (await ping(fabric.bed, from, to, { count: 3, waitSeconds: 1 })).ttls.length === 3,
    );
  const macs = (gw: Gateway) => gw.look<MacEntry[]>("/v1/macs");

  beforeAll(async () => {
    fabric = await makeFabric("evpnmigrate");
    const { bed } = fabric;
    for (const name of ["kp", "hk"]) await bed.namespace(name);
    await bed.veth("kp", "ul0", "rr", "to-kp");
    await bed.ip("rr", "link set to-kp master underlay", "link set to-kp up");
    await bed.ip("kp", `addr add ${KERNEL}/24 dev ul0`, "link set ul0 up");
    await bed.veth("hk", "eth0", "kp", "to-hk", 1450);
    await bed.bridge("kp", "br0", ["to-hk"]);
    await bed.ip(
      "kp",
      `link add vx10 type vxlan id 10 dstport 4789 local ${KERNEL}`,
      "link set dev vx10 mtu 1450 master br0 up",
      "link set to-hk up",
    );
    for (const vtep of [VTEPS.gw1!, VTEPS.gw2!])
      await bed.must("kp", "bridge", ["fdb", "append", "00:00:00:00:00:00", "dev", "vx10", "dst", vtep]);
    await bed.ip("hk", `link set dev eth0 address ${HK.mac} up`, `addr add ${HK.address}/24 dev eth0`);
    gws = [];
    for (const node of ["gw1", "gw2"]) {
      await fabric.engine(node);
      const change = {
        tunnels: [{ name: "old", remote: KERNEL }],
        vsis: [
          { name: "vsi10", vni: 10, evpn: { learning: "both" } },
          { name: "vsi20", vni: 20, evpn: {} },
        ],
      };
      gws.push(await fabric.gateway(node, change));
    }
    for (const [vm, address] of [
      ["vm1", "10.1.1.11"],
      ["vm2", "10.1.1.12"],
    ] as const)
      await bed.ip(vm, "link set dev eth0 up", `addr add ${address}/24 dev eth0`, "route add default via 10.1.1.1");
    for (const gw of gws)
      await until(`${gw.node} in sync`, 60_000, async () => (await gw.look<Evpn>("/v1/evpn")).state === "synced");
  }, 180_000);
  afterAll(() => fabric?.remove());

  test("hosts of both kinds reach each other, and no route tells of those behind the static tunnel", async () => {
    await reaches("vm1", "10.1.1.12");
    await reaches("vm1", "10.1.1.21");
    await reaches("vm1", HK.address);
    await reaches("vm2", HK.address);
    await reaches("hk", "10.1.1.11");
    const found = (await macs(gws[0]!)).find(({ mac }) => mac === HK.mac);
    expect(found).toMatchObject({ origin: "learned", via: { name: "old" } });
    const routes = await gws[1]!.look<EvpnRoute[]>("/v1/evpn/routes");
    expect(routes.filter(({ route }) => route.includes(HK.mac))).toEqual([]);
  });

  test("without the static tunnel the fabric goes on alone, and nothing of the other is left", async () => {
    for (const gw of gws) {
      const text = readFileSync(gw.file, "utf8");
      const fresh = text.replace("learning: both", "learning: evpn").replace(/^tunnels:\n(?: .*\n)+/m, "");
      expect(fresh).not.toContain(KERNEL);
      writeFileSync(gw.file, fresh);
      process.kill(gw.pid, "SIGHUP");
      await gw.logged(/"event":"config\.applied"/);
    }
    for (const gw of gws)
      await until("no such MAC", 15_000, async () => !(await macs(gw)).some(({ mac }) => mac === HK.mac));
    await reaches("vm1", "10.1.1.12");
    await reaches("vm1", "10.1.1.21");
    expect((await ping(fabric.bed, "hk", "10.1.1.11", { count: 2, waitSeconds: 1 })).ttls).toEqual([]);
  });
});
