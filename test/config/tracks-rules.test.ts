/** Tracks in the file: who asks, what the shorter words mean, and what is refused. */
import { expect, it } from "vitest";
import { changesOf } from "../../src/config/change-list.ts";
import { configDiff } from "../../src/config/diff.ts";
import { parseConfig } from "../../src/config/load.ts";
import { BASE, base, type Row, testRows } from "./broken-files.ts";

function good(text: string) {
  const result = parseConfig(text, "gw1.yaml");
  if ("errors" in result) throw new Error(result.errors[0]!.message);
  return result.config;
}

const UP = base({
  interfaces: "interfaces: [{name: i1, vsi: v1, address: 10.1.1.1/24}, {name: out, vsi: up, address: 50.1.1.254/24}]",
});
const tracks = (list: string) => `${UP}tracks: [${list}]\n`;
const BOTH = base({
  interfaces: `interfaces: [{name: i1, vsi: v1, address: [10.1.1.1/24, "2001:db8:10::1/64"], icmpSource: 10.1.1.251}, {name: out, vsi: up, address: [50.1.1.254/24, "2001:db8:50::fe/64"], linkLocal: "fe80::fe"}]`,
});
const tracks6 = (list: string) => `${BOTH}tracks: [${list}]\n`;
const ISP = "{name: isp, icmp: 60.1.1.1, interface: out, via: 50.1.1.1}";

it("a track asks from a VSI-interface, through the underlay, or looks at an AC", () => {
  const { tracks: list } = good(
    tracks(`${ISP}, {name: spine, icmp: 192.0.2.9, intervalMs: 200}, {name: cable, ac: a1}`),
  );
  const pace = { intervalMs: 500, multiplier: 3 };
  expect(list.map(({ target }) => target)).toEqual([
    {
      kind: "overlay",
      address: { text: "60.1.1.1", ip: 0x3c010101 },
      interface: "out",
      via: { text: "50.1.1.1", ip: 0x32010101 },
      pace,
    },
    { kind: "underlay", address: "192.0.2.9", pace: { ...pace, intervalMs: 200 } },
    { kind: "ac", ac: "a1" },
  ]);
});

it("a host of IPv6 is asked with an address of IPv6, through a neighbour of the subnet or of the link", () => {
  const { tracks: list } = good(
    tracks6(
      '{name: a, icmp: "2001:db8:60::1", interface: out, via: "2001:db8:50:0::1"}, {name: b, icmp: "2001:db8:60::1", interface: out, via: "fe80::9%out"}, {name: c, icmp: 60.1.1.1, interface: i1}',
    ),
  );
  const address = { text: "2001:db8:60::1", ip: 0x20010db8_0060_0000_0000_0000_0000_0001n };
  expect(list.map(({ target }) => target)).toMatchObject([
    { kind: "overlay", address, via: { text: "2001:db8:50::1", ip: 0x20010db8_0050_0000_0000_0000_0000_0001n } },
    { kind: "overlay", address, via: { text: "fe80::9%out", ip: 0xfe800000_0000_0000_0000_0000_0000_0009n } },
    { kind: "overlay", via: null },
  ]);
});

it("the track of a route or rule is that of its next hops that name none", () => {
  const config = good(
    `${tracks(`${ISP}, {name: cable, ac: a1}`)}routes: [{prefix: 0.0.0.0/0, track: isp, nextHops: [50.1.1.1, {ip: 10.1.1.2, track: cable}]}]
policies: [{name: p, interfaces: [i1], rules: [{nextHop: 50.1.1.1, track: isp}]}]
drain: {track: isp}
`,
  );
  const tracksOf = (of: unknown) => (of as { nextHops: { track: string | null }[] }).nextHops.map(({ track }) => track);
  expect(tracksOf(config.routes[0]!.target)).toEqual(["isp", "cable"]);
  expect(tracksOf(config.policies[0]!.rules[0]!.action)).toEqual(["isp"]);
  expect(config.drain).toEqual({ seconds: 4, track: "isp" });
});

