/** RA guard: what from an AC speaks as a router, however it is wrapped, and what does not. */
import { describe, expect, it } from "vitest";
import { PORT_RA_GUARD } from "../../src/tables/vsi.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { fromHex } from "../wire/hex.ts";
import { ethernet, snapped, tagged, vxlan } from "./packets.ts";
import { M1, Rig } from "./rig.ts";

const ALL_NODES = parseMac("33:33:00:00:00:01")!;
const REMOTE = parseMac("02:00:00:00:01:12")!;
const [RA, RS, NS, NA, REDIRECT] = ["86", "85", "87", "88", "89"].map((type) => `${type}00 0000 0000 0000`) as [
  string,
  string,
  string,
  string,
  string,
];
const LINK_LOCAL = "fe80 0000 0000 0000 0000 00ff fe00 0111";
const GLOBAL = "2001 0db8 0000 0000 0000 0000 0000 0011";
const OPTIONS = (next: number) => `${byte(next)}00 0104 0000 0000`;
const byte = (n: number) => n.toString(16).padStart(2, "0");
const [ICMP6, TCP, UDP, HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION] = [58, 6, 17, 0, 43, 44, 60];

/** An IPv6 frame: `next` in its fixed header, and what stands behind it. */
function ipv6(
  next: number,
  rest: string,
  { source = LINK_LOCAL, hops = 255, dst = ALL_NODES as Mac } = {},
): Uint8Array {
  const packet = fromHex(`60000000 0000 ${byte(next)} ${byte(hops)} ${source} ff02${"00".repeat(13)}01 ${rest}`);
  setU16(packet, 4, packet.length - 40);
  const frame = ethernet(dst, M1, 0x86dd, packet.length);
  frame.set(packet, ETH_BYTES);
  return frame;
}

function guarded(): Rig {
  const rig = new Rig();
  rig.tables.ports.flags[1]! |= PORT_RA_GUARD;
  return rig;
}

function dropsOf(frame: Uint8Array, rig = guarded()): object {
  rig.vm1.send(frame);
  rig.run();
  return rig.drops;
}

const nested = (frame: Uint8Array, n: number, tci = 0): Uint8Array =>
  n === 0 ? frame : nested(tagged(frame, tci), n - 1, tci);
const wrapped = (n: number, last = ICMP6) => OPTIONS(DESTINATION).repeat(n - 1) + OPTIONS(last);

describe("stopped", () => {
  it.each([
    ["a router advertisement", ipv6(ICMP6, RA)],
    ["a redirect", ipv6(ICMP6, REDIRECT)],
    ["one to a single host", ipv6(ICMP6, RA, { dst: REMOTE })],
    ["one behind hop-by-hop options", ipv6(HOP_BY_HOP, OPTIONS(ICMP6) + RA)],
    ["one behind destination options (RFC 7113 §2.1)", ipv6(DESTINATION, OPTIONS(ICMP6) + RA)],
    ["one behind a routing header", ipv6(ROUTING, `${byte(ICMP6)}00 0000 0000 0000 ${RA}`)],
    ["one behind eight headers", ipv6(DESTINATION, wrapped(8) + RA)],
    ["one in an atomic fragment", ipv6(FRAGMENT, `${byte(ICMP6)}00 0000 00000001 ${RA}`)],
    ["the first fragment of one", ipv6(FRAGMENT, `${byte(ICMP6)}00 0001 00000001 ${RA}`)],
    ["one from an address that hosts would not believe", ipv6(ICMP6, RA, { source: GLOBAL })],
    ["one with a priority tag", tagged(ipv6(ICMP6, RA), 0)],
    ["one with three priority tags, one in the other", nested(ipv6(ICMP6, RA), 3)],
  ])("%s: nd_ra_guard", (_, frame) => expect(dropsOf(frame)).toEqual({ nd_ra_guard: 1 }));

  it.each([
    [
      "headers that go on behind the first fragment (RFC 7113 §2.2)",
      ipv6(FRAGMENT, `${byte(DESTINATION)}00 0001 00000001 ${byte(ICMP6)}02 0000 0000 0000`),
    ],
    ["nine headers", ipv6(DESTINATION, wrapped(9) + RA)],
    ["ICMPv6 without a type", ipv6(ICMP6, "")],
    ["a header that is cut off", ipv6(DESTINATION, "3a00 0000")],
    ["one in LLC and SNAP", snapped(ipv6(ICMP6, RA))],
    ["one there behind a tag", tagged(snapped(ipv6(ICMP6, RA)), 0)],
    ["a tag there", snapped(tagged(ipv6(ICMP6, RA), 0))],
    ["more tags than a host may have", tagged(nested(ipv6(ICMP6, RA), 5, 7), 0)],
  ])("%s: nd_undetermined", (_, frame) => expect(dropsOf(frame)).toEqual({ nd_undetermined: 1 }));

  it("one among a run of data with the same MACs", () => {
    for (const [next, rest] of [
      [TCP, "03e807d0 00000000 00000000 50100000 00000000"],
      [UDP, "03e807d0 000c0000 00000000"],
      [50, "00".repeat(24)],
    ] as const) {
      const rig = guarded();
      rig.mac(1, M1, 1);
      rig.mac(1, REMOTE, 3);
      const data = ipv6(next, rest, { dst: REMOTE, hops: 64 });
      for (const frame of [data, data, ipv6(ICMP6, RA, { dst: REMOTE }), data, ipv6(ICMP6, REDIRECT, { dst: REMOTE })])
        rig.vm1.send(frame);
      rig.run();
      expect(rig.drops).toEqual({ nd_ra_guard: 2 });
    }
  });
});

describe("let through", () => {
  it.each([
    ["neighbour discovery and solicitations", [ipv6(ICMP6, NS), ipv6(ICMP6, NA), ipv6(ICMP6, RS)]],
    ["MLD behind its router alert", [ipv6(HOP_BY_HOP, `${byte(ICMP6)}00 0502 0000 0100 8f00 0000 0000 0000`)]],
    ["data, whatever stands in it", [ipv6(UDP, RA), ipv6(TCP, RA), ipv6(50, RA), ipv6(59, "")]],
    ["a later fragment: without its first one it is nothing", [ipv6(FRAGMENT, `${byte(ICMP6)}00 0008 00000001 ${RA}`)]],
    [
      "odd headers of what is no message of the link",
      [ipv6(DESTINATION, wrapped(9) + RA, { source: GLOBAL }), ipv6(DESTINATION, "3a00 0000", { hops: 64 })],
    ],
    ["what is no IPv6 for its length", [ethernet(ALL_NODES, M1, 0x86dd, 30)]],
    ["other types", [ethernet(ALL_NODES, M1, 0x88b5, 60)]],
    ["IPv4 in LLC and SNAP, and LLC", [snapped(ethernet(ALL_NODES, M1, 0x0800, 60)), ethernet(ALL_NODES, M1, 60, 60)]],
  ])("%s", (_, frames) => {
    for (const frame of frames) expect(dropsOf(frame)).toEqual({});
  });

  it("everything from an AC that is not guarded", () => {
    expect(dropsOf(ipv6(ICMP6, RA), new Rig())).toEqual({});
  });

  it("what comes by a tunnel: the gateway there has its own ACs", () => {
    const rig = guarded();
    rig.arrive(2, vxlan(10, ipv6(ICMP6, RA)), 0);
    rig.run();
    expect(rig.drops).toEqual({});
    expect(rig.heard[1]).toHaveLength(1);
  });
});
