/**
 * One resolution, two speakers: every rule once for ARP and once for neighbour discovery. What is decided must not depend on who
 * speaks.
 */
import { describe, expect, it } from "vitest";
import { ArpSpeaker } from "../../src/control/arp/speaker.ts";
import { compareIp, formatIp, type Ip, isHostIn, isWithin } from "../../src/control/ip.ts";
import { ipKey } from "../../src/control/map-key.ts";
import { NdSpeaker } from "../../src/control/nd/speaker.ts";
import { announcement, answer, question } from "../../src/control/resolution/message.ts";
import type { Speaker } from "../../src/control/resolution/speaker.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame } from "../dataplane/packets.ts";
import { G10, ip, M1, M3, M9, P10 } from "./agent-bed.ts";
import { SpeakerBed } from "./speaker-bed.ts";

const NET6 = 0x20010db8_0010_0000_0000_0000_0000_0000n;
const FAMILIES: readonly (readonly [string, () => Speaker, (host: number) => Ip, number])[] = [
  ["ARP", () => new ArpSpeaker(), (host) => ip("10.1.1.0") + host, 24],
  ["neighbour discovery", () => new NdSpeaker(), (host) => NET6 | BigInt(`0x${host}`), 64],
];

const protocolOf = (at: (host: number) => Ip) => (typeof at(1) === "number" ? "arp" : "nd");

/** The gateway's own addresses, announced: with IPv6 its link-local one too. */
const ownOf = (at: (host: number) => Ip, to: string) => [
  `${to}: announcement G->all 1 to 1`,
  ...(typeof at(1) === "bigint" ? [`${to}: announcement G->all l:1 to l:1`] : []),
];

