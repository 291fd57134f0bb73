/**
 * The article's network as data: who is where, with which addresses. Everything else in the lab is derived from it.
 *
 *     vm1 vm2 vm3 ── gw1 ─┐                      ┌─ gw2 ── vm4 vm5 vm6      VXLAN 10: vm1 vm4   (10.1.1.0/24)
 *                         ├── 192.0.2.0/24 ──────┤                          VXLAN 20: vm2 vm5   (20.1.1.0/24)
 *                         └──────── border ──────┘                          VXLAN 30: vm3 vm6   (30.1.1.0/24)
 *                                     └── ext 50.1.1.1
 *
 * Every node is a network namespace. A VM's eth0 *is* the TAP that its gateway holds: what the VM's kernel sends, the
 * gateway reads, without a bridge or a veth between them. Underlay MTU 1500, so the VMs live with 1450.
 *
 * IPv6 is the same network once more: 10.1.1.11 is also 2001:db8:10::11. A VM's router is fe80::1, which every distributed
 * gateway has, as a router advertisement would say.
 *
 * In the article's first, centralised scheme the same VMs hang on gw1 and gw2 as plain L2 VTEPs, and the third VTEP,
 * here `border`, is the one gateway for all ("central").
 */

import type { Cast, Family } from "../web/article.ts";

export const VXLANS = [10, 20, 30] as const;
export type Vxlan = (typeof VXLANS)[number];
/** The article's two schemes; a BGP EVPN fabric and two Borders, whose nodes are others (evpn/fabric.ts, borders/plan.ts). */
export type Mode = "distributed" | "centralized" | "evpn" | "borders";
/** Where the distributed gateways' MACs come from: each its own ("the MAC on GW1"), or one for all, as other manuals demand. */
export type GatewayMac = "auto" | "shared";

/** What the lab can be asked for, and which families that is. */
export type FamilyChoice = "4" | "6" | "both";
export const FAMILIES: Readonly<Record<FamilyChoice, readonly Family[]>> = { "4": [4], "6": [6], both: [4, 6] };

export interface Machine {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
  /** The VXLAN it lives in; none for the external host. */
  readonly vxlan?: Vxlan;
  /** The gateway that holds its TAP. */
  readonly behind: string;
  readonly gateway: string;
  /** Its IPv6, in the article's network. */
  readonly address6?: string;
  readonly gateway6?: string;
}

export interface Vtep {
  readonly name: string;
  readonly underlay: string;
}

export const VTEPS: readonly Vtep[] = [
  { name: "gw1", underlay: "192.0.2.1" },
  { name: "gw2", underlay: "192.0.2.2" },
  { name: "border", underlay: "192.0.2.3" },
];

/** The IPv6 twin of an address: 2001:db8:10::11 for 10.1.1.11. */
export function inIpv6(ipv4: string): string {
  const [net, , , host] = ipv4.split(".");
  return `2001:db8:${net}::${host}`;
}

/** The link-local address of every distributed gateway, and of the Border. */
export const ROUTER6 = "fe80::1";
export const BORDER6 = "fe80::2";

function vm(number: number, vxlan: Vxlan, host: number, behind: string): Machine {
  return {
    name: `vm${number}`,
    address: `${vxlan}.1.1.${host}`,
    address6: inIpv6(`${vxlan}.1.1.${host}`),
    // The digits after 01: site and number, easy to spot in a capture.
    mac: `02:00:00:00:01:${behind === "gw1" ? 1 : 2}${number}`,
    vxlan,
    behind,
    gateway: `${vxlan}.1.1.1`,
    gateway6: ROUTER6,
  };
}

export const MACHINES: readonly Machine[] = [
  vm(1, 10, 11, "gw1"),
  vm(2, 20, 11, "gw1"),
  vm(3, 30, 11, "gw1"),
  vm(4, 10, 12, "gw2"),
  vm(5, 20, 12, "gw2"),
  vm(6, 30, 12, "gw2"),
  {
    ...{ name: "ext", address: "50.1.1.1", mac: "02:00:00:00:05:01", behind: "border", gateway: "50.1.1.254" },
    ...{ address6: inIpv6("50.1.1.1"), gateway6: inIpv6("50.1.1.254") },
  },
];

export const NODES = [...VTEPS.map((vtep) => vtep.name), ...MACHINES.map((machine) => machine.name)];
export const UNDERLAY_MTU = 1500;
/** RFC 7348 over IPv4: 14 Ethernet + 8 VXLAN + 8 UDP + 20 IP bytes go to the encapsulation. */
export const OVERLAY_MTU = 1450;
/** Name of each VTEP's underlay device, and of the bridge that joins them in the underlay's own namespace. */
export const UNDERLAY_DEVICE = "ul0";
export const UNDERLAY_BRIDGE = "ulbr";
/** Every machine's one device. */
export const MACHINE_DEVICE = "eth0";

export function machine(name: string): Machine {
  const found = MACHINES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no machine ${name} in the lab`);
  return found;
}

/** A machine's address of a family. */
export function addressOf({ name, address, address6 }: Machine, family: Family): string {
  const found = family === 4 ? address : address6;
  if (found === undefined) throw new Error(`${name} has no IPv6 address`);
  return found;
}

/** Its router, as it calls it. */
export function gatewayOf({ name, gateway, gateway6 }: Machine, family: Family): string {
  const found = family === 4 ? gateway : gateway6;
  if (found === undefined) throw new Error(`${name} has no IPv6 router`);
  return found;
}

export function vtep(name: string): Vtep {
  const found = VTEPS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no VTEP ${name} in the lab`);
  return found;
}

/** The machines of a mode: the external host is behind a Border, which the centralised scheme does not have. */
export function machinesOf(mode: Mode): readonly Machine[] {
  return mode === "centralized" ? MACHINES.filter((machine) => machine.vxlan !== undefined) : MACHINES;
}

/** Who takes part in the article's walkthroughs; VM1 pings, and whom it pings is each one's own. */
export const CAST: Omit<Cast, "to"> = {
  ...{ from: "VM1", near: "GW1", far: "GW2", border: "Border" },
  ...{ on: "VSI-interface10", gateway: "10.1.1.1", vni: 10 },
  ...{ onFar: "VSI-interface20", farGateway: "20.1.1.1", farVni: 20, nextHop: "10.1.1.2" },
};
