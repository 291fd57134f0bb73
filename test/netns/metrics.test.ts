/**
 * What a monitoring system sees (T01, T03, T04): /metrics, /livez and /readyz over real HTTP, with real traffic. The
 * numbers of the exposition, of vtepctl and of the guests' kernels are about the same packets and must agree.
 */
import { statSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Ac, Tunnel } from "../../src/api/schema.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { ping, transfer } from "./traffic.ts";

const missing = whyNoGateways();

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

interface Exposition {
  /** Series with labels in their order of appearance, to value. */
  readonly values: ReadonlyMap<string, number>;
  readonly types: ReadonlyMap<string, string>;
}

const METRIC =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)$/;

/** The text format (Prometheus 0.0.4), each line; an error names the line that is none. */
function parse(text: string): Exposition {
  const values = new Map<string, number>();
  const types = new Map<string, string>();
  const helps = new Set<string>();
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (helps.has(name)) throw new Error(`two HELPs of ${name}`);
      helps.add(name);
    } else if (kind === "TYPE") {
      if (types.has(name)) throw new Error(`two TYPEs of ${name}`);
      types.set(name, rest);
    } else {
      const found = METRIC.exec(line);
      if (found === null) throw new Error(`no metric: ${line}`);
      const [, metric = "", labels = "", value = ""] = found;
      const family = metric.replace(/_(bucket|sum|count)$/, "");
      if (!types.has(metric) && types.get(family) !== "histogram") throw new Error(`${metric} has no TYPE before it`);
      if (values.has(metric + labels)) throw new Error(`twice: ${metric}${labels}`);
      values.set(metric + labels, Number(value));
    }
  }
  for (const name of types.keys()) if (!helps.has(name)) throw new Error(`${name} has no HELP`);
  return { values, types };
}

