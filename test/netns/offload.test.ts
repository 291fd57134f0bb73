/**
 * Offloads on and off, on every wire: no host behind the gateways may see a difference (O01, O02).
 *
 * The article's network, its gateways restarted with each switch of `underlay.offload` off, with all on and with none; for
 * each of these three wires:
 *
 *     passthrough    a veth as it comes: super-segments and unfinished checksums cross it whole
 *     gro off, on    packets of the MTU with finished checksums, as on a cable, the receiver's device joining them or not
 *
 * 200 MB with hashes where all switches agree, on the wires that differ most; 16 MB for each of the rest, because it is the
 * combinations that are many. The kernel's vxlan and Open vSwitch as peers have the same treatment in test/interop.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Features, Tunnel } from "../../src/api/schema.ts";
import { MACHINES, UNDERLAY_BRIDGE, VTEPS } from "../../src/lab/topology.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { describeReal, type Gateway, whyNoGateways } from "./gateways.ts";
import { OFFLOADS, sendDatagrams, setWire, superFrames, UDP_SIZES, WIRES, type Wire } from "./offloads.ts";
import { dissect, openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("ethtool", "python3");
const MEGABYTE = 1 << 20;

describeReal(missing, "offloads", () => {
  let article: Article;
  let gateways: Gateway[];
  let offload: object = {};
  const shape = (_: string, text: string) =>
    text.replace(/^ {2}address: .*$/m, (line) => `${line}\n  offload: ${JSON.stringify(offload)}`);

  /** All three gateways again, with these switches; the machines keep their devices. */
  async function restart(next: object): Promise<void> {
    const nodes = VTEPS.map(({ name }) => name);
    offload = next;
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    // What did come up when one does not is stopped by the next restart.
    for (const node of nodes) gateways.push(await article.gateways.start(node, article.textOf(node)));
  }
  async function lay(wire: Wire): Promise<void> {
    const ends = VTEPS.flatMap(({ name }) => [
      [name, "ul0"],
      ["underlay", `to-${name}`],
    ]);
    await setWire(article.bed, wire, ends as [string, string][]);
  }
  const carry = async (from: string, to: string, bytes: number) => {
    const { sent, got } = await transfer(article.bed, from, to, addressOf(to), bytes, 90_000);
    expect(sent.bytes).toBe(bytes);
    expect(got).toEqual(sent);
  };
  /** Packets gw1 has sent to gw2, and gw2 has had from gw1. */
  async function betweenSites(): Promise<[number, number]> {
    const of = async (gateway: Gateway, name: string) =>
      (await gateway.look<Tunnel[]>("/v1/tunnels")).find((t) => t.name === name)!;
    return [(await of(gateways[0]!, "gw2")).transmit.packets, (await of(gateways[1]!, "gw1")).receive.packets];
  }

  beforeAll(async () => {
    article = await openArticle("offload", { shape });
    gateways = [article.gw1, article.gw2, article.border];
  }, 240_000);
  afterAll(() => article?.gateways.remove());

  describe.each(OFFLOADS)("$name", ({ name, offload: next }) => {
    beforeAll(async () => {
      await restart(next);
      for (const [from, to] of [
        ["vm1", "vm4"],
        ["ext", "vm1"],
      ] as const) {
        await ping(article.bed, from, addressOf(to));
      }
    }, 240_000);

    test("are what the gateways use", async () => {
      for (const gateway of gateways) {
        const { offloads } = await gateway.look<Features>("/v1/features");
        expect(Object.fromEntries(offloads.map(({ name: each, inUse }) => [each, inUse]))).toEqual(next);
      }
    });

    test.each(WIRES)("$name: TCP between sites and from the outside, whole", { timeout: 200_000 }, async (wire) => {
      await lay(wire);
      const isMain = name === "all on" || (name === "all off" && wire.name === "passthrough");
      const bytes = (isMain ? 200 : 16) * MEGABYTE;
      const before = await betweenSites();
      const cable = await article.bed.counters("gw2", "ul0");
      await Promise.all([carry("vm1", "vm4", bytes), carry("ext", "vm1", bytes)]);
      await carry("vm4", "vm1", 16 * MEGABYTE);
      // Every wire packet that left one gateway came to the other, however many went together.
      const after = await betweenSites();
      const { workers } = await gateways[1]!.look<Features>("/v1/features");
      if (workers[0]!.receiveDrops === 0) expect(after[1] - before[1]).toBe(after[0] - before[0]);
      expect(after[0] - before[0]).toBeGreaterThanOrEqual(bytes / 1398);
      const { receivedBytes, receivedPackets } = await article.bed.counters("gw2", "ul0");
      const mean = (receivedBytes - cable.receivedBytes) / (receivedPackets - cable.receivedPackets);
      if (!wire.isPassthrough) expect(mean).toBeLessThanOrEqual(1514);
      else if (name === "all on") expect(mean).toBeGreaterThan(3000);
    });

    test("UDP datagrams arrive one by one, as long as they were cut, in their order", {
      timeout: 120_000,
    }, async () => {
      await lay(WIRES[1]!);
      const to = addressOf("vm4");
      const { sent, got, count } = await sendDatagrams(article.bed, ["vm1", "vm4"], to, 7000, UDP_SIZES);
      expect(sent).toHaveLength(count);
      expect(got).toEqual(sent);
      const whole = await superFrames(article.bed, "gw1", "receive", "uso");
      if (next.tapTso && next.tapUso) expect(whole).toBeGreaterThanOrEqual(UDP_SIZES.length - 4);
      else expect(whole).toBe(0);
      for (const gateway of gateways)
        expect(
          Object.keys(await gateway.drops()).filter((why) => why.startsWith("gso") || why.startsWith("csum")),
        ).toEqual([]);
    });
  });

  test("a datagram cut into single bytes is as many datagrams", { timeout: 120_000 }, async () => {
    await restart(OFFLOADS[0]!.offload);
    const { bed } = article;
    expect((await ping(bed, "vm1", addressOf("vm4"))).ttls.length).toBe(3);
    const { sent, got } = await sendDatagrams(bed, ["vm1", "vm4"], addressOf("vm4"), 7001, [[1, 64]]);
    expect(got).toEqual(sent);
    expect(await gateways[0]!.drops()).not.toHaveProperty("gso_bad");
  });

  test.skipIf(whyNoGateways("tcpdump", "tshark") !== undefined)(
    "what is cut is right on the wire: sums, lengths, order, as tshark reads it",
    { timeout: 120_000 },
    async () => {
      await lay(WIRES[1]!);
      const { bed } = article;
      const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE, "udp port 4789");
      await carry("vm1", "vm4", 2 * MEGABYTE);
      await dump.stop();
      const fields = [
        "ip.src",
        "ip.len",
        "ip.id",
        "ip.flags.mf",
        "ip.checksum.status",
        "udp.checksum.status",
        "tcp.checksum.status",
        "tcp.seq_raw",
        "tcp.len",
        "tcp.flags.push",
      ];
      const rows = await dissect(dump.file, "vxlan && tcp", fields);
      const isGood = (status: string) => ["1", "Good"].includes(status);
      for (const field of ["ip.checksum.status", "udp.checksum.status", "tcp.checksum.status"]) {
        expect([field, rows.filter((row) => !row[field]!.every(isGood)).length]).toEqual([field, 0]);
      }
      for (const row of rows) expect(Number(row["ip.len"]![0])).toBeLessThanOrEqual(1500);
      const source = MACHINES.find(({ name }) => name === "vm1")!.address;
      const data = rows.filter((row) => row["ip.src"]![1] === source && Number(row["tcp.len"]![0]) > 0);
      expect(data.length).toBeGreaterThan((2 * MEGABYTE) / 1398);
      // Gap-free, whatever was sent twice.
      const pieces = data.map((row) => [Number(row["tcp.seq_raw"]![0]), Number(row["tcp.len"]![0])] as const);
      const first = pieces[0]![0];
      const sorted = pieces.map(([at, length]) => [(at - first) >>> 0, length] as const).sort(([a], [b]) => a - b);
      let end = 0;
      for (const [at, length] of sorted) {
        expect(at).toBeLessThanOrEqual(end);
        end = Math.max(end, at + length);
      }
      expect(end).toBe(2 * MEGABYTE);
      // A guest's kernel counts its IDs by segments; so do we, within a super-frame and from one to the next.
      const ids = data.map((row) => Number(row["ip.id"]![1]));
      const steps = ids.slice(1).filter((id, i) => ((id - ids[i]!) & 0xffff) === 1).length;
      expect(steps).toBeGreaterThan(0.9 * (ids.length - 1));
    },
  );
});