describe.each(FAMILIES)("decisions on what is said in %s", (_, speaker, at, length) => {
  const bedOf = (config: ConstructorParameters<typeof SpeakerBed>[2] = {}) =>
    new SpeakerBed(speaker(), { address: at(1), network: at(0), length }, config);

  it("proxy: a host is answered with the gateway MAC, and its question goes on to all sites", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, question(M1, null, at(11), at(12)))).toEqual({
      fate: "ok",
      sent: ["vm1: answer G->M1 12 to 11", "all but vm1: question G->all 11 to 12"],
    });
    expect(bed.neighbors.find(bed.iface, at(11))!.place).toMatchObject({ mac: M1, port: bed.vm1 });
    expect(bed.resolution.counts.byName.get("vsi10")).toMatchObject({ proxy_reply: 1, relayed_request: 1, learned: 1 });
  });

  it("proxy: asked again within the second it is answered, and nothing is flooded", () => {
    const bed = bedOf();
    bed.say(bed.vm1, question(M1, null, at(11), at(12)));
    expect(bed.say(bed.vm1, question(M1, null, at(11), at(12))).sent).toEqual(["vm1: answer G->M1 12 to 11"]);
  });

  it("our own address: one answer, to the asker alone", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, question(M1, null, at(11), at(1))).sent).toEqual(["vm1: answer G->M1 1 to 11"]);
    expect(bed.say(bed.gw2, question(P10, null, at(12), at(1))).sent).toEqual([]);
  });

  it("relay: what a tunnel asks is asked at the ACs, and each asker gets one answer when the host is heard", () => {
    const bed = bedOf();
    expect(bed.say(bed.gw2, question(P10, null, at(12), at(11))).sent).toEqual([
      "acs but gw2: question G->all 12 to 11",
    ]);
    expect(bed.say(bed.vm1, answer(M1, P10, at(11), at(12))).sent).toEqual(["gw2: answer G->P 11 to 12"]);
    expect(bed.say(bed.gw2, question(P10, null, at(12), at(11))).sent).toEqual(["gw2: answer G->P 11 to 12"]);
    expect(bed.say(bed.vm1, answer(M1, P10, at(11), at(12))).sent).toEqual([]);
  });

  it("announce: of a host it is passed on with the gateway MAC, from a tunnel to the ACs alone", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, announcement(M1, at(11))).sent).toEqual(["all but vm1: announcement G->all 11 to 11"]);
    expect(bed.say(bed.gw2, announcement(P10, at(12))).sent).toEqual(["acs but gw2: announcement G->all 12 to 12"]);
    expect(bed.neighbors.find(bed.iface, at(12))).toBeUndefined();
  });

  it("announce: the gateway says its own address at a port", () => {
    const bed = bedOf();
    bed.resolution.announceAt(bed.iface, bed.vm1, bed.inventory.vsi("vsi10")!);
    expect(bed.sent()).toEqual(ownOf(at, "vm1"));
  });

  it("probe: answered for a live host and for ourselves, else asked on without a sender; never learned", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, question(M1, null, null, at(12))).sent).toEqual(["all but vm1: probe G->all - to 12"]);
    expect(bed.say(bed.vm1, question(M1, null, null, at(1))).sent).toEqual(["vm1: answer G->M1 1 to -"]);
    expect(bed.neighbors.size).toBe(0);
    expect(bed.say(bed.vm3, answer(M3, M1, at(12), at(1))).sent).toEqual(["vm1: answer G->M1 12 to -"]);
    expect(bed.say(bed.vm1, question(M1, null, null, at(12))).sent).toEqual(["vm1: answer G->M1 12 to -"]);
  });

  it("probe for what was heard behind a tunnel just now: its site is asked, which the host may have left for ours", () => {
    const bed = bedOf();
    expect(bed.say(bed.gw2, question(P10, null, at(12), at(1))).sent).toEqual([]);
    expect(bed.say(bed.vm1, question(M1, null, null, at(12))).sent).toEqual(["all but vm1: probe G->all - to 12"]);
    expect(bed.say(bed.gw2, answer(P10, G10, at(12), null)).sent).toEqual(["vm1: answer G->M1 12 to -"]);
    // All were asked within this second, and the answer is behind us: asked where it is.
    expect(bed.say(bed.vm3, question(M3, null, null, at(12))).sent).toEqual(["gw2: probe G->P - to 12"]);
    // Hosts are looked for at our own ACs alone.
    const evpn = { rd: "auto", import: [], export: [], learning: "evpn", unknown: "drop" } as never;
    const narrow = bedOf({ evpn });
    expect(narrow.say(narrow.gw2, question(P10, null, at(12), at(1))).sent).toEqual([]);
    expect(narrow.say(narrow.vm1, question(M1, null, null, at(12))).sent).toEqual([
      "acs but vm1: probe G->all - to 12",
      "gw2: probe G->P - to 12",
    ]);
    expect(bed.say(bed.gw2, answer(P10, G10, at(12), null)).sent).toEqual(["vm3: answer G->M3 12 to -"]);
  });

  it("suppress: a known host is answered for with its own MAC, an unknown one is left to answer itself", () => {
    const bed = bedOf({ arp: "suppress" });
    bed.say(bed.vm3, announcement(M3, at(13)));
    expect(bed.say(bed.vm1, question(M1, null, at(11), at(13))).sent).toEqual(["vm1: answer M3->M1 13 to 11"]);
    expect(bed.say(bed.vm1, question(M1, null, at(11), at(14))).sent).toEqual([
      "all but vm1: question M1->all 11 to 14",
    ]);
    expect(bed.say(bed.vm3, answer(M3, M1, at(13), at(11))).sent).toEqual([]);
  });

  it("defence: an address of ours is not learned from an AC, and those who heard the claim are told who has it", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, announcement(M1, at(1)))).toEqual({
      fate: `${protocolOf(at)}_gw_spoof`,
      sent: ["vm1: announcement G->all 1 to 1"],
    });
    expect(bed.say(bed.vm1, question(M1, null, at(1), at(12)))).toEqual({
      fate: `${protocolOf(at)}_gw_spoof`,
      sent: [],
    });
  });

  it("of a dual-stack VSI-interface, each speaker announces its own addresses and hosts, and leaves the other's alone", () => {
    const bed = bedOf();
    const isFour = typeof at(1) === "number";
    const other = isFour
      ? { address: NET6 | 1n, network: NET6, length: 64 }
      : { address: ip("10.1.1.1"), network: ip("10.1.1.0"), length: 24 };
    bed.iface.subnets = [other, ...bed.iface.subnets];
    const vsi = bed.inventory.vsi("vsi10")!;
    bed.neighbors.addStatic(bed.iface, at(13), M3, bed.vm3, vsi);
    bed.neighbors.addStatic(bed.iface, isFour ? NET6 | 0x13n : ip("10.1.1.13"), M3, bed.vm3, vsi);
    bed.resolution.announceAt(bed.iface, bed.vm1, vsi);
    expect(bed.sent()).toEqual(ownOf(at, "vm1"));
    bed.resolution.announcer.update(bed.inventory);
    bed.resolution.announcer.tellHosts(vsi);
    expect(bed.advance(100)).toEqual([...ownOf(at, "tunnels but none"), "acs but vm3: announcement G->all 13 to 13"]);
  });

  it("two hosts that probe for one address at once: each site hears the other's, within the second too, and once", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, question(M1, null, null, at(12))).sent).toEqual(["all but vm1: probe G->all - to 12"]);
    expect(bed.say(bed.gw2, question(P10, null, null, at(12))).sent).toEqual(["acs but gw2: probe G->all - to 12"]);
    expect(bed.say(bed.vm3, question(M3, null, null, at(12))).sent).toEqual(["all but vm3: probe G->all - to 12"]);
    expect(bed.say(bed.gw2, question(P10, null, null, at(12))).sent).toEqual([]);
    expect(bed.say(bed.vm1, question(M1, null, null, at(12))).sent).toEqual([]);
  });

  it("probes of many hosts for one address are no flood", () => {
    const bed = bedOf();
    const sent = Array.from(
      { length: 100 },
      (_, n) => bed.say(bed.vm1, question(M9 + n, null, null, at(12))).sent,
    ).flat();
    expect(sent.length).toBeLessThanOrEqual(8);
  });

  it("a peer gateway is noted, and never a neighbour", () => {
    const bed = bedOf();
    bed.say(bed.gw2, question(P10, null, at(1), at(11)));
    expect([...bed.resolution.peers.list()]).toMatchObject([{ ip: at(1), mac: P10, tunnel: bed.gw2 }]);
    expect(bed.neighbors.size).toBe(0);
  });

  it("a move from a tunnel is asked at the old place first", () => {
    const bed = bedOf();
    bed.say(bed.vm1, question(M1, null, at(11), at(1)));
    expect(bed.say(bed.gw2, question(P10, null, at(11), at(12))).sent).toContain("vm1: question G->M1 1 to 11");
    bed.advance(600);
    expect(bed.neighbors.find(bed.iface, at(11))!.place).toMatchObject({ mac: P10, port: bed.gw2 });
  });

  it("two hosts with one address are found: both answer when they are asked", () => {
    const bed = bedOf();
    bed.say(bed.vm1, question(M1, null, at(11), at(1)));
    bed.say(bed.vm3, announcement(M3, at(11)));
    bed.advance(1000);
    bed.say(bed.vm1, answer(M1, M3, at(11), at(1)));
    bed.say(bed.vm3, answer(M3, M3, at(11), at(1)));
    bed.advance(1000);
    expect(bed.resolution.duplicates.list()).toMatchObject([{ ip: formatIp(at(11)), isProbe: false }]);
  });

  it("who asks with an address of another subnet is not heard", () => {
    const bed = bedOf();
    const elsewhere = typeof at(1) === "number" ? ip("10.1.2.11") : NET6 | (1n << 64n);
    expect(bed.say(bed.vm1, question(M1, null, elsewhere, at(12)))).toEqual({
      fate: `${protocolOf(at)}_not_local`,
      sent: [],
    });
  });
});

