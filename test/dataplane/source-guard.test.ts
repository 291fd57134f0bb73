/** An AC with antiSpoof: strict: what its bindings let through, also behind a frame of the same run. */
import { describe, expect, it } from "vitest";
import { PUNT, RECORD_UNBOUND } from "../../src/tables/counters.ts";
import { PORT_STRICT, VSI_DHCP_RELAY } from "../../src/tables/vsi.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { arpFrame, ethernet, ipv6Frame, tagged, udpFrame } from "./packets.ts";
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

describe("strict", () => {
  it.each([
    ["IPv4 from the bound address", routed("10.1.1.11")],
    ["ARP of the bound address", arp("10.1.1.11")],
    ["an ARP probe (RFC 5227)", arp("0.0.0.0")],
    ["IPv6 from the listed address", ipv6(LISTED)],
    ["IPv6 from the MAC's link-local address", ipv6(LINK_LOCAL)],
    ["IPv6 from :: (RFC 4862 §5.4)", ipv6(NONE)],
    ["another protocol", ethernet(FAR, M1, 0x88b5, 46)],
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
    ["another protocol from a MAC that is not bound", ethernet(FAR, STRANGER, 0x88b5, 46)],
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
