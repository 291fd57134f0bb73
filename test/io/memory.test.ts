/** The fake io keeps the contract of port-io.ts: if it were kinder than the real one, tests would prove nothing. */
import { describe, expect, it } from "vitest";
import { addressText, type Datagram, MemoryIo, MemoryNet } from "../../src/io/memory.ts";
import { Pool } from "../../src/io/pool.ts";
import {
  F_AT,
  F_FLAGS,
  F_HEAD,
  F_LENGTH,
  F_OUTER_SOURCE,
  F_OUTER_TOS,
  F_SOURCE,
  F_UNITS,
  FRAME_WORDS,
  HEADROOM,
  MAX_FRAMES,
  S_AT,
  S_DONE,
  S_ENTROPY,
  S_ERROR,
  S_LENGTH,
  S_PORT,
  S_TOS,
  S_UNITS,
  SEND_WORDS,
  STATUS_FAILED,
  STATUS_NOW_MS,
} from "../../src/io/port-io.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";

function attachPeer(io: MemoryIo, port: number, address: string): void {
  const bytes = address.split(".").map(Number);
  io.arena.set(bytes, io.scratchAt);
  expect(io.attachPeer(port, io.scratchAt, bytes.length, 4789)).toBe(0);
}

/** Two VTEPs that know each other as io port 3, and a TAP as io port 1 of the first. */
function pair(seed = 1) {
  const net = new MemoryNet(seed);
  const [a, b] = [new MemoryIo(net, A), new MemoryIo(net, B)];
  attachPeer(a, 3, B);
  attachPeer(b, 3, A);
  const tap = net.tap();
  a.attachTap(1, tap.fd);
  return { net, a, b, tap };
}

function put(
  io: MemoryIo,
  i: number,
  port: number,
  bytes: number[] | Uint8Array,
  extra: Record<number, number> = {},
): void {
  const at = io.scratchAt + i * 4096 + 64;
  io.arena.set(bytes, at);
  io.sends.fill(0, i * SEND_WORDS, (i + 1) * SEND_WORDS);
  io.sends[i * SEND_WORDS + S_AT] = at;
  io.sends[i * SEND_WORDS + S_LENGTH] = bytes.length;
  io.sends[i * SEND_WORDS + S_PORT] = port;
  io.sends[i * SEND_WORDS + S_UNITS] = 1;
  for (const [word, value] of Object.entries(extra)) io.sends[i * SEND_WORDS + Number(word)] = value;
}

const frameOf = (io: MemoryIo, i: number): Int32Array => io.frames.slice(i * FRAME_WORDS, (i + 1) * FRAME_WORDS);
function bytesOf(io: MemoryIo, i: number): number[] {
  const d = frameOf(io, i);
  return [...io.arena.slice(d[F_AT]!, d[F_AT]! + d[F_LENGTH]!)];
}
const outcome = (io: MemoryIo, i: number): number[] => [
  io.sends[i * SEND_WORDS + S_DONE]!,
  io.sends[i * SEND_WORDS + S_ERROR]!,
];

