/** VRFs of whole gateways as they are shown and asked for: the default one always, the others as they are named. */
import { beforeEach, describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import type { Trace, TraceRequest } from "../../src/api/schema-trace.ts";
import { Vrf } from "../../src/api/schema-vrf.ts";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { type FabricStanding, VrfViews } from "../../src/api/vrfs.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { vrfRows } from "../../src/metrics/vrf.ts";
import { sourceWith, UNWATCHED } from "../api/fake-source.ts";
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

const rowsOfNothing = { neighbors: () => new Map(), vrfOf: () => null };
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

  it("have metrics: up or not, neighbours by origin; a default one without anything in it has none", () => {
    const world = new World();
    const gateway = world.gateway(TWO);
    const { shown } = gateway.control;
    const rows = vrfRows({
      list: () => listed(gateway),
      neighbors: () => shown.agent.neighborCounts(),
      vrfOf: (vsi) => shown.inventory.vsi(vsi)?.interface?.vrfName ?? null,
    });
    const read = (name: string) => [...rows.find((row) => row.name === name)!.values()];
    world.vm(gateway, { name: "vmr", ip: "10.1.1.11", mac: "02:00:00:00:30:11", gateway: "10.1.1.1" }).ask("10.1.1.1");
    world.advance(100);
    shown.topology.setAcUp(shown.inventory.ac("vm1")!, false);
    expect(read("vtep_vrf_up")).toEqual([
      [{ vrf: "main" }, 0],
      [{ vrf: "red" }, 1],
    ]);
    expect(read("vtep_vrf_neighbor_entries")).toContainEqual([{ vrf: "red", origin: "local" }, 1]);
    expect(vrfRows({ ...rowsOfNothing, list: () => listed(gatewayOf(HEAD + TAIL)) })[0]!.values()).toEqual([]);
  });

  it("tell prefixes of the fabric inside their own subnets", () => {
    const gateway = gatewayOf(L3);
    const { topology, inventory } = gateway.control.shown;
    const l3 = inventory.interface("l3vni:4001")!;
    for (const [network, length] of [
      [0x0a010100, 25],
      [0x0a010100, 24],
      [0x0a01010b, 32],
      [0x0a020000, 16],
    ] as const)
      expect(topology.fabricRoutes.set(l3, network, length, [0xc0000202 | 0])).toBe(true);
    expect([...new VrfViews(gateway.control.shown, () => null).overlaps()]).toEqual([
      { vrf: "red", prefix: "10.1.1.0/25", subnet: "10.1.1.0/24", interface: "if10" },
    ]);
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

describe("an address that two VRFs have", () => {
  let gateway: Gateway;
  let answers: WhyAnswers;

  beforeEach(() => {
    const world = new World();
    gateway = world.gateway(TWO);
    const vms = [
      { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:10:11", gateway: "10.1.1.1" },
      { name: "vmr", ip: "10.1.1.11", mac: "02:00:00:00:30:11", gateway: "10.1.1.1" },
    ].map((options) => world.vm(gateway, options));
    for (const vm of vms) vm.ask("10.1.1.1");
    world.advance(100);
    answers = new WhyAnswers(gateway.control.shown, new Shown(gateway.control.shown, { view: () => UNWATCHED }));
  });

  const why = (question: object) =>
    answers.why({ ip: null, mac: null, interface: null, vsi: null, vrf: null, ...question });
  const trace = (request: Partial<TraceRequest>) => {
    const packet = { protocol: "icmp", source: "10.1.1.11", ttl: 64, dscp: 0, size: 84, df: false } as const;
    const ports = { sourcePort: 1, destinationPort: 2, inject: false };
    const tracer = new Tracer(gateway.control.shown, gateway.control.injector);
    return tracer.trace({ ...packet, ...ports, destination: "10.1.1.1", ...request }, () => undefined);
  };

  it("is asked about by VRF: without one the answer names them, and the API says 400", async () => {
    expect(why({ ip: "10.1.1.11" })).toEqual({ vrfs: ["main", "red"] });
    const red = Why.parse(why({ ip: "10.1.1.11", vrf: "red" }));
    expect(red.neighbors.map(({ interface: on, place }) => [on, place?.mac])).toEqual([["if30", "02:00:00:00:30:11"]]);
    expect(red.routes.map(({ vrf }) => vrf)).toEqual(["red"]);
    expect(red.sentences.join(" ")).not.toContain("main");
    expect(Why.parse(why({ ip: "10.1.1.11", interface: "if10" })).neighbors).toHaveLength(1);
    // What is in no subnet is the same question everywhere.
    expect(Why.parse(why({ ip: "50.1.1.1" })).routes.map(({ vrf }) => vrf)).toEqual(["red"]);
    expect(why({ ip: "10.1.1.11", vrf: "blue" })).toBe(null);
    const api = createApi(sourceWith({ why: (question) => answers.why(question) }));
    const ask = async (query: string) => {
      const answer = await api(new Request(`http://vtepd/v1/why?${query}`));
      return [answer.status, ((await answer.json()) as { error?: object }).error];
    };
    expect(await ask("ip=10.1.1.11")).toEqual([
      400,
      {
        code: "ambiguous",
        message: "10.1.1.11 is an address in VRFs main and red",
        hint: "say which: --vrf main or --vrf red",
      },
    ]);
    expect((await ask("ip=10.1.1.11&vrf=red"))[0]).toBe(200);
    expect(await ask("ip=10.1.1.11&vrf=blue")).toMatchObject([404, { message: "there is no VRF blue" }]);
  });

  it("is asked of next hops on the VSI-interfaces that are meant", () => {
    const { shown } = gateway.control;
    const asked: string[][] = [];
    answers = new WhyAnswers(shown, new Shown(shown, { view: () => UNWATCHED }), (subject) => {
      if ("ip" in subject) asked.push([...subject.scope.interfaces, ...subject.scope.vrfs]);
      return [];
    });
    for (const where of [{ vrf: "red" }, { interface: "if10" }, { vsi: "vsi30" }]) why({ ip: "10.1.1.11", ...where });
    why({ ip: "fe80::2" });
    expect(asked).toEqual([
      ["if30", "red"],
      ["if10", "main"],
      ["if30", "red"],
      ["if10", "if30", "main", "red"],
    ]);
  });

  it("and a MAC, which may be in both", () => {
    expect(Why.parse(why({ mac: "02:00:00:00:30:11", vrf: "red" })).macs).toHaveLength(1);
    const main = Why.parse(why({ mac: "02:00:00:00:30:11", vrf: "main" }));
    expect([main.macs, main.neighbors]).toEqual([[], []]);
    expect(main.sentences.join(" ")).toContain("No VSI of VRF main knows it");
  });

  it("is traced from where its VRF knows it", () => {
    expect(trace({})).toEqual({
      missing: false,
      message: "10.1.1.11 is an address in VRFs main and red",
      hint: "say which: --vrf main or --vrf red, or name the AC",
    });
    const red = trace({ vrf: "red", destination: "50.1.1.1" }) as Trace;
    expect(red.steps[0]!.text).toContain("ac vmr");
    expect(red.fate.next).toContain("10.1.1.2 on if30");
    expect((trace({ vrf: "main" }) as Trace).steps[0]!.text).toContain("ac vm1");
    expect(trace({ vrf: "red", ac: "vm1" })).toMatchObject({ message: "what arrives by AC vm1 is in VRF main" });
    expect(trace({ vrf: "red", ac: "vmr" })).toMatchObject({ fate: { class: "local" } });
    expect(trace({ vrf: "blue" })).toMatchObject({ missing: true, message: "there is no VRF blue" });
    expect(trace({ vrf: "red", source: "10.1.1.77" })).toMatchObject({
      message: "10.1.1.77 is not known on if30: say where it arrives",
    });
    expect(trace({ source: "1.1.1.1" })).toMatchObject({
      message: "1.1.1.1 is in no subnet here: say where it arrives",
    });
  });
});
