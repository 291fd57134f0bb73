/** IPv6 in the file: addresses of both families, what they become, and what does not go together. */
import { describe, expect, it } from "vitest";
import { descriptionAt } from "../../src/config/json-schema.ts";
import { parseConfig } from "../../src/config/load.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";

const base = (iface: string, more = "") => `
node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis: [{name: v10, vni: 10}, {name: v20, vni: 20}]
interfaces:
  - {name: i10, vsi: v10, ${iface}}
  - {name: i20, vsi: v20, address: ["20.1.1.1/24", "2001:db8:20::1/64"]}
acs: [{name: a, vsi: v10, handover: true}]
attach: {socket: /run/a.sock}
${more}`;

const BOTH = 'address: [10.1.1.1/24, "2001:db8:10::1/64"]';

function read(text: string) {
  const result = parseConfig(text, "gw1.yaml");
  return "errors" in result ? result.errors.map(({ path, message }) => `${path}: ${message}`) : result.config;
}

function good(text: string) {
  const config = read(text);
  if (Array.isArray(config)) throw new Error(config.join("\n"));
  return config;
}

describe("what it becomes", () => {
  it("addresses of both families, and the gateway's link-local address", () => {
    const [shared, central] = [base(BOTH), base(`${BOTH}, distributed: false`)].map(
      (text) => good(text).interfaces[0]!,
    );
    expect(shared!.addresses.map(({ text, prefix }) => `${text} in ${prefix.text}`)).toEqual([
      "10.1.1.1 in 10.1.1.0/24",
      "2001:db8:10::1 in 2001:db8:10::/64",
    ]);
    expect(shared!.addresses[1]!.ip).toBe(parseIpv6("2001:db8:10::1"));
    expect(shared!.linkLocal).toEqual({ text: "fe80::1", ip: parseIpv6("fe80::1") });
    expect(central!.linkLocal).toBe("eui64");
    expect(good(base("address: 10.1.1.1/24")).interfaces[0]!.linkLocal).toBeNull();
    expect(good(base(`${BOTH}, linkLocal: fe80::a`)).interfaces[0]!.linkLocal).toMatchObject({ text: "fe80::a" });
  });

  it("static neighbours by either name of the table", () => {
    const entry = '{static: [{ip: "2001:db8:10::9", mac: "02:00:00:00:00:09", ac: a}], limit: 9}';
    for (const name of ["neighbors", "arp"]) {
      const { arp } = good(base(`${BOTH}, ${name}: ${entry}`)).interfaces[0]!;
      expect(arp).toMatchObject({ limit: 9, static: [{ text: "2001:db8:10::9", vsi: "v10" }] });
    }
  });

  it("routes, with a next hop that only its VSI-interface finds", () => {
    const { routes } = good(base(BOTH, 'routes: [{prefix: "::/0", nextHop: "fe80::2%i10"}]'));
    expect(routes[0]).toMatchObject({
      prefix: { text: "::/0", network: 0n, length: 0 },
      target: { nextHops: [{ text: "fe80::2%i10", ip: parseIpv6("fe80::2") }] },
    });
  });

  it("another one's link-local address as next hop, though it is ours elsewhere", () => {
    const other = base(`${BOTH}, linkLocal: fe80::a`, 'routes: [{prefix: "::/0", nextHop: "fe80::1%i10"}]');
    expect(good(other).routes).toHaveLength(1);
  });

  it("what hosts may do with each other, and who may look for them", () => {
    const { vsis, interfaces } = good(
      base(`${BOTH}, naSource: target, gleanFrom: overlay`).replace("vni: 10}", "vni: 10, linkLocal: isolate}"),
    );
    expect(vsis.map(({ linkLocal }) => linkLocal)).toEqual(["isolate", "bridge"]);
    expect(interfaces.map(({ naSource, gleanFrom }) => [naSource, gleanFrom])).toEqual([
      ["target", "overlay"],
      ["gateway", "any"],
    ]);
  });

  it("limits as those of IPv4, where nothing is said of them", () => {
    const { limits } = good(base(BOTH, "limits: {neighbors: 77, routes: 66, routes6: 5}"));
    expect([limits.neighbors6, limits.routes6]).toEqual([77, 5]);
  });
});

