/** Neighbour discovery and the CPU port: what control gets, sees, and is spared, in a VSI whose VSI-interface has IPv6. */
import { describe, expect, it } from "vitest";
import { DROPS, PUNT } from "../../src/tables/counters.ts";
import { VSI_LOCAL_PROXY, VSI_ND, VSI_RA, VSI_SUPPRESS } from "../../src/tables/vsi.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { vxlan } from "./packets.ts";
import { packet6, udp6 } from "./packets6.ts";
import { G10, M1, Rig } from "./rig.ts";

const ALL_NODES = parseMac("33:33:00:00:00:01")!;
const REMOTE = parseMac("02:00:00:00:01:12")!;
const BASE = { src: M1, from: "2001:db8:10::11", to: "2001:db8:10::12", hops: 255 };
const message = (type: string) => `${type}00 0000 0000 0000 20010db8001000000000000000000012`;

function rig(more = 0, mode: number = VSI_LOCAL_PROXY): Rig {
  const made = new Rig();
  const { flags } = made.tables.vsis;
  flags[1] = (flags[1]! & ~VSI_LOCAL_PROXY) | mode | VSI_ND | more;
  made.tables.interfaces.linkLocal[2] = 0;
  made.tables.interfaces.linkLocal[3] = 1;
  made.mac(1, M1, 1);
  made.mac(1, REMOTE, 3);
  return made;
}

/** Nine extension headers, and another one. */
const NINE = "3c00 0104 0000 0000".repeat(9);

/** About fe80::xx. */
const about = (type: string, last: string) => `${type}00 0000 0000 0000 fe80000000000000 00000000000000${last}`;
const heard = (made: Rig) => made.heard.flat().length;
const punted = (made: Rig) => made.punts().filter(({ kind }) => kind === PUNT.nd).length;

describe("control's alone", () => {
  it.each([
    ["a solicitation to a group", packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: message("87") })],
    ["one to the gateway's MAC about another address", packet6({ ...BASE, dst: G10, next: 58, rest: message("87") })],
    ["an advertisement to the gateway's MAC", packet6({ ...BASE, dst: G10, next: 58, rest: message("88") })],
    ["one that is cut", packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: "87000000" })],
    ["one about our link-local address", packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: about("87", "01") })],
    [
      "one from another gateway, about its next hop",
      packet6({ ...BASE, from: "fe80::1", dst: ALL_NODES, next: 58, rest: about("87", "77") }),
    ],
    [
      "one behind options",
      packet6({ ...BASE, dst: ALL_NODES, next: 60, rest: `3a00 0104 0000 0000 ${message("87")}` }),
    ],
  ])("%s", (_, frame) => {
    const made = rig();
    made.vm1.send(frame);
    made.run();
    expect([punted(made), made.wire.length]).toEqual([1, 0]);
    expect(made.imbalance).toBe(0);
    const far = rig();
    far.arrive(2, vxlan(10, frame));
    far.run();
    expect([punted(far), heard(far)]).toEqual([1, 0]);
  });

  it("in the middle of a run of data to the same MAC", () => {
    const made = rig();
    const data = udp6({ ...BASE, dst: G10 });
    const ping = packet6({ ...BASE, dst: G10, next: 58, rest: "8000 0000 0001 0001" });
    for (const other of [data, ping])
      for (const frame of [other, other, packet6({ ...BASE, dst: G10, next: 58, rest: message("88") }), other])
        made.vm1.send(frame);
    made.run();
    expect(punted(made)).toBe(2);
  });
});

describe("seen by control, and bridged", () => {
  const solicitation = packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: message("87") });
  const advertisement = packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: message("88") });
  it.each([
    ["in mode flood: all of it", rig(0, 0), solicitation],
    ["in mode flood: advertisements", rig(0, 0), advertisement],
    ["suppression: advertisements", rig(0, VSI_SUPPRESS), advertisement],
    [
      "suppression: one to another host",
      rig(0, VSI_SUPPRESS),
      packet6({ ...BASE, dst: REMOTE, next: 58, rest: message("88") }),
    ],
    [
      "a host's announcement of its link-local address",
      rig(),
      packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: about("88", "77") }),
    ],
  ])("%s", (_, made, frame) => {
    made.vm1.send(frame);
    made.run();
    expect([punted(made), made.wire.length > 0]).toEqual([1, true]);
    expect(made.imbalance).toBe(0);
  });

  it("with suppression a solicitation waits for control", () => {
    const made = rig(0, VSI_SUPPRESS);
    made.vm1.send(solicitation);
    made.run();
    expect([punted(made), made.wire.length]).toEqual([1, 0]);
  });
});

