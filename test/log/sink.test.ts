/** Where the log goes: full, stopped and broken outputs, written to by a fake and by the kernel. */
import { spawnSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { LogSink, QUEUE_BYTES, type Write } from "../../src/log/sink.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

/** An output whose answers the test gives. */
function fake() {
  let text = "";
  let pending: (() => void) | null = null;
  let room = Number.POSITIVE_INFINITY;
  let code: string | null = null;
  const write: Write = (_fd, bytes, at, length, _position, done) => {
    pending = () => {
      pending = null;
      if (code !== null) return done(Object.assign(new Error(code), { code }), 0);
      if (room === 0) return done(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }), 0);
      const n = Math.min(length, room);
      room -= n;
      text += Buffer.from(bytes.subarray(at, at + n)).toString();
      done(null, n);
    };
  };
  const sink = new LogSink(2, write);
  sink.onRoom = (lost) => sink.write(`lost ${lost}\n`);
  const answer = () => {
    while (pending !== null) pending();
  };
  return {
    sink,
    answer,
    text: () => text,
    isPending: () => pending !== null,
    give: (bytes: number) => {
      room = bytes;
    },
    fail: (as: string | null) => {
      code = as;
    },
  };
}

const line = (n: number, length = 100) => `${String(n).padStart(length - 1, "0")}\n`;

describe("an output that takes nothing", () => {
  it("costs a bounded queue; then lines are lost and counted, and one line says how many when there is room", () => {
    const { sink, answer, text } = fake();
    const count = Math.floor((2 * QUEUE_BYTES) / 100);
    for (let n = 0; n < count; n++) sink.write(line(n));
    expect(sink.lost).toBeGreaterThan(0);
    const lost = sink.lost;
    answer();
    const lines = text().split("\n").slice(0, -1);
    expect(lines.at(-1)).toBe(`lost ${lost}`);
    expect(lines.length - 1 + lost).toBe(count);
    expect(Number(lines.at(-2))).toBe(lines.length - 2);
    sink.write(line(7));
    answer();
    expect(text().endsWith(`lost ${lost}\n${line(7)}`)).toBe(true);
  });

  it("because its disk is full gets the rest of a line first, so that none is torn", async () => {
    const { sink, answer, text, give, isPending } = fake();
    give(150);
    for (let n = 0; n < 5; n++) sink.write(line(n));
    answer();
    expect(text()).toHaveLength(150);
    give(Number.POSITIVE_INFINITY);
    await until("the next try", 3000, isPending);
    answer();
    expect(text()).toBe([0, 1, 2, 3, 4].map((n) => line(n)).join(""));
    expect(sink.lost).toBe(0);
  });

  it("because its reader is gone loses what waits, and is tried again", async () => {
    const { sink, answer, text, fail, isPending } = fake();
    fail("EPIPE");
    for (let n = 0; n < 5; n++) sink.write(line(n));
    answer();
    expect(sink.lost).toBe(5);
    fail(null);
    await until("a line that is taken", 3000, () => {
      sink.write(line(9));
      return isPending();
    });
    answer();
    expect(text()).toMatch(/^lost \d+\n$/);
  });

  it("keeps no caller waiting longer than asked", async () => {
    const { sink } = fake();
    expect(await sink.drain(10)).toBe(true);
    sink.write(line(1));
    expect(await sink.drain(20)).toBe(false);
  });
});

describe("the kernel's outputs", () => {
  it("a pipe that is not read does not block, and gives up all that waited once it is read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "vtepd-log-"));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "pipe");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    cleanups.push(() => closeSync(reader));
    const writer = openSync(path, constants.O_WRONLY);
    cleanups.push(() => closeSync(writer));
    const sink = new LogSink(writer);
    const fromMs = performance.now();
    const count = 10_000;
    for (let n = 0; n < count; n++) sink.write(line(n));
    expect(performance.now() - fromMs).toBeLessThan(1000);
    expect(await sink.drain(50)).toBe(false);
    let text = "";
    const buffer = Buffer.alloc(1 << 16);
    const read = () => {
      try {
        for (let n = readSync(reader, buffer); n > 0; n = readSync(reader, buffer))
          text += buffer.toString("utf8", 0, n);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      }
      return text.length >= count * 100;
    };
    await until("all lines", 10_000, read);
    expect(text.split("\n").slice(0, -1).map(Number)).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(sink.lost).toBe(0);
  });

  it("/dev/full is a loss, and no error", async () => {
    const fd = openSync("/dev/full", "w");
    cleanups.push(() => closeSync(fd));
    expect(() => writeSync(fd, "x")).toThrow(/ENOSPC/);
    const sink = new LogSink(fd);
    for (let n = 0; n < (2 * QUEUE_BYTES) / 100; n++) sink.write(line(n));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(sink.lost).toBeGreaterThan(10_000);
  });
});
