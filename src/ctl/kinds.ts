/**
 * The tables of `vtepctl show`: each kind of thing with its path in the API and its columns.
 *
 * A column without a rank is always shown; the others leave a table that would be too wide, the highest rank first
 * (table.ts). Where counters are watched, their columns are rates.
 */
import type { Binding } from "../api/bindings.ts";
import type { DhcpServer } from "../api/dhcp.ts";
import type { Loop } from "../api/loops.ts";
import type { Advertised } from "../api/ra.ts";
import type { Ac, Interface, MacEntry, Neighbor, Route, Traffic, Tunnel, Vsi } from "../api/schema.ts";
import { hopText } from "./hop-text.ts";
import type { Before } from "./refresh.ts";
import { type Column, shortAge, shortNumber } from "./table.ts";
import { VRF } from "./vrf-columns.ts";

type Via = { readonly kind: string; readonly name: string } | null;
interface Counted {
  readonly name: string;
  readonly receive: Traffic;
  readonly transmit: Traffic;
}

export const viaText = (via: Via) => (via === null ? null : `${via.kind} ${via.name}`);
const lossText = (loss: number | null) => (loss === null ? null : `${Math.round(loss * 100)}%`);
const listText = (list: readonly string[]) => list.join(",");
const LONG_LIST = 3;
const briefList = (list: readonly string[]) => (list.length > LONG_LIST ? `${list.length} of them` : listText(list));

export interface Kind {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly path: string;
  /** What else is asked. */
  readonly query?: Readonly<Record<string, string>>;
  readonly says: string;
  /** Said where there are no rows. */
  readonly none: string;
  /** A word of one of its rows. */
  readonly example: string;
  /** Its rows can be those of one VRF. */
  readonly ofVrf?: true;
  /** Its rows can be those of one family of addresses. */
  readonly ofFamily?: true;
  /** `before`: the rows some seconds ago, while they are watched. */
  readonly columns: (before: Before<readonly never[]> | null) => readonly Column<never>[];
}

/** Packets and bytes in both directions: since the start, or in a second of the time between two answers. */
function traffic<T extends Counted>(
  before: Before<readonly T[]> | null,
  ranks: readonly [bytes: number, packets: number],
) {
  const [bytes, packets] = ranks;
  const sides = [
    ["RX", "receive"],
    ["TX", "transmit"],
  ] as const;
  if (before === null) {
    return sides.flatMap(([title, side]): Column<T>[] => [
      { title: `${title}-PACKETS`, of: (row) => row[side].packets, right: true, rank: packets, measured: true },
      {
        title: `${title}-BYTES`,
        of: (row) => row[side].bytes,
        brief: (row) => shortNumber(row[side].bytes),
        right: true,
        rank: bytes,
        measured: true,
      },
    ]);
  }
  const earlier = new Map(before.value.map((row) => [row.name, row]));
  const rate = (row: T, side: "receive" | "transmit", unit: "packets" | "bytes") => {
    const old = earlier.get(row.name);
    // A thing that is new, or that began anew, has no rate yet.
    if (old === undefined || old[side][unit] > row[side][unit]) return null;
    return (row[side][unit] - old[side][unit]) / before.seconds;
  };
  const whole = (value: number | null, factor = 1) => (value === null ? null : Math.round(value * factor));
  const short = (value: number | null) => (value === null ? null : shortNumber(value));
  return sides.flatMap(([title, side]): Column<T>[] => [
    {
      title: `${title}-PPS`,
      of: (row) => whole(rate(row, side, "packets")),
      brief: (row) => short(whole(rate(row, side, "packets"))),
      right: true,
    },
    {
      title: `${title}-BIT/S`,
      of: (row) => whole(rate(row, side, "bytes"), 8),
      brief: (row) => short(whole(rate(row, side, "bytes"), 8)),
      right: true,
    },
  ]);
}

