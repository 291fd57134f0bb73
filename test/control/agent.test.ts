import { beforeEach, describe, expect, it } from "vitest";
import { BUDGET } from "../../src/control/agent.ts";
import { DROP, PUNT, RECORD_TOO_BIG } from "../../src/tables/counters.ts";
import { R_KIND, R_PORT, R_UNITS, R_VSI } from "../../src/tables/ring.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame, udpFrame } from "../dataplane/packets.ts";
import { AgentBed, G10, ip, M1 } from "./agent-bed.ts";

let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});

/** Put a request for the gateway in the ring, without letting the agent act. */
function enqueue(): void {
  const frame = arpFrame({
    ethDst: BROADCAST,
    ethSrc: M1,
    op: 1,
    senderMac: M1,
    senderIp: ip("10.1.1.11"),
    targetMac: 0,
    targetIp: ip("10.1.1.1"),
  });
  const ring = bed.tables.punts[0]!;
  const at = ring.reserve(frame.length);
  ring.words[at + R_KIND] = PUNT.arp;
  ring.words[at + R_PORT] = bed.vm1.row;
  ring.words[at + R_VSI] = bed.vsi10.row;
  ring.words[at + R_UNITS] = 1;
  ring.bytes.set(frame, ring.frameAt(at));
  ring.commit();
}

describe("Agent", () => {
  it("a round takes its budget and no more; `more` tells", () => {
    for (let i = 0; i < BUDGET + 10; i++) enqueue();
    bed.agent.poll(bed.nowMs);
    expect(bed.sent().length).toBe(BUDGET);
    expect(bed.agent.more()).toBe(true);
    bed.agent.poll(bed.nowMs);
    expect(bed.sent().length).toBe(10);
    expect(bed.agent.more()).toBe(false);
  });

  it("tells when it wants to be called again", () => {
    const due = bed.agent.poll(bed.nowMs)!;
    expect(due).toBeGreaterThan(bed.nowMs);
    expect(due).toBeLessThanOrEqual(bed.nowMs + 1000);
  });

  it("the ledger balances over a mix of fates, held ones included", () => {
    enqueue();
    bed.poll();
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.77") });
    for (let i = 0; i < 20; i++) bed.punt(PUNT.unresolved, bed.vm1, bed.vsi10, frame, { arg: 2, arg2: 0, units: 3 });
    expect(bed.agent.ledger.held).toBe(48);
    expect(bed.drops).toEqual({ unresolved_queue_full: 12 });
    bed.advance(4000);
    expect(bed.agent.ledger.held).toBe(0);
    expect(bed.drops).toEqual({ unresolved_queue_full: 12, unresolved_timeout: 48 });
    expect(bed.agent.imbalance()).toBe(0);
  });

  it("MACs not learned and moves not believed are no frames of the ledger", () => {
    for (let n = 0; n < 20; n++) bed.learn(bed.vm1, bed.vsi10, 0x020000300000 + n);
    expect(bed.tables.controlCounters.refused[DROP.mac_limit]).toBe(12);
    expect(bed.tables.controlCounters.drops[DROP.mac_limit]).toBe(0);
    expect(bed.agent.imbalance()).toBe(0);
  });

  it("a datagram too big for the underlay is passed on, not judged", () => {
    bed.record(RECORD_TOO_BIG, bed.gw2, bed.vsi10, 1500, 0);
    expect(bed.tooBig).toEqual(["gw2 1500"]);
    expect(bed.eventsNamed("underlay.mtu")).toEqual([{ tunnel: "gw2", bytes: 1500 }]);
  });

  it("a record of no known kind is a mistake of ours: it stops the process", () => {
    expect(() => bed.punt(0, bed.vm1, bed.vsi10, new Uint8Array(20))).toThrow(/no record of kind 0/);
  });

  it("a stop of a minute expires nothing that answers, and sets off no storm (F10)", () => {
    for (let n = 0; n < 90; n++)
      bed.arp(n < 45 ? bed.vm1 : bed.vm3, bed.vsi10, {
        senderMac: 0x020000400000 + n,
        senderIp: ip("10.1.1.20") + n,
        targetIp: ip("10.1.1.1"),
      });
    bed.sent();
    bed.advance(570_000);
    bed.agent.poll(bed.nowMs + 60_000);
    expect(bed.agent.neighbors.size).toBe(90);
    expect(bed.sent().length).toBeLessThanOrEqual(90);
  });
});
