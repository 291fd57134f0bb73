/**
 * One gateway between a hand-made underlay and guests that send what they like: the bed of the tests with frames made byte
 * for byte.
 *
 *     p1, p2  guests in vsi30, no gateway there           inj   the whole underlay: it is 192.0.2.2 and .3, which are
 *     h1      guest in vsi10, gateway 10.1.1.1                  configured, and .9, which is not
 *     many    a guest with a VLAN for each odd VNI
 */

import type { Status } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { ARP_REQUEST, type Arp } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import type { Bed } from "./bed.ts";
import { type Gateway, type Gateways, openGateways } from "./gateways.ts";
import { EXPERIMENTAL, encapsulated, ip, mac, type Outer } from "./raw-frames.ts";
import { countFrames, openDump } from "./traffic.ts";

export const VNIS = [1, 255, 256, 65535, 65536, 16777215] as const;
export const HOST = { mac: mac("02:00:00:00:01:11"), ip: ip("10.1.1.11") };
export const P1 = mac("02:00:00:00:03:01");
export const P2 = mac("02:00:00:00:03:02");
export const REMOTE = mac("02:00:00:00:09:02");
export const GROUP = mac("01:00:5e:01:02:03");

/** h1 asks for 10.1.1.55, which no host has. */
export const REQUEST: Arp = {
  ethDst: BROADCAST,
  ethSrc: HOST.mac,
  op: ARP_REQUEST,
  senderMac: HOST.mac,
  senderIp: HOST.ip,
  targetMac: 0,
  targetIp: ip("10.1.1.55"),
};

/** What was seen while something happened: marked frames that guests got, VXLAN datagrams with such frames by peer. */
export interface Seen {
  readonly p1: number;
  readonly p2: number;
  readonly h1: number;
  readonly many: number;
  readonly two: number;
  readonly three: number;
  /** Captures: all VXLAN that left, and what "many" got. */
  readonly wire: string;
  readonly manyFile: string;
}

export interface InjectBed {
  readonly gateways: Gateways;
  readonly bed: Bed;
  readonly gw1: Gateway;
  readonly gatewayMac: number;
  /** `inner` as a datagram to the gateway, from a configured VTEP (192.0.2.2) unless said otherwise. */
  wrap(inner: Uint8Array, vni: number, more?: Partial<Outer>): Uint8Array;
  /** Run `act`, wait until that many more packets have been received and settled, and say what was dropped. */
  dropsOf(packets: number, act: () => Promise<void>): Promise<Record<string, number>>;
  observe(act: () => Promise<unknown>): Promise<Seen>;
}

export async function openInjectBed(label: string): Promise<InjectBed> {
  const gateways = await openGateways(label);
  const { bed } = gateways;
  try {
    for (const name of ["gw1", "inj", "p1", "p2", "h1", "many"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "inj", "ul0");
    // Each datagram is counted: no super-packets on this wire.
    await bed.must("gw1", "ethtool", ["-K", "ul0", "tx", "off", "gso", "off", "tso", "off"]);
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("inj", ...[2, 3, 9].map((host) => `addr add 192.0.2.${host}/24 dev ul0`));
    const gw1 = await gateways.start("gw1", config(bed));
    for (const name of ["p1", "p2", "many"]) await bed.ip(name, "link set dev eth0 up");
    await bed.ip(
      "h1",
      "link set dev eth0 address 02:00:00:00:01:11 up",
      "addr add 10.1.1.11/24 dev eth0",
      "route add default via 10.1.1.1",
    );
    const macOf = async (node: string) => mac((await bed.must(node, "cat", ["/sys/class/net/ul0/address"])).trim());
    const outer = { dst: await macOf("gw1"), src: await macOf("inj"), to: ip("192.0.2.1") };
    // The underlay's ARP is done before anything is counted.
    for (const host of [2, 3]) await bed.must("gw1", "ping", ["-c1", "-W2", `192.0.2.${host}`]);
    return {
      gateways,
      bed,
      gw1,
      gatewayMac: mac(await gw1.macOf("vsi10")),
      wrap: (inner, vni, more = {}) => encapsulated(inner, { ...outer, from: ip("192.0.2.2"), vni, ...more }),
      dropsOf: (packets, act) => dropsOf(gw1, packets, act),
      observe: (act) => observe(bed, act),
    };
  } catch (error) {
    await gateways.remove();
    throw error;
  }
}

function config(bed: Bed): Record<string, unknown> {
  const tap = (name: string) => ({ device: "eth0", netns: bed.name(name) });
  return {
    underlay: { address: "192.0.2.1" },
    tunnels: [
      { name: "two", remote: "192.0.2.2" },
      { name: "three", remote: "192.0.2.3" },
    ],
    vsis: [
      { name: "vsi10", vni: 10 },
      { name: "vsi30", vni: 30 },
      ...VNIS.map((vni) => ({ name: `odd${vni}`, vni, tunnels: ["two"] })),
    ],
    interfaces: [
      {
        name: "i10",
        vsi: "vsi10",
        address: "10.1.1.1/24",
        arp: { static: [{ ip: "10.1.1.99", mac: "02:00:00:00:01:99", ac: "h1" }] },
      },
    ],
    acs: [
      { name: "p1", vsi: "vsi30", tap: tap("p1") },
      { name: "p2", vsi: "vsi30", tap: tap("p2") },
      { name: "h1", vsi: "vsi10", tap: tap("h1") },
      ...VNIS.map((vni, i) => ({ name: `odd${vni}`, vsi: `odd${vni}`, tap: tap("many"), vlan: 101 + i })),
    ],
    routes: [
      { prefix: "60.0.0.0/8", action: "discard" },
      { prefix: "0.0.0.0/0", nextHop: "10.1.1.2" },
    ],
    policies: [{ name: "p", interfaces: ["i10"], rules: [{ match: { destination: "70.0.0.0/8" }, action: "drop" }] }],
  };
}

async function dropsOf(gw1: Gateway, packets: number, act: () => Promise<void>): Promise<Record<string, number>> {
  const look = async () => (await gw1.look<Status>("/v1/status")).ledger;
  const had = (await look()).dataplane.received;
  const before = await gw1.drops();
  await act();
  await until(`${packets} packets to be received and settled`, 5000, async () => {
    const { dataplane, control } = await look();
    return dataplane.received >= had + packets && dataplane.imbalance === 0 && control.imbalance === 0;
  });
  const after = await gw1.drops();
  const grown = Object.entries(after).map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

async function observe(bed: Bed, act: () => Promise<unknown>): Promise<Seen> {
  const open = (name: string) => openDump(bed, name, "eth0", "", "in");
  const wire = await openDump(bed, "inj", "ul0", "src 192.0.2.1 and udp dst port 4789");
  const guests = await Promise.all(["p1", "p2", "h1", "many"].map(open));
  await act();
  await Promise.all([wire, ...guests].map((dump) => dump.stop()));
  const mark = `ether proto ${EXPERIMENTAL}`;
  const got = await Promise.all(guests.map(({ file }) => countFrames(file, `${mark} or (vlan and ${mark})`)));
  const to = (host: number) => countFrames(wire.file, `dst 192.0.2.${host} and udp[28:2]=${EXPERIMENTAL}`);
  const [p1, p2, h1, many] = got as [number, number, number, number];
  return { p1, p2, h1, many, two: await to(2), three: await to(3), wire: wire.file, manyFile: guests[3]!.file };
}
