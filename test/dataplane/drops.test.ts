/**
 * Every drop reason that the data plane decides, hit by one stimulus of exactly seven frames: that counter +7, no other,
 * nothing leaves, the ledger balances (T02). Several lines per reason where there are several ways to deserve it.
 */
import { describe, expect, it } from "vitest";
import { F_FLAGS, F_HEAD, FLAG_CSUM_BAD, FLAG_GSO_BAD, FLAG_TRUNCATED, GSO_TCPV4 } from "../../src/io/port-io.ts";
import { DROP, DROP_REASONS, DROPS, type DropName, INJECT, RX_PACKETS } from "../../src/tables/counters.ts";
import { ROUTE_BROADCAST, ROUTE_DISCARD, ROUTE_UNDERLAY, RULE_DEAD, RULE_DROP } from "../../src/tables/fib.ts";
import { SET_PUNT_AC, SET_PUNT_TOTAL, SET_STRICT_RESERVED } from "../../src/tables/tables.ts";
import {
  PORT_ANTI_SPOOF,
  PORT_RA_GUARD,
  PORT_STRICT,
  publishFlood,
  VSI_DHCP_RELAY,
  VSI_ISOLATE,
  VSI_ND,
} from "../../src/tables/vsi.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { BROADCAST, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { changed, ethernet, ipv6Frame, tagged, udpFrame, vxlan, withOptions } from "./packets.ts";
import { rule } from "./policies.ts";
import { G10, ip, M1, P10, P20, Rig } from "./rig.ts";

const SEVEN = 7;
const REMOTE = parseMac("02:00:00:00:01:12")!;
const GROUP = parseMac("01:00:5e:01:02:03")!;

/** Sends the seven frames; what must be there before is set up first and not counted. */
type Stimulus = (rig: Rig) => void;

const fromVm =
  (frame: Uint8Array): Stimulus =>
  (rig) => {
    for (let i = 0; i < SEVEN; i++) rig.vm1.send(frame);
  };
const fromTunnel =
  (bytes: Uint8Array, tos = 0, last = 2): Stimulus =>
  (rig) => {
    for (let i = 0; i < SEVEN; i++) rig.arrive(last, bytes, tos);
  };
const also =
  (prepare: (rig: Rig) => void, stimulus: Stimulus): Stimulus =>
  (rig) => {
    prepare(rig);
    stimulus(rig);
  };
/** A routed packet from VM1, changed and with its header checksum right again. */
const routed = (change: (frame: Uint8Array) => void = () => {}, to = "20.1.1.12"): Uint8Array =>
  changed(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(to) }), change);
const from = (source: string, to = "20.1.1.12"): Stimulus =>
  fromVm(udpFrame({ dst: G10, src: M1, from: ip(source), to: ip(to) }));
const plain = (dst: Mac, src: Mac = M1, payload = 46): Uint8Array => ethernet(dst, src, 0x88b5, payload);
const known = (port: number) => (rig: Rig) => rig.mac(1, REMOTE, port);
const flagged = (flag: number) => (rig: Rig) => {
  rig.describe = (frames, d) => {
    frames[d + F_FLAGS] = flag;
  };
};
const setting = (word: number, value: number) => (rig: Rig) => {
  rig.tables.settings[word] = value;
};
/** Carry out what was sent so far, and leave the bucket empty: the next seven are over the limit. */
const spend = (frame: Uint8Array) => (rig: Rig) => {
  rig.vm1.send(frame);
  rig.run();
};
const encapsulated = vxlan(10, plain(BROADCAST, REMOTE));
const withByte = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const out = bytes.slice();
  out[at] = value;
  return out;
};

