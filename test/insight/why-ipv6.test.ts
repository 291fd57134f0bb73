/** `why` about IPv6: the same story in the words of neighbour discovery, of hosts, gateways, next hops, addresses of the link and VTEPs. */
import { beforeEach, describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { Why } from "../../src/api/schema-why.ts";
import { parseIp } from "../../src/control/ip.ts";
import type { Control } from "../../src/daemon/assemble.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { sourceWith } from "../api/fake-source.ts";
import { assembled } from "../control/assembled.ts";

const CONFIG = `
node: gw1
limits: {macs: 4096, neighbors: 4096, routes: 4096, neighbors6: 4096, routes6: 4096}
underlay: {address: "2001:db8:ffff::1"}
tunnels: [{name: gw2, remote: "2001:db8:ffff::2"}]
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20, linkLocal: isolate}]
interfaces:
  - name: vsi-interface10
    vsi: vsi10
    address: [10.1.1.1/24, "2001:db8:10::1/64"]
    icmpSource: [10.1.1.251, "2001:db8:10::fb"]
    neighbors: {static: [{ip: "2001:db8:10::99", mac: "02:00:00:00:01:99", tunnel: gw2}]}
  - {name: red10, vsi: vsi20, vrf: red, address: "2001:db8:10::1/64"}
acs:
  - {name: vm1, vsi: vsi10, tap: {device: tap1}}
  - {name: vm3, vsi: vsi10, tap: {device: tap3}}
routes:
  - {prefix: "2001:db8:50::/48", nextHop: "2001:db8:10::2"}
  - {prefix: "2001:db8:51::/48", nextHop: "fe80::2%vsi-interface10"}
policies:
  - name: to-border
    interfaces: [vsi-interface10]
    rules:
      - {match: {destination: "2001:db8:60::/48"}, nextHop: "2001:db8:10::2"}
      - {match: {}, nextHop: 10.1.1.2}
`;
const MAC = "02:00:00:00:01:11";
let control: Control;
let answers: WhyAnswers;
let nowMs = 1000;

beforeEach(() => {
  nowMs = 1000;
  const made = assembled(CONFIG, { macs: 4096, neighbors: 4096, routes: 4096 });
  control = made.control;
  answers = new WhyAnswers(control.shown, made.shown);
});

const pass = (ms: number) => {
  for (const end = nowMs + ms; nowMs < end; ) {
    nowMs = Math.min(end, nowMs + 100);
    control.agent.poll(nowMs);
  }
};
const hear = (ip: string, kind: "ac" | "tunnel", name: string, how: "request" | "reply" | "announcement") => {
  const { inventory } = control.shown;
  const place = { mac: parseMac(MAC)!, port: inventory.port(kind, name)!, vsi: inventory.vsi("vsi10")! };
  return control.agent.neighbors.hear(inventory.interface("vsi-interface10")!, parseIp(ip)!, place, how);
};
/** A packet wants that next hop. */
const need = (ip: string) => {
  const { inventory } = control.shown;
  const frame = {
    ...{ flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units: 1, watchId: 0, worker: 0, vsi: 1 },
    ...{ port: inventory.port("ac", "vm1")!.row, bytes: new Uint8Array(64) },
  };
  control.agent.ledger.drained(1);
  control.agent.neighbors.need(inventory.interface("vsi-interface10")!, parseIp(ip)!, frame);
};
const asked = (ip: string, scope: { vrf?: string; interface?: string } = {}) =>
  answers.why({ ip, mac: null, interface: null, vsi: null, vrf: "main", ...scope });
const story = (ip: string, scope = {}): string => Why.parse(asked(ip, scope)).sentences.join("\n");

describe("an IPv6 address", () => {
  it("that is known: from what, since when, and by which route", () => {
    hear("2001:db8:10::11", "ac", "vm1", "request");
    pass(5000);
    hear("2001:db8:10::11", "ac", "vm1", "request");
    pass(2000);
    expect(story("2001:DB8:10:0::11").split("\n")).toEqual([
      "2001:db8:10::11 on vsi-interface10 has MAC 02:00:00:00:01:11 at AC vm1, in VSI vsi10: learned 7 s ago from a neighbour solicitation it sent.",
      "It was last heard 2 s ago; it is reachable, since 7 s ago.",
      "VRF main has 2001:db8:10::11/128 as its longest match: the host itself, resolved on vsi-interface10.",
      "ICMPv6 errors about packets from 2001:db8:10::11 in VRF main are routed to it.",
    ]);
    expect(Why.parse(asked("2001:db8:10::11"))).toMatchObject({ kind: "ip", known: true, subject: "2001:db8:10::11" });
  });

  it("that no host has: what it is, and that nothing asks for it", () => {
    expect(story("2001:db8:10::").split("\n")[0]).toBe(
      "2001:db8:10:: is the anycast address of all routers of 2001:db8:10::/64 on vsi-interface10: no host has it, and no packet is routed to it.",
    );
    expect(story("10.1.1.255").split("\n")[0]).toMatch(
      /^10\.1\.1\.255 is the broadcast address of 10\.1\.1\.0\/24 on /,
    );
    expect(story("10.1.1.0").split("\n")[0]).toMatch(
      /^10\.1\.1\.0 is the address of the network of 10\.1\.1\.0\/24 on /,
    );
    expect(story("2001:db8:10::")).not.toContain("makes us ask");
  });

  it("that is not: where it belongs; and one that is looked for", () => {
    expect(story("2001:db8:10::77").split("\n").slice(0, 3)).toEqual([
      "2001:db8:10::77 is not known on vsi-interface10: no neighbour discovery came from it, and no packet has asked for it lately.",
      "It belongs there (2001:db8:10::/64): the first packet to it makes us ask in VSI vsi10.",
      "VRF main has 2001:db8:10::/64 as its longest match: connected to vsi-interface10, where each host is asked for by neighbour discovery.",
    ]);
    need("2001:db8:10::2");
    const text = story("2001:db8:10::2");
    expect(text).toContain("neighbour solicitation 1 of 3 went to ac vm1, ac vm3, tunnel gw2.");
    expect(text).toContain("A route or a policy needs it");
    pass(60_000);
    expect(story("2001:db8:10::2")).toMatch(/did not answer: .* neighbour solicitations went to ac vm1/);
  });

  it("that came by another message, is pinned, or has another place too", () => {
    hear("2001:db8:10::12", "tunnel", "gw2", "reply");
    expect(story("2001:db8:10::12")).toContain("learned just now from a neighbour advertisement it sent.");
    expect(story("2001:db8:10::12")).toContain("Tunnel gw2 leads to VTEP 2001:db8:ffff::2; it is unwatched");
    expect(story("2001:db8:10::99")).toContain(
      "at tunnel gw2, in VSI vsi10, as the configuration says; it never ages.",
    );
    hear("2001:db8:10::13", "ac", "vm3", "announcement");
    expect(story("2001:db8:10::13")).toContain(
      "an announcement: a neighbour advertisement it sent without being asked.",
    );
  });

  it("of ours, of the underlay", () => {
    expect(story("2001:db8:10::1")).toMatch(/^2001:db8:10::1 is our own: the gateway address of vsi-interface10/);
    expect(story("2001:db8:10::fb")).toBe(
      [
        "2001:db8:10::fb is our own: ICMP errors of vsi-interface10 come from it.",
        "VRF main has 2001:db8:10::fb/128 as its longest match: a route of origin own, action local on vsi-interface10.",
      ].join("\n"),
    );
    expect(story("2001:db8:ffff:0::2")).toContain("on the underlay: the VTEP at the other end of tunnel gw2.");
    expect(story("2001:db8:ffff::1")).toContain("on the underlay: our own VTEP address.");
  });

  it("behind a route, behind a policy of its family, and behind none", () => {
    const routed = story("2001:db8:50::1");
    expect(routed).toContain("2001:db8:50::1 is in no subnet of ours");
    expect(routed).toContain(
      "VRF main has 2001:db8:50::/48 as its longest match: a route of origin static, action forward to next hop 2001:db8:10::2.",
    );
    expect(routed).not.toContain("Policy");
    expect(story("2001:db8:51::1")).toContain("to next hop fe80::2%vsi-interface10");
    expect(story("2001:db8:60::1")).toContain("Policy to-border is asked before the routes");
    expect(story("2001:db8:60::1")).toContain("(rule 1: ");
    expect(story("2001:db8:60::1")).not.toContain("rule 2");
    expect(story("60.1.1.1")).toContain("(rule 2: ");
    expect(story("2001:db8:99::1")).toContain(
      "VRF main has no route to it: packets about which no policy decides are answered with ICMPv6 unreachable.",
    );
  });

  it("of the link: no router forwards to it; the gateway's own", () => {
    const text = story("fe80::11");
    expect(text).toContain(
      "fe80::11 is not known on vsi-interface10: addresses of the link are looked for as next hops alone.",
    );
    expect(text).toContain("No router forwards to an address of the link");
    expect(text).not.toContain("VRF main has");
    expect(text).not.toContain("Not so");
    expect(story("fe80::11", { vrf: "red" })).toContain(
      "Not so in VSI vsi20: there hosts are kept apart on their link",
    );
    expect(story("fe80::1")).toMatch(
      /^fe80::1 is our own: the gateway's link-local address of vsi-interface10, with gateway MAC /,
    );
    need("fe80::2");
    expect(story("fe80::2")).toContain("fe80::2 on vsi-interface10 is being looked for");
  });

  it("in two VRFs must be named; a MAC tells of both families", async () => {
    expect(answers.why({ ip: "2001:db8:10::11", mac: null, interface: null, vsi: null, vrf: null })).toEqual({
      vrfs: ["main", "red"],
    });
    expect(story("2001:db8:10::11", { vrf: "red" })).toContain("not known on red10");
    hear("2001:db8:10::11", "ac", "vm1", "request");
    const mac = answers.why({ ip: null, mac: MAC, interface: null, vsi: null, vrf: null }) as Why;
    expect(mac.sentences.join("\n")).toContain(
      "The neighbour table has 2001:db8:10::11 on vsi-interface10 at this MAC (reachable).",
    );
    const api = createApi(sourceWith({ why: (question) => answers.why(question) }));
    const get = async (path: string) => await api(new Request(`http://vtepd${path}`));
    const answer = await get("/v1/why?ip=2001:db8:10::11&vrf=main");
    expect(Why.parse(await answer.json()).sentences[0]).toMatch(/^2001:db8:10::11 on vsi-interface10 has MAC /);
    expect((await get("/v1/why?ip=2001:db8:10::11")).status).toBe(400);
    expect((await get("/v1/why?ip=2001:db8:10:::11")).status).toBe(400);
  });
});
