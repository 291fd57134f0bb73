/** What the web process makes of the gateways' answers: rates from counters, links from tunnels, places from both. */
import { describe, expect, it } from "vitest";
import type { Tunnel, Vsi } from "../../src/api/schema.ts";
import { Fleet } from "../../src/web/fleet.ts";
import { linksOf } from "../../src/web/links.ts";
import { pictureOf } from "../../src/web/page/layout.ts";
import { RateBook } from "../../src/web/rates.ts";
import type { GatewaySaid, TablesSaid } from "../../src/web/said.ts";
import { answersOf, FakeGateway, idle } from "./fake-gateway.ts";

const counted = (packets: number, bytes: number) => ({ ...idle, receive: { packets, bytes } });

describe("rates", () => {
  it("are what passed between two looks", () => {
    const book = new RateBook();
    expect(book.note("a", 0, counted(0, 0)).receive).toBeNull();
    expect(book.note("a", 2000, counted(10, 1000)).receive).toEqual({ packetsPerSecond: 5, bitsPerSecond: 4000 });
    expect(book.note("b", 2000, counted(7, 7)).receive).toBeNull();
  });

  it("are not known across a restart, nor over a time without a look", () => {
    const book = new RateBook();
    book.note("a", 0, counted(100, 1000));
    expect(book.note("a", 1000, counted(3, 30)).receive).toBeNull();
    expect(book.note("a", 2000, counted(4, 40)).receive?.packetsPerSecond).toBe(1);
    expect(book.note("a", 60_000, counted(400, 4000)).receive).toBeNull();
  });

  it("are remembered for 300 looks, with their gaps", () => {
    const book = new RateBook();
    for (let at = 0; at < 400; at++) book.note("a", at * 1000, counted(at, at * 125));
    const { seconds, receiveBits } = book.history("a");
    expect([seconds.length, seconds[0], seconds.at(-1)]).toEqual([300, -299, 0]);
    expect(new Set(receiveBits)).toEqual(new Set([1000]));
  });
});

const tunnel = (name: string, remote: string) => ({ name, remote, vsis: [] as string[] }) as unknown as Tunnel;
const vsi = (vni: number, ...tunnels: string[]) => ({ name: `vsi${vni}`, vni, tunnels }) as unknown as Vsi;

describe("links", () => {
  it("join tunnels by address, not by name", () => {
    const links = linksOf([
      { node: "a", address: "1.1.1.1", tunnels: [tunnel("x", "1.1.1.2")], vsis: [vsi(10, "x")] },
      { node: "b", address: "1.1.1.2", tunnels: [tunnel("y", "1.1.1.1")], vsis: [vsi(10, "y")] },
    ]);
    expect(links).toEqual([
      {
        a: { node: "a", address: "1.1.1.1", tunnel: "x" },
        b: { node: "b", address: "1.1.1.2", tunnel: "y" },
        vnis: [10],
        oneSided: [],
      },
    ]);
  });

  it("tell a VNI that one end has alone, a tunnel without a way back, and a far end that was not asked", () => {
    const a = { node: "a", address: "1.1.1.1", vsis: [vsi(10, "x", "y", "z"), vsi(20, "x")] };
    const b = { node: "b", address: "1.1.1.2", tunnels: [tunnel("a", "1.1.1.1")], vsis: [vsi(10, "a"), vsi(21, "a")] };
    const c = { node: "c", address: "1.1.1.3", tunnels: [], vsis: [] };
    const tunnels = [tunnel("x", "1.1.1.2"), tunnel("y", "1.1.1.3"), tunnel("z", "1.1.1.9")];
    const [toB, toC, toNobody] = linksOf([{ ...a, tunnels }, b, c]);
    expect([toB!.vnis, toB!.oneSided]).toEqual([[10], [20, 21]]);
    expect([toC!.b.tunnel, toC!.oneSided]).toEqual([null, [10]]);
    expect([toNobody!.b.node, toNobody!.oneSided]).toEqual([null, []]);
  });
});

