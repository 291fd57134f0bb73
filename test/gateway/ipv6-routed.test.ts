/** IPv6 between hosts of two sites, routed: two gateways, static neighbours, hop limits 64, 63, 62, and everything that is answered. */
import { describe, expect, it } from "vitest";
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, parseMac, readMac } from "../../src/wire/ethernet.ts";
import { checksum6 } from "../../src/wire/icmp6.ts";
import { formatIpv6, readIpv6 } from "../../src/wire/ipv6.ts";
import { packet6, sealed, udp6 } from "../dataplane/packets6.ts";
import { gw, sites } from "./sites.ts";
import type { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const L3 = ETH_BYTES;
const L4 = L3 + 40;
const mac = (text: string) => parseMac(text)!;
const gatewayMac = (site: number, vxlan: number) => `02:aa:00:00:0${site}:${vxlan}`;

/** Hosts: name, site, VXLAN, number. */
const HOSTS = [
  ["vm1", 1, 10, 11],
  ["vm2", 1, 20, 11],
  ["vm4", 2, 10, 12],
  ["vm5", 2, 20, 12],
] as const;
const macOf = (name: string) => `02:00:00:00:00:0${name.slice(2)}`;
const ipOf = (name: string) => {
  const [, , vxlan, number] = HOSTS.find(([each]) => each === name)!;
  return `2001:db8:${vxlan}::${number}`;
};

function yaml(site: number, { more = "", iface = "" } = {}): string {
  const other = 3 - site;
  const interfaces = [10, 20].map((vxlan) => {
    const statics = HOSTS.filter(([, , its]) => its === vxlan).map(([name, home, , number]) => {
      const there =
        home === site ? `mac: "${macOf(name)}", ac: ${name}` : `mac: "${gatewayMac(other, vxlan)}", tunnel: gw${other}`;
      return `{ip: "2001:db8:${vxlan}::${number}", ${there}}`;
    });
    return `  - {name: if${vxlan}, vsi: vsi${vxlan}, address: [${vxlan}.1.1.1/24, "2001:db8:${vxlan}::1/64"], mac: "${gatewayMac(site, vxlan)}"${iface.replaceAll("#", String(vxlan))}, neighbors: {static: [${statics.join(", ")}]}}`;
  });
  const acs = HOSTS.filter(([, home]) => home === site).map(
    ([name, , vxlan]) => `{name: ${name}, vsi: vsi${vxlan}, tap: {device: ${name}}}`,
  );
  return `vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
${interfaces.join("\n")}
acs: [${acs.join(", ")}]
${more}`;
}

function world(options: Parameters<typeof yaml>[1] = {}): World {
  const made = sites(2, (n) => yaml(n, options));
  for (const [name, site, vxlan, number] of HOSTS)
    made.vm(gw(made, site), { name, ip: `${vxlan}.1.1.${number}`, mac: macOf(name) });
  made.settle();
  made.clear();
  return made;
}

const ends = (from: string, to: string) => {
  const [, site, vxlan] = HOSTS.find(([each]) => each === from)!;
  return { src: mac(macOf(from)), dst: mac(gatewayMac(site, vxlan)), from: ipOf(from), to };
};

function send(made: World, from: string, frame: Uint8Array): void {
  made.get(from).tap.send(frame);
  made.settle();
}

const heard = (vm: Vm) => vm.received.filter((frame) => frame[12] === 0x86 && frame[13] === 0xdd);
/** An ICMPv6 message: source, type/code, and that its checksum is right. */
const icmp = (frame: Uint8Array) => {
  expect(checksum6(frame, L3, frame.length - L4)).toBe(0xffff);
  return `${formatIpv6(readIpv6(frame, L3 + 8))} ${frame[L4]}/${frame[L4 + 1]}`;
};

function echo(from: string, to: string, bytes = 16): Uint8Array {
  const rest = new Uint8Array(8 + bytes).fill(7);
  rest.set([128, 0, 0, 0, 0x12, 0x34, 0, 1]);
  return sealed(packet6({ ...ends(from, to), next: 58, rest }), L4 + 2, rest.length);
}

describe("between hosts", () => {
  it.each([
    ["vm1", "vm4", 62, "in one VXLAN, two gateways"],
    ["vm1", "vm5", 62, "across VXLANs, two gateways"],
    ["vm1", "vm2", 63, "across VXLANs, one gateway"],
    ["vm5", "vm1", 62, "the way back"],
  ])("%s to %s arrives with hop limit %i: %s", (from, to, hops) => {
    const made = world();
    const sent = udp6(ends(from, ipOf(to)));
    send(made, from, sent);
    const [got, ...rest] = heard(made.get(to));
    expect(rest).toEqual([]);
    const [, site, vxlan] = HOSTS.find(([each]) => each === to)!;
    expect([readMac(got!, 0), readMac(got!, 6)]).toEqual([mac(macOf(to)), mac(gatewayMac(site, vxlan))]);
    expect(got![L3 + 7]).toBe(hops);
    // Nothing else of the packet was touched.
    const expected = sent.slice();
    expected[L3 + 7] = hops;
    expect([...got!.subarray(L3)]).toEqual([...expected.subarray(L3)]);
    for (const n of [1, 2]) expect(gw(made, n).drops).toEqual({});
  });

  it("extension headers are the hosts': hop-by-hop options and nine headers are carried", () => {
    const made = world();
    const rest = `${"3c00 0104 0000 0000".repeat(8)} 1100 0104 0000 0000 03e8 07d0 0008 0000`;
    send(made, "vm1", packet6({ ...ends("vm1", ipOf("vm4")), next: 0, rest }));
    expect(heard(made.get("vm4"))).toHaveLength(1);
  });

  it("in another VRF the same prefixes are another network", () => {
    const made = sites(1, (n) =>
      yaml(n)
        .replace("{name: if20,", "{name: if20, vrf: other,")
        .replaceAll(/\{ip: [^}]*tunnel: gw2\}(, )?/g, ""),
    );
    for (const [name, site, vxlan, number] of HOSTS)
      if (site === 1) made.vm(gw(made, 1), { name, ip: `${vxlan}.1.1.${number}`, mac: macOf(name) });
    send(made, "vm1", udp6(ends("vm1", ipOf("vm2"))));
    expect(heard(made.get("vm2"))).toEqual([]);
    expect(heard(made.get("vm1")).map(icmp)).toEqual(["2001:db8:10::1 1/0"]);
  });
});

