/**
 * The underlay's sockets and the batch through them, on loopback addresses. Needs root; skipped with a reason otherwise.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as native from "../../src/io/native.ts";
import * as io from "../../src/io/port-io.ts";
import * as taps from "../../src/io/tap.ts";
import * as underlays from "../../src/io/underlay.ts";
import {
  attachPeer,
  bytesOf,
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

if (missing) console.log(`underlay.test.ts skipped: ${missing}`);

describe.skipIf(missing)("underlay", () => {
  it("clear errors", () => {
    openUnderlay("127.0.0.21");
    expect(() =>
      underlays.openUnderlay({ address: "127.0.0.21", port: 4789, sourcePorts: { first: 1, count: 1 } }),
    ).toThrow(/underlay 127.0.0.21 port 4789: cannot bind the VTEP address: EADDRINUSE.*ss -ulpn/);
    const elsewhere = { address: "203.0.113.1", port: 4789, sourcePorts: { first: 1, count: 1 } };
    expect(() => underlays.openUnderlay(elsewhere)).toThrow(/EADDRNOTAVAIL.*no interface has this address/);
    expect(() => underlays.deviceMtuFor("203.0.113.1")).toThrow(/EADDRNOTAVAIL/);
    expect(underlays.deviceMtuFor("127.0.0.21")).toEqual({
      ...{ device: "lo", ifindex: 1, mtu: 65536 },
      ...{ isUp: true, hasCarrier: true, gro: true, tso: true },
    });
    expect(underlays.pathMtu("127.0.0.21", "127.0.0.22")).toBeGreaterThan(1280);
  });

  it("skips a taken source port", async () => {
    const taken = createSocket("udp4").bind(50001, "127.0.0.22");
    await once(taken, "listening");
    const underlay = openUnderlay("127.0.0.22", 4789, 3);
    const ports = underlay.txFds.map((fd) => portOf(fd));
    expect(ports).toEqual([50000, 50002, 50003]);
    taken.close();
  });

  it("carries datagrams both ways with TOS; an unknown sender is 0", async () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.31") });
    const b = createIo({ underlay: openUnderlay("127.0.0.32") });
    expect(attachPeer(a, 5, "127.0.0.32")).toBe(0);
    expect(attachPeer(b, 6, "127.0.0.31")).toBe(0);
    expect(attachPeer(a, 8, "127.0.0.32")).toBe(-98);
    expect(attachPeer(a, 8, "::1")).toBe(-97);
    for (let i = 0; i < 4; i++) {
      const bytes = vxlanPacket(60 + i, 1000 + i);
      a.arena.set(bytes, a.scratchAt + i * 2048);
      putSend(a, i, {
        at: a.scratchAt + i * 2048,
        length: bytes.length,
        port: 5,
        tos: i === 0 ? 0 : 0xb8 + i,
        entropy: 0,
      });
    }
    a.exchange(4, 0);
    expect(a.status[io.STATUS_FAILED]).toBe(0);
    const seen: unknown[] = [];
    receive(b, 4, (i) => {
      const bytes = bytesOf(b, i);
      expect((b.frames[f(i, io.F_AT)]! + 8) % 64).toBe(0);
      seen.push([bytes.length, bytes.readUInt32BE(22), b.frames[f(i, io.F_SOURCE)], b.frames[f(i, io.F_OUTER_TOS)]]);
      expect(b.frames[f(i, io.F_OUTER_SOURCE)]).toBe(0x7f00001f);
    });
    expect(seen).toEqual([
      [60, 1000, 6, 0],
      [61, 1001, 6, 0xb9],
      [62, 1002, 6, 0xba],
      [63, 1003, 6, 0xbb],
    ]);
    b.detach(6);
    a.exchange(1, 0);
    receive(b, 1, (i) => expect(b.frames[f(i, io.F_SOURCE)]).toBe(0));
    expect(attachPeer(b, 9, "127.0.0.31")).toBe(0);
    a.exchange(1, 0);
    receive(b, 1, (i) => expect(b.frames[f(i, io.F_SOURCE)]).toBe(9));
  });

  it("bytes that leave by a TAP and by a tunnel reach the tunnel with their VXLAN header", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.37"), offload: { tapTso: true } });
    const b = createIo({ underlay: openUnderlay("127.0.0.38") });
    const tap = openTap({ device: "vtflood0" });
    taps.setTap(tap.fds[0]!, { up: true });
    expect(a.attachTap(1, tap.fds[0]!)).toBe(0);
    expect(attachPeer(a, 2, "127.0.0.38")).toBe(0);
    const bytes = vxlanPacket(200, 77);
    const at = a.scratchAt + 120;
    a.arena.fill(0xa5, a.scratchAt, at);
    a.arena.set(bytes, at);
    // The tunnel's record first, as the data plane may write them; TAPs are served before tunnels.
    putSend(a, 0, { at, length: 200, port: 2 });
    putSend(a, 1, { at: at + 8, length: 192, port: 1 });
    putSend(a, 2, { at: at + 8, length: 192, port: 1 });
    a.exchange(3, 0);
    expect(a.status[io.STATUS_FAILED]).toBe(0);
    expect(a.arena.subarray(a.scratchAt, at).every((byte) => byte === 0xa5)).toBe(true);
    expect(receive(b, 1, (i) => expect(bytesOf(b, i)).toEqual(bytes))).toBe(1);
  });

  it("over IPv6, and the traffic class with it", () => {
    const a = createIo({ underlay: openUnderlay("::1", 4790) });
    expect(attachPeer(a, 5, "::1", 4790)).toBe(0);
    const bytes = vxlanPacket(100, 7);
    a.arena.set(bytes, a.scratchAt);
    putSend(a, 0, { at: a.scratchAt, length: 100, port: 5, tos: 0x2a, entropy: 1 });
    const check = (i: number): void => {
      expect(bytesOf(a, i)).toEqual(bytes);
      expect([a.frames[f(i, io.F_SOURCE)], a.frames[f(i, io.F_OUTER_TOS)]]).toEqual([5, 0x2a]);
    };
    expect(receive(a, 1, check, 1)).toBe(1);
  });

  it.each([
    ["::1", false, ["with"]],
    ["::1", true, ["without", "with"]],
    ["127.0.0.39", false, ["without", "with"]],
  ])(
    "to %s, where zero checksums are accepted: %s, come those %o a checksum (RFC 6935, RFC 768)",
    (address, accepts, come) => {
      const a = createIo({ underlay: openUnderlay(address, 4790, 2, { acceptsZeroChecksum: accepts }) });
      expect(attachPeer(a, 5, address, 4790)).toBe(0);
      const names = new Map<string, string>();
      // One after the other, the one with a checksum last: when it is there, the other one would be.
      for (const [seed, name] of [
        [1, "without"],
        [2, "with"],
      ] as const) {
        names.set(vxlanPacket(100, seed).join(), name);
        const sender = createIo({
          underlay: openUnderlay(address, 4790 + seed, 2, { zeroChecksum: name === "without" }),
        });
        expect(attachPeer(sender, 5, address, 4790)).toBe(0);
        sender.arena.set(vxlanPacket(100, seed), sender.scratchAt);
        putSend(sender, 0, { at: sender.scratchAt, length: 100, port: 5, entropy: 1 });
        sender.exchange(1, 0);
        expect(sender.status[io.STATUS_FAILED]).toBe(0);
      }
      const heard: string[] = [];
      receive(a, come.length, (i) => heard.push(names.get(bytesOf(a, i).join())!));
      expect(heard).toEqual(come);
    },
  );

  it("the source port follows the entropy", async () => {
    const far = createSocket("udp4").bind(4789, "127.0.0.34");
    await once(far, "listening");
    const ports: number[] = [];
    far.on("message", (_, from) => ports.push(from.port));
    const a = createIo({ underlay: openUnderlay("127.0.0.33", 4789, 4) });
    attachPeer(a, 1, "127.0.0.34");
    a.arena.set(vxlanPacket(64, 1), a.scratchAt);
    for (let i = 0; i < 8; i++) putSend(a, i, { at: a.scratchAt, length: 64, port: 1, entropy: i * 3 });
    a.exchange(8, 0);
    while (ports.length < 8) await once(far, "message");
    expect([...new Set(ports)].sort()).toEqual([50000, 50001, 50002, 50003]);
    far.close();
  });

  it("an unreachable peer and an oversized datagram do not disturb the others", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.35") });
    const b = createIo({ underlay: openUnderlay("127.0.0.36") });
    attachPeer(a, 1, "127.0.0.36");
    attachPeer(a, 2, "255.255.255.255"); // EACCES: no broadcast permission
    attachPeer(b, 1, "127.0.0.35");
    a.arena.set(vxlanPacket(66000, 3), a.scratchAt);
    for (let i = 0; i < 200; i++) {
      const port = i % 10 === 3 ? 2 : 1;
      putSend(a, i, { at: a.scratchAt, length: i % 10 === 7 ? 65508 : 200, port, entropy: 0 });
    }
    a.exchange(200, 0);
    const errors = new Map<number, number>();
    for (let i = 0; i < 200; i++) {
      const error = a.sends[s(i, io.S_ERROR)]!;
      errors.set(error, (errors.get(error) ?? 0) + 1);
      expect(a.sends[s(i, io.S_DONE)]).toBe(error === 0 ? 1 : 0);
    }
    expect(errors).toEqual(
      new Map([
        [0, 160],
        [-13, 20],
        [-90, 20],
      ]),
    );
    expect(a.status[io.STATUS_FAILED]).toBe(40);
    expect(receive(b, 160)).toBe(160);
  });

  it("records that name no port or lie outside the arena fail alone", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.37") });
    attachPeer(a, 1, "127.0.0.37");
    a.arena.set(vxlanPacket(64, 3), a.scratchAt);
    putSend(a, 0, { at: a.scratchAt, length: 64, port: 9 });
    putSend(a, 1, { at: -4, length: 64, port: 1 });
    putSend(a, 2, { at: a.arena.length - 10, length: 64, port: 1 });
    putSend(a, 3, { at: a.scratchAt, length: 64, port: 1, chain: 3 });
    putSend(a, 4, { at: a.scratchAt, length: 8, port: 1 });
    putSend(a, 5, { at: a.scratchAt, length: 64, port: 4096 });
    putSend(a, 6, { at: a.scratchAt, length: 64, port: 1 });
    expect(receive(a, 1, () => {}, 7)).toBe(1);
    expect([0, 1, 2, 3, 4, 5, 6].map((i) => a.sends[s(i, io.S_ERROR)])).toEqual([-19, -22, -22, -22, -22, -19, 0]);
  });

  it("a burst of 1000 frames arrives whole and in order", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.38") });
    const b = createIo({ underlay: openUnderlay("127.0.0.39") });
    attachPeer(a, 1, "127.0.0.39");
    attachPeer(b, 1, "127.0.0.38");
    for (let i = 0; i < 1000; i++) {
      a.arena.set(vxlanPacket(64, i), a.scratchAt + i * 128);
      putSend(a, i, { at: a.scratchAt + i * 128, length: 64, port: 1 });
    }
    a.exchange(1000, 0);
    expect(a.status[io.STATUS_FAILED]).toBe(0);
    const marks: number[] = [];
    receive(b, 1000, (i) => marks.push(bytesOf(b, i).readUInt32BE(22)));
    expect(marks).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it("the source port with the fewest bytes is served first, and each in order", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.43", 4789, 4) });
    const b = createIo({ underlay: openUnderlay("127.0.0.44") });
    attachPeer(a, 1, "127.0.0.44");
    attachPeer(b, 1, "127.0.0.43");
    // Bulk, something beside it, and the lone packet of a third flow, which came last.
    const records = [
      ...[0, 1, 2, 3].map((mark) => ({ mark, entropy: 0, length: 1400 })),
      ...[4, 5].map((mark) => ({ mark, entropy: 1, length: 900 })),
      { mark: 6, entropy: 0, length: 1400 },
      { mark: 7, entropy: 2, length: 64 },
    ];
    records.forEach(({ mark, entropy, length }, i) => {
      a.arena.set(vxlanPacket(length, mark), a.scratchAt + i * 2048);
      putSend(a, i, { at: a.scratchAt + i * 2048, length, port: 1, entropy });
    });
    a.exchange(records.length, 0);
    expect(a.status[io.STATUS_FAILED]).toBe(0);
    const marks: number[] = [];
    receive(b, records.length, (i) => marks.push(bytesOf(b, i).readUInt32BE(22)));
    expect(marks).toEqual([7, 4, 5, 0, 1, 2, 3, 6]);
  });

  it("hands over runts and the largest datagram as they are", async () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.40") });
    const far = createSocket("udp4").bind(0, "127.0.0.41");
    await once(far, "listening");
    attachPeer(a, 3, "127.0.0.41");
    const lengths = [0, 1, 7, 8, 21, 22, 1500, 65507];
    for (const length of lengths) far.send(vxlanPacket(Math.max(length, 8), 1).subarray(0, length), 4789, "127.0.0.40");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const seen: number[] = [];
    receive(a, lengths.length, (i) => seen.push(a.frames[f(i, io.F_LENGTH)]!));
    expect(seen.sort((x, y) => x - y)).toEqual(lengths);
    far.close();
  });

  it("the doorbell wakes a wait, once", () => {
    const one = createIo();
    native.ring(one.bell);
    native.ring(one.bell);
    expect(one.exchange(0, 1000)).toBe(0);
    expect(one.status[io.STATUS_WOKEN]).toBe(1);
    const start = performance.now();
    one.exchange(0, 30);
    expect(performance.now() - start).toBeGreaterThan(25);
    expect(one.status[io.STATUS_WOKEN]).toBe(0);
  });

  it("after destroy every call is harmless", () => {
    const one = createIo();
    one.destroy();
    expect([one.exchange(3, 100), one.attachTap(1, 0), one.attachPeer(1, 0, 4, 1), one.gather(1, 0)]).toEqual([
      0, -9, -9, 0,
    ]);
    one.detach(1);
    one.destroy();
  });
});

/** The local port of one of our UDP sockets. */
function portOf(fd: number): number {
  const inode = readlinkSync(`/proc/self/fd/${fd}`).match(/\d+/)![0];
  const rows = readFileSync("/proc/net/udp", "utf8").split("\n");
  const row = rows.map((line) => line.trim().split(/\s+/)).find((fields) => fields[9] === inode)!;
  return Number.parseInt(row[1]!.split(":")[1]!, 16);
}
