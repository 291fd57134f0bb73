/** `linkLocal: isolate`: what is of the link alone from host to host goes nowhere; the gateway's own conversation, and all else, does. */
import { describe, expect, it } from "vitest";
import { PUNT } from "../../src/tables/counters.ts";
import { VSI_ISOLATE, VSI_LOCAL_PROXY, VSI_RA } from "../../src/tables/vsi.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { udpFrame, vxlan } from "./packets.ts";
import { packet6, udp6 } from "./packets6.ts";
import { G10, ip, M1 } from "./rig.ts";
import { Rig6 } from "./rig6.ts";

const GROUP = parseMac("33:33:00:00:00:01")!;
const REMOTE = parseMac("02:00:00:00:01:12")!;
const nd = (type: string, target: string) => `${type}00 0000 0000 0000 ${target}`;
const LINK12 = "fe80000000000000 0000000000000012";
const GLOBAL11 = "20010db800100000 0000000000000011";
const GLOBAL12 = "20010db800100000 0000000000000012";

function rig(flags = VSI_ISOLATE, without = 0): Rig6 {
  const made = new Rig6();
  made.tables.vsis.flags[1] = (made.tables.vsis.flags[1]! | flags) & ~without;
  made.mac(1, REMOTE, 3);
  return made;
}

/** What became of `frame` from vm1, and of the same from the tunnel. */
function fates(frame: Uint8Array, flags = VSI_ISOLATE, without = 0) {
  const near = rig(flags, without);
  near.vm1.send(frame);
  near.run();
  const far = rig(flags, without);
  far.mac(1, M1, 3);
  far.mac(1, REMOTE, 1);
  far.arrive(2, vxlan(10, frame));
  far.run();
  return [near, far].map((made) => {
    expect(made.imbalance).toBe(0);
    const punts = made.punts().filter(({ kind }) => kind === PUNT.nd || kind === PUNT.local).length;
    const out = made.wire.length + (made.heard[1]?.length ?? 0);
    return Object.keys(made.drops)[0] ?? (punts > 0 ? "punted" : out > 0 ? "sent" : "nowhere");
  });
}

const HOST = { src: M1, dst: REMOTE, from: "fe80::11", to: "fe80::12" };
const LINK_ONLY: readonly (readonly [string, Uint8Array])[] = [
  ["a packet between link-local addresses", udp6(HOST)],
  ["one from a link-local address to another", udp6({ ...HOST, to: "2001:db8:10::12" })],
  ["one to a link-local address", udp6({ ...HOST, from: "2001:db8:10::11" })],
  ["an echo of all nodes", packet6({ ...HOST, dst: GROUP, to: "ff02::1", next: 58, rest: "8000 0000 0001 0001" })],
  ["MLD", packet6({ ...HOST, dst: GROUP, to: "ff02::16", next: 0, rest: "3a00 0502 0000 0100 8f00 0000 0000 0000" })],
  ["mDNS of a global address", udp6({ ...HOST, dst: GROUP, from: "2001:db8:10::11", to: "ff02::fb" })],
  ["a group of the link with flags", udp6({ ...HOST, dst: GROUP, from: "2001:db8:10::11", to: "ff12::1" })],
  [
    "a solicitation of a host's link-local address",
    packet6({ ...HOST, dst: GROUP, to: "ff02::1:ff00:12", hops: 255, next: 58, rest: nd("87", LINK12) }),
  ],
  ["the same by unicast", packet6({ ...HOST, hops: 255, next: 58, rest: nd("87", LINK12) })],
  ["an advertisement of one to its asker", packet6({ ...HOST, hops: 255, next: 58, rest: nd("88", LINK12) })],
  [
    "a router's solicitation, where the gateway is none",
    packet6({ ...HOST, dst: GROUP, to: "ff02::2", hops: 255, next: 58, rest: "8500 0000 0000 0000" }),
  ],
];