describe("by a route to another VRF", () => {
  const leaking = (more: string) =>
    sites(1, (n) =>
      yaml(n, { more })
        .replace("{name: if20,", "{name: if20, vrf: other,")
        .replaceAll(/\{ip: [^}]*tunnel: gw2\}(, )?/g, ""),
    );
  it("a packet is routed by that VRF's table, its own addresses among them", () => {
    const to = (prefix: string, vrf: string, viaVrf: string) => `{prefix: "${prefix}", vrf: ${vrf}, viaVrf: ${viaVrf}}`;
    const routes = [to("2001:db8:20::/64", "main", "other"), to("2001:db8:10::/64", "other", "main")];
    const made = leaking(`routes: [${routes.join(", ")}]`);
    for (const [name, site, vxlan, number] of HOSTS)
      if (site === 1) made.vm(gw(made, 1), { name, ip: `${vxlan}.1.1.${number}`, mac: macOf(name) });
    send(made, "vm1", udp6(ends("vm1", ipOf("vm2"))));
    expect(heard(made.get("vm2")).map((frame) => frame[L3 + 7])).toEqual([63]);
    send(made, "vm2", udp6(ends("vm2", ipOf("vm1"))));
    expect(heard(made.get("vm1")).map((frame) => frame[L3 + 7])).toEqual([63]);
    made.clear();
    send(made, "vm1", echo("vm1", "2001:db8:20::1"));
    expect(heard(made.get("vm1")).map(icmp)).toEqual(["2001:db8:20::1 129/0"]);
    send(made, "vm1", udp6(ends("vm1", "2001:db8:20::77")));
    expect(gw(made, 1).drops).toEqual({});
  });
});

