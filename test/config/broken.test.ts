/** Files with a broken value, a refused key or broken YAML; and what a complaint looks like. */
import { describe, expect, test } from "vitest";
import { formatErrors, nearest } from "../../src/config/error.ts";
import {
  acs,
  BASE,
  base,
  errorsOf,
  i1,
  interfaces,
  type Row,
  routes,
  rule,
  testRows,
  tunnels,
  underlay,
  vsis,
} from "./broken-files.ts";

const VALUES: readonly Row[] = [
  ["unknown key", `${BASE}nodes: 1\n`, 7, "nodes", "unknown key nodes; did you mean node?"],
  ["unknown key inside", vsis("unkown: 1"), 4, "vsis[0].unkown", "unknown key unkown"],
  ["misspelt key", vsis("tunels: [gw2]"), 4, "vsis[0].tunels", "did you mean tunnels?"],
  ["missing node", base({ node: "# no name" }), 2, "node", "node is missing"],
  ["missing underlay", base({ underlay: "" }), 1, "underlay", "underlay is missing"],
  ["missing name", vsis("", ", {vni: 9}"), 4, "vsis[3].name", "name is missing"],
  ["empty section", `${BASE}routes:\n`, 7, "routes", "has no value"],
  ["number for text", base({ node: "node: 12" }), 1, "node", "expected text, got 12"],
  ["text for a number", underlay('port: "4789"'), 2, "underlay.port", "expected a whole number"],
  ["fraction", underlay("port: 47.5"), 2, "underlay.port", "expected a whole number, got 47.5"],
  ["yes for true", i1("mssClamp: yes"), 5, "interfaces[0].mssClamp", "expected true or false"],
  ["text for a list", vsis("tunnels: gw2"), 4, "vsis[0].tunnels", "expected a list"],
  ["list for a mapping", `${BASE}log: [info]\n`, 7, "log", "expected a mapping"],
  ["bad name", acs("{name: 'a 1', vsi: v1, tap: {device: t1}}"), 6, "acs[0].name", "no good name"],
  ["VNI 0", vsis("", ", {name: v4, vni: 0}"), 4, "vsis[3].vni", "expected 1..16777215"],
  ["VNI 16777216", vsis("", ", {name: v4, vni: 16777216}"), 4, "vsis[3].vni", "out of range"],
  ["wrong word", vsis("arp: localproxi"), 4, "vsis[0].arp", 'expected localProxy | suppress | flood, got "localproxi"'],
  ["dscp 64", underlay("dscp: 64"), 2, "underlay.dscp", "expected copy | 0..63"],
  ["mtu as a word", underlay("mtu: big"), 2, "underlay.mtu", "expected auto | 626..65535"],
  ["no IP address", underlay("").replace("192.0.2.1", "192.0.2"), 2, "underlay.address", "no IP address"],
  ["multicast VTEP", tunnels("{name: gw2, remote: 239.1.1.1}"), 3, "tunnels[0].remote", "multicast"],
  ["link-local VTEP", tunnels("{name: gw2, remote: 'fe80::1%eth0'}"), 3, "tunnels[0].remote", "zone"],
  ["bad MAC", i1('mac: "02:00:00:00:00"'), 5, "interfaces[0].mac", "no MAC address"],
  ["group MAC", i1('mac: "03:00:00:00:00:01"'), 5, "interfaces[0].mac", "group address"],
  ["zero MAC", i1('mac: "00:00:00:00:00:00"'), 5, "interfaces[0].mac", "zero MAC"],
  ["MAC word misspelt", i1("mac: sharde"), 5, "interfaces[0].mac", 'got "sharde"'],
  [
    "gateway without length",
    interfaces("{name: i1, vsi: v1, address: 10.1.1.1}"),
    5,
    "interfaces[0].address",
    "prefix length",
  ],
  [
    "gateway = network",
    interfaces("{name: i1, vsi: v1, address: 10.1.1.0/24}"),
    5,
    "interfaces[0].address",
    "network address",
  ],
  [
    "gateway = broadcast",
    interfaces("{name: i1, vsi: v1, address: [10.1.1.255/24]}"),
    5,
    "interfaces[0].address[0]",
    "broadcast address",
  ],
  ["loopback gateway", interfaces("{name: i1, vsi: v1, address: 127.0.0.1/8}"), 5, "interfaces[0].address", "loopback"],
  [
    "host bits in a prefix",
    routes("{prefix: 50.1.1.7/24, nextHop: 10.1.1.2}"),
    7,
    "routes[0].prefix",
    "bits set behind its /24",
  ],
  ["prefix length 33", routes("{prefix: 50.1.1.0/33, nextHop: 10.1.1.2}"), 7, "routes[0].prefix", "no IPv4 prefix"],
  [
    "too many next hops",
    routes(`{prefix: 0.0.0.0/0, nextHops: [${"10.1.1.2, ".repeat(9)}]}`),
    7,
    "routes[0].nextHops",
    "at most 8",
  ],
  [
    "device name too long",
    acs("{name: a1, vsi: v1, tap: {device: abcdefghijklmnop}}"),
    6,
    "acs[0].tap.device",
    "15 bytes",
  ],
  [
    "device template",
    acs("{name: a1, vsi: v1, tap: {device: tap%d}}"),
    6,
    "acs[0].tap.device",
    "no name of a Linux device",
  ],
  [
    "one TAP in a namespace of two spellings",
    acs("{name: a1, vsi: v1, tap: {device: t, netns: x}}, {name: a2, vsi: v1, tap: {device: t, netns: /run/netns/x}}"),
    6,
    "acs[1].tap.device",
    "AC a1 is t in x, untagged, too",
  ],
  [
    "namespace outside /run/netns",
    acs("{name: a1, vsi: v1, tap: {device: t, netns: ../x}}"),
    6,
    "acs[0].tap.netns",
    "network namespace",
  ],
  ["vlan 4095", acs("{name: a1, vsi: v1, tap: {device: t}, vlan: 4095}"), 6, "acs[0].vlan", "untagged | 1..4094"],
  [
    "port range backwards",
    rule('match: {protocol: tcp, sourcePorts: "9-1"}, drop: true'),
    7,
    "policies[0].rules[0].match.sourcePorts",
    "ends before it begins",
  ],
  [
    "port 65536",
    rule("match: {protocol: tcp, sourcePorts: [65536]}, drop: true"),
    7,
    "policies[0].rules[0].match.sourcePorts[0]",
    "out of range",
  ],
  ["drop: false", rule("drop: false"), 7, "policies[0].rules[0].drop", "expected true"],
  ["relative socket", `${BASE}control: {socket: run/x.sock}\n`, 7, "control.socket", "no absolute path"],
  [
    "observe beside control",
    `${BASE}control: {observe: /run/vtepd/vtepd.sock}\n`,
    7,
    "control.observe",
    "control.socket is",
  ],
  [
    "attach beside control",
    `${BASE}control: {socket: /run/a.sock}\nattach: {socket: /run/a.sock}\n`,
    8,
    "attach.socket",
    "control.socket is /run/a.sock too",
  ],
  [
    "observe for no group",
    `${BASE}control: {observe: {socket: /run/o, group: "a b"}}\n`,
    7,
    "control.observe.group",
    "group",
  ],
  ["observe without a socket", `${BASE}control: {observe: {group: look}}\n`, 7, "control.observe.socket", "is missing"],
  ["socket path too long", `${BASE}control: {socket: /${"x".repeat(120)}}\n`, 7, "control.socket", "too long"],
  ["listen without port", `${BASE}metrics: {listen: 127.0.0.1}\n`, 7, "metrics.listen", "no address with a port"],
  ["no workers", `${BASE}workers: 0\n`, 7, "workers", "expected 1..16"],
  ["too many workers", `${BASE}workers: 17\n`, 7, "workers", "expected 1..16"],
  [
    "workers without a processor each",
    `${BASE}workers: {count: 2, cpus: [0]}\n`,
    7,
    "workers.cpus",
    "1 processor for 2",
  ],
  ["an unknown priority", `${BASE}workers: {priority: high}\n`, 7, "workers.priority", "auto | normal"],
  ["nice beyond the range", `${BASE}workers: {priority: {nice: -21}}\n`, 7, "workers.priority.nice", "out of range"],
  ["half a worker", `${BASE}workers: 1.5\n`, 7, "workers", "expected 1..16"],
  [
    "a weight of nothing",
    routes("{prefix: 0.0.0.0/0, nextHops: [{ip: 10.1.1.2, weight: 0}]}"),
    7,
    "routes[0].nextHops[0].weight",
    "1..16",
  ],
  ["a next hop asked too often", `${BASE}nextHopProbe: {intervalMs: 50}\n`, 7, "nextHopProbe.intervalMs", "100"],
  ["limit too small", `${BASE}limits:\n  macs: 1\n`, 8, "limits.macs", "expected 16..1048576"],
];

