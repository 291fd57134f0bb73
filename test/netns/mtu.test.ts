/**
 * Lengths and lifetimes at their limits (M01-M03, R02-R04, N6, N9, N10): what fits passes, what does not is told to the
 * sender in ICMP that its kernel believes, and nothing that cannot pass is on the underlay.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { UNDERLAY_BRIDGE } from "../../src/lab/topology.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { countFrames, dissect, openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "tshark", "ethtool");

/** Inner IPv4 protocol at its offset behind the outer UDP header; ICMP type follows a 20-byte header. */
const INNER_ICMP = "udp dst port 4789 and udp[28:2]=0x0800 and udp[39]=1";

describeReal(missing, "limits", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("mtu", { isPlainWire: true });
    // Known to each other, so that what is seen is about lengths alone.
    await Promise.all([ping(article.bed, "vm1", addressOf("vm4")), ping(article.bed, "vm2", addressOf("vm5"))]);
    await ping(article.bed, "vm1", addressOf("ext"));
  });
  afterAll(() => article?.gateways.remove());

  test("the TAPs have the overlay's MTU, the uplink the outside's", async () => {
    const mtu = async (name: string) => Number(await article.bed.must(name, "cat", ["/sys/class/net/eth0/mtu"]));
    expect([await mtu("vm1"), await mtu("vm5"), await mtu("ext")]).toEqual([1450, 1450, 1500]);
  });

  test("1450 bytes pass, 1451 are refused by the sender's own kernel", async () => {
    const { bed } = article;
    for (const [from, to] of [
      ["vm1", "vm4"],
      ["vm1", "vm5"],
      ["vm1", "vm2"],
      ["ext", "vm1"],
    ] as const) {
      expect((await ping(bed, from, addressOf(to), { length: 1450, df: "do" })).ttls.length).toBe(3);
    }
    const { ttls, errors } = await ping(bed, "vm1", addressOf("vm4"), {
      length: 1451,
      df: "do",
      count: 1,
      waitSeconds: 0.2,
    });
    expect(ttls).toEqual([]);
    expect(errors.join()).toMatch(/message too long, mtu.1450/);
  });

  test("too long with DF from outside: ICMP 3/4 with the overlay's MTU, which the sender then uses (M02)", async () => {
    const { bed } = article;
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE, "udp port 4789 and greater 1500");
    const first = await ping(bed, "ext", addressOf("vm1"), { length: 1500, df: "do", count: 1, waitSeconds: 0.5 });
    expect(first.ttls).toEqual([]);
    expect(first.errors).toEqual(["From 50.1.1.254 Frag needed and DF set (mtu = 1450)"]);
    expect(await bed.must("ext", "ip", ["route", "get", addressOf("vm1")])).toContain("mtu 1450");
    await dump.stop();
    expect(await countFrames(dump.file, "")).toBe(0);
    const { sent, got } = await transfer(bed, "ext", "vm1", addressOf("vm1"), 4_000_000);
    expect(got).toEqual(sent);
  });

  test("a VM with too large an MTU is told by its gateway, and nothing is on the underlay (N10)", async () => {
    const { bed } = article;
    await bed.ip("vm2", "link set dev eth0 mtu 1500");
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE);
    const { ttls, errors } = await ping(bed, "vm2", addressOf("vm5"), {
      length: 1451,
      df: "do",
      count: 1,
      waitSeconds: 0.5,
    });
    await dump.stop();
    expect([ttls, errors]).toEqual([[], ["From 20.1.1.1 Frag needed and DF set (mtu = 1450)"]]);
    expect(await countFrames(dump.file, INNER_ICMP)).toBe(0);
    await bed.ip("vm2", "link set dev eth0 mtu 1450", "route flush cache");
  });

  test("too long without DF is cut, crosses as inner fragments, and is answered (M03)", async () => {
    const { bed } = article;
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE);
    expect((await ping(bed, "ext", addressOf("vm5"), { length: 1500, df: "dont" })).ttls).toEqual([62, 62, 62]);
    expect((await ping(bed, "ext", addressOf("vm4"), { length: 3028, df: "dont" })).ttls).toEqual([62, 62, 62]);
    // Fragments that the sender made itself are forwarded one by one.
    expect((await ping(bed, "vm1", addressOf("vm5"), { length: 4028, df: "dont" })).ttls).toEqual([62, 62, 62]);
    await dump.stop();
    expect(await countFrames(dump.file, "ip[6:2] & 0x3fff != 0")).toBe(0); // never an outer fragment
    expect(
      await countFrames(dump.file, "udp dst port 4789 and udp[28:2]=0x0800 and udp[36:2] & 0x3fff != 0"),
    ).toBeGreaterThan(20);
    const rows = await dissect(dump.file, "vxlan && ip.fragment", ["ip.checksum.status", "ip.len"]);
    for (const row of rows)
      expect(row["ip.checksum.status"]!.every((status) => ["1", "Good"].includes(status))).toBe(true);
    for (const row of rows) expect(Number(row["ip.len"]![1])).toBeLessThanOrEqual(1450);
  });

  test("the gateway answers long echoes too, in one piece or several", async () => {
    for (const length of [1450, 3028]) {
      expect((await ping(article.bed, "vm1", "10.1.1.1", { length, df: "dont" })).ttls).toEqual([64, 64, 64]);
    }
  });

  test("every hop tells its own address when the TTL ends there", async () => {
    const { bed } = article;
    const hop = async (target: string, ttl: number) => {
      const { errors, ttls } = await ping(bed, "vm1", target, { ttl, count: 1 });
      return errors.length > 0 ? errors[0] : ttls.length;
    };
    const exceeded = (ip: string) => `From ${ip} Time to live exceeded`;
    for (let repeat = 0; repeat < 2; repeat++) {
      expect(await hop(addressOf("vm5"), 1)).toBe(exceeded("10.1.1.1"));
      expect(await hop(addressOf("vm5"), 2)).toBe(exceeded("20.1.1.1"));
      expect(await hop(addressOf("vm5"), 3)).toBe(1);
      expect(await hop(addressOf("ext"), 1)).toBe(exceeded("10.1.1.1"));
      expect(await hop(addressOf("ext"), 2)).toBe(exceeded("10.1.1.2"));
      expect(await hop(addressOf("ext"), 3)).toBe(1);
    }
    expect(await hop("10.1.1.1", 1)).toBe(1); // to the gateway itself
  });

  test("a packet whose TTL ends at the first gateway leaves no trace on the underlay (N9)", async () => {
    const { bed } = article;
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE);
    const { errors } = await ping(bed, "vm1", addressOf("vm4"), { ttl: 1, count: 2, isExact: true });
    await dump.stop();
    expect(errors).toEqual([0, 1].map(() => "From 10.1.1.1 Time to live exceeded"));
    expect(await countFrames(dump.file, INNER_ICMP)).toBe(0);
  });

  test("a dead address is unreachable within 4 s, from its own VXLAN and from another (N6, A09)", async () => {
    const { bed } = article;
    const dump = await openDump(bed, "underlay", UNDERLAY_BRIDGE, "udp dst port 4789 and udp[28:2]=0x0806");
    const dead = async (from: string, target: string, gateway: string) => {
      const startedMs = performance.now();
      const { ttls, errors } = await ping(bed, from, target, { count: 1, waitSeconds: 6 });
      expect([ttls, errors]).toEqual([[], [`From ${gateway} Destination Host Unreachable`]]);
      // ping waits for the last answer only; an error ends the wait.
      expect(performance.now() - startedMs).toBeLessThan(4000);
    };
    await Promise.all([dead("vm1", "10.1.1.77", "10.1.1.1"), dead("vm2", "10.1.1.78", "20.1.1.1")]);
    await dump.stop();
    // Four requests at most in the first three seconds, to each of two peers.
    const asked = await countFrames(dump.file, "udp[36:2]=1 and udp[54:4]=0x0a01014d and src 192.0.2.1");
    expect(asked).toBeGreaterThanOrEqual(2);
    expect(asked).toBeLessThanOrEqual(10);
  });

  test("no route at the Border is 'net unreachable', told to the VM (R04)", async () => {
    const { errors } = await ping(article.bed, "vm1", "99.9.9.9", { count: 1 });
    expect(errors).toEqual(["From 10.1.1.2 Destination Net Unreachable"]);
  });
});
