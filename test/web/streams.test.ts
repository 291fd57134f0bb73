/**
 * Streams of `vtepctl web` (events, a watch): places are few, and each comes back, however its answer ended; connections have a
 * bound; and a gateway that answers nonsense ends nothing but its own events.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { serveWeb, type Web } from "../../src/web/serve.ts";
import { answersOf, FakeGateway } from "./fake-gateway.ts";

const TOKEN = "fixed-for-the-test";
const PLACES = 8;
const CONNECTIONS = 128;
const WITHIN_MS = 5000;
let good: FakeGateway;
let odd: FakeGateway;
let web: Web;

beforeEach(async () => {
  good = await new FakeGateway("gw1", answersOf("gw1", "192.0.2.1", [])).start();
  odd = await new FakeGateway("gw2", answersOf("gw2", "192.0.2.2", [])).start();
  for (const each of [good, odd]) each.answers["/v1/capture"] = '{"kind":"start"}\n';
  web = await serveWeb({
    sockets: () => [good.socket, odd.socket],
    listen: { host: "127.0.0.1", port: 0 },
    token: TOKEN,
    version: "0",
  });
});
afterEach(async () => {
  await web.close();
  for (const each of [good, odd]) each.stop();
});

function ask(path: string, signal?: AbortSignal): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const post = { method: "POST", body: "{}" };
  const init = { headers, ...(path !== "/api/events" && post), ...(signal !== undefined && { signal }) };
  return fetch(`http://127.0.0.1:${web.port}${path}`, init);
}

const head = (method: string, path: string, ...more: string[]) =>
  [`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${web.port}`, `Authorization: Bearer ${TOKEN}`, ...more, "", ""].join(
    "\r\n",
  );
const BODY = ["Content-Type: application/json", "Content-Length: 0"];

/** A connection that has sent `text`. */
function sender(text: string): { socket: Socket; heard: () => string; isClosed: () => boolean } {
  const socket = connect(web.port, "127.0.0.1");
  let heard = "";
  let isClosed = false;
  socket.on("data", (part) => (heard += part.toString()));
  socket.on("error", () => undefined);
  socket.on("close", () => (isClosed = true));
  socket.write(text);
  return { socket, heard: () => heard, isClosed: () => isClosed };
}

/** All places can be taken at the same time. */
async function allFree(): Promise<void> {
  await until("all places to be free", WITHIN_MS, async () => {
    const stop = new AbortController();
    const answers = await Promise.all(Array.from({ length: PLACES }, () => ask("/api/events", stop.signal)));
    stop.abort();
    return answers.every(({ status }) => status === 200);
  });
}

