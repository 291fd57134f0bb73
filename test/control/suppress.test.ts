import { beforeEach, describe, expect, it } from "vitest";
import { behindPort } from "../../src/control/behind.ts";
import { SUPPRESSION_MS, SUPPRESSION_PER_AC, SuppressionTable } from "../../src/control/resolution/suppression.ts";
import { Timers } from "../../src/control/timers.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { AgentBed, G10, ip, M1, M3, M9 } from "./agent-bed.ts";

describe("ARP suppression (D14)", () => {
  let bed: AgentBed;
  beforeEach(() => {
    bed = new AgentBed({ arp: "suppress" });
  });

  it("an unknown target: the original is flooded as it came", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.told()).toEqual(["all of vsi1 but vm1: ff/M1 req M1,10.1.1.11 / 0,10.1.1.12"]);
    bed.request(bed.gw2, bed.vsi10, M9, "10.1.1.12", "10.1.1.13");
    expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/M9 req M9,10.1.1.12 / 0,10.1.1.13"]);
  });

  it("a known target: answered with the host's own MAC, and not flooded", () => {
    bed.reply(bed.gw2, bed.vsi10, M9, "10.1.1.12", M3, "10.1.1.13");
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.told()).toEqual(["vm1 vsi1: M1/M9 rep M9,10.1.1.12 / M1,10.1.1.11"]);
    expect(bed.agent.arp.counts.byName.get("vsi10")).toMatchObject({ suppress_reply: 1 });
  });

  it("what was not heard for five minutes is asked for again", () => {
    bed.reply(bed.gw2, bed.vsi10, M9, "10.1.1.12", M3, "10.1.1.13");
    bed.advance(SUPPRESSION_MS);
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.told().length).toBe(1);
    expect(bed.agent.arp.counts.byName.get("vsi10")?.suppress_reply ?? 0).toBe(0);
  });

  it("our own address: answered, not flooded; from a tunnel the asker's site answers", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 rep G10,10.1.1.1 / M1,10.1.1.11"]);
    bed.request(bed.gw2, bed.vsi10, M9, "10.1.1.12", "10.1.1.1");
    expect(bed.told()).toEqual([]);
  });

  it("a claim on our address is not flooded; copies of replies are learned from and go no further", () => {
    bed.request(bed.vm1, bed.vsi10, M9, "10.1.1.1", "10.1.1.11");
    expect(bed.drops).toEqual({ arp_gw_spoof: 1 });
    bed.sent();
    bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", BROADCAST, "10.1.1.11");
    expect(bed.told()).toEqual([]);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
  });

  it("probes: answered for a different host; a host's own probe, and odd messages, are flooded", () => {
    bed.request(bed.vm3, bed.vsi10, M3, "10.1.1.13", "10.1.1.1");
    bed.sent();
    bed.arp(bed.vm1, bed.vsi10, { senderMac: M9, senderIp: 0, targetIp: ip("10.1.1.13") });
    expect(bed.told()).toEqual(["vm1 vsi1: M9/M3 rep M3,10.1.1.13 / M9,0.0.0.0"]);
    bed.arp(bed.vm1, bed.vsi10, { senderMac: M3, senderIp: 0, targetIp: ip("10.1.1.13") });
    bed.arp(bed.vm1, bed.vsi10, { ethSrc: M9, senderMac: M1, senderIp: ip("10.1.1.11"), targetIp: ip("10.1.1.13") });
    expect(bed.told().map((each) => each.slice(0, 22))).toEqual(["all of vsi1 but vm1: f", "all of vsi1 but vm1: f"]);
  });

  it("to the host's own MAC: bridged already, and the host's to answer, for that is how it is asked whether it lives", () => {
    bed.reply(bed.gw2, bed.vsi10, M9, "10.1.1.12", M3, "10.1.1.13");
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12", M9);
    expect(bed.told()).toEqual([]);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12", G10);
    expect(bed.told()).toEqual(["vm1 vsi1: M1/M9 rep M9,10.1.1.12 / M1,10.1.1.11"]);
  });

  it("works without a VSI-interface", () => {
    (bed.vsi10 as { interface: unknown }).interface = null;
    bed.request(bed.vm3, bed.vsi10, M3, "172.16.0.1", "172.16.0.9");
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "172.16.0.2", "172.16.0.1", BROADCAST);
    expect(bed.told()).toEqual(["vm1 vsi1: M1/M3 rep M3,172.16.0.1 / M1,172.16.0.2"]);
    expect(bed.macValue(bed.vsi10, G10)).not.toBe(0);
  });

  it("no port to flood to: dropped flood_disabled", () => {
    for (const port of [bed.vm3, bed.gw2, bed.border]) port.up = false;
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.drops).toEqual({ flood_disabled: 1 });
  });
});

