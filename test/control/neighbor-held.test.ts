import { beforeEach, describe, expect, it } from "vitest";
import { SEARCHES_PER_PORT } from "../../src/control/neighbor/quota.ts";
import { INJECT } from "../../src/tables/counters.ts";
import { REWRITE_BYTES } from "../../src/tables/fib.ts";
import { i32 } from "../../src/wire/bytes.ts";
import { readMac } from "../../src/wire/ethernet.ts";
import { AgentBed, acOf, B10, G10, G20, interfaceOn, ip, M1, M2, M3, M9, P10, P20, vsiOf } from "./agent-bed.ts";

let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});

describe("next hops that routes hold", () => {
  const HOP = "10.1.1.2";

  it("nothing is asked before the first packet; then it is kept resolved although it is not used", () => {
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    expect(id).toBeGreaterThan(0);
    expect(bed.agent.neighbors.hold(bed.if10, ip(HOP))).toBe(id);
    bed.advance(5000);
    expect(bed.told()).toEqual([]);
    expect(bed.agent.neighbors.isAlive(id)).toBe(true);
    bed.want(HOP, { on: bed.if10 });
    bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "10.1.1.1");
    expect(bed.hosts.get(`0 ${HOP}`)).toBe(id);
    bed.sent();
    bed.advance(600_000);
    expect(bed.requests().length).toBe(1);
  });

  it("its death and its return are told; meanwhile it is looked for, ever more slowly", () => {
    const changes: string[] = [];
    bed.agent.neighbors.onChange((id, alive) => changes.push(`${id} ${alive}`));
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    bed.want(HOP, { on: bed.if10 });
    bed.advance(3000);
    expect(changes).toEqual([`${id} false`]);
    expect(bed.agent.neighbors.isAlive(id)).toBe(false);
    expect(i32(bed.sent()[0]!.frame, 38)).toBe(ip(HOP));
    bed.advance(60_000);
    const tries = bed.requests().length;
    expect(tries).toBeGreaterThan(6);
    expect(tries).toBeLessThan(30);
    bed.reply(bed.border, bed.vsi10, B10, HOP, G10, "10.1.1.1");
    expect(changes).toEqual([`${id} false`, `${id} true`]);
    expect(bed.tables.fib.rewrite[id]).toBeGreaterThan(0);
  });

  it("a packet to a dead next hop makes us ask at once; it is back as soon as it answers (B03)", () => {
    bed.agent.neighbors.hold(bed.if10, ip(HOP));
    bed.want(HOP, { on: bed.if10 });
    bed.advance(30_500);
    bed.sent();
    bed.want(HOP, { on: bed.if10 });
    bed.advance(1000);
    expect(bed.requests().length).toBeGreaterThanOrEqual(1);
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

  it("released as often as held, the number comes back and is not looked after any more", () => {
    const id = bed.agent.neighbors.hold(bed.if10, ip(HOP));
    bed.agent.neighbors.hold(bed.if10, ip(HOP));
    bed.want(HOP, { on: bed.if10 });
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
    bed.want("10.1.1.8", { on: bed.if10 });
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
    bed.want("20.1.1.77");
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
    bed.want("20.1.1.12");
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete P20 gw2");
    bed.agent.flushPort(bed.gw2);
    expect(bed.neighbor(bed.if20, "20.1.1.12")).toBe("incomplete");
    bed.sent();
    bed.reply(bed.border, bed.vsi20, B10, "20.1.1.12", G20, "20.1.1.1");
    expect(bed.sent().map(({ kind }) => kind)).toEqual([INJECT.adjacency]);
  });

  it("people may forget a target that is being looked for; its packets end, and so does its place in the count", () => {
    for (let n = 0; n < 3 * SEARCHES_PER_PORT; n++) {
      bed.want("20.1.1.77");
      bed.agent.neighbors.delete(bed.if20, ip("20.1.1.77"));
      bed.sent();
    }
    expect(bed.drops).toEqual({ no_route: 3 * SEARCHES_PER_PORT });
    expect(bed.agent.neighborViews()).toEqual([]);
  });

  it("a VSI-interface that goes takes everything along", () => {
    bed.agent.neighbors.addStatic(bed.if20, ip("20.1.1.9"), M2, bed.vm2, bed.vsi20);
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    bed.want("20.1.1.77");
    bed.agent.flushInterface(bed.if20);
    bed.poll();
    expect(bed.agent.neighborViews()).toEqual([]);
    expect(bed.hosts.size).toBe(0);
    expect(bed.drops).toEqual({ no_route: 1 });
  });

  it("a VSI that goes takes its neighbours along", () => {
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    bed.agent.flushVsi(bed.vsi20);
    expect(bed.agent.neighborViews().map((each) => each.ip)).toEqual(["10.1.1.12"]);
  });

  it("a new gateway MAC is in every rewrite", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    bed.if10.mac = M9;
    bed.agent.neighbors.refreshRewrites(bed.if10);
    const { fib } = bed.tables;
    const row = fib.rewrite[bed.hosts.get("0 10.1.1.12")!]!;
    expect(readMac(fib.rewriteMacs, row * REWRITE_BYTES + 6)).toBe(M9);
  });

  it("delete forgets one", () => {
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    expect(bed.hosts.has("0 10.1.1.12")).toBe(true);
    expect(bed.agent.neighbors.delete(bed.if10, ip("10.1.1.12"))).toBe(true);
    expect(bed.agent.neighbors.delete(bed.if10, ip("10.1.1.12"))).toBe(false);
    expect(bed.agent.neighborViews()).toEqual([]);
  });

  it("views name things, and gauges count them", () => {
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.reply(bed.gw2, bed.vsi10, P10, "10.1.1.12", G10, "10.1.1.1");
    bed.agent.neighbors.addStatic(bed.if10, ip("10.1.1.9"), M3, bed.vm3, bed.vsi10);
    bed.advance(3000);
    expect(bed.agent.neighborViews()[0]).toEqual({
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
    expect(bed.agent.neighborCounts()).toEqual(new Map([["vsi10", { local: 1, remote: 1, static: 1 }]]));
  });

  it("entries are keyed by VSI-interface: the same IP elsewhere is another neighbour", () => {
    const if30 = interfaceOn(3, 10, 0x02aa0000001e);
    const vsi30 = vsiOf(3, 10, if30);
    const vm9 = acOf(9, "vm9", vsi30);
    bed.inventory.addVsi(vsi30);
    bed.inventory.addPort(vm9);
    bed.request(bed.vm1, bed.vsi10, M1, "10.1.1.11", "10.1.1.1");
    bed.request(vm9, vsi30, M9, "10.1.1.11", "10.1.1.1");
    expect(bed.neighbor(bed.if10, "10.1.1.11")).toBe("reachable M1 vm1");
    expect(bed.neighbor(if30, "10.1.1.11")).toBe("reachable M9 vm9");
  });
});
