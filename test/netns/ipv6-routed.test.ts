/** IPv6 of Linux hosts, routed by real gateways: across sites and VXLANs, in fragments, and what traceroute and PMTU discovery hear. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import type { Article } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { hostOf, openIpv6 } from "./ipv6-bed.ts";

const DEADLINE_MS = 20_000;

describeReal(whyNoGateways(), "IPv6 routed between Linux hosts", () => {
  let article: Article;
  const ping = async (host: string, ...args: readonly string[]) =>
    (await article.bed.run(host, "ping", ["-6", "-n", "-c1", "-W2", ...args])).stdout;
  const answers = (host: string, to: string, hops: number, ...more: readonly string[]) =>
    until(`${to} at ${host} with hop limit ${hops}`, DEADLINE_MS, async () =>
      (await ping(host, ...more, to)).includes(`ttl=${hops} `),
    );

  beforeAll(async () => {
    article = await openIpv6("route6");
  });
  afterAll(() => article?.gateways.remove());

  test("hop limit 62 in one VXLAN and across two, and 64 from the gateway", async () => {
    await answers("vm1", hostOf("vm4"), 62);
    await answers("vm1", hostOf("vm5"), 62);
    await answers("vm5", hostOf("vm1"), 62);
    await answers("vm1", "2001:db8:10::1", 64);
    await answers("vm1", "2001:db8:20::1", 64);
  });

  test("8000 bytes in fragments: to a host of another VXLAN, and to the gateway itself", async () => {
    await answers("vm1", hostOf("vm5"), 62, "-s8000");
    await answers("vm1", "2001:db8:10::1", 64, "-s8000");
  });

  test("a packet that is too long is answered with the overlay's MTU", async () => {
    await article.bed.ip("vm1", "link set eth0 mtu 1500");
    await until("packet too big", DEADLINE_MS, async () => {
      await ping("vm1", "-M", "do", "-s1452", hostOf("vm5"));
      return (await article.bed.must("vm1", "ip", ["-6", "route", "get", hostOf("vm5")])).includes("mtu 1450");
    });
  });

  test("a hop limit that ends, and an address that no route leads to", async () => {
    await until("time exceeded", DEADLINE_MS, async () =>
      /From 2001:db8:10::1 icmp_seq=1 Time exceeded/.test(await ping("vm1", "-t1", hostOf("vm5"))),
    );
    await until("no route", DEADLINE_MS, async () =>
      /From 2001:db8:10::1 icmp_seq=1 Destination unreachable: No route/.test(await ping("vm1", "2001:db8:99::1")),
    );
    const routes = await article.gw1.show<{ prefix: string }>("route");
    expect(routes.map(({ prefix }) => prefix)).toContain("2001:db8:20::/64");
  });
});
