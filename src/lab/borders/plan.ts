/**
 * The network of `lab -- borders` as data: one gateway, two Borders with an uplink each, and what is far behind both.
 *
 *     vm1 ──┐                      ┌── b1 ── r1 50.1.1.1 ──┐
 *     m1    ├─ gw1 ── 192.0.2.0/24 ┤                       ├── far 60.1.1.1
 *     … m5 ─┘                      └── b2 ── r2 50.1.2.1 ──┘
 *
 * gw1's route to 60.0.0.0/8 has both Borders as next hops. Each Border asks far through its own uplink (a track), and hands packets to
 * the other one while that is dead. m1 to m5 are routers in gw1's own subnet, for the members of one set of next hops.
 */
import type { Machine, Vtep } from "../topology.ts";

export const GATEWAY: Vtep = { name: "gw1", underlay: "192.0.2.1" };
export const BORDERS: readonly Vtep[] = [
  { name: "b1", underlay: "192.0.2.2" },
  { name: "b2", underlay: "192.0.2.3" },
];
export const OURS: readonly Vtep[] = [GATEWAY, ...BORDERS];
/** Addresses of the Borders in VXLAN 10, by place in BORDERS. */
export const INSIDE = ["10.1.1.2", "10.1.1.3"] as const;

function machine(name: string, address: string, behind: string, gateway: string): Machine {
  const mac = ["02:00", ...address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"))].join(":");
  return { name, address, mac, behind, gateway };
}

export const VM = machine("vm1", "10.1.1.11", "gw1", "10.1.1.1");
export const ROUTERS: readonly Machine[] = [
  machine("r1", "50.1.1.1", "b1", "50.1.1.254"),
  machine("r2", "50.1.2.1", "b2", "50.1.2.254"),
];
/** The fifth one stands by. */
export const MEMBERS: readonly Machine[] = [1, 2, 3, 4, 5].map((n) =>
  machine(`m${n}`, `10.1.1.${20 + n}`, "gw1", "10.1.1.1"),
);
export const MACHINES: readonly Machine[] = [VM, ...ROUTERS, ...MEMBERS];
/** Behind both routers; it has no gateway of ours. */
export const FAR: Machine = { name: "far", address: "60.1.1.1", mac: "-", behind: "r1, r2", gateway: "-" };

/** Its lines to the routers, by place in ROUTERS. */
export const FAR_PORTS: readonly string[] = ROUTERS.map(({ name }) => `to-${name}`);

/** What BFD is given in the scenes that have it. */
export const BFD = { intervalMs: 50, multiplier: 3 } as const;