const vsi = (before: Before<readonly Vsi[]> | null): readonly Column<Vsi>[] => [
  { title: "VSI", of: (row) => row.name },
  { title: "VNI", of: (row) => row.vni, right: true },
  { title: "VSI-INTERFACE", of: (row) => row.interface, rank: 2 },
  { title: "ARP", of: (row) => row.arp, rank: 5 },
  { title: "ACS", of: (row) => listText(row.acs), brief: (row) => briefList(row.acs), rank: 3 },
  { title: "TUNNELS", of: (row) => listText(row.tunnels), brief: (row) => briefList(row.tunnels), rank: 4 },
  { title: "MACS", of: (row) => row.macs, right: true },
  ...traffic(before, [1, 6]),
];

const ac = (before: Before<readonly Ac[]> | null): readonly Column<Ac>[] => [
  { title: "AC", of: (row) => row.name },
  { title: "VSI", of: (row) => row.vsi },
  { title: "STATE", of: (row) => (row.up ? "up" : row.linkDown ? "link down" : "down") },
  { title: "DEVICE", of: (row) => row.device, rank: 4 },
  { title: "NETNS", of: (row) => row.netns, rank: 5 },
  { title: "VLAN", of: (row) => row.vlan, right: true, rank: 3 },
  { title: "MTU", of: (row) => row.mtu, right: true, rank: 6 },
  ...traffic(before, [1, 2]),
];

const stateOf = ({ lingering, draining, state }: Tunnel): string =>
  lingering === true ? "lingering" : draining === true ? "draining" : state;

const tunnel = (before: Before<readonly Tunnel[]> | null): readonly Column<Tunnel>[] => [
  { title: "TUNNEL", of: (row) => row.name },
  { title: "REMOTE", of: (row) => row.remote },
  { title: "STATE", of: (row) => stateOf(row), measured: true },
  { title: "BY", of: (row) => row.watchedBy ?? null, rank: 5 },
  { title: "MTU", of: (row) => row.mtu, right: true, rank: 3 },
  { title: "RTT-MS", of: (row) => row.probe.rttMs?.toFixed(3) ?? null, right: true, rank: 1, measured: true },
  { title: "LOSS", of: (row) => lossText(row.probe.loss), right: true, rank: 1, measured: true },
  { title: "PATH-MTU", of: (row) => row.probe.pathMtu, right: true, rank: 5 },
  { title: "VSIS", of: (row) => listText(row.vsis), brief: (row) => briefList(row.vsis), rank: 7 },
  ...traffic(before, [2, 6]),
  turnedAway(before),
];

/** Packets that came and were dropped at the door: none is the usual, and then no column of a table that must fit. */
function turnedAway(before: Before<readonly Tunnel[]> | null): Column<Tunnel> {
  const earlier = new Map(before?.value.map((row) => [row.name, row.turnedAway ?? 0]));
  const value = (row: Tunnel) => {
    const ever = row.turnedAway ?? 0;
    if (before === null) return ever;
    const old = earlier.get(row.name);
    return old === undefined || old > ever ? null : Math.round((ever - old) / before.seconds);
  };
  const brief = (row: Tunnel) => {
    const count = value(row);
    return count === null || count === 0 ? null : shortNumber(count);
  };
  const title = before === null ? "TURNED-AWAY" : "TURNED-AWAY-PPS";
  return { title, of: value, brief, right: true, rank: 4, measured: true };
}

const INTERFACE: readonly Column<Interface>[] = [
  { title: "VSI-INTERFACE", of: (row) => row.name },
  { title: "VSIS", of: (row) => listText(row.vsis), rank: 2 },
  { title: "ADDRESSES", of: (row) => listText(row.addresses), brief: (row) => briefList(row.addresses) },
  { title: "MAC", of: (row) => row.mac },
  { title: "VRF", of: (row) => row.vrf, rank: 4 },
  { title: "DISTRIBUTED", of: (row) => row.distributed, rank: 5 },
  { title: "MTU", of: (row) => row.mtu, right: true, rank: 6 },
  { title: "POLICY", of: (row) => row.policy, rank: 1 },
  { title: "NEIGHBORS", of: (row) => row.neighbors, right: true, rank: 3, measured: true },
];

const MAC: readonly Column<MacEntry>[] = [
  { title: "VSI", of: (row) => row.vsi },
  { title: "MAC", of: (row) => row.mac },
  { title: "VIA", of: (row) => viaText(row.via) },
  { title: "ORIGIN", of: (row) => row.origin },
  { title: "AGE", of: (row) => shortAge(row.ageSeconds), right: true },
];

