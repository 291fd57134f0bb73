/** `why`, over control's real tables: the story of every kind of address and MAC. */
import { beforeEach, describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import type { Control } from "../../src/daemon/assemble.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { hiOf, loOf, parseMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { sourceWith, UNWATCHED } from "../api/fake-source.ts";
import { assembled } from "../control/assembled.ts";

const CONFIG = `
node: gw1
limits: {macs: 4096, neighbors: 4096, routes: 4096}
underlay: {address: 192.0.2.1}
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis:
  - {name: vsi10, vni: 10, mac: {static: [{mac: "02:00:00:00:01:99", tunnel: gw2}]}}
interfaces:
  - name: vsi-interface10
    vsi: vsi10
    address: 10.1.1.1/24
    arp: {static: [{ip: 10.1.1.99, mac: "02:00:00:00:01:99", tunnel: gw2}]}
acs:
  - {name: vm1, vsi: vsi10, tap: {device: tap1}}
  - {name: vm3, vsi: vsi10, tap: {device: tap3}}
routes: [{prefix: 50.0.0.0/8, nextHop: 10.1.1.2}]
policies: [{name: to-border, interfaces: [vsi-interface10], rules: [{match: {destination: 60.0.0.0/8}, nextHop: 10.1.1.2}]}]
`;
const SIZES = { macs: 4096, neighbors: 4096, routes: 4096 };
const MAC = "02:00:00:00:01:11";
let control: Control;
let answers: WhyAnswers;
let nowMs = 1000;

beforeEach(() => {
  nowMs = 1000;
  const made = assembled(CONFIG, SIZES);
  control = made.control;
  answers = new WhyAnswers(control.shown, made.shown);
});

const pass = (ms: number) => {
  for (const end = nowMs + ms; nowMs < end; ) {
    nowMs = Math.min(end, nowMs + 100);
    control.agent.poll(nowMs);
  }
};
const port = (kind: "ac" | "tunnel", name: string) => control.shown.inventory.port(kind, name)!;
const vsi = () => control.shown.inventory.vsi("vsi10")!;
const learn = (kind: "ac" | "tunnel", name: string, type: number) => {
  const mac = parseMac(MAC)!;
  control.agent.macs.learn(vsi().row, port(kind, name).row, loOf(mac), hiOf(mac), type);
};
const hear = (ip: string, kind: "ac" | "tunnel", name: string, how: "request" | "reply" | "announcement") => {
  const on = control.shown.inventory.interface("vsi-interface10")!;
  const place = { mac: parseMac(MAC)!, port: port(kind, name), vsi: vsi() };
  return control.agent.neighbors.hear(on, parseIpv4(ip)!, place, how);
};
const story = (subject: string): string => {
  const scope = { interface: null, vsi: null, vrf: null };
  const question = subject.includes(":") ? { ip: null, mac: subject, ...scope } : { ip: subject, mac: null, ...scope };
  const why = Why.parse(answers.why(question));
  return why.sentences.join("\n");
};

describe("an address", () => {
  it("that is known: from what, since when, last heard, and the frame that taught its MAC", () => {
    learn("ac", "vm1", 0x0806);
    hear("10.1.1.11", "ac", "vm1", "request");
    pass(5000);
    hear("10.1.1.11", "ac", "vm1", "request");
    pass(2000);
    const text = story("10.1.1.11");
    expect(text).toContain(
      "10.1.1.11 on vsi-interface10 has MAC 02:00:00:00:01:11 at AC vm1, in VSI vsi10: learned 7 s ago from an ARP request it sent.",
    );
    expect(text).toContain("It was last heard 2 s ago; it is reachable, since 7 s ago.");
    expect(text).toContain(
      "VSI vsi10 has 02:00:00:00:01:11 at AC vm1: an ARP frame with it as source came in there 7 s ago.",
    );
    expect(text).toContain(
      "VRF main has 10.1.1.11/32 as its longest match: the host itself, resolved on vsi-interface10.",
    );
    // Its rules are for other destinations.
    expect(text).not.toContain("Policy");
  });

  it("that moved: where it was before", () => {
    hear("10.1.1.11", "tunnel", "gw2", "reply");
    pass(10_000);
    expect(hear("10.1.1.11", "ac", "vm3", "announcement")).toBe("moved");
    pass(3000);
    const text = story("10.1.1.11");
    expect(text).toContain("at AC vm3, in VSI vsi10: learned 3 s ago from an announcement");
    expect(text).toContain("Before that, until 3 s ago, it was known with MAC 02:00:00:00:01:11 at tunnel gw2.");
  });

  it("that somebody else claims: the place we know is being asked", () => {
    hear("10.1.1.11", "ac", "vm1", "request");
    expect(hear("10.1.1.11", "tunnel", "gw2", "reply")).toBe("challenged");
    expect(story("10.1.1.11")).toContain("Somebody says it is at tunnel gw2 (MAC 02:00:00:00:01:11)");
  });

  it("that two hosts have: both places, since when, and what to do; one that only asked for it is told as such", () => {
    const on = control.shown.inventory.interface("vsi-interface10")!;
    const here = { mac: parseMac(MAC)!, port: port("ac", "vm1"), vsi: vsi() };
    const there = { ...here, mac: parseMac("02:00:00:00:02:22")!, port: port("tunnel", "gw2") };
    const { duplicates } = control.agent.arp;
    const [both, asked] = [parseIpv4("10.1.1.11")!, parseIpv4("10.1.1.12")!];
    duplicates.suspect(on, both, here, there);
    duplicates.suspect(on, asked, here, there, true);
    pass(1500);
    expect(duplicates.answered(on, both, here) && duplicates.answered(on, both, there)).toBe(true);
    expect(duplicates.answered(on, asked, here)).toBe(true);
    pass(4500);
    expect(story("10.1.1.11")).toContain(
      "Two hosts have 10.1.1.11: 02:00:00:00:01:11 at AC vm1 and 02:00:00:00:02:22 at tunnel gw2; both answer, first noticed 4 s ago. Give one of them another address.",
    );
    expect(story("10.1.1.12")).toContain(
      "10.1.1.12 is in use by 02:00:00:00:01:11 at AC vm1; 02:00:00:00:02:22 at tunnel gw2 asked whether it is free, 4 s ago.",
    );
    expect(story("10.1.1.13")).not.toContain("hosts have");
  });

  it("that a route wants and no host has answered for: who was asked, and that it goes on", () => {
    const text = story("10.1.1.2");
    expect(text).toContain("10.1.1.2 is not known on vsi-interface10");
    const on = control.shown.inventory.interface("vsi-interface10")!;
    const frame = {
      bytes: new Uint8Array(60),
      flags: 0,
      gsoSize: 0,
      csumStart: 0,
      csumOffset: 0,
      units: 1,
      watchId: 0,
    };
    control.agent.ledger.drained(1);
    control.agent.neighbors.need(on, parseIpv4("10.1.1.2")!, {
      ...frame,
      port: port("ac", "vm1").row,
      vsi: 1,
      worker: 0,
    });
    pass(1500);
    expect(story("10.1.1.2")).toContain(
      "10.1.1.2 on vsi-interface10 is being looked for since 1 s ago: ARP request 2 of 3 went to ac vm1, ac vm3, tunnel gw2.",
    );
    pass(3000);
    const failed = story("10.1.1.2");
    expect(failed).toContain("10.1.1.2 on vsi-interface10 did not answer");
    expect(failed).toContain("A route or a policy needs it, so it is asked for again and again");
  });

  it("of our own, static, of the underlay, behind a route, and nowhere", () => {
    expect(story("10.1.1.1")).toMatch(
      /^10\.1\.1\.1 is our own: the gateway address of vsi-interface10, with gateway MAC /,
    );
    expect(story("10.1.1.99")).toContain("at tunnel gw2, in VSI vsi10, as the configuration says; it never ages.");
    expect(story("192.0.2.2")).toMatch(/^192\.0\.2\.2 is on the underlay: the VTEP at the other end of tunnel gw2\./);
    expect(story("50.1.1.1")).toContain(
      "50.0.0.0/8 as its longest match: a route of origin static, action forward to next hop 10.1.1.2",
    );
    expect(story("60.1.1.1")).toContain(
      "Policy to-border is asked before the routes for packets from vsi-interface10 (rule 1:",
    );
    const { topology, inventory } = control.shown;
    topology.pins.addMac(inventory.vsi("vsi10")!, parseMac(MAC)!, port("ac", "vm1"));
    expect(story(MAC)).toContain("at AC vm1: it was added by hand (vtepctl mac add).");
    expect(story("10.1.1.99")).toContain("Tunnel gw2 leads to VTEP 192.0.2.2; it is unwatched");
    expect(story("9.9.9.9")).toContain("VRF main has no route to it");
  });
});

describe("a MAC", () => {
  it("that is known, has moved, and is in the ARP table", () => {
    learn("ac", "vm1", 0x0800);
    hear("10.1.1.11", "ac", "vm1", "request");
    pass(4000);
    learn("ac", "vm3", 0x88cc);
    pass(1000);
    const text = story(MAC.toUpperCase().toLowerCase());
    expect(text).toContain(
      "VSI vsi10 has 02:00:00:00:01:11 at AC vm3: a frame of EtherType 0x88cc with it as source came in there 1 s ago.",
    );
    expect(text).toContain("Before that, until 1 s ago, it was at ac vm1.");
    expect(text).toContain("The ARP table has 10.1.1.11 on vsi-interface10 at this MAC (reachable).");
  });

  it("of our own, static, and unknown", () => {
    const own = new Shown(control.shown, { view: () => UNWATCHED }).interfaces()[0]!.mac;
    expect(story(own)).toContain("is our own: the gateway MAC of vsi-interface10.");
    expect(story("02:00:00:00:01:99")).toContain("at tunnel gw2, as its configuration says.");
    expect(story("02:00:00:00:09:09")).toContain("No VSI knows it");
  });
});

describe("the question", () => {
  const ask = async (query: string) => {
    const fetch = createApi(sourceWith({ why: (question) => answers.why(question) }));
    const response = await fetch(new Request(`http://localhost/v1/why?${query}`));
    return { status: response.status, body: (await response.json()) as { error?: { code: string } } };
  };

  it("is answered, narrowed, or refused", async () => {
    expect((await ask("ip=10.1.1.1")).status).toBe(200);
    expect((await ask("ip=10.1.1.1&interface=vsi-interface10&vsi=vsi10")).status).toBe(200);
    for (const wrong of ["", "ip=10.1.1", "mac=02:00", "ip=10.1.1.1&mac=02:00:00:00:01:11"])
      expect(await ask(wrong), wrong).toMatchObject({ status: 400, body: { error: { code: "bad_request" } } });
    for (const absent of ["ip=10.1.1.1&interface=x", "mac=02:00:00:00:01:11&vsi=x"])
      expect(await ask(absent), absent).toMatchObject({ status: 404 });
  });
});
