/**
 * Super-frames through the addon: two VTEPs in one process, each with a TAP in a namespace, carry connections between
 * two kernels with every combination of offloads. The oracle is the far end: a hash of all bytes.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addon } from "../../src/io/addon.ts";
import type * as offloads from "../../src/io/offload.ts";
import * as io from "../../src/io/port-io.ts";
import { judgeSegments, TAP_REFUSES_TCP, TAP_REFUSES_UDP } from "../../src/io/probe.ts";
import * as underlays from "../../src/io/underlay.ts";
import { attachPeer, cleanups, createIo, missing, openUnderlay } from "./ground.ts";
import {
  addNamespace,
  createVtep,
  DATAGRAMS,
  forward,
  ip,
  OFF,
  ON,
  PEER,
  run,
  transfer,
  type Vtep,
} from "./plain-vtep.ts";

if (missing) console.log(`super-frames.test.ts skipped: ${missing}`);

const [LEFT, RIGHT] = [`nsf${process.pid}l`, `nsf${process.pid}r`];

/** Receives datagrams until it has had so many; prints "bytes/segment size" of each message the kernel handed over. */
const GRO_SINK = `
import socket, struct, sys
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.setsockopt(socket.IPPROTO_UDP, 104, 1)
sink.bind((sys.argv[1], 4789))
sink.settimeout(10)
print("ready", flush=True)
seen, had = [], 0
while had < int(sys.argv[2]):
    data, notes, _, _ = sink.recvmsg(65536, 64)
    size = next((struct.unpack("i", value)[0] for level, kind, value in notes if kind == 104), len(data))
    seen.append(f"{len(data)}/{size}")
    had += len(data) // size
print(" ".join(seen), flush=True)`;

