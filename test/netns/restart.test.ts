/**
 * A gateway that ends and comes back (F01, F02): the TAPs outlive it, so its guests see a cable that was out for a moment,
 * not a new card. Under a running ping and a running TCP transfer: orderly (SIGTERM, exit 0) and by kill -9.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { until, within } from "../../src/lab/deadline.ts";
import { must } from "../../src/lab/process.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { openStream, ping } from "./traffic.ts";

const missing = whyNoGateways();

/**
 * The longest time between two answers: from the signal to the end of the old process, the start of the new one and the
 * first answer through it. On a busy machine, as many starts of a bare Node as fit into it when nothing else runs.
 */
async function longestGapMs(): Promise<number> {
  const startedMs = performance.now();
  await must(process.execPath, ["-e", "0"]);
  return Math.max(2000, 40 * (performance.now() - startedMs));
}
/** A sender that has backed off tries again after twice the time it has lost; then a megabyte at the pace takes 0.4 s. */
const TCP_MS = 6000;

describeReal(missing, "a gateway that comes back", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("restart");
    await ping(article.bed, "vm1", addressOf("vm4"));
    await ping(article.bed, "vm1", addressOf("ext"));
  });
  afterAll(() => article?.gateways.remove());

  /** Devices of a guest as the guest knows them: index, MAC, MTU, addresses, routes. */
  async function cardOf(machine: string): Promise<unknown> {
    const ask = async (...args: string[]) => JSON.parse(await article.bed.must(machine, "ip", ["-j", ...args]));
    const [link] = await ask("link", "show", "dev", "eth0");
    const [{ addr_info: addresses }] = await ask("-4", "addr", "show", "dev", "eth0");
    const routes = await ask("-4", "route", "show");
    return {
      index: link.ifindex,
      mac: link.address,
      mtu: link.mtu,
      addresses: addresses.map((one: { local: string }) => one.local),
      routes: routes.map((one: { dst: string; gateway?: string }) => [one.dst, one.gateway]),
    };
  }

  /** A ping that runs until it is stopped, and the longest time between two answers. */
  function openPing(from: string, to: string) {
    const child = article.bed.follow(from, "ping", ["-n", "-O", "-i", "0.05", "-D", addressOf(to)]);
    const answersMs: number[] = [];
    child.stdout!.on("data", (chunk: Buffer) => {
      for (const [, seconds] of chunk.toString().matchAll(/^\[([\d.]+)\] \d+ bytes from/gm)) {
        answersMs.push(Number(seconds) * 1000);
      }
    });
    return {
      answersMs,
      stop: () => child.kill("SIGKILL"),
      longestGapMs: () => Math.max(...answersMs.slice(1).map((at, i) => at - answersMs[i]!)),
    };
  }

  test.each([
    ["SIGTERM", { code: 0, signal: null }],
    ["SIGKILL", { code: null, signal: "SIGKILL" }],
  ] as const)("%s", { timeout: 30_000 }, async (signal, expectedEnd) => {
    const { bed } = article;
    const before = { card: await cardOf("vm1"), mac: await article.gw1.macOf("vsi10") };
    const streams = [
      await openStream(bed, "vm1", "vm4", addressOf("vm4"), "paced"),
      await openStream(bed, "ext", "vm1", addressOf("vm1"), "paced"),
    ];
    const pings = [openPing("vm1", "vm4"), openPing("vm5", "vm1")];
    try {
      await until("both pings to run", 5000, () => pings.every(({ answersMs }) => answersMs.length >= 5));
      await until("both streams to run", 5000, () => streams.every((one) => one.arrived() > 0));
      const gapMs = await longestGapMs();
      const end = await article.gw1.stop(signal);
      expect(end).toMatchObject(expectedEnd);
      expect(end.ms).toBeLessThan(2000);
      article = { ...article, gw1: await article.gw1.restart() };
      const backAt = Date.now();
      const isBack = () => pings.every(({ answersMs }) => (answersMs.at(-1) ?? 0) > backAt);
      await until("answers after the restart", 5000, isBack);
      const had = streams.map((one) => one.arrived());
      const goesOn = () => streams.every((one, i) => one.arrived() > had[i]! + (1 << 20));
      await until("both streams to go on", TCP_MS, goesOn);
      for (const one of pings) expect(one.longestGapMs()).toBeLessThan(gapMs);
      // TCP survives: it goes on, ends in order, and nothing is missing or doubled.
      for (const one of streams) one.finish();
      for (const one of streams) {
        const { sent, got } = await within("the transfer's end", 10_000, one.result);
        expect(got).toEqual(sent);
      }
    } finally {
      for (const one of pings) one.stop();
      for (const one of streams) one.abort();
    }
    expect({ card: await cardOf("vm1"), mac: await article.gw1.macOf("vsi10") }).toEqual(before);
    expect(await bed.must("gw1", "ip", ["-br", "link"])).not.toContain("eth0"); // no stray TAP on our side
  });

  test("a second SIGTERM changes nothing, and the persistent TAP stays without a carrier", async () => {
    const { bed, gw1 } = article;
    const ended = gw1.stop();
    process.kill(gw1.pid, "SIGTERM");
    expect(await ended).toMatchObject({ code: 0, signal: null });
    const [link] = JSON.parse(await bed.must("vm1", "ip", ["-j", "link", "show", "dev", "eth0"]));
    expect(link.flags).toContain("NO-CARRIER");
    article = { ...article, gw1: await gw1.restart() };
    expect((await ping(bed, "vm1", addressOf("vm4"))).ttls).toEqual([62, 62, 62]);
  });

  test("a TAP that is not persistent goes with its gateway", async () => {
    const { bed, gateways } = article;
    await bed.namespace("gw9");
    await bed.namespace("vm9");
    await bed.veth("gw9", "ul0", "vm9", "other-end");
    await bed.ip("gw9", "addr add 192.0.2.9/24 dev ul0");
    const gw9 = await gateways.start("gw9", {
      underlay: { address: "192.0.2.9" },
      vsis: [{ name: "v", vni: 9 }],
      acs: [{ name: "vm9", vsi: "v", tap: { device: "eth0", netns: bed.name("vm9"), persist: false } }],
    });
    expect(await bed.must("vm9", "ip", ["-br", "link"])).toContain("eth0");
    expect(await gw9.stop()).toMatchObject({ code: 0 });
    expect(await bed.must("vm9", "ip", ["-br", "link"])).not.toContain("eth0");
  });
});
