/**
 * Where the log's lines go: a file descriptor that may be full, stopped or gone, and must not stop the gateway.
 *
 * Nothing here waits on the main thread. One write at a time is given to libuv's threads, so a pipe without a reader, a
 * terminal stopped with Ctrl-S or a disk that hangs blocks a thread of theirs and nothing else. Meanwhile lines wait in a queue
 * of QUEUE_BYTES; when it is full they are dropped and counted, until half of it is free again: then one line says how
 * many are missing.
 *
 * A line that was written in part (a disk that became full in the middle of it) is finished before anything else, so none is
 * torn. What waits for a reader that is gone (EPIPE) is lost at once.
 */
import { write } from "node:fs";

export const QUEUE_BYTES = 2 << 20;
const WRITE_BYTES = 64 << 10;
/** After a refusal: a pipe made non-blocking by its other users, and a disk without room. */
const BUSY_MS = 50;
const RETRY_MS = 1000;

/** fs.write, as it is used here. */
export type Write = (
  fd: number,
  bytes: Uint8Array,
  at: number,
  length: number,
  position: null,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void;

export class LogSink {
  private readonly fd: number;
  private readonly writeTo: Write;
  private lines: string[] = [];
  private bytes = 0;
  /** What is being written: whole lines, `at` bytes of which are out. */
  private part: { readonly bytes: Buffer; readonly lines: number; at: number } | null = null;
  private untold = 0;
  private isIdle: (() => void)[] = [];
  /** Told how many lines are missing, when there is room again; writes a line that says so. */
  onRoom: (lost: number) => void = () => undefined;
  /** Lines lost, ever. */
  lost = 0;

  constructor(fd: number, writeTo: Write = write) {
    this.fd = fd;
    this.writeTo = writeTo;
  }

  /** Whole lines; never blocks, never throws. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.untold > 0 || this.bytes + bytes > QUEUE_BYTES) this.lose(1);
    else {
      this.lines.push(line);
      this.bytes += bytes;
    }
    if (this.part === null) this.next();
  }

  /** Wait until everything is out, but no longer than `ms`. @returns is it? */
  async drain(ms: number): Promise<boolean> {
    if (this.part === null) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const idle = new Promise<boolean>((resolve) => {
      this.isIdle.push(() => resolve(true));
    });
    const isOut = await Promise.race([idle, late]);
    clearTimeout(timer);
    return isOut;
  }

  private lose(lines: number): void {
    this.lost += lines;
    this.untold += lines;
  }

  /** Begin with the oldest lines. */
  private next(): void {
    if (this.untold > 0 && this.bytes <= QUEUE_BYTES / 2) {
      const lost = this.untold;
      this.untold = 0;
      // Its line is queued behind those that were there before.
      this.part = NOTHING;
      this.onRoom(lost);
      this.part = null;
    }
    if (this.lines.length === 0) {
      this.tellIdle();
      return;
    }
    let length = 0;
    let count = 0;
    while (count < this.lines.length && (count === 0 || length < WRITE_BYTES)) length += this.lines[count++]!.length;
    const bytes = Buffer.from(this.lines.splice(0, count).join(""));
    this.bytes -= bytes.length;
    this.part = { bytes, lines: count, at: 0 };
    this.go();
  }

  private go(): void {
    const { bytes, at } = this.part!;
    this.writeTo(this.fd, bytes, at, bytes.length - at, null, (error, written) => this.done(error, written));
  }

  private done(error: NodeJS.ErrnoException | null, written: number): void {
    const part = this.part!;
    if (error !== null) {
      const isGone = error.code === "EPIPE";
      if (isGone) this.discard(part.lines);
      const again = () => {
        if (isGone) this.part = null;
        else this.go();
      };
      setTimeout(again, error.code === "EAGAIN" ? BUSY_MS : RETRY_MS).unref();
      return;
    }
    part.at += written;
    if (part.at < part.bytes.length) this.go();
    else {
      this.part = null;
      this.next();
    }
  }

  /** The reader is gone: forget what waits, and the `lines` in hand. The first line after the pause is tried again. */
  private discard(lines: number): void {
    this.lose(lines + this.lines.length);
    this.lines = [];
    this.bytes = 0;
    this.tellIdle();
  }

  private tellIdle(): void {
    for (const tell of this.isIdle.splice(0)) tell();
  }
}

const NOTHING = { bytes: Buffer.alloc(0), lines: 0, at: 0 };