describe("ARP as messages", () => {
  const [A, B] = [ip("10.1.1.11"), ip("10.1.1.12")];
  const frameOf = (more: Partial<Parameters<typeof arpFrame>[0]>) =>
    arpFrame({
      ...{ ethDst: BROADCAST, ethSrc: M1, op: 1, senderMac: M1, senderIp: A, targetMac: 0, targetIp: B },
      ...more,
    });
  const envelope = { senderMac: M1, from: M1, to: null };
  const CASES: readonly (readonly [string, Parameters<typeof frameOf>[0], object])[] = [
    ["a request is a question", {}, { kind: "question", sender: A, target: B, ...envelope }],
    ["to one host it is one, too", { ethDst: M3 }, { kind: "question", sender: A, target: B, ...envelope, to: M3 }],
    ["a request without a sender is a probe", { senderIp: 0 }, { kind: "probe", sender: null, target: B, ...envelope }],
    [
      "a request for its sender is an announcement",
      { targetIp: A },
      { kind: "announcement", sender: A, target: A, ...envelope },
    ],
    [
      "a reply for its sender is one, too",
      { op: 2, targetIp: A, targetMac: M1 },
      { kind: "announcement", sender: A, target: A, ...envelope },
    ],
    [
      "a reply is an answer",
      { op: 2, ethDst: M3, targetMac: M3 },
      { kind: "answer", sender: A, target: B, ...envelope, to: M3 },
    ],
    [
      "a reply to a host without an address is one, too",
      { op: 2, ethDst: M3, targetMac: M3, targetIp: 0 },
      { kind: "answer", sender: A, target: null, ...envelope, to: M3 },
    ],
    ["whose source is not its sender tells both", { ethSrc: M3 }, { kind: "question", ...envelope, from: M3 }],
  ];

  it.each(CASES)("%s", (_, fields, message) => {
    expect(new ArpSpeaker().parse(frameOf(fields))).toMatchObject(message);
  });

  it("emitted again, a message is the frame it was, but for replies that announce", () => {
    const speaker = new ArpSpeaker();
    for (const [name, fields] of CASES) {
      if (name.startsWith("a reply for its sender")) continue;
      const frame = frameOf(fields);
      expect([name, ...speaker.emit(speaker.parse(frame)!)]).toEqual([name, ...frame]);
    }
  });

  it("only a request to all is held back where ARP is suppressed", () => {
    const speaker = new ArpSpeaker();
    expect(CASES.filter(([, fields]) => speaker.isHeldBack(frameOf(fields))).map(([name]) => name)).toEqual([
      "a request is a question",
      "a request without a sender is a probe",
      "a request for its sender is an announcement",
      "whose source is not its sender tells both",
    ]);
  });

  it("does not speak of IPv6", () => {
    expect(() => new ArpSpeaker().emit(announcement(M1, NET6))).toThrow("2001:db8:10::");
  });
});

