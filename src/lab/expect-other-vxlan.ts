/**
 * Scenario 2 of the article: VM1 (VXLAN 10) pings VM5 (VXLAN 20), other site.
 *
 * GW1 routes at once and looks for VM5 in VXLAN 20, as 20.1.1.1. GW2 owns that very address: the request is neither a
 * conflict nor an ordinary ARP entry, and the reply, addressed to 20.1.1.1, has to be handed on to the gateway that
 * asked (D4). "In all VXLANs" of step 4 is read as all VXLANs of the egress VSI-interface (D5): here, VXLAN 20.
 *
 * The article ends with the forward path. The way back is routed by GW2 from VXLAN 20 into VXLAN 10, so the ping goes
 * out with VNI 20 and returns with VNI 10 (rows 12-18).
 */
import { sentencesOf } from "../web/article.ts";
import type { Scenario } from "./expect.ts";
import { CAST } from "./topology.ts";

const VM1 = "10.1.1.11";
const VM5 = "20.1.1.12";
const GATEWAY10 = "10.1.1.1";
const GATEWAY20 = "20.1.1.1";
const FRESH = "GW1 knows VM1 freshly and answers for it at once";

export const OTHER_VXLAN: Scenario = {
  number: 2,
  family: 4,
  title: "VM1 → VM5: other VXLAN, other site",
  from: "vm1",
  to: "vm5",
  ttl: 62,
  steps: sentencesOf(2, { ...CAST, to: "VM5" }),
  rows: [
    { row: "1", step: 1, place: "ac vm1", eth: ["ff", "M1"], arp: ["request", "M1", VM1, "0", GATEWAY10] },
    { row: "1", step: 2, table: "gw1", ip: VM1, mac: "M1", via: "ac vm1", kind: "host" },
    { row: "2", step: 2, place: "ac vm1", eth: ["M1", "G1.10"], arp: ["reply", "G1.10", GATEWAY10, "M1", VM1] },
    { row: "2", step: 2, table: "vm1", ip: GATEWAY10, mac: "G1.10" },
    { row: "3", step: 3, place: "ac vm1", eth: ["G1.10", "M1"], ip: [VM1, VM5, 64, "echo request"] },
    { row: "4a", step: 4, place: "ac vm2", eth: ["ff", "G1.20"], arp: ["request", "G1.20", GATEWAY20, "0", VM5] },
    {
      row: "4b",
      step: 4,
      place: "gw1>gw2",
      vni: 20,
      eth: ["ff", "G1.20"],
      arp: ["request", "G1.20", GATEWAY20, "0", VM5],
    },
    {
      row: "4b",
      step: 4,
      place: "gw1>border",
      vni: 20,
      eth: ["ff", "G1.20"],
      arp: ["request", "G1.20", GATEWAY20, "0", VM5],
    },
    { row: "5", step: 5, table: "gw2", ip: GATEWAY20, mac: "G1.20", via: "tunnel gw1", kind: "gateway" },
    { row: "5", step: 5, table: "gw2", ip: GATEWAY20, kind: "host", isAbsent: true },
    { row: "6", step: 5, place: "ac vm5", eth: ["ff", "G2.20"], arp: ["request", "G2.20", GATEWAY20, "0", VM5] },
    { row: "7", step: 6, place: "ac vm5", eth: ["G2.20", "M5"], arp: ["reply", "M5", VM5, "G2.20", GATEWAY20] },
    { row: "7", step: 6, table: "vm5", ip: GATEWAY20, mac: "G2.20" },
    { row: "7", step: 7, table: "gw2", ip: VM5, mac: "M5", via: "ac vm5", kind: "host" },
    {
      row: "8",
      step: 7,
      place: "gw2>gw1",
      vni: 20,
      eth: ["G1.20", "G2.20"],
      arp: ["reply", "G2.20", VM5, "G1.20", GATEWAY20],
    },
    { row: "9", step: 8, table: "gw1", ip: VM5, mac: "G2.20", via: "tunnel gw2", kind: "host" },
    { row: "10", step: 9, place: "gw1>gw2", vni: 20, eth: ["G2.20", "G1.20"], ip: [VM1, VM5, 63, "echo request"] },
    { row: "11", step: 9, place: "ac vm5", eth: ["M5", "G2.20"], ip: [VM1, VM5, 62, "echo request"] },
    { row: "12", place: "ac vm5", eth: ["G2.20", "M5"], ip: [VM5, VM1, 64, "echo reply"] },
    { row: "13a", place: "ac vm4", eth: ["ff", "G2.10"], arp: ["request", "G2.10", GATEWAY10, "0", VM1] },
    { row: "13b", place: "gw2>gw1", vni: 10, eth: ["ff", "G2.10"], arp: ["request", "G2.10", GATEWAY10, "0", VM1] },
    { row: "13c", place: "gw2>border", vni: 10, eth: ["ff", "G2.10"], arp: ["request", "G2.10", GATEWAY10, "0", VM1] },
    {
      row: "14",
      place: "ac vm1",
      eth: ["ff", "G1.10"],
      arp: ["request", "G1.10", GATEWAY10, "0", VM1],
      optional: FRESH,
    },
    {
      row: "15",
      place: "ac vm1",
      eth: ["G1.10", "M1"],
      arp: ["reply", "M1", VM1, "G1.10", GATEWAY10],
      optional: FRESH,
    },
    {
      row: "16",
      place: "gw1>gw2",
      vni: 10,
      eth: ["G2.10", "G1.10"],
      arp: ["reply", "G1.10", VM1, "G2.10", GATEWAY10],
    },
    { row: "16", table: "gw2", ip: VM1, mac: "G1.10", via: "tunnel gw1", kind: "host" },
    { row: "17", place: "gw2>gw1", vni: 10, eth: ["G1.10", "G2.10"], ip: [VM5, VM1, 63, "echo reply"] },
    { row: "18", place: "ac vm1", eth: ["M1", "G1.10"], ip: [VM5, VM1, 62, "echo reply"] },
  ],
};
