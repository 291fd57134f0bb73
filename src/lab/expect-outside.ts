/**
 * Scenario 3 of the article: VM1 pings the external host 50.1.1.1 by way of the Border.
 *
 * GW1's policy names 10.1.1.2, the Border's VSI-interface in VM1's own VXLAN. GW1 looks for it like for any host, in
 * its site and in all others; GW2 hands the request on into its site but must not answer for the Border. The Border is
 * no distributed gateway: it answers for itself, on the tunnel the request came from (D15).
 *
 * The article ends when the Border routes the packet. Rows 8a, 8b and 10-17 are the uplink and the way back.
 */
import { sentencesOf } from "../web/article.ts";
import type { Scenario } from "./expect.ts";
import { CAST } from "./topology.ts";

const VM1 = "10.1.1.11";
const EXT = "50.1.1.1";
const GATEWAY = "10.1.1.1";
const BORDER = "10.1.1.2";
const UPLINK = "50.1.1.254";
const FRESH = "GW1 knows VM1 freshly and answers for it at once";

export const OUTSIDE: Scenario = {
  number: 3,
  family: 4,
  title: "VM1 → 50.1.1.1: the external network, by the Border",
  from: "vm1",
  to: "ext",
  ttl: 62,
  steps: sentencesOf(3, { ...CAST, to: EXT }),
  rows: [
    { row: "1", step: 1, place: "ac vm1", eth: ["ff", "M1"], arp: ["request", "M1", VM1, "0", GATEWAY] },
    { row: "1", step: 2, table: "gw1", ip: VM1, mac: "M1", via: "ac vm1", kind: "host" },
    { row: "2", step: 2, place: "ac vm1", eth: ["M1", "G1.10"], arp: ["reply", "G1.10", GATEWAY, "M1", VM1] },
    { row: "3", step: 3, place: "ac vm1", eth: ["G1.10", "M1"], ip: [VM1, EXT, 64, "echo request"] },
    {
      row: "4",
      step: 4,
      place: "ac vm1",
      eth: ["ff", "G1.10"],
      arp: ["request", "G1.10", GATEWAY, "0", BORDER],
    },
    {
      row: "5a",
      step: 4,
      place: "gw1>border",
      vni: 10,
      eth: ["ff", "G1.10"],
      arp: ["request", "G1.10", GATEWAY, "0", BORDER],
    },
    {
      row: "5b",
      step: 4,
      place: "gw1>gw2",
      vni: 10,
      eth: ["ff", "G1.10"],
      arp: ["request", "G1.10", GATEWAY, "0", BORDER],
    },
    { row: "5c", step: 4, place: "ac vm4", eth: ["ff", "G2.10"], arp: ["request", "G2.10", GATEWAY, "0", BORDER] },
    {
      row: "6",
      step: 5,
      table: "border",
      ip: GATEWAY,
      mac: "G1.10",
      via: "tunnel gw1",
      optional: "a note the Border may take and never routes by",
    },
    {
      row: "7",
      step: 5,
      place: "border>gw1",
      vni: 10,
      eth: ["G1.10", "B.10"],
      arp: ["reply", "B.10", BORDER, "G1.10", GATEWAY],
    },
    { row: "8", step: 6, table: "gw1", ip: BORDER, mac: "B.10", via: "tunnel border", kind: "host" },
    { row: "9", step: 7, place: "gw1>border", vni: 10, eth: ["B.10", "G1.10"], ip: [VM1, EXT, 63, "echo request"] },
    { row: "10a", step: 8, place: "ac ext", eth: ["ff", "B.up"], arp: ["request", "B.up", UPLINK, "0", EXT] },
    { row: "10b", step: 8, place: "ac ext", eth: ["B.up", "ME"], arp: ["reply", "ME", EXT, "B.up", UPLINK] },
    { row: "10", step: 8, place: "ac ext", eth: ["ME", "B.up"], ip: [VM1, EXT, 62, "echo request"] },
    { row: "11", place: "ac ext", eth: ["B.up", "ME"], ip: [EXT, VM1, 64, "echo reply"] },
    { row: "12a", place: "border>gw1", vni: 10, eth: ["ff", "B.10"], arp: ["request", "B.10", BORDER, "0", VM1] },
    { row: "12b", place: "border>gw2", vni: 10, eth: ["ff", "B.10"], arp: ["request", "B.10", BORDER, "0", VM1] },
    { row: "12", table: "gw2", ip: BORDER, mac: "B.10", via: "tunnel border", kind: "host" },
    { row: "13a", place: "ac vm4", eth: ["ff", "G2.10"], arp: ["request", "G2.10", BORDER, "0", VM1] },
    {
      row: "13b",
      place: "ac vm1",
      eth: ["ff", "G1.10"],
      arp: ["request", "G1.10", BORDER, "0", VM1],
      optional: FRESH,
    },
    { row: "14", place: "ac vm1", eth: ["G1.10", "M1"], arp: ["reply", "M1", VM1, "G1.10", BORDER], optional: FRESH },
    {
      row: "15",
      place: "gw1>border",
      vni: 10,
      eth: ["B.10", "G1.10"],
      arp: ["reply", "G1.10", VM1, "B.10", BORDER],
    },
    { row: "15", table: "border", ip: VM1, mac: "G1.10", via: "tunnel gw1", kind: "host" },
    { row: "16", place: "border>gw1", vni: 10, eth: ["G1.10", "B.10"], ip: [EXT, VM1, 63, "echo reply"] },
    { row: "17", place: "ac vm1", eth: ["M1", "G1.10"], ip: [EXT, VM1, 62, "echo reply"] },
  ],
};