/** The gateway's link-local address is named, and others are reached. */
const GATEWAYS: readonly (readonly [string, Uint8Array])[] = [
  ["at another host's MAC", udp6({ ...HOST, to: "fe80::1" })],
  ["at another host's MAC, from a global address", udp6({ ...HOST, from: "2001:db8:10::11", to: "fe80::1" })],
  ["at the MAC of all hosts", udp6({ ...HOST, dst: GROUP, to: "fe80::1" })],
  ["at a MAC that no host is known to have", udp6({ ...HOST, dst: parseMac("02:00:00:00:01:99")!, to: "fe80::1" })],
  [
    "by an advertisement to a host's MAC",
    packet6({ ...HOST, to: "fe80::1", hops: 255, next: 58, rest: nd("88", LINK12) }),
  ],
  [
    "by a solicitation to a host's MAC",
    packet6({ ...HOST, to: "fe80::1", hops: 255, next: 58, rest: nd("87", LINK12) }),
  ],
];

describe("what names the gateway's link-local address", () => {
  it.each(GATEWAYS)("%s is dropped where hosts are isolated, and bridged elsewhere", (_, frame) => {
    expect(fates(frame)).toEqual(["link_isolated", "link_isolated"]);
    expect(fates(frame, VSI_ISOLATE | VSI_LOCAL_PROXY)).toEqual(["link_isolated", "link_isolated"]);
    expect(fates(frame, 0)).toEqual(["sent", "sent"]);
  });

  it("and tells of an address of the subnet to a host's MAC is dropped at its AC, where the gateway answers for all", () => {
    const around = { ...HOST, from: "2001:db8:10::11", to: "fe80::1", hops: 255, next: 58 };
    for (const type of ["87", "88"])
      expect(fates(packet6({ ...around, rest: nd(type, GLOBAL12) }), VSI_ISOLATE | VSI_LOCAL_PROXY)).toEqual([
        "link_isolated",
        "link_isolated",
      ]);
  });

  it.each([0, VSI_LOCAL_PROXY])(
    "and is a claim of another address to a group, at an AC, is control's alone (%i)",
    (mode) => {
      const lie = packet6({
        ...HOST,
        dst: GROUP,
        from: "fe80::1",
        to: "ff02::1",
        hops: 255,
        next: 58,
        rest: nd("88", LINK12),
      });
      const made = rig(VSI_ISOLATE | mode, VSI_LOCAL_PROXY & ~mode);
      made.vm1.send(lie);
      made.run();
      expect([made.punts().map(({ kind }) => kind), made.wire.length, made.imbalance]).toEqual([[PUNT.nd], 0, 0]);
    },
  );

  it.each([0, VSI_LOCAL_PROXY])("and asks for it, by a group, is control's alone (%i)", (mode) => {
    const rest = nd("87", "fe80000000000000 0000000000000001");
    for (const from of ["2001:db8:10::11", "fe80::11"]) {
      const made = rig(VSI_ISOLATE | mode, VSI_LOCAL_PROXY & ~mode);
      made.vm1.send(packet6({ ...HOST, dst: GROUP, from, to: "ff02::1:ff00:1", hops: 255, next: 58, rest }));
      made.run();
      expect([made.punts().map(({ kind }) => kind), made.wire.length, made.imbalance]).toEqual([[PUNT.nd], 0, 0]);
    }
  });
});

describe("of the link alone, from host to host", () => {
  it.each(LINK_ONLY)("%s is dropped where hosts are isolated, and bridged elsewhere", (_, frame) => {
    expect(fates(frame)).toEqual(["link_isolated", "link_isolated"]);
    expect(fates(frame, 0)).toEqual(["sent", "sent"]);
  });

  it("also in the middle of a run of packets between the same MACs", () => {
    const made = rig();
    const global = udp6({ ...HOST, from: "2001:db8:10::11", to: "2001:db8:10::12" });
    for (const frame of [global, global, udp6(HOST), global]) made.vm1.send(frame);
    made.run();
    expect([made.wire.length, made.drops]).toEqual([3, { link_isolated: 1 }]);
  });
});

