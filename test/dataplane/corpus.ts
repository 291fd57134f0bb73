/**
 * One frame for each branch of the data plane, and a gateway in which each branch is reachable: seeds for mutation.
 */
import {
  GROUP_WORDS,
  ROUTE_BROADCAST,
  ROUTE_DISCARD,
  ROUTE_GROUP,
  ROUTE_LOCAL,
  ROUTE_PROHIBIT,
  ROUTE_UNDERLAY,
  ROUTE_UNREACHABLE,
  ROUTE_VRF,
  RULE_DEFAULT_NEXT_HOP,
  RULE_DROP,
} from "../../src/tables/fib.ts";
import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../../src/tables/mac.ts";
import { SET_BFD_VNI, SET_PUNT_AC, SET_PUNT_TOTAL } from "../../src/tables/tables.ts";
import {
  PORT_ANTI_SPOOF,
  PORT_STRICT,
  publishFlood,
  VSI_DHCP_RELAY,
  VSI_ND,
  VSI_SUPPRESS,
} from "../../src/tables/vsi.ts";
import { bfdDatagram } from "../../src/wire/bfd-vxlan.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { BROADCAST, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { arpFrame, changed, ethernet, ipv6Frame, tagged, tcpFrame, udpFrame, vxlan, withOptions } from "./packets.ts";
import { packet6 } from "./packets6.ts";
import { rule } from "./policies.ts";
import { G10, G20, ip, M1, M2, P10, P20, Rig } from "./rig.ts";

export const FAR = parseMac("02:00:00:00:01:12")!;
const ALL_NODES = parseMac("33:33:00:00:00:01")!;
const NS = `8700 0000 0000 0000 20010db8001000000000000000000012 0101 ${"02".repeat(6)}`;
/** Options that pad, and ICMPv6 behind them. */
const HOP_BY_HOP = "3a00 0104 0000 0000";
const STATIC = parseMac("02:00:00:00:01:99")!;
/** Of BFD inside VXLAN. */
const BFD_VNI = 4000;
const SELECTIVE = parseMac("01:00:5e:00:00:fb")!;
const GROUP = parseMac("01:00:5e:01:02:03")!;

/** A seed: where it enters (TAP number, or 0 for the underlay and then from which VTEP), and its bytes. */
export type Seed = { tap: number; last: number; tos: number; bytes: Uint8Array };