const STIMULI: readonly (readonly [DropName, string, Stimulus])[] = [
  ["runt", "13 bytes from an AC", fromVm(new Uint8Array(13).fill(2))],
  ["runt", "a tag and no type behind it", fromVm(tagged(plain(REMOTE), 20).slice(0, 17))],
  ["too_big", "bridged, not IP, one byte over the tunnel's MTU", also(known(3), fromVm(plain(REMOTE, M1, 1451)))],
  ["too_big", "flooded, too long for everyone", fromVm(plain(BROADCAST, M1, 1451))],
  ["too_big", "EMSGSIZE from the underlay", also(failing(3, -90), fromVm(plain(REMOTE)))],
  ["inner_vlan", "802.1Q", fromTunnel(vxlan(10, tagged(plain(BROADCAST, REMOTE), 20)))],
  ["inner_vlan", "802.1ad", fromTunnel(withByte(withByte(encapsulated, 20, 0x88), 21, 0xa8))],
  ["ac_unbound", "a tag that no AC has", fromVm(tagged(plain(BROADCAST), 99))],
  ["ac_unbound", "untagged where only tags are bound", also(onlyTagged, fromVm(plain(BROADCAST)))],
  ["ac_unbound", "an AC without a VSI", also((r) => (r.tables.ports.vsi[1] = 0), fromVm(plain(BROADCAST)))],
  ["reserved_mac", "LLDP from an AC", fromVm(plain(parseMac("01:80:c2:00:00:0e")!))],
  ["reserved_mac", "STP from a tunnel", fromTunnel(vxlan(10, plain(parseMac("01:80:c2:00:00:00")!, REMOTE)))],
  ["bad_src_mac", "a group", fromVm(plain(BROADCAST, GROUP))],
  ["bad_src_mac", "zero, from a tunnel", fromTunnel(vxlan(10, plain(BROADCAST, 0)))],
  ["own_mac_local", "our gateway MAC from an AC", fromVm(plain(BROADCAST, G10))],
  [
    "own_mac_local",
    "a peer's gateway MAC from an AC",
    also((r) => r.mac(1, P10, 0x10003), fromVm(plain(BROADCAST, P10))),
  ],
  ["unknown_vtep", "from an address that is no tunnel", fromTunnel(encapsulated, 0, 99)],
  ["unknown_vni", "no VSI has it", fromTunnel(vxlan(30, plain(BROADCAST, REMOTE)))],
  ["unknown_vni", "a VSI has it, but not on this tunnel", also((r) => r.vnis.remove(10, 3), fromTunnel(encapsulated))],
  ["bad_flags", "I flag clear", fromTunnel(withByte(encapsulated, 0, 0))],
  ["bad_flags", "all others set", fromTunnel(withByte(encapsulated, 0, 0xf7))],
  ["reserved_bits", "strict", also(setting(SET_STRICT_RESERVED, 1), fromTunnel(withByte(encapsulated, 7, 1)))],
  ["ecn", "outer CE, inner IPv4 not ECT", fromTunnel(vxlan(10, routed()), 3)],
  ["vxlan_truncated", "21 bytes", fromTunnel(encapsulated.slice(0, 21))],
  ["vxlan_truncated", "nothing at all", fromTunnel(new Uint8Array(0))],
  ["vxlan_truncated", "longer than its slot", also(flagged(FLAG_TRUNCATED), fromTunnel(encapsulated))],
  ["same_port", "to a MAC behind the same AC", also(known(1), fromVm(plain(REMOTE)))],
  ["same_port", "back into its tunnel", also(known(3), fromTunnel(vxlan(10, plain(REMOTE, P10))))],
  ["split_horizon", "to a MAC behind another tunnel", also(known(4), fromTunnel(vxlan(10, plain(REMOTE, P10))))],
  ["flood_disabled", "unknown unicast", also((r) => (r.tables.vsis.flags[1] = 0), fromVm(plain(REMOTE)))],
  ["flood_disabled", "alone in the VSI", also(alone, fromVm(plain(BROADCAST)))],
  ["ip_malformed", "version 5", fromVm(routed((b) => (b[14] = 0x55)))],
  ["ip_malformed", "header of 16 bytes", fromVm(routed((b) => (b[14] = 0x44)))],
  ["ip_malformed", "longer than what was received", fromVm(routed((b) => setU16(b, 16, 47)))],
  ["ip_malformed", "shorter than its header", fromVm(routed((b) => setU16(b, 16, 19)))],
  ["ip_malformed", "cut inside the header", fromVm(routed().slice(0, 33))],
  ["ip_malformed", "nothing behind Ethernet", fromVm(routed().slice(0, 14))],
  [
    "ip_malformed",
    "a super-frame whose head ends in the options",
    also(shortHead, fromVm(withOptions(routed(), [1, 1]))),
  ],
  ["ip_checksum", "one bit", fromVm(withByte(routed(), 24, routed()[24]! ^ 1))],
  ["ip_martian", "source 127.0.0.1", from("127.0.0.1")],
  ["ip_martian", "source 0.0.0.0", from("0.0.0.0")],
  ["ip_martian", "source a group", from("224.0.0.1")],
  ["ip_martian", "source broadcast", from("255.255.255.255")],
  ["ip_martian", "source = destination", from("20.1.1.12")],
  ["ip_martian", "our own address from an AC", from("10.1.1.1")],
  ["ip_martian", "another VSI-interface's address from an AC", from("20.1.1.1", "20.1.1.12")],
  ["ip_martian", "destination 127.0.0.1", from("10.1.1.11", "127.0.0.1")],
  ["ip_martian", "destination 0.1.2.3", from("10.1.1.11", "0.1.2.3")],
  ["ip_options", "loose source route", fromVm(withOptions(routed(), [131, 7, 4, 10, 0, 0, 1]))],
  ["ip_options", "a list that does not parse", fromVm(withOptions(routed(), [7, 0, 0, 0]))],
  [
    "discard_route",
    "a discard route",
    also((r) => r.route("30.0.0.0", 8, ROUTE_DISCARD, 0), from("10.1.1.11", "30.1.2.3")),
  ],
  [
    "policy_next_hop_dead",
    "a rule whose next hops are dead says drop",
    also((r) => rule(r, 1, [{ action: RULE_DEAD }]), from("10.1.1.11")),
  ],
  ["policy_drop", "a rule says so", also((r) => rule(r, 1, [{ action: RULE_DROP }]), from("10.1.1.11"))],
  [
    "l3_loop",
    "routed back into its tunnel, same VSI",
    also((r) => r.neighbor("10.1.1.12", 1, P10, 3), fromTunnel(vxlan(10, routed(undefined, "10.1.1.12")))),
  ],
  [
    "l3_loop",
    "routed back into its tunnel, another VSI, distributed gateway",
    also((r) => r.neighbor("20.1.1.12", 2, P20, 3), fromTunnel(vxlan(10, routed()))),
  ],
  [
    "storm_limited",
    "broadcast over the AC's limit",
    also(
      (r) => {
        r.tables.ports.storm[1] = 4;
        spend(plain(BROADCAST))(r);
      },
      fromVm(plain(BROADCAST)),
    ),
  ],
  ["punt_limited", "over the AC's limit", also((r) => over(r, SET_PUNT_AC, 4), fromVm(routed()))],
  ["punt_limited", "over the limit of all", also((r) => over(r, SET_PUNT_TOTAL, 8), fromVm(routed()))],
  ["punt_ring_full", "control does not drain", also(fillPuntRing, fromVm(routed()))],
  ["gso_bad", "the io says so", also(flagged(FLAG_GSO_BAD | GSO_TCPV4), fromVm(routed()))],
  ["csum_bad", "the io says so", also(flagged(FLAG_CSUM_BAD), fromTunnel(encapsulated))],
  ["pool_exhausted", "injected, no scratch left", injectMany],
  ["tap_full", "EAGAIN", also(tapError(-11), fromTunnel(encapsulated))],
  ["tap_error", "EIO", also(tapError(-5), fromTunnel(encapsulated))],
  ["tap_error", "the TAP is gone", also((r) => r.io.detach(1), fromTunnel(encapsulated))],
  ["tx_again", "EAGAIN", also(failing(3, -11), fromVm(plain(REMOTE)))],
  ["tx_again", "ENOBUFS", also(failing(3, -105), fromVm(plain(REMOTE)))],
  ["tx_error", "EPERM", also(failing(3, -1), fromVm(plain(REMOTE)))],
  ["tunnel_down", "from a tunnel that is down", also((r) => (r.tables.ports.flags[3] = 0), fromTunnel(encapsulated))],
  ["tunnel_down", "injected to a port that is gone", injectNowhere],
  ["overlay_to_underlay", "VXLAN to a VTEP's address", also(underlay, fromVm(toVtep()))],
  [
    "overlay_to_underlay",
    "a later fragment of such",
    also(underlay, fromVm(changed(toVtep(), (b) => setU16(b, 20, 1)))),
  ],
  ["nd_ra_guard", "a router advertisement", also(raGuard, fromVm(toAllNodes(134)))],
  ["nd_undetermined", "ICMPv6 without a type", also(raGuard, fromVm(toAllNodes(134).slice(0, 54)))],
  ["nd_undetermined", "discovery without a type", also(hasNd, fromVm(toAllNodes(134).slice(0, 54)))],
  ["nd_malformed", "discovery of 1501 bytes", also(hasNd, fromVm(longDiscovery()))],
  ["link_isolated", "an echo of all nodes", also(hasNd, fromVm(toAllNodes(128)))],
  ["port_security", "an address that is not bound", also(strict, from("10.1.1.99"))],
  ["port_security", "a MAC that is not bound", also(strict, fromVm(plain(BROADCAST, REMOTE)))],
  ["anti_spoof", "another subnet's source", also(antiSpoof, from("20.1.1.99"))],
  ["anti_spoof", "a source behind a static route", also(antiSpoof, from("30.1.1.1"))],
  ["anti_spoof", "a source without any route", also(antiSpoof, from("99.1.1.1"))],
  ["not_forwarded", "IPv6 to the gateway MAC", fromVm(ethernet(G10, M1, 0x86dd, 60))],
  ["not_forwarded", "to a group", from("10.1.1.11", "224.0.0.5")],
  ["not_forwarded", "to class E", from("10.1.1.11", "240.0.0.1")],
  ["not_forwarded", "to the limited broadcast", from("10.1.1.11", "255.255.255.255")],
  ["not_forwarded", "to link-local", from("10.1.1.11", "169.254.1.1")],
  ["not_forwarded", "from link-local", from("169.254.1.1")],
  [
    "not_forwarded",
    "a directed broadcast",
    also((r) => r.route("20.1.1.255", 32, ROUTE_BROADCAST, 2), from("10.1.1.11", "20.1.1.255")),
  ],
  ["not_forwarded", "no VSI-interface", also((r) => (r.tables.vsis.interface[1] = 0), fromVm(routed()))],
  ["dhcp_guard", "a server's reply from an AC", also(relayed, fromVm(dhcpReply(REMOTE)))],
  ["dhcp_guard", "the same as broadcast", also(relayed, fromVm(dhcpReply(BROADCAST)))],
  ["shutting_down", "what arrives while stopping", fromVm(plain(BROADCAST))],
];

