import { beforeEach, describe, expect, it } from "vitest";
import { NEIGHBORS_PER_AC, SEARCHES_IN_ALL, SEARCHES_PER_PORT } from "../../src/control/neighbor-census.ts";
import { INJECT, PUNT } from "../../src/tables/counters.ts";
import { REWRITE_BYTES } from "../../src/tables/fib.ts";
import { i32 } from "../../src/wire/bytes.ts";
import { readMac } from "../../src/wire/ethernet.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { AgentBed, B10, G10, G20, interfaceOn, ip, M1, M2, M3, M9, P10, P20, portOf, vsiOf } from "./agent-bed.ts";

let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});

/** vm1 sends a packet to `target` on if20 that has no rewrite yet. */
function want(
  target: string,
  { from = "10.1.1.11", port = bed.vm1, vsi = bed.vsi10, on = bed.if20, sport = 1 } = {},
): void {
  const frame = udpFrame({ dst: G10, src: M1, from: ip(from), to: ip(target), sport });
  bed.punt(PUNT.unresolved, port, vsi, frame, { arg: on.row, arg2: ip(target) });
}

const requests = () => bed.told().filter((each) => each.includes(" req "));

describe("resolution (§3.10)", () => {
  it("§2.2 row 4: asks our ACs and the tunnels at once, with the gateway's IP and MAC; the packet waits", () => {
    want("20.1.1.12");
    expect(bed.told()).toEqual(["all of vsi2 but nobody: ff/G20 req G20,20.1.1.1 / 0,20.1.1.12"]);
    expect(bed.agent.neighbors.waiting).toBe(1);
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete");
  });

  it("the answer publishes the rewrite and sends what waited, in order", () => {
    for (let sport = 1; sport <= 5; sport++) want("20.1.1.12", { sport });
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
    expect([fib.adjacencyInterface[adjacency], fib.adjacencyIp[adjacency]]).toEqual([2, ip("20.1.1.12")]);
    expect(bed.resolved).toEqual(["resolved 40"]);
    expect(bed.agent.neighbors.waiting).toBe(0);
  });

  it("a packet that was punted before the rewrite was published is sent on", () => {
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    want("20.1.1.12");
    expect(bed.sent().map(({ kind }) => kind)).toEqual([INJECT.adjacency]);
  });

  it("three tries a second apart, then one host unreachable for each sender (N6: within 4 s)", () => {
    for (let i = 0; i < 3; i++) want("20.1.1.77");
    want("20.1.1.77", { from: "10.1.1.99" });
    bed.advance(2999);
    expect(requests().length).toBe(3);
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
      want("20.1.1.77");
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
    want("10.1.1.77", { on: bed.if10 });
    expect(bed.told()).toEqual([]);
    bed.advance(990);
    expect(bed.told()).toEqual(["all of vsi1 but nobody: ff/G10 req G10,10.1.1.1 / 0,10.1.1.77"]);
    bed.advance(2000);
    expect(bed.drops).toEqual({ unresolved_timeout: 1 });
  });

  it("§2.3 row 4: the whole site is asked, the AC whose packet waits included", () => {
    want("10.1.1.2", { on: bed.if10 });
    expect(bed.told()).toEqual(["all of vsi1 but nobody: ff/G10 req G10,10.1.1.1 / 0,10.1.1.2"]);
  });

  it("§2.1: the AC that asked by itself is not asked again within the second, even where it is the only one", () => {
    bed.vm3.up = false;
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.77");
    expect(requests()).toEqual(["tunnels of vsi1 but vm1: ff/G10 req G10,10.1.1.11 / 0,10.1.1.77"]);
    want("10.1.1.77", { on: bed.if10 });
    bed.advance(999);
    expect(bed.told()).toEqual([]);
    bed.advance(1);
    expect(bed.told()).toEqual(["all of vsi1 but nobody: ff/G10 req G10,10.1.1.1 / 0,10.1.1.77"]);
  });

  it("17 packets for one target: the 17th is dropped; the others keep their order", () => {
    for (let sport = 1; sport <= 17; sport++) want("20.1.1.12", { sport });
    expect(bed.drops).toEqual({ unresolved_queue_full: 1 });
    bed.sent();
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    expect(bed.sent().map(({ frame }) => frame[35])).toEqual([...Array(16).keys()].map((n) => n + 1));
  });

  it("S07: one VM's address scan leaves room: others resolve at once, floods are rationed per VSI", () => {
    const floods: number[] = [];
    for (let n = 0; n < 1000; n++) {
      const target = ip("20.1.2.0") + n;
      const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: target });
      bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: bed.if20.row, arg2: target });
      bed.advance(2);
      for (const each of bed.told()) if (each.includes(" req ")) floods.push(bed.nowMs);
    }
    expect(bed.agent.neighbors.list().filter((each) => each.state === "incomplete").length).toBeLessThanOrEqual(
      SEARCHES_PER_PORT + 1,
    );
    for (const from of floods)
      expect(floods.filter((at) => at >= from && at < from + 1000).length).toBeLessThanOrEqual(200);
    want("20.1.1.12", { port: bed.vm3, from: "10.1.1.13" });
    expect(requests().length).toBe(1);
  });

  it(`at most ${SEARCHES_IN_ALL} targets are looked for or remembered as failed`, () => {
    for (let n = 0; n < 1500; n++) {
      const target = ip("20.1.4.0") + n;
      const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: target });
      bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: bed.if20.row, arg2: target });
      if (n % 100 === 99) bed.advance(3100);
      bed.sent();
    }
    expect(bed.agent.neighbors.list().length).toBeLessThanOrEqual(SEARCHES_IN_ALL);
  });

  it("no VSI-interface any more: net unreachable", () => {
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") });
    bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: 99, arg2: ip("20.1.1.12") });
    expect(bed.drops).toEqual({ no_route: 1 });
    expect(bed.told()).toEqual(["vm1 vsi1: M1/G10 10.1.1.1>10.1.1.11"]);
  });

  it("D5: a VSI-interface of two VSIs asks in both", () => {
    const vsi11 = vsiOf(3, 11, bed.if10);
    const vm9 = portOf(9, "ac", "vm9", vsi11);
    bed.inventory.addVsi(vsi11);
    bed.inventory.addPort(vm9);
    want("10.1.1.12", { on: bed.if10, port: bed.vm2, vsi: bed.vsi20 });
    expect(bed.told()).toEqual([
      "all of vsi1 but nobody: ff/G10 req G10,10.1.1.1 / 0,10.1.1.12",
      "ACs of vsi3 but nobody: ff/G10 req G10,10.1.1.1 / 0,10.1.1.12",
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
      const asked = requests();
      if (asked.length > 0) bed.reply(bed.vm1, bed.vsi10, M1, "10.1.1.11", G10, "10.1.1.1");
      expect(asked.length).toBe(1);
      expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    }
  });

  it("A10: age 10 s: an unused silent entry is asked before its age is over and gone with it", () => {
    bed = new AgentBed({}, { arp: { ageSeconds: 10, limit: 100, static: [] } });
    bed.chance = 0.99;
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.sent();
    bed.advance(6_000);
    expect(requests().length).toBe(0);
    bed.advance(4_000);
    expect(requests().length).toBe(3);
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
    expect(bed.agent.neighbors.list()[0]!.previous).toMatchObject({ via: "ac vm1" });
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
    const claim = (port: typeof bed.vm1, n: number) =>
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

describe("next hops that routes hold", () => {
  const HOP = "10.1.1.2";

  it("nothing is asked before the first packet; then it is kept resolved although nobody uses it", () => {
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    expect(id).toBeGreaterThan(0);
    expect(bed.agent.neighbors.hold(bed.if10, ip(HOP))).toBe(id);
    bed.advance(5000);
    expect(bed.told()).toEqual([]);
    expect(bed.agent.neighbors.isAlive(id)).toBe(true);
    want(HOP, { on: bed.if10 });
    bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "10.1.1.1");
    expect(bed.hosts.get(`0 ${HOP}`)).toBe(id);
    bed.sent();
    bed.advance(600_000);
    expect(requests().length).toBe(1);
  });

  it("its death and its return are told; meanwhile it is looked for, ever more slowly", () => {
    const changes: string[] = [];
    bed.agent.neighbors.onChange((id, alive) => changes.push(`${id} ${alive}`));
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    want(HOP, { on: bed.if10 });
    bed.advance(3000);
    expect(changes).toEqual([`${id} false`]);
    expect(bed.agent.neighbors.isAlive(id)).toBe(false);
    expect(i32(bed.sent()[0]!.frame, 38)).toBe(ip(HOP));
    bed.advance(60_000);
    const tries = requests().length;
    expect(tries).toBeGreaterThan(6);
    expect(tries).toBeLessThan(30);
    bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "10.1.1.1");
    expect(changes).toEqual([`${id} false`, `${id} true`]);
    expect(bed.tables.fib.rewrite[id]).toBeGreaterThan(0);
  });

  it("B03: a packet to a dead next hop makes us ask at once; it is back as soon as it answers", () => {
    bed.agent.neighbors.hold(bed.if10, ip(HOP));
    want(HOP, { on: bed.if10 });
    bed.advance(30_500);
    bed.sent();
    want(HOP, { on: bed.if10 });
    bed.advance(1000);
    expect(requests().length).toBeGreaterThanOrEqual(1);
  });

  it("its tunnel goes down: dead at once, looked for elsewhere at once; its tunnel returns: asked for at once", () => {
    const changes: boolean[] = [];
    bed.agent.neighbors.onChange((_, alive) => changes.push(alive));
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "10.1.1.1");
    bed.sent();
    bed.border.up = false;
    bed.agent.flushPort(bed.border);
    expect(changes).toEqual([false]);
    expect(bed.tables.fib.rewrite[id]).toBe(0);
    expect(bed.hosts.size).toBe(0);
    expect(bed.told().length).toBe(1);
    bed.advance(20_000);
    bed.sent();
    bed.border.up = true;
    bed.agent.neighbors.portUp(bed.border);
    expect(bed.told().length).toBe(1);
    bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "10.1.1.1");
    expect(changes).toEqual([false, true]);
  });

  it("released as often as held, the number comes back and nobody looks any more", () => {
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    bed.agent.neighbors.hold(bed.if10, ip(HOP));
    want(HOP, { on: bed.if10 });
    bed.advance(3000);
    bed.agent.neighbors.release(id);
    bed.agent.neighbors.release(id);
    bed.advance(30_000);
    bed.sent();
    bed.advance(60_000);
    expect(bed.told()).toEqual([]);
    expect(bed.neighbor(bed.if10, HOP)).toBeNull();
    expect(bed.agent.neighbors.hold(bed.if10, ip("10.1.1.3"))).toBe(id);
  });
});

