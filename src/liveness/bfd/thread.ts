/**
 * The thread of BFD: its own event loop and sockets, since a session of 50 ms cannot wait for a main thread that reloads a
 * configuration, collects garbage or serves an API.
 *
 * When it wakes it reads what has come before it looks at what is due: a thread that was late itself (a stopped process, a busy machine)
 * must not take a packet that lies in the socket for silence. A change goes to main as a message (reports.ts), and each verdict at once
 * into a word that the forwarding threads may read.
 */
import { randomInt } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { scheduleThread } from "../../io/thread.ts";
import { attachTables, type Sizes } from "../../tables/tables.ts";
import { type Board, clearFigures, writeFigures, writeRefusals } from "./board.ts";
import { countSent, receiveInner } from "./inner.ts";
import { ChangeReports } from "./reports.ts";
import { type Change, VERDICTS } from "./session.ts";
import { BfdSockets, type SocketsRequest } from "./sockets.ts";
import { type BfdRefusal, BfdSpeaker, type SessionRequest } from "./speaker.ts";

export interface ThreadRequest extends SocketsRequest {
  readonly board: Board;
  /** What the forwarding threads share: verdicts by slot, and what they have received inside VXLAN. */
  readonly tables: { readonly buffer: SharedArrayBuffer; readonly sizes: Required<Sizes> };
}

/** From main. */
export type Order =
  | { readonly kind: "sessions"; readonly requests: readonly SessionRequest[] }
  | { readonly kind: "drain"; readonly isDraining: boolean }
  | { readonly kind: "close" };

/** To main. */
export type Report =
  | { readonly kind: "change"; readonly slot: number; readonly change: Change }
  | { readonly kind: "gone"; readonly slot: number }
  /** Sockets; null: all is open. */
  | { readonly kind: "problem"; readonly text: string | null }
  | { readonly kind: "refused"; readonly reason: BfdRefusal; readonly source: string; readonly hops: number };

const RETRY_MS = 5000;
const NEVER = Number.POSITIVE_INFINITY;
/** A sample of what is refused, for people. */
const REFUSED_EVERY_MS = 1000;
/** Short turns that must be in time; without the right for it the thread is like any other. */
const NICE = -10;

const port = parentPort!;
const { board, tables: shared, ...request } = workerData as ThreadRequest;
const tables = attachTables(shared.buffer, shared.sizes);
const { verdicts } = tables.ports;
const random = () => randomInt(2 ** 47) / 2 ** 47;
const report = (what: Report) => port.postMessage(what);
let alarm: NodeJS.Timeout | undefined;
let retryMs = 0;
let isClosed = false;
let isListening = false;
let toldRefusedMs = Number.NEGATIVE_INFINITY;
let toldProblem: string | null | undefined;

scheduleThread({ priority: { nice: NICE }, cpus: [] });
const reports = new ChangeReports((slot, change) => report({ kind: "change", slot, change }));
const sockets = new BfdSockets(request, wake, random);
const speaker = new BfdSpeaker(request.address, {
  send(session, packet) {
    const bytes = sockets.send(session, packet);
    if (bytes > 0) countSent(tables, session, bytes);
    return bytes;
  },
  told(slot, change) {
    Atomics.store(verdicts, slot, VERDICTS.indexOf(change.verdict));
    reports.note(slot, change, performance.now());
  },
  noted: (slot, session) => writeFigures(board, slot, session),
  gone(slot) {
    reports.forget(slot);
    Atomics.store(verdicts, slot, 0);
    sockets.release(slot);
    clearFigures(board, slot);
    report({ kind: "gone", slot });
  },
  random,
});

function wake(): void {
  sockets.receive((mode, { source, hops, bytes, at, end }) =>
    speaker.receive({ mode, source, hops }, bytes, at, end, performance.now()),
  );
  const isMore = receiveInner(tables, (inner) => speaker.receiveInner(inner, performance.now()));
  const nowMs = performance.now();
  const dueMs = Math.min(speaker.run(nowMs) ?? NEVER, reports.run(nowMs) ?? NEVER);
  writeRefusals(board, speaker.refused);
  tellRefused(nowMs);
  if (sockets.problem !== null && nowMs >= retryMs) open(nowMs);
  tellProblem();
  const nextMs = isMore ? nowMs : Math.min(dueMs, nowMs + RETRY_MS);
  clearTimeout(alarm);
  alarm = setTimeout(wake, Math.max(0, nextMs - performance.now()));
}

/**
 * Where a session is inside VXLAN, the forwarding threads ring. The bell is read before the rings: what comes in between changes it,
 * and the wait that follows returns at once.
 */
async function listen(): Promise<void> {
  if (isListening) return;
  isListening = true;
  for (;;) {
    const seen = Atomics.load(tables.bfdBell, 0);
    if (isClosed) return;
    wake();
    const { async: isWaiting, value } = Atomics.waitAsync(tables.bfdBell, 0, seen);
    if (isWaiting) await value;
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

function open(nowMs: number): void {
  sockets.follow(speaker.modes);
  retryMs = nowMs + RETRY_MS;
}

function tellProblem(): void {
  if (sockets.problem === toldProblem) return;
  toldProblem = sockets.problem;
  report({ kind: "problem", text: toldProblem });
}

function tellRefused(nowMs: number): void {
  const last = speaker.lastRefused;
  if (last === null || nowMs - toldRefusedMs < REFUSED_EVERY_MS) return;
  toldRefusedMs = nowMs;
  speaker.lastRefused = null;
  report({ kind: "refused", reason: last.reason, source: textOf(last.source), hops: last.hops });
}

function textOf(address: Uint8Array): string {
  if (address.length === 4) return address.join(".");
  const groups = Array.from({ length: 8 }, (_, n) => ((address[n * 2]! << 8) | address[n * 2 + 1]!).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

port.on("message", (order: Order) => {
  const nowMs = performance.now();
  switch (order.kind) {
    case "sessions":
      speaker.configure(order.requests, nowMs);
      open(nowMs);
      if (speaker.modes.has("vxlan")) void listen();
      break;
    case "drain":
      speaker.drain(order.isDraining, nowMs);
      break;
    case "close":
      speaker.drain(true, nowMs);
      isClosed = true;
      clearTimeout(alarm);
      sockets.close();
      port.close();
      return;
  }
  wake();
});