describe("receive", () => {
  it("frames lie behind their headroom, inner Ethernet 64-byte aligned, apart, in order, all else stale", () => {
    const { net, a, tap } = pair();
    net.nowMs = 2 ** 31 + 5;
    const frames = [14, 64, 1, 1514, 60].map((n) => new Uint8Array(n).fill(n));
    for (const frame of frames) tap.send(frame);
    net.inbox(A).push({ from: B, to: A, tos: 0xb8, entropy: 9, bytes: new Uint8Array(30).fill(30) });
    net.inbox(A).push({ from: "192.0.2.77", to: A, tos: 0, entropy: 9, bytes: new Uint8Array(0) });
    expect(a.exchange(0, 0)).toBe(7);
    let cursor = 0;
    for (let i = 0; i < 7; i++) {
      const d = frameOf(a, i);
      const isDatagram = i >= 5;
      expect((d[F_AT]! + (isDatagram ? 8 : 0)) % 64).toBe(0);
      expect(d[F_AT]! + (isDatagram ? 8 : 0) - cursor).toBeGreaterThanOrEqual(HEADROOM);
      for (let k = cursor; k < d[F_AT]!; k++) if (a.arena[k] !== 0xa5) throw new Error(`byte ${k} is not stale`);
      cursor = d[F_AT]! + d[F_LENGTH]!;
      expect([d[F_HEAD], d[F_UNITS], d[F_FLAGS]]).toEqual([d[F_LENGTH], 1, 0]);
      if (!isDatagram) expect([bytesOf(a, i), d[F_SOURCE], d[F_OUTER_TOS]]).toEqual([[...frames[i]!], 1, 0]);
    }
    expect([frameOf(a, 5)[F_SOURCE], frameOf(a, 5)[F_OUTER_TOS], frameOf(a, 5)[F_OUTER_SOURCE]]).toEqual([
      3,
      0xb8,
      0xc0000202 | 0,
    ]);
    expect(frameOf(a, 6)[F_SOURCE], "not one we know").toBe(0);
    expect(a.status[STATUS_NOW_MS], "wrapping int32").toBe((2 ** 31 + 5) | 0);
  });

  it("is a copy: what the VM does to its frame afterwards does not matter", () => {
    const { a, tap } = pair();
    const frame = new Uint8Array(20).fill(1);
    tap.send(frame);
    frame.fill(2);
    a.exchange(0, 0);
    expect(bytesOf(a, 0)).toEqual(new Array(20).fill(1));
  });

  it("never more than a batch; the rest waits; scratch is never written", () => {
    const { a, tap } = pair();
    a.arena.fill(0x77, a.scratchAt);
    for (let i = 0; i < 1300; i++) tap.send(new Uint8Array(60));
    expect([a.exchange(0, 0), a.waiting, a.exchange(0, 0), a.waiting, a.exchange(0, 0)]).toEqual([
      MAX_FRAMES,
      true,
      1300 - MAX_FRAMES,
      false,
      0,
    ]);
    for (let i = 0; i < 30; i++) tap.send(new Uint8Array(65_000));
    const batches: number[] = [];
    for (let n = a.exchange(0, 0); n > 0; n = a.exchange(0, 0)) batches.push(n);
    expect(batches.reduce((x, y) => x + y)).toBe(30);
    expect(batches.length).toBeGreaterThan(3);
    expect(a.arena.slice(a.scratchAt).every((byte) => byte === 0x77)).toBe(true);
  });
});

describe("send", () => {
  it("delivers exactly the record's bytes with their outer fields, and says how each record ended", () => {
    const { net, a, b, tap } = pair();
    const seen: Datagram[] = [];
    const heard: number[][] = [];
    net.observe = (d) => seen.push(d);
    tap.receive = (frame) => heard.push([...frame]);
    put(a, 0, 3, [1, 2, 3], { [S_TOS]: 0x2a, [S_ENTROPY]: 77 });
    put(a, 1, 1, [4, 5]);
    put(a, 2, 9, [6]);
    put(a, 3, 3, new Uint8Array(1473));
    put(a, 4, 3, new Uint8Array(1472), { [S_UNITS]: 3 });
    a.exchange(5, 0);
    expect([0, 1, 2, 3, 4].map((i) => outcome(a, i))).toEqual([
      [1, 0],
      [1, 0],
      [0, -19],
      [0, -90],
      [3, 0],
    ]);
    expect(a.status[STATUS_FAILED]).toBe(2);
    expect(heard).toEqual([[4, 5]]);
    expect(seen.map((d) => [d.from, d.to, d.tos, d.entropy, d.bytes.length])).toEqual([
      [A, B, 0x2a, 77, 3],
      [A, B, 0, 0, 1472],
    ]);
    expect(b.exchange(0, 0)).toBe(2);
    expect(bytesOf(b, 0)).toEqual([1, 2, 3]);
    expect([frameOf(b, 0)[F_SOURCE], frameOf(b, 0)[F_OUTER_TOS]]).toEqual([3, 0x2a]);
    a.exchange(0, 0);
    expect(a.status[STATUS_FAILED]).toBe(0);
  });

  it("errors are scripted per port and heal; a detached port is none", () => {
    const { a, b, tap } = pair();
    a.failPeer(3, -11);
    tap.error = -5;
    const all = (): number[][] => {
      put(a, 0, 3, [1]);
      put(a, 1, 1, [1]);
      a.exchange(2, 0);
      return [outcome(a, 0), outcome(a, 1)];
    };
    expect(all()).toEqual([
      [0, -11],
      [0, -5],
    ]);
    a.failPeer(3, 0);
    tap.error = 0;
    expect(all()).toEqual([
      [1, 0],
      [1, 0],
    ]);
    a.detach(3);
    a.detach(1);
    expect(all()).toEqual([
      [0, -19],
      [0, -19],
    ]);
    expect(a.attachTap(1, 9999)).toBe(-9);
    put(b, 0, 3, [1]);
    b.exchange(1, 0);
    expect(a.exchange(0, 0)).toBe(1);
    expect(frameOf(a, 0)[F_SOURCE]).toBe(0);
  });

  it("to an address that does not exist: EHOSTUNREACH", () => {
    const { a } = pair();
    attachPeer(a, 4, "192.0.2.44");
    put(a, 0, 4, [1]);
    a.exchange(1, 0);
    expect(outcome(a, 0)).toEqual([0, -113]);
  });
});

