/** Draining in virtual time: how long a stop waits, and for whom. */
import { beforeEach, describe, expect, it } from "vitest";
import { Drain } from "../../src/liveness/drain.ts";

let nowMs: number;
let received: number;
/** Packets that come by tunnels until this time. */
let busyUntilMs: number;
let isDistributed: boolean;
let attracts: boolean;
let limitMs: number;
let downTrack: string | null;
const said: string[] = [];
let drain: Drain;

beforeEach(() => {
  nowMs = 1000;
  received = 0;
  busyUntilMs = 0;
  isDistributed = false;
  attracts = false;
  limitMs = 4000;
  downTrack = null;
  said.length = 0;
  drain = new Drain({
    agent: { setDraining: (isDraining) => said.push(`agent ${isDraining}`) },
    inventory: {
      get interfaces() {
        return new Map([[1, { config: { distributed: isDistributed }, vsis: [{ tunnels: [{ up: true }] }] }]]);
      },
    } as never,
    limitMs: () => limitMs,
    received: () => received,
    downTrack: () => downTrack,
    attracts: () => attracts,
    tellPeers: (isDraining) => said.push(`bfd ${isDraining}`),
    emit: (_, event) => said.push(event),
    now: () => nowMs,
    async pause(ms) {
      nowMs += ms;
      if (nowMs <= busyUntilMs) received++;
    },
  });
});

describe("a stop", () => {
  it("waits until no packet has come by a tunnel for a while", async () => {
    busyUntilMs = 3000;
    await drain.leave();
    expect(said).toEqual(["agent true", "bfd true", "gateway.draining"]);
    expect(nowMs).toBe(3300);
  });

  it("waits no longer than the limit, counted from when the drain began", async () => {
    busyUntilMs = 1e9;
    drain.begin();
    nowMs += 3000;
    await drain.leave();
    expect(nowMs).toBe(5000);
  });

  it("waits for those too who come by routes, although all addresses are shared", async () => {
    isDistributed = true;
    attracts = true;
    busyUntilMs = 2000;
    await drain.leave();
    expect(said).toEqual(["agent true", "bfd true", "gateway.draining"]);
    expect(nowMs).toBe(2300);
  });

  it("waits for no peer where all addresses are shared, or where it shall not", async () => {
    isDistributed = true;
    await drain.leave();
    isDistributed = false;
    limitMs = 0;
    await drain.leave();
    expect([nowMs, said]).toEqual([1000, []]);
  });

  it("waits no longer when it is told so", async () => {
    busyUntilMs = 1e9;
    const left = drain.leave();
    drain.hurry();
    await left;
    expect(nowMs).toBe(1100);
  });
});

it("a drain that a person begins ends when that person ends it; twice is once", () => {
  expect([drain.begin(), drain.begin(), drain.isOn]).toEqual([true, false, true]);
  expect([drain.end(), drain.end(), drain.isOn]).toEqual([true, false, false]);
  expect(said).toEqual(["agent true", "bfd true", "gateway.draining", "agent false", "bfd false", "gateway.undrained"]);
});

describe("a track that is down", () => {
  it("drains, and its return ends that, whatever a person says meanwhile", () => {
    downTrack = "isp";
    drain.follow();
    expect([drain.isOn, drain.reason]).toEqual([true, "draining: track isp is down"]);
    expect([drain.begin(), drain.end(), drain.isOn]).toEqual([false, false, true]);
    downTrack = null;
    drain.follow();
    drain.follow();
    expect(drain.isOn).toBe(false);
    expect(said).toEqual([
      "agent true",
      "bfd true",
      "gateway.draining",
      "agent false",
      "bfd false",
      "gateway.undrained",
    ]);
  });

  it("does not end what a person asked for", () => {
    drain.begin();
    downTrack = "isp";
    drain.follow();
    downTrack = null;
    drain.follow();
    expect([drain.isOn, drain.reason]).toEqual([true, "draining"]);
    expect(drain.end()).toBe(true);
  });
});
