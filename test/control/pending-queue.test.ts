import { describe, expect, it } from "vitest";
import type { HeldFrame } from "../../src/control/inject.ts";
import { Ledger } from "../../src/control/ledger.ts";
import {
  PENDING_BYTES,
  PENDING_BYTES_PER_PORT,
  PENDING_IN_ALL,
  PENDING_OF_QUIET_PORT,
  PENDING_PER_PORT,
  PENDING_PER_TARGET,
  PendingQueues,
} from "../../src/control/neighbor/pending-queue.ts";
import { createTables } from "../../src/tables/tables.ts";

const { tables } = createTables({ workers: 1, macs: 16, neighbors: 16, routes: 16 });

function frame(first: number, { port = 1, vsi = 1, length = 64, units = 1 } = {}): HeldFrame {
  const bytes = new Uint8Array(length).fill(first);
  return { bytes, flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units, port, vsi, worker: 0, watchId: 0 };
}

function queues(): { queues: PendingQueues; ledger: Ledger } {
  const ledger = new Ledger(tables.controlCounters);
  return { queues: new PendingQueues(ledger), ledger };
}

describe("PendingQueues", () => {
  it("gives back what waits in the order it came, as copies", () => {
    const { queues: q, ledger } = queues();
    const bytes = new Uint8Array(64);
    for (let i = 0; i < 3; i++) {
      bytes.fill(i);
      expect(q.push(7, { ...frame(0), bytes })).toBe(true);
    }
    bytes.fill(0xa5);
    expect(ledger.held).toBe(3);
    expect(q.take(7).map((each) => each.bytes[63])).toEqual([0, 1, 2]);
    expect(q.take(7)).toEqual([]);
    expect([ledger.held, q.size]).toEqual([0, 0]);
  });

  it(`keeps ${PENDING_PER_TARGET} for a target and refuses the next, never what waits`, () => {
    const { queues: q } = queues();
    for (let i = 0; i < PENDING_PER_TARGET; i++) expect(q.push(7, frame(i))).toBe(true);
    expect(q.push(7, frame(99))).toBe(false);
    expect(q.push(8, frame(1))).toBe(true);
    expect(q.take(7).map((each) => each.bytes[0])).toEqual([...Array(PENDING_PER_TARGET).keys()]);
  });

  it(`keeps ${PENDING_PER_PORT} from one port, so that others have room`, () => {
    const { queues: q } = queues();
    for (let i = 0; i < PENDING_PER_PORT; i++) expect(q.push(i, frame(0))).toBe(true);
    expect(q.push(5000, frame(0))).toBe(false);
    expect(q.push(5000, frame(0, { port: 2 }))).toBe(true);
    q.take(0);
    expect(q.push(5001, frame(0))).toBe(true);
  });

  it(`keeps ${PENDING_IN_ALL} in all`, () => {
    const { queues: q } = queues();
    const kept: number[] = [];
    for (let port = 1; port <= 24; port++) {
      let ofPort = 0;
      for (let i = 0; i < PENDING_PER_PORT; i++) if (q.push(port * 1000 + i, frame(0, { port }))) ofPort++;
      kept.push(ofPort);
    }
    // The last quarter is for those that have few.
    expect(kept).toEqual([
      ...Array(3).fill(PENDING_PER_PORT),
      ...Array(16).fill(PENDING_OF_QUIET_PORT),
      ...Array(5).fill(0),
    ]);
    expect(q.size).toBe(PENDING_IN_ALL);
  });

  it("keeps so many bytes: super-frames are 64 KB", () => {
    const { queues: q } = queues();
    const length = 64 * 1024;
    let kept = 0;
    for (let i = 0; i < 200; i++) if (q.push(i, frame(0, { length, port: 1 + (i >> 3) }))) kept++;
    expect(kept).toBe(PENDING_BYTES / length);
  });

  it("keeps a quarter of the bytes from one port, so that others have room", () => {
    const { queues: q } = queues();
    const length = 60_000;
    let kept = 0;
    for (let i = 0; i < 200; i++) if (q.push(i, frame(0, { length }))) kept++;
    expect(kept).toBe(Math.floor(PENDING_BYTES_PER_PORT / length));
    expect(q.push(5000, frame(0, { length, port: 2 }))).toBe(true);
    q.take(0);
    expect(q.push(5001, frame(0, { length }))).toBe(true);
  });

  it("counts wire packets as held, and lets go of a port's or a VSI's", () => {
    const { queues: q, ledger } = queues();
    q.push(7, frame(1, { port: 1, units: 44 }));
    q.push(7, frame(2, { port: 2 }));
    q.push(8, frame(3, { port: 1, vsi: 2 }));
    expect(ledger.held).toBe(46);
    expect(q.takePort(1).map((each) => each.bytes[0])).toEqual([1, 3]);
    expect(ledger.held).toBe(1);
    expect(q.take(8)).toEqual([]);
    expect(q.takeVsi(1).map((each) => each.bytes[0])).toEqual([2]);
    expect([ledger.held, q.size]).toEqual([0, 0]);
  });
});
