/**
 * The shape of an expectation: the rows of the behaviour tables ("what every frame must look like") as data.
 *
 * MACs are symbols that are only known at run time:
 *
 *     ff, 0              broadcast, and the empty target of an ARP request
 *     M1 … M6, ME        the VMs' and the external host's
 *     G1.10, G2.20 …     gateway MAC of VSI-interface10 on gw1, of VSI-interface20 on gw2 …
 *     B.10 …, B.up       the Border's, the last one on its uplink
 *     S.12 …             IPv6: the group MAC of all whose address ends in 12 (solicited node, RFC 4291 §2.7.1)
 *
 * They are read from the gateways (`vtepctl show interface`), never assumed: with `mac: shared` G1.10 and G2.10 are the
 * same address and every row still has to hold.
 *
 * A *frame row* holds when exactly one frame fits it, and the frames of one place come in the order of their rows. A
 * *table row* holds when a gateway's ARP table, or a VM's, has the entry. Frames that fit no row are failures too,
 * unless `judge.ts` knows why they may be there.
 */
import type { Family } from "../web/article.ts";
import { formatMac } from "../wire/ethernet.ts";
import { parseIpv6 } from "../wire/ipv6.ts";
import { groupMac, solicitedNode } from "../wire/nd.ts";
import { BORDER6, inIpv6, MACHINES, ROUTER6, VXLANS } from "./topology.ts";

export type MacName = string;

export interface FrameRow {
  readonly row: string;
  /** Number of the article's step; none where the article leaves the frame out. */
  readonly step?: number;
  /** "ac vm1", or "gw1>gw2" for a VXLAN datagram. */
  readonly place: string;
  /** VNI of a datagram. */
  readonly vni?: number;
  /** Ethernet destination and source. */
  readonly eth: readonly [MacName, MacName];
  /** op, SHA, SPA, THA, TPA. */
  readonly arp?: readonly ["request" | "reply", MacName, string, MacName, string];
  /** The same of neighbour discovery, and by which address an answer is sent, with which flags. */
  readonly nd?: {
    readonly asks: NonNullable<FrameRow["arp"]>;
    readonly by: string;
    readonly flags: string;
  };
  /** Source, destination, TTL or hop limit, and which ping message. */
  readonly ip?: readonly [string, string, number, "echo request" | "echo reply"];
  /** Why the frame may also be missing. */
  readonly optional?: string;
}

export interface TableRow {
  readonly row: string;
  readonly step?: number;
  /** Whose ARP or neighbour table: a VTEP's name or a machine's. */
  readonly table: string;
  readonly ip: string;
  readonly mac?: MacName;
  /** "ac vm1" or "tunnel gw2"; VTEPs only. */
  readonly via?: string;
  readonly kind?: "host" | "gateway";
  /** The entry must not be there. */
  readonly isAbsent?: true;
  readonly optional?: string;
}

export type Row = FrameRow | TableRow;

export interface Scenario {
  readonly number: number;
  /** By which addresses it is walked. */
  readonly family: Family;
  readonly title: string;
  /** Who pings what. */
  readonly from: string;
  readonly to: string;
  /** TTL that `from` sees in the reply. */
  readonly ttl: number;
  /** The article's steps in short. */
  readonly steps: Readonly<Record<number, string>>;
  readonly rows: readonly Row[];
}

export function isFrameRow(row: Row): row is FrameRow {
  return "place" in row;
}

/** The symbol of the group that is asked for an IPv6 address: S.12 for 2001:db8:10::12. */
export const groupName = (ipv6: string): MacName => `S.${ipv6.slice(ipv6.lastIndexOf(":") + 1)}`;

/** What the symbols stand for; the gateways' MACs come from `gatewayMac(vtep, vsi)`. */
export function macNames(gatewayMac: (vtep: string, vsi: string) => string, family: Family = 4): Map<MacName, string> {
  const names = new Map<MacName, string>([
    ["ff", "ff:ff:ff:ff:ff:ff"],
    ["0", "00:00:00:00:00:00"],
  ]);
  for (const machine of MACHINES) {
    names.set(machine.vxlan === undefined ? "ME" : `M${machine.name.slice(2)}`, machine.mac);
  }
  for (const vni of VXLANS) {
    names.set(`G1.${vni}`, gatewayMac("gw1", `vsi${vni}`));
    names.set(`G2.${vni}`, gatewayMac("gw2", `vsi${vni}`));
    names.set(`B.${vni}`, gatewayMac("border", `vsi${vni}`));
  }
  names.set("B.up", gatewayMac("border", "uplink"));
  if (family === 6) {
    const hosts = MACHINES.map(({ address6 }) => address6!);
    for (const address of [ROUTER6, BORDER6, ...hosts, inIpv6("50.1.1.254")])
      names.set(groupName(address), formatMac(groupMac(solicitedNode(parseIpv6(address)!))));
  }
  return names;
}
