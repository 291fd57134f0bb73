/**
 * BFD and whole gateways in virtual time: what becomes of a tunnel, its floods and its next hops when the session with its peer
 * ends, and while control does not come to it.
 *
 *     vm1 - gw1 === b1, b2      two Borders, next hops of gw1's default route
 */
import { describe, expect, it } from "vitest";
import { checkBfd } from "../../src/liveness/bfd/check.ts";
import { bfdRows } from "../../src/liveness/bfd/feature.ts";
import type { LinkReport } from "../../src/liveness/bfd/link.ts";
import { bfdOf, sessionOf } from "../../src/liveness/bfd/view.ts";
import { BfdWatch } from "../../src/liveness/bfd/watch.ts";
import { TunnelJudge } from "../../src/liveness/judge.ts";
import { RX_PACKETS } from "../../src/tables/counters.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { BfdNet, bytesOf } from "../liveness/bfd/bfd-bed.ts";
import { type Gateway, World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
const VTEP: Readonly<Record<string, string>> = { gw1: "192.0.2.1", b1: "192.0.2.2", b2: "192.0.2.3" };
const FLOWS = 200;

const yamlOf = (name: string, bfd: string): string =>
  [
    `node: ${name}`,
    `underlay: {address: ${VTEP[name]}, mtu: 1500}`,
    bfd,
    "tunnels:",
    ...Object.entries(VTEP).flatMap(([peer, remote]) =>
      peer === name ? [] : [`  - {name: ${peer}, remote: ${remote}}`],
    ),
    "vsis: [{name: vsi10, vni: 10}]",
    name === "gw1"
      ? "interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]"
      : `interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.${name === "b1" ? 2 : 3}/24, distributed: false}]`,
    ...(name === "gw1"
      ? [
          "acs: [{name: vm1, vsi: vsi10, tap: {device: tap-vm1}}]",
          "routes: [{prefix: 0.0.0.0/0, nextHops: [10.1.1.2, 10.1.1.3]}]",
          "nextHopProbe: {intervalMs: 0}",
        ]
      : ["routes: [{prefix: 0.0.0.0/0, action: discard}]"]),
    `control: {socket: /run/${name}.sock}`,
    "",
  ].join("\n");

const BFD = "bfd: {intervalMs: 50, multiplier: 3}";

class Bed {
  readonly world = new World(1);
  readonly net = new BfdNet();
  readonly watches = new Map<string, BfdWatch>();
  readonly judges = new Map<string, TunnelJudge>();
  /** Reports wait here while gw1's control is busy. */
  held: (() => void)[] | null = null;

  constructor(bfd = BFD) {
    for (const address of Object.values(VTEP)) this.world.net.inbox(address);
    for (const name of Object.keys(VTEP)) this.watch(this.world.gateway(yamlOf(name, bfd)));
    this.world.vm(this.gw1, { name: "vm1", mac: "02:00:00:00:01:11", ip: "10.1.1.11", gateway: "10.1.1.1" });
    this.pass(4000);
  }

  get gw1(): Gateway {
    return this.world.gateways.get("gw1")!;
  }

  private watch(gateway: Gateway): void {
    const { topology, inventory } = gateway.control.shown;
    const judge = new TunnelJudge(topology);
    const watch = new BfdWatch({
      inventory,
      config: () => topology.config,
      judge,
      setSession: (tunnel, slot) => topology.setSession(tunnel, slot),
      emit: (level, event, fields) => gateway.events.push({ level, event, fields }),
      openLink: ({ underlay: { address } }, onReport) =>
        this.net.link(address, gateway.tables, (report: LinkReport) => {
          if (this.held !== null && gateway === this.gw1) this.held.push(() => onReport(report));
          else onReport(report);
        }),
      kick: () => undefined,
      nowMs: () => this.world.net.nowMs,
    });
    watch.look();
    this.watches.set(gateway.name, watch);
    this.judges.set(gateway.name, judge);
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.net.pass(10);
      this.world.advance(10, 10);
    }
  }

  cut(peer: string, isCut: boolean): void {
    const [a, b] = [VTEP.gw1!, VTEP[peer]!];
    for (const way of [`${a}>${b}`, `${b}>${a}`]) {
      if (isCut) this.net.cut.add(way);
      else this.net.cut.delete(way);
    }
  }

  tunnel(name: string) {
    return this.gw1.control.shown.inventory.tunnel(name)!;
  }

  /** Which Border each of many flows of vm1 takes. */
  flows(): string[] {
    const vm1 = this.world.get("vm1");
    const gateway = this.gw1.control.shown.inventory.interface("if10")!.mac;
    this.world.clear();
    const taken: string[] = [];
    for (let flow = 0; flow < FLOWS; flow++) {
      const before = this.world.seen.length;
      vm1.tap.send(
        udpFrame({ dst: gateway, src: vm1.mac, from: vm1.ip, to: ip("203.0.113.1") + flow, sport: 1024 + flow }),
      );
      this.world.settle();
      const out = this.world.seen.slice(before).find(({ where, from }) => where === "underlay" && from === VTEP.gw1);
      taken.push(out === undefined ? "none" : Object.keys(VTEP).find((name) => VTEP[name] === out.to)!);
    }
    return taken;
  }

  /** Flows until both next hops are resolved. */
  warm(): string[] {
    this.flows();
    this.pass(100);
    return this.flows();
  }

  events(name: string): string[] {
    return this.gw1.events
      .filter(({ event }) => event === name)
      .map(({ level, fields }) => `${level} ${fields.tunnel}`);
  }
}

