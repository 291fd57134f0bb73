/** An AC with antiSpoof: strict: what its bindings let through, also behind a frame of the same run. */
import { describe, expect, it } from "vitest";
import { PUNT, RECORD_UNBOUND } from "../../src/tables/counters.ts";
import { PORT_STRICT, VSI_DHCP_RELAY } from "../../src/tables/vsi.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { arpFrame, ethernet, ipv6Frame, snapped, tagged, udpFrame } from "./packets.ts";
import { packet6 } from "./packets6.ts";
import { G10, ip, M1, P20, Rig } from "./rig.ts";

const FAR = parseMac("02:00:00:00:01:12")!;
const STRANGER = parseMac("02:00:00:00:01:99")!;
/** fe80::ff:fe00:111 is what M1 gives; 2001:db8::11 is listed. */
const LINK_LOCAL = [0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x111];
const LISTED = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11];

function strict(): Rig {
  const rig = new Rig();
  rig.tables.ports.flags[1]! |= PORT_STRICT;
  rig.bind(1, M1, ip("10.1.1.11"));
  rig.bind(1, M1, LISTED);
  rig.bind(1, M1, LINK_LOCAL);
  rig.mac(1, M1, 1);
  rig.neighbor("20.1.1.12", 2, P20, 3);
  return rig;
}

const routed = (from: string, src = M1) => udpFrame({ dst: G10, src, from: ip(from), to: ip("20.1.1.12") });
const arp = (from: string, senderMac = M1, ethSrc = M1) =>
  arpFrame({
    ...{ ethDst: BROADCAST, ethSrc, op: 1, senderMac, senderIp: ip(from) },
    ...{ targetMac: 0, targetIp: ip("10.1.1.12") },
  });
const ipv6 = (groups: readonly number[], src = M1) => {
  const frame = ipv6Frame({ dst: FAR, src, trafficClass: 0 });
  for (const [i, group] of groups.entries()) frame.set([group >> 8, group & 255], 22 + 2 * i);
  return frame;
};
const NONE = [0, 0, 0, 0, 0, 0, 0, 0];
const hexOf = (groups: readonly number[]) => groups.map((group) => group.toString(16).padStart(4, "0")).join("");
const OTHERS = [...LISTED.slice(0, 7), 0x12];
const MINE = "020000000111";
const option = (type: number, mac: string) => `0${type}01 ${mac}`;
const ENDS6 = { dst: parseMac("33:33:00:00:00:01")!, src: M1, from: "2001:db8::11", to: "ff02::1", hops: 255 };
/** Neighbour discovery from M1. */
const nd = (message: string, from = "2001:db8::11", headers = 0) =>
  packet6({
    ...{ ...ENDS6, from, next: headers > 0 ? 60 : 58 },
    rest: `${"3c00 0104 0000 0000".repeat(Math.max(0, headers - 1))}${headers > 0 ? "3a00 0104 0000 0000" : ""}${message}`,
  });
const na = (target: readonly number[], mac = MINE) => `8800 0000 2000 0000 ${hexOf(target)} ${option(2, mac)}`;
const ns = (target: readonly number[], more = "") => `8700 0000 0000 0000 ${hexOf(target)} ${more}`;

