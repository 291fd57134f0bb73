import { beforeEach, describe, expect, it } from "vitest";
import type { PortObject } from "../../src/control/inventory.ts";
import { PENDING_PER_PORT, PENDING_PER_TARGET } from "../../src/control/neighbor/pending-queue.ts";
import { NEIGHBORS_PER_AC, SEARCHES_IN_ALL, SEARCHES_PER_PORT } from "../../src/control/neighbor/quota.ts";
import { INJECT, PUNT } from "../../src/tables/counters.ts";
import { REWRITE_BYTES } from "../../src/tables/fib.ts";
import { readMac } from "../../src/wire/ethernet.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { AgentBed, acOf, B10, G10, G20, ip, M1, M9, P10, P20, vsiOf } from "./agent-bed.ts";

let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});

describe("resolution (§3.10)", () => {
  it("asks our ACs and the tunnels at once, with the gateway's IP and MAC; the packet waits (§2.2 row 4)", () => {
    bed.want("20.1.1.12");
    expect(bed.told()).toEqual(["all of vsi2 but none: ff/G20 req G20,20.1.1.1 / 0,20.1.1.12"]);
    expect(bed.agent.neighbors.waiting).toBe(1);
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete");
  });

  it("is begun also by a packet that cannot wait, because too much of its port does", () => {
    for (let n = 0; n < PENDING_PER_PORT; n++) bed.want(`20.1.1.${100 + Math.floor(n / PENDING_PER_TARGET)}`);
    expect(bed.agent.neighbors.waiting).toBe(PENDING_PER_PORT);
    bed.sent();
    bed.want("20.1.1.12");
    expect(bed.drops).toEqual({ unresolved_queue_full: 1 });
    expect(bed.requests().length).toBe(1);
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete");
  });

  it("the answer publishes the rewrite and sends what waited, in order", () => {
    for (let sport = 1; sport <= 5; sport++) bed.want("20.1.1.12", { sport });
    bed.sent();
    bed.advance(40);
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    const adjacency = bed.hosts.get("0 20.1.1.12")!;
    const sent = bed.sent();
    expect(sent.map(({ kind, arg, port, vsi }) => [kind, arg, port, vsi])).toEqual(
      Array(5).fill([INJECT.adjacency, adjacency, bed.vm1.row, bed.vsi10.row]),
    );
    expect(sent.map(({ frame }) => frame[35])).toEqual([1, 2, 3, 4, 5]);
    const { fib } = bed.tables;
    const row = fib.rewrite[adjacency]!;
    expect(readMac(fib.rewriteMacs, row * REWRITE_BYTES)).toBe(P20);
    expect(readMac(fib.rewriteMacs, row * REWRITE_BYTES + 6)).toBe(G20);
    expect([fib.rewritePort[row], fib.rewriteVsi[row]]).toEqual([bed.gw2.row, bed.vsi20.row]);
    expect(fib.adjacencyInterface[adjacency]).toBe(2);
    expect(bed.agent.neighbors.nextHop(adjacency)).toMatchObject({ iface: bed.if20, ip: ip("20.1.1.12") });
    expect(bed.resolved).toEqual(["resolved 40"]);
    expect(bed.agent.neighbors.waiting).toBe(0);
  });

  it("a packet that was punted before the rewrite was published is sent on", () => {
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    bed.want("20.1.1.12");
    expect(bed.sent().map(({ kind }) => kind)).toEqual([INJECT.adjacency]);
  });

  it("three tries a second apart, then one host unreachable for each sender (N6: within 4 s)", () => {
    for (let i = 0; i < 3; i++) bed.want("20.1.1.77");
    bed.want("20.1.1.77", { from: "10.1.1.99" });
    bed.advance(2999);
    expect(bed.requests().length).toBe(3);
    expect(bed.drops).toEqual({});
    bed.advance(1);
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 10.1.1.1>10.1.1.11", "vm1 vsi1: M1/G10 10.1.1.1>10.1.1.99"]);
    expect(bed.drops).toEqual({ unresolved_timeout: 4 });
    expect(bed.neighbor(bed.if20, "20.1.1.77")).toBe("failed");
    expect(bed.resolved).toEqual(["failed 3000"]);
    expect(bed.agent.neighbors.waiting).toBe(0);
    bed.advance(30_000);
    expect(bed.neighbor(bed.if20, "20.1.1.77")).toBeNull();
  });

  it("a failed target is asked for again at once by the next packet, but never twice in a second", () => {
    const floods: number[] = [];
    for (let i = 0; i < 100; i++) {
      bed.want("20.1.1.77");
      for (const each of bed.told()) if (each.includes(" req ")) floods.push(bed.nowMs);
      bed.advance(100);
      for (const each of bed.told()) if (each.includes(" req ")) floods.push(bed.nowMs);
    }
    expect(floods.length).toBeGreaterThan(7);
    for (let i = 1; i < floods.length; i++) expect(floods[i]! - floods[i - 1]!).toBeGreaterThanOrEqual(1000);
  });

  it("a question a VM has just asked counts as the first try", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.77");
    bed.sent();
    bed.advance(10);
    bed.want("10.1.1.77", { on: bed.if10 });
    expect(bed.told()).toEqual([]);
    bed.advance(990);
    expect(bed.told()).toEqual(["all of vsi1 but none: ff/G10 req G10,10.1.1.1 / 0,10.1.1.77"]);
    bed.advance(2000);
    expect(bed.drops).toEqual({ unresolved_timeout: 1 });
  });

  it("the whole site is asked, the AC whose packet waits included (§2.3 row 4)", () => {
    bed.want("10.1.1.2", { on: bed.if10 });
    expect(bed.told()).toEqual(["all of vsi1 but none: ff/G10 req G10,10.1.1.1 / 0,10.1.1.2"]);
  });

  it("the AC that asked by itself is not asked again within the second, even where it is the only one (§2.1)", () => {
    bed.vm3.up = false;
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.77");
    expect(bed.requests()).toEqual(["tunnels of vsi1 but vm1: ff/G10 req G10,10.1.1.11 / 0,10.1.1.77"]);
    bed.want("10.1.1.77", { on: bed.if10 });
    bed.advance(999);
    expect(bed.told()).toEqual([]);
    bed.advance(1);
    expect(bed.told()).toEqual(["all of vsi1 but none: ff/G10 req G10,10.1.1.1 / 0,10.1.1.77"]);
  });

  it("17 packets for one target: the 17th is dropped; the others keep their order", () => {
    for (let sport = 1; sport <= 17; sport++) bed.want("20.1.1.12", { sport });
    expect(bed.drops).toEqual({ unresolved_queue_full: 1 });
    bed.sent();
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    expect(bed.sent().map(({ frame }) => frame[35])).toEqual([...Array(16).keys()].map((n) => n + 1));
  });

  it("one VM's address scan leaves room: others resolve at once, floods are rationed per VSI (S07)", () => {
    const floods: number[] = [];
    for (let n = 0; n < 1000; n++) {
      const target = ip("20.1.2.0") + n;
      const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: target });
      bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: bed.if20.row, arg2: 0 });
      bed.advance(2);
      for (const each of bed.told()) if (each.includes(" req ")) floods.push(bed.nowMs);
    }
    expect([...bed.agent.neighbors.all()].filter((each) => each.state === "incomplete").length).toBeLessThanOrEqual(
      SEARCHES_PER_PORT + 1,
    );
    for (const from of floods)
      expect(floods.filter((at) => at >= from && at < from + 1000).length).toBeLessThanOrEqual(200);
    bed.want("20.1.1.12", { port: bed.vm3, from: "10.1.1.13" });
    expect(bed.requests().length).toBe(1);
  });

  it(`at most ${SEARCHES_IN_ALL} targets are looked for or remembered as failed`, () => {
    for (let n = 0; n < 1500; n++) {
      const target = ip("20.1.4.0") + n;
      const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: target });
      bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: bed.if20.row, arg2: 0 });
      if (n % 100 === 99) bed.advance(3100);
      bed.sent();
    }
    expect([...bed.agent.neighbors.all()].length).toBeLessThanOrEqual(SEARCHES_IN_ALL);
  });

  it("no VSI-interface any more: net unreachable", () => {
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") });
    bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: 99, arg2: 0 });
    expect(bed.drops).toEqual({ no_route: 1 });
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 10.1.1.1>10.1.1.11"]);
  });

  it("a VSI-interface of two VSIs asks in both (D5)", () => {
    const vsi11 = vsiOf(3, 11, bed.if10);
    const vm9 = acOf(9, "vm9", vsi11);
    bed.inventory.addVsi(vsi11);
    bed.inventory.addPort(vm9);
    bed.want("10.1.1.12", { on: bed.if10, port: bed.vm2, vsi: bed.vsi20 });
    expect(bed.told()).toEqual([
      "all of vsi1 but none: ff/G10 req G10,10.1.1.1 / 0,10.1.1.12",
      "ACs of vsi3 but none: ff/G10 req G10,10.1.1.1 / 0,10.1.1.12",
    ]);
  });
});