describe("addresses of either family", () => {
  const SOME: readonly Ip[] = [0, ip("10.1.1.1"), ip("192.0.2.1"), -1, 0n, 1n, NET6, NET6 | 1n, (1n << 128n) - 1n];

  it("have one key for each (row, address), found by value", () => {
    const keys = new Set([0, 1, 2, 65535].flatMap((row) => SOME.map((each) => ipKey(row, each))));
    expect(keys.size).toBe(4 * SOME.length);
    expect(keys.has(ipKey(2, BigInt("1")))).toBe(true);
  });

  it("are sorted by number, IPv4 first", () => {
    const texts = [...SOME].reverse().sort(compareIp).map(formatIp);
    expect(texts).toEqual(SOME.map(formatIp));
  });

  it("lie in prefixes of their own family", () => {
    expect(isWithin(ip("10.1.1.9"), ip("10.1.1.0"), 24)).toBe(true);
    expect(isWithin(ip("10.1.2.9"), ip("10.1.1.0"), 24)).toBe(false);
    expect(isWithin(NET6 | 9n, NET6, 64)).toBe(true);
    expect(isWithin(NET6 | (1n << 64n), NET6, 64)).toBe(false);
    expect(isWithin(0, 0n, 0)).toBe(false);
    expect(isWithin(-1, 0, 0) && isWithin(NET6, 0n, 0) && isWithin(NET6, NET6, 128)).toBe(true);
  });

  it("can be hosts', unless they mean a whole subnet or its routers", () => {
    expect([0, 1, 254, 255].map((host) => isHostIn(ip("10.1.1.0") + host, 24))).toEqual([false, true, true, false]);
    expect([isHostIn(ip("10.1.1.0"), 31), isHostIn(ip("10.1.1.0"), 32)]).toEqual([true, true]);
    expect([NET6, NET6 | 1n].map((each) => isHostIn(each, 64))).toEqual([false, true]);
    expect([isHostIn(NET6, 127), isHostIn(NET6, 128)]).toEqual([true, true]);
  });

  it.each([
    [0n, "::"],
    [1n, "::1"],
    [NET6, "2001:db8:10::"],
    [0x20010db8_0000_0001_0001_0001_0001_0001n, "2001:db8:0:1:1:1:1:1"],
    [0x20010000_0000_0001_0000_0000_0000_0001n, "2001:0:0:1::1"],
    [0x20010db8_0000_0000_0001_0000_0000_0001n, "2001:db8::1:0:0:1"],
    [0xfe80_0000_0000_0000_02aa_00ff_fe00_000an, "fe80::2aa:ff:fe00:a"],
    [(1n << 128n) - 1n, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ])("are written as RFC 5952 wants: %s", (address, text) => {
    expect(formatIp(address)).toBe(text);
  });
});
