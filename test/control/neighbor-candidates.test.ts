import { beforeEach, describe, expect, it } from "vitest";
import { AgentBed, G10, ip, M1, M3, M9, P10 } from "./agent-bed.ts";

const HOST = "10.1.1.12";

let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});

const state = () => bed.neighbor(bed.if10, HOST);
const say = () =>
  bed.agent.neighbors.candidates.want("evpn", bed.if10, ip(HOST), { mac: M9, port: bed.gw2, vsi: bed.vsi10 });
const unsay = () => bed.agent.neighbors.candidates.unwant("evpn", bed.if10, ip(HOST));
const hearHere = () => bed.request(bed.vm1, bed.vsi10, M1, HOST, "10.1.1.1");
const hearThere = () => bed.reply(bed.border, bed.vsi10, P10, HOST, G10, "10.1.1.1");
/** The rewrite that workers have of the host; it must never be missing in between. */
const isProgrammed = () => bed.tables.fib.rewrite[bed.hosts.get(`0 ${HOST}`) ?? 0]! !== 0;

describe("candidates of a neighbour: static > heard at an AC > evpn > heard behind a tunnel", () => {
  it("what is said from outside is used at once, and is neither asked nor aged", () => {
    expect(say()).toBe(true);
    expect(state()).toBe("reachable M9 gw2");
    bed.sent();
    bed.advance(3 * 1200_000);
    expect(state()).toBe("reachable M9 gw2");
    expect(bed.sent()).toEqual([]);
    expect(bed.agent.neighborViews()[0]).toMatchObject({ origin: "evpn", state: "reachable" });
    expect(unsay()).toBe(true);
    expect(unsay()).toBe(false);
    expect(state()).toBeNull();
    expect(isProgrammed()).toBe(false);
  });

  it("a host that speaks at an AC is no spoofer: it is believed, and when it falls silent what was said holds", () => {
    say();
    hearHere();
    expect(bed.drops).toEqual({});
    expect(state()).toBe("reachable M1 vm1");
    expect(say()).toBe(true);
    expect(state()).toBe("reachable M1 vm1");
    for (let second = 0; second < 1300 && state() !== "reachable M9 gw2"; second++) {
      expect(isProgrammed()).toBe(true);
      bed.advance(1000);
    }
    expect(state()).toBe("reachable M9 gw2");
    expect(bed.eventsNamed("neighbor.failed")).toEqual([]);
  });

  it("it outranks what a tunnel teaches, which holds again, and is asked, when it is unsaid", () => {
    hearThere();
    expect(state()).toBe("reachable P10 border");
    say();
    expect(state()).toBe("reachable M9 gw2");
    hearThere();
    expect(state()).toBe("reachable M9 gw2");
    bed.sent();
    unsay();
    expect(state()).toBe("delay P10 border");
    expect(isProgrammed()).toBe(true);
    bed.advance(1000);
    expect(bed.sent().length).toBeGreaterThan(0);
    bed.advance(5000);
    expect(state()).toBe("failed P10 border");
  });

  it("a static one outranks all, and what is said holds when it goes", () => {
    say();
    bed.agent.neighbors.addStatic(bed.if10, ip(HOST), M3, bed.vm3, bed.vsi10);
    expect(state()).toBe("reachable M3 vm3");
    say();
    expect(state()).toBe("reachable M3 vm3");
    bed.agent.neighbors.removeStatic(bed.if10, ip(HOST));
    expect(state()).toBe("reachable M9 gw2");
    expect(isProgrammed()).toBe(true);
  });

  it("what was heard before a static one holds when that goes", () => {
    hearHere();
    bed.agent.neighbors.addStatic(bed.if10, ip(HOST), M3, bed.vm3, bed.vsi10);
    bed.agent.neighbors.removeStatic(bed.if10, ip(HOST));
    expect(state()).toBe("delay M1 vm1");
    expect(isProgrammed()).toBe(true);
  });

  it("it counts while its tunnel is up, and goes with it", () => {
    say();
    bed.gw2.up = false;
    bed.agent.flushPort(bed.gw2);
    expect(state()).toBeNull();
    bed.gw2.up = true;
    bed.agent.portUp(bed.gw2);
    expect(state()).toBe("reachable M9 gw2");
    bed.inventory.removePort(bed.gw2);
    bed.agent.flushPort(bed.gw2);
    bed.agent.portUp(bed.gw2);
    expect(state()).toBeNull();
  });

  it("a tunnel's word against the AC leads, after the AC's silence, to where EVPN says it is", () => {
    hearHere();
    say();
    hearThere();
    bed.advance(600);
    expect(state()).toBe("reachable M9 gw2");
  });

  it("what is said fills no limit of what is heard, and has one of its own", () => {
    const place = { mac: M9, port: bed.gw2, vsi: bed.vsi10 };
    const want = (n: number) => bed.agent.neighbors.candidates.want("evpn", bed.if10, ip("10.1.2.0") + n, place);
    let said = 0;
    while (said < 2000 && want(said)) said++;
    expect([said, want(7)]).toEqual([1000, true]);
    // arp.limit is 100 on this VSI-interface.
    for (let n = 0; n < 120; n++)
      bed.arp(bed.vm1, bed.vsi10, { senderMac: M1 + n, senderIp: ip("10.1.1.100") + n, targetIp: ip("10.1.1.1") });
    bed.poll();
    expect(bed.agent.neighborCounts().get("vsi10")).toEqual({ local: 100, remote: 0, static: 0, evpn: 1000 });
    expect(bed.neighbor(bed.if10, "10.1.1.199")).toBe("reachable 02:00:00:00:01:74 vm1");
    bed.agent.neighbors.candidates.unwant("evpn", bed.if10, ip("10.1.2.3"));
    expect(want(1500)).toBe(true);
  });

  it("said of an address of the underlay, at an L3VNI, it takes no host route of its VRF away", () => {
    bed.if20.subnets = [];
    hearHere();
    const route = bed.hosts.get(`0 ${HOST}`);
    const { candidates } = bed.agent.neighbors;
    candidates.want("evpn", bed.if20, ip(HOST), { mac: M9, port: bed.gw2, vsi: bed.vsi20 });
    candidates.unwant("evpn", bed.if20, ip(HOST));
    expect([route, bed.hosts.get(`0 ${HOST}`)]).toEqual([expect.any(Number), route]);
  });

  it("a flush of what was heard leaves what is said, and one of what was said by hand what routes say", () => {
    const { neighbors } = bed.agent;
    const { candidates } = neighbors;
    say();
    expect(neighbors.flushLearned(null)).toBe(0);
    expect(neighbors.delete(bed.if10, ip(HOST))).toBe(false);
    expect([candidates.unwant("hand", bed.if10, ip(HOST)), candidates.flushByHand(null, null)]).toEqual([false, 0]);
    expect(state()).toBe("reachable M9 gw2");
    unsay();
    candidates.want("hand", bed.if10, ip(HOST), { mac: M9, port: bed.gw2, vsi: bed.vsi10 });
    expect([unsay(), candidates.flushByHand(bed.if20, null), state()]).toEqual([false, 0, "reachable M9 gw2"]);
    expect(candidates.flushByHand(null, null)).toBe(1);
    expect(state()).toBeNull();
  });

  it("said to be behind a tunnel that is down, no packet goes where it was said to be before", () => {
    say();
    bed.border.up = false;
    bed.agent.neighbors.candidates.want("evpn", bed.if10, ip(HOST), { mac: P10, port: bed.border, vsi: bed.vsi10 });
    expect(isProgrammed()).toBe(false);
    bed.border.up = true;
    bed.agent.portUp(bed.border);
    expect(state()).toBe("reachable P10 border");
  });

  it("what a tunnel taught does not hold again when the VSI has lost that tunnel meanwhile", () => {
    hearThere();
    say();
    bed.vsi10.tunnels.splice(bed.vsi10.tunnels.indexOf(bed.border), 1);
    bed.agent.leaveTunnels(new Map([[bed.border, new Set([bed.vsi10])]]));
    unsay();
    expect(state()).toBeNull();
    expect(isProgrammed()).toBe(false);
  });

  it("a host whose AC is silent does not move behind a tunnel that has gone since it was heard there", () => {
    hearHere();
    hearThere();
    bed.vsi10.tunnels.splice(bed.vsi10.tunnels.indexOf(bed.border), 1);
    bed.agent.leaveTunnels(new Map([[bed.border, new Set([bed.vsi10])]]));
    bed.advance(10_000);
    expect(bed.neighbor(bed.if10, HOST)).not.toMatch(/border/);
  });
});

describe("said to be behind a tunnel that fell, and looked for", () => {
  const evpn = { rd: "auto", import: [], export: [], learning: "evpn", unknown: "glean" } as const;
  const fallen = (arp: "localProxy" | "suppress" | "flood") => {
    bed = new AgentBed({ arp, evpn });
    say();
    bed.gw2.up = false;
    bed.agent.suspendPort(bed.gw2);
    bed.want(HOST, { on: bed.if10 });
  };

  it.each(["localProxy", "suppress", "flood"] as const)("%s: the answer by another tunnel is used", (arp) => {
    fallen(arp);
    bed.advance(500);
    hearThere();
    expect(state()).toBe("reachable P10 border");
  });

  it.each(["localProxy", "suppress", "flood"] as const)("%s: so is its own word when its place is void", (arp) => {
    fallen(arp);
    bed.advance(15_000);
    bed.request(bed.border, bed.vsi10, M9, HOST, HOST);
    expect(state()).toBe("reachable M9 border");
    bed.gw2.up = true;
    bed.agent.portUp(bed.gw2);
    expect(state()).toBe("reachable M9 gw2");
  });
});
