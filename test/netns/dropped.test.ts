/**
 * What must not pass, on real devices, and the name under which it is dropped (L05, A07, R06, S01, S02, T02). Every
 * stimulus is seven frames: its counter must grow by exactly seven, no other counter by anything, and no table by an entry.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Ac, Neighbor } from "../../src/api/schema.ts";
import { ARP_REPLY, type Arp } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame, changed, ethernet, tagged, udpFrame } from "../dataplane/packets.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { GROUP, HOST, type InjectBed, openInjectBed, P1, P2, REMOTE, REQUEST } from "./inject-bed.ts";
import { ip, mac, marked, sendRaw } from "./raw-frames.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "python3", "ethtool");

const COUNT = 7;
const seven = <T>(make: (i: number) => T) => Array.from({ length: COUNT }, (_, i) => make(i));
const arp = (more: Partial<Arp>) => arpFrame({ ...REQUEST, ...more });
const ZERO = 0;

describeReal(missing, "frames that no host may get", () => {
  let own: InjectBed;
  let bed: InjectBed["bed"];
  let gw1: InjectBed["gw1"];
  let wrap: InjectBed["wrap"];
  let dropsOf: InjectBed["dropsOf"];
  let gatewayMac = 0;
  beforeAll(async () => {
    own = await openInjectBed("drop");
    ({ bed, gw1, wrap, dropsOf, gatewayMac } = own);
  });
  afterAll(() => own?.gateways.remove());

  // ---- what is dropped, and under which name -------------------------------------------------------------------------

  const toGateway = (more: object) =>
    udpFrame({ dst: gatewayMac, src: HOST.mac, from: HOST.ip, to: ip("50.1.1.1"), ...more });
  const l3 = (change: (frame: Uint8Array) => void, isChecksumLeft = false) => {
    const frame = toGateway({});
    if (!isChecksumLeft) return changed(frame, change);
    change(frame);
    return frame;
  };
  const options = (bytes: readonly number[]) => {
    const plain = toGateway({});
    const frame = new Uint8Array(plain.length + bytes.length);
    frame.set(plain.subarray(0, 34));
    frame.set(bytes, 34);
    frame.set(plain.subarray(34), 34 + bytes.length);
    return changed(frame, (f) => {
      f[14] = 0x45 + bytes.length / 4;
      f[17] = f[17]! + bytes.length;
    });
  };
  const from = (sender: string, more: Partial<Arp> = {}) => arp({ senderIp: ip(sender), ...more });
  const spoofer = mac("02:00:00:00:01:66");

  /** Where the seven come from, what they are, and the one counter that grows. */
  const DROPPED: readonly [what: string, place: "p1" | "h1" | "wire", frame: () => Uint8Array, reason: string][] = [
    // Bridging.
    ["to a bridge's own address", "p1", () => marked(mac("01:80:c2:00:00:00"), P1, 1), "reserved_mac"],
    ["to the last reserved address", "p1", () => marked(mac("01:80:c2:00:00:0f"), P1, 1), "reserved_mac"],
    ["pause frames by a tunnel", "wire", () => wrap(marked(mac("01:80:c2:00:00:01"), REMOTE, 1), 30), "reserved_mac"],
    ["from a group", "p1", () => marked(P2, GROUP, 1), "bad_src_mac"],
    ["from broadcast, by a tunnel", "wire", () => wrap(marked(P1, BROADCAST, 1), 30), "bad_src_mac"],
    ["from no MAC", "p1", () => marked(P2, ZERO, 1), "bad_src_mac"],
    ["from our own gateway MAC", "h1", () => marked(BROADCAST, gatewayMac, 1), "own_mac_local"],
    ["with a tag that no AC matches", "p1", () => tagged(marked(BROADCAST, P1, 1), 7), "ac_unbound"],
    ["with a tag inside VXLAN", "wire", () => wrap(tagged(marked(P1, REMOTE, 1), 7), 30), "inner_vlan"],
    // VXLAN.
    ["from an unlisted VTEP", "wire", () => wrap(marked(P1, REMOTE, 1), 30, { from: ip("192.0.2.9") }), "unknown_vtep"],
    ["with an unknown VNI", "wire", () => wrap(marked(P1, REMOTE, 1), 31), "unknown_vni"],
    [
      "with a VNI that is not on this tunnel",
      "wire",
      () => wrap(marked(P1, REMOTE, 1), 255, { from: ip("192.0.2.3") }),
      "unknown_vni",
    ],
    ["without the I flag", "wire", () => wrap(marked(P1, REMOTE, 1), 30, { flags: 0 }), "bad_flags"],
    ["too short for VXLAN", "wire", () => wrap(new Uint8Array(13), 30), "vxlan_truncated"],
    [
      "with CE outside and not-ECT inside",
      "wire",
      () => wrap(udpFrame({ dst: P1, src: REMOTE, from: ip("1.1.1.1"), to: ip("2.2.2.2") }), 30, { tos: 3 }),
      "ecn",
    ],
    // ARP.
    [
      "ARP with six-byte protocol addresses",
      "h1",
      () => {
        const f = arp({});
        f[19] = 6;
        return f;
      },
      "arp_malformed",
    ],
    ["ARP cut short", "h1", () => arp({}).subarray(0, 40), "arp_malformed"],
    ["ARP from another MAC than it says", "h1", () => arp({ senderMac: spoofer }), "arp_src_mismatch"],
    ["ARP from another subnet", "h1", () => from("10.1.2.11"), "arp_not_local"],
    ["ARP for another subnet", "h1", () => arp({ targetIp: ip("10.1.2.1") }), "arp_not_local"],
    ["ARP from loopback", "h1", () => from("127.0.0.1"), "arp_martian"],
    ["ARP from a group", "h1", () => from("224.0.0.1"), "arp_martian"],
    ["ARP from broadcast", "h1", () => from("255.255.255.255"), "arp_martian"],
    ["an ARP reply from no address", "h1", () => from("0.0.0.0", { op: ARP_REPLY }), "arp_martian"],
    [
      "a claim on the gateway's address",
      "h1",
      () => from("10.1.1.1", { ethSrc: spoofer, senderMac: spoofer, targetIp: ip("10.1.1.1") }),
      "arp_gw_spoof",
    ],
    [
      "a claim on a static address",
      "h1",
      () => from("10.1.1.99", { ethSrc: spoofer, senderMac: spoofer, op: ARP_REPLY }),
      "arp_gw_spoof",
    ],
    // IPv4.
    [
      "IP version 6 in IPv4's clothes",
      "h1",
      () =>
        l3((f) => {
          f[14] = 0x65;
        }),
      "ip_malformed",
    ],
    [
      "an IP length beyond the frame",
      "h1",
      () =>
        l3((f) => {
          f[16] = 9;
        }),
      "ip_malformed",
    ],
    [
      "a wrong IP checksum",
      "h1",
      () =>
        l3((f) => {
          f[24]! ^= 1;
        }, true),
      "ip_checksum",
    ],
    ["from 127.0.0.1", "h1", () => toGateway({ from: ip("127.0.0.1") }), "ip_martian"],
    ["from a group address", "h1", () => toGateway({ from: ip("224.0.0.1") }), "ip_martian"],
    ["from the gateway's address", "h1", () => toGateway({ from: ip("10.1.1.1") }), "ip_martian"],
    ["to itself", "h1", () => toGateway({ from: ip("50.1.1.1") }), "ip_martian"],
    ["to 127.0.0.1", "h1", () => toGateway({ to: ip("127.0.0.1") }), "ip_martian"],
    ["with a source route", "h1", () => options([0x83, 7, 4, 9, 9, 9, 9, 0]), "ip_options"],
    ["to the subnet's broadcast", "h1", () => toGateway({ to: ip("10.1.1.255") }), "not_forwarded"],
    ["to class E", "h1", () => toGateway({ to: ip("240.0.0.1") }), "not_forwarded"],
    ["to link-local", "h1", () => toGateway({ to: ip("169.254.1.1") }), "not_forwarded"],
    ["IPv6 to the gateway", "h1", () => ethernet(gatewayMac, HOST.mac, 0x86dd, 60), "not_forwarded"],
    ["by a discard route", "h1", () => toGateway({ to: ip("60.1.1.1") }), "discard_route"],
    ["by a policy that says drop", "h1", () => toGateway({ to: ip("70.1.1.1") }), "policy_drop"],
    ["a tenant's VXLAN to a VTEP", "h1", () => toGateway({ to: ip("192.0.2.2"), dport: 4789 }), "overlay_to_underlay"],
  ];

  test.each(DROPPED)("seven %s", async (_what, place, frame, reason) => {
    const arpBefore = await gw1.look<Neighbor[]>("/v1/neighbors");
    const [node, device] = place === "wire" ? ["inj", "ul0"] : [place, "eth0"];
    expect(await dropsOf(COUNT, () => sendRaw(bed, node, device, seven(frame)))).toEqual({ [reason]: COUNT });
    if (!reason.startsWith("arp_")) return;
    const plain = (entries: readonly Neighbor[]) =>
      entries.map(({ interface: on, ip, mac, kind }) => [on, ip, mac, kind]);
    expect(plain(await gw1.look<Neighbor[]>("/v1/neighbors"))).toEqual(plain(arpBefore));
  });

  test("after all this the gateway is well: same process, right accounts, and it answers", async () => {
    expect(gw1.isUp()).toBe(true);
    expect((await ping(bed, "h1", "10.1.1.1")).ttls).toEqual([64, 64, 64]);
    expect((await gw1.show<Ac>("ac")).every(({ up }) => up)).toBe(true);
    const isError = (line: string) => line.includes('"level":"error"');
    expect(gw1.log().split("\n").filter(isError)).toEqual([]);
  });
});
