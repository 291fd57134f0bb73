/**
 * Events of all gateways in one stream, for as long as one page reads it: a line of JSON for each.
 *
 * First what the gateways remember, in the order of time, then what happens. A page that is slow loses lines (the queue of
 * api/line-stream.ts is bounded); a gateway that ends, or answers with something else than events, is said, and followed again
 * only when the page asks again.
 */
import type { EventRecord } from "../api/schema-watch.ts";
import { type Answer, askAll } from "../ctl/fleet.ts";
import { follow, type Lines } from "../ctl/stream.ts";
import { askGateway, believedLine, Event } from "./answers.ts";
import type { EventSaid } from "./said.ts";
import { beatingStream } from "./streams.ts";

const DATA = "data: ";

export function mergedEvents(sockets: readonly string[]): ReadableStream<Uint8Array> {
  const streams = new Set<Lines>();
  let isOver = false;
  const out = beatingStream(() => {
    isOver = true;
    for (const each of streams) each.stop();
  });
  const text = (line: EventSaid) => `${JSON.stringify(line)}\n`;
  const say = (line: EventSaid) => void out.push(text(line));
  const ended = (node: string, message: string) => say({ kind: "end", node, message });

  async function live({ node, socket }: Answer<unknown>): Promise<void> {
    const lines = await follow(socket, "/v1/events", (line) => {
      if (line.startsWith(DATA))
        say({
          kind: "event",
          node,
          record: believedLine<EventRecord>(Event, line.slice(DATA.length), "GET /v1/events"),
        });
    });
    if (isOver) return lines.stop();
    streams.add(lines);
    try {
      if (!(await lines.ended)) ended(node, `${node} has ended the stream`);
    } finally {
      streams.delete(lines);
    }
  }

  async function tell(): Promise<void> {
    const answers = await askAll<EventRecord[]>(sockets, "/v1/events/recent", "GET", {}, askGateway);
    const past: { node: string; record: EventRecord }[] = [];
    for (const answer of answers) {
      const { node, value, refusal } = answer;
      if (refusal !== null) ended(node, refusal.message);
      else {
        past.push(...value!.map((record) => ({ node, record })));
        live(answer).catch((error: Error) => ended(node, error.message));
      }
    }
    past.sort((a, b) => (a.record.time < b.record.time ? -1 : a.record.time > b.record.time ? 1 : 0));
    for (const each of past) say({ kind: "event", ...each });
  }

  tell().catch((error: Error) => out.end(text({ kind: "end", node: "", message: error.message })));
  return out.body;
}
