/** Neighbour discovery and the CPU port: what control gets to see, in a VSI whose VSI-interface has IPv6. */
import { describe, expect, it } from "vitest";
import { PUNT } from "../../src/tables/counters.ts";
import { VSI_ND } from "../../src/tables/vsi.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { vxlan } from "./packets.ts";
import { packet6, udp6 } from "./packets6.ts";
import { G10, M1, Rig } from "./rig.ts";

const ALL_NODES = parseMac("33:33:00:00:00:01")!;
const REMOTE = parseMac("02:00:00:00:01:12")!;
const BASE = { src: M1, from: "2001:db8:10::11", to: "2001:db8:10::12", hops: 255 };
const message = (type: string) => `${type}00 0000 0000 0000 20010db8001000000000000000000012`;

function rig(): Rig {
  const made = new Rig();
  made.tables.vsis.flags[1]! |= VSI_ND;
  made.mac(1, M1, 1);
  made.mac(1, REMOTE, 3);
  return made;
}

const punted = (made: Rig) => made.punts().filter(({ kind }) => kind === PUNT.nd).length;

describe("seen by control", () => {
  it.each([
    ["a solicitation to a group", packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: message("87") })],
    ["one to the gateway's MAC about another address", packet6({ ...BASE, dst: G10, next: 58, rest: message("87") })],
    ["an advertisement to another host", packet6({ ...BASE, dst: REMOTE, next: 58, rest: message("88") })],
    ["a router solicitation", packet6({ ...BASE, dst: ALL_NODES, next: 58, rest: message("85") })],
    [
      "one behind options",
      packet6({ ...BASE, dst: ALL_NODES, next: 60, rest: `3a00 0104 0000 0000 ${message("87")}` }),
    ],
  ])("%s", (_, frame) => {
    const made = rig();
    made.vm1.send(frame);
    made.run();
    expect(punted(made)).toBe(1);
    expect(made.imbalance).toBe(0);
    const far = rig();
    far.arrive(2, vxlan(10, frame));
    far.run();
    expect(punted(far)).toBe(1);
  });

  it("in the middle of a run of data to the same MAC", () => {
    const made = rig();
    const data = udp6({ ...BASE, dst: REMOTE });
    const ping = packet6({ ...BASE, dst: REMOTE, next: 58, rest: "8000 0000 0001 0001" });
    for (const other of [data, ping])
      for (const frame of [other, other, packet6({ ...BASE, dst: REMOTE, next: 58, rest: message("88") }), other])
        made.vm1.send(frame);
    made.run();
    expect(punted(made)).toBe(2);
  });
});

describe("not seen", () => {
  it.each([
    ["data", udp6({ ...BASE, dst: REMOTE })],
    ["an echo request", packet6({ ...BASE, dst: REMOTE, next: 58, rest: "8000 0000 0001 0001" })],
    [
      "a listener report",
      packet6({ ...BASE, dst: ALL_NODES, next: 0, rest: "3a00 0502 0000 0100 8f00 0000 0000 0000" }),
    ],
    ["a later fragment", packet6({ ...BASE, dst: REMOTE, next: 44, rest: `3a00 0008 00000001 ${message("87")}` })],
    ["headers without an end", packet6({ ...BASE, dst: REMOTE, next: 60, rest: "3c00 0104 0000 0000".repeat(9) })],
    ["ICMPv6 without a type", packet6({ ...BASE, dst: REMOTE, next: 58, rest: "" })],
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
