/**
 * The centralised scheme (C01, C02; behaviour §2.5): gw1 and gw2 bridge and know no address, the third node routes for all
 * and has no machines. What is routed hairpins through it; what stays in a VXLAN never sees it.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Neighbor } from "../../src/api/schema.ts";
import { neighboursOf } from "../../src/lab/namespace.ts";
import { UNDERLAY_BRIDGE } from "../../src/lab/topology.ts";
import { type Article, addressOf, macOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { countFrames, dissect, openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "tshark", "ethtool");

const CENTRAL = "192.0.2.3";

describeReal(missing, "one gateway for all", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("central", { mode: "centralized", isPlainWire: true });
  });
  afterAll(() => article?.gateways.remove());

  test("the VMs' ARP reaches it, and it answers over the tunnel with its own MAC", async () => {
    const { bed, border } = article;
    expect((await ping(bed, "vm1", "10.1.1.1")).ttls).toEqual([64, 64, 64]);
    expect((await neighboursOf(bed.name("vm1"))).get("10.1.1.1")).toBe(await border.macOf("vsi10"));
    // It knows the VM itself, not a gateway that stands for it.
    expect(await border.show<Neighbor>("arp")).toContainEqual(
      expect.objectContaining({ ip: addressOf("vm1"), mac: macOf("vm1"), via: { kind: "tunnel", name: "gw1" } }),
    );
  });

  test("between VXLANs every packet hairpins, TTL less one, also between machines of one site (C01)", async () => {
    const { bed } = article;
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE);
    expect((await ping(bed, "vm1", addressOf("vm5"))).ttls).toEqual([63, 63, 63]);
    expect((await ping(bed, "vm1", addressOf("vm2"))).ttls).toEqual([63, 63, 63]);
    await dump.stop();
    const echoes = await dissect(dump.file, "vxlan && icmp", ["ip.src", "ip.dst", "vxlan.vni", "ip.ttl"]);
    // In by one VXLAN and out by the other, twice for each of the twelve messages.
    expect(echoes.length).toBeGreaterThanOrEqual(24);
    const legs = new Set(
      echoes.map((row) => `${row["ip.src"]![0]}>${row["ip.dst"]![0]} ${row["vxlan.vni"]!.join()} ${row["ip.ttl"]![1]}`),
    );
    expect([...legs].sort()).toEqual([
      `192.0.2.1>${CENTRAL} 10 64`,
      `192.0.2.1>${CENTRAL} 20 64`,
      `192.0.2.2>${CENTRAL} 20 64`,
      `${CENTRAL}>192.0.2.1 10 63`,
      `${CENTRAL}>192.0.2.1 20 63`,
      `${CENTRAL}>192.0.2.2 20 63`,
    ]);
  });

  test("in one VXLAN the way is straight, MACs and TTL untouched (C02)", async () => {
    const { bed } = article;
    // A bridge floods what it has not learned yet, to the central gateway as well.
    await ping(bed, "vm1", addressOf("vm4"));
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE);
    expect((await ping(bed, "vm1", addressOf("vm4"))).ttls).toEqual([64, 64, 64]);
    await dump.stop();
    expect(await countFrames(dump.file, `udp[39]=1 and udp[28:2]=0x0800 and host ${CENTRAL}`)).toBe(0);
    const rows = await dissect(dump.file, "vxlan && icmp", ["eth.src", "eth.dst", "ip.ttl"]);
    expect(rows.length).toBeGreaterThanOrEqual(6);
    for (const row of rows) {
      expect([row["eth.src"]![1], row["eth.dst"]![1]].sort()).toEqual([macOf("vm1"), macOf("vm4")].sort());
      expect(row["ip.ttl"]![1]).toBe("64");
    }
  });

  test("TCP with hashes through the hairpin, both ways", async () => {
    for (const [from, to] of [
      ["vm1", "vm5"],
      ["vm5", "vm1"],
    ] as const) {
      const { sent, got } = await transfer(article.bed, from, to, addressOf(to), 8_000_000);
      expect(got).toEqual(sent);
    }
  });

  test("a dead address is told by the central gateway", async () => {
    const { errors } = await ping(article.bed, "vm1", "20.1.1.77", { count: 1, waitSeconds: 6 });
    expect(errors).toEqual(["From 10.1.1.1 Destination Host Unreachable"]);
  });
});