describe.skipIf(missing)("super-frames", () => {
  beforeAll(() => {
    for (const netns of [LEFT, RIGHT]) addNamespace(netns);
  });
  afterAll(() => {
    for (const netns of [LEFT, RIGHT]) ip("netns", "del", netns);
  });

  const left = {
    netns: LEFT,
    local: "127.0.9.1",
    remote: "127.0.9.2",
    address: "198.51.100.1",
    mac: "02:00:00:00:01:01",
  };
  const right = {
    netns: RIGHT,
    local: "127.0.9.2",
    remote: "127.0.9.1",
    address: "198.51.100.2",
    mac: "02:00:00:00:01:02",
  };

  const cases: [string, offloads.Offload][] = [
    ["no offload", OFF],
    ["all offloads", ON],
    ["only TSO from the TAP", { ...OFF, tapTso: true }],
    ["only UDP_SEGMENT", { ...OFF, udpGso: true }],
    ["only UDP_GRO", { ...OFF, udpGso: true, udpGro: true }],
    ["only joining", { ...OFF, coalesce: true }],
    ["no UDP_GRO", { ...ON, udpGro: false }],
    ["no joining", { ...ON, coalesce: false }],
  ];
  it.each(cases)("TCP arrives whole with %s", { timeout: 20_000 }, async (_, offload) => {
    const vteps = [createVtep({ ...left, offload }), createVtep({ ...right, offload })];
    await transfer(vteps, LEFT, RIGHT, right.address, 20);
    for (const { seen } of vteps) expect([seen.bad, [...seen.failed]]).toEqual([0, []]);
    const [a, b] = vteps.map((vtep) => vtep.seen) as [Vtep["seen"], Vtep["seen"]];
    if (offload.tapTso) expect(a.tapUnits / a.tapFrames).toBeGreaterThan(5);
    else expect(a.tapUnits).toBe(a.tapFrames);
    if (offload.coalesce) expect(b.tunnelUnits / b.tunnelFrames).toBeGreaterThan(offload.udpGro ? 5 : 2);
    else expect(b.tunnelUnits).toBe(b.tunnelFrames);
    expect(b.tunnelUnits).toBe(a.tapUnits);
  });

  it("TCP arrives whole over IPv6", { timeout: 20_000 }, async () => {
    const [one, two] = [`fd00:${process.pid % 10000}::1`, `fd00:${process.pid % 10000}::2`];
    for (const address of [one, two]) ip("addr", "add", `${address}/128`, "dev", "lo", "nodad");
    try {
      const vteps = [
        createVtep({ ...left, local: one, remote: two, offload: ON }),
        createVtep({ ...right, local: two, remote: one, offload: ON }),
      ];
      await transfer(vteps, LEFT, RIGHT, right.address, 20);
      for (const { seen } of vteps) expect([seen.bad, [...seen.failed]]).toEqual([0, []]);
      expect(vteps[1]!.seen.tunnelUnits / vteps[1]!.seen.tunnelFrames).toBeGreaterThan(5);
    } finally {
      for (const address of [one, two]) ip("addr", "del", `${address}/128`, "dev", "lo");
    }
  });

  it("small datagrams of a flow cross as super-frames and arrive one by one", { timeout: 20_000 }, async () => {
    const vteps = [createVtep({ ...left, offload: ON }), createVtep({ ...right, offload: ON })];
    const sink = run(RIGHT, DATAGRAMS, "listen");
    await sink.ready;
    await forward(vteps, Promise.all([sink.done, run(LEFT, DATAGRAMS, "send", right.address).done]));
    expect(sink.lines[1]).toBe("2000 datagrams of 100 bytes");
    const [a, b] = vteps as [Vtep, Vtep];
    expect([a.seen.bad, b.seen.bad, [...b.seen.failed]]).toEqual([0, 0, []]);
    expect(b.seen.tunnelUnits).toBe(a.seen.tapUnits);
    expect(b.seen.tunnelUnits / b.seen.tunnelFrames).toBeGreaterThan(2);
  });

  it("a narrow route is a path MTU event: what is too long fails, the rest leaves by UDP_SEGMENT", () => {
    const narrow = "127.0.9.77";
    ip("route", "add", "local", narrow, "dev", "lo", "mtu", "1280", "table", "local");
    try {
      const { io: port } = createVtep({ ...left, remote: narrow, offload: ON });
      for (let i = 0; i < 60; i++) {
        port.sends.set([port.scratchAt, i < 30 ? 1400 : 600, PEER, 0, 0, 0, 0, 0, 0, 0, 1], i * io.SEND_WORDS);
      }
      port.exchange(60, 0);
      const errors = Array.from({ length: 60 }, (_, i) => port.sends[i * io.SEND_WORDS + io.S_ERROR]!);
      expect(errors).toEqual([...new Array(30).fill(-90), ...new Array(30).fill(0)]);
      const { fallbacks, offload } = port.features();
      expect([fallbacks.udp_gso_emsgsize, offload.udpGso]).toEqual([1, true]);
      expect(underlays.pathMtu(left.local, narrow)).toBe(1280);
    } finally {
      ip("route", "del", "local", narrow, "dev", "lo", "table", "local");
    }
  });

  it("writes packets to a TAP that takes no super-frames, as the probe said", { timeout: 20_000 }, async () => {
    for (const [tapRefuses, joins] of [
      [TAP_REFUSES_TCP, false],
      [TAP_REFUSES_UDP, true],
    ] as const) {
      const vteps = [createVtep({ ...left, offload: ON }), createVtep({ ...right, offload: ON, tapRefuses })];
      await transfer(vteps, LEFT, RIGHT, right.address, 10);
      const [a, b] = vteps as [Vtep, Vtep];
      expect([a.seen.bad, b.seen.bad, [...b.seen.failed]]).toEqual([0, 0, []]);
      expect(b.seen.tunnelUnits).toBe(a.seen.tapUnits);
      expect(b.seen.tunnelUnits / b.seen.tunnelFrames > 2).toBe(joins);
      expect(b.io.features().fallbacks).toMatchObject({ tap_gso_probe: 1, tap_gso_einval: 0 });
      while (cleanups.length > 0) cleanups.pop()!();
    }
  });

  it.for([64, 128])("puts as many datagrams into one send as the kernel takes: %i", async (segmentCap, { skip }) => {
    if (segmentCap > judgeSegments(addon().probeSegments()).found) skip("an older kernel");
    const far = "127.0.9.78";
    const port = createIo({ underlay: openUnderlay(left.local), offload: ON, segmentCap });
    expect(attachPeer(port, PEER, far)).toBe(0);
    const sink = spawn("python3", ["-c", GRO_SINK, far, "130"], { stdio: ["ignore", "pipe", "inherit"] });
    cleanups.push(() => sink.kill("SIGKILL"));
    const lines = createInterface({ input: sink.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe("ready");
    for (let i = 0; i < 130; i++)
      port.sends.set([port.scratchAt, 100, PEER, 0, 0, 0, 0, 0, 0, 0, 1], i * io.SEND_WORDS);
    port.exchange(130, 0);
    const want = segmentCap === 64 ? [64, 64, 2] : [128, 2];
    expect((await lines.next()).value).toBe(want.map((count) => `${count * 100}/100`).join(" "));
    expect(port.features().fallbacks.udp_gso_einval).toBe(0);
  });

  it("sends again as singles what UDP_SEGMENT refuses, each datagram once", { timeout: 20_000 }, async () => {
    // Outer checksum zero makes every UDP_SEGMENT send EINVAL (datapath T2).
    const vteps = [createVtep({ ...left, offload: ON, zeroChecksum: true }), createVtep({ ...right, offload: ON })];
    await transfer(vteps, LEFT, RIGHT, right.address, 10);
    const [a, b] = vteps as [Vtep, Vtep];
    expect([a.seen.bad, b.seen.bad, [...a.seen.failed]]).toEqual([0, 0, []]);
    expect(b.seen.tunnelUnits).toBe(a.seen.tapUnits);
    const refused = a.io.features().fallbacks.udp_gso_einval;
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(12); // the cap is halved each time, then UDP_SEGMENT rests
    expect(a.io.features().offload).toEqual(ON);
  });
});
