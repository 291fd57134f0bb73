/** Main's end of the engine's thread: a batch is applied in slices, acknowledged once, and what a thread told before it ended is void. */
import { EventEmitter } from "node:events";
import type { Worker } from "node:worker_threads";
import { expect, it, vi } from "vitest";
import type { EngineEvent, EngineRequest, RouteRow } from "../../src/bgp/engine.ts";
import { ThreadLink } from "../../src/bgp/link.ts";
import { pack } from "../../src/bgp/packed.ts";

class Thread extends EventEmitter {
  readonly orders: string[] = [];
  postMessage({ kind }: { readonly kind: string }): void {
    this.orders.push(kind);
  }
  unref(): void {}
}

/** @param nowMs its clock; it stands still unless told otherwise. */
function link(nowMs: () => number = () => 0) {
  const thread = new Thread();
  const applied: EngineEvent[] = [];
  let kicks = 0;
  const made = new ThreadLink({
    request: {} as EngineRequest,
    apply: (event) => void applied.push(event),
    kick: () => void kicks++,
    nowMs,
    start: () => thread as unknown as Worker,
  });
  const tell = (event: EngineEvent) => {
    const told = event.kind === "rows" ? { ...event, rows: pack(event.rows) } : event;
    thread.emit("message", { event: told, atMs: Date.now(), backlog: 7 });
  };
  return { thread, applied, made, tell, kicks: () => kicks };
}

const rows = (count: number): EngineEvent => ({
  kind: "rows",
  rows: Array.from({ length: count }, (_, n) => ({ peer: String(n), route: {} }) as RouteRow),
});
const keysOf = (event: EngineEvent) => (event.kind === "rows" ? event.rows.map(({ peer }) => Number(peer)) : []);

it("a batch is applied 32 rows at a time, in order, and acknowledged when all of them are", () => {
  const { thread, applied, made, tell, kicks } = link();
  tell(rows(100));
  tell({ kind: "complete" });
  expect(kicks()).toBe(2);
  const done: number[] = [];
  const take = () => {
    made.take();
    done.push(applied.flatMap(keysOf).length);
  };
  for (let n = 0; n < 3; n++) take();
  expect(thread.orders).toEqual([]);
  expect(made.hasMore).toBe(true);
  take();
  expect(thread.orders).toEqual(["applied"]);
  take();
  expect(made.hasMore).toBe(false);
  expect(done).toEqual([32, 64, 96, 100, 100]);
  expect(applied.flatMap(keysOf)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(thread.orders).toEqual(["applied", "applied"]);
  expect(made.backlog).toBe(7);
});

it("a step ends after a millisecond: rows that bring tunnels take longer than others", () => {
  let nowMs = 0;
  const { thread, applied, made, tell } = link(() => nowMs++);
  tell(rows(5));
  const done = [1, 2, 3].map(() => {
    made.take();
    return applied.flatMap(keysOf).length;
  });
  expect(done).toEqual([2, 4, 5]);
  expect(thread.orders).toEqual(["applied"]);
});

it("a batch without rows, and one of exactly a slice, are one step each", () => {
  const { applied, made, tell } = link();
  tell(rows(0));
  tell(rows(32));
  made.take();
  made.take();
  expect(made.hasMore).toBe(false);
  expect(applied.flatMap(keysOf)).toEqual(Array.from({ length: 32 }, (_, n) => n));
});

it("when the thread ends, what is left of a batch is void, and the loss is what comes next", () => {
  const { thread, applied, made, tell } = link();
  tell(rows(64));
  made.take();
  thread.emit("error", new Error("of its own"));
  made.take();
  expect(applied.at(-1)).toEqual({ kind: "lost", reason: "the engine's thread: of its own" });
  expect(made.hasMore).toBe(false);
  made.close();
});

it("a thread that follows another is told that routes of before are kept, also with other sessions", () => {
  vi.useFakeTimers();
  const started: EngineRequest[] = [];
  const threads: Thread[] = [];
  const made = new ThreadLink({
    request: { as: 65000 } as EngineRequest,
    apply: () => undefined,
    kick: () => undefined,
    start: (request) => {
      started.push(request);
      threads.push(new Thread());
      return threads.at(-1) as unknown as Worker;
    },
  });
  made.setPeers({ as: 65001 } as EngineRequest);
  threads[0]!.emit("exit", 1);
  vi.advanceTimersByTime(10_000);
  expect(started).toEqual([
    { as: 65000, isAgain: false },
    { as: 65001, isAgain: true },
  ]);
  made.close();
  vi.useRealTimers();
});