const countOf = (flows: readonly string[], name: string) => flows.filter((each) => each === name).length;

describe("a session that falls", () => {
  it("takes the tunnel out of floods and next hops, moves the dead one's flows alone, and brings all of it back", () => {
    const bed = new Bed();
    const before = bed.warm();
    expect(countOf(before, "b1") + countOf(before, "b2")).toBe(FLOWS);
    expect(countOf(before, "b1")).toBeGreaterThan(FLOWS / 4);
    bed.cut("b1", true);
    bed.pass(160);
    expect(bed.tunnel("b1")).toMatchObject({ up: false, draining: false });
    expect([bed.events("tunnel.down"), bed.events("bfd.down")]).toEqual([["warn b1"], ["warn b1"]]);
    const during = bed.flows();
    expect(countOf(during, "b2")).toBe(FLOWS);
    bed.world.clear();
    const vm1 = bed.world.get("vm1");
    vm1.tap.send(udpFrame({ dst: BROADCAST, src: vm1.mac, from: vm1.ip, to: ip("10.1.1.255") }));
    bed.world.settle();
    const copies = bed.world.seen.filter(({ where, from }) => where === "underlay" && from === VTEP.gw1);
    expect(copies.map(({ to }) => to)).toEqual([VTEP.b2]);
    bed.cut("b1", false);
    bed.pass(3000);
    expect(bed.tunnel("b1").up).toBe(true);
    bed.warm();
    expect(bed.flows()).toEqual(before);
  });

  it("while control is busy its flows go to the living one all the same, by the shared word", () => {
    const bed = new Bed();
    const before = bed.warm();
    bed.held = [];
    bed.cut("b1", true);
    bed.pass(160);
    // Control has not heard of it.
    expect(bed.tunnel("b1").up).toBe(true);
    const during = bed.flows();
    expect(countOf(during, "b2")).toBe(FLOWS);
    expect(during.filter((each, i) => before[i] === "b2" && each !== "b2")).toEqual([]);
    // Back before it has heard: as if nothing had been.
    bed.cut("b1", false);
    bed.pass(3000);
    expect(bed.flows()).toEqual(before);
    for (const tell of bed.held.splice(0)) tell();
    bed.held = null;
    expect(bed.tunnel("b1").up).toBe(true);
  });

  it("both: a flow keeps its own, and control answers", () => {
    const bed = new Bed();
    const before = bed.warm();
    bed.held = [];
    for (const peer of ["b1", "b2"]) bed.cut(peer, true);
    bed.pass(160);
    expect(bed.flows()).toEqual(before);
  });
});

describe("a peer that leaves", () => {
  it("gets nothing more, and what it sends is taken; no warning", () => {
    const bed = new Bed();
    bed.warm();
    bed.watches.get("b1")!.drain(true);
    bed.pass(20);
    expect(bed.tunnel("b1")).toMatchObject({ up: false, draining: true });
    expect([bed.events("tunnel.draining"), bed.events("tunnel.down")]).toEqual([["info b1"], []]);
    const own = checkBfd(bfdOf(bed.watches.get("b1")!)).find(({ name }) => name === "bfd gw1")!;
    expect([own.result, own.text]).toEqual(["ok", "192.0.2.1: administratively down, for this gateway drains"]);
    expect(countOf(bed.flows(), "b2")).toBe(FLOWS);
    const { row } = bed.tunnel("b1");
    const received = () => bed.gw1.tables.counters[0]!.ports[row * 4 + RX_PACKETS]!;
    const before = received();
    const { agent, shown } = bed.world.gateways.get("b1")!.control;
    const [port, vsi] = [shown.inventory.tunnel("gw1")!, shown.inventory.vsi("vsi10")!];
    agent.askHost(shown.inventory.interface("if10")!, ip("10.1.1.11"), { mac: BROADCAST, port, vsi });
    bed.world.settle();
    expect([received() - before, bed.gw1.drops.tunnel_down]).toEqual([1, undefined]);
    bed.watches.get("b1")!.drain(false);
    bed.pass(3500);
    expect(bed.tunnel("b1")).toMatchObject({ up: true, draining: false });
  });
});