describeReal(missing, "metrics", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("metrics");
  });
  afterAll(() => article?.gateways.remove());

  /** An HTTP request inside a gateway's namespace, where its listener is. */
  async function get(node: string, path: string, method = "GET"): Promise<Answer> {
    const script = `const a = await fetch("http://127.0.0.1:9475${path}", { method: "${method}" });
      console.log(JSON.stringify({ status: a.status, type: a.headers.get("content-type"), body: await a.text() }));`;
    return JSON.parse(await article.bed.must(node, process.execPath, ["--input-type=module", "-e", script])) as Answer;
  }
  const scrape = async (node: string) => parse((await get(node, "/metrics")).body);

  /**
   * The exposition and vtepctl's numbers of one moment. The last FIN of a transfer or an ARP probe may pass between two
   * questions, so it is asked on both sides of vtepctl until the answers agree: then nothing passed in between.
   */
  async function quietMoment(): Promise<{ after: Exposition; ac: Ac; tunnel: Tunnel }> {
    const moved = ({ values }: Exposition) =>
      [...values].filter(([series]) => /^vtep_(ac|tunnel)_(receive|transmit)_packets_total/.test(series)).join();
    const deadline = Date.now() + 20_000;
    for (let before = await scrape("gw1"); ; ) {
      const [ac] = (await article.gw1.show<Ac>("ac")).filter(({ name }) => name === "vm1");
      const [tunnel] = (await article.gw1.show<Tunnel>("tunnel")).filter(({ name }) => name === "gw2");
      const after = await scrape("gw1");
      if (moved(before) === moved(after)) return { after, ac: ac!, tunnel: tunnel! };
      if (Date.now() > deadline) throw new Error("the counters never stood still");
      before = after;
    }
  }

  test("health: live and ready, and nothing else is served", async () => {
    expect(await get("gw1", "/livez")).toMatchObject({ status: 200, body: "ok\n" });
    expect(await get("gw1", "/readyz")).toMatchObject({ status: 200, body: "ok\n" });
    expect((await get("gw1", "/v1/status")).status).toBe(404);
    expect((await get("gw1", "/metrics", "POST")).status).toBeGreaterThanOrEqual(400);
    const open = await article.bed.must("gw1", "ss", ["-Hlnut"]);
    const sockets = open.split("\n").flatMap((line) => /\S+:(\d+)\s+\S+:\*/.exec(line)?.[0].split(/\s+/)[0] ?? []);
    // VXLAN on the VTEP address, the metrics on loopback, and the sockets that only send.
    for (const socket of sockets) expect(socket).toMatch(/^(192\.0\.2\.1:(4789|49\d\d\d)|127\.0\.0\.1:9475)$/);
    expect(sockets).toContain("192.0.2.1:4789");
  });

  test("no debugger to those who may signal it, and a control socket for its owner alone (S08, S09)", async () => {
    const { gw1, bed } = article;
    process.kill(gw1.pid, "SIGUSR1");
    await expect.poll(() => gw1.log(), { timeout: 5000 }).toContain("SIGUSR1");
    expect(await bed.must("gw1", "ss", ["-Hltn"])).not.toContain(":9229");
    expect(statSync(gw1.socket).mode & 0o777).toBe(0o600);
    expect((await gw1.status()).pid).toBe(gw1.pid);
  });

  test("the exposition parses, and its series are bounded", async () => {
    const { type } = await get("gw1", "/metrics");
    expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
    const { values, types } = await scrape("gw1");
    // Node's own have nine for each kind of collection that has happened, and one for each kind of handle that is open.
    const ours = [...values.keys()].filter((series) => !series.startsWith("nodejs_"));
    expect(ours.length).toBeGreaterThan(50);
    const ports = 5; // three ACs, two tunnels
    expect(ours.length).toBeLessThanOrEqual(90 + 20 * ports + 20 * 3 + 70); // and one for each reason, class and bucket
    expect(values.size - ours.length).toBeLessThanOrEqual(90);
    expect(types.get("vtep_drop_packets_total")).toBe("counter");
    expect([...values.keys()].some((series) => series.startsWith("vtep_build_info{"))).toBe(true);
  });

  test("counters grow with the traffic, and agree with vtepctl and with the guest's kernel", async () => {
    const { bed } = article;
    await ping(bed, "vm1", addressOf("vm4"));
    const card = async () => await bed.counters("vm1", "eth0");
    const before = await scrape("gw1");
    const cardBefore = await card();
    expect((await ping(bed, "vm1", addressOf("vm4"), { count: 20, intervalSeconds: 0.01 })).ttls.length).toBe(20);
    await transfer(bed, "vm1", "vm4", addressOf("vm4"), 4_000_000);
    const cardAfter = await card();
    const { after, ac, tunnel } = await quietMoment();
    const grown = (series: string) => after.values.get(series)! - before.values.get(series)!;
    const find = (...parts: string[]) => {
      const found = [...after.values.keys()].filter((series) => parts.every((part) => series.includes(part)));
      if (found.length !== 1) throw new Error(`${parts.join(" ")}: ${found.length} series`);
      return found[0]!;
    };
    const acReceived = find("vtep_ac_receive_packets_total", 'ac="vm1"');
    const acBytes = find("vtep_ac_receive_bytes_total", 'ac="vm1"');
    expect(after.values.get(acReceived)).toBe(ac.receive.packets);
    expect(after.values.get(find("vtep_tunnel_transmit_packets_total", 'tunnel="gw2"'))).toBe(tunnel.transmit.packets);
    // What the guest's kernel has sent is what we have received: bytes to the last, super-frames counted as their segments.
    const sentBytes = cardAfter.sentBytes - cardBefore.sentBytes;
    const segments = grown(acReceived);
    expect(segments).toBeGreaterThanOrEqual(cardAfter.sentPackets - cardBefore.sentPackets);
    expect(grown(acBytes)).toBeGreaterThanOrEqual(sentBytes);
    expect(grown(acBytes)).toBeLessThanOrEqual(sentBytes + segments * 66); // the headers that a super-frame's segments repeat
    for (const series of before.values.keys()) {
      const [name = ""] = series.split("{");
      if (after.types.get(name) === "counter") expect([series, grown(series) >= 0]).toEqual([series, true]);
    }
  });

  test("TCP between sites is tso where the guest sends and gro where the tunnel brings it, as many segments", async () => {
    const { bed } = article;
    const both = async () => [await scrape("gw1"), await scrape("gw2")] as const;
    const [gw1Before, gw2Before] = await both();
    await transfer(bed, "vm1", "vm4", addressOf("vm4"), 8_000_000);
    const [gw1After, gw2After] = await both();
    type Scrape = typeof gw1After;
    const grown = (after: Scrape, before: Scrape, name: string, direction: string, kind: string) => {
      const series = `vtep_${name}_total{direction="${direction}",kind="${kind}"}`;
      return after.values.get(series)! - before.values.get(series)!;
    };
    const of = (after: Scrape, before: Scrape, direction: string, kind: string) => ({
      frames: grown(after, before, "superframes", direction, kind),
      segments: grown(after, before, "segments", direction, kind),
    });
    const sent = of(gw1After, gw1Before, "receive", "tso");
    expect(sent.frames).toBeGreaterThan(20);
    expect(sent.segments).toBeGreaterThan(5 * sent.frames);
    expect(of(gw1After, gw1Before, "transmit", "tso")).toEqual(sent);
    const joined = of(gw2After, gw2Before, "receive", "gro");
    expect(joined.segments).toBeGreaterThan(2 * joined.frames);
    expect(joined.segments).toBeGreaterThan(8_000_000 / 1398 / 2);
    expect(of(gw2After, gw2Before, "transmit", "gro")).toEqual(joined);
    for (const kind of ["tso", "uso"])
      expect(of(gw2After, gw2Before, "receive", kind)).toEqual({ frames: 0, segments: 0 });
    expect(gw1After.values.get('vtep_arena_bytes{worker="0",pool="received"}')).toBeGreaterThan(1400);
  });

  test("conservation: every frame has one fate, as vtepctl tells it", async () => {
    for (const gateway of [article.gw1, article.gw2, article.border]) {
      const { ledger } = await gateway.status();
      const { received, injected, copies, sent, punted, dropped, imbalance } = ledger.dataplane;
      expect([gateway.node, imbalance, ledger.control.imbalance]).toEqual([gateway.node, 0, 0]);
      expect(received + injected + copies).toBe(sent + punted + dropped);
      expect(received).toBeGreaterThan(0);
    }
    const { stdout } = await article.gw1.ctl("status");
    expect(stdout).toContain("(balance 0)");
  });

  test("a reload keeps the counters", async () => {
    const before = await scrape("gw1");
    process.kill(article.gw1.pid, "SIGHUP");
    await expect.poll(() => article.gw1.log().match(/"event":"config\.applied"/g)?.length, { timeout: 5000 }).toBe(2);
    const after = await scrape("gw1");
    for (const [series, value] of before.values) {
      const [name = ""] = series.split("{");
      if (after.types.get(name) === "counter") {
        expect([series, (after.values.get(series) ?? -1) >= value]).toEqual([series, true]);
      }
    }
  });
});