describe("what is answered (RFC 4443)", () => {
  const to = (frame: (made: World) => Uint8Array, options = {}, from = "vm1") => {
    const made = world(options);
    send(made, from, frame(made));
    return heard(made.get(from));
  };

  it("an echo of the gateway's address, and of its link-local one", () => {
    expect(to(() => echo("vm1", "2001:db8:10::1")).map(icmp)).toEqual(["2001:db8:10::1 129/0"]);
    expect(to(() => echo("vm1", "2001:db8:20::1")).map(icmp)).toEqual(["2001:db8:20::1 129/0"]);
    const own = packet6({ ...ends("vm1", "fe80::1"), from: "fe80::11", next: 58, rest: "8000 0000 0001 0001" });
    expect(to(() => sealed(own, L4 + 2, 8)).map(icmp)).toEqual(["fe80::1 129/0"]);
  });

  it("one of 8 KB in fragments, with fragments", () => {
    const made = world();
    const whole = echo("vm1", "2001:db8:10::1", 8192);
    const message = whole.subarray(L4);
    for (let at = 0; at < message.length; at += 1232) {
      const part = message.subarray(at, at + 1232);
      const rest = new Uint8Array(8 + part.length);
      rest[0] = 58;
      setU16(rest, 2, at | (at + 1232 < message.length ? 1 : 0));
      rest[7] = 9;
      rest.set(part, 8);
      made.get("vm1").tap.send(packet6({ ...ends("vm1", "2001:db8:10::1"), next: 44, rest }));
    }
    made.settle();
    const parts = heard(made.get("vm1"));
    expect(parts.length).toBeGreaterThan(5);
    const answer = new Uint8Array(L4 + message.length);
    answer.set(parts[0]!.subarray(0, L4));
    answer[L3 + 6] = 58;
    for (const part of parts) answer.set(part.subarray(L4 + 8), L4 + (((part[L4 + 2]! << 8) | part[L4 + 3]!) & 0xfff8));
    expect(icmp(answer)).toBe("2001:db8:10::1 129/0");
    expect(parts.every((part) => part.length - L3 <= 1450)).toBe(true);
    expect(gw(made, 1).drops).toEqual({});
  });

  it("fragments that overlap end their packet, and nothing is answered (RFC 5722)", () => {
    const made = world();
    const part = (at: number, more: number, bytes: number) =>
      packet6({
        ...ends("vm1", "2001:db8:10::1"),
        next: 44,
        rest: `3a00 00${(at | more).toString(16).padStart(2, "0")} 00000009 ${"80".repeat(bytes)}`,
      });
    for (const frame of [part(0, 1, 16), part(8, 1, 16), part(24, 0, 8)]) made.get("vm1").tap.send(frame);
    made.advance(10_000);
    expect(heard(made.get("vm1"))).toEqual([]);
    expect(gw(made, 1).drops).toEqual({ not_forwarded: 3 });
  });

  it.each([
    ["a hop limit that ends", () => udp6({ ...ends("vm1", ipOf("vm5")), hops: 1 }), "2001:db8:10::1 3/0"],
    ["no route", () => udp6(ends("vm1", "2001:db8:99::1")), "2001:db8:10::1 1/0"],
    ["UDP to a port of ours", () => udp6(ends("vm1", "2001:db8:20::1")), "2001:db8:20::1 1/4"],
    [
      "a protocol that we do not speak",
      () => packet6({ ...ends("vm1", "2001:db8:10::1"), next: 132, rest: "00000000 00000000" }),
      "2001:db8:10::1 4/1",
    ],
    ["what is too long", () => udp6({ ...ends("vm1", ipOf("vm4")), payload: 1403 }), "2001:db8:10::1 2/0"],
  ])("%s", (_, frame, answer) => {
    const [got, ...rest] = to(frame);
    expect(rest).toEqual([]);
    expect(icmp(got!)).toBe(answer);
    expect(formatIpv6(readIpv6(got!, L3 + 24))).toBe(ipOf("vm1"));
    expect(got!.length - L3).toBeLessThanOrEqual(1280);
    if (answer.endsWith("2/0")) expect([...got!.subarray(L4 + 4, L4 + 8)]).toEqual([0, 0, 1450 >> 8, 1450 & 255]);
  });

  it("routes that say so, with the gateway's own address for ICMP", () => {
    const more =
      'routes: [{prefix: "2001:db8:a::/48", action: unreachable}, {prefix: "2001:db8:b::/48", action: prohibit}, {prefix: "2001:db8:c::/48", action: discard}]';
    const options = { more, iface: "" };
    const answers = ["a", "b", "c"].map((site) =>
      to(() => udp6(ends("vm1", `2001:db8:${site}::1`)), options).map(icmp),
    );
    expect(answers).toEqual([["2001:db8:10::1 1/3"], ["2001:db8:10::1 1/1"], []]);
  });

  it("errors speak with icmpSource where there is one, answers with the address that was asked", () => {
    const options = { iface: ', icmpSource: "2001:db8:#::fb"' };
    expect(to(() => udp6(ends("vm1", "2001:db8:99::1")), options).map(icmp)).toEqual(["2001:db8:10::fb 1/0"]);
    expect(to(() => udp6({ ...ends("vm1", ipOf("vm5")), hops: 1 }), options).map(icmp)).toEqual([
      "2001:db8:10::fb 3/0",
    ]);
    expect(to(() => echo("vm1", "2001:db8:20::1"), options).map(icmp)).toEqual(["2001:db8:20::1 129/0"]);
    expect(to(() => echo("vm1", "2001:db8:20::fb"), options).map(icmp)).toEqual(["2001:db8:20::fb 129/0"]);
  });

  it.each([
    ["what is no echo", "11"],
    ["what stands behind another header", "3c"],
  ])("a fragment of %s ends here in silence", (_, next) => {
    const made = world();
    const rest = `${next}00 0001 00000009 ${"00".repeat(16)}`;
    send(made, "vm1", packet6({ ...ends("vm1", "2001:db8:10::1"), next: 44, rest }));
    expect(heard(made.get("vm1"))).toEqual([]);
    expect(gw(made, 1).drops).toEqual({ not_forwarded: 1 });
  });

  it("a whole packet in a fragment header is answered at once, beside fragments of the same identification (RFC 6946)", () => {
    const made = world();
    const whole = echo("vm1", "2001:db8:10::1").subarray(L4);
    const fragment = (word: number, bytes: Uint8Array) => {
      const rest = new Uint8Array(8 + bytes.length);
      rest[0] = 58;
      setU16(rest, 2, word);
      rest[7] = 9;
      rest.set(bytes, 8);
      return packet6({ ...ends("vm1", "2001:db8:10::1"), next: 44, rest });
    };
    send(made, "vm1", fragment(1, whole.subarray(0, 8)));
    send(made, "vm1", fragment(0, whole));
    expect(heard(made.get("vm1")).map(icmp)).toEqual(["2001:db8:10::1 129/0"]);
    send(made, "vm1", fragment(8, whole.subarray(8)));
    expect(heard(made.get("vm1"))).toHaveLength(2);
    expect(gw(made, 1).drops).toEqual({});
  });

  it.each([
    ["TCP", packet6({ ...ends("vm1", "2001:db8:10::1"), next: 6, rest: "03e8 0050".padEnd(49, "0") })],
    ["an error about an error", packet6({ ...ends("vm1", "2001:db8:99::1"), next: 58, rest: "0100 0000 0000 0000" })],
    ["a later fragment", packet6({ ...ends("vm1", "2001:db8:99::1"), next: 44, rest: "1100 0008 00000001 00000000" })],
    [
      "nine extension headers",
      packet6({ ...ends("vm1", "2001:db8:99::1"), next: 60, rest: `${"3c00 0104 0000 0000".repeat(9)}` }),
    ],
    [
      "an echo with a wrong checksum",
      packet6({ ...ends("vm1", "2001:db8:10::1"), next: 58, rest: "8000 1234 0001 0001" }),
    ],
  ])("silence about %s", (_, frame) => {
    expect(to(() => frame)).toEqual([]);
  });

  it("at most so many a second", () => {
    const made = world({ more: "limits: {icmpPerAcPerSecond: 3}" });
    for (let i = 0; i < 5; i++) made.get("vm1").tap.send(udp6(ends("vm1", "2001:db8:99::1")));
    made.settle();
    expect(heard(made.get("vm1"))).toHaveLength(3);
    expect(gw(made, 1).drops).toEqual({ no_route: 3, icmp_limited: 2 });
  });
});

