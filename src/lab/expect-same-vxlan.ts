/**
 * Scenario 1 of the article: VM1 pings VM4, same VXLAN, other site. Everything runs in VXLAN 10.
 *
 * VM1 believes VM4 to be a neighbour and asks for its MAC; GW1 answers with its own before anything is known
 * (`proxyArp: immediate`), and looks for VM4 under its own MAC. So VM1's MAC never enters the tunnel, and either side
 * only ever sees its own gateway. The packets of the ping are *routed* twice: ttl 64, 63 in the tunnel, 62 at VM4.
 */
import { sentencesOf } from "../web/article.ts";
import type { Scenario } from "./expect.ts";
import { CAST } from "./topology.ts";

const VM1 = "10.1.1.11";
const VM4 = "10.1.1.12";

export const SAME_VXLAN: Scenario = {
  number: 1,
  family: 4,
  title: "VM1 → VM4: same VXLAN, other site",
  from: "vm1",
  to: "vm4",
  ttl: 62,
  steps: sentencesOf(1, { ...CAST, to: "VM4" }),
  rows: [
    { row: "1", step: 1, place: "ac vm1", eth: ["ff", "M1"], arp: ["request", "M1", VM1, "0", VM4] },
    { row: "1", step: 2, table: "gw1", ip: VM1, mac: "M1", via: "ac vm1", kind: "host" },
    { row: "2", step: 2, place: "ac vm1", eth: ["M1", "G1.10"], arp: ["reply", "G1.10", VM4, "M1", VM1] },
    { row: "2", step: 3, table: "vm1", ip: VM4, mac: "G1.10" },
    { row: "3a", step: 4, place: "gw1>gw2", vni: 10, eth: ["ff", "G1.10"], arp: ["request", "G1.10", VM1, "0", VM4] },
    {
      row: "3b",
      step: 4,
      place: "gw1>border",
      vni: 10,
      eth: ["ff", "G1.10"],
      arp: ["request", "G1.10", VM1, "0", VM4],
    },
    { row: "4", step: 5, table: "gw2", ip: VM1, mac: "G1.10", via: "tunnel gw1", kind: "host" },
    { row: "5", step: 5, place: "ac vm4", eth: ["ff", "G2.10"], arp: ["request", "G2.10", VM1, "0", VM4] },
    { row: "6", step: 6, place: "ac vm4", eth: ["G2.10", "M4"], arp: ["reply", "M4", VM4, "G2.10", VM1] },
    { row: "6", step: 6, table: "vm4", ip: VM1, mac: "G2.10" },
    { row: "6", step: 7, table: "gw2", ip: VM4, mac: "M4", via: "ac vm4", kind: "host" },
    {
      row: "7",
      step: 7,
      place: "gw2>gw1",
      vni: 10,
      eth: ["G1.10", "G2.10"],
      arp: ["reply", "G2.10", VM4, "G1.10", VM1],
    },
    { row: "8", step: 8, table: "gw1", ip: VM4, mac: "G2.10", via: "tunnel gw2", kind: "host" },
    { row: "9", step: 9, place: "ac vm1", eth: ["G1.10", "M1"], ip: [VM1, VM4, 64, "echo request"] },
    { row: "10", step: 9, place: "gw1>gw2", vni: 10, eth: ["G2.10", "G1.10"], ip: [VM1, VM4, 63, "echo request"] },
    { row: "11", step: 9, place: "ac vm4", eth: ["M4", "G2.10"], ip: [VM1, VM4, 62, "echo request"] },
    { row: "12", place: "ac vm4", eth: ["G2.10", "M4"], ip: [VM4, VM1, 64, "echo reply"] },
    { row: "13", place: "gw2>gw1", vni: 10, eth: ["G1.10", "G2.10"], ip: [VM4, VM1, 63, "echo reply"] },
    { row: "14", place: "ac vm1", eth: ["M1", "G1.10"], ip: [VM4, VM1, 62, "echo reply"] },
  ],
};
