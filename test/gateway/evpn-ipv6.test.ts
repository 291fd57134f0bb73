/**
 * IPv6 of whole gateways in a fabric: hosts as type 2 (neighbours, suppression, asymmetric IRB), prefixes as type 5 and hosts by an
 * L3VNI (symmetric IRB), and what becomes of them when hosts, routes or gateways go.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { formatIp } from "../../src/control/ip.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { routeViews } from "../../src/control/topology/views.ts";
import { nlriText, plainOf } from "../../src/evpn/route.ts";
import { sentencesOf, routeViews as storyOf } from "../../src/evpn/story.ts";
import { formatMac, type Mac, parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT } from "../../src/wire/icmp6.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { parseNd } from "../../src/wire/nd.ts";
import { PingingHost6 } from "./evpn-host6.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { World } from "./world.ts";

const VRFS = "vrfs: [{name: red, l3vni: 4001}]";
const both = (vni: number) => `[10.1.${vni}.1/24, "2001:db8:${vni}::1/64"]`;

/** Gateway `n`: its VSIs, each with a guest's AC. */
const leaf = (
  n: number,
  vnis: readonly number[],
  { vrfs = "", addresses = both, more = "" } = {},
): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [${vnis.map((vni) => `{name: vsi${vni}, vni: ${vni}, evpn: {}${more}}`).join(", ")}]
interfaces: [${vnis.map((vni) => `{name: if${vni}, vsi: vsi${vni}, address: ${addresses(vni)}${vrfs === "" ? "" : ", vrf: red"}}`).join(", ")}]
${vrfs}
acs: [${vnis.map((vni) => `{name: h${n}-${vni}, vsi: vsi${vni}, tap: {device: t${n}-${vni}}}`).join(", ")}]
control: {socket: /run/gw${n}.sock}
`;

/** Border `n`: an uplink in the VRF with a router behind it, and no VNI but the L3VNI. */
const border = (n: number): string => `node: border${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: uplink}]
interfaces: [{name: up, vsi: uplink, address: "2001:db8:50:${n}::1/64", vrf: red, distributed: false}]
vrfs: [{name: red, l3vni: 4001, evpn: {advertise: {default: true}}}]
routes:
  - {prefix: "::/0", nextHop: "2001:db8:50:${n}::2", vrf: red}
  - {prefix: "2001:db8:ff${n}::/48", nextHop: "2001:db8:50:${n}::2", vrf: red}
