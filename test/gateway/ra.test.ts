/** Router advertisements of whole gateways: to whom, when, and what they say (behaviour.md §11). */
import { describe, expect, it } from "vitest";
import { LINK, NET, Sites6, site6 } from "./host6.ts";

const RA = `, routerAdvertisement: {dns: ["2001:db8::53"], search: [lab.example]}`;
const times = (sites: Sites6, host: keyof Pick<Sites6, "vm1" | "vm3" | "vm4">) => sites[host].advertisements.length;

describe("router advertisements", () => {
  it("tell hosts all that they need, from the gateway's link-local address", () => {
    const sites = new Sites6({ iface: RA });
    sites.vm1.solicitRouter();
    sites.world.advance(600);
    const [said] = sites.vm1.advertisements;
    const { mac, mtu } = sites.gw1.control.shown.inventory.interface("if10")!;
    expect(said).toMatchObject({
      ...{ src: LINK | 1n, ethSrc: mac, mac, mtu, hopLimit: 64, lifetimeSeconds: 1800, preference: "medium" },
      ...{
        managed: false,
        other: false,
        dns: [(0x20010db8n << 96n) | 0x53n],
        search: ["lab.example"],
        dnsSeconds: 600,
      },
      prefixes: [
        { network: NET, length: 64, onLink: true, autonomous: true, validSeconds: 2592000, preferredSeconds: 604800 },
      ],
    });
  });

  it("go to each gateway's own ACs, and never into a tunnel", () => {
    const sites = new Sites6({ iface: RA });
    sites.world.advance(300_000, 1000);
    expect(sites.said(sites.vm4)).toEqual(sites.said(sites.vm4).map(() => "RA fe80::1>ff02::1 gw2"));
    expect(times(sites, "vm4")).toBeGreaterThan(0);
    expect(sites.inTunnels()).toEqual([]);
  });

  it("come each interval, a quarter of it earlier or later", () => {
    const sites = new Sites6({ iface: `, routerAdvertisement: {intervalSeconds: 100}` });
    sites.world.advance(2000_000, 1000);
    expect(times(sites, "vm1")).toBeGreaterThanOrEqual(16);
    expect(times(sites, "vm1")).toBeLessThanOrEqual(27);
  });

  it("three half a second apart when they begin, when they change, and at an AC that comes up", () => {
    const sites = new Sites6();
    sites.gw1.reload(site6(1, { iface: RA }));
    expect(times(sites, "vm1")).toBe(1);
    sites.world.advance(2000);
    expect(times(sites, "vm1")).toBe(3);
    sites.clear();
    sites.gw1.reload(site6(1, { iface: RA }));
    sites.world.advance(2000);
    expect(times(sites, "vm1")).toBe(0);
    sites.gw1.reload(site6(1, { iface: RA.replace("}", ", managed: true}") }));
    sites.world.advance(2000);
    expect(sites.vm1.advertisements.map(({ managed }) => managed)).toEqual([true, true, true]);
    sites.clear();
    const { topology, inventory } = sites.gw1.control.shown;
    topology.setAcUp(inventory.ac("vm1")!, false);
    topology.setAcUp(inventory.ac("vm1")!, true);
    sites.world.advance(2000);
    expect([times(sites, "vm1"), times(sites, "vm3")]).toEqual([3, 0]);
  });

  it("take the router back where the configuration wants none any more, and not when the process ends", () => {
    const sites = new Sites6({ iface: RA });
    sites.gw1.reload(site6(1));
    sites.world.settle();
    expect(sites.vm1.advertisements).toMatchObject([{ lifetimeSeconds: 0, prefixes: [] }]);
    sites.world.advance(1000_000, 1000);
    expect(times(sites, "vm1")).toBe(1);
    sites.gw2.control.agent.setDraining(true);
    sites.world.advance(1000);
    expect(sites.vm4.advertisements.filter(({ lifetimeSeconds }) => lifetimeSeconds === 0)).toEqual([]);
  });

  it("take the router at the former link-local address back, whatever made it another one", () => {
    const sites = new Sites6({ iface: RA });
    sites.gw1.reload(site6(1, { iface: `${RA}, linkLocal: "fe80::5"` }));
    sites.world.advance(3000);
    const [ended, ...begun] = sites.vm1.advertisements;
    expect(ended).toMatchObject({ src: LINK | 1n, lifetimeSeconds: 0 });
    expect(begun.length).toBeGreaterThan(2);
    for (const each of begun) expect(each).toMatchObject({ src: LINK | 5n, lifetimeSeconds: 1800 });
    const eui64 = (mac: string) => site6(1, { iface: `${RA}, linkLocal: eui64, mac: "${mac}"` });
    sites.gw1.reload(eui64("02:00:00:00:00:07"));
    sites.world.advance(3000);
    sites.clear();
    sites.gw1.reload(eui64("02:00:00:00:00:08"));
    sites.world.advance(3000);
    const again = sites.vm1.advertisements.filter(({ lifetimeSeconds }) => lifetimeSeconds === 0);
    expect(again).toMatchObject([{ src: LINK | 0xff_fe00_0007n, ethSrc: 0x02_0000_0000_07, mac: 0x02_0000_0000_07 }]);
  });

  it("tell at once of another MTU of the underlay", () => {
    const sites = new Sites6({ iface: RA });
    sites.gw1.reload(site6(1, { iface: RA }).replace("mtu: 1500", "mtu: auto"));
    sites.world.advance(3000);
    sites.clear();
    sites.gw1.control.topology.setUnderlayMtu(1480);
    sites.world.advance(3000);
    expect(sites.vm1.advertisements.map(({ mtu }) => mtu)).toEqual([1430, 1430, 1430]);
  });

  it("end the prefix of an address that is no more", () => {
    const two = '["2001:db8:10::1/64", "2001:db8:11::1/64"]';
    const sites = new Sites6({ iface: RA, addresses: two });
    sites.gw1.reload(site6(1, { iface: RA, addresses: '"2001:db8:10::1/64"' }));
    sites.world.settle();
    expect(sites.vm1.advertisements.at(-1)!.prefixes).toMatchObject([
      { network: NET, preferredSeconds: 604800 },
      { network: NET + (1n << 80n), preferredSeconds: 0, validSeconds: 0 },
    ]);
  });

  it("is in a packet of the least MTU, however many prefixes are no more: they take turns, for two hours", () => {
    const addresses = (first: number) => {
      const all = Array.from({ length: 34 }, (_, i) => `"2001:db8:${(first + i).toString(16)}::1/64"`);
      return `[10.1.1.1/24, ${all.join(", ")}]`;
    };
    const iface = ", routerAdvertisement: {intervalSeconds: 4}";
    const sites = new Sites6({ iface, addresses: addresses(0x100) });
    sites.clear();
    sites.gw1.reload(site6(1, { iface, addresses: addresses(0x200) }));
    sites.world.advance(120_000, 500);
    sites.vm1.solicitRouter();
    sites.world.advance(2000);
    const lengths = sites.vm1.frames.filter((frame) => frame[54] === 134).map(({ length }) => length);
    expect(lengths.length).toBeGreaterThan(20);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(14 + 1280);
    const ended = () =>
      sites.vm1.advertisements.flatMap(({ prefixes }) => prefixes.filter((p) => p.validSeconds === 0));
    expect(sites.vm1.advertisements.map(({ prefixes }) => prefixes.length)).toEqual(lengths.map(() => 36));
    expect(new Set(ended().map(({ network }) => network)).size).toBe(34);
    sites.world.advance(7_200_000, 10_000);
    sites.clear();
    sites.world.advance(60_000, 1000);
    expect([sites.vm1.advertisements.length > 5, ended()]).toEqual([true, []]);
  });

  it("of a prefix of another length: no address is made of it; with onLink: false hosts send everything to the gateway", () => {
    const sites = new Sites6({
      iface: `, routerAdvertisement: {onLink: false, lifetimeSeconds: 0}`,
      addresses: '["2001:db8:10::1/64", "2001:db8:11::1/80"]',
    });
    sites.vm1.solicitRouter();
    sites.world.advance(600);
    expect(sites.vm1.advertisements.at(-1)).toMatchObject({
      lifetimeSeconds: 0,
      prefixes: [
        { onLink: false, autonomous: true },
        { onLink: false, autonomous: false },
      ],
    });
  });
});