const HANDOVER: readonly Row[] = [
  ["no attach socket", acs("{name: a1, vsi: v1, handover: true}"), 6, "acs[0].handover", "no TAP can be handed over"],
  ["relative attach socket", `${BASE}attach: {socket: run/a}\n`, 7, "attach.socket", "no absolute path"],
  ["attach without a socket", `${BASE}attach: {}\n`, 7, "attach.socket", "socket is missing"],
];

const TEXT: readonly Row[] = [
  ["a key that was planned and never came", `${BASE}stateFile: /var/lib/x\n`, 7, "stateFile", "unknown key"],
  ["duplicate key", `${BASE}log: {}\nlog: {}\n`, 8, "log", "stands here twice, first in line 7"],
  ["tab", `${BASE}log:\n\tlevel: info\n`, 8, "", "tab is used as indentation"],
  ["open quote", `${BASE}log: {level: "info}\n`, 7, "", "Missing closing"],
  ["open bracket", `${BASE}routes: [\n`, 7, "", "]"],
  ["two documents", `${BASE}---\nnode: x\n`, 8, "", "second YAML document"],
  ["unknown alias", `${BASE}log: *x\n`, 7, "log", "no anchor &x"],
  ["tag", `${BASE}log: !!js/function {}\n`, 7, "", "tag"],
  ["YAML 1.1", `%YAML 1.1\n---\n${BASE}`, 1, "", "only YAML 1.2"],
  ["complex key", `${BASE}? [a]\n: 1\n`, 7, "", "plain text"],
  ["a list", "- node\n", 1, "", "not a mapping"],
  ["a word", "hello\n", 1, "", "not a mapping"],
  ["empty", "# nothing\n", 0, "", "empty"],
];