describe("static routes and policies", () => {
  it("::/0 by a next hop, by two as ECMP, and by one that only its VSI-interface finds", () => {
    const made = world({
      more: `routes: [{prefix: "::/0", nextHop: "${ipOf("vm4")}"}, {prefix: "2001:db8:e::/48", nextHops: ["${ipOf("vm4")}", "${ipOf("vm5")}"]}]`,
    });
    send(made, "vm1", udp6(ends("vm1", "2001:db8:99::1")));
    // The gateway of the next hop routes by destination again: vm4 is its own default, and gets the packet.
    expect(heard(made.get("vm4"))).toHaveLength(1);
    made.clear();
    for (let sport = 1; sport <= 200; sport++)
      made.get("vm1").tap.send(udp6({ ...ends("vm1", "2001:db8:e::1"), sport }));
    made.settle();
    const [a, b] = [made.get("vm4"), made.get("vm5")].map((vm) => heard(vm).length);
    expect(a! + b!).toBe(200);
    expect(Math.min(a!, b!)).toBeGreaterThan(50);
  });

  it("a rule of each family, and one of both", () => {
    const rules = [
      `{match: {destination: "${ipOf("vm5")}", protocol: udp, destinationPorts: 9}, drop: true}`,
      `{match: {source: "2001:db8:10::/64", destination: "2001:db8:77::/48"}, nextHop: "${ipOf("vm4")}"}`,
      "{match: {protocol: 99}, drop: true}",
    ];
    const made = world({ more: `policies: [{name: p, interfaces: [if10], rules: [${rules.join(", ")}]}]` });
    const protocol99 = packet6({ ...ends("vm1", ipOf("vm5")), next: 99, rest: "00000000" });
    for (const frame of [
      udp6({ ...ends("vm1", ipOf("vm5")), dport: 9 }),
      udp6({ ...ends("vm1", ipOf("vm5")), dport: 10 }),
      udp6(ends("vm1", "2001:db8:77::1")),
      protocol99,
    ])
      made.get("vm1").tap.send(frame);
    made.settle();
    expect(gw(made, 1).drops).toEqual({ policy_drop: 2 });
    expect(heard(made.get("vm5"))).toHaveLength(1);
  });

  it("a rule's protocol and ports are those behind extension headers; a drop takes what hides them", () => {
    const rules = [
      "{match: {protocol: tcp}, permit: true}",
      "{match: {protocol: udp, destinationPorts: 9}, drop: true}",
      "{match: {protocol: 99}, drop: true}",
    ];
    const made = world({ more: `policies: [{name: p, interfaces: [if10], rules: [${rules.join(", ")}]}]` });
    const around = ends("vm1", ipOf("vm5"));
    const options = (next: string, more = 1) => `${"3c00 0104 0000 0000".repeat(more - 1)}${next}00 0104 0000 0000`;
    const udp = (port: string) => `03e8 ${port} 0008 0000`;
    const packets = [
      { next: 60, rest: options("63") },
      { next: 60, rest: `${options("11", 8)}${udp("0009")}` },
      { next: 60, rest: `${options("06", 9)}${udp("0050")}` },
      { next: 60, rest: "1100 0104" },
      { next: 44, rest: `1100 0001 00000001 ${udp("0009")}` },
      { next: 60, rest: `${options("2c")}6300 0008 00000001 ${udp("0009")}` },
    ];
    for (const each of packets) made.get("vm1").tap.send(packet6({ ...around, ...each }));
    made.settle();
    expect(gw(made, 1).drops).toEqual({ policy_drop: 6 });
    const passed = [
      { next: 60, rest: `${options("11")}${udp("000a")}` },
      { next: 60, rest: `${options("06", 8)}${udp("0009")}` },
      { next: 44, rest: `1100 0008 00000001 ${udp("0009")}` },
    ];
    for (const each of passed) made.get("vm1").tap.send(packet6({ ...around, ...each }));
    made.settle();
    expect(heard(made.get("vm5"))).toHaveLength(3);
  });
});