describe("SuppressionTable", () => {
  it(`keeps ${SUPPRESSION_PER_AC} hosts of an AC, and forgets a port's`, () => {
    const bed = new AgentBed();
    const table = new SuppressionTable(new Timers(0), { heardAt: () => null });
    for (let n = 0; n <= SUPPRESSION_PER_AC; n++)
      table.heard(bed.vsi10, ip("10.1.0.0") + n, { mac: M1, port: bed.vm1, isRouter: undefined }, "request");
    expect(table.find(bed.vsi10, ip("10.1.0.0"))).toBeDefined();
    expect(table.find(bed.vsi10, ip("10.1.0.0") + SUPPRESSION_PER_AC)).toBeUndefined();
    table.heard(bed.vsi10, ip("10.1.0.0"), { mac: M3, port: bed.vm3, isRouter: undefined }, "request");
    table.heard(
      bed.vsi10,
      ip("10.1.0.0") + SUPPRESSION_PER_AC,
      { mac: M1, port: bed.vm1, isRouter: undefined },
      "request",
    );
    expect(table.find(bed.vsi10, ip("10.1.0.0") + SUPPRESSION_PER_AC)).toBeDefined();
    table.forgetBehind(behindPort(bed.vm1, bed.inventory));
    expect(table.find(bed.vsi10, ip("10.1.0.1"))).toBeUndefined();
    expect(table.find(bed.vsi10, ip("10.1.0.0"))?.port).toBe(bed.vm3);
    table.flushVsi(bed.vsi10);
    expect(table.find(bed.vsi10, ip("10.1.0.0"))).toBeUndefined();
  });
});

describe("suppressed hosts that changed", () => {
  const asked = (bed: AgentBed): string[] => {
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    return bed.told();
  };
  let bed: AgentBed;
  beforeEach(() => {
    bed = new AgentBed({ arp: "suppress" });
    bed.reply(bed.vm3, bed.vsi10, M9, "10.1.1.12", M1, "10.1.1.11");
  });

  it("silent for 30 s: the question is flooded, so that the host of today can answer", () => {
    bed.advance(29_000);
    expect(asked(bed)[0]).toContain(" rep M9,");
    bed.advance(2000);
    expect(asked(bed)[0]).toContain("all of vsi1 but vm1: ff/M1 req");
  });

  it("sending frames that are no ARP: it is still answered for", () => {
    bed.learn(bed.vm3, bed.vsi10, M9);
    for (let second = 0; second < 120; second += 10) {
      bed.hitMac(bed.vsi10, M9);
      bed.advance(10_000);
    }
    expect(asked(bed)[0]).toContain(" rep M9,");
  });

  it("another MAC for the address replaces it at once, also where its AC may have no more hosts", () => {
    bed.arp(bed.vm3, bed.vsi10, { senderMac: M3, senderIp: ip("10.1.1.12"), targetIp: ip("10.1.1.12") });
    expect(asked(bed)[0]).toContain(" rep M3,");
    for (let n = 0; n < SUPPRESSION_PER_AC; n++)
      bed.arp(bed.vm2, bed.vsi20, { senderMac: M9, senderIp: ip("20.1.2.0") + n, targetIp: ip("20.1.1.9") });
    for (let n = 0; n <= SUPPRESSION_PER_AC; n++)
      bed.arp(bed.vm3, bed.vsi10, { senderMac: M3, senderIp: ip("10.1.2.0") + n, targetIp: ip("10.1.1.9") });
    bed.arp(bed.vm1, bed.vsi10, { senderMac: M9, senderIp: ip("10.1.2.1"), targetIp: ip("10.1.1.9") });
    bed.sent();
    // vm3 is full: the host that came back to it is not learned there, but what was known of it is void.
    bed.arp(bed.vm3, bed.vsi10, { senderMac: M3, senderIp: ip("10.1.2.255"), targetIp: ip("10.1.1.9") });
    bed.arp(bed.vm3, bed.vsi10, { senderMac: M3, senderIp: ip("10.1.2.1"), targetIp: ip("10.1.1.9") });
    bed.sent();
    bed.request(bed.border, bed.vsi10, M9, "10.1.1.77", "10.1.2.1");
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.2.1");
    expect(bed.told().filter((each) => each.includes(" rep M9,10.1.2.1"))).toEqual([]);
  });

  it("they are listed, counted and can be forgotten", () => {
    expect(bed.agent.suppressedViews()).toMatchObject([
      { ip: "10.1.1.12", mac: "02:00:00:00:09:99", state: "suppressed", vsi: "vsi10", via: { name: "vm3" } },
    ]);
    expect(bed.agent.arp.suppression.counts()).toEqual(new Map([["vsi10", 1]]));
    expect(bed.agent.arp.suppression.flush((vsi) => vsi === bed.vsi20, null)).toBe(0);
    expect(bed.agent.arp.suppression.flush((vsi) => vsi === bed.vsi10, ip("10.1.1.13"))).toBe(0);
    expect(bed.agent.arp.suppression.flush((vsi) => vsi === bed.vsi10, ip("10.1.1.12"))).toBe(1);
    expect(asked(bed)[0]).toContain("all of vsi1 but vm1: ff/M1 req");
  });
});