it("a change of a track is one by its name, without a restart", () => {
  const [from, to] = [good(tracks(ISP)), good(tracks(ISP.replace("}", ", multiplier: 5}")))];
  const diff = configDiff(from, to);
  expect(diff).toMatchObject({ settings: [], needsRestart: [], empty: false });
  expect(changesOf(diff, from, to)).toEqual([
    { action: "change", kind: "track", name: "isp", details: [{ path: "multiplier", from: "3", to: "5" }] },
  ]);
});

const uses = (line: string) => `${tracks(ISP)}${line}\n`;
const RULES: readonly Row[] = [
  ["asks nothing", tracks("{name: t}"), 7, "tracks[0]", "asks nothing"],
  ["asks twice", tracks("{name: t, icmp: 60.1.1.1, ac: a1}"), 7, "tracks[0]", "both icmp and ac"],
  ["one name for two", tracks(`${ISP}, {name: isp, ac: a1}`), 7, "tracks[1].name", "is called isp too"],
  ["no such AC", tracks("{name: t, ac: a2}"), 7, "tracks[0].ac", "there is no AC a2"],
  ["a pace of an AC", tracks("{name: t, ac: a1, multiplier: 3}"), 7, "tracks[0].multiplier", "is of icmp alone"],
  ...[
    "{prefix: 0.0.0.0/0, nextHop: 50.1.1.1, track: far}",
    "{prefix: 60.1.1.1/32, nextHop: 50.1.1.1, track: far}",
    "{prefix: 60.0.0.0/8, nextHops: [{ip: 50.1.1.1, track: far}, {ip: 10.1.1.2, priority: 2}]}",
    "{prefix: 60.0.0.0/8, nextHops: [50.1.1.1, 10.1.1.2], track: far}",
  ].map(
    (route): Row => [
      `asked by ${route}`,
      `${tracks("{name: far, icmp: 60.1.1.1, interface: out}")}routes: [${route}]\n`,
      7,
      "tracks[0].icmp",
      "which depends on this track",
    ],
  ),
  [
    "no such interface",
    tracks("{name: t, icmp: 6.1.1.1, interface: i9}"),
    7,
    "tracks[0].interface",
    "there is no VSI-interface",
  ],
  [
    "an answer that another gateway gets",
    tracks("{name: t, icmp: 6.1.1.1, interface: i1}"),
    7,
    "tracks[0].interface",
    "icmpSource",
  ],
  [
    "an interface of IPv6 alone",
    `${base({ interfaces: 'interfaces: [{name: i1, vsi: v1, address: "2001:db8::1/64", distributed: false}]' })}tracks: [{name: t, icmp: 6.1.1.1, interface: i1}]\n`,
    7,
    "tracks[0].interface",
    "no IPv4 address",
  ],
  ["ourselves", tracks("{name: t, icmp: 10.1.1.1, interface: out}"), 7, "tracks[0].icmp", "our own address"],
  ["our own VTEP", tracks("{name: t, icmp: 192.0.2.1}"), 7, "tracks[0].icmp", "our own VTEP"],
  ["another family", tracks('{name: t, icmp: "2001:db8::1"}'), 7, "tracks[0].icmp", "the underlay is IPv4"],
  [
    "IPv6 from a VSI-interface without it",
    tracks('{name: t, icmp: "2001:db8::1", interface: out}'),
    7,
    "tracks[0].interface",
    "no IPv6 address",
  ],
  [
    "an answer by IPv6 that another gateway gets",
    tracks6('{name: t, icmp: "2001:db8:60::1", interface: i1}'),
    7,
    "tracks[0].interface",
    "its IPv6 address is on all of them",
  ],
  ["ourselves by IPv6", tracks6('{name: t, icmp: "2001:db8:10::1", interface: out}'), 7, "tracks[0].icmp", "our own"],
  [
    "a way of the other family",
    tracks6('{name: t, icmp: "2001:db8:60::1", interface: out, via: 50.1.1.1}'),
    7,
    "tracks[0].via",
    "not of the family of 2001:db8:60::1",
  ],
  [
    "a way of IPv6 that is far",
    tracks6('{name: t, icmp: "2001:db8:60::1", interface: out, via: "2001:db8:51::1"}'),
    7,
    "tracks[0].via",
    "no subnet of out",
  ],
  [
    "a link-local way of another VSI-interface",
    tracks6('{name: t, icmp: "2001:db8:60::1", interface: out, via: "fe80::9%i1"}'),
    7,
    "tracks[0].via",
    "no subnet of out",
  ],
  [
    "a link-local way that is our own",
    tracks6('{name: t, icmp: "2001:db8:60::1", interface: out, via: "fe80::fe%out"}'),
    7,
    "tracks[0].via",
    "our own address, on out",
  ],
  [
    "a link-local way on no VSI-interface",
    tracks6('{name: t, icmp: "2001:db8:60::1", interface: out, via: "fe80::9"}'),
    7,
    "tracks[0].via",
    "on which VSI-interface?",
  ],
  [
    "a way that is far",
    tracks("{name: t, icmp: 6.1.1.1, interface: out, via: 51.1.1.1}"),
    7,
    "tracks[0].via",
    "no subnet of out",
  ],
  [
    "a way that we are",
    tracks("{name: t, icmp: 6.1.1.1, interface: out, via: 50.1.1.254}"),
    7,
    "tracks[0].via",
    "our own address",
  ],
  [
    "a way without a start",
    tracks("{name: t, icmp: 192.0.2.9, via: 50.1.1.1}"),
    7,
    "tracks[0].via",
    "VSI-interface that asks",
  ],
  ["too fast", tracks("{name: t, icmp: 192.0.2.9, intervalMs: 50}"), 7, "tracks[0].intervalMs", "100..60000"],
  ["drain by no track", `${BASE}drain: {track: isp}\n`, 7, "drain.track", "there is no track isp"],
  [
    "a route by no track",
    uses("routes: [{prefix: 6.0.0.0/8, nextHop: 50.1.1.1, track: ips}]"),
    8,
    "routes[0].track",
    "there is no track ips",
  ],
  [
    "a next hop by no track",
    uses("routes: [{prefix: 6.0.0.0/8, nextHops: [{ip: 50.1.1.1, track: x}]}]"),
    8,
    "routes[0].nextHops[0].track",
    "no track x",
  ],
  [
    "a route without next hop",
    uses("routes: [{prefix: 6.0.0.0/8, action: discard, track: isp}]"),
    8,
    "routes[0].track",
    "no next hop",
  ],
  [
    "a rule without next hop",
    uses("policies: [{name: p, interfaces: [i1], rules: [{drop: true, track: isp}]}]"),
    8,
    "policies[0].rules[0].track",
    "no next hop",
  ],
  [
    "a rule by no track",
    uses("policies: [{name: p, interfaces: [i1], rules: [{nextHop: 50.1.1.1, track: x}]}]"),
    8,
    "policies[0].rules[0].track",
    "no track x",
  ],
];
testRows(RULES);

