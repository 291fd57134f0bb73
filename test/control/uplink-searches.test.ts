/** Who may have us look for a host: packets from outside the overlay have a share of their own, or none (`gleanFrom: overlay`). */
import { describe, expect, it } from "vitest";
import { SEARCHES_IN_ALL, SEARCHES_OF_UPLINKS, SEARCHES_PER_PORT } from "../../src/control/neighbor/quota.ts";
import { INJECT, PUNT } from "../../src/tables/counters.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { AgentBed, G10, G20, ip, LIMITS, M1, P20 } from "./agent-bed.ts";

/** The VSIs are uplinks: what comes by them is from outside. */
const outside = (gleanFrom: "any" | "overlay" = "any") => new AgentBed({ vni: null }, { gleanFrom });

function scan(bed: AgentBed, count: number, port = bed.vm1, vsi = bed.vsi10, first = "20.1.2.0"): number {
  for (let n = 0; n < count; n++) {
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(first) + n });
    bed.punt(PUNT.unresolved, port, vsi, frame, { arg: bed.if20.row, arg2: 0 });
    bed.sent();
  }
  return [...bed.agent.neighbors.all()].filter(({ state }) => state === "incomplete").length;
}

describe("hosts looked for at once", () => {
  it("are so many for an uplink, fewer for another port, as configured", () => {
    expect(scan(outside(), 1000)).toBe(LIMITS.searchesOfUplink);
    expect(scan(new AgentBed(), 1000)).toBe(SEARCHES_PER_PORT);
    const bed = outside();
    bed.agent.setLimits({ ...LIMITS, searchesOfUplink: 7 });
    expect(scan(bed, 1000)).toBe(7);
  });

  it("are half of all for all uplinks together, however many and whatever each may: the overlay keeps the other half", () => {
    const bed = outside();
    Object.assign(bed.vsi20.config, { vni: 20 });
    bed.agent.setLimits({ ...LIMITS, searchesOfUplink: 400 });
    expect(scan(bed, 500)).toBe(400);
    expect(scan(bed, 500, bed.vm3, bed.vsi10, "20.1.8.0")).toBe(SEARCHES_OF_UPLINKS);
    expect(scan(bed, 200, bed.vm2, bed.vsi20, "20.1.12.0")).toBe(SEARCHES_OF_UPLINKS + SEARCHES_PER_PORT);
    // What was not found makes room, in each share.
    bed.advance(10_000);
    expect(scan(bed, 500, bed.vm3, bed.vsi10, "20.1.16.0")).toBe(400);
    // An uplink that is none any more is counted as the others are.
    Object.assign(bed.vsi10.config, { vni: 10 });
    expect(scan(bed, 1, bed.vm3, bed.vsi10, "20.1.20.0")).toBe(400);
    Object.assign(bed.vsi20.config, { vni: null });
    // But for the quarter that is for ports with few.
    expect(scan(bed, 500, bed.vm2, bed.vsi20, "20.1.24.0")).toBe((SEARCHES_IN_ALL / 4) * 3);
  });
});

describe("gleanFrom: overlay", () => {
  it("a host that has not spoken is not looked for because of packets from an uplink; one that has is reached", () => {
    const bed = outside("overlay");
    bed.want("20.1.1.12");
    expect(bed.drops).toEqual({ not_gleaned: 1 });
    expect([bed.requests(), bed.agent.neighborViews()]).toEqual([[], []]);
    bed.request(bed.gw2, bed.vsi20, P20, "20.1.1.12", "20.1.1.99");
    bed.sent();
    bed.want("20.1.1.12");
    expect(bed.sent().map(({ kind }) => kind)).toContain(INJECT.adjacency);
    expect(bed.drops).toEqual({ not_gleaned: 1 });
  });

  it("it is because of packets from the overlay, and then packets from an uplink wait with them", () => {
    const bed = new AgentBed({}, { gleanFrom: "overlay" });
    bed.want("20.1.1.12");
    expect(bed.requests()).toHaveLength(1);
    Object.assign(bed.vsi10.config, { vni: null });
    bed.want("20.1.1.12");
    expect(bed.agent.neighbors.waiting).toBe(2);
    bed.reply(bed.gw2, bed.vsi20, P20, "20.1.1.12", G20, "20.1.1.1");
    expect(bed.sent().filter(({ kind }) => kind === INJECT.adjacency)).toHaveLength(2);
    expect(bed.drops).toEqual({});
  });

  it("a next hop of a route is looked for, whichever port sends", () => {
    const bed = outside("overlay");
    bed.agent.neighbors.hold(bed.if20, ip("20.1.1.12"));
    bed.want("20.1.1.12");
    expect(bed.requests()).toHaveLength(1);
    expect(bed.drops).toEqual({});
  });
});
