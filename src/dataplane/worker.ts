/**
 * The life of a forwarding thread: attach the shared tables, make its io, turn the plane until told to stop.
 *
 * The loop never returns to the thread's event loop, so nobody can send it a message: it is commanded through shared
 * words (SET_STOP, its inject ring) and woken by its doorbell, and what it has to say is in its counters and its punt
 * ring. A wait is at most TURN_MS long, so even a lost wake-up costs no more than that.
 *
 * Nothing is caught here. An exception in the plane is our mistake: the thread ends with the stack, main hears of it and
 * stops the process, a supervisor starts a new one.
 */
import { parentPort, workerData } from "node:worker_threads";
import { createPortIo, type NativePortIo, type PortIoRequest } from "../io/native.ts";
import { attachTables, SET_STOP, type Sizes, type Tables } from "../tables/tables.ts";
import { Plane } from "./plane.ts";

/** What main hands to a worker thread. */
export interface WorkerData {
  readonly buffer: SharedArrayBuffer;
  readonly sizes: Sizes;
  readonly worker: number;
  readonly io: PortIoRequest;
}

/** What a worker tells main, by message: once, before its loop begins, and once more after it. */
export type WorkerNote =
  | { readonly kind: "running"; readonly features: ReturnType<NativePortIo["features"]> }
  | { readonly kind: "stopped" };

const TURN_MS = 100;

/** Turn until SET_STOP, then once more to settle what is left. */
function live(tables: Tables, io: NativePortIo, worker: number): void {
  const plane = new Plane(tables, io, worker);
  while (Atomics.load(tables.settings, SET_STOP) === 0) plane.turn(TURN_MS);
  plane.stop();
}

/** Run this thread as worker `data.worker`. */
function main(data: WorkerData, tell: (note: WorkerNote) => void): void {
  const tables = attachTables(data.buffer, data.sizes);
  const io = createPortIo(data.io);
  tell({ kind: "running", features: io.features() });
  live(tables, io, data.worker);
  io.destroy();
  tell({ kind: "stopped" });
}

// Threads start here, and only threads: imported for its types, this file does nothing.
if (parentPort !== null && workerData !== null && "sizes" in (workerData as object)) {
  const port = parentPort;
  main(workerData as WorkerData, (note) => port.postMessage(note));
}