describe("strict", () => {
  it.each([
    ["IPv4 from the bound address", routed("10.1.1.11")],
    ["ARP of the bound address", arp("10.1.1.11")],
    ["an ARP probe (RFC 5227)", arp("0.0.0.0")],
    ["IPv6 from the listed address", ipv6(LISTED)],
    ["IPv6 from the MAC's link-local address", ipv6(LINK_LOCAL)],
    ["IPv6 from :: (RFC 4862 §5.4)", ipv6(NONE)],
    ["another protocol", ethernet(FAR, M1, 0x88b5, 46)],
    ["another protocol in LLC and SNAP", snapped(ethernet(FAR, M1, 0x809b, 46))],
    ["LLC without SNAP", snapped(ethernet(FAR, M1, 0x0800, 46)).fill(0x42, 14, 16)],
    ["an advertisement of the listed address", nd(na(LISTED))],
    ["one of the link-local address, from the listed one, behind options", nd(na(LINK_LOCAL), "2001:db8::11", 2)],
    ["one without a MAC", nd(na(LISTED).slice(0, -17))],
    ["a question for another's address", nd(ns(OTHERS, option(1, MINE)))],
    ["a probe for the listed address", nd(ns(LISTED, "0e01 010203040506"), "::")],
    ["a router solicitation", nd(`8500 0000 0000 0000 ${option(1, MINE)}`)],
    ["a ping with the hop limit of neighbour discovery", nd("8000 0000 0001 0001")],
    ["a later fragment", packet6({ ...ENDS6, next: 44, rest: `3a00 0008 00000001 ${na(OTHERS)}` })],
  ])("lets %s through", (_, frame) => {
    const rig = strict();
    rig.vm1.send(frame);
    rig.run();
    expect(rig.drops).toEqual({});
  });

  it.each([
    ["IPv4 from another address of the subnet", routed("10.1.1.99")],
    ["IPv4 from a MAC that is not bound", routed("10.1.1.11", STRANGER)],
    ["ARP for another address", arp("10.1.1.99")],
    ["ARP for another MAC", arp("10.1.1.11", STRANGER)],
    ["an ARP probe from a MAC that is not bound", arp("0.0.0.0", STRANGER, STRANGER)],
    ["ARP that is cut off", arp("10.1.1.11").slice(0, 41)],
    ["IPv6 from a neighbour's address", ipv6([...LISTED.slice(0, 7), 0x12])],
    ["IPv6 from a neighbour's link-local address", ipv6([...LINK_LOCAL.slice(0, 7), 0x112])],
    ["IPv6 that is cut off", ipv6(LISTED).slice(0, 53)],
    ["IPv4 behind a tag", tagged(routed("10.1.1.11"), 0).fill(0x81, 16, 17).fill(0, 17, 18)],
    ["IPv4 in LLC and SNAP", snapped(routed("10.1.1.11"))],
    ["IPv6 there", snapped(ipv6(LISTED))],
    ["ARP there", snapped(arp("10.1.1.11"))],
    ["a tag there", snapped(tagged(arp("10.1.1.11"), 0))],
    ["ARP there, behind a priority tag", tagged(snapped(arp("10.1.1.11")), 0)],
    ["another protocol from a MAC that is not bound", ethernet(FAR, STRANGER, 0x88b5, 46)],
    ["an advertisement of another's address from the own one", nd(na(OTHERS))],
    ["one behind options", nd(na(OTHERS), "2001:db8::11", 3)],
    ["one behind headers without an end", nd(na(OTHERS), "2001:db8::11", 9)],
    ["one with another's MAC", nd(na(LISTED, "020000000199"))],
    ["one with another's MAC in its second option", nd(`${na(LISTED)} ${option(2, "020000000199")}`)],
    ["one that is cut off", nd(na(LISTED)).slice(0, 70)],
    ["one whose options have no end", nd(`${na(LISTED)} 0200 020000000199`)],
    ["one that is longer than any", nd(na(LISTED) + "0e01 010203040506".repeat(200))],
    ["a question with another's MAC", nd(ns(OTHERS, option(1, "020000000199")))],
    ["a probe for another's address", nd(ns(OTHERS), "::")],
    ["a router solicitation with another's MAC", nd(`8500 0000 0000 0000 ${option(1, "020000000199")}`)],
    ["the first fragment of one", packet6({ ...ENDS6, next: 44, rest: `3a00 0001 00000001 ${na(OTHERS)}` })],
    ["DHCP where nothing relays it", udpFrame({ ...dhcpEnds(STRANGER) })],
  ])("ends %s, tells control, and teaches nothing", (_, frame) => {
    const rig = strict();
    rig.vm1.send(frame);
    rig.run();
    expect(rig.drops).toEqual({ port_security: 1 });
    const [record, ...more] = rig.punts();
    expect(more).toEqual([]);
    expect(record).toMatchObject({ kind: RECORD_UNBOUND, port: 1, vsi: 1, units: 0 });
    expect([...record!.bytes.subarray(6, 12)]).toEqual([...frame.subarray(6, 12)]);
  });

  it("looks at each frame of a run: one with the same MACs and another source ends", () => {
    const rig = strict();
    for (const from of ["10.1.1.11", "10.1.1.99", "10.1.1.11", "10.1.1.98"]) rig.vm1.send(routed(from));
    rig.run();
    expect(rig.drops).toEqual({ port_security: 2 });
    expect(rig.wire).toHaveLength(2);
  });

  it("tells of one MAC at most twice a second", () => {
    const rig = strict();
    for (let n = 0; n < 50; n++) rig.vm1.send(routed(`10.1.1.${100 + n}`));
    rig.run();
    expect(rig.drops).toEqual({ port_security: 50 });
    expect(rig.punts()).toHaveLength(1);
  });

  it("hands a DHCP request without a binding to control, where it is relayed, and does not learn its MAC", () => {
    const rig = strict();
    rig.tables.vsis.flags[1]! |= VSI_DHCP_RELAY;
    rig.vm1.send(udpFrame(dhcpEnds(STRANGER)));
    rig.vm1.send(udpFrame({ ...dhcpEnds(STRANGER), sport: 67, dport: 68 }));
    rig.run();
    expect(rig.drops).toEqual({ port_security: 1 });
    expect(rig.punts().map(({ kind }) => kind)).toEqual([PUNT.dhcp, RECORD_UNBOUND]);
  });

  it("hands a renewal at the server itself to control too: its lease goes on", () => {
    const rig = strict();
    rig.tables.vsis.flags[1]! |= VSI_DHCP_RELAY;
    rig.vm1.send(udpFrame({ ...dhcpEnds(M1), dst: G10, from: ip("10.1.1.11"), to: ip("20.1.1.12") }));
    rig.run();
    expect(rig.drops).toEqual({});
    expect(rig.punts().map(({ kind }) => kind)).toEqual([PUNT.dhcp]);
  });

  it("is of one AC: a neighbour without it sends what it likes", () => {
    const rig = strict();
    rig.vm2.send(ethernet(BROADCAST, STRANGER, 0x88b5, 46));
    rig.run();
    expect(rig.drops).toEqual({});
  });
});

function dhcpEnds(src: number) {
  return { dst: BROADCAST, src, from: 0, to: ip("255.255.255.255"), sport: 68, dport: 67 };
}
