/**
 * Machines that change without a word: one that is made again with another MAC and never speaks first, one whose interface
 * goes down. And a firewall VM between a machine and its gateway's errors.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Ac, Neighbor } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways();
if (missing) console.log(`silent.test.ts skipped: ${missing}`);

const FIREWALL = "20.1.1.11"; // vm2

/** What vm1 sends to 60.0.0.0/8 and to vm3 goes by vm2; there the packets come back, and end in three ways. */
function byFirewall(node: string, text: string): string {
  if (node !== "gw1") return text;
  return text
    .replace(
      "routes:\n",
      "routes:\n  - {prefix: 60.1.0.0/16, action: unreachable}\n  - {prefix: 60.2.0.0/16, action: prohibit}\n",
    )
    .replace(
      "      - {match: {}, defaultNextHop: 10.1.1.2}\n",
      (rule) =>
        `      - {match: {destination: 60.0.0.0/8}, nextHop: ${FIREWALL}}\n      - {match: {destination: 30.1.1.11}, nextHop: ${FIREWALL}}\n${rule}`,
    )
    .replace("name: vsi-interface30, ", "name: vsi-interface30, mtu: 1000, ");
}

describe.skipIf(missing !== undefined)("silent machines", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("silent", { shape: byFirewall });
    for (const key of ["ip_forward=1", "conf.all.rp_filter=0", "conf.eth0.rp_filter=0", "conf.all.send_redirects=0"])
      await article.bed.must("vm2", "sysctl", ["-qw", `net.ipv4.${key}`]);
    await ping(article.bed, "vm4", addressOf("vm1"));
    await ping(article.bed, "vm1", addressOf("vm2"));
    await ping(article.bed, "vm2", addressOf("vm3"));
  }, 60_000);
  afterAll(() => article?.gateways.remove());

  const acOf = async (name: string) => (await article.gw1.show<Ac>("ac")).find((ac) => ac.name === name)!;
  const entryOf = async (ip: string) =>
    (await article.gw1.show<Neighbor>("arp")).find((each) => each.ip === ip && each.kind === "host");

  test("a VM made again with another MAC, that says nothing, is reached again within 30 s", {
    timeout: 90_000,
  }, async () => {
    const { bed } = article;
    // It answers ARP and asks nothing: what it would ask is told it. So nothing but the question of its gateway finds it.
    const gateway = (await bed.must("vm1", "ip", ["neigh", "show", "10.1.1.1"])).match(/lladdr (\S+)/)![1]!;
    await bed.ip("vm1", `neigh replace 10.1.1.1 lladdr ${gateway} nud permanent dev eth0`);
    await bed.ip("vm1", `neigh replace 10.1.1.12 lladdr ${gateway} nud permanent dev eth0`);
    await bed.ip("vm1", "link set dev eth0 address 02:00:00:00:77:77");
    const from = Date.now();
    let answered = 0;
    while (answered === 0 && Date.now() - from < 60_000) {
      const { ttls } = await ping(bed, "vm4", addressOf("vm1"), { count: 5, intervalSeconds: 0.2, waitSeconds: 1 });
      answered = ttls.length;
    }
    const seconds = (Date.now() - from) / 1000;
    expect(answered).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(30);
    expect((await entryOf(addressOf("vm1")))!.mac).toBe("02:00:00:00:77:77");
  });

  test("an interface that goes down takes its AC down, and up again brings it back", { timeout: 60_000 }, async () => {
    const { bed, gw1 } = article;
    await bed.ip("vm3", "link set dev eth0 down");
    await until("link down", 3000, async () => (await acOf("vm3")).linkDown === true);
    expect((await acOf("vm3")).up).toBe(false);
    expect((await gw1.status()).ready).toBe(true);
    const { errors, ttls } = await ping(bed, "vm2", addressOf("vm3"), { count: 5, intervalSeconds: 1, waitSeconds: 1 });
    expect(ttls).toEqual([]);
    expect(errors.some((line) => line.includes("Destination Host Unreachable"))).toBe(true);
    await bed.ip("vm3", "link set dev eth0 up", "route replace default via 30.1.1.1 dev eth0");
    await until("up again", 3000, async () => (await acOf("vm3")).up);
    expect((await ping(bed, "vm2", addressOf("vm3"))).ttls.length).toBeGreaterThan(0);
  });

  describe("errors about packets that a firewall VM sent back reach the asker", () => {
    const CASES = [
      ["unreachable", "60.1.1.1", {}, "Destination Host Unreachable"],
      ["prohibited", "60.2.1.1", {}, "Packet filtered"],
      ["time exceeded", "60.3.1.1", { ttl: 3 }, "Time to live exceeded"],
      ["too big", "30.1.1.11", { length: 1200, df: "do" }, "Frag needed and DF set (mtu = 1000)"],
    ] as const;
    for (const [what, target, options, error] of CASES)
      test(what, { timeout: 30_000 }, async () => {
        const { errors } = await ping(article.bed, "vm1", target, { count: 1, ...options });
        expect(errors.join("\n")).toContain(error);
        expect(errors.join("\n")).toContain("From 20.1.1.1");
      });
  });
});