async function linesOf(answer: Response, enough: (lines: Record<string, unknown>[]) => boolean) {
  const reader = answer.body!.getReader();
  let text = "";
  let lines: Record<string, unknown>[] = [];
  while (!enough(lines)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += Buffer.from(value).toString();
    lines = text
      .split("\n")
      .slice(0, -1)
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
  await reader.cancel();
  return lines;
}

describe("a place", () => {
  it("is refused to the ninth, and free when one of the eight goes", async () => {
    const readers = Array.from({ length: PLACES }, () => new AbortController());
    for (const { signal } of readers) expect((await ask("/api/events", signal)).status).toBe(200);
    const refused = await ask("/api/events");
    expect([refused.status, await refused.text()]).toEqual([
      503,
      expect.stringContaining("8 streams are read already"),
    ]);
    expect((await ask("/api/watch")).status).toBe(503);
    readers[0]!.abort();
    await until("a place", WITHIN_MS, async () => (await ask("/api/events", readers[1]!.signal)).status === 200);
    for (const each of readers) each.abort();
    await allFree();
  });

  it.each([
    ["GET", "/api/events", []],
    ["POST", "/api/watch", BODY],
  ] as const)("comes back from eight pipelined %s %s", async (method, path, more) => {
    const { socket, isClosed } = sender(head(method, path, ...more).repeat(PLACES));
    // The second is not waited for: the connection goes.
    await until("the connection to be cut", WITHIN_MS, isClosed);
    socket.destroy();
    await allFree();
    await until("a watch to be possible", WITHIN_MS, async () => {
      const stop = new AbortController();
      const [line] = await linesOf(await ask("/api/watch", stop.signal), (lines) => lines.length > 0);
      return line?.kind === "armed";
    });
  });

  it("comes back from a page that goes before its answer has begun", async () => {
    delete odd.answers["/v1/events"];
    odd.answers["/v1/status"] = ""; // never ends
    for (let n = 0; n < 3 * PLACES; n++) {
      const { socket } = sender(head("GET", "/api/events"));
      await pause(5);
      socket.destroy();
    }
    await allFree();
  });

  it("comes back from a watch whose page has gone, and its captures end", async () => {
    const stop = new AbortController();
    await linesOf(await ask("/api/watch", stop.signal), (lines) => lines.length > 0);
    await until("the captures to end", WITHIN_MS, async () => (await good.open()) + (await odd.open()) === 0);
    const [line] = await linesOf(await ask("/api/watch"), (lines) => lines.length > 0);
    expect(line?.kind).toBe("armed");
  });

  it("a capture that one gateway refuses is left open on no other", async () => {
    delete odd.answers["/v1/capture"];
    const lines = await linesOf(await ask("/api/watch"), () => false);
    expect(lines.map(({ kind }) => kind)).toEqual(["fault"]);
    await until("the captures to end", WITHIN_MS, async () => (await good.open()) === 0);
  });

  it.each([
    ["count", "gw2 saw 2000 frames before the ping was over", "ping sooner, or where there is less traffic"],
    ["seconds", "gw2 ended its capture before the ping was over", "walk once more"],
  ])(
    "a capture that is over before the ping is (%s) saw not all, and no gateway is blamed",
    async (reason, message, hint) => {
      odd.answers["/v1/capture"] = `{"kind":"start"}\n{"kind":"end","reason":"${reason}","frames":2000,"lost":0}\n`;
      const lines = await linesOf(await ask("/api/watch"), (all) => all.some(({ kind }) => kind === "fault"));
      expect(lines.at(-1)).toEqual({ kind: "fault", message, hint });
    },
  );
});

const EVENT = { seq: 1, time: "2026-01-01T00:00:00.000Z", level: "info", event: "mac.learned", step: null, fields: {} };

describe("a gateway that answers", () => {
  it.each([
    ["an object for its past", { "/v1/events/recent": { a: 1 } }],
    ["null for an event", { "/v1/events/recent": [null] }],
    ["an event without fields", { "/v1/events/recent": [{ ...EVENT, fields: null }] }],
    ["no JSON live", { "/v1/events": "data: {\n\n" }],
    ["something else live", { "/v1/events": "data: 7\n\n" }],
    ["a refusal live", { "/v1/events": undefined }],
  ])("%s ends its own events alone, and keeps no place", async (_, answers) => {
    good.answers["/v1/events/recent"] = [EVENT];
    good.answers["/v1/events"] = `data: ${JSON.stringify({ ...EVENT, seq: 2 })}\n\n`;
    Object.assign(odd.answers, answers);
    for (let n = 0; n < PLACES + 1; n++) {
      const answer = await ask("/api/events");
      expect(answer.status).toBe(200);
      const lines = await linesOf(answer, (all) => all.length >= 3);
      const of = (node: string) => lines.filter((line) => line.node === node).map(({ kind }) => kind);
      expect([of("gw1"), of("gw2")]).toEqual([["event", "event"], ["end"]]);
      await until("gateways to be left", WITHIN_MS, async () => (await good.open()) + (await odd.open()) === 0);
    }
    await allFree();
  });
});

it("connections are bounded: who waits longest goes, and a page is answered", async () => {
  const idle = Array.from({ length: 2 * CONNECTIONS }, () => sender("GET / HT"));
  await until(
    "the first to be put out",
    WITHIN_MS,
    () => idle.filter(({ isClosed }) => isClosed()).length >= CONNECTIONS,
  );
  const answer = await fetch(`http://127.0.0.1:${web.port}/`);
  expect(answer.status).toBe(200);
  await answer.text();
  for (const { socket } of idle) socket.destroy();
});
