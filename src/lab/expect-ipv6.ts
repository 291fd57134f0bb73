/**
 * The article's scenarios with IPv6: the same rows, of neighbour discovery in place of ARP (RFC 4861).
 *
 *     broadcast request     solicitation to the group of the address that is asked for
 *     reply                 advertisement; a gateway speaks by its address in the asker's subnet, and is a router itself alone
 *     10.1.1.11             2001:db8:10::11, and fe80::1 where a VM asks for its gateway
 *
 * What a gateway does is the same for both, so nothing of it is written down twice.
 */
import { sentencesOf } from "../web/article.ts";
import {
  type FrameRow,
  groupName,
  isFrameRow,
  type MacName,
  type Row,
  type Scenario,
  type TableRow,
} from "./expect.ts";
import { addressOf, CAST, inIpv6, machine, ROUTER6 } from "./topology.ts";

type Arp = NonNullable<FrameRow["arp"]>;

const OWN_FLAGS = "router solicited override";
const isGateway = (mac: MacName) => /^[GB]/.test(mac);
/** Is it an address of a gateway's VSI-interface: .1, .2, and that of the uplink? */
const isOfGateway = (ipv4: string) => /^[123]0\.1\.1\.[12]$|\.254$/.test(ipv4);
const gatewayOf = (ipv4: string) => `${ipv4.slice(0, ipv4.lastIndexOf("."))}.1`;

export function overIpv6({ number, from, to, ttl, title, rows }: Scenario): Scenario {
  const { gateway, address } = machine(from);
  /** How the machine that pings calls it: its router it knows by the address of the link. */
  const near = (ipv4: string) => (ipv4 === gateway ? ROUTER6 : inIpv6(ipv4));
  const other = machine(to);
  const called = other.vxlan === undefined ? addressOf(other, 6) : to.toUpperCase();
  const gateways = { gateway: ROUTER6, farGateway: inIpv6(CAST.farGateway), nextHop: inIpv6(CAST.nextHop) };

  const frame = (row: FrameRow): FrameRow => {
    const { arp, ip, ...rest } = row;
    if (ip !== undefined) return { ...rest, ip: [inIpv6(ip[0]), inIpv6(ip[1]), ip[2], ip[3]] };
    if (arp === undefined) return row;
    const [op] = arp;
    return op === "request" ? { ...rest, ...solicitation(arp, rest.eth) } : { ...rest, nd: advertisement(arp, row) };
  };
  const solicitation = ([op, mac, sender, targetMac, target]: Arp, eth: FrameRow["eth"]) => {
    const asked = sender === address && target === gateway ? near(target) : inIpv6(target);
    const nd = { asks: [op, mac, inIpv6(sender), targetMac, asked] as Arp, by: inIpv6(sender), flags: "" };
    return { eth: [groupName(asked), eth[1]] as const, nd };
  };
  const advertisement = ([op, mac, sender, targetMac, target]: Arp, row: FrameRow) => {
    const told = target === address && row.eth[0] === "M1" ? near(sender) : inIpv6(sender);
    const isOwn = isOfGateway(sender);
    const by = isGateway(mac) && !isOwn ? inIpv6(gatewayOf(target)) : told;
    return {
      asks: [op, mac, told, targetMac, inIpv6(target)] as Arp,
      by,
      flags: isOwn ? OWN_FLAGS : "solicited override",
    };
  };
  /** A host of another VXLAN knows the gateway that asked for it, and not its router, fe80::1: it asks for that before it answers. */
  const routerAsked = (): FrameRow[] => {
    const [place, mac, own] = [`ac ${to}`, `M${to.slice(2)}`, inIpv6(other.address)];
    const router = `G${other.behind.slice(2)}.${other.vxlan}`;
    return [
      {
        ...{ row: "11a", place, eth: [groupName(ROUTER6), mac] },
        nd: { asks: ["request", mac, own, "0", ROUTER6], by: own, flags: "" },
      },
      {
        ...{ row: "11b", place, eth: [mac, router] },
        nd: { asks: ["reply", router, ROUTER6, mac, own], by: ROUTER6, flags: OWN_FLAGS },
      },
    ];
  };
  const isAnswer = (row: Row) => isFrameRow(row) && row.place === `ac ${to}` && row.ip?.[0] === other.address;
  const isElsewhere = other.vxlan !== undefined && other.vxlan !== machine(from).vxlan;
  const entry = (row: TableRow): TableRow => ({ ...row, ip: row.table === from ? near(row.ip) : inIpv6(row.ip) });

  return {
    ...{ number, family: 6, from, to, ttl },
    title: title.replace("50.1.1.1", addressOf(machine("ext"), 6)),
    steps: sentencesOf(number as 1 | 2 | 3, { ...CAST, ...gateways, to: called, family: 6 }),
    rows: rows.flatMap((row): Row[] => [
      ...(isElsewhere && isAnswer(row) ? routerAsked() : []),
      isFrameRow(row) ? frame(row) : entry(row),
    ]),
  };
}
