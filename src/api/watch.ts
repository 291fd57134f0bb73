/**
 * Streams: events as they happen (SSE), and frames as they pass (one JSON object a line).
 *
 * Both go on until the reader closes the connection, or a capture has what was asked for. A reader that is slow loses lines and is told how many; it never holds
 * up the daemon, and its queue is bounded (line-stream.ts).
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { EventSink } from "./event-feed.ts";
import { fault } from "./json-body.ts";
import { LineStream } from "./line-stream.ts";
import { Fault } from "./schema.ts";
import { CaptureLine, CaptureQuery, EventQuery, EventRecord, SINCE } from "./schema-watch.ts";

/** @returns false: the line could not be taken, and is lost. */
export type CaptureSink = (line: CaptureLine) => boolean;

/** Ends what has begun; a text: there is no such object; `busy`: too many run. */
export type Begun = (() => void) | string | { readonly busy: string };

export interface WatchSource {
  /** Of this run of the daemon: events are numbered within it. */
  readonly bootId: string;
  /** The last events, oldest first. */
  recent(query: EventQuery): EventRecord[];
  /** Events and drops from now on, or all that are kept since one of them. @returns ends it. */
  follow(query: EventQuery, sink: EventSink): () => void;
  /** Frames from now on. */
  capture(query: CaptureQuery, sink: CaptureSink): Begun;
}

const HEARTBEAT_MS = 10_000;

export function addWatch(app: OpenAPIHono, source: WatchSource): void {
  const recent = createRoute({
    method: "get",
    path: "/v1/events/recent",
    summary: "The last events, oldest first",
    request: { query: EventQuery },
    responses: {
      200: { description: "At most 256", content: { "application/json": { schema: z.array(EventRecord) } } },
    },
  });
  app.openapi(recent, (c) => c.json(source.recent(c.req.valid("query")), 200));
  const events = createRoute({
    method: "get",
    path: "/v1/events",
    summary: "Events and drops from now on, or from one of them on (`since`, or the header Last-Event-ID)",
    request: { query: EventQuery },
    responses: {
      200: {
        description: "Server-sent events; the data of each is an Event, its id BOOT-NUMBER",
        content: { "text/event-stream": { schema: z.string() } },
      },
    },
  });
  app.openapi(events, (c) => {
    const { stream, begin } = streamOf(": \n\n");
    const query = c.req.valid("query");
    const last = c.req.header("last-event-id") ?? "";
    const since = query.since ?? (SINCE.test(last) ? last : undefined);
    const textOf = (record: EventRecord) =>
      `id: ${source.bootId}-${record.seq}\nevent: ${record.event}\ndata: ${JSON.stringify(record)}\n\n`;
    begin(source.follow({ ...query, since }, (record) => stream.push(textOf(record))));
    return c.body(stream.body, 200, { "content-type": "text/event-stream", "cache-control": "no-store" }) as never;
  });
  const capture = createRoute({
    method: "get",
    path: "/v1/capture",
    summary: "Frames from now on",
    request: { query: CaptureQuery },
    responses: {
      200: { description: "One object a line", content: { "application/x-ndjson": { schema: CaptureLine } } },
      404: { description: "There is no such object", content: { "application/json": { schema: Fault } } },
      503: { description: "Too many captures run", content: { "application/json": { schema: Fault } } },
    },
  });
  app.openapi(capture, (c) => {
    const { stream, begin } = streamOf("\n");
    const end = source.capture(c.req.valid("query"), (line) => {
      const text = `${JSON.stringify(line)}\n`;
      return line.kind === "end" ? stream.end(text) : stream.push(text);
    });
    if (typeof end === "string") {
      const hint = "vtepctl show ac, show tunnel and show vsi list them";
      return c.json(fault("not_found", end, hint), 404);
    }
    if ("busy" in end) return c.json(fault("busy", end.busy, "end one of them"), 503);
    begin(end);
    return c.body(stream.body, 200, { "content-type": "application/x-ndjson", "cache-control": "no-store" }) as never;
  });
}

/** A stream that beats now and then from `begin` on, so that a connection that is no longer read is noticed. */
function streamOf(beat: string): { stream: LineStream; begin: (end: () => void) => void } {
  let end = (): void => undefined;
  const stream = new LineStream(() => end());
  // The head of the response goes out with the first bytes: a client that waits for it is told at once that we listen.
  stream.push(beat);
  return {
    stream,
    begin: (ender) => {
      const timer = setInterval(() => stream.push(beat), HEARTBEAT_MS).unref();
      end = () => {
        clearInterval(timer);
        ender();
      };
    },
  };
}