acs: [{name: ext${n}, vsi: uplink, tap: {device: e${n}}}]
control: {socket: /run/border${n}.sock}
`;

let site: EvpnWorld;
let world: World;
const pass = (ms: number): void => site.pass(ms);

beforeEach(() => {
  site = new EvpnWorld();
  world = site.world;
  for (const n of [1, 2, 3, 4]) world.net.inbox(`192.0.2.${n}`);
});

const macText = (n: number, vni: number) => `02:00:00:00:${vni}:1${n}`;
const ipText = (n: number, vni: number) => `2001:db8:${vni}::1${n}`;
const guest = ({ gateway }: Member, n: number, vni: number) =>
  new PingingHost6(gateway, `h${n}-${vni}`, macText(n, vni), ipText(n, vni), `2001:db8:${vni}::1`);

/** A ping, and once more where the first had to ask for a MAC. */
function ping(host: PingingHost6, to: string, hops = 64): string[] {
  host.replies.length = 0;
  if (!host.ping(to, hops)) {
    pass(100);
    host.ping(to, hops);
  }
  pass(200);
  return [...host.replies];
}

/** Routes of hosts that `member` announces. */
const hostsOf = ({ engine }: Member): string[] =>
  engine
    .announced()
    .flatMap((route) => (route.type === 2 ? [nlriText(route)] : []))
    .sort();
const neighborAt = ({ gateway }: Member, iface: string, ip: string) => {
  const { agent, inventory } = gateway.control.shown;
  const entry = agent.neighbors.find(inventory.interface(iface)!, parseIpv6(ip)!);
  return entry === undefined ? null : `${entry.origin} ${entry.place?.port.name} ${formatMac(entry.place!.mac)}`;
};
/** Datagrams from VTEP `from` to VTEP `to`. */
const between = (from: number, to: number) =>
  world.seen.filter(
    (seen) => seen.where === "underlay" && seen.from.startsWith(`192.0.2.${from}`) && seen.to === `192.0.2.${to}`,
  );

describe("two gateways with the same subnets", () => {
  let [one, two]: Member[] = [];
  let [a1, b1, a2, b2]: PingingHost6[] = [];

  beforeEach(() => {
    [one, two] = [1, 2].map((n) => site.join(leaf(n, [10, 20])));
    [a1, b1, a2, b2] = [guest(one!, 1, 10), guest(one!, 1, 20), guest(two!, 2, 10), guest(two!, 2, 20)];
    pass(1000);
    for (const host of [a1!, b1!, a2!, b2!]) host.hello();
    pass(1000);
    world.clear();
    for (const { host } of [a1!, a2!]) host.heard.length = 0;
  });

  it("announce a host's address with its own MAC, and what is of the link by the MAC alone", () => {
    a1!.host.ask(parseIpv6("2001:db8:10::1")!, { from: a1!.host.addresses[1]! });
    pass(1000);
    const mac = `[2]:[0]:[48]:[${macText(1, 10)}]`;
    const ours = one!.engine.announced().filter((route) => route.type === 2 && route.labels[0] === 10);
    expect(ours.map(nlriText).sort()).toEqual([mac, `${mac}:[128]:[2001:db8:10::11]`]);
    expect(ours.map(plainOf).find((route) => route.type === 2 && route.ip !== null)).toEqual({
      ...{ type: 2, rd: "192.0.2.1:10", tag: 0, nextHop: "192.0.2.1", targets: ["65000:10"], encap: 8 },
      ...{ mac: parseMac(macText(1, 10)), ip: "2001:db8:10::11", labels: [10], segment: null, sequence: null },
      ...{ isSticky: false, isGateway: false, routerMac: null },
    });
  });

  it("have each other's as neighbours, which answer without a flood, with the host's own MAC", () => {
    expect(neighborAt(one!, "if10", ipText(2, 10))).toBe(`evpn evpn:192.0.2.2 ${macText(2, 10)}`);
    a1!.host.ask(a2!.ip);
    pass(100);
    expect(a1!.host.neighbors.get(a2!.ip)).toBe(a2!.host.mac);
    const [told] = a1!.host.heard.filter(({ type }) => type === ICMP6_NEIGHBOR_ADVERTISEMENT);
    expect(told).toMatchObject({ target: a2!.ip, isRouter: false, isSolicited: true, isOverride: true });
    expect(between(1, 2)).toEqual([]);
  });

  it("tell one that probes for an address of another site that it is taken, and not its own host", () => {
    a1!.host.probe(a2!.ip);
    pass(100);
    expect(a1!.host.duplicates).toEqual([a2!.ip]);
    expect(between(1, 2)).toEqual([]);
  });

  it("leave a router's link-local address to itself: an answer without its flag would end it as a router (RFC 4861 §7.3.3)", () => {
    a2!.host.isRouter = true;
    const target = a2!.host.addresses[1]!;
    a2!.host.ask(parseIpv6("2001:db8:10::1")!, { from: target });
    pass(1000);
    world.clear();
    a1!.host.ask(target);
    pass(100);
    expect(a1!.host.heard.at(-1)).toMatchObject({ target, isRouter: true, ethSrc: a2!.host.mac });
  });

  it("bridge in one subnet, and route to the other into its VNI (asymmetric IRB)", () => {
    expect(ping(a1!, ipText(2, 10))).toEqual([`${ipText(2, 10)} hops=64`]);
    expect(ping(a1!, ipText(2, 20))).toEqual([`${ipText(2, 20)} hops=63`]);
    for (const { gateway } of site.members) expect(gateway.drops).toEqual({});
  });

  it("ask for an unknown host in their own name, at the ACs and at every VTEP; heard there it has a route", () => {
    two!.gateway.control.agent.neighbors.flushLearned(null);
    pass(1000);
    expect(neighborAt(one!, "if20", ipText(2, 20))).toBeNull();
    world.clear();
    expect(ping(a1!, ipText(2, 20))).toEqual([`${ipText(2, 20)} hops=63`]);
    const asked = between(1, 2).flatMap(({ bytes }) => parseNd(bytes, 8, bytes.length) ?? []);
    expect(asked[0]).toMatchObject({ src: parseIpv6("2001:db8:20::1"), mac: parseMac("02:00:5e:00:00:14") });
    pass(1000);
    expect(neighborAt(one!, "if20", ipText(2, 20))).toBe(`evpn evpn:192.0.2.2 ${macText(2, 20)}`);
  });

  it("take back an address that is heard no more, and keep the MAC", () => {
    two!.gateway.control.agent.neighbors.flushLearned(null, 6);
    pass(1000);
    expect(hostsOf(two!)).toEqual([10, 20].map((vni) => `[2]:[0]:[48]:[${macText(2, vni)}]`));
    expect(neighborAt(one!, "if10", ipText(2, 10))).toBeNull();
    expect(site.members[0]!.evpn.vrfs.vsi("vsi10")!.counts().ips).toEqual({ used: 0, shadowed: 0, out: 1 });
  });

  it("follow a host that moves, with a sequence, and back", () => {
    const [mac, ip] = [a2!.host.mac, a2!.ip];
    const said = (member: Member) =>
      member.engine
        .announced()
        .flatMap((route) => (route.type === 2 && route.mac === mac ? [`${route.ip ?? "-"} ${route.sequence}`] : []))
        .sort();
    const speakAt = (host: PingingHost6) => {
      const dst = parseIpv6("2001:db8:10::1")!;
      const frame = [...host.host.addresses];
      host.host.addresses[0] = ip;
      const own = host.host.mac;
      (host.host as { mac: Mac }).mac = mac;
      host.host.ask(dst, { from: ip, mac });
      (host.host as { mac: Mac }).mac = own;
      host.host.addresses.splice(0, frame.length, ...frame);
      pass(1000);
    };
    a2!.host.alive = false;
    speakAt(a1!);
    expect([said(one!), said(two!)]).toEqual([["- 1", `${formatIp(ip)} 1`], []]);
    expect(neighborAt(two!, "if10", formatIp(ip))).toBe(`evpn evpn:192.0.2.1 ${formatMac(mac)}`);
    a2!.host.alive = true;
    a2!.hello();
    pass(1000);
    expect([said(one!), said(two!)]).toEqual([[], ["- 2", `${formatIp(ip)} 2`]]);
  });

  it("keep what is stale, say so, and sweep what did not come again", () => {
    site.fabric.setReflecting(false);
    pass(5000);
    const state = () =>
      [...rowsOf(storyOf(one!.evpn, () => world.net.nowMs))].find(({ route }) => route.includes(ipText(2, 10)))?.state;
    expect(state()).toBe("used, stale");
    expect(ping(a1!, ipText(2, 20))).toEqual([`${ipText(2, 20)} hops=63`]);
    two!.engine.kill();
    site.fabric.setReflecting(true);
    pass(5000);
    expect(state()).toBeUndefined();
    expect(neighborAt(one!, "if10", ipText(2, 10))).toBeNull();
  });

  it("say why: the route, its VTEP, its MAC", () => {
    expect(sentencesOf(one!.evpn, { ip: ipText(2, 10) }, 0).join()).toContain(
      `${ipText(2, 10)} with MAC ${macText(2, 10)} is behind VTEP 192.0.2.2 in VSI vsi10: EVPN type 2 of RD 192.0.2.2:10`,
    );
  });
});

it("localProxy answers for a host of a route with the gateway's MAC, and routes to it", () => {
  const members = [1, 2].map((n) => site.join(leaf(n, [10], { more: n === 1 ? ", arp: localProxy" : "" })));
  const [one, two] = members.map((member, n) => guest(member, n + 1, 10));
  pass(1000);
  for (const host of [one!, two!]) host.hello();
  pass(1000);
  // The answer goes back to the gateway MAC from which the question came.
  expect(ping(one!, ipText(2, 10))).toEqual([`${ipText(2, 10)} hops=63`]);
  expect(formatMac(one!.host.neighbors.get(two!.ip)!)).toBe("02:00:5e:00:00:0a");
});

it("asks no silent host for an address of a family that the VSI-interface has none of", () => {
  const addresses = (vni: number) => `10.1.${vni}.1/24`;
  const member = site.join(leaf(1, [10], { addresses, more: ", mac: {ageSeconds: 10}" }));
  const host = guest(member, 1, 10);
  pass(1000);
  host.host.tell(host.ip);
  pass(2000);
  expect(hostsOf(member)).toHaveLength(2);
  host.host.frames.length = 0;
  pass(10_000);
  expect(host.host.frames.map((frame) => Buffer.from(frame).toString("hex"))).toEqual([]);
});

it("where the VSI-interface has no IPv6, hosts are announced as suppression hears them, and answered for", () => {
  const addresses = (vni: number) => `10.1.${vni}.1/24`;
  const members = [1, 2].map((n) => site.join(leaf(n, [10], { addresses })));
  const [one, two] = members.map((member, n) => guest(member, n + 1, 10));
  pass(1000);
  for (const host of [one!, two!]) host.host.tell(host.ip);
  pass(1000);
  expect(members.map(hostsOf)).toEqual(
    [1, 2].map((n) => {
      const mac = `[2]:[0]:[48]:[${macText(n, 10)}]`;
      return [mac, `${mac}:[128]:[${ipText(n, 10)}]`];
    }),
  );
  world.clear();
  expect(ping(one!, ipText(2, 10))).toEqual([`${ipText(2, 10)} hops=64`]);
  const asked = between(1, 2).filter(({ bytes }) => parseNd(bytes, 8, bytes.length) !== null);
  expect(asked).toEqual([]);
  expect([...members[0]!.evpn.refused.values()].some((count) => count > 0)).toBe(false);
});

/** "prefix next hop, next hop" of the fabric's IPv6 routes. */
function learned({ gateway }: Member): string[] {
  const { tables, inventory, routes, topology } = gateway.control.shown;
  const parts = { tables, inventory, routes, hops: topology, vrfNames: topology.interfaces.vrfNames() };
  return [...rowsOf(routeViews(parts))]
    .filter(({ origin, vrf, prefix }) => origin === "evpn" && vrf === "red" && prefix.includes(":"))
    .map(({ prefix, nextHops }) => `${prefix} ${nextHops.map(({ ip }) => ip).join(" ")}`);
}

describe("two leaves without a VNI in common", () => {
  let [one, two]: Member[] = [];
  let [a, b]: PingingHost6[] = [];
  const routerMac = ({ gateway }: Member) => gateway.control.shown.inventory.interface("l3vni:4001")!.mac;

  beforeEach(() => {
    one = site.join(leaf(1, [10], { vrfs: VRFS }));
    two = site.join(leaf(2, [20], { vrfs: VRFS }));
    [a, b] = [guest(one, 1, 10), guest(two, 2, 20)];
    pass(1000);
    for (const host of [a, b]) host.hello();
    pass(1000);
    world.clear();
  });

  it("announce their subnets and hosts with the L3VNI, and have each other's", () => {
    expect(learned(one!)).toEqual(["2001:db8:20::/64 192.0.2.2", "2001:db8:20::12/128 192.0.2.2"]);
    expect(learned(two!)).toEqual(["2001:db8:10::/64 192.0.2.1", "2001:db8:10::11/128 192.0.2.1"]);
    const ours = one!.engine.announced().map(plainOf);
    expect(ours.find((route) => route.type === 2 && route.ip?.includes(":"))).toMatchObject({
      ...{ rd: "192.0.2.1:10", targets: ["65000:10", "65000:4001"], labels: [10, 4001], routerMac: routerMac(one!) },
    });
    expect(ours.find((route) => route.type === 5 && typeof route.network === "bigint")).toEqual({
      ...{ type: 5, rd: "192.0.2.1:4001", tag: 0, nextHop: "192.0.2.1", targets: ["65000:4001"], encap: 8 },
      ...{ network: parseIpv6("2001:db8:10::"), length: 64, label: 4001, gateway: null, segment: null },
      routerMac: routerMac(one!),
    });
  });

  it("route to each other's hosts through the L3VNI (symmetric IRB): the frame between them, byte by byte", () => {
    expect(ping(a!, ipText(2, 20))).toEqual([`${ipText(2, 20)} hops=62`]);
    const [request] = between(1, 2);
    const macs = new Uint8Array(12);
    writeMac(macs, 0, routerMac(two!));
    writeMac(macs, 6, routerMac(one!));
    const golden = [
      "0800000000" + "0fa100", // VXLAN, VNI 4001
      Buffer.from(macs).toString("hex"),
      "86dd",
      "6000000000083a3f", // 8 bytes of ICMPv6, hop limit 63
      "20010db8001000000000000000000011",
      "20010db8002000000000000000000012",
      "8000",
    ].join("");
    expect(Buffer.from(request!.bytes).toString("hex")).toMatch(new RegExp(`^${golden}`));
    expect(ping(b!, ipText(1, 10))).toEqual([`${ipText(1, 10)} hops=62`]);
    for (const { gateway } of site.members) expect(gateway.drops).toEqual({});
  });

  it("tell of a hop limit that ends at the second one with an address of the VRF, and of a host that is not there", () => {
    expect(ping(a!, ipText(2, 20), 2)).toEqual(["2001:db8:20::1 time exceeded"]);
    a!.ping("2001:db8:20::77");
    pass(8000);
    expect(a!.replies).toContain("2001:db8:20::1 unreachable/3");
  });

  it("find a silent host behind the gateway whose subnet it is in", () => {
    two!.gateway.control.agent.neighbors.flushLearned(null);
    pass(1000);
    expect(learned(one!)).toEqual(["2001:db8:20::/64 192.0.2.2"]);
    expect(ping(a!, ipText(2, 20))).toEqual([`${ipText(2, 20)} hops=62`]);
    pass(500);
    expect(learned(one!)).toContain("2001:db8:20::12/128 192.0.2.2");
  });

  it("take back all of it when one leaves the VRF", () => {
    two!.reload(leaf(2, [20]));
    pass(1000);
    expect(learned(one!)).toEqual([]);
    const { tables } = one!.gateway;
    expect(tables.fib.lengths6.some((bits) => bits !== 0)).toBe(true);
  });
});

it("Borders share a default route of IPv6, which one without IPv6 does not announce", () => {
  const one = site.join(leaf(1, [10], { vrfs: VRFS }));
  const borders = [2, 3].map((n) => site.join(border(n)));
  const dual = `address: "2001:db8:50:4::1/64"`;
  const v4 = site.join(
    border(4)
      .replace(dual, "address: 50.1.4.1/24")
      .replace(/routes:(\n {2}- .*)+/, ""),
  );
  const a = guest(one, 1, 10);
  const outside = [2, 3].map(
    (n) =>
      new PingingHost6(
        borders[n - 2]!.gateway,
        `ext${n}`,
        `02:00:00:00:50:0${n}`,
        `2001:db8:50:${n}::2`,
        `2001:db8:50:${n}::1`,
      ),
  );
  pass(1000);
  for (const host of [a, ...outside]) host.hello();
  pass(1000);
  expect(learned(one)).toEqual([
    "::/0 192.0.2.2 192.0.2.3",
    "2001:db8:50:2::/64 192.0.2.2",
    "2001:db8:50:3::/64 192.0.2.3",
    "2001:db8:ff2::/48 192.0.2.2",
    "2001:db8:ff3::/48 192.0.2.3",
  ]);
  expect(ping(a, "2001:db8:50:3::2")).toEqual(["2001:db8:50:3::2 hops=62"]);
  world.clear();
  for (let n = 1; n <= 32; n++) a.ping(`2001:db8:ffff::${n.toString(16)}`);
  pass(200);
  const counts = [between(1, 2).length, between(1, 3).length];
  expect(counts[0]! + counts[1]!).toBe(32);
  expect(Math.min(...counts)).toBeGreaterThan(4);
  borders[0]!.evpn.close();
  pass(1000);
  expect(learned(one)[0]).toBe("::/0 192.0.2.3");
  borders[1]!.evpn.setDraining(true);
  pass(1000);
  expect(learned(one)).toEqual([]);
  expect(v4.engine.announced().some((route) => nlriText(route).includes("[::]"))).toBe(false);
});