it("the circle of a track is found through another VRF too, and where that has a nearer way there is none", () => {
  const mistakes = (more = "") => {
    const text = `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
vsis: [{name: vsi30, vni: 30}, {name: uplink}]
interfaces:
  - {name: if30, vsi: vsi30, address: 10.3.1.1/24, vrf: red, icmpSource: 10.3.1.251}
  - {name: up, vsi: uplink, address: 50.1.1.1/24, distributed: false}
acs: [{name: ext, vsi: uplink, tap: {device: t3}}]
tracks: [{name: isp, icmp: 203.0.113.1, interface: if30}]
routes:
  - {prefix: 10.3.1.0/24, viaVrf: red}
  - {prefix: 0.0.0.0/0, nextHop: 50.1.1.2, track: isp}
  - {prefix: 0.0.0.0/0, vrf: red, viaVrf: main}
${more}control: {socket: /run/gw1.sock}
`;
    const result = parseConfig(text, "gw1.yaml");
    return "errors" in result ? result.errors.map(({ message }) => message) : [];
  };
  expect(mistakes()).toEqual(["203.0.113.1 is asked by route 0.0.0.0/0, which depends on this track"]);
  expect(mistakes("  - {prefix: 203.0.113.0/24, nextHop: 50.1.1.3}\n")).toEqual([]);
});
