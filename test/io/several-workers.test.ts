/**
 * What several workers share of the outside: one port of the underlay and its source ports, a TAP with a queue for each, and
 * a TAP with one queue for all. On loopback addresses and in a namespace; needs root, skipped with a reason otherwise.
 */
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as native from "../../src/io/native.ts";
import * as io from "../../src/io/port-io.ts";
import * as taps from "../../src/io/tap.ts";
import * as underlays from "../../src/io/underlay.ts";
import {
  attachPeer,
  bytesOf,
  cleanups,
  createIo,
  f,
  missing,
  openTap,
  openUnderlay,
  putSend,
  receive,
  s,
  vxlanPacket,
} from "./ground.ts";

if (missing) console.log(`several-workers.test.ts skipped: ${missing}`);

const NETNS = `nsw${process.pid}`;
const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

/** Sets of sockets on one address, as so many workers have them. */
function openShared(address: string, workers: number, port = 4789): underlays.Underlay[] {
  const request = { address, port, sourcePorts: { first: 50000, count: 4 }, isShared: true };
  const all: underlays.Underlay[] = [];
  for (let k = 0; k < workers; k++) {
    const one = underlays.openUnderlay(all[0] === undefined ? request : { ...request, beside: all[0] });
    cleanups.push(() => [one.fd, ...one.txFds].map(native.closeFd));
    all.push(one);
  }
  return all;
}

describe.skipIf(missing)("one port, several workers", () => {
  it("a flow leaves by the same source port, whichever worker sends it, also when one of the ports is taken", async () => {
    const taken = createSocket("udp4").bind(50001, "127.0.0.51");
    const far = createSocket("udp4").bind(4789, "127.0.0.52");
    await Promise.all([once(taken, "listening"), once(far, "listening")]);
    cleanups.push(
      () => taken.close(),
      () => far.close(),
    );
    const ports: Record<string, number[]> = {};
    let came = 0;
    far.on("message", (bytes, from) => {
      came++;
      (ports[bytes.readUInt32BE(22)] ??= []).push(from.port);
    });
    const workers = openShared("127.0.0.51", 3).map((underlay) => createIo({ underlay }));
    for (const [k, one] of workers.entries()) {
      attachPeer(one, 1, "127.0.0.52");
      for (let flow = 0; flow < 8; flow++) {
        const at = one.scratchAt + 64 + flow * 2048;
        one.arena.set(vxlanPacket(64, flow), at);
        putSend(one, flow, { at, length: 64, port: 1, entropy: flow });
      }
      one.exchange(8, 0);
      while (came < 8 * (k + 1)) await once(far, "message");
    }
    const expected = [50000, 50002, 50003, 50004].flatMap((port, i) => [
      [String(i), [port, port, port]],
      [String(i + 4), [port, port, port]],
    ]);
    expect(ports).toEqual(Object.fromEntries(expected));
  });

  it("a flow arrives at one worker, in order, and no datagram at two or none", () => {
    const near = openShared("127.0.0.53", 3).map((underlay) => createIo({ underlay }));
    const far = createIo({ underlay: openUnderlay("127.0.0.54", 4789, 32) });
    attachPeer(far, 1, "127.0.0.53");
    for (const one of near) attachPeer(one, 1, "127.0.0.54");
    const FLOWS = 32;
    const ROUNDS = 8;
    for (let round = 0; round < ROUNDS; round++) {
      for (let flow = 0; flow < FLOWS; flow++) {
        const at = far.scratchAt + 64 + flow * 2048;
        far.arena.set(vxlanPacket(64, (flow << 16) | round), at);
        putSend(far, flow, { at, length: 64, port: 1, entropy: flow });
      }
      far.exchange(FLOWS, 0);
    }
    const at: number[] = [];
    const rounds = Array.from({ length: FLOWS }, (): number[] => []);
    for (const [k, one] of near.entries())
      receive(one, Number.POSITIVE_INFINITY, (index) => {
        const mark = bytesOf(one, index).readUInt32BE(22);
        expect(at[mark >> 16] ?? k, "the worker of the flow").toBe(k);
        at[mark >> 16] = k;
        rounds[mark >> 16]!.push(mark & 0xffff);
      });
    expect(rounds).toEqual(rounds.map(() => Array.from({ length: ROUNDS }, (_, round) => round)));
    expect(new Set(at).size, "32 flows and not all at one of three").toBeGreaterThan(1);
  });

  it.each([["127.0.0.55"], ["::1"]])(
    "no other gets on the port of %s: neither a daemon with one worker nor the first worker of another",
    (address) => {
      const port = 4791;
      expect(openShared(address, 2, port).map(({ txFds }) => txFds.length)).toEqual([4, 4]);
      const request = { address, port, sourcePorts: { first: 51000, count: 1 } };
      expect(() => underlays.openUnderlay(request)).toThrow(/EADDRINUSE/);
      expect(() => underlays.openUnderlay({ ...request, isShared: true })).toThrow(/EADDRINUSE/);
    },
  );

  it("what is sent to a source port reaches no reader, and no socket keeps it", async () => {
    const [first] = openShared("127.0.0.56", 2);
    const stranger = createSocket("udp4").bind(0, "127.0.0.57");
    await once(stranger, "listening");
    cleanups.push(() => stranger.close());
    for (let i = 0; i < 8; i++)
      await new Promise((resolve) => stranger.send(Buffer.alloc(100), 50000, "127.0.0.56", resolve));
    const rows = execFileSync("cat", ["/proc/net/udp"], { encoding: "utf8" }).split("\n");
    const ours = rows.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local === "3800007F:C350");
    expect(ours).toHaveLength(2);
    for (const row of ours) expect(row[4]).toMatch(/:00000000$/); // tx_queue:rx_queue
    expect(first!.txFds).toHaveLength(4);
  });
});