/** VSI 1 and 2 as in the rig; VSI 3 (VNI 30) without a VSI-interface, suppressing ARP; tagged and untagged ACs; all kinds of routes. */
export function crowdedRig(arenaBytes = 1 << 20): Rig {
  const rig = new Rig(1024, arenaBytes);
  const t = rig.tables;
  rig.ac(11, 1, 5, 20);
  rig.ac(12, 1, 6);
  rig.ac(13, 3, 6, 7);
  rig.ac(14, 3, 7);
  publishFlood(t.vsis, 1, [12, 1, 11], [3, 4]);
  t.vsis.vni[3] = 30;
  t.vsis.flags[1]! |= VSI_DHCP_RELAY | VSI_ND;
  t.vsis.flags[3] = VSI_SUPPRESS | 28;
  publishFlood(t.vsis, 3, [14, 13], [3]);
  rig.vnis.set(30, 3, 3);
  t.ports.storm[12] = 2000;
  t.ports.flags[2]! |= PORT_ANTI_SPOOF;
  t.settings[SET_PUNT_TOTAL] = 100_000;
  t.settings[SET_BFD_VNI] = BFD_VNI;
  t.settings[SET_PUNT_AC] = 20_000;
  rig.ac(15, 1, 8);
  t.ports.flags[15]! |= PORT_STRICT;
  rig.bind(15, FAR + 3, ip("10.1.1.11"));
  rig.mac(1, M1, 1);
  rig.mac(2, M2, 2);
  rig.mac(1, FAR, 3);
  rig.mac(1, P10, MAC_GATEWAY | 3);
  rig.mac(1, STATIC, MAC_STATIC | 12);
  rig.mac(1, SELECTIVE, MAC_FLOOD);
  rig.neighbor("20.1.1.12", 2, P20, 3);
  rig.neighbor("20.1.1.11", 2, M2, 2);
  rig.neighbor("10.1.1.11", 1, M1, 1);
  const border = rig.neighbor("10.1.1.2", 1, parseMac("02:cc:00:00:00:01")!, 4);
  const unresolved = rig.neighbor("10.1.1.3", 1, P10, 4);
  t.fib.rewrite[unresolved] = 0;
  t.fib.groups.set(
    Array.from({ length: GROUP_WORDS }, (_, place) => [border, 1, 2][place % 3]!),
    GROUP_WORDS,
  );
  rig.route("50.0.0.0", 8, ROUTE_GROUP, 1);
  rig.route("60.0.0.0", 8, 3, unresolved);
  rig.route("70.0.0.0", 9, ROUTE_UNREACHABLE, 0);
  rig.route("70.128.0.0", 9, ROUTE_PROHIBIT, 0);
  rig.route("80.0.0.0", 8, ROUTE_DISCARD, 0);
  // Another VRF: it knows a next hop, an address of ours, nothing, and the way back.
  rig.route("90.0.0.0", 8, ROUTE_VRF, 2);
  rig.route("90.1.0.0", 16, 3, border, 2);
  rig.route("90.2.0.1", 32, ROUTE_LOCAL, 2, 2);
  rig.route("90.3.0.0", 16, ROUTE_VRF, 1, 2);
  rig.route("20.1.1.255", 32, ROUTE_BROADCAST, 2);
  rig.route("192.0.2.2", 32, ROUTE_UNDERLAY, 0);
  rule(rig, 1, [
    { action: RULE_DROP, protocol: 17, destinationPorts: [9, 9] },
    { action: RULE_DEFAULT_NEXT_HOP, adjacency: border, source: { address: ip("10.1.1.0"), length: 24 }, protocol: 6 },
  ]);
  return rig;
}

/** The frames a VM or a peer of VSI 1 could send, unbroken. */
function frames(dst: Mac, src: Mac): Uint8Array[] {
  const from = ip("10.1.1.11");
  const base = { dst, src, from, to: ip("20.1.1.12") };
  const arp = (op: number, to: Mac): Uint8Array =>
    arpFrame({ ethDst: to, ethSrc: src, op, senderMac: src, senderIp: from, targetMac: 0, targetIp: ip("10.1.1.1") });
  const routed = [
    "20.1.1.12",
    "20.1.1.11",
    "20.1.1.77",
    "20.1.1.255",
    "10.1.1.1",
    "50.1.2.3",
    "60.1.1.1",
    "70.1.1.1",
    "70.200.1.1",
    "80.1.1.1",
    "99.1.1.1",
    "192.0.2.2",
    "224.0.0.5",
  ].map((to) => udpFrame({ ...base, to: ip(to) }));
  return [
    ...routed,
    udpFrame({ ...base, ttl: 1 }),
    udpFrame({ ...base, from: ip("127.0.0.1") }),
    udpFrame({ ...base, dport: 9 }),
    udpFrame({ ...base, dst: BROADCAST, sport: 68, dport: 67 }),
    udpFrame({ ...base, dst: FAR, sport: 67, dport: 68 }),
    udpFrame({ ...base, to: ip("192.0.2.2"), dport: 4789 }),
    udpFrame({ ...base, payload: 1430 }),
    tcpFrame({ ...base, flags: 2, mss: 1460, payload: 0 }),
    tcpFrame({ ...base, to: ip("99.1.1.1"), payload: 300 }),
    withOptions(udpFrame(base), [7, 7, 4, 0, 0, 0, 0]),
    withOptions(udpFrame(base), [131, 7, 4, 10, 0, 0, 1]),
    changed(udpFrame({ ...base, payload: 64 }), (b) => setU16(b, 20, 0x2000)),
    changed(udpFrame({ ...base, payload: 64 }), (b) => setU16(b, 20, 0x0009)),
    udpFrame({ ...base, tos: 2 }),
    arp(1, BROADCAST),
    arp(2, BROADCAST),
    arp(1, G10),
    arp(2, FAR),
    ipv6Frame({ dst: FAR, src, trafficClass: 1 }),
    ipv6Frame({ dst: G10, src, trafficClass: 0 }),
    packet6({ dst: ALL_NODES, src, from: "fe80::11", to: "ff02::1:ff00:12", next: 58, hops: 255, rest: NS }),
    packet6({
      dst: G10,
      src,
      from: "2001:db8:10::11",
      to: "2001:db8:10::12",
      next: 0,
      hops: 255,
      rest: `${HOP_BY_HOP}${NS}`,
    }),
    ethernet(BROADCAST, src, 0x88b5, 46),
    ethernet(GROUP, src, 0x88b5, 46),
    ethernet(SELECTIVE, src, 0x88b5, 46),
    ethernet(FAR, src, 0x88b5, 46),
    ethernet(STATIC, src, 0x88b5, 1450),
    ethernet(P10, src, 0x0800, 46),
    ethernet(parseMac("01:80:c2:00:00:00")!, src, 0x88b5, 46),
    tagged(tagged(ethernet(BROADCAST, src, 0x88b5, 46), 5), 0),
  ];
}