describe("what topology and people do", () => {
  it("static: used at once, never learned over, never aged; removed on demand", () => {
    bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.9"), M3, bed.vm3, bed.vsi10);
    expect(bed.hosts.has("0 10.1.1.9")).toBe(true);
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.9", G10, "10.1.1.1");
    bed.advance(5_000_000);
    expect(bed.neighbor(bed.if10, "10.1.1.9")).toBe("reachable M3 vm3");
    expect(bed.agent.neighbors.flushLearned(null)).toBe(0);
    bed.agent.neighbors.removeStatic(bed.if10, ip("10.1.1.9"));
    expect(bed.neighbor(bed.if10, "10.1.1.9")).toBeNull();
    expect(bed.hosts.size).toBe(0);
  });

  it("static takes the place of what was learned, and of what is looked for", () => {
    bed.request(bed.vm1, bed.vsi10, M9, "10.1.1.9", "10.1.1.1");
    bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.9"), M3, bed.vm3, bed.vsi10);
    expect(bed.neighbor(bed.if10, "10.1.1.9")).toBe("reachable M3 vm3");
    want("10.1.1.8", { on: bed.if10 });
    bed.sent();
    bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.8"), M3, bed.vm3, bed.vsi10);
    expect(bed.sent().map(({ kind }) => kind)).toEqual([INJECT.adjacency]);
    expect(bed.agent.neighbors.size).toBe(2);
  });

  it("a static next hop behind a tunnel that is down is dead until the tunnel is up", () => {
    const id = bed.agent.neighbors.hold(bed.if10, ip("10.1.1.2"));
    bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.2"), B10, bed.border, bed.vsi10);
    expect(bed.agent.neighbors.isAlive(id)).toBe(true);
    bed.border.up = false;
    bed.agent.flushPort(bed.border);
    expect(bed.agent.neighbors.isAlive(id)).toBe(false);
    bed.border.up = true;
    bed.agent.neighbors.portUp(bed.border);
    expect(bed.agent.neighbors.isAlive(id)).toBe(true);
    expect(bed.neighbor(bed.if10, "10.1.1.2")).toBe("reachable B10 border");
  });

  it("a port that goes takes its neighbours and the packets that came by it along", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    want("20.1.1.77");
    bed.sent();
    bed.agent.flushPort(bed.vm1);
    bed.poll();
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBeNull();
    expect(bed.drops).toEqual({ ac_unbound: 1 });
    bed.advance(5000);
    expect(bed.drops).toEqual({ ac_unbound: 1 });
  });

  it("a port that goes while its former neighbour is looked for: the search goes on, the packets keep waiting", () => {
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    bed.stale(bed.gw2, bed.if20, "20.1.1.12");
    bed.advance(3000);
    want("20.1.1.12");
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete P20 gw2");
    bed.agent.flushPort(bed.gw2);
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete");
    bed.sent();
    bed.reply(bed.border, bed.vsi20, B10, "20.1.1.12", G20, "20.1.1.1");
    expect(bed.sent().map(({ kind }) => kind)).toEqual([INJECT.adjacency]);
  });

  it("people may forget a target that is being looked for; its packets end, and so does its place in the count", () => {
    for (let n = 0; n < 3 * SEARCHES_PER_PORT; n++) {
      want("20.1.1.77");
      bed.agent.neighbors.delete(bed.if20, ip("20.1.1.77"));
      bed.sent();
    }
    expect(bed.drops).toEqual({ no_route: 3 * SEARCHES_PER_PORT });
    expect(bed.agent.neighbors.list()).toEqual([]);
  });

  it("a VSI-interface that goes takes everything along", () => {
    bed.agent.neighbors.addStatic(bed.if20, ip("20.1.1.9"), M2, bed.vm2, bed.vsi20);
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    want("20.1.1.77");
    bed.agent.flushInterface(bed.if20);
    bed.poll();
    expect(bed.agent.neighbors.list()).toEqual([]);
    expect(bed.hosts.size).toBe(0);
    expect(bed.drops).toEqual({ no_route: 1 });
  });

  it("a VSI that goes takes its neighbours along", () => {
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    bed.agent.flushVsi(bed.vsi20);
    expect(bed.agent.neighbors.list().map((each) => each.ip)).toEqual(["10.1.1.12"]);
  });

  it("a new gateway MAC is in every rewrite", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    bed.if10.mac = M9;
    bed.agent.neighbors.refreshRewrites(bed.if10);
    const { fib } = bed.tables;
    const row = fib.rewrite[bed.hosts.get("0 10.1.1.12")!]!;
    expect(readMac(fib.rewriteMacs, row * REWRITE_BYTES + 6)).toBe(M9);
  });

  it("delete forgets one; restore uses an entry at once and asks before it is believed", () => {
    expect(bed.agent.neighbors.restore(bed.if10, ip("10.1.1.12"), { mac: P10, port: bed.gw2, vsi: bed.vsi10 })).toBe(
      true,
    );
    expect(bed.neighbor(bed.if10, "10.1.1.12")).toBe("delay P10 gw2");
    expect(bed.hosts.has("0 10.1.1.12")).toBe(true);
    bed.advance(10);
    expect(requests().length).toBe(1);
    expect(bed.agent.neighbors.delete(bed.if10, ip("10.1.1.12"))).toBe(true);
    expect(bed.agent.neighbors.delete(bed.if10, ip("10.1.1.12"))).toBe(false);
    expect(bed.agent.neighbors.list()).toEqual([]);
  });

  it("views name things, and gauges count them", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.9"), M3, bed.vm3, bed.vsi10);
    bed.advance(3000);
    expect(bed.agent.neighbors.list()[0]).toEqual({
      interface: "if10",
      ip: "10.1.1.11",
      mac: "02:00:00:00:01:11",
      state: "reachable",
      via: { kind: "ac", name: "vm1" },
      vsi: "vsi10",
      ageSeconds: 3,
      origin: "request",
      stateSeconds: 3,
      previous: null,
    });
    expect(bed.agent.neighbors.counts()).toEqual(new Map([["vsi10", { local: 1, remote: 1, static: 1 }]]));
  });

  it("entries are keyed by VSI-interface: the same IP elsewhere is another neighbour", () => {
    const if30 = interfaceOn(3, 10, 0x02aa0000001e);
    const vsi30 = vsiOf(3, 10, if30);
    const vm9 = portOf(9, "ac", "vm9", vsi30);
    bed.inventory.addVsi(vsi30);
    bed.inventory.addPort(vm9);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.request(vm9, vsi30, M9, "10.1.1.11", "10.1.1.1");
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    expect(bed.neighbor(if30, "10.1.1.11")).toBe("reachable M9 vm9");
  });
});