it("a peer that falls and rises with each of its packets costs control ten changes a second; the last one is known", () => {
  const bed = new Bed();
  const [watch, tunnel] = [bed.watches.get("gw1")!, bed.tunnel("b1")];
  const { discriminator: yours, peer, changes: changesBefore } = sessionOf(watch, tunnel)!;
  const [downs, ups] = [bed.events("tunnel.down").length, bed.events("tunnel.up").length];
  bed.net.stop(VTEP.b1!, true);
  let packets = 0;
  const say = (ms: number) => {
    for (let n = 0; n < ms; n++) {
      const state = packets++ % 3 === 2 ? "init" : "down";
      bed.net.carry(VTEP.b1!, VTEP.gw1!, bytesOf({ state, mine: peer.discriminator, yours }));
      bed.net.pass(1);
    }
    bed.world.advance(ms, ms);
  };
  for (let n = 0; n < 200; n++) say(10);
  expect(sessionOf(watch, tunnel)!.changes - changesBefore).toBeGreaterThan(1500);
  const told = bed.events("tunnel.down").length - downs + bed.events("tunnel.up").length - ups;
  expect(told).toBeGreaterThan(2);
  expect(told).toBeLessThanOrEqual(20);
  bed.pass(500);
  expect([sessionOf(watch, tunnel)!.verdict, tunnel.up]).toEqual(["down", false]);
  bed.net.stop(VTEP.b1!, false);
  bed.pass(5000);
  expect(tunnel.up).toBe(true);
});

describe("who decides", () => {
  it("the keepalive until BFD was up once, then BFD; and the keepalive again when BFD is taken away", () => {
    const bed = new Bed();
    const judge = bed.judges.get("gw1")!;
    const tunnel = bed.tunnel("b1");
    judge.keepalive(tunnel, false);
    expect(tunnel.up).toBe(true);
    bed.cut("b1", true);
    bed.pass(200);
    judge.keepalive(tunnel, true);
    expect(tunnel.up).toBe(false);
    bed.gw1.reload(yamlOf("gw1", "").replace("name: b2,", "name: b2, bfd: true,"));
    bed.watches.get("gw1")!.look();
    expect([tunnel.up, sessionOf(bed.watches.get("gw1")!, tunnel)]).toEqual([true, null]);
  });

  it("a peer that never answers leaves its tunnel as it is", () => {
    const bed = new Bed();
    const watch = bed.watches.get("gw1")!;
    bed.gw1.reload(yamlOf("gw1", BFD).replace("tunnels:", "tunnels:\n  - {name: old, remote: 192.0.2.77}"));
    watch.look();
    bed.pass(5000);
    expect(bed.tunnel("old").up).toBe(true);
    const check = checkBfd(bfdOf(watch)).find(({ name }) => name === "bfd old")!;
    expect([check.result, check.text]).toEqual(["warn", "192.0.2.77 has never answered"]);
  });
});

it("metrics, doctor and view tell the same", () => {
  const bed = new Bed();
  const watch = bed.watches.get("gw1")!;
  bed.cut("b1", true);
  bed.pass(200);
  const values = (name: string) => [
    ...bfdRows(watch)
      .find((row) => row.name === name)!
      .values(),
  ];
  expect(values("vtep_bfd_state")).toEqual([
    [{ tunnel: "b1" }, 1],
    [{ tunnel: "b2" }, 3],
  ]);
  expect(values("vtep_bfd_transitions_total")).toContainEqual([
    { tunnel: "b1", to: "down", diagnosis: "detectionTimeExpired" },
    1,
  ]);
  expect(values("vtep_bfd_detection_seconds")).toContainEqual([{ tunnel: "b2" }, 0.15]);
  const checks = checkBfd(bfdOf(watch));
  expect(checks.map(({ name, result }) => `${name} ${result}`)).toEqual(["bfd b1 fail", "bfd b2 ok"]);
  const [b1] = bfdOf(watch).sessions;
  expect(b1).toMatchObject({ tunnel: "b1", state: "down", verdict: "down", diagnosis: "detectionTimeExpired" });
});