/** Reasons only control decides; its tests hit them. */
const OF_CONTROL: readonly DropName[] = [
  "arp_malformed",
  "arp_not_local",
  "arp_src_mismatch",
  "arp_martian",
  "arp_gw_spoof",
  "nd_not_local",
  "nd_src_mismatch",
  "nd_martian",
  "nd_gw_spoof",
  "ttl_exceeded",
  "no_route",
  "unresolved_queue_full",
  "unresolved_timeout",
  "icmp_limited",
  "mac_limit",
  "arp_limit",
  "move_damped",
  "dhcp_malformed",
  "dhcp_untrusted",
  "looped",
  "not_gleaned",
];

describe("drop reasons", () => {
  for (const [reason, how, stimulus] of STIMULI) {
    it(`${reason}: ${how}`, () => {
      const rig = new Rig();
      rig.mac(1, M1, 1);
      // Whatever was punted or sent while preparing is over when the seven arrive.
      let before = { received: 0, sent: 0, heard: 0, punted: 0 };
      const note = () => {
        const c = rig.tables.counters[0]!;
        return {
          received: c.received[0]! + c.injected.reduce((a, b) => a + b),
          sent: c.sent[0]!,
          heard: rig.heard.flat().length + rig.wire.length,
          punted: c.punted.reduce((a, b) => a + b),
        };
      };
      const turn = rig.run.bind(rig);
      rig.run = () => {
        turn();
        before = note();
      };
      stimulus(rig);
      if (reason === "shutting_down") rig.plane.stop();
      else turn();
      expect(rig.drops).toEqual({ [reason]: SEVEN });
      expect(rig.imbalance).toBe(0);
      // Each is counted at the port that it came by, as received or as turned away at the door.
      const { ports, turnedAway, received } = rig.tables.counters[0]!;
      const taken = ports.filter((_, cell) => cell % 4 === RX_PACKETS).reduce((a, b) => a + b);
      const isOver = reason === "shutting_down";
      expect(taken + turnedAway.reduce((a, b) => a + b)).toBe(isOver ? 0 : received[0]);
      const after = note();
      expect(after.received - before.received).toBeGreaterThanOrEqual(SEVEN);
      // All that did not end for the reason was sent (pool_exhausted: what still fitted), none of it punted.
      expect(after.sent - before.sent).toBe(after.received - before.received - SEVEN);
      expect(after.punted).toBe(before.punted);
      if (reason !== "pool_exhausted") expect(after.heard).toBe(before.heard);
      // What is over with the gateway, or for want of room, has nothing to tell.
      if (!["shutting_down", "pool_exhausted"].includes(reason))
        expect(rig.tables.examples[0]!.read(DROP[reason])).not.toBeNull();
    });
  }

  it.each([
    ["gso_bad", FLAG_GSO_BAD | GSO_TCPV4],
    ["csum_bad", FLAG_CSUM_BAD],
    ["vxlan_truncated", FLAG_TRUNCATED],
  ] as const)("%s is told of the tunnel that it came by", (reason, flag) => {
    const rig = new Rig();
    also(flagged(flag), fromTunnel(encapsulated))(rig);
    rig.run();
    const { ports, turnedAway, portDrops } = rig.tables.counters[0]!;
    expect([ports[3 * 4 + RX_PACKETS], turnedAway[3], portDrops[3 * DROP_REASONS + DROP[reason]]]).toEqual([0, 7, 7]);
  });

  it("the list above and control's are all there is", () => {
    const hit = STIMULI.map(([reason]) => reason as string);
    expect([...new Set([...hit, ...OF_CONTROL])].sort()).toEqual(DROPS.map(([name]) => name as string).sort());
    expect(hit.filter((name) => (OF_CONTROL as readonly string[]).includes(name))).toEqual([]);
  });
});

