import { beforeEach, describe, expect, it } from "vitest";
import { MAC_GATEWAY } from "../../src/tables/mac.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { AgentBed, B10, G10, G20, ip, M1, M2, M9, P10, P20 } from "./agent-bed.ts";

describe("ARP from a tunnel", () => {
  let bed: AgentBed;
  beforeEach(() => {
    bed = new AgentBed().meet();
  });

  it("learned at the tunnel, asked for on our ACs only, the reply relayed with both MACs rewritten (§2.1 rows 4-7)", () => {
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.12", "10.1.1.11");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("reachable P10 gw2");
    expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/G10 req G10,10.1.1.12 / 0,10.1.1.11"]);
    bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", G10, "10.1.1.12");
    expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 rep G10,10.1.1.11 / P10,10.1.1.12"]);
    expect(bed.agent.arp.counts.byName.get("vsi10")).toMatchObject({ relayed_request: 1, relayed_reply: 1 });
  });

  it("the asker speaks with our own IP: no entry, no alarm; the reply is consumed and relayed (§2.2 rows 5-8)", () => {
    bed.request(bed.gw2, bed.vsi20, P20, "20.1.1.1", "20.1.1.11");
    expect(bed.neighbor(bed.if20, "20.1.1.1")).toBeNull();
    expect(bed.told()).toEqual(["ACs of vsi2 but gw2: ff/G20 req G20,20.1.1.1 / 0,20.1.1.11"]);
    bed.reply(bed.vm2, bed.vsi20, M2, "20.1.1.11", G20, "20.1.1.1");
    expect(bed.told()).toEqual(["gw2 vsi2: P20/G20 rep G20,20.1.1.11 / P20,20.1.1.1"]);
    expect(bed.neighbor(bed.if20, "20.1.1.11")).toBe("reachable M2 vm2");
    expect(bed.drops).toEqual({});
  });

  it("two gateways that ask within the same second both get a reply; the ACs are asked once (N8)", () => {
    bed.request(bed.gw2, bed.vsi20, P20, "20.1.1.1", "20.1.1.11");
    bed.request(bed.border, bed.vsi20, B10, "20.1.1.2", "20.1.1.11");
    expect(bed.told().length).toBe(1);
    bed.reply(bed.vm2, bed.vsi20, M2, "20.1.1.11", G20, "20.1.1.1");
    expect(bed.told().sort()).toEqual([
      "border vsi2: B10/G20 rep G20,20.1.1.11 / B10,20.1.1.2",
      "gw2 vsi2: P20/G20 rep G20,20.1.1.11 / P20,20.1.1.1",
    ]);
  });

  it("a host that is fresh here is answered for; with relay: always it is asked again (D7)", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.1", "10.1.1.11");
    expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 rep G10,10.1.1.11 / P10,10.1.1.1"]);
    bed = new AgentBed({ relay: "always" });
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.1", "10.1.1.11");
    expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/G10 req G10,10.1.1.1 / 0,10.1.1.11"]);
  });

  it("never answered for an address behind another tunnel, nor flooded to one (N7, N1)", () => {
    bed.reply(bed.border, bed.vsi10, B10, "10.1.1.2", G10, "10.1.1.1");
    bed.sent();
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.1", "10.1.1.2");
    expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/G10 req G10,10.1.1.1 / 0,10.1.1.2"]);
    bed.reply(bed.border, bed.vsi10, B10, "10.1.1.2", G10, "10.1.1.1");
    expect(bed.told()).toEqual([]);
  });

  it("without ACs nothing is re-flooded, and none is remembered", () => {
    bed.vm2.up = false;
    bed.request(bed.gw2, bed.vsi20, P20, "20.1.1.1", "20.1.1.11");
    expect(bed.told()).toEqual([]);
    expect(bed.agent.arp.relays.size).toBe(0);
  });

  it("for our own address: silence when distributed, an answer on that tunnel when not (D15)", () => {
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.12", "10.1.1.1");
    expect(bed.told()).toEqual([]);
    bed = new AgentBed({}, { distributed: false });
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.12", "10.1.1.1");
    expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 rep G10,10.1.1.1 / P10,10.1.1.12"]);
  });

  it("an address that is ours alone (icmpSource) is answered for over a tunnel, distributed or not", () => {
    bed = new AgentBed({}, { icmpSource: { text: "10.1.1.201", ip: ip("10.1.1.201") } });
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.12", "10.1.1.201");
    expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 rep G10,10.1.1.201 / P10,10.1.1.12"]);
  });

  it("a peer gateway is listed, never used for forwarding, and its MAC is routed (D1, D9)", () => {
    bed = new AgentBed();
    bed.learn(bed.gw2, bed.vsi10, P10);
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.1", "10.1.1.77");
    expect(bed.agent.neighborViews()).toEqual([
      expect.objectContaining({
        ip: "10.1.1.1",
        state: "gateway",
        via: { kind: "tunnel", name: "gw2" },
        origin: "gateway",
      }),
    ]);
    expect(bed.hosts.size).toBe(0);
    expect(bed.macValue(bed.vsi10, P10)).toBe(MAC_GATEWAY | bed.gw2.row);
    expect(bed.drops).toEqual({});
    // With shared MACs the peer's is ours: that row stays as it is.
    bed.request(bed.gw2, bed.vsi10, G10, "10.1.1.1", "10.1.1.78");
    expect(bed.macValue(bed.vsi10, G10)).toBe(MAC_GATEWAY);
  });

  it("a peer cannot turn a local host's MAC into a gateway's", () => {
    bed.learn(bed.vm1, bed.vsi10, M1);
    bed.request(bed.gw2, bed.vsi10, M1, "10.1.1.1", "10.1.1.77");
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
  });

  it("an announcement updates what is known, creates nothing, and is told to our ACs with our MAC", () => {
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.12", "10.1.1.12");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBeNull();
    expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/G10 req G10,10.1.1.12 / 0,10.1.1.12"]);
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    bed.request(bed.border, bed.vsi10, B10, "10.1.1.12", "10.1.1.12");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("reachable B10 border");
  });

  it("a broadcast reply is no better than an announcement", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", BROADCAST, "10.1.1.12");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBeNull();
  });
});

