/**
 * A response body that is written line by line for as long as somebody reads it.
 *
 * The reader decides the pace, and main's memory must not depend on it: what it has not taken waits in a queue of bounded
 * bytes, and what does not fit is refused at once, for the writer to count.
 */
const QUEUE_BYTES = 2 << 20;

export class LineStream {
  readonly body: ReadableStream<Uint8Array>;
  private readonly encoder = new TextEncoder();
  private readonly queue: Uint8Array[] = [];
  private readonly limit: number;
  private readonly onEnd: () => void;
  private queued = 0;
  private isEnding = false;
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  /** @param onEnd called once, when the reader has gone, or has taken the last line. */
  constructor(onEnd: () => void, limit = QUEUE_BYTES) {
    this.limit = limit;
    this.onEnd = onEnd;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.controller = controller;
      },
      pull: () => this.pass(),
      cancel: () => {
        this.controller = null;
        this.queue.length = 0;
        onEnd();
      },
    });
  }

  /** @returns false when the reader is too slow, or gone: the text is lost. */
  push(text: string): boolean {
    if (this.controller === null || this.isEnding) return false;
    const bytes = this.encoder.encode(text);
    if (this.queued + bytes.length > this.limit) return false;
    this.queue.push(bytes);
    this.queued += bytes.length;
    this.pass();
    return true;
  }

  /** The last line, for which there is always room; the body is over when the reader has taken it. @returns false: it has gone. */
  end(text: string): boolean {
    if (this.controller === null || this.isEnding) return false;
    this.queue.push(this.encoder.encode(text));
    this.isEnding = true;
    this.pass();
    return true;
  }

  private pass(): void {
    while (this.queue.length > 0 && (this.controller?.desiredSize ?? 0) > 0) {
      const bytes = this.queue.shift()!;
      this.queued -= bytes.length;
      this.controller!.enqueue(bytes);
    }
    if (!this.isEnding || this.queue.length > 0 || this.controller === null) return;
    this.controller.close();
    this.controller = null;
    this.onEnd();
  }
}
