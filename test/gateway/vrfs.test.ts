/** VRFs of whole gateways as they are shown: the default one always, the others as they are named, with what each routes. */
import { describe, expect, it } from "vitest";
import { Vrf } from "../../src/api/schema-vrf.ts";
import { type FabricStanding, VrfViews } from "../../src/api/vrfs.ts";
import { type Gateway, World } from "./world.ts";

const HEAD = "node: gw1\nunderlay: {address: 192.0.2.1, mtu: 1500}\n";
const TAIL = "control: {socket: /run/gw1.sock}\n";
const TWO = `${HEAD}vsis: [{name: vsi10, vni: 10}, {name: vsi30, vni: 30}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: if30, vsi: vsi30, address: 10.1.1.1/24, vrf: red}
acs: [{name: vm1, vsi: vsi10, tap: {device: t1}}, {name: vmr, vsi: vsi30, tap: {device: t2}}]
routes: [{prefix: 50.0.0.0/8, nextHop: 10.1.1.2, vrf: red}]
${TAIL}`;
const L3 = `${HEAD}evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, evpn: {}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24, vrf: red}]
vrfs: [{name: red, l3vni: 4001, evpn: {routerMac: "02:aa:00:00:00:01"}}]
acs: [{name: vm1, vsi: vsi10, tap: {device: t1}}]
${TAIL}`;

const gatewayOf = (yaml: string) => new World().gateway(yaml);
const listed = (gateway: Gateway, fabric: FabricStanding = null) => {
  const all = new VrfViews(gateway.control.shown, () => fabric).list();
  for (const each of all) Vrf.parse(each);
  return all;
};
const standing = (state: NonNullable<FabricStanding>["state"]): FabricStanding => ({
  engine: { socket: "/run/bgp.sock", up: state === "synced", api: "v3", problem: state === "stale" ? "killed" : null },
  state,
  vrfs: [
    {
      ...{ vrf: "red", l3vni: 4001, rd: "192.0.2.1:4001", import: ["*:4001"], export: ["65000:4001"] },
      ...{ routerMac: "02:aa:00:00:00:01", vteps: 2, prefixes: { in: 3, out: 1 } },
    },
  ],
});

describe("a gateway's VRFs", () => {
  it("are the default one where nothing else is", () => {
    const [main, ...others] = listed(gatewayOf(HEAD + TAIL));
    expect(others).toEqual([]);
    expect(main).toMatchObject({ name: "main", state: "down", reason: "no VSI-interface belongs to it", l3vni: null });
  });

  it("have their interfaces, routes by origin and neighbours, each its own", () => {
    const world = new World();
    const gateway = world.gateway(TWO);
    const vm = world.vm(gateway, { name: "vmr", ip: "10.1.1.11", mac: "02:00:00:00:30:11", gateway: "10.1.1.1" });
    vm.ask("10.1.1.1");
    world.advance(100);
    const [main, red] = listed(gateway);
    expect(main).toMatchObject({ name: "main", state: "up", reason: null, interfaces: ["if10"], neighbors: 0 });
    expect(main!.routes).toMatchObject({ own: 1, connected: 1, static: 0, host: 0, evpn: 0 });
    expect(red).toMatchObject({ name: "red", state: "up", interfaces: ["if30"], rd: null, routerMac: null });
    expect(red!.routes).toMatchObject({ own: 1, connected: 1, static: 1, host: 1 });
    // The host, and the next hop that is asked for.
    expect(red!.neighbors).toBeGreaterThan(0);
    expect(new VrfViews(gateway.control.shown, () => null).has("blue")).toBe(false);
  });

  it("are down while no port of theirs is up", () => {
    const world = new World();
    const gateway = world.gateway(TWO);
    const { topology, inventory } = gateway.control.shown;
    topology.setAcUp(inventory.ac("vmr")!, false);
    expect(listed(gateway).map(({ state }) => state)).toEqual(["up", "down"]);
    expect(listed(gateway)[1]!.reason).toBe("no AC and no tunnel of its VSI-interfaces is up");
  });

  it("with an L3VNI have its names, and the fabric's trouble as reason", () => {
    const gateway = gatewayOf(L3);
    expect(listed(gateway)[1]).toMatchObject({ name: "red", state: "degraded", rd: "auto", import: ["auto"] });
    expect(listed(gateway)[1]!.reason).toBe("L3VNI 4001: EVPN has not begun");
    expect(listed(gateway, standing("synced"))[1]).toMatchObject({
      ...{ state: "up", reason: null, l3vni: 4001, rd: "192.0.2.1:4001", import: ["*:4001"], vteps: 2 },
      ...{ routerMac: "02:aa:00:00:00:01", interfaces: ["if10"] },
    });
    expect(listed(gateway, standing("deaf"))[1]!.reason).toContain("no BGP session is up");
    expect(listed(gateway, standing("stale"))[1]).toMatchObject({
      state: "degraded",
      reason: "L3VNI 4001: the BGP engine is gone; what was heard is kept for a while (killed)",
    });
  });
});
