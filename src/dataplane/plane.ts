/**
 * One turn of a worker's loop, run to completion: send what the last batch decided, receive, forward, tell control.
 *
 * The thread (worker.ts) calls `turn` for ever; a test calls it by hand over memory io. The heartbeat says "inside a
 * batch" exactly while tables are read.
 */
import { type PortIo, STATUS_PAUSED } from "../io/port-io.ts";
import { BATCH_BUCKETS, DROP, MISC_BATCHES, MISC_BUCKETS, MISC_FRAMES, MISC_PAUSES } from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";
import { WorkerContext } from "./context.ts";
import { drainInject } from "./inject.ts";
import { forward } from "./pipeline.ts";
import { settle } from "./settle.ts";
import { watchBatch } from "./watch-batch.ts";
import { Watcher } from "./watcher.ts";

/** How many budgets of injected records may be carried out before the first turn. */
const START_BUDGETS = 16;
/** Injected records carried out per turn; the rest waits for the next one, which then does not sleep. */
const INJECT_BUDGET = 256;

export class Plane {
  readonly worker: WorkerContext;
  private readonly t: Tables;
  private readonly io: PortIo;
  private more = false;

  constructor(tables: Tables, io: PortIo, index: number) {
    this.t = tables;
    this.io = io;
    this.worker = new WorkerContext(tables, io, index, new Watcher(tables, index));
  }

  /**
   * Before the first turn: carry out what control has commanded so far, the peers above all. Datagrams may wait in the
   * socket already, and their senders must be known when they are read.
   */
  start(): void {
    const { worker } = this;
    this.t.heartbeat.enter(worker.index);
    worker.begin();
    let budgets = START_BUDGETS;
    while (drainInject(worker, INJECT_BUDGET) === INJECT_BUDGET && --budgets > 0);
    this.more = !this.t.injects[worker.index]!.isEmpty;
    this.t.heartbeat.leave(worker.index);
  }

  /** One turn; waits at most `timeoutMs` for input. @returns frames received and records injected. */
  turn(timeoutMs: number): number {
    const { worker } = this;
    const f = worker.frame;
    const sends = worker.sendCount;
    // What has just been sent is settled before anything is waited for, so that the ledger balances also while idle.
    const received = this.io.exchange(sends, this.more || sends > 0 ? 0 : timeoutMs);
    this.t.heartbeat.enter(worker.index);
    worker.begin();
    worker.counters.misc[MISC_PAUSES]! += this.io.status[STATUS_PAUSED]!;
    settle(worker, sends);
    const injected = drainInject(worker, INJECT_BUDGET);
    this.more = !this.t.injects[worker.index]!.isEmpty;
    if (worker.watch !== 0) watchBatch(worker, received);
    else
      for (let i = 0; i < received; i++) {
        f.load(i);
        forward(worker, f);
      }
    worker.finish();
    if (worker.watch !== 0) worker.watcher.wake();
    this.t.heartbeat.leave(worker.index);
    if (received > 0) this.note(received);
    if (worker.puntCount > 0) {
      Atomics.add(this.t.doorbell, 0, 1);
      Atomics.notify(this.t.doorbell, 0);
    }
    return received + injected;
  }

  /** The last turn: carry out what is decided, and name the fate of what still arrives. */
  stop(): void {
    const { worker } = this;
    const f = worker.frame;
    const sends = worker.sendCount;
    const received = this.io.exchange(sends, 0);
    worker.begin();
    settle(worker, sends);
    for (let i = 0; i < received; i++) {
      f.load(i);
      worker.counters.received[0]! += f.units;
      worker.counters.drops[DROP.shutting_down]! += f.units;
    }
  }

  /** Are there decisions that the next exchange has to carry out? */
  get pending(): boolean {
    return this.worker.sendCount > 0 || this.more;
  }

  private note(received: number): void {
    const { misc } = this.worker.counters;
    misc[MISC_FRAMES]! += received;
    misc[MISC_BATCHES]! += 1;
    for (let i = 0; i < BATCH_BUCKETS.length; i++) {
      if (received <= BATCH_BUCKETS[i]!) {
        misc[MISC_BUCKETS + i]! += 1;
        return;
      }
    }
  }
}
