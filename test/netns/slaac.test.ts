/**
 * A Linux host behind an AC with `antiSpoof: strict` that makes all of its IPv6 addresses itself: a link-local one that is not of its MAC, a
 * random one and a temporary one of the prefix that the gateway advertises (RFC 7217, RFC 8981). And one that is bound to nothing.
 *
 *     vm1 (strict, slaac) - gw1 - vm2
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Binding } from "../../src/api/bindings.ts";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";

const MAC = "02:00:00:00:01:11";
/** A host's first packets are lost, and it tries again in its own time. */
const DEADLINE_MS = 60_000;

describeReal(whyNoGateways(), "a host that makes its addresses itself, behind a strict AC", () => {
  let gateways: Gateways;
  let gw1: Gateway;

  const own = async (host: string) =>
    [...(await gateways.bed.must(host, "ip", ["-6", "addr", "show", "dev", "eth0"])).matchAll(/inet6 (\S+)\/\d+ (.*)/g)]
      .filter(([, , flags]) => !flags!.includes("tentative"))
      .map(([, ip, flags]) => ({
        ip: ip!,
        isTemporary: flags!.includes("temporary"),
        isOfLink: ip!.startsWith("fe80"),
      }));
  const bound = async () => (await gw1.look<Binding[]>("/v1/bindings")).filter(({ source }) => source === "slaac");

  beforeAll(async () => {
    gateways = await openGateways("slaac");
    const { bed } = gateways;
    for (const name of ["gw1", "vm1", "vm2"]) await bed.namespace(name);
    await bed.ip("gw1", "addr add 192.0.2.1/32 dev lo");
    const ac = (name: string) => ({ name, vsi: "vsi10", tap: { device: "eth0", netns: bed.name(name) } });
    gw1 = await gateways.start("gw1", {
      underlay: { address: "192.0.2.1" },
      vsis: [{ name: "vsi10", vni: 10 }],
      interfaces: [
        {
          name: "vsi-interface10",
          vsi: "vsi10",
          address: ["10.1.1.1/24", "2001:db8:10::1/64"],
          routerAdvertisement: {},
        },
      ],
      acs: [{ ...ac("vm1"), antiSpoof: "strict", slaac: 8, bindings: [{ mac: MAC, ip: "10.1.1.11" }] }, ac("vm2")],
    });
    const keys = ["accept_ra=1", "autoconf=1", "use_tempaddr=2", "addr_gen_mode=3", "disable_ipv6=0"];
    await bed.ip("vm1", `link set dev eth0 address ${MAC} up`);
    await bed.ip("vm2", "link set dev eth0 up");
    for (const host of ["vm1", "vm2"])
      await bed.must(host, "sysctl", ["-qw", ...keys.map((each) => `net.ipv6.conf.eth0.${each}`)]);
  });
  afterAll(() => gateways?.remove());

  test("has each of them bound, and is reached at each", async () => {
    const { bed } = gateways;
    const global = async () => (await own("vm1")).filter(({ isOfLink }) => !isOfLink);
    for (const wanted of [true, false])
      await until("an address of each kind", DEADLINE_MS, async () =>
        (await global()).some(({ isTemporary }) => isTemporary === wanted),
      );
    const addresses = await global();
    await until("a way of vm2", DEADLINE_MS, async () => (await own("vm2")).some(({ isOfLink }) => !isOfLink));
    for (const { ip } of addresses) {
      await until(`an answer to ${ip}`, DEADLINE_MS, async () => {
        const { status } = await bed.run("vm1", "ping", ["-6", "-c1", "-W1", "-I", ip, "2001:db8:10::1"]);
        return status === 0;
      });
      await until(`an answer of ${ip}`, DEADLINE_MS, async () => {
        const { status } = await bed.run("vm2", "ping", ["-6", "-c1", "-W1", ip]);
        return status === 0;
      });
      expect((await bound()).map((each) => each.ip)).toContain(ip);
    }
    expect((await gw1.ctl("show", "binding")).stdout).toMatch(/vm1 .*02:00:00:00:01:11 +2001:db8:10:\S+ +slaac/);
  });

  test("gets no address that vm2 has and answers for", async () => {
    const { bed } = gateways;
    const taken = await until("an address of vm2", DEADLINE_MS, async () => {
      return (await own("vm2")).find(({ isOfLink, isTemporary }) => !isOfLink && !isTemporary)?.ip;
    });
    await bed.ip("vm1", `addr add ${taken}/64 dev eth0 nodad`);
    await until("a refusal", DEADLINE_MS, async () => {
      await bed.run("vm1", "ping", ["-6", "-c1", "-W1", "-I", taken, "2001:db8:10::1"]);
      return gw1.log().includes(`"ip":"${taken}","reason":"it is at ac vm2`);
    });
    expect((await bound()).map((each) => each.ip)).not.toContain(taken);
  });
});
