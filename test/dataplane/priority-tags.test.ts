/** Priority tags (VLAN id 0), one in the other: hosts take all of them off, so none may carry a frame past what looks at it. */
import { describe, expect, it } from "vitest";
import { PUNT } from "../../src/tables/counters.ts";
import { VSI_DHCP_RELAY, VSI_ND } from "../../src/tables/vsi.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { arpFrame, ethernet, tagged, udpFrame } from "./packets.ts";
import { packet6 } from "./packets6.ts";
import { ip, M1, Rig } from "./rig.ts";

const VICTIM = parseMac("02:00:00:00:01:15")!;
const ALL_NODES = parseMac("33:33:00:00:00:01")!;
const ARP = arpFrame({
  ...{ ethDst: BROADCAST, ethSrc: M1, op: 2, senderMac: M1, senderIp: ip("10.1.1.77") },
  ...{ targetMac: 0, targetIp: ip("10.1.1.12") },
});
const NA = packet6({
  ...{ dst: ALL_NODES, src: M1, from: "2001:db8:10::11", to: "ff02::1", hops: 255, next: 58 },
  rest: "8800 0000 2000 0000 20010db8001000000000000000000012",
});
const OFFER = udpFrame({ dst: BROADCAST, src: M1, from: ip("10.1.1.11"), to: -1, sport: 67, dport: 68 });

/** `frame` behind a tag. */
function behindTag(frame: Uint8Array, type: number, tci: number): Uint8Array {
  const out = tagged(frame, tci);
  setU16(out, 12, type);
  return out;
}

/** `frame` behind a priority tag of each type. */
const behind = (frame: Uint8Array, ...types: number[]): Uint8Array =>
  types.reduceRight((inner, type) => behindTag(inner, type, 0xe000), frame);

function rig(): Rig {
  const made = new Rig();
  made.tables.vsis.flags[1]! |= VSI_ND | VSI_DHCP_RELAY;
  made.mac(1, M1, 1);
  return made;
}

describe("what is behind", () => {
  it.each([
    ["none", []],
    ["one", [0x8100]],
    ["two", [0x8100, 0x8100]],
    ["four", [0x8100, 0x8100, 0x8100, 0x8100]],
    ["one of 802.1ad", [0x88a8]],
    ["one of each", [0x88a8, 0x8100, 0x88a8]],
  ])("%s is seen as if there were none", (_, types) => {
    const made = rig();
    for (const frame of [ARP, NA, OFFER]) made.vm1.send(behind(frame, ...types));
    made.run();
    const punts = made.punts();
    expect(punts.map(({ kind }) => kind)).toEqual([PUNT.arp, PUNT.nd]);
    expect([...punts[0]!.bytes]).toEqual([...ARP]);
    expect([made.drops, made.wire]).toEqual([{ dhcp_guard: 1 }, []]);
    expect(made.imbalance).toBe(0);
  });

  it("the tag of an AC is seen too", () => {
    const made = rig();
    made.mac(1, M1, 11);
    made.ac(11, 1, 5, 20).send(tagged(behind(ARP, 0x8100, 0x8100), 20));
    made.run();
    expect(made.punts().map(({ kind }) => kind)).toEqual([PUNT.arp]);
    expect(made.wire).toEqual([]);
  });

  it("one is seen behind a frame with the same first fourteen bytes, whose tag is of a VLAN", () => {
    const made = new Rig();
    made.mac(1, M1, 1);
    made.ac(5, 1, 5);
    made.mac(1, VICTIM, 5);
    const claim = arpFrame({
      ...{ ethDst: VICTIM, ethSrc: M1, op: 2, senderMac: M1, senderIp: ip("10.1.1.1") },
      ...{ targetMac: VICTIM, targetIp: ip("10.1.1.12") },
    });
    const first = behindTag(ethernet(VICTIM, M1, 0x88b5, 46), 0x88a8, 5);
    for (const frame of [first, behindTag(claim, 0x88a8, 0)]) made.vm1.send(frame);
    made.run();
    expect(made.heard[5]!.map((bytes) => [...bytes])).toEqual([[...first]]);
    expect(made.punts().map(({ kind, bytes }) => [kind, ...bytes])).toEqual([[PUNT.arp, ...claim]]);
  });

  it("five goes nowhere", () => {
    const made = rig();
    made.vm1.send(behind(ARP, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100));
    made.run();
    expect([made.drops, made.punts()]).toEqual([{ ac_unbound: 1 }, []]);
  });

  it("one and a cut one is a runt", () => {
    const made = rig();
    made.vm1.send(behind(ARP, 0x8100, 0x8100).slice(0, 21));
    made.run();
    expect(made.drops).toEqual({ runt: 1 });
  });

  it("one and a tag of a VLAN is bridged with that tag", () => {
    const made = rig();
    const inner = tagged(ethernet(BROADCAST, M1, 0x88b5, 46), 7);
    made.vm1.send(behind(inner, 0x8100, 0x8100));
    made.run();
    expect(made.wire.map(({ bytes }) => [...bytes.subarray(8)])).toEqual([[...inner], [...inner]]);
  });
});
