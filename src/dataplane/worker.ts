/**
 * The life of a forwarding thread: wait for its work, attach the shared tables, make its io, turn the plane until told to
 * stop.
 *
 * The loop never returns to the thread's event loop, so it receives no messages: it is commanded through shared
 * words (SET_STOP, its inject ring) and woken by its doorbell, and what it has to say is in its counters and its punt
 * ring. A wait is at most TURN_MS long, so even a lost wake-up costs no more than that.
 *
 * What main and this thread tell each other besides is in a *note block* of a few words (NOTE_*): looked at once a second
 * of the batch's clock, so it costs a batch nothing.
 *
 * Nothing is caught here. An exception in the plane is our mistake: the thread ends with the stack, main hears of it and
 * stops the process, a supervisor starts a new one.
 */
import { parentPort, workerData } from "node:worker_threads";
import { createPortIo, FALLBACK_CAUSES, type NativePortIo, type PortIoRequest } from "../io/native.ts";
import { STATUS_NOW_MS } from "../io/port-io.ts";
import { scheduleThread, type ThreadOutcome, type ThreadRequest, threadWaits } from "../io/thread.ts";
import { keepYoungGenerationSmall } from "../io/young-generation.ts";
import { attachTables, SET_STOP, type Sizes, type Tables } from "../tables/tables.ts";
import { Plane } from "./plane.ts";

/** `workerData` of a forwarding thread: tells it from other threads that import this file, those of the tests. */
export interface ThreadKind {
  readonly forwards: true;
}

/** The first and only message to a forwarding thread. */
export interface WorkerData {
  readonly buffer: SharedArrayBuffer;
  readonly sizes: Sizes;
  readonly worker: number;
  readonly io: PortIoRequest;
  readonly schedule: ThreadRequest;
  /** NOTE_WORDS int32. */
  readonly notes: SharedArrayBuffer;
}

/** Main writes: the largest inner IP packet that fits the underlay, when it has changed; 0: it has not. */
export const NOTE_INNER_MTU = 0;
/** The worker writes: fallback counters, in the order of FALLBACK_CAUSES. */
export const NOTE_FALLBACKS = 1;
/** It is never written: a worker waits here when it gives way. */
const NOTE_PAUSE = NOTE_FALLBACKS + FALLBACK_CAUSES.length;
export const NOTE_WORDS = NOTE_PAUSE + 1;

/** What a worker tells main, by message: once, before its loop begins, and once more after it. */
export type WorkerNote =
  | {
      readonly kind: "running";
      readonly features: ReturnType<NativePortIo["features"]>;
      readonly thread: ThreadOutcome;
    }
  | { readonly kind: "stopped" };

const TURN_MS = 100;
const NOTES_EVERY_MS = 1000;
/** A real-time worker that has not waited for so long gives way for PAUSE_MS. */
const GIVE_WAY_EVERY_MS = 50;
const PAUSE_MS = 2;

/** Exchange what is in the note block. */
function exchangeNotes(notes: Int32Array, io: NativePortIo): void {
  const innerMtu = Atomics.exchange(notes, NOTE_INNER_MTU, 0);
  if (innerMtu !== 0) io.setInnerMtu(innerMtu);
  const { fallbacks } = io.features();
  for (let i = 0; i < FALLBACK_CAUSES.length; i++) notes[NOTE_FALLBACKS + i] = fallbacks[FALLBACK_CAUSES[i]!];
}

/**
 * A real-time worker under full load never waits by itself: without a pause nothing else would run on its processor, main's
 * ARP and API neither, and the kernel would take it for stuck (io/thread.ts).
 */
class GivingWay {
  private readonly notes: Int32Array;
  private lookedMs: number;
  private waits = threadWaits();

  constructor(notes: Int32Array, nowMs: number) {
    this.notes = notes;
    this.lookedMs = nowMs;
  }

  /** Between two turns. */
  look(nowMs: number): void {
    if (((nowMs - this.lookedMs) | 0) < GIVE_WAY_EVERY_MS) return;
    this.lookedMs = nowMs;
    if (threadWaits() === this.waits) Atomics.wait(this.notes, NOTE_PAUSE, 0, PAUSE_MS);
    this.waits = threadWaits();
  }
}

/** Turn until SET_STOP, then once more to settle what is left. */
function live(tables: Tables, io: NativePortIo, notes: Int32Array, worker: number, isRealTime: boolean): void {
  const plane = new Plane(tables, io, worker);
  plane.start();
  let notedMs = io.status[STATUS_NOW_MS]!;
  const givingWay = isRealTime ? new GivingWay(notes, notedMs) : null;
  while (Atomics.load(tables.settings, SET_STOP) === 0) {
    plane.turn(TURN_MS);
    const nowMs = io.status[STATUS_NOW_MS]!;
    givingWay?.look(nowMs);
    // The clock wraps: compared by subtraction.
    if (((nowMs - notedMs) | 0) < NOTES_EVERY_MS) continue;
    notedMs = nowMs;
    exchangeNotes(notes, io);
  }
  plane.stop();
}

/** Run this thread as worker `data.worker`. */
function main(data: WorkerData, tell: (note: WorkerNote) => void): void {
  const tables = attachTables(data.buffer, data.sizes);
  const io = createPortIo(data.io);
  const thread = scheduleThread(data.schedule);
  tell({ kind: "running", features: io.features(), thread });
  const { priority } = data.schedule;
  const isRealTime = typeof priority === "object" && "fifo" in priority && thread.priorityError === 0;
  live(tables, io, new Int32Array(data.notes), data.worker, isRealTime);
  io.destroy();
  tell({ kind: "stopped" });
}

// Threads start here, and only threads of this kind.
if (parentPort !== null && (workerData as Partial<ThreadKind> | null)?.forwards === true) {
  const port = parentPort;
  keepYoungGenerationSmall();
  port.once("message", (data: WorkerData) => main(data, (note) => port.postMessage(note)));
}
