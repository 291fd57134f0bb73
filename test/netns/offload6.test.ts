/** Super-frames of IPv6 hosts through two gateways that route: TCP and UDP between VXLANs cross the underlay in large pieces, and arrive as they were sent. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { type Article, address6Of, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { sendDatagrams, superFrames } from "./offloads.ts";
import { transfer } from "./traffic.ts";

const BYTES = 64 << 20;
/** A segment that fills the overlay's MTU: 1450 less 40 and 8. */
const SEGMENT = 1402;
const SIZES = [
  [0, SEGMENT],
  [SEGMENT, 2 * SEGMENT + 1],
  [SEGMENT, 44 * SEGMENT],
  [1000, 60_000],
] as const;

describeReal(whyNoGateways("python3"), "offloads of IPv6, routed", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("offload6", { families: [4, 6] });
    const { bed } = article;
    for (const to of ["vm5", "vm4"])
      await until(`${to} at vm1`, 30_000, async () =>
        (await bed.run("vm1", "ping", ["-6", "-n", "-c1", "-W3", address6Of(to)])).stdout.includes("ttl=62 "),
      );
  }, 120_000);
  afterAll(() => article?.gateways.remove());

  test.each([
    ["vm1", "vm5", "to another VXLAN"],
    ["vm5", "vm1", "and back"],
    ["vm1", "vm4", "in one VXLAN"],
  ])("TCP from %s to %s, %s: whole, and in super-frames", { timeout: 120_000 }, async (from, to) => {
    const { bed } = article;
    const near = from === "vm1" ? "gw1" : "gw2";
    const before = await superFrames(bed, near, "receive", "tso");
    const cable = await bed.counters(near, "ul0");
    const { sent, got } = await transfer(bed, from, to, address6Of(to), BYTES, 90_000);
    expect(sent.bytes).toBe(BYTES);
    expect(got).toEqual(sent);
    const { sentBytes, sentPackets } = await bed.counters(near, "ul0");
    // Cut to the MTU it would be 46,000 packets of 1514 bytes.
    expect((await superFrames(bed, near, "receive", "tso")) - before).toBeGreaterThan(BYTES / 65_536 / 2);
    expect((sentBytes - cable.sentBytes) / (sentPackets - cable.sentPackets)).toBeGreaterThan(3000);
  });

  test("UDP that the kernel leaves uncut arrives datagram by datagram", { timeout: 120_000 }, async () => {
    const { bed } = article;
    const before = await superFrames(bed, "gw1", "receive", "uso");
    const { sent, got, count } = await sendDatagrams(bed, ["vm1", "vm5"], address6Of("vm5"), 7000, SIZES);
    expect(sent).toHaveLength(count);
    expect(got).toEqual(sent);
    const { tapUso } = Object.fromEntries(
      (await article.gw1.look<{ offloads: { name: string; inUse: boolean }[] }>("/v1/features")).offloads.map(
        ({ name, inUse }) => [name, inUse],
      ),
    );
    if (tapUso) expect((await superFrames(bed, "gw1", "receive", "uso")) - before).toBeGreaterThanOrEqual(2);
  });
});
