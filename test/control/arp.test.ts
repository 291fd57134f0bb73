import { beforeEach, describe, expect, it } from "vitest";
import { PUNT } from "../../src/tables/counters.ts";
import { ARP_REPLY } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame } from "../dataplane/packets.ts";
import { AgentBed, G10, ip, M1, M3, M9, P10 } from "./agent-bed.ts";

describe("local proxy ARP, from an AC", () => {
  let bed: AgentBed;
  beforeEach(() => {
    bed = new AgentBed();
  });

  it("for the gateway: learned, one unicast reply, nothing else (§2.2 rows 1-2, N3)", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 rep G10,10.1.1.1 / M1,10.1.1.11"]);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    expect(bed.agent.arp.counts.byName.get("vsi10")).toMatchObject({ gateway_reply: 1, learned: 1, proxy_reply: 0 });
  });

  it("for an unknown host: answered at once, and asked on with our MAC, VM1's IP (§2.1 rows 2-3, N2)", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.told()).toEqual([
      "vm1 vsi1: M1/G10 rep G10,10.1.1.12 / M1,10.1.1.11",
      "all of vsi1 but vm1: ff/G10 req G10,10.1.1.11 / 0,10.1.1.12",
    ]);
    expect(bed.agent.arp.counts.byName.get("vsi10")).toMatchObject({ proxy_reply: 1, relayed_request: 1 });
  });

  it("asks on at most once a second for a target, however often it is asked", () => {
    for (let i = 0; i < 10; i++) bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    const flooded = () => bed.told().filter((each) => each.includes(" of vsi")).length;
    expect(flooded()).toBe(1);
    bed.advance(999);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(flooded()).toBe(0);
    bed.advance(1);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(flooded()).toBe(1);
  });

  it("does not ask on for a host that is fresh, and does for one that is stale", () => {
    bed.request(bed.vm3, bed.vsi10, M3, "10.1.1.13", "10.1.1.1");
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.13");
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 rep G10,10.1.1.13 / M1,10.1.1.11"]);
    bed.advance(600_000);
    expect(bed.neighbor(bed.if10, "10.1.1.13")).toBe("stale M3 vm3");
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.13");
    expect(bed.told().length).toBe(2);
  });

  it("a host behind the same AC is left to answer for itself (D8)", () => {
    bed.request(bed.vm1, bed.vsi10, M9, "10.1.1.99", "10.1.1.1");
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.99");
    expect(bed.told()).toEqual([]);
    expect(bed.agent.arp.counts.byName.get("vsi10")!.ignored).toBe(1);
  });

  it("where there is no other port, an unknown host can only be behind the same one (D8)", () => {
    for (const port of [bed.vm3, bed.gw2, bed.border]) port.up = false;
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.told()).toEqual([]);
  });

  it("a guest that revalidates by unicast is answered from the table (§3.5)", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    bed.sent();
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12", G10);
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 rep G10,10.1.1.12 / M1,10.1.1.11"]);
  });

  it("network and broadcast addresses of the subnet have no host", () => {
    for (const target of ["10.1.1.0", "10.1.1.255"]) bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", target);
    expect(bed.told()).toEqual([]);
  });

  it("verified (D2): answered when the target is heard, and not before", () => {
    bed = new AgentBed({ proxyArp: "verified" });
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.12");
    expect(bed.told()).toEqual(["all of vsi1 but vm1: ff/G10 req G10,10.1.1.11 / 0,10.1.1.12"]);
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 rep G10,10.1.1.12 / M1,10.1.1.11"]);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.77");
    bed.sent();
    bed.advance(10_000);
    expect(bed.told()).toEqual([]);
  });

  describe("announcements (§3.4)", () => {
    it("from an AC: creates, is not answered, and goes on to all sites with our MAC", () => {
      bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.11");
      expect(bed.told()).toEqual(["all of vsi1 but vm1: ff/G10 req G10,10.1.1.11 / 0,10.1.1.11"]);
      expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
      const [event] = bed.eventsNamed("arp.announce");
      expect(event, "it did not go to vm1").toMatchObject({ ip: "10.1.1.11", to: "acs,tunnels", except: "vm1" });
      expect(event).not.toHaveProperty("ac");
    });

    it("goes on once a second unless the host has moved", () => {
      for (let i = 0; i < 3; i++) bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.11");
      expect(bed.told().length).toBe(1);
      bed.request(bed.vm3, bed.vsi10, M1, "10.1.1.11", "10.1.1.11");
      expect(bed.told()).toEqual(["all of vsi1 but vm3: ff/G10 req G10,10.1.1.11 / 0,10.1.1.11"]);
    });

    it("as a reply too", () => {
      bed.arp(bed.vm1, bed.vsi10, {
        op: ARP_REPLY,
        senderMac: M1,
        senderIp: ip("10.1.1.11"),
        targetIp: ip("10.1.1.11"),
      });
      expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
      expect(bed.told().length).toBe(1);
    });
  });

  describe("address probes (§3.3, RFC 5227)", () => {
    const probe = (target: string, mac = M9) =>
      bed.arp(bed.vm1, bed.vsi10, { senderMac: mac, senderIp: 0, targetIp: ip(target) });

    it("for our address: answered; never learned", () => {
      probe("10.1.1.1");
      expect(bed.told()).toEqual(["vm1 vsi1: M9/G10 rep G10,10.1.1.1 / M9,0.0.0.0"]);
      expect(bed.agent.neighborViews()).toEqual([]);
    });

    it("for an unused address: asked on with sender 0.0.0.0, never answered (N4)", () => {
      probe("10.1.1.50");
      expect(bed.told()).toEqual(["all of vsi1 but vm1: ff/G10 req G10,0.0.0.0 / 0,10.1.1.50"]);
      bed.advance(5000);
      expect(bed.told()).toEqual([]);
    });

    it("for a host that is certainly alive elsewhere: answered at once", () => {
      bed.request(bed.vm3, bed.vsi10, M3, "10.1.1.13", "10.1.1.1");
      bed.sent();
      probe("10.1.1.13");
      expect(bed.told()).toEqual(["vm1 vsi1: M9/G10 rep G10,10.1.1.13 / M9,0.0.0.0"]);
    });

    it("for a host not heard lately: asked on, and answered when it defends itself", () => {
      bed.request(bed.vm3, bed.vsi10, M3, "10.1.1.13", "10.1.1.1");
      bed.advance(60_000);
      bed.sent();
      probe("10.1.1.13");
      expect(bed.told()).toEqual(["all of vsi1 but vm1: ff/G10 req G10,0.0.0.0 / 0,10.1.1.13"]);
      bed.reply(bed.vm3, bed.vsi10, M3, "10.1.1.13", G10, "0.0.0.0");
      expect(bed.told()).toEqual(["vm1 vsi1: M9/G10 rep G10,10.1.1.13 / M9,0.0.0.0"]);
    });

    it("a host that moved here and probes for its own address is not told that it is taken", () => {
      bed.request(bed.vm3, bed.vsi10, M9, "10.1.1.13", "10.1.1.1");
      bed.sent();
      probe("10.1.1.13", M9);
      expect(bed.told().filter((each) => each.includes(" rep "))).toEqual([]);
    });

    it("from a tunnel: a local host that is alive answers; the asker's 0.0.0.0 is kept", () => {
      bed.request(bed.vm3, bed.vsi10, M3, "10.1.1.13", "10.1.1.1");
      bed.advance(60_000);
      bed.sent();
      bed.arp(bed.gw2, bed.vsi10, { senderMac: P10, senderIp: 0, targetIp: ip("10.1.1.13") });
      expect(bed.told()).toEqual(["ACs of vsi1 but gw2: ff/G10 req G10,0.0.0.0 / 0,10.1.1.13"]);
      bed.reply(bed.vm3, bed.vsi10, M3, "10.1.1.13", G10, "0.0.0.0");
      expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 rep G10,10.1.1.13 / P10,0.0.0.0"]);
    });
  });

  describe("who is not believed (§3.1, §3.2, §3.7)", () => {
    const bad = (fields: Parameters<AgentBed["arp"]>[2]) => bed.arp(bed.vm1, bed.vsi10, fields);
    const cases: [string, string, () => void][] = [
      [
        "arp_src_mismatch",
        "Ethernet source is not the sender",
        () => bad({ ethSrc: M3, senderMac: M1, senderIp: ip("10.1.1.11"), targetIp: ip("10.1.1.12") }),
      ],
      [
        "arp_martian",
        "sender 0.0.0.0 in a reply",
        () => bad({ op: ARP_REPLY, senderMac: M1, senderIp: 0, targetIp: ip("10.1.1.12") }),
      ],
      ["arp_martian", "loopback", () => bad({ senderMac: M1, senderIp: ip("127.0.0.1"), targetIp: ip("10.1.1.12") })],
      ["arp_martian", "multicast", () => bad({ senderMac: M1, senderIp: ip("224.0.0.1"), targetIp: ip("10.1.1.12") })],
      ["arp_martian", "broadcast", () => bad({ senderMac: M1, senderIp: -1, targetIp: ip("10.1.1.12") })],
      [
        "arp_martian",
        "the subnet's broadcast",
        () => bad({ senderMac: M1, senderIp: ip("10.1.1.255"), targetIp: ip("10.1.1.12") }),
      ],
      [
        "arp_not_local",
        "sender outside",
        () => bad({ senderMac: M1, senderIp: ip("10.2.1.11"), targetIp: ip("10.1.1.12") }),
      ],
      [
        "arp_not_local",
        "target outside",
        () => bad({ senderMac: M1, senderIp: ip("10.1.1.11"), targetIp: ip("20.1.1.12") }),
      ],
      [
        "own_mac_local",
        "our own MAC",
        () => bad({ senderMac: G10, senderIp: ip("10.1.1.11"), targetIp: ip("10.1.1.12") }),
      ],
      [
        "arp_malformed",
        "an opcode of RARP",
        () => bad({ op: 3, senderMac: M1, senderIp: ip("10.1.1.11"), targetIp: ip("10.1.1.12") }),
      ],
    ];
    for (const [reason, what, stimulus] of cases)
      it(`${reason}: ${what}: seven of them, no reply, no entry`, () => {
        for (let i = 0; i < 7; i++) stimulus();
        expect(bed.drops).toEqual({ [reason]: 7 });
        expect(bed.told()).toEqual([]);
        expect(bed.agent.neighborViews()).toEqual([]);
      });

    it("arp_gw_spoof: our IP claimed by a host: never learned, one defending announcement in 10 s", () => {
      for (let i = 0; i < 7; i++) bad({ senderMac: M9, senderIp: ip("10.1.1.1"), targetIp: ip("10.1.1.11") });
      expect(bed.drops).toEqual({ arp_gw_spoof: 7 });
      expect(bed.told()).toEqual(["vm1 vsi1: ff/G10 req G10,10.1.1.1 / 0,10.1.1.1"]);
      bed.advance(10_000);
      bad({ senderMac: M9, senderIp: ip("10.1.1.1"), targetIp: ip("10.1.1.1") });
      expect(bed.told().length).toBe(1);
      expect(bed.agent.neighborViews()).toEqual([]);
    });

    it("arp_gw_spoof: a configured address claimed from elsewhere; the host itself is heard", () => {
      bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.9"), M3, bed.vm3, bed.vsi10);
      bad({ senderMac: M9, senderIp: ip("10.1.1.9"), targetIp: ip("10.1.1.1") });
      expect(bed.drops).toEqual({ arp_gw_spoof: 1 });
      bed.sent();
      bed.request(bed.vm3, bed.vsi10, M3, "10.1.1.9", "10.1.1.1");
      expect(bed.told()).toEqual(["vm3 vsi1: M3/G10 rep G10,10.1.1.1 / M3,10.1.1.9"]);
      expect(bed.drops).toEqual({ arp_gw_spoof: 1 });
    });

    it("trailing bytes never matter, missing ones always do", () => {
      const whole = arpFrame({
        ethDst: BROADCAST,
        ethSrc: M1,
        op: 1,
        senderMac: M1,
        senderIp: ip("10.1.1.11"),
        targetMac: 0,
        targetIp: ip("10.1.1.1"),
      });
      const padded = new Uint8Array(60).fill(0xa5);
      padded.set(whole);
      bed.punt(PUNT.arp, bed.vm1, bed.vsi10, padded);
      expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 rep G10,10.1.1.1 / M1,10.1.1.11"]);
      for (let length = 14; length < whole.length; length++)
        bed.punt(PUNT.arp, bed.vm1, bed.vsi10, whole.subarray(0, length));
      expect(bed.drops).toEqual({ arp_malformed: whole.length - 14 });
      expect(bed.told()).toEqual([]);
    });
  });

  it("announce: every address of the VSI-interface, on that AC alone (§3.12)", () => {
    bed.agent.announceAt(bed.if10, bed.vm1, bed.vsi10);
    expect(bed.told()).toEqual(["vm1 vsi1: ff/G10 req G10,10.1.1.1 / 0,10.1.1.1"]);
  });

  it("a frame whose port or VSI has gone is dropped", () => {
    bed.inventory.removePort(bed.vm1);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    expect(bed.drops).toEqual({ ac_unbound: 1 });
  });
});
