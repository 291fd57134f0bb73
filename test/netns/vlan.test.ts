/**
 * VLAN ACs: one TAP that carries two ACs, the untagged one in VXLAN 10 and VLAN 20 in VXLAN 20; behind the other gateway
 * the tag is another, and a machine without any. The tag is a matter of one AC: it is stripped inward, never crosses the
 * underlay, and is put back outward. In VXLAN 30 the tags inside it stay (innerVlan: keep).
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Neighbor } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";
import { superFrames } from "./offloads.ts";
import { countFrames, dissect, openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "tshark", "python3");
const VLAN_DEVICE = fileURLToPath(new URL("vlan-device.py", import.meta.url));

describeReal(missing, "VLAN ACs", () => {
  let gateways: Gateways;
  let gw1: Gateway;
  beforeAll(async () => {
    gateways = await openGateways("vlan");
    const { bed } = gateways;
    for (const name of ["gw1", "gw2", "trunk", "access", "tagged"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "gw2", "ul0");
    const start = async (node: string, number: number, acs: object[]) => {
      await bed.ip(node, `addr add 192.0.2.${number}/24 dev ul0`);
      return await gateways.start(node, {
        underlay: { address: `192.0.2.${number}` },
        tunnels: [{ name: "peer", remote: `192.0.2.${3 - number}` }],
        vsis: [10, 20, 30].map((vni) => ({ name: `vsi${vni}`, vni, innerVlan: vni === 30 ? "keep" : "drop" })),
        interfaces: [10, 20].map((vni) => ({ name: `i${vni}`, vsi: `vsi${vni}`, address: `${vni}.1.1.1/24` })),
        acs,
        metrics: { listen: "127.0.0.1:9475" },
      });
    };
    const tap = (name: string) => ({ device: "eth0", netns: bed.name(name) });
    gw1 = await start("gw1", 1, [
      { name: "trunk", vsi: "vsi10", tap: tap("trunk") },
      { name: "trunk20", vsi: "vsi20", tap: tap("trunk"), vlan: 20 },
      { name: "trunk30", vsi: "vsi30", tap: tap("trunk"), vlan: 30 },
    ]);
    await start("gw2", 2, [
      { name: "access", vsi: "vsi20", tap: tap("access") },
      { name: "tagged", vsi: "vsi20", tap: tap("tagged"), vlan: 77 },
      { name: "tagged78", vsi: "vsi30", tap: tap("tagged"), vlan: 78 },
    ]);
    // 1450 bytes of IP in either VXLAN: the tag's four bytes come on top of the device's MTU.
    await bed.ip("trunk", "link set dev eth0 up", "addr add 10.1.1.11/24 dev eth0");
    for (const [name, vlan, address] of [
      ["trunk", 20, "20.1.1.11"],
      ["tagged", 77, "20.1.1.13"],
    ] as const) {
      await bed.ip(name, "link set dev eth0 up");
      await addVlan(name, vlan, `${address}/24`);
      if (name === "tagged") await bed.ip(name, "route add default via 20.1.1.1");
    }
    await bed.ip("access", "link set dev eth0 up", "addr add 20.1.1.12/24 dev eth0", "route add default via 20.1.1.1");
  });
  afterAll(() => gateways?.remove());

  /** The kernel's VLAN device, or the script that stands in where the kernel has none. */
  async function addVlan(
    name: string,
    vlan: number,
    address: string | null,
    under = "eth0",
    mtu = 1450,
  ): Promise<void> {
    const { bed } = gateways;
    const device = `${under}.${vlan}`;
    const made = await bed.run(name, "ip", `link add link ${under} name ${device} type vlan id ${vlan}`.split(" "));
    if (made.status !== 0) {
      const child = bed.follow(name, "python3", [VLAN_DEVICE, under, String(vlan)]);
      let words = "";
      for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk: Buffer) => (words += chunk));
      await until(`VLAN device in ${name}`, 5000, () => {
        if (child.exitCode !== null) throw new Error(words);
        return words.includes("ready");
      });
      const mac = (await bed.must(name, "cat", ["/sys/class/net/eth0/address"])).trim();
      await bed.ip(name, `link set dev ${device} address ${mac}`);
    }
    await bed.ip(name, `link set dev ${device} mtu ${mtu} up`);
    if (address !== null) await bed.ip(name, `addr add ${address} dev ${device}`);
  }

  const ttls = async (from: string, to: string, length = 84) =>
    (await ping(gateways.bed, from, to, { length, df: "do" })).ttls;

  test("each tag has its own gateway", async () => {
    expect(await ttls("trunk", "10.1.1.1")).toEqual([64, 64, 64]);
    expect(await ttls("trunk", "20.1.1.1")).toEqual([64, 64, 64]);
    const arp = await gw1.show<Neighbor>("arp");
    expect(arp.filter(({ kind }) => kind === "host").map(({ ip, via }) => [ip, via?.name])).toEqual([
      ["10.1.1.11", "trunk"],
      ["20.1.1.11", "trunk20"],
    ]);
  });

  test("tagged to untagged and to another tag, up to the full MTU, and the tag never crosses", async () => {
    const dump = await openDump(gateways.bed, "gw1", "ul0");
    const inside = await openDump(gateways.bed, "tagged", "eth0");
    for (const target of ["20.1.1.12", "20.1.1.13"]) {
      expect(await ttls("trunk", target)).toEqual([62, 62, 62]);
      expect(await ttls("trunk", target, 1450)).toEqual([62, 62, 62]);
    }
    await Promise.all([dump.stop(), inside.stop()]);
    expect((await dissect(dump.file, "vxlan && icmp", ["frame.number"])).length).toBeGreaterThanOrEqual(24);
    expect(await dissect(dump.file, "vlan", ["frame.number"])).toEqual([]);
    // Outward the tag is back, on everything, ARP too.
    expect(await countFrames(inside.file, "vlan 77 and icmp")).toBeGreaterThanOrEqual(12);
    expect((await dissect(inside.file, "!vlan", ["frame.number"])).length).toBe(0);
    expect((await dissect(inside.file, "vlan && arp", ["vlan.id"])).every((row) => row["vlan.id"]![0] === "77")).toBe(
      true,
    );
  });

  test("TCP with hashes through tags, both ways", async () => {
    for (const [from, to, address] of [
      ["trunk", "tagged", "20.1.1.13"],
      ["tagged", "trunk", "20.1.1.11"],
      ["access", "trunk", "20.1.1.11"],
    ] as const) {
      const { sent, got } = await transfer(gateways.bed, from, to, address, 8_000_000);
      expect(got).toEqual(sent);
    }
  });

  test("TCP with hashes behind a second tag, which the VXLAN keeps: super-frames pass the ACs' tags as well", async () => {
    for (const [name, vlan, address] of [
      ["trunk", 30, "10.200.0.11"],
      ["tagged", 78, "10.200.0.13"],
    ] as const) {
      await addVlan(name, vlan, null);
      // The inner tag is a part of the 1450.
      await addVlan(name, 200, `${address}/24`, `eth0.${vlan}`, 1446);
    }
    expect(await ttls("trunk", "10.200.0.13", 1446)).toEqual([64, 64, 64]);
    const whole = () => superFrames(gateways.bed, "gw1", "receive", "tso");
    const before = await whole();
    for (const [from, to, address] of [
      ["trunk", "tagged", "10.200.0.13"],
      ["tagged", "trunk", "10.200.0.11"],
    ] as const) {
      const { sent, got } = await transfer(gateways.bed, from, to, address, 8_000_000);
      expect(got).toEqual(sent);
    }
    const drops = await gw1.drops();
    expect([drops.gso_bad, drops.tap_error]).toEqual([undefined, undefined]);
    expect(await whole()).toBeGreaterThan(before + 100);
  });

  test("a tag that no AC matches is dropped and counted", async () => {
    const { bed } = gateways;
    const before = (await gw1.drops()).ac_unbound ?? 0;
    await addVlan("trunk", 40, "10.9.9.1/24");
    expect((await ping(bed, "trunk", "10.9.9.2", { count: 1, waitSeconds: 0.2 })).ttls).toEqual([]);
    expect((await gw1.drops()).ac_unbound).toBeGreaterThan(before);
  });
});
