/**
 * Answers that last (events, a watch, a walk): few at the same time, for each holds connections to every gateway.
 *
 * A place belongs to an answer and ends with it, whether it was read to its end, left, or failed. That an answer's end is always
 * heard is what api/admission.ts sees to: there is one answer on a connection at a time, and Node tells no other of its end.
 */
import type { ServerResponse } from "node:http";
import { LineStream } from "../api/line-stream.ts";
import type { Refused } from "./gate.ts";

const PATHS: ReadonlySet<string> = new Set(["/api/events", "/api/watch", "/api/walk"]);
const MOST = 8;
/** Milliseconds after which a connection that moves nothing is cut. No answer of ours is silent for so long. */
export const SILENCE_MS = 30_000;
const BEAT_MS = 10_000;

export class Streams {
  private readonly open = new Set<ServerResponse>();

  /** Take a place for the answer to `target`, if that is a stream. @returns null: it may be answered. */
  admit(target: string, outgoing: ServerResponse): Refused | null {
    if (!PATHS.has(target.split("?", 1)[0]!)) return null;
    if (this.open.size >= MOST)
      return { status: 503, message: `${MOST} streams are read already: close a page that shows events or a walk` };
    this.open.add(outgoing);
    outgoing.on("close", () => this.open.delete(outgoing));
    return null;
  }
}

/** Lines for a page, with an empty one now and then: a reader that has gone without a word is found out by it. */
export function beatingStream(onEnd: () => void): LineStream {
  const stream = new LineStream(() => {
    clearInterval(beat);
    onEnd();
  });
  const beat = setInterval(() => stream.push("\n"), BEAT_MS).unref();
  return stream;
}