describe("mode flood", () => {
  it("hosts are learned and our address is answered for; nothing is proxied, relayed or re-flooded (D14)", () => {
    const bed = new AgentBed({ arp: "flood" }, { distributed: false });
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    bed.request(bed.gw2, bed.vsi10, M9, "10.1.1.12", "10.1.1.11");
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.11");
    expect(bed.told()).toEqual([]);
    bed.request(bed.gw2, bed.vsi10, M9, "10.1.1.12", "10.1.1.1");
    expect(bed.told()).toEqual(["gw2 vsi1: M9/G10 rep G10,10.1.1.1 / M9,10.1.1.12"]);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("reachable M9 gw2");
  });
});

describe("an address probe from an EVPN fabric", () => {
  const evpn = { rd: "auto", import: [], export: [], learning: "evpn", unknown: "glean" } as const;
  let bed: AgentBed;
  beforeEach(() => {
    bed = new AgentBed({ evpn });
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
  });
  const probe = (target: string, senderMac = M9) =>
    bed.arp(bed.gw2, bed.vsi10, { senderMac, senderIp: 0, targetIp: ip(target) });

  it("for a host that lives here: answered with the host's own MAC, as its route says", () => {
    probe("10.1.1.11");
    expect(bed.told()).toEqual(["gw2 vsi1: M9/M1 rep M1,10.1.1.11 / M9,0.0.0.0"]);
    bed.advance(1000);
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 req G10,10.1.1.1 / 0,10.1.1.11"]);
    bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", G10, "10.1.1.1");
    bed.advance(1000);
    expect(bed.eventsNamed("neighbor.duplicate")).toHaveLength(1);
  });

  it("for one that was not heard lately, or never: asked on, and its answer passed on likewise", () => {
    bed.advance(60_000);
    bed.sent();
    probe("10.1.1.11");
    expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/G10 req G10,0.0.0.0 / 0,10.1.1.11"]);
    bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", G10, "0.0.0.0");
    expect(bed.told()).toEqual(["gw2 vsi1: M9/M1 rep M1,10.1.1.11 / M9,0.0.0.0"]);
  });

  it("by the host itself, which came up there a moment after it was heard here: not told that its address is taken", () => {
    probe("10.1.1.11", M1);
    bed.advance(5000);
    expect(bed.told().filter((each) => each.includes(" rep "))).toEqual([]);
  });

  it("a question is answered for no host, as ever", () => {
    bed.request(bed.gw2, bed.vsi10, M9, "10.1.1.12", "10.1.1.11");
    expect(bed.told()).toEqual([]);
  });
});