describe("with isolation", () => {
  it.each([
    ["a packet to the gateway's link-local address", { ...HOST, dst: G10, to: "fe80::1" }, "punted"],
    ["bridged between addresses of the subnet", { ...HOST, from: "2001:db8:10::11", to: "2001:db8:10::12" }, "sent"],
    ["to a wider group", { ...HOST, dst: GROUP, from: "2001:db8:10::11", to: "ff05::2" }, "sent"],
  ] as const)("%s: as without", (_, around, fate) => {
    for (const flags of [VSI_ISOLATE, 0]) {
      const [near, far] = fates(udp6(around), flags);
      expect(near).toBe(fate);
      // By a tunnel nothing comes to our own gateway MAC in this bed but what is ours.
      expect(far).toBe(fate);
    }
  });

  it("the gateway's link-local address speaks to a next hop by a tunnel; at an AC a host pretends to it", () => {
    const frame = udp6({ ...HOST, from: "fe80::1" });
    expect(fates(frame)).toEqual(["link_isolated", "sent"]);
    expect(fates(frame, 0)).toEqual(["sent", "sent"]);
    const advertisement = packet6({ ...HOST, from: "fe80::1", hops: 255, next: 58, rest: nd("88", LINK12) });
    expect(fates(advertisement)).toEqual(["link_isolated", "sent"]);
  });

  it.each([
    ["a solicitation of an address of the subnet", nd("87", GLOBAL12), "ff02::1:ff00:12", 0],
    ["the same from a link-local address", nd("87", GLOBAL12), "ff02::1:ff00:12", 0],
    ["an announcement of a link-local address, which may be a next hop's", nd("88", LINK12), "ff02::1", 0],
    ["a router's solicitation, where the gateway is one", "8500 0000 0000 0000", "ff02::2", VSI_RA],
  ])("%s is control's", (_, rest, to, flags) => {
    const frame = packet6({ ...HOST, dst: GROUP, to, hops: 255, next: 58, rest });
    expect(fates(frame, VSI_ISOLATE | flags)).toEqual(["punted", "punted"]);
  });

  const GLOBAL = { ...HOST, from: "2001:db8:10::11", to: "2001:db8:10::12", hops: 255, next: 58 };
  it.each([
    ["an advertisement of an address of the subnet", packet6({ ...GLOBAL, rest: nd("88", GLOBAL11) })],
    ["a solicitation of one, which tells a MAC as well", packet6({ ...GLOBAL, rest: nd("87", GLOBAL12) })],
    [
      "one behind an extension header",
      packet6({ ...GLOBAL, next: 60, rest: `3a00 0104 0000 0000 ${nd("88", GLOBAL11)}` }),
    ],
  ])("%s from host to host is dropped at its AC, where the gateway answers for all", (_, frame) => {
    expect(fates(frame, VSI_ISOLATE | VSI_LOCAL_PROXY)).toEqual(["link_isolated", "sent"]);
    // Where hosts answer each other themselves they need it.
    for (const without of [VSI_LOCAL_PROXY, VSI_ISOLATE])
      expect(fates(frame, VSI_ISOLATE | VSI_LOCAL_PROXY, without)).toEqual(["sent", "sent"]);
  });

  it("fe80:: is not the gateway's where the VSI-interface has no link-local address", () => {
    for (const around of [{ to: "fe80::" }, { from: "fe80::" }]) {
      const made = rig();
      made.tables.interfaces.linkLocal.fill(0, 2, 4);
      made.mac(1, M1, 3);
      made.mac(1, REMOTE, 1);
      made.arrive(2, vxlan(10, udp6({ ...HOST, ...around })));
      made.run();
      expect([made.drops, made.imbalance]).toEqual([{ link_isolated: 1 }, 0]);
    }
  });

  it("IPv4 is as it was", () => {
    expect(fates(udpFrame({ dst: REMOTE, src: M1, from: ip("169.254.1.1"), to: ip("169.254.1.2") }))).toEqual([
      "sent",
      "sent",
    ]);
  });
});