describe("what is refused", () => {
  const route = (text: string) => base(BOTH, `routes: [${text}]`);
  const rule = (text: string) => base(BOTH, `policies: [{name: p, interfaces: [i10], rules: [{${text}}]}]`);
  it.each([
    ["a link-local gateway", base('address: "fe80::1/64"'), "link-local"],
    ["a group", base('address: "ff02::1/64"'), "multicast"],
    ["loopback", base('address: "::1/128"'), "loopback"],
    ["an IPv4-mapped address", base('address: "::ffff:1.2.3.4/96"'), "stands for IPv4"],
    ["no length", base('address: "2001:db8::1"'), "needs a prefix length"],
    ["a length beyond 128", base('address: "2001:db8::1/129"'), "no IPv6 address"],
    ["the routers' anycast address", base('address: "2001:db8::/64"'), "routers' anycast"],
    ["text that is none", base('address: "2001:db8:::1/64"'), "no IPv6 address"],
    ["a subnet of another VSI-interface", base('address: "2001:db8:20::9/64"'), "overlaps 2001:db8:20::/64"],
    ["an MTU below 1280", base(`${BOTH}, mtu: 1279`), "needs 1280 bytes"],
    ["an underlay below it", base(BOTH).replace("mtu: 1500", "mtu: 1329"), "MTU of 1279"],
    ["linkLocal without IPv6", base("address: 10.1.1.1/24, linkLocal: fe80::1"), "no IPv6 address"],
    ["linkLocal that is global", base(`${BOTH}, linkLocal: "2001:db8::1"`), "no link-local address"],
    ["both names of the table", base(`${BOTH}, arp: {limit: 9}, neighbors: {limit: 9}`), "one table"],
    ["two sources of one family", base(`${BOTH}, icmpSource: ["2001:db8:10::5", "2001:db8:10::6"]`), "one family"],
    [
      "a neighbour that is ours",
      base(`${BOTH}, neighbors: {static: [{ip: "2001:db8:20::1", mac: "02:00:00:00:00:09", ac: a}]}`),
      "no subnet of i10",
    ],
    ["a next hop without its VSI-interface", route('{prefix: "::/0", nextHop: "fe80::2"}'), "on which VSI-interface"],
    ["one on no VSI-interface", route('{prefix: "::/0", nextHop: "fe80::2%i99"}'), "i99 is no VSI-interface"],
    ["our own one, as is by default", route('{prefix: "::/0", nextHop: "fe80::1%i10"}'), "our own address"],
    [
      "our own one among several",
      route('{prefix: "::/0", nextHops: ["fe80::2%i10", "fe80::1%i10"]}'),
      "our own address",
    ],
    ["our own one in a rule", rule('match: {}, nextHop: "fe80::1%i20"'), "our own address"],
    [
      "our own one, of the MAC",
      base(
        `${BOTH}, linkLocal: eui64, mac: "02:00:00:00:00:07"`,
        'routes: [{prefix: "::/0", nextHop: "fe80::ff:fe00:7%i10"}]',
      ),
      "our own address",
    ],
    [
      "isolation without IPv6",
      base("address: 10.1.1.1/24").replace("vni: 10}", "vni: 10, linkLocal: isolate}"),
      "no VSI-interface with IPv6",
    ],
    ["a zone of a global address", route('{prefix: "::/0", nextHop: "2001:db8:10::2%i10"}'), "not link-local"],
    ["a next hop of the other family", route('{prefix: "::/0", nextHop: 10.1.1.2}'), "not of the family of ::/0"],
    ["a connected prefix", route('{prefix: "2001:db8:10::/64", action: discard}'), "connected subnets win"],
    ["host bits", route('{prefix: "2001:db8:99::1/64", action: discard}'), "bits set behind its /64"],
    [
      "more routes than fit",
      `${route('{prefix: "::/0", action: discard}, {prefix: "2000::/3", action: discard}')}\nlimits: {routes6: 1}`,
      "more than limits.routes6",
    ],
    [
      "a rule of both families",
      rule('match: {source: 10.1.1.0/24, destination: "2001:db8::/32"}, drop: true'),
      "IPv4 and of IPv6",
    ],
    [
      "a rule whose next hop is of the other family",
      rule('match: {source: 10.1.1.0/24}, nextHop: "2001:db8:10::2"'),
      "IPv4 and of IPv6",
    ],
    ["ICMPv6 of IPv4", rule("match: {source: 10.1.1.0/24, protocol: icmp6}, drop: true"), "IPv4 and of IPv6"],
    ["ICMP of IPv6", rule('match: {source: "2001:db8:10::/64", protocol: icmp}, drop: true'), "IPv4 and of IPv6"],
  ])("%s", (_, text, message) => {
    const errors = read(text);
    expect(Array.isArray(errors) ? errors.join("\n") : "good").toContain(message);
  });
});

describe("the fix of a mistake that is often made", () => {
  const fixOf = (text: string) => {
    const result = parseConfig(text, "gw1.yaml");
    return "errors" in result ? result.errors.map(({ fix }) => fix).join("; ") : "good";
  };
  const rule = (text: string) => base(BOTH, `policies: [{name: p, interfaces: [i10], rules: [{${text}}]}]`);

  it.each([
    ["ICMP of IPv6", rule('match: {source: "2001:db8:10::/64", protocol: icmp}, drop: true'), "write protocol: icmp6"],
    ["ICMPv6 of IPv4", rule("match: {destination: 10.1.1.0/24, protocol: 58}, drop: true"), "write protocol: icmp,"],
    [
      "a rule of both families",
      rule('match: {source: 10.1.1.0/24, destination: "2001:db8::/32", protocol: icmp}, drop: true'),
      "write one rule for each family",
    ],
    ["a link-local icmpSource", base(`${BOTH}, icmpSource: "fe80::5"`), "choose a global or unique local address"],
    [
      "one DNS server that is no list",
      base(`${BOTH}, routerAdvertisement: {dns: "2001:db8::53"}`),
      "write a list: [^;]*$",
    ],
    ["an icmpSource that is a group", base(`${BOTH}, icmpSource: "ff02::5"`), "choose a unicast address"],
  ])("%s", (_, text, fix) => expect(fixOf(text)).toMatch(new RegExp(`^${fix}`)));
});

describe("the manual", () => {
  it.each([
    ["vsis", "arp"],
    ["vsis", "proxyArp"],
    ["vsis", "relay"],
    ["interfaces", "neighbors"],
    ["interfaces", "distributed"],
  ])("says of %s[].%s that it is for ARP and ND", (section, key) => {
    expect(descriptionAt([section, 0, key])).toMatch(/\bARP\b.*\bND\b/);
  });
});
