/**
 * Main's end of the BFD thread: which sessions there shall be goes over, what happens to them comes back.
 *
 * The thread is not the process: when it ends by a fault of its own, nothing is known of any peer until a new one has spoken to it;
 * it is started again after a moment. The words that the forwarding threads read are cleared then, since a gateway that cannot look
 * must not conclude that a peer is dead.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { Tables } from "../../tables/tables.ts";
import { type Board, createBoard } from "./board.ts";
import type { SocketsRequest } from "./sockets.ts";
import type { SessionRequest } from "./speaker.ts";
import type { Order, Report, ThreadRequest } from "./thread.ts";

const RESTART_MS = 2000;

/** What watches over tunnels needs of the thread. */
export interface BfdLink {
  readonly board: Board;
  /** These sessions, and no others. */
  setSessions(requests: readonly SessionRequest[]): void;
  /** All out of service, or in service again. */
  drain(isDraining: boolean): void;
  close(): void;
}

export type LinkReport = Report | { readonly kind: "lost"; readonly reason: string };

export interface LinkParts {
  readonly sockets: SocketsRequest;
  readonly tables: Tables;
  readonly onReport: (report: LinkReport) => void;
}

export class BfdThreadLink implements BfdLink {
  private readonly parts: LinkParts;
  readonly board = createBoard();
  private thread: Worker | null = null;
  private requests: readonly SessionRequest[] = [];
  private isDraining = false;
  private isClosed = false;

  constructor(parts: LinkParts) {
    this.parts = parts;
    this.begin();
  }

  setSessions(requests: readonly SessionRequest[]): void {
    this.requests = requests;
    this.order({ kind: "sessions", requests });
  }

  drain(isDraining: boolean): void {
    this.isDraining = isDraining;
    this.order({ kind: "drain", isDraining });
  }

  close(): void {
    this.isClosed = true;
    this.order({ kind: "close" });
    this.thread?.unref();
  }

  private order(order: Order): void {
    this.thread?.postMessage(order);
  }

  private begin(): void {
    const { sockets, tables, onReport } = this.parts;
    const { verdicts } = tables.ports;
    const shared = { buffer: verdicts.buffer as SharedArrayBuffer, sizes: tables.sizes };
    const workerData: ThreadRequest = { ...sockets, board: this.board, tables: shared };
    const thread = new Worker(createRequire(import.meta.url).resolve("#bfd-thread"), { name: "bfd", workerData });
    this.thread = thread;
    thread.on("message", (report: Report) => {
      if (this.thread === thread && !this.isClosed) onReport(report);
    });
    const end = (reason: string) => {
      if (this.thread !== thread || this.isClosed) return;
      this.thread = null;
      verdicts.fill(0);
      this.board.fill(0);
      onReport({ kind: "lost", reason });
      setTimeout(() => !this.isClosed && this.begin(), RESTART_MS).unref();
    };
    thread.on("error", (error) => end(error.message));
    thread.on("exit", (code) => end(`it ended with code ${code}`));
    this.order({ kind: "sessions", requests: this.requests });
    if (this.isDraining) this.order({ kind: "drain", isDraining: true });
  }
}