const ARP: readonly Column<Neighbor>[] = [
  { title: "VRF", of: (row) => row.vrf ?? null, rank: 0 },
  { title: "VSI-INTERFACE", of: (row) => row.interface ?? `(${row.vsi})` },
  { title: "IP", of: (row) => row.ip },
  { title: "MAC", of: (row) => row.mac },
  { title: "STATE", of: (row) => row.state },
  { title: "VIA", of: (row) => viaText(row.via) },
  { title: "AGE", of: (row) => shortAge(row.ageSeconds), right: true, rank: 1, measured: true },
  { title: "FROM", of: (row) => row.from, rank: 2 },
];

/** Actions that have no next hop and that no other column tells: the narrow table leaves ACTION out first. */
const DEAD_ENDS = new Set(["unreachable", "prohibit", "discard"]);

/** "10.1.1.2,10.1.1.3", "vrf main", "vrf main 10.1.1.2", "prohibit": the VRF is named where it is another one. */
function wayText({ viaVrf, nextHops, action }: Route): string {
  if (DEAD_ENDS.has(action)) return action;
  const hops = listText(nextHops.map(hopText));
  return viaVrf == null ? hops : `vrf ${viaVrf} ${hops}`.trimEnd();
}

const ROUTE: readonly Column<Route>[] = [
  { title: "VRF", of: (row) => row.vrf, rank: 0 },
  { title: "PREFIX", of: (row) => row.prefix },
  { title: "ORIGIN", of: (row) => row.origin },
  { title: "ACTION", of: (row) => row.action, rank: 1 },
  {
    title: "NEXT-HOPS",
    of: wayText,
  },
  { title: "VSI-INTERFACE", of: (row) => row.interface },
];

const RA: readonly Column<Advertised>[] = [
  { title: "VSI-INTERFACE", of: (row) => row.interface },
  { title: "ROUTER", of: (row) => row.source },
  { title: "LIFETIME", of: (row) => shortAge(row.lifetimeSeconds), right: true },
  { title: "PREFIXES", of: (row) => row.prefixes.map(advertisedText).join(",") },
  { title: "MO", of: (row) => `${row.managed ? "M" : "-"}${row.other ? "O" : "-"}`, rank: 3 },
  { title: "MTU", of: (row) => row.mtu, right: true, rank: 3 },
  { title: "DNS", of: (row) => row.dns.join(","), rank: 2 },
  { title: "SEARCH", of: (row) => row.search.join(","), rank: 2 },
  { title: "PREFERENCE", of: (row) => row.preference, rank: 3 },
  { title: "MAC", of: (row) => row.mac, rank: 3 },
  { title: "SENT", of: (row) => row.sent, right: true, measured: true },
  { title: "SOLICITED", of: (row) => row.solicited, right: true, measured: true },
  { title: "NEXT", of: (row) => shortAge(row.nextSeconds), right: true, rank: 1, measured: true },
];

/** 2001:db8:10::/64(LA): on-link, and hosts make addresses of it. */
function advertisedText({ prefix, onLink, slaac }: Advertised["prefixes"][number]): string {
  return `${prefix}(${onLink ? "L" : "-"}${slaac ? "A" : "-"})`;
}

const DHCP: readonly Column<DhcpServer>[] = [
  { title: "INTERFACE", of: (row) => row.interface },
  { title: "SERVER", of: (row) => row.server },
  { title: "REQUESTS", of: (row) => row.requests, right: true },
  { title: "REPLIES", of: (row) => row.replies, right: true },
  {
    title: "ANSWERED",
    of: (row) => (row.answeredSeconds === null ? null : shortAge(row.answeredSeconds)),
    right: true,
  },
  { title: "SILENT", of: (row) => (row.silentSeconds === null ? null : shortAge(row.silentSeconds)), right: true },
];

