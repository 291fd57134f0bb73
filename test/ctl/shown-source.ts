/** What a daemon with something of everything answers to vtepctl show. */
import type { Ac, Interface, Neighbor, Traffic, Tunnel, Vsi } from "../../src/api/schema.ts";
import type { Vrf } from "../../src/api/schema-vrf.ts";
import { UNWATCHED } from "../api/fake-source.ts";

export const some = (packets: number, bytes: number): Traffic => ({ packets, bytes });
const busy = { receive: some(123_456_789, 98_765_432_109), transmit: some(987_654_321, 12_345_678_901) };

export function acs(receive = busy.receive): Ac[] {
  return [1, 2].map((n) => ({
    name: `vm${n}`,
    vsi: `vsi${n}0`,
    device: "eth0",
    netns: `vm${n}`,
    vlan: null,
    mtu: 1450,
    up: true,
    receive,
    transmit: busy.transmit,
  }));
}

function tunnels(): Tunnel[] {
  const vsis = ["vsi10", "vsi20", "vsi30", "vsi40"];
  return ["gw2", "border"].map((name, i) => ({
    name,
    remote: `198.51.100.${i + 102}`,
    up: true,
    state: "unwatched",
    mtu: 1450,
    vsis,
    probe: UNWATCHED,
    ...busy,
  }));
}

const VSIS: Vsi[] = [10, 20].map((vni) => ({
  name: `vsi${vni}`,
  vni,
  interface: `vsi-interface${vni}`,
  arp: "localProxy",
  acs: ["vm1", "vm2", "vm3", "vm4"],
  tunnels: ["gw2", "border"],
  macs: 8192,
  ...busy,
}));

const INTERFACES: Interface[] = [10, 20].map((vni) => ({
  name: `vsi-interface${vni}`,
  vsis: [`vsi${vni}`],
  addresses: [`${vni}.1.1.1/24`],
  mac: "02:f2:be:99:05:13",
  vrf: "main",
  distributed: true,
  mtu: 1450,
  policy: vni === 10 ? "to-border" : null,
  neighbors: 3,
}));

export const NEIGHBORS: Neighbor[] = [11, 12].map((host) => ({
  interface: "vsi-interface10",
  vsi: "vsi10",
  ip: `10.101.101.1${host}`,
  mac: "02:00:00:00:01:11",
  state: "reachable",
  kind: "host",
  via: { kind: "tunnel", name: "border" },
  ageSeconds: 3,
  from: "request",
}));

const VRF: Vrf = {
  ...{ name: "main", state: "up", reason: null, interfaces: ["vsi-interface10", "vsi-interface20"] },
  ...{ l3vni: null, rd: null, import: [], export: [], routerMac: null, vteps: 0 },
  ...{ routes: { own: 2, connected: 2, static: 0 }, neighbors: 6 },
};
const RED: Vrf = {
  ...VRF,
  ...{ name: "red", state: "degraded", reason: "L3VNI 4001: no BGP session is up", interfaces: ["vsi-interface30"] },
  ...{ l3vni: 4001, rd: "192.0.2.1:4001", import: ["*:4001"], export: ["65000:4001"] },
  ...{ routerMac: "02:aa:00:00:00:01", vteps: 2, routes: { own: 1, evpn: 4 }, neighbors: 0 },
};

export const SOURCE = {
  acs: () => acs(),
  tunnels,
  vsis: () => VSIS,
  interfaces: () => INTERFACES,
  vrfs: () => [VRF, RED],
  neighbors: () => NEIGHBORS,
  drops: () => [
    {
      last: null,
      ports: [],
      reason: "pool_exhausted",
      count: 987_654_321,
      text: "no room left in the batch's send records or scratch bytes",
    },
  ],
};
