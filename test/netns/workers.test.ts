/**
 * Gateways with two workers each: every TAP has two queues, every port of the underlay two sockets. The article's network on
 * them, under parallel flows: nothing is lost, doubled or late, both workers carry their part, and a reload, a restart,
 * another number of workers and a handed-over TAP (one queue, read by one worker and written by both) change nothing of that.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { CheckReport, Features } from "../../src/api/schema.ts";
import { ask } from "../../src/ctl/client.ts";
import { until, within } from "../../src/lab/deadline.ts";
import { machine } from "../../src/lab/topology.ts";
import { type Article, addressOf, openArticle, setUp } from "./article-bed.ts";
import { describeReal, type Gateway, VTEPD, whyNoGateways } from "./gateways.ts";
import { openStream, ping, type Stream } from "./traffic.ts";

const missing = whyNoGateways("python3");
const NUMBERED = fileURLToPath(new URL("numbered.py", import.meta.url));
const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));
const WORKERS = 2;
const STREAM_BYTES = 4 << 20;
const STOP_MS = 2000;

type File = Record<string, unknown> & { acs: object[]; workers?: number };

describeReal(missing, "two workers", () => {
  let article: Article;
  let nextPort = 7000;

  beforeAll(async () => {
    article = await openArticle("workers", {
      shape(node, text) {
        const file = parse(text) as File;
        if (node === "gw1") file.acs.push({ name: "vm7", vsi: "vsi10", handover: true });
        const attach = { socket: attachSocket(node, file) };
        return stringify({ ...file, attach, workers: WORKERS });
      },
    });
  }, 60_000);
  afterAll(() => article?.gateways.remove());

  /** Beside the control socket, which is in the bed's folder. */
  const attachSocket = (node: string, file: File) =>
    join((file.control as { socket: string }).socket, "..", `${node}.attach.sock`);

  const fileOf = ({ file }: Gateway) => parse(readFileSync(file, "utf8")) as File;
  const change = ({ file }: Gateway, content: object) => writeFileSync(file, stringify(content), { mode: 0o600 });

  /** Frames that each worker of a gateway has received so far. */
  async function framesOf(node: string): Promise<number[]> {
    const script = `console.log(await (await fetch("http://127.0.0.1:9475/metrics")).text())`;
    const text = await article.bed.must(node, process.execPath, ["--input-type=module", "-e", script]);
    const found = [...text.matchAll(/^vtep_batch_frames_sum\{worker="(\d+)"\} (\d+)$/gm)];
    return found.sort((a, b) => Number(a[1]) - Number(b[1])).map(([, , count]) => Number(count));
  }

  /** Parallel streams, from one machine to another each, to their end: nothing missing, doubled or swapped. */
  async function streams(...pairs: readonly (readonly [string, string, string?])[]): Promise<void> {
    const open: Stream[] = [];
    try {
      for (const [from, to, address = addressOf(to)] of pairs)
        open.push(await openStream(article.bed, from, to, address, STREAM_BYTES));
      for (const one of open) {
        const { sent, got } = await within("a stream's end", 60_000, one.result);
        expect(got).toEqual(sent);
        expect(got.bytes).toBe(STREAM_BYTES);
      }
    } finally {
      for (const one of open) one.abort();
    }
  }

  /** Numbered packets of several flows at once, and `step` over and over while they are on their way. @returns how often. */
  async function numbered(
    pairs: readonly (readonly [string, string])[],
    count: number,
    rate: number,
    step: (n: number) => Promise<void>,
  ): Promise<number> {
    const { bed } = article;
    const flows = await Promise.all(
      pairs.map(async ([from, to]) => {
        const port = String(nextPort++);
        const receiver = bed.follow(to, "python3", [NUMBERED, "receive", port, String(count)]);
        let said = "";
        receiver.stdout!.on("data", (chunk: Buffer) => {
          said += chunk.toString();
        });
        const ended = new Promise<void>((resolve) => receiver.on("close", () => resolve()));
        await until("the receiver to listen", 25_000, () => said.includes("listening"));
        return { from, to, port, ended, result: () => JSON.parse(said.trim().split("\n").at(-1)!) as unknown };
      }),
    );
    let isSending = true;
    const sending = Promise.all(
      flows.map(({ from, to, port }) => {
        const args = [NUMBERED, "send", addressOf(to), port, String(count), String(rate)];
        return bed.must(from, "python3", args, 120_000);
      }),
    ).finally(() => {
      isSending = false;
    });
    let steps = 0;
    while (isSending) await step(steps++);
    await sending;
    await within("the receivers' end", 60_000, Promise.all(flows.map(({ ended }) => ended)));
    const whole = { came: count, twice: 0, late: 0 };
    expect(flows.map(({ from, to, result }) => [from, to, result()])).toEqual(pairs.map((pair) => [...pair, whole]));
    return steps;
  }

  const queuesOf = async (name: string) =>
    (await article.bed.must(name, "ls", ["/sys/class/net/eth0/queues"])).split(/\s+/).filter((q) => q.startsWith("tx-"))
      .length;

  test("run, and each has a queue of every TAP", async () => {
    for (const gateway of [article.gw1, article.gw2, article.border]) {
      expect((await gateway.status()).workers).toBe(WORKERS);
      const features = await gateway.look<Features>("/v1/features");
      expect(features.workers.map(({ worker }) => worker)).toEqual([0, 1]);
    }
    expect(await Promise.all(["vm1", "vm4", "ext"].map(queuesOf))).toEqual([WORKERS, WORKERS, WORKERS]);
  });

  test("the three ways of the article: same VXLAN, another one, the outside", async () => {
    const { bed } = article;
    for (const [from, to, hops] of [
      ["vm1", "vm4", 62],
      ["vm1", "vm5", 62],
      ["vm1", "vm2", 63],
      ["vm6", "vm1", 62],
      ["vm1", "ext", 62],
      ["vm5", "ext", 62],
    ] as const)
      expect((await ping(bed, from, addressOf(to))).ttls, `${from} to ${to}`).toEqual([hops, hops, hops]);
  });

  test("parallel streams both ways, in one VXLAN and across: all bytes", async () => {
    await streams(
      ["vm1", "vm4"],
      ["vm1", "vm4"],
      ["vm4", "vm1"],
      ["vm1", "vm5"],
      ["vm6", "vm1"],
      ["vm2", "vm4"],
      ["ext", "vm2"],
    );
  }, 90_000);

  test("six flows at once while the configuration changes: none lost, doubled or late", async () => {
    const { bed, gw1, gw2 } = article;
    // But for a copy of something flooded (a machine's MLD report) that meets a TAP on its way in or out: its write fails, EIO.
    const lasting = async (gateway: Gateway) => ({ ...(await gateway.drops()), tap_error: 0 });
    const dropsOfBoth = () => Promise.all([lasting(gw1), lasting(gw2)]);
    const before = await dropsOfBoth();
    const pairs = [
      ["vm1", "vm4"],
      ["vm1", "vm4"],
      ["vm1", "vm5"],
      ["vm4", "vm1"],
      ["vm4", "vm1"],
      ["vm2", "vm1"],
    ] as const;
    for (const [from, to] of pairs) await ping(bed, from, addressOf(to));
    const reload = async (gateway: Gateway, file: object) => {
      change(gateway, file);
      const report = await ask<CheckReport>(gateway.socket, "/v1/config/reload", "POST", { timeoutMs: 30_000 });
      expect(report.changes).not.toEqual([]);
    };
    /** An AC with a TAP comes, and goes again. */
    async function comeAndGo(n: number): Promise<void> {
      const gateway = n % 2 === 0 ? gw1 : gw2;
      const file = fileOf(gateway);
      const device = `more${n}`;
      await reload(gateway, { ...file, acs: [...file.acs, { name: device, vsi: "vsi10", tap: { device } }] });
      const queues = await bed.must(gateway.node, "ls", [`/sys/class/net/${device}/queues`]);
      expect(queues.match(/tx-/g)).toHaveLength(WORKERS);
      await reload(gateway, file);
    }
    expect(await numbered(pairs, 12_000, 1000, comeAndGo)).toBeGreaterThanOrEqual(2);
    expect(await dropsOfBoth()).toEqual(before);
  }, 120_000);

  test("a TAP that somebody deletes is made again, with its queues", async () => {
    await article.bed.ip("vm3", "link del dev eth0");
    await until(
      "vm3's device to be back",
      15_000,
      async () =>
        (await article.gw1.status()).ready === true &&
        (await article.bed.run("vm3", "ip", ["link", "show", "dev", "eth0"])).status === 0,
    );
    await setUp(article.bed, machine("vm3"));
    expect(await queuesOf("vm3")).toBe(WORKERS);
    expect((await ping(article.bed, "vm3", addressOf("vm6"))).ttls).toEqual([62, 62, 62]);
  }, 40_000);

  test("a second daemon takes neither our port nor our TAPs", async () => {
    const { bed } = article;
    const second = async (content: object) => {
      const file = join(bed.folder, "second.yaml");
      const own = { control: { socket: join(bed.folder, "second.sock") }, log: { level: "info", format: "json" } };
      writeFileSync(file, stringify({ node: "second", ...own, ...content, workers: WORKERS }), { mode: 0o600 });
      return await bed.run("gw1", process.execPath, [VTEPD, "run", "-c", file], 20_000);
    };
    const port = await second({ underlay: { address: "192.0.2.1" } });
    expect(port.status).toBe(1);
    expect(port.stderr).toContain("EADDRINUSE");
    await bed.ip("gw1", "addr add 192.0.2.77/24 dev ul0");
    const acs = [{ name: "stolen", vsi: "v", tap: { device: "eth0", netns: bed.name("vm1") } }];
    const taken = await second({ underlay: { address: "192.0.2.77" }, vsis: [{ name: "v", vni: 77 }], acs });
    expect(taken.status).toBe(1);
    expect(taken.stderr).toContain("EBUSY");
    expect((await ping(bed, "vm1", addressOf("vm4"))).ttls).toEqual([62, 62, 62]);
  }, 60_000);

  test("a handed-over TAP has one queue: one worker reads it, both write it", async () => {
    const { bed, gw1 } = article;
    const before = await gw1.drops();
    await bed.namespace("vm7");
    const socket = attachSocket("gw1", fileOf(gw1));
    const address = "10.1.1.17";
    const how = ["--ac", "vm7", "--address", `${address}/24`, "--gateway", "10.1.1.1"];
    const child = bed.follow("vm7", process.execPath, [VTEPCTL, "attach", "--socket", socket, ...how]);
    let words = "";
    for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk: Buffer) => (words += chunk));
    await until("vm7 to be attached", 10_000, () => {
      if (child.exitCode !== null) throw new Error(words);
      return words.includes("eth0 is AC vm7 of gw1");
    });
    expect(await queuesOf("vm7")).toBe(1);
    for (const to of ["vm1", "vm4", "vm5", "ext"])
      expect((await ping(bed, "vm7", addressOf(to))).ttls, to).toHaveLength(3);
    // They come in by both workers' sockets, and by both queues of vm1.
    const from = ["vm4", "vm4", "vm5", "vm6", "vm1", "vm1"].map((one) => [one, "vm7", address] as const);
    await streams(...from, ["vm7", "vm4"], ["vm7", "vm5"]);
    expect(await gw1.drops()).toEqual(before);
    child.kill("SIGTERM");
    await until("vm7 to be gone", 5000, () => child.exitCode !== null);
  }, 120_000);

  test("both workers of a gateway have carried their part", async () => {
    // Where a flow goes is the kernel's hash; by now there have been dozens of them, but not all are heavy.
    for (const node of ["gw1", "gw2"])
      for (const count of await framesOf(node)) expect(count, node).toBeGreaterThan(100);
  });

  test.each([["SIGTERM"], ["SIGKILL"]] as const)(
    "a restart by %s: streams go on, the end comes soon",
    async (signal) => {
      const { bed } = article;
      const open = [
        await openStream(bed, "vm1", "vm4", addressOf("vm4"), "paced"),
        await openStream(bed, "vm5", "vm1", addressOf("vm1"), "paced"),
        await openStream(bed, "vm2", "vm1", addressOf("vm1"), "paced"),
      ];
      try {
        await until("the streams to run", 10_000, () => open.every((one) => one.arrived() > 0));
        const end = await article.gw1.stop(signal);
        expect(end).toMatchObject(signal === "SIGTERM" ? { code: 0, signal: null } : { code: null, signal });
        expect(end.ms).toBeLessThan(STOP_MS);
        article = { ...article, gw1: await article.gw1.restart() };
        const had = open.map((one) => one.arrived());
        await until("the streams to go on", 15_000, () => open.every((one, i) => one.arrived() > had[i]! + (1 << 20)));
        for (const one of open) one.finish();
        for (const one of open) {
          const { sent, got } = await within("a stream's end", 20_000, one.result);
          expect(got).toEqual(sent);
        }
      } finally {
        for (const one of open) one.abort();
      }
      expect(await queuesOf("vm1")).toBe(WORKERS);
    },
    60_000,
  );

  test("another number of workers takes the persistent TAPs as they are", async () => {
    const { bed } = article;
    const restartWith = async (workers: number) => {
      await article.gw1.stop();
      change(article.gw1, { ...fileOf(article.gw1), workers });
      article = { ...article, gw1: await article.gw1.restart() };
    };
    const isTold = () => article.gw1.log().includes('"event":"ac.single-queue"');
    await restartWith(1);
    expect(await queuesOf("vm1"), "one queue of a device that may have more").toBe(1);
    expect((await ping(bed, "vm1", addressOf("vm4"))).ttls).toEqual([62, 62, 62]);
    await streams(["vm1", "vm4"], ["vm4", "vm1"]);
    expect(isTold()).toBe(false);
    // Now one that was made with one queue.
    await article.gw1.stop();
    await bed.ip("vm1", "link del dev eth0");
    article = { ...article, gw1: await article.gw1.restart() };
    await setUp(bed, machine("vm1"));
    await restartWith(WORKERS);
    await article.gw1.logged(/"event":"ac.single-queue"/);
    expect(article.gw1.log()).toContain(`ip -n ${bed.name("vm1")} link del eth0`);
    expect([await queuesOf("vm1"), await queuesOf("vm2")]).toEqual([1, WORKERS]);
    expect((await ping(bed, "vm1", addressOf("vm4"))).ttls).toEqual([62, 62, 62]);
    await streams(["vm1", "vm4"], ["vm4", "vm1"], ["vm5", "vm1"], ["vm6", "vm1"], ["vm2", "vm1"]);
  }, 120_000);
});
