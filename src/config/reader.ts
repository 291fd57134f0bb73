/**
 * Reads and checks configuration files in a thread beside the main one (config/thread.ts).
 *
 * The thread is made at the first question and stays: the next one needs no new thread, and loads nothing again. The world
 * can refuse a thread (no file descriptors, no processes, no memory), and it can end in the middle of a file; both
 * are the answer to who asked, `Unreadable`, and the next question tries a new one. Files are read one at a time, so an
 * answer always belongs to the oldest question.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { ParseResult } from "./load.ts";

/** The file could not be read at all, for a reason that is not in it. */
export class Unreadable extends Error {}

/** How long a file may take; 5,000 routes take half a second. */
const PATIENCE_MS = 30_000;

/** What is needed of a thread. */
export type ConfigThread = Pick<Worker, "on" | "postMessage" | "terminate" | "ref" | "unref">;

const startThread = (): ConfigThread =>
  new Worker(createRequire(import.meta.url).resolve("#config-thread"), { name: "config" });

export class ConfigReader {
  private readonly start: () => ConfigThread;
  private readonly patienceMs: number;
  private thread: ConfigThread | null = null;
  private last: Promise<unknown> = Promise.resolve();
  /** Questions that wait: who asks for the same file shares one. */
  private readonly waiting = new Map<string, Promise<ParseResult>>();
  private settle: ((result: ParseResult | Unreadable) => void) | null = null;

  constructor(start: () => ConfigThread = startThread, patienceMs = PATIENCE_MS) {
    this.start = start;
    this.patienceMs = patienceMs;
  }

  /** Parse and check `file`, after those that were asked for before. Rejects with Unreadable. */
  read(file: string): Promise<ParseResult> {
    const same = this.waiting.get(file);
    if (same !== undefined) return same;
    const next = this.last.then(() => {
      this.waiting.delete(file);
      return this.readNow(file);
    });
    this.waiting.set(file, next);
    this.last = next.catch(() => undefined);
    return next;
  }

  private async readNow(file: string): Promise<ParseResult> {
    const answer = new Promise<ParseResult | Unreadable>((resolve) => {
      this.settle = resolve;
    });
    try {
      this.thread ??= this.begin();
      this.thread.ref();
      this.thread.postMessage(file);
    } catch (error) {
      this.end(error);
    }
    const timer = setTimeout(
      () => this.end(new Error(`no answer within ${this.patienceMs / 1000} s`)),
      this.patienceMs,
    );
    const result = await answer;
    clearTimeout(timer);
    if (result instanceof Unreadable) throw result;
    return result;
  }

  private begin(): ConfigThread {
    const thread = this.start();
    thread.on("message", (result: ParseResult) => {
      thread.unref();
      if (this.thread === thread) this.settle?.(result);
    });
    thread.on("error", (error) => this.thread === thread && this.end(error));
    thread.on("exit", (code) => this.thread === thread && this.end(new Error(`it ended with code ${code}`)));
    return thread;
  }

  /** The thread is of no use any more; who waits for it is told why. */
  private end(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    // One that hangs is stopped; what it says afterwards is not heard.
    void this.thread?.terminate();
    this.thread = null;
    this.settle?.(new Unreadable(`the thread that checks the file: ${why}`));
  }
}