describe("ageing (§3.9)", () => {
  const use = () => {
    bed.tables.fib.adjacencyHit[bed.hosts.get("0 10.1.1.11")!] = 1;
  };

  it("an entry in use is probed by unicast at half its age, three times, and then goes", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    bed.chance = 0.5;
    bed.advance(599_000);
    use();
    bed.advance(1000);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("delay M1 vm1");
    bed.advance(500);
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 req G10,10.1.1.1 / 0,10.1.1.11"]);
    bed.advance(2000);
    expect(bed.told().length).toBe(2);
    expect(bed.hosts.has("0 10.1.1.11")).toBe(true);
    bed.advance(1000);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("failed M1 vm1");
    expect(bed.hosts.has("0 10.1.1.11")).toBe(false);
    expect(bed.eventsNamed("neighbor.failed").length).toBe(1);
  });

  it("a silent living host survives: it answers the probe", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    for (let i = 0; i < 10; i++) {
      bed.advance(1_196_500);
      const asked = bed.requests();
      if (asked.length > 0) bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", G10, "10.1.1.1");
      expect(asked.length).toBe(1);
      expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    }
  });

  it("age 10 s: an unused silent entry is asked before its age is over and gone with it (A10)", () => {
    bed = new AgentBed({}, { arp: { ageSeconds: 10, limit: 100, static: [] } });
    bed.chance = 0.99;
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    bed.advance(6_000);
    expect(bed.requests().length).toBe(0);
    bed.advance(4_000);
    expect(bed.requests().length).toBe(3);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("failed M1 vm1");
  });

  it("a chatting host is never probed, and sets no timers", () => {
    bed = new AgentBed({}, { arp: { ageSeconds: 10, limit: 100, static: [] } });
    for (let i = 0; i < 30; i++) {
      bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
      bed.advance(1000);
    }
    expect(bed.told().filter((each) => each.includes(" req ")).length).toBe(0);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
  });

  it("an entry via a tunnel is asked at the remote gateway's MAC, through that tunnel", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    bed.sent();
    bed.advance(1_196_000);
    expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 req G10,10.1.1.1 / 0,10.1.1.12"]);
  });

  it("what its own packets come back from (l3_loop) is asked at once", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    bed.sent();
    bed.stale(bed.border, bed.if10, "10.1.1.12");
    expect(bed.told()).toEqual([]);
    bed.stale(bed.gw2, bed.if10, "10.1.1.12");
    expect(bed.told()).toEqual(["gw2 vsi1: P10/G10 req G10,10.1.1.1 / 0,10.1.1.12"]);
    for (let i = 0; i < 8; i++) {
      bed.advance(400);
      bed.stale(bed.gw2, bed.if10, "10.1.1.12");
    }
    expect(bed.told().length).toBe(2);
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("failed P10 gw2");
  });
});