test("the base of all rows is good", () => expect(errorsOf(BASE)).toEqual([]));

describe.each([
  ["a value", VALUES],
  ["hand-over", HANDOVER],
  ["the text", TEXT],
])("%s", (_kind, rows) => testRows(rows));

test("all mistakes of a file are reported, in the order of the lines", () => {
  const text = base({
    underlay: "underlay: {address: 192.0.2.1, dscp: 99}",
    vsis: "vsis: [{name: v1, vni: 1}, {name: v2, vni: 1}]",
    acs: "acs: [{name: a1, vsi: vx, tap: {device: t1}}]",
  });
  expect(errorsOf(`${text}rutes: []\n`).map((error) => [error.line, error.rule])).toEqual([
    [2, "out-of-range"],
    [4, "duplicate-vni"],
    [6, "unknown-vsi"],
    [7, "unknown-key"],
  ]);
});

test("a complaint as people see it", () => {
  expect(formatErrors(errorsOf("node: gw1\nunderlay:\n  address: 192.0.2.1\n  prot: 4789\n"))).toBe(
    [
      "gw1.yaml:4:3: underlay.prot: unknown key prot; did you mean port? [unknown-key]",
      "  4 |   prot: 4789",
      "    |   ^^^^",
      "  fix: write port, or remove it",
    ].join("\n"),
  );
});

test("the word that was meant", () => {
  const words = ["tunnels", "vni", "vsi", "mac"];
  expect(
    ["tunels", "tunnles", "vmi", "TUNNELS", "", "x", "mtu", "tunnelling"].map((word) => nearest(word, words)),
  ).toEqual(["tunnels", "tunnels", "vni", "tunnels", null, null, null, null]);
});