const BINDING: readonly Column<Binding>[] = [
  { title: "AC", of: (row) => row.ac },
  { title: "VSI", of: (row) => row.vsi, rank: 2 },
  { title: "MAC", of: (row) => row.mac },
  { title: "IP", of: (row) => row.ip },
  { title: "SOURCE", of: (row) => row.source },
  {
    title: "EXPIRES",
    of: (row) => (row.expiresSeconds === null ? null : shortAge(row.expiresSeconds)),
    right: true,
    measured: true,
  },
  { title: "ENFORCED", of: (row) => row.enforced, rank: 1 },
];

const LOOP: readonly Column<Loop>[] = [
  { title: "VSI", of: (row) => row.vsi },
  { title: "AC", of: (row) => row.acs[0] },
  { title: "OTHER", of: (row) => row.acs[1] },
  { title: "SINCE", of: (row) => shortAge(row.sinceSeconds), right: true, measured: true },
];

export const KINDS: readonly Kind[] = [
  {
    name: "vsi",
    aliases: ["vsis"],
    path: "/v1/vsis",
    says: "VSIs: L2 domains",
    none: "there is no VSI",
    example: "vsi10",
    columns: vsi,
  },
  {
    name: "ac",
    aliases: ["acs"],
    path: "/v1/acs",
    says: "attachment circuits",
    none: "there is no AC",
    example: "vm1",
    columns: ac,
  },
  {
    name: "tunnel",
    aliases: ["tunnels"],
    path: "/v1/tunnels",
    says: "VXLAN tunnels",
    none: "there is no tunnel",
    example: "gw2",
    columns: tunnel,
  },
  {
    name: "interface",
    aliases: ["interfaces", "vsi-interface"],
    path: "/v1/interfaces",
    says: "VSI-interfaces: gateways",
    none: "there is no VSI-interface",
    example: "vsi-interface10",
    columns: () => INTERFACE,
  },
  {
    name: "dhcp",
    aliases: ["dhcp-relay"],
    path: "/v1/dhcp",
    says: "DHCP servers that VSI-interfaces relay to, and whether they answer",
    none: "no VSI-interface relays DHCP",
    example: "vsi-interface10",
    columns: () => DHCP,
  },
  {
    name: "binding",
    aliases: ["bindings", "ip-source-binding"],
    path: "/v1/bindings",
    says: "who may send from behind each AC (antiSpoof: strict)",
    none: "nothing is bound to an AC",
    example: "vm1",
    columns: () => BINDING,
  },
  {
    name: "loop",
    aliases: ["loops", "loopback-detection"],
    path: "/v1/loops",
    says: "ACs of one VSI that are bridged together behind it",
    none: "no loop is known",
    example: "vsi10",
    columns: () => LOOP,
  },
  {
    name: "mac",
    aliases: ["macs", "mac-address"],
    path: "/v1/macs",
    says: "the MAC tables",
    none: "no MAC is known",
    example: "vsi10",
    columns: () => MAC,
  },
  {
    name: "arp",
    aliases: ["neighbor", "neighbors"],
    path: "/v1/neighbors",
    query: { family: "4" },
    says: "the ARP tables",
    none: "no neighbour is known",
    example: "10.1.1.12",
    ofVrf: true,
    ofFamily: true,
    columns: () => ARP,
  },
  {
    name: "nd",
    aliases: ["neighbors6"],
    path: "/v1/neighbors",
    query: { family: "6" },
    says: "the neighbour tables of IPv6",
    none: "no IPv6 neighbour is known",
    example: "2001:db8:10::12",
    ofVrf: true,
    ofFamily: true,
    columns: () => ARP,
  },
  {
    name: "ra",
    aliases: ["router-advertisement"],
    path: "/v1/ra",
    says: "router advertisements of VSI-interfaces to IPv6 hosts",
    none: "no VSI-interface advertises itself to IPv6 hosts",
    example: "vsi-interface10",
    columns: () => RA,
  },
  {
    name: "route",
    aliases: ["routes"],
    path: "/v1/routes",
    says: "routes",
    none: "there is no route",
    example: "static",
    ofVrf: true,
    ofFamily: true,
    columns: () => ROUTE,
  },
  {
    name: "vrf",
    aliases: ["vrfs", "vpn-instance"],
    path: "/v1/vrfs",
    says: "VRFs: separate routing tables",
    none: "there is no VRF",
    example: "main",
    columns: () => VRF,
  },
];