describe("moves (§3.11)", () => {
  it("AC to AC, and tunnel to AC: believed at once; the old place is remembered", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    bed.request(bed.vm1, bed.vsi10, M9, "10.1.1.12", "10.1.1.1");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("reachable M9 vm1");
    bed.request(bed.vm3, bed.vsi10, M9, "10.1.1.12", "10.1.1.1");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("reachable M9 vm3");
    const { fib } = bed.tables;
    expect(fib.rewritePort[fib.rewrite[bed.hosts.get("0 10.1.1.12")!]!]).toBe(bed.vm3.row);
    expect(bed.agent.neighbors.moves.get("vsi10")).toBe(2);
    expect(bed.agent.neighborViews()[0]!.previous).toMatchObject({ via: "ac vm1" });
  });

  it("tunnel to tunnel: believed at once", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.11");
    bed.reply(bed.border, bed.vsi10, B10, "10.1.1.12", G10, "10.1.1.11");
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("reachable B10 border");
  });

  it("AC to tunnel: the AC is asked once, and half a second of silence decides", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    bed.request(bed.gw2, bed.vsi10, P10, "10.1.1.11", "10.1.1.11");
    expect(bed.told()).toEqual([
      "vm1 vsi1: M1/G10 req G10,10.1.1.1 / 0,10.1.1.11",
      "ACs of vsi1 but gw2: ff/G10 req G10,10.1.1.11 / 0,10.1.1.11",
    ]);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("probe M1 vm1");
    bed.advance(499);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("probe M1 vm1");
    bed.advance(1);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable P10 gw2");
    expect(bed.told()).toEqual([]);
  });

  it("AC to tunnel: a host that answers stays", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.11", G10, "10.1.1.1");
    bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", G10, "10.1.1.1");
    bed.advance(5000);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    expect(bed.agent.neighbors.moves.size).toBe(0);
  });

  it("five moves in 180 s; the next are counted move_damped, the entry stays and works", () => {
    const at = [bed.vm1, bed.vm3];
    for (let i = 0; i < 13; i++) bed.request(at[i & 1]!, bed.vsi10, M9, "10.1.1.50", "10.1.1.1");
    expect(bed.neighbor(bed.if10, "10.1.1.50")).toBe("reachable M9 vm3");
    expect(bed.drops).toEqual({ move_damped: 4 });
    expect(bed.agent.neighbors.moves.get("vsi10")).toBe(5);
    expect(bed.told().filter((each) => each.includes(" rep ")).length).toBe(13);
    bed.advance(180_000);
    bed.request(bed.vm1, bed.vsi10, M9, "10.1.1.50", "10.1.1.1");
    expect(bed.neighbor(bed.if10, "10.1.1.50")).toBe("reachable M9 vm1");
  });

  it("the IP that all gateways share, heard in their questions: it stays where it was, without alarm", () => {
    for (let i = 0; i < 20; i++) {
      const [port, mac] = i & 1 ? ([bed.gw2, P10] as const) : ([bed.border, B10] as const);
      bed.request(port, bed.vsi10, mac, "10.1.1.100", "10.1.1.77");
    }
    expect(bed.drops).toEqual({});
    expect(bed.eventsNamed("neighbor.damped")).toEqual([]);
    expect(bed.agent.neighbors.moves.get("vsi10")).toBe(5);
    for (let i = 0; i < 3; i++) bed.reply(bed.border, bed.vsi10, B10, "10.1.1.100", G10, "10.1.1.1");
    expect(bed.drops).toEqual({ move_damped: 3 });
  });

  it("a challenger whose tunnel goes is forgotten", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.11", G10, "10.1.1.1");
    bed.agent.flushPort(bed.gw2);
    bed.advance(700);
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("probe M1 vm1");
  });
});

