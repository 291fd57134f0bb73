/**
 * Events of all gateways in one stream, for as long as one page reads it: a line of JSON for each.
 *
 * First what the gateways remember, in the order of time, then what happens. A page that is slow loses lines (the queue of
 * api/line-stream.ts is bounded); a gateway that ends is said, and followed again only when the page asks again.
 */
import { LineStream } from "../api/line-stream.ts";
import type { EventRecord } from "../api/schema-watch.ts";
import { Refusal } from "../ctl/client.ts";
import { askAll } from "../ctl/fleet.ts";
import { follow, type Lines } from "../ctl/stream.ts";
import type { EventSaid } from "./said.ts";

const BEAT_MS = 10_000;
const DATA = "data: ";

/** @param onEnd called once, when the page reads no more. */
export async function mergedEvents(sockets: readonly string[], onEnd: () => void): Promise<ReadableStream<Uint8Array>> {
  const streams = new Set<Lines>();
  let isOver = false;
  const out = new LineStream(() => {
    isOver = true;
    clearInterval(beat);
    for (const each of streams) each.stop();
    onEnd();
  });
  const beat = setInterval(() => out.push("\n"), BEAT_MS).unref();
  const say = (line: EventSaid) => void out.push(`${JSON.stringify(line)}\n`);
  const live = (node: string, line: string) => {
    if (line.startsWith(DATA)) say({ kind: "event", node, record: JSON.parse(line.slice(DATA.length)) as EventRecord });
  };
  const answers = await askAll<EventRecord[]>(sockets, "/v1/events/recent");
  const past = answers.flatMap(({ node, value }) => (value ?? []).map((record) => ({ node, record })));
  past.sort((a, b) => (a.record.time < b.record.time ? -1 : a.record.time > b.record.time ? 1 : 0));
  for (const each of past) say({ kind: "event", ...each });
  for (const { node, socket, refusal } of answers) {
    const ended = (message: string) => say({ kind: "end", node, message });
    if (refusal !== null) {
      ended(refusal.message);
      continue;
    }
    follow(socket, "/v1/events", (line) => live(node, line)).then(
      (lines) => {
        if (isOver) return lines.stop();
        streams.add(lines);
        void lines.ended.then((stopped) => {
          streams.delete(lines);
          if (!stopped) ended(`${node} has ended the stream`);
        });
      },
      (error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        ended(error.message);
      },
    );
  }
  return out.body;
}