describe("the underlay's faults", () => {
  /** Numbers of the datagrams that arrived of 1000 sent, by seed. */
  function run(seed: number, faults: Partial<MemoryNet["faults"]>): { tags: number[]; corrupt: number } {
    const { net, a, b } = pair(seed);
    Object.assign(net.faults, faults);
    const tags: number[] = [];
    let corrupt = 0;
    for (let i = 0; i < 1000; i += 10) {
      for (let k = 0; k < 10; k++) put(a, k, 3, [(i + k) >> 8, i + k, 0, 0, 0, 0, 0, 0, 0, 0]);
      a.exchange(10, 0);
      const n = b.exchange(0, 0);
      for (let k = 0; k < n; k++) {
        const bytes = bytesOf(b, k);
        if (bytes.slice(2).some((byte) => byte !== 0)) corrupt++;
        tags.push((bytes[0]! << 8) | bytes[1]!);
      }
    }
    return { tags, corrupt };
  }
  const inOrder = Array.from({ length: 1000 }, (_, i) => i);

  it("none: everything, in order", () => expect(run(5, {})).toEqual({ tags: inOrder, corrupt: 0 }));

  it("loss, duplication, reordering and corruption happen about as often as asked, the same for the same seed", () => {
    const lossy = run(5, { loss: 0.2 });
    expect(lossy.tags.length).toBeGreaterThan(740);
    expect(lossy.tags.length).toBeLessThan(860);
    expect(run(5, { loss: 0.2 })).toEqual(lossy);
    expect(run(6, { loss: 0.2 }).tags).not.toEqual(lossy.tags);
    const doubled = run(5, { duplicate: 0.2 }).tags;
    expect(doubled.length).toBeGreaterThan(1140);
    expect([...new Set(doubled)].sort((x, y) => x - y)).toEqual(inOrder);
    const shuffled = run(5, { reorder: 0.3 }).tags;
    expect(shuffled).not.toEqual(inOrder);
    expect(shuffled.toSorted((x, y) => x - y)).toEqual(inOrder);
    expect(run(5, { corrupt: 0.2 }).corrupt).toBeGreaterThan(100);
  });

  it("a partition cuts one direction until mended", () => {
    const { net, a, b } = pair();
    net.partition(A, B, true);
    put(a, 0, 3, [1]);
    put(b, 0, 3, [2]);
    a.exchange(1, 0);
    expect(outcome(a, 0), "the sender does not notice").toEqual([1, 0]);
    expect([b.exchange(1, 0), a.exchange(0, 0)]).toEqual([0, 1]);
    net.partition(A, B, false);
    put(a, 0, 3, [1]);
    a.exchange(1, 0);
    expect(b.exchange(0, 0)).toBe(1);
  });
});

describe("addresses", () => {
  it("as text", () => {
    expect(addressText(new Uint8Array([192, 0, 2, 1]))).toBe("192.0.2.1");
    expect(addressText(new Uint8Array([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]))).toBe("2001:db8::9");
  });
});

describe("Pool", () => {
  const make = () => {
    const io = new MemoryIo(new MemoryNet(), A, 8192);
    return { io, pool: new Pool(io) };
  };

  it("gives aligned, disjoint places with headroom inside the scratch, then refuses; a reset frees all at once", () => {
    const { io, pool } = make();
    for (let round = 0; round < 3; round++) {
      let end = io.scratchAt;
      let n = 0;
      for (let at = pool.take(100); at >= 0; at = pool.take(100)) {
        expect(at % 64).toBe(0);
        expect(at - end).toBeGreaterThanOrEqual(HEADROOM);
        end = at + 100;
        n++;
      }
      expect(end).toBeLessThanOrEqual(io.arena.length);
      expect(n).toBe(21);
      expect(pool.used).toBeLessThanOrEqual(pool.size);
      pool.reset();
      expect(pool.used).toBe(0);
    }
    expect(pool.highWater).toBeGreaterThan(3900);
    expect(pool.take(pool.size)).toBe(-1);
    expect(pool.take(pool.size - 64)).toBe(io.scratchAt + 64);
  });

  it("with poison a reset overwrites what was used", () => {
    const { io, pool } = make();
    pool.poison = true;
    const at = pool.take(100);
    io.arena.fill(1, at, at + 100);
    pool.reset();
    expect(io.arena.slice(at, at + 100).every((byte) => byte === 0xa5)).toBe(true);
  });
});
