/**
 * The world changes while traffic runs: the Border goes and comes (B03), policies decide (B02), a machine moves to the
 * other site (§3.11), another falls silent (A10), the configuration is loaded again, good and bad (F04, F05). What is not
 * concerned loses nothing; what is concerned finds its way within the promised time.
 */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Neighbor, Policy, Status } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { UNDERLAY_BRIDGE } from "../../src/lab/topology.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame } from "../dataplane/packets.ts";
import { type Article, addressOf, macOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { ip, mac, sendRaw } from "./raw-frames.ts";
import { countFrames, openDump, ping } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "iperf3", "python3", "ethtool");

interface ConfigFile {
  interfaces: Record<string, unknown>[];
  policies: { name: string; interfaces: string[]; rules: Record<string, unknown>[] }[];
  [key: string]: unknown;
}

describeReal(missing, "while the world changes", () => {
  let article: Article;
  let gw1Text = "";
  beforeAll(async () => {
    article = await openArticle("changes", { isPlainWire: true, shape: quick });
    const { stdout } = await article.bed.run("gw1", "cat", [article.gw1.file]);
    gw1Text = stdout;
  });
  afterAll(() => article?.gateways.remove());

  /** Neighbours age in 5 s instead of 20 min. */
  function quick(_node: string, text: string): string {
    return text.replaceAll(/distributed: (true|false)\}/g, "distributed: $1, arp: {ageSeconds: 5}}");
  }

  /** Give gw1 another file and have it loaded; resolves when the daemon has taken it, or refused it. */
  async function reload(text: string): Promise<Status["config"]> {
    const { gw1 } = article;
    const outcomes = () => gw1.log().match(/"event":"config\.(applied|rejected|unchanged)"/g)?.length ?? 0;
    const before = outcomes();
    writeFileSync(gw1.file, text, { mode: 0o600 });
    process.kill(gw1.pid, "SIGHUP");
    await until("the reload", 5000, () => outcomes() > before);
    return (await gw1.look<Status>("/v1/status")).config;
  }
  function edited(edit: (config: ConfigFile) => void): string {
    const config = parse(gw1Text) as ConfigFile;
    edit(config);
    return stringify(config);
  }

  test("ten reloads under a thousand packets per second: none lost, none out of order (F04)", {
    timeout: 40_000,
  }, async () => {
    const { bed } = article;
    await ping(bed, "vm1", addressOf("vm4"));
    const server = bed.follow("vm4", "iperf3", ["-s", "-1", "-p", "5301", "--forceflush"]);
    let words = "";
    server.stdout!.on("data", (chunk: Buffer) => (words += chunk.toString()));
    await until("iperf3", 5000, () => words.includes("listening"));
    const args = ["-u", "-c", addressOf("vm4"), "-p", "5301", "-t", "4", "-l", "200", "-b", "1600K", "-J"];
    const sending = bed.run("vm1", "iperf3", args, 20_000);
    const changes: ((config: ConfigFile) => void)[] = [
      () => undefined,
      (config) => (config.log = { level: "debug", format: "json" }),
      (config) => config.policies[0]!.rules.unshift({ match: { destination: "99.0.0.0/8" }, drop: true }),
      (config) => (config.vsis as object[]).push({ name: "vsi40", vni: 40 }),
      (config) => (config.tunnels as object[]).push({ name: "more", remote: "192.0.2.77" }),
    ];
    for (let round = 0; round < 2; round++) {
      for (const change of changes) expect((await reload(edited(change))).lastReloadSuccessful).toBe(true);
    }
    await reload(gw1Text);
    const { end } = JSON.parse((await sending).stdout) as {
      end: { sum: { packets: number; lost_packets: number }; streams: { udp: { out_of_order: number } }[] };
    };
    expect(end.sum.packets).toBeGreaterThan(3000);
    expect([end.sum.lost_packets, end.streams[0]!.udp.out_of_order]).toEqual([0, 0]);
  });

  test("a broken file is refused whole, and what runs goes on as it was (F05)", async () => {
    const { gw1, bed } = article;
    const config = JSON.stringify(await gw1.look("/v1/config"));
    for (const broken of [
      "node: [",
      gw1Text.replace("vni: 20", "vni: 10"),
      gw1Text.replace("arp: localProxy", "arp: magic"),
      "",
    ]) {
      expect((await reload(broken)).lastReloadSuccessful).toBe(false);
      expect(JSON.stringify(await gw1.look("/v1/config"))).toBe(config);
    }
    expect((await ping(bed, "vm1", addressOf("vm5"))).ttls.length).toBe(3);
    expect((await reload(gw1Text)).lastReloadSuccessful).toBe(true);
  });

  test("the first rule that matches decides, before the table, and is counted (B02)", async () => {
    const { gw1, bed } = article;
    const text = edited((config) => {
      config.policies[0]!.rules = [
        { match: { destination: "20.1.1.12/32", protocol: "icmp" }, permit: true },
        { match: { destination: "20.1.1.0/24" }, drop: true },
        { match: { destination: "50.1.1.0/24" }, nextHop: "10.1.1.2" },
        { match: { destination: "30.1.1.0/24" }, nextHop: "10.1.1.2" },
        { match: {}, defaultNextHop: "10.1.1.2" },
      ];
    });
    expect((await reload(text)).lastReloadSuccessful).toBe(true);
    const hits = async () => (await gw1.show<Policy>("policy"))[0]!.rules.map((rule) => rule.hits);
    try {
      await ping(bed, "vm1", addressOf("ext"));
      const before = await hits();
      const permitted = await ping(bed, "vm1", addressOf("vm5"));
      const dropped = await ping(bed, "vm1", addressOf("vm2"), { waitSeconds: 0.3 });
      const outside = await ping(bed, "vm1", addressOf("ext"));
      // Against the table, which knows 30.1.1.0/24 as connected: another router on the way there, none on the way back.
      const detour = await ping(bed, "vm1", addressOf("vm6"));
      const all = [permitted, dropped, outside, detour];
      expect(all.map(({ ttls }) => ttls)).toEqual([[62, 62, 62], [], [62, 62, 62], [62, 62, 62]]);
      const grown = (await hits()).map((count, i) => count - before[i]!);
      const sent = all.map((one) => one.sent);
      // The last rule sees the answers, which arrive at the same VSI-interface; the table knows better for them.
      const answers = permitted.sent + outside.sent + detour.sent;
      expect(grown).toEqual([...sent, answers]);
      const { errors } = await ping(bed, "vm1", addressOf("vm6"), { ttl: 2, count: 1 });
      expect(errors).toEqual(["From 10.1.1.2 Time to live exceeded"]);
    } finally {
      expect((await reload(gw1Text)).lastReloadSuccessful).toBe(true);
    }
  });

  test("a Border that is gone is told of, and used again within two seconds of its return (B03)", {
    timeout: 60_000,
  }, async () => {
    const { bed } = article;
    await ping(bed, "vm1", addressOf("ext"));
    await article.border.stop();
    // Its entry ages out and is probed in vain; then every packet is answered for.
    const told = "From 10.1.1.1 Destination Host Unreachable";
    await until("host unreachable", 20_000, async () =>
      (await ping(bed, "vm1", addressOf("ext"), { count: 1, waitSeconds: 4 })).errors.includes(told),
    );
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE, "udp dst port 4789 and src 192.0.2.1");
    const beganAt = performance.now();
    const gone = await ping(bed, "vm1", addressOf("ext"), { count: 30, isExact: true });
    await dump.stop();
    const seconds = (performance.now() - beganAt) / 1000;
    expect(gone.ttls).toEqual([]);
    expect(gone.errors.length).toBeGreaterThan(0);
    // At most one search a second for it, to each of two peers. The probe of the next hop, by unicast, has a clock of its own.
    const search =
      "udp[16:4]=0xffffffff and udp[20:2]=0xffff and udp[28:2]=0x0806 and udp[36:2]=1 and udp[54:4]=0x0a010102";
    expect(await countFrames(dump.file, search)).toBeLessThanOrEqual(2 * (Math.ceil(seconds) + 1));
    article = { ...article, border: await article.border.restart() };
    const backAt = performance.now();
    await until(
      "the way out",
      10_000,
      async () => (await ping(bed, "vm1", addressOf("ext"), { count: 1, waitSeconds: 0.3 })).ttls.length === 1,
    );
    expect(performance.now() - backAt).toBeLessThan(4000);
  });

  test("a machine that moves to the other site is found there within a second of its announcement", {
    timeout: 40_000,
  }, async () => {
    const { bed } = article;
    const address = addressOf("vm1");
    const moved = mac(macOf("vm4"));
    for (const from of ["vm5", "vm2"]) expect((await ping(bed, from, address)).ttls.length).toBe(3);
    const answersMs: number[] = [];
    const child = bed.follow("vm5", "ping", ["-n", "-O", "-i", "0.05", "-D", address]);
    child.stdout!.on("data", (chunk: Buffer) => {
      for (const [, seconds] of chunk.toString().matchAll(/^\[([\d.]+)\] \d+ bytes from/gm))
        answersMs.push(Number(seconds) * 1000);
    });
    try {
      await until("answers at the old place", 5000, () => answersMs.length >= 5);
      await bed.ip("vm1", `addr del ${address}/24 dev eth0`);
      await bed.ip("vm4", `addr add ${address}/24 dev eth0`);
      const movedAt = Date.now();
      const announcement = { ethDst: BROADCAST, ethSrc: moved, op: ARP_REQUEST, senderMac: moved, targetMac: 0 };
      await sendRaw(bed, "vm4", "eth0", [arpFrame({ ...announcement, senderIp: ip(address), targetIp: ip(address) })]);
      const first = await until("answers at the new place", 5000, () => answersMs.find((at) => at > movedAt + 20));
      expect(first - movedAt).toBeLessThan(2000);
      // From its old site too: the gateway there asks the AC once and then believes the announcement.
      await until("the old site to know", 5000, async () =>
        (await article.gw1.look<Neighbor[]>("/v1/neighbors")).some(
          (entry) => entry.ip === address && entry.via?.name === "gw2",
        ),
      );
      expect((await ping(bed, "vm2", address)).ttls).toEqual([62, 62, 62]);
    } finally {
      child.kill("SIGKILL");
      await bed.run("vm4", "ip", ["addr", "del", `${address}/24`, "dev", "eth0"]);
      await bed.run("vm1", "ip", ["addr", "add", `${address}/24`, "dev", "eth0"]);
      await bed.run("vm1", "ip", ["route", "replace", "default", "via", "10.1.1.1"]);
    }
  });

  test("who is silent but alive stays known, who is gone is forgotten (A10)", { timeout: 60_000 }, async () => {
    const { bed, gw2 } = article;
    for (const from of ["vm2", "vm3"]) await ping(bed, from, addressOf("vm5"));
    await ping(bed, "vm3", addressOf("vm6"));
    const known = async (machine: string) =>
      (await gw2.look<Neighbor[]>("/v1/neighbors")).find(
        (entry) => entry.ip === addressOf(machine) && entry.mac !== null,
      );
    expect([(await known("vm5"))?.mac, (await known("vm6"))?.mac]).toEqual([macOf("vm5"), macOf("vm6")]);
    await bed.ip("vm6", "addr flush dev eth0");
    await until("vm6 to be forgotten", 20_000, async () => {
      // vm5 only ever answers; that is enough to be kept.
      expect((await known("vm5"))?.mac).toBe(macOf("vm5"));
      const entry = await known("vm6");
      return entry === undefined || entry.state === "failed";
    });
    const { errors } = await ping(bed, "vm3", addressOf("vm6"), { count: 1, waitSeconds: 6 });
    expect(errors.at(-1)).toMatch(/^From 30\.1\.1\.1 Destination Host Unreachable$/);
  });
});