describe.skipIf(missing)("one TAP, several workers", () => {
  beforeAll(() => {
    ip("netns", "add", NETNS);
    ip("-n", NETNS, "link", "set", "lo", "up");
  });
  afterAll(() => {
    ip("netns", "del", NETNS);
  });

  const up = (tap: taps.Tap): taps.Tap => {
    taps.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
    return tap;
  };

  it("somebody else's queues are not joined, whichever mode is asked for", () => {
    up(openTap({ device: "sw0", netns: NETNS, queues: 2 }));
    for (const queues of [undefined, 2, 3])
      expect(() => taps.openTap({ device: "sw0", netns: NETNS, ...(queues ? { queues } : {}) })).toThrow(
        /EBUSY.*another process has the device open/,
      );
    up(openTap({ device: "sw1", netns: NETNS }));
    expect(() => taps.openTap({ device: "sw1", netns: NETNS, queues: 2 })).toThrow(/EBUSY/);
  });

  it("a persistent device keeps its queue mode, and is opened in that", () => {
    const close = (tap: taps.Tap): void => tap.fds.forEach((fd) => void native.closeFd(fd));
    const open = (queues?: number): taps.Tap =>
      up(taps.openTap({ device: "sw2", netns: NETNS, persist: true, ...(queues ? { queues } : {}) }));
    const made = open();
    close(made);
    const again = open(3);
    expect([again.ifindex, again.fds.length]).toEqual([made.ifindex, 1]);
    close(again);
    ip("-n", NETNS, "link", "del", "sw2");
    const wide = open(3);
    expect(wide.fds).toHaveLength(3);
    close(wide);
    const narrow = open();
    expect([narrow.ifindex, narrow.fds.length]).toEqual([wide.ifindex, 1]);
    close(narrow);
    expect(open(2).fds).toHaveLength(2);
    ip("-n", NETNS, "link", "del", "sw2");
    // A name that something else has is no matter of queues.
    expect(() => taps.openTap({ device: "lo", netns: NETNS, queues: 2 })).toThrow(/EINVAL.*ip link del/);
  });

  it("a TAP with one queue is written by both workers and read by one", () => {
    const [reader, writer] = [createIo(), createIo()];
    const tap = up(openTap({ device: "sw3", netns: NETNS }));
    ip("-n", NETNS, "addr", "add", "198.51.100.1/24", "dev", "sw3");
    ip("-n", NETNS, "neigh", "add", "198.51.100.2", "lladdr", "02:00:00:00:00:02", "dev", "sw3");
    const mac = ip("netns", "exec", NETNS, "cat", "/sys/class/net/sw3/address").trim();
    expect(reader.attachTap(7, tap.fds[0]!)).toBe(0);
    expect(writer.attachTapToWrite(7, tap.fds[0]!)).toBe(0);
    expect(writer.attachTapToWrite(7, tap.fds[0]!)).toBe(-17);
    // ARP requests (RFC 826) from .2 for the kernel's .1; the kernel answers with the frame's own mark as target.
    const answers: number[] = [];
    const take = (one: native.NativePortIo, count: number): void => {
      for (let index = 0; index < count; index++) {
        const frame = bytesOf(one, index);
        if (frame.subarray(6, 12).toString("hex") !== mac.replaceAll(":", "") || frame[13] !== 6) continue;
        expect(one.frames[f(index, io.F_SOURCE)]).toBe(7);
        answers.push(frame[41]!);
      }
    };
    const ask = (one: native.NativePortIo, last: number): void => {
      const head = `ffffffffffff02000000000208060001080006040001020000000002c63364${last.toString(16).padStart(2, "0")}`;
      const request = Buffer.from(`${head}000000000000c6336401`, "hex");
      one.arena.set(request, one.scratchAt + 64);
      putSend(one, 0, { at: one.scratchAt + 64, length: request.length, port: 7 });
      take(one, one.exchange(1, 0));
      expect([one.sends[s(0, io.S_DONE)], one.sends[s(0, io.S_ERROR)]]).toEqual([1, 0]);
    };
    const listen = (one: native.NativePortIo, last: number): void => {
      for (let looks = 0; answers.at(-1) !== last; looks++) {
        expect(looks, "an answer within some seconds").toBeLessThan(50);
        take(one, one.exchange(0, 100));
      }
    };
    for (const [one, last] of [
      [writer, 10],
      [reader, 11],
      [writer, 12],
    ] as const) {
      ask(one, last);
      listen(reader, last);
    }
    expect(answers).toEqual([10, 11, 12]);
    expect(writer.exchange(0, 0), "the writer hears nothing").toBe(0);
    // The reader lets go, and the other one takes over.
    for (const one of [reader, writer]) one.detach(7);
    expect(writer.attachTap(7, tap.fds[0]!)).toBe(0);
    ask(writer, 13);
    listen(writer, 13);
  });
});
