/**
 * Neighbour discovery and router advertisements with Linux hosts as their judges: they make addresses of what gw1 and gw2 advertise,
 * ask for each other across sites, and find out that an address is taken at the other one.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { type Article, macOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

interface NeighborRow {
  readonly ip: string;
  readonly mac: string | null;
  readonly state: string;
  readonly via: { readonly kind: string; readonly name: string } | null;
}

const HOSTS = ["vm1", "vm4", "vm5"];
const RA = `routerAdvertisement: {dns: ["2001:db8::53"], search: [lab.example]}`;
/** Answers of the kernel and of gateways may be late on a busy machine. */
const DEADLINE_MS = 20_000;

describeReal(whyNoGateways(), "IPv6 hosts of two sites", () => {
  let article: Article;
  const shown = async (host: string) => await article.bed.must(host, "ip", ["-6", "addr", "show", "dev", "eth0"]);
  const address = async (host: string) => / (2001:db8:\S+)\/64 .*(?:dynamic|mngtmpaddr)/.exec(await shown(host))?.[1];

  beforeAll(async () => {
    article = await openArticle("nd", {
      shape: (node, text) =>
        node === "border"
          ? text
          : text.replaceAll(/address: (10|20)\.1\.1\.1\/24/g, `address: [$1.1.1.1/24, "2001:db8:$1::1/64"], ${RA}`),
    });
    const { bed } = article;
    const own = ["accept_ra=1", "autoconf=1", "accept_dad=1", "use_tempaddr=0", "disable_ipv6=0"];
    for (const host of HOSTS)
      await bed.must(host, "sysctl", ["-qw", ...own.map((each) => `net.ipv6.conf.eth0.${each}`)]);
  });
  afterAll(() => article?.gateways.remove());

  test("make addresses of what their gateway advertises, and have it as their router", async () => {
    const { bed, gw1 } = article;
    for (const host of HOSTS) {
      const net = host === "vm5" ? "20" : "10";
      await until(`an address of ${host}`, DEADLINE_MS, async () => {
        const text = await shown(host);
        return text.includes(`2001:db8:${net}:`) && !text.includes("tentative");
      });
      const route = await bed.must(host, "ip", ["-6", "route", "show", "default"]);
      expect(route).toMatch(/via fe80::1 dev eth0 proto ra/);
      expect(await bed.must(host, "ip", ["-6", "route", "show"])).toContain(
        `2001:db8:${net}::/64 dev eth0 proto kernel`,
      );
    }
    const [said] = await gw1.show<{ source: string; sent: number }>("ra");
    expect(said!.source).toBe("fe80::1");
    expect(said!.sent).toBeGreaterThan(0);
  });

  test("reach their gateway's addresses of the link at its MAC", async () => {
    const { bed, gw1 } = article;
    await until("fe80::1 at vm1", DEADLINE_MS, async () => {
      await bed.run("vm1", "ping", ["-6", "-c1", "-W1", "fe80::1%eth0"]);
      const known = await bed.must("vm1", "ip", ["-6", "neigh", "show", "fe80::1", "dev", "eth0"]);
      return known.includes(await gw1.macOf("vsi10")) && known.includes("router");
    });
  });

  test("that ask for each other across sites have their gateways' MACs", async () => {
    const { bed, gw1, gw2 } = article;
    const [one, four] = [(await address("vm1"))!, (await address("vm4"))!];
    await until("vm4 at vm1", DEADLINE_MS, async () => {
      await bed.run("vm1", "ping", ["-6", "-c1", "-W1", four]);
      return (await bed.must("vm1", "ip", ["-6", "neigh", "show", four])).includes(await gw1.macOf("vsi10"));
    });
    await until("vm1 at vm4", DEADLINE_MS, async () => {
      await bed.run("vm4", "ping", ["-6", "-c1", "-W1", one]);
      return (await bed.must("vm4", "ip", ["-6", "neigh", "show", one])).includes(await gw2.macOf("vsi10"));
    });
    await until("what gw1 knows", DEADLINE_MS, async () => {
      const rows = await gw1.show<NeighborRow>("nd");
      const [here, there] = [rows.find(({ ip }) => ip === one), rows.find(({ ip }) => ip === four)];
      return here?.mac === macOf("vm1") && here.via?.name === "vm1" && there?.via?.name === "gw2";
    });
  });

  test("reach each other across sites and VXLANs, each gateway taking one from the hop limit", async () => {
    const { bed } = article;
    for (const other of ["vm4", "vm5"]) {
      const to = (await address(other))!;
      await until(`${other} answers vm1`, DEADLINE_MS, async () => (await ping(bed, "vm1", to)).ttls.length === 3);
      expect((await ping(bed, "vm1", to)).ttls).toEqual([62, 62, 62]);
    }
  });

  test.each([1, 0])("find out that an address is taken at the other site (enhanced_dad = %d)", async (enhanced) => {
    const { bed } = article;
    const taken = `2001:db8:10::9${enhanced}`;
    for (const host of ["vm1", "vm4"])
      await bed.must(host, "sysctl", ["-qw", `net.ipv6.conf.eth0.enhanced_dad=${enhanced}`]);
    await bed.ip("vm4", `addr add ${taken}/64 dev eth0`);
    await until("the address at vm4", DEADLINE_MS, async () => {
      const line = (await shown("vm4")).split("\n").find((each) => each.includes(taken));
      return line !== undefined && !line.includes("tentative");
    });
    await bed.ip("vm1", `addr add ${taken}/64 dev eth0`);
    await until("the duplicate", DEADLINE_MS, async () => (await shown("vm1")).includes("dadfailed"));
    expect(await shown("vm4")).not.toContain("dadfailed");
    await bed.ip("vm1", `addr del ${taken}/64 dev eth0`);
  });

  test("lose their router when the configuration wants none any more", async () => {
    const { bed, gw1 } = article;
    writeFileSync(gw1.file, readFileSync(gw1.file, "utf8").replaceAll(`, ${RA}`, ""));
    expect((await gw1.ctl("config", "reload")).status).toBe(0);
    await until("no default route", DEADLINE_MS, async () => {
      return !(await bed.must("vm1", "ip", ["-6", "route", "show", "default"])).includes("fe80::1");
    });
    expect(await bed.must("vm4", "ip", ["-6", "route", "show", "default"])).toContain("fe80::1");
  });
});