describe("limits", () => {
  it("arp_limit per VSI-interface: not learned, not answered, one event", () => {
    for (let n = 0; n < 107; n++) {
      const port = n < 50 ? bed.vm1 : bed.vm3;
      bed.arp(port, bed.vsi10, {
        senderMac: 0x020000100000 + n,
        senderIp: ip("10.1.1.100") + n,
        targetIp: ip("10.1.1.1"),
      });
    }
    expect(bed.agent.neighbors.size).toBe(100);
    expect(bed.drops).toEqual({ arp_limit: 7 });
    expect(bed.eventsNamed("neighbor.limit").length).toBe(1);
  });

  it(`arp_limit per AC (${NEIGHBORS_PER_AC}): the other AC still learns, a tunnel is not limited`, () => {
    bed = new AgentBed({}, { arp: { ageSeconds: 1200, limit: 900, static: [] } });
    const subnet = { address: ip("10.1.1.1"), network: ip("10.1.0.0"), length: 16 };
    bed.if10.subnets = [subnet];
    const claim = (port: PortObject, n: number) =>
      bed.arp(port, bed.vsi10, {
        senderMac: 0x020000100000 + n,
        senderIp: ip("10.1.8.1") + n,
        targetIp: ip("10.1.1.1"),
      });
    for (let n = 0; n < NEIGHBORS_PER_AC + 3; n++) {
      claim(bed.vm1, n);
      bed.sent();
    }
    expect(bed.drops).toEqual({ arp_limit: 3 });
    claim(bed.vm3, 1000);
    for (let n = 0; n < 300; n++) claim(bed.gw2, 2000 + n);
    expect(bed.agent.neighbors.size).toBe(NEIGHBORS_PER_AC + 1 + 300);
    // A full AC cannot take a host over from another one either.
    claim(bed.vm1, 1000);
    expect(bed.neighbor(bed.if10, "10.1.11.233")).toContain("vm3");
    expect(bed.drops).toEqual({ arp_limit: 4 });
  });
});