function relayed(rig: Rig): void {
  rig.tables.vsis.flags[1]! |= VSI_DHCP_RELAY;
}

function dhcpReply(dst: Mac): Uint8Array {
  return udpFrame({ dst, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.12"), sport: 67, dport: 68 });
}

function failing(port: number, errno: number): (rig: Rig) => void {
  return (rig) => {
    rig.mac(1, REMOTE, port);
    rig.io.failPeer(port, errno);
  };
}

function tapError(errno: number): (rig: Rig) => void {
  return (rig) => {
    rig.vm1.error = errno;
  };
}

function onlyTagged(rig: Rig): void {
  rig.tables.ports.ofIo[1] = 0;
  rig.vlans.set(1, 20, 1);
}

function alone(rig: Rig): void {
  publishFlood(rig.tables.vsis, 1, [1], []);
}

function over(rig: Rig, limit: number, rate: number): void {
  rig.tables.settings[limit] = rate;
  rig.vm1.send(routed());
  rig.run();
}

function fillPuntRing(rig: Rig): void {
  const ring = rig.tables.punts[0]!;
  for (const size of [1 << 20, 1 << 16, 1 << 12, 1 << 8, 0]) while (ring.reserve(size) >= 0) ring.commit();
}

/** As many injected frames as the scratch holds, and seven more: those are one too many each. */
/** Frames that the whole scratch cannot take; those that it can wait for their turn. */
function injectMany(rig: Rig): void {
  const frame = ethernet(M1, G10, 0x88b5, rig.plane.worker.pool.size);
  rig.tables.ports.mtu[1] = 65_535;
  for (let i = 0; i < SEVEN; i++) expect(rig.inject(INJECT.port, 1, 1, 0, 0, frame)).toBe(true);
}

function injectNowhere(rig: Rig): void {
  for (let i = 0; i < SEVEN; i++) rig.inject(INJECT.port, 99, 1, 0, 0, plain(M1, G10));
}

function shortHead(rig: Rig): void {
  rig.describe = (frames, d) => {
    frames[d + F_HEAD] = 14 + 20;
  };
}

function underlay(rig: Rig): void {
  rig.route("192.0.2.2", 32, ROUTE_UNDERLAY, 0);
}

function toVtep(): Uint8Array {
  return udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("192.0.2.2"), dport: 4789 });
}

function raGuard(rig: Rig): void {
  rig.tables.ports.flags[1]! |= PORT_RA_GUARD;
}

/** A message of the link (RFC 4861). */
function toAllNodes(type: number): Uint8Array {
  const frame = ipv6Frame({ dst: parseMac("33:33:00:00:00:01")!, src: M1, trafficClass: 0 });
  frame.set([58, 255, 0xfe, 0x80], 20);
  frame[54] = type;
  return frame;
}

function longDiscovery(): Uint8Array {
  const frame = new Uint8Array(1515);
  frame.set(toAllNodes(135));
  return frame;
}

function hasNd(rig: Rig): void {
  rig.tables.vsis.flags[1]! |= VSI_ND | VSI_ISOLATE;
}

function strict(rig: Rig): void {
  rig.tables.ports.flags[1]! |= PORT_STRICT;
  rig.bind(1, M1, ip("10.1.1.11"));
}

function antiSpoof(rig: Rig): void {
  rig.tables.ports.flags[1]! |= PORT_ANTI_SPOOF;
  const border = rig.neighbor("10.1.1.2", 1, P10, 4);
  rig.route("30.0.0.0", 8, 3, border);
}