describe("the fleet", () => {
  it("is asked once a second, however many pages look", async () => {
    const gateway = await new FakeGateway("gw1", answersOf("gw1", "192.0.2.1", [])).start();
    let now = 0;
    const fleet = new Fleet(
      () => [gateway.socket],
      () => now,
    );
    await Promise.all([fleet.fabric(), fleet.fabric(), fleet.fabric()]);
    now = 800;
    await fleet.fabric();
    const asked = () => gateway.asked.filter(({ path }) => path.startsWith("/v1/snapshot")).length;
    expect(asked()).toBe(1);
    now = 1000;
    await fleet.fabric();
    expect(asked()).toBe(2);
    gateway.stop();
  });
});

describe("the tables", () => {
  it("that are longer than what is shown say so, hosts that no count has among them", async () => {
    const answers = answersOf("gw1", "192.0.2.1", []);
    const status = answers["/v1/status"] as { counts: object };
    const host = { ...{ interface: null, vsi: "vsi10", mac: null, kind: "learned", via: null }, ip: "10.1.1.7" };
    answers["/v1/snapshot"] = {
      at: { mono: "1" },
      status: { ...status, counts: { ...status.counts, neighbors: 0, macs: 12 } },
      ...{ neighbors: [{ ...host, state: "suppressed" }], macs: [], routes: [], truncated: ["neighbors", "macs"] },
    };
    const gateway = await new FakeGateway("gw1", answers).start();
    const [{ error, left }] = (
      await new Fleet(
        () => [gateway.socket],
        () => 0,
      ).tables()
    ).gateways as [TablesSaid["gateways"][number]];
    gateway.stop();
    expect([error, left]).toEqual([null, { neighbors: 1, macs: 12, routes: 0 }]);
  });
});

describe("the picture", () => {
  const gateway = (node: string, acs: number, vni: number | null = 10): GatewaySaid =>
    ({
      node,
      address: node,
      status: { counts: { acs } },
      vsis: [{ name: "v", vni, interface: "i" }],
      acs: Array.from({ length: Math.min(acs, 512) }, (_, i) => ({ name: `ac${i}`, vsi: "v", up: true })),
    }) as unknown as GatewaySaid;
  const picture = (gateways: GatewaySaid[]) => pictureOf({ at: "", gateways, links: [] });

  it.each([1, 2, 3, 4, 5, 9, 16])("of %i gateways has a place for each, and none on another", (many) => {
    const nodes = picture(Array.from({ length: many }, (_, i) => gateway(`gw${i}`, 2)))!.nodes;
    for (const [i, one] of nodes.entries())
      for (const other of nodes.slice(i + 1))
        expect(Math.abs(one.x - other.x) > 165 || Math.abs(one.y - other.y) > 76, `${i}`).toBe(true);
  });

  it("puts the Border below, draws few ACs of many, and gives way to a matrix beyond sixteen", () => {
    const { nodes } = picture([gateway("border", 1, null), gateway("gw1", 4096)])!;
    expect(nodes[0]!.y).toBeGreaterThan(nodes[1]!.y);
    expect([nodes[1]!.leaves.length, nodes[1]!.more?.count]).toEqual([5, 4091]);
    expect(picture(Array.from({ length: 17 }, (_, i) => gateway(`gw${i}`, 1)))).toBeNull();
  });

  it("draws cables whose both ends have a place, and counts the VTEPs that have none", () => {
    const tunnels = Array.from({ length: 9 }, (_, i) => tunnel(`gw${i + 2}`, `192.0.2.${i + 2}`));
    const gw1 = { ...gateway("gw1", 1), address: "192.0.2.1", vsis: [vsi(10)], tunnels } as unknown as GatewaySaid;
    const { cables, strangers, moreStrangers, width } = pictureOf({ at: "", gateways: [gw1], links: linksOf([gw1]) })!;
    expect([cables.length, strangers.length, moreStrangers?.count]).toEqual([6, 6, 3]);
    expect(cables.every(({ to }) => to !== undefined)).toBe(true);
    expect(moreStrangers!.x).toBeLessThan(width - 58);
  });
});
