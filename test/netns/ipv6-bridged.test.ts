/**
 * IPv6 of Linux hosts inside VXLAN, which is bridged: path MTU discovery works, and a VM that advertises itself as router
 * gets nowhere, unless its AC may. Of VXLAN 10 vm1 and vm4 are asked; vm2's AC, of VXLAN 20, has a router behind it.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { checksum6 } from "../../src/wire/icmp6.ts";
import { ethernet } from "../dataplane/packets.ts";
import { fromHex } from "../wire/hex.ts";
import { type Article, macOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { mac, sendRaw } from "./raw-frames.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways("python3");
const ADDRESSES = { vm1: "2001:db8:10::11", vm4: "2001:db8:10::12", vm5: "2001:db8:20::12" };
/** IPv6 and ICMPv6 headers, where ping's `length` counts IPv4's. */
const longerBy = 20;

/** RFC 4861 §4.2: a router for half an hour, with its link-layer address. */
function advertisement(vm: string): Uint8Array {
  const own = macOf(vm).replaceAll(":", "");
  const message = `8600 0000 40 00 0708 00000000 00000000 0101 ${own}`;
  const packet = fromHex(`60000000 0018 3a ff fe80${"00".repeat(13)}99 ff02${"00".repeat(13)}01 ${message}`);
  setU16(packet, 42, ~checksum6(packet, 0, 24) & 0xffff);
  const frame = ethernet(mac("33:33:00:00:00:01"), mac(macOf(vm)), 0x86dd, packet.length);
  frame.set(packet, ETH_BYTES);
  return frame;
}

describeReal(missing, "IPv6 within a VXLAN", () => {
  let article: Article;
  const defaultRoute = (vm: string) => article.bed.must(vm, "ip", ["-6", "route", "show", "default"]);

  beforeAll(async () => {
    article = await openArticle("v6in", {
      shape: (_node, text) => text.replace("{name: vm2,", "{name: vm2, routerAdvertisements: allow,"),
    });
    const { bed } = article;
    for (const [vm, address] of Object.entries(ADDRESSES)) {
      const all = ["disable_ipv6=0", "accept_ra=1", "accept_dad=0"].map((each) => `net.ipv6.conf.eth0.${each}`);
      await bed.must(vm, "sysctl", ["-qw", ...all]);
      await bed.ip(vm, `addr add ${address}/64 dev eth0 nodad`);
    }
    // As a VM that was made for another network.
    await bed.ip("vm1", "link set eth0 mtu 1500");
  });
  afterAll(() => article?.gateways.remove());

  test("a packet too long for the overlay: packet too big with its MTU, and from then on it fits", async () => {
    const { bed } = article;
    expect((await ping(bed, "vm1", ADDRESSES.vm4)).ttls).toEqual([64, 64, 64]);
    const long = { length: 1500 - longerBy, df: "do", count: 1, waitSeconds: 0.5 } as const;
    const refused = await ping(bed, "vm1", ADDRESSES.vm4, long);
    expect(refused.ttls).toEqual([]);
    expect(refused.text).toMatch(/Packet too big: mtu=1450/);
    expect(await bed.must("vm1", "ip", ["-6", "route", "get", ADDRESSES.vm4])).toContain("mtu 1450");
    expect((await ping(bed, "vm1", ADDRESSES.vm4, { length: 1500 - longerBy })).ttls).toEqual([64, 64, 64]);
  });

  test("a VM that advertises itself is no other VM's router; where its AC may, it is one at the other site, too", async () => {
    const { bed, gw1 } = article;
    await sendRaw(bed, "vm1", "eth0", [advertisement("vm1")]);
    await until("the drop", 5000, async () => (await gw1.drops()).nd_ra_guard === 1);
    await gw1.logged(/"event":"nd.ra-guard".*"ac":"vm1"/);
    await sendRaw(bed, "vm2", "eth0", [advertisement("vm2")]);
    await until("a default route", 5000, async () => (await defaultRoute("vm5")).includes("via fe80::99 dev eth0"));
    expect(await defaultRoute("vm4")).toBe("");
  });
});