describe("router solicitations", () => {
  it("are answered within half a second, in a frame to the host alone, and hidden from other sites", () => {
    const sites = new Sites6({ iface: RA });
    sites.vm1.solicitRouter();
    sites.vm1.solicitRouter(0n);
    sites.world.advance(600);
    expect(sites.vm1.heard.map(({ ethDst }) => ethDst)).toEqual([sites.vm1.mac, sites.vm1.mac]);
    expect(sites.said(sites.vm1).sort()).toEqual(["RA fe80::1>fe80::111 gw1", "RA fe80::1>ff02::1 gw1"]);
    expect([sites.said(sites.vm3), sites.said(sites.vm4), sites.inTunnels()]).toEqual([[], [], []]);
  });

  it("in a flood are answered ten times a second at a port, and others are answered all the same", () => {
    const sites = new Sites6({ iface: RA });
    for (let n = 0; n < 200; n++) sites.vm1.solicitRouter();
    sites.vm3.solicitRouter();
    sites.world.advance(900);
    expect([times(sites, "vm1"), times(sites, "vm3")]).toEqual([10, 1]);
    expect(sites.gw1.drops.punt_limited).toBe(190);
  });

  it("are bridged where the gateway does not advertise: somebody else may be the router", () => {
    const sites = new Sites6();
    sites.vm1.solicitRouter();
    sites.world.settle();
    expect(sites.said(sites.vm4)).toEqual(["RS fe80::111>ff02::2 vm1"]);
  });
});

describe("what is refused in the configuration", () => {
  const wrong = (options: Parameters<typeof site6>[1]) => () => new Sites6(options);
  it.each([
    ["without an IPv6 address", { iface: RA, addresses: "10.1.1.1/24" }, "no IPv6 address to advertise"],
    [
      "a lifetime that ends before the next one",
      { iface: ", routerAdvertisement: {lifetimeSeconds: 100}" },
      "ends before the next",
    ],
    [
      "more than a packet holds",
      { iface: RA, addresses: `[${Array.from({ length: 40 }, (_, n) => `"2001:db8:${n + 1}::1/64"`)}]` },
      "advertisement of",
    ],
    ["an IPv4 DNS server", { iface: ", routerAdvertisement: {dns: [10.1.1.53]}" }, "is no IPv6 address"],
    ["a domain that is none", { iface: ', routerAdvertisement: {search: ["a..b"]}' }, "is no domain name"],
  ])("%s", (_, options, message) => expect(wrong(options)).toThrow(message));
});
