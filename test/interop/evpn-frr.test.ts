/**
 * BGP EVPN with FRR, both as the route reflector and as a leaf with kernel VXLAN: routes both ways, the entries they make, and
 * frames that go by them: the same subnet, and from one subnet to another (asymmetric IRB).
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MacEntry, Neighbor } from "../../src/api/schema.ts";
import type { Evpn, EvpnRoute, EvpnVtep } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { formatMac } from "../../src/wire/ethernet.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { mac, marked, sendRaw } from "../netns/raw-frames.ts";
import { ping } from "../netns/traffic.ts";
import { type Fabric, makeFabric } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const VM1 = "10.1.1.11";

describeReal(missing, "vtepd in a BGP EVPN fabric of FRR", () => {
  let fabric: Fabric;
  let gw1: Gateway;

  const macOf = async (node: string) => (await fabric.bed.must(node, "cat", ["/sys/class/net/eth0/address"])).trim();
  const fdb = (vni: number) => fabric.bed.must("leaf", "bridge", ["fdb", "show", "dev", `vxlan${vni}`]);
  const view = () => gw1.look<Evpn>("/v1/evpn");

  beforeAll(async () => {
    fabric = await makeFabric("evpn");
    await fabric.engine("gw1");
    gw1 = await fabric.gateway("gw1");
    const { bed } = fabric;
    await bed.ip("vm1", "link set dev eth0 up", `addr add ${VM1}/24 dev eth0`, "route add default via 10.1.1.1");
  }, 120_000);
  afterAll(() => fabric?.remove());

  test("the session comes up, and the table is in sync", async () => {
    // It was not ready before.
    expect((await view()).state).toBe("synced");
    const { peers, engine } = await view();
    expect(engine).toMatchObject({ up: true, problem: null });
    expect(peers).toEqual([expect.objectContaining({ address: "192.0.2.251", state: "established", complete: true })]);
  });

  test("each finds the other by its type 3: a tunnel here, a flood entry there", async () => {
    await until("the tunnel", 10_000, async () => (await gw1.look<EvpnVtep[]>("/v1/evpn/vteps")).length === 1);
    expect(await gw1.look<EvpnVtep[]>("/v1/evpn/vteps")).toEqual([
      expect.objectContaining({ vtep: "192.0.2.2", tunnel: "evpn:192.0.2.2", vnis: [10, 20], refused: null }),
    ]);
    for (const vni of [10, 20])
      await until(`the flood entry of ${vni}`, 10_000, async () =>
        (await fdb(vni)).includes("00:00:00:00:00:00 dst 192.0.2.1"),
      );
  });

  test("hosts of one subnet reach each other with TTL 64, by MACs that routes brought", async () => {
    await until(
      "a ping",
      20_000,
      async () => (await ping(fabric.bed, "vm1", "10.1.1.21", { waitSeconds: 1 })).ttls.length === 3,
    );
    const { ttls } = await ping(fabric.bed, "vm1", "10.1.1.21", { count: 5 });
    expect(ttls).toEqual([64, 64, 64, 64, 64]);
    const [vm1, h10] = [await macOf("vm1"), await macOf("h10")];
    const macs = await gw1.look<MacEntry[]>("/v1/macs");
    expect(macs.find(({ mac }) => mac === h10)).toMatchObject({ origin: "evpn", via: { name: "evpn:192.0.2.2" } });
    await until("the FDB row", 5000, async () => (await fdb(10)).includes(`${vm1} dst 192.0.2.1`));
    // Both routes of each: the MAC alone, and with its address once it has spoken to its gateway.
    await ping(fabric.bed, "h10", "10.1.1.1", { count: 1 });
    await until("both routes of h10", 10_000, async () => {
      const routes = await gw1.look<EvpnRoute[]>("/v1/evpn/routes");
      return [`[2]:[0]:[48]:[${h10}]`, `[2]:[0]:[48]:[${h10}]:[32]:[10.1.1.21]`].every((text) =>
        routes.some(({ route, direction, state }) => route === text && direction === "in" && state === "used"),
      );
    });
    const neighbors = await gw1.look<Neighbor[]>("/v1/neighbors");
    expect(neighbors.find(({ ip }) => ip === "10.1.1.21")).toMatchObject({ mac: h10, from: "evpn" });
    const learned = await fabric.leaf.ask("show evpn arp-cache vni 10");
    expect(learned).toMatch(new RegExp(`${VM1}\\s+remote\\s+active\\s+${vm1}`));
  });

  test("a host that is heard here is in the kernel's FDB at the leaf: twenty, one after the other", async () => {
    const monitor = fabric.bed.follow("leaf", "bridge", ["monitor", "fdb"]);
    let said = "";
    monitor.stdout!.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const times: number[] = [];
    try {
      for (let n = 0; n < 20; n++) {
        const host = mac(`02:00:00:00:fd:${(n + 16).toString(16)}`);
        const began = performance.now();
        await sendRaw(fabric.bed, "vm1", "eth0", [marked(mac("02:00:00:00:fd:01"), host, n)]);
        const row = new RegExp(`${formatMac(host)} dev vxlan10 .*dst 192\\.0\\.2\\.1`);
        await until("the FDB row", 10_000, () => row.test(said), 2);
        times.push(performance.now() - began);
      }
    } finally {
      monitor.kill("SIGKILL");
    }
    times.sort((a, b) => a - b);
    console.log(`heard here to the leaf's FDB: ${times[10]!.toFixed(0)} ms p50, ${times[19]!.toFixed(0)} ms at most`);
  });

  test("hosts of two subnets reach each other: each side routes into the other's VNI (asymmetric IRB)", async () => {
    await until(
      "a ping",
      20_000,
      async () => (await ping(fabric.bed, "vm1", "10.1.2.21", { waitSeconds: 1 })).ttls.length === 3,
    );
    const there = await ping(fabric.bed, "vm1", "10.1.2.21", { count: 5 });
    const back = await ping(fabric.bed, "h20", VM1, { count: 5 });
    expect([there.ttls, back.ttls]).toEqual([
      [63, 63, 63, 63, 63],
      [63, 63, 63, 63, 63],
    ]);
  });

  test("why tells who said so", async () => {
    const { stdout } = await gw1.ctl("why", "10.1.1.21");
    expect(stdout).toContain("is behind VTEP 192.0.2.2 in VSI vsi10: EVPN type 2 of RD 192.0.2.2:");
    expect(stdout).toContain("by 192.0.2.251");
  });
});
