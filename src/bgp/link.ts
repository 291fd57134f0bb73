/**
 * Main's end of the engine's thread: orders go over at once, what the engine tells is taken one batch a round.
 *
 * The thread is not the process: when it ends by a fault of its own the engine is lost, and a new thread is started. Routes
 * that were announced stay in the engine.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { EvpnRoute } from "../evpn/route.ts";
import type { Engine, EngineEvent, EngineRequest } from "./engine.ts";
import { countOf, unpack } from "./packed.ts";
import type { Order, Report } from "./thread.ts";

const RESTART_MS = 2000;
/** Most rows that are applied in one step: a fraction of a millisecond, then a round of control looks at the clock. */
const SLICE = 32;
/** Rows between two looks at the clock within it: each may name a VTEP that is new, and a tunnel takes as long as many rows. */
const ROWS = 2;
const SLICE_MS = 1;

export interface EngineLink extends Engine {
  /** Apply the oldest event, or a slice of its rows. */
  take(): void;
  /** Is there one? */
  readonly hasMore: boolean;
  /** Rows that wait in the thread, as of its last word. */
  readonly backlog: number;
}

export interface LinkParts {
  readonly request: EngineRequest;
  /** @param waitedMs since it came to the thread. */
  readonly apply: (event: EngineEvent, waitedMs: number) => void;
  /** There is something to take. */
  readonly kick: () => void;
  /** Milliseconds of a monotonic clock; default: this process's. */
  readonly nowMs?: () => number;
  /** Default: the real thread. */
  readonly start?: (request: EngineRequest) => Worker;
}

const startThread = (request: EngineRequest): Worker =>
  new Worker(createRequire(import.meta.url).resolve("#bgp-thread"), { name: "bgp", workerData: request });

export class ThreadLink implements EngineLink {
  private readonly parts: LinkParts;
  private request: EngineRequest;
  private thread: Worker | null = null;
  private reports: Report[] = [];
  private isClosed = false;
  private hasBegun = false;
  /** Rows of the oldest report that are applied already. */
  private applied = 0;
  backlog = 0;

  constructor(parts: LinkParts) {
    this.parts = parts;
    this.request = parts.request;
    this.begin();
  }

  get hasMore(): boolean {
    return this.reports.length > 0;
  }

  announce(routes: readonly EvpnRoute[]): void {
    this.order({ kind: "announce", routes });
  }

  withdraw(routes: readonly EvpnRoute[]): void {
    this.order({ kind: "withdraw", routes });
  }

  resync(): void {
    this.order({ kind: "resync" });
  }

  setPeers(request: EngineRequest): void {
    this.request = request;
    this.order({ kind: "peers", request });
  }

  close(): void {
    this.isClosed = true;
    this.order({ kind: "close" });
    this.thread?.unref();
    this.reports = [];
  }

  take(): void {
    const report = this.reports[0];
    if (report === undefined) return;
    const { event, atMs, backlog } = report;
    this.backlog = backlog;
    const waitedMs = Math.max(0, Date.now() - atMs);
    if (event.kind === "rows") {
      const all = countOf(event.rows);
      const last = Math.min(all, this.applied + SLICE);
      const now = this.parts.nowMs ?? (() => performance.now());
      const untilMs = now() + SLICE_MS;
      do {
        const rows = unpack(event.rows, this.applied, Math.min(last, this.applied + ROWS));
        this.applied += rows.length;
        this.parts.apply({ kind: "rows", rows }, waitedMs);
      } while (this.reports[0] === report && this.applied < last && now() < untilMs);
    } else this.parts.apply(event, waitedMs);
    // What it did may have closed us, or the thread may have ended.
    if (this.reports[0] !== report || (event.kind === "rows" && this.applied < countOf(event.rows))) return;
    this.reports.shift();
    this.applied = 0;
    this.order({ kind: "applied" });
  }

  private order(order: Order): void {
    this.thread?.postMessage(order);
  }

  private begin(): void {
    const thread = (this.parts.start ?? startThread)({ ...this.request, isAgain: this.hasBegun });
    this.hasBegun = true;
    this.thread = thread;
    thread.on("message", (report: Report) => {
      if (this.thread !== thread || this.isClosed) return;
      this.reports.push(report);
      this.parts.kick();
    });
    const end = (reason: string) => {
      if (this.thread !== thread || this.isClosed) return;
      this.thread = null;
      this.applied = 0;
      this.reports = [{ event: { kind: "lost", reason }, atMs: Date.now(), backlog: 0 }];
      this.parts.kick();
      setTimeout(() => !this.isClosed && this.begin(), RESTART_MS).unref();
    };
    thread.on("error", (error) => end(`the engine's thread: ${error.message}`));
    thread.on("exit", (code) => end(`the engine's thread ended with code ${code}`));
  }
}
