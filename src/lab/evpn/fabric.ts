/**
 * The fabric of `lab -- evpn` as data: two gateways of ours and a Border, a leaf of another make, two route reflectors.
 *
 *     vm1 vm2 ── gw1 ─┐                    ┌─ leaf ── h10 h20        VXLAN 10: vm1 vm4 h10   (10.1.1.0/24)
 *                     ├── 192.0.2.0/24 ────┤                         VXLAN 20: vm2 vm5 h20   (20.1.1.0/24)
 *     vm4 vm5 ── gw2 ─┘      │      │      │    └─── h60            routed alone: 60.1.1.0/24 behind leaf
 *                           rr1    rr2    border ── ext 50.1.1.1    the outside
 *
 * No tunnel is configured anywhere. Beside each gateway runs gobgpd, which it speaks to over a Unix socket; the leaf is FRR with the
 * kernel's vxlan, as its users build it; the reflectors are FRR. vm7 is a machine with a port at gw1, at gw2 and at the leaf, and is
 * behind one of them at a time: what a live migration looks like to the network at the moment of the switch.
 *
 * All but vm7 have IPv6 as well: 10.1.1.11 is also 2001:db8:10::11, and 10.1.1.1 is 2001:db8:10::1, at every gateway and the leaf.
 */
import { inIpv6, type Machine, type Vtep, type Vxlan } from "../topology.ts";

export const AS = 65000;
/** VXLANs of the fabric. */
export const VXLANS = [10, 20] as const satisfies readonly Vxlan[];

export const GATEWAYS: readonly Vtep[] = [
  { name: "gw1", underlay: "192.0.2.1" },
  { name: "gw2", underlay: "192.0.2.2" },
];
/** Leads to the outside; it has the L3VNI and no other. */
export const BORDER: Vtep = { name: "border", underlay: "192.0.2.3" };
/** All of ours. */
export const OURS: readonly Vtep[] = [...GATEWAYS, BORDER];
/** By it packets are routed between subnets that the other side does not have. */
export const L3VNI = 4001;
export const LEAF: Vtep = { name: "leaf", underlay: "192.0.2.4" };
export const REFLECTORS: readonly Vtep[] = [
  { name: "rr1", underlay: "192.0.2.251" },
  { name: "rr2", underlay: "192.0.2.252" },
];
/** Those who announce and carry. */
export const SPEAKERS: readonly Vtep[] = [...OURS, LEAF];

function host(name: string, vxlan: Vxlan, last: number, behind: string): Machine {
  return { ...routed(name, vxlan, last, behind, `${vxlan}.1.1.1`), vxlan };
}

function routed(name: string, net: number, last: number, behind: string, gateway: string): Machine {
  const address = `${net}.1.1.${last}`;
  // 02:00 and the address, so that a route or a capture can be read.
  const mac = ["02:00", ...[net, 1, 1, last].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
  return { name, address, address6: inIpv6(address), mac, behind, gateway, gateway6: inIpv6(gateway) };
}

export const HOSTS: readonly Machine[] = [
  host("vm1", 10, 11, "gw1"),
  host("vm2", 20, 11, "gw1"),
  host("vm4", 10, 12, "gw2"),
  host("vm5", 20, 12, "gw2"),
  host("h10", 10, 21, LEAF.name),
  host("h20", 20, 21, LEAF.name),
];
/** Behind the leaf, in a subnet that no other has; and the outside. */
export const ROUTED: Machine = routed("h60", 60, 21, LEAF.name, "60.1.1.1");
export const OUTSIDE: Machine = routed("ext", 50, 1, BORDER.name, "50.1.1.254");
/** The machine that moves; at the start it is behind gw1. */
export const ROAMER = host("vm7", 10, 77, "gw1");
/** Its port at each place. */
export const ROAMER_PORTS: Readonly<Record<string, string>> = { gw1: "at-gw1", gw2: "at-gw2", [LEAF.name]: "at-leaf" };

/** What `mac: shared` makes of a VNI: the gateway MAC that the leaf's bridges have, too. */
export function gatewayMac(vni: number): string {
  return `02:00:5e:${[16, 8, 0].map((shift) => ((vni >> shift) & 0xff).toString(16).padStart(2, "0")).join(":")}`;
}

export function hostOf(name: string): Machine {
  const found = [...HOSTS, ROUTED, OUTSIDE, ROAMER].find((each) => each.name === name);
  if (found === undefined) throw new Error(`no host ${name} in the fabric`);
  return found;
}