describe("routers' messages", () => {
  const of = (type: string) => packet6({ ...BASE, from: "fe80::2", dst: ALL_NODES, next: 58, rest: message(type) });
  it("a solicitation is control's where the gateway advertises, else it is bridged", () => {
    for (const [flag, wanted] of [
      [VSI_RA, [1, 0]],
      [0, [0, 1]],
    ] as const) {
      const made = rig(flag);
      made.vm1.send(of("85"));
      made.run();
      expect([punted(made), Math.sign(made.wire.length)]).toEqual(wanted);
    }
  });

  it.each(["86", "89"])("ICMPv6 %s from a tunnel goes no further where the gateway advertises", (type) => {
    for (const flag of [VSI_RA, 0]) {
      const made = rig(flag);
      made.arrive(2, vxlan(10, of(type)));
      made.run();
      const { drops } = made.tables.counters[0]!;
      const dropped = DROPS.filter((_, i) => drops[i + 1]! > 0).map(([name]) => name);
      expect([dropped, heard(made)]).toEqual(flag === 0 ? [[], 1] : [["nd_ra_guard"], 0]);
    }
  });
});

describe("ended", () => {
  it.each([
    [
      "an advertisement behind nine headers",
      "nd_undetermined",
      { next: 60, rest: `${NINE.slice(0, -19)}3a00 0104 0000 0000${message("88")}` },
    ],
    ["a header that is cut off", "nd_undetermined", { next: 60, rest: "3a00 0104" }],
    [
      "a first fragment without all headers",
      "nd_undetermined",
      { next: 44, rest: `3c00 0001 00000001 3a01 0104 0000 0000` },
    ],
    ["ICMPv6 without a type", "nd_undetermined", { next: 58, rest: "" }],
    [
      "a solicitation of 1501 bytes",
      "nd_malformed",
      { next: 58, rest: `${message("87")}${"00".repeat(1501 - 40 - 24)}` },
    ],
  ])("%s: %s", (_, reason, what) => {
    for (const dst of [ALL_NODES, REMOTE]) {
      const made = rig();
      made.vm1.send(packet6({ ...BASE, dst, ...what }));
      made.run();
      expect([made.drops, made.wire, made.punts()]).toEqual([{ [reason]: 1 }, [], []]);
      expect(made.imbalance).toBe(0);
    }
  });

  it("one of 1500 bytes is not", () => {
    const made = rig();
    const rest = `${message("87")}${"00".repeat(1500 - 40 - 24)}`;
    made.vm1.send(packet6({ ...BASE, dst: ALL_NODES, next: 58, rest }));
    made.run();
    expect([made.drops, punted(made)]).toEqual([{}, 1]);
  });
});

describe("not seen", () => {
  it.each([
    ["an advertisement to another host", packet6({ ...BASE, dst: REMOTE, next: 58, rest: message("88") })],
    [
      "a solicitation of a host's link-local address",
      packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: about("87", "77") }),
    ],
    ["data", udp6({ ...BASE, dst: REMOTE })],
    ["an echo request", packet6({ ...BASE, dst: REMOTE, next: 58, rest: "8000 0000 0001 0001" })],
    [
      "a listener report",
      packet6({ ...BASE, dst: ALL_NODES, next: 0, rest: "3a00 0502 0000 0100 8f00 0000 0000 0000" }),
    ],
    ["a later fragment", packet6({ ...BASE, dst: REMOTE, next: 44, rest: `3a00 0008 00000001 ${message("87")}` })],
    ["headers without an end, of what was routed", packet6({ ...BASE, hops: 254, dst: REMOTE, next: 60, rest: NINE })],
  ])("%s", (_, frame) => {
    const made = rig();
    made.vm1.send(frame);
    made.run();
    expect(punted(made)).toBe(0);
  });

  it("anything where no VSI-interface has IPv6", () => {
    const made = new Rig();
    made.vm1.send(packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: message("87") }));
    made.run();
    expect(punted(made)).toBe(0);
  });
});
