/**
 * What a tunnel that comes or goes costs a gateway with many hosts behind others: nothing that grows with them. It is told by traps in the
 * tables: who walks one of them has looked at every host.
 */
import { expect, it } from "vitest";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { World } from "./world.ts";

const yaml = `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: a, vni: 10, evpn: {}}, {name: b, vni: 20, evpn: {}}]
interfaces: [{name: i, vsi: a, address: 10.1.0.1/16}]
acs: [{name: vm1, vsi: a, tap: {device: t1}}]
control: {socket: /run/gw1.sock}
`;
const HOSTS = 2000;
const NEW = "198.51.100.9";
const WALKS = ["values", "keys", "entries", "forEach", Symbol.iterator] as const;

/** @returns sets the traps, and ends them. */
function trap(maps: readonly Map<unknown, unknown>[]): { set(): void; end(): void } {
  return {
    set() {
      for (const map of maps)
        for (const walk of WALKS)
          Object.defineProperty(map, walk, {
            configurable: true,
            value: () => {
              throw new Error("every host was looked at");
            },
          });
    },
    end() {
      for (const map of maps) for (const walk of WALKS) Reflect.deleteProperty(map, walk);
    },
  };
}

it("a tunnel with nothing behind it comes, lingers and goes without a look at the hosts behind others", () => {
  const world = new World(1);
  world.net.inbox("192.0.2.1");
  const gateway = world.gateway(yaml);
  const { agent, topology, inventory } = gateway.control.shown;
  const { macs, neighbors, arp } = agent;
  const [a, b] = [inventory.vsi("a")!, inventory.vsi("b")!];
  expect(topology.tunnels.acquire("192.0.2.2", [10], "evpn").ok).toBe(true);
  const tunnel = inventory.tunnelTo("192.0.2.2")!;
  for (let n = 0; n < HOSTS; n++) {
    const [mac, ip] = [0x020000010000 + n, parseIpv4("10.1.1.0")! + n];
    macs.want("evpn", a, mac, tunnel);
    neighbors.candidates.want("evpn", a.interface!, ip, { mac, port: tunnel, vsi: a });
    arp.suppression.want(a, ip, { mac, port: tunnel, isRouter: false });
  }
  world.advance(1000);
  const inside = agent as unknown as {
    macs: { rows: { ofVsi: Map<unknown, Map<unknown, unknown>> } };
    neighbors: { entries: Map<unknown, unknown>; candidates: { said: Map<unknown, unknown> } };
  };
  const rows = inside.macs.rows.ofVsi.get(a)!;
  const { entries, candidates } = inside.neighbors;
  expect([entries.size, candidates.said.size, macs.size >= HOSTS]).toEqual([HOSTS, HOSTS, true]);
  const traps = trap([rows, entries, candidates.said]);
  traps.set();
  for (const vnis of [[10], [20], [10, 20]]) {
    expect(topology.tunnels.acquire(NEW, vnis, "evpn").ok).toBe(true);
    macs.addPeerGateway(b, 0x02000000ff01, inventory.tunnelTo(NEW)!);
    macs.removeStatic(b, 0x02000000ff01);
    topology.tunnels.release(NEW, vnis, "evpn");
    expect(topology.tunnels.acquire(NEW, vnis, "evpn").ok).toBe(true);
    topology.tunnels.retire(NEW, vnis, "evpn");
    expect(topology.tunnels.acquire(NEW, vnis, "evpn").ok).toBe(true);
    topology.tunnels.retire(NEW, vnis, "evpn");
    topology.tunnels.lingering.endAll();
    expect(inventory.tunnelTo(NEW)).toBeUndefined();
  }
  // A peer's gateway is one of a few of its tunnel.
  expect(topology.tunnels.acquire(NEW, [10], "evpn").ok).toBe(true);
  for (let n = 0; n < 10; n++) macs.addPeerGateway(a, 0x02000000ee00 + n, inventory.tunnelTo(NEW)!);
  traps.end();
  const gateways = () => macs.list().filter(({ origin, via }) => origin === "gateway" && via?.name === `evpn:${NEW}`);
  expect(gateways().map(({ mac }) => mac)).toEqual([6, 7, 8, 9].map((n) => `02:00:00:00:ee:0${n}`));
  // What is behind it goes with it, as ever.
  topology.tunnels.release(NEW, [10], "evpn");
  expect(gateways()).toEqual([]);
  topology.tunnels.release("192.0.2.2", [10], "evpn");
  expect([entries.size, candidates.said.size, rows.size]).toEqual([0, 0, 1]);
});