/** A session's first word, inside VXLAN. */
function bfd(): Uint8Array {
  const flags = { poll: false, final: false, demand: false, multiplier: 3 };
  const times = { desiredMinTx: 1_000_000, requiredMinRx: 50_000, requiredMinEchoRx: 0 };
  const outer = { vni: BFD_VNI, source: Uint8Array.of(192, 0, 2, 2), sourcePort: 49153 };
  return bfdDatagram(outer, { diagnosis: "none", state: "down", ...flags, mine: 7, yours: 0, ...times });
}

export const SEEDS: readonly Seed[] = [
  ...frames(G10, M1).map((bytes) => ({ tap: 1, last: 0, tos: 0, bytes })),
  ...frames(G20, M2).map((bytes) => ({ tap: 2, last: 0, tos: 0, bytes })),
  ...frames(G10, FAR + 1).map((bytes) => ({ tap: 5, last: 0, tos: 0, bytes: tagged(bytes, 20) })),
  ...frames(BROADCAST, FAR + 2).map((bytes) => ({ tap: 6, last: 0, tos: 0, bytes: tagged(bytes, 7) })),
  ...frames(G10, FAR + 3).map((bytes) => ({ tap: 8, last: 0, tos: 0, bytes })),
  ...frames(G10, P10).map((bytes, i) => ({ tap: 0, last: 2 + (i & 1), tos: i & 3, bytes: vxlan(10, bytes) })),
  ...frames(FAR, M2).map((bytes, i) => ({ tap: 0, last: 2, tos: i & 3, bytes: vxlan(i & 4 ? 30 : 20, bytes) })),
  { tap: 1, last: 0, tos: 0, bytes: ethernet(BROADCAST, G10, 0x88b5, 46) },
  { tap: 0, last: 99, tos: 0, bytes: vxlan(10, ethernet(BROADCAST, FAR, 0x88b5, 46)) },
  ...[2, 3].map((last) => ({ tap: 0, last, tos: 0xc0, bytes: bfd() })),
  // VXLAN in VXLAN in VXLAN: only the outermost is ours.
  {
    tap: 0,
    last: 2,
    tos: 3,
    bytes: vxlan(
      10,
      udpFrame({ dst: G10, src: P10, from: ip("10.1.1.12"), to: ip("192.0.2.2"), dport: 4789, payload: 58 }),
    ),
  },
];
