/** The API's contract for trace, events and capture: schemas, statuses, streams, and readers that misbehave. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createApi } from "../../src/api/api.ts";
import type { EventSink } from "../../src/api/event-feed.ts";
import { forObservers } from "../../src/api/observer.ts";
import type { TraceRequest } from "../../src/api/schema-trace.ts";
import { CaptureLine, EventRecord } from "../../src/api/schema-watch.ts";
import type { CaptureSink, WatchSource } from "../../src/api/watch.ts";
import { sourceWith } from "./fake-source.ts";

const URL_OF = (path: string) => `http://vtepd${path}`;
const post = (body: unknown) =>
  new Request(URL_OF("/v1/trace"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

const EVENT: EventRecord = {
  seq: 7,
  time: "2026-01-02T03:04:05.678Z",
  level: "info",
  event: "ac.up",
  step: null,
  fields: {},
};

describe("POST /v1/trace", () => {
  it("fills in defaults, and refuses what it does not know with 400 or 404", async () => {
    const asked: TraceRequest[] = [];
    const api = createApi(
      sourceWith({
        trace: (request) => {
          asked.push(request);
          return request.ac === "vm9"
            ? { missing: true, message: "there is no AC vm9", hint: "vtepctl show ac lists them" }
            : { missing: false, message: "say where it arrives", hint: "name an AC or a tunnel" };
        },
      }),
    );
    const status = async (body: unknown) => {
      const answer = await api(post(body));
      const { error } = (await answer.json()) as { error: { code: string; message: string; hint: string } };
      return [answer.status, error.code];
    };
    expect(await status({ ac: "vm9" })).toEqual([404, "not_found"]);
    expect(await status({})).toEqual([400, "bad_request"]);
    expect(asked[1]).toMatchObject({ protocol: "icmp", ttl: 64, size: 84, inject: false });
    const wrong = [
      { ac: "vm1", ttl: 256 },
      { ac: "vm1", size: 9 },
      { ac: "vm1", hex: "0" },
      { ac: "vm1", hex: "xx" },
      { ac: "vm1", hex: "00".repeat(40_000) },
      { ac: "vm1", destinationMac: "1:2:3:4:5:6" },
      { ac: "vm1", source: "10.1.1" },
      { ac: "vm1", protocol: "sctp" },
      { ac: "vm1", vni: -1 },
      { ac: "vm1", colour: "red" },
      "{",
      [],
    ];
    for (const body of wrong) expect((await api(post(body))).status, JSON.stringify(body).slice(0, 60)).toBe(400);
    expect(asked.length).toBe(2);
  });
});

describe("POST /v1/inject", () => {
  const inject = (path: string, body: unknown) =>
    new Request(URL_OF(path), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  it("sends, and a trace does not: one that asks for it is refused and pointed there", async () => {
    const asked: TraceRequest[] = [];
    const trace = (request: TraceRequest) => {
      asked.push(request);
      return { missing: true, message: "there is no AC vm9", hint: "" };
    };
    const api = createApi(sourceWith({ trace }));
    const refused = await api(inject("/v1/trace", { ac: "vm1", inject: true }));
    expect(refused.status).toBe(400);
    expect(((await refused.json()) as { error: { hint: string } }).error.hint).toContain("/v1/inject");
    expect(asked).toEqual([]);
    expect((await api(inject("/v1/inject", { ac: "vm9" }))).status).toBe(404);
    expect(asked).toEqual([expect.objectContaining({ ac: "vm9", ttl: 64, inject: true })]);
    expect((await api(inject("/v1/inject", { ac: "vm9", inject: false }))).status).toBe(400);
  });
});

describe("an observer", () => {
  const control = createApi(sourceWith({}));
  const api = forObservers(control, "/run/vtepd/vtepd.sock");
  const json = { "content-type": "application/json" };

  it("is refused every operation of the document but reads and the what-if trace", async () => {
    const answer = await api(new Request(URL_OF("/v1/openapi.json")));
    const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path.replace("{name}", "x")] as const),
    );
    const open = operations.filter(([method, path]) => method === "GET" || path === "/v1/trace");
    expect(operations.length - open.length).toBeGreaterThan(8);
    for (const [method, path] of operations) {
      const body = method === "GET" ? {} : { body: "{}", headers: json };
      const { status } = await api(new Request(URL_OF(path), { method, ...body }));
      if (open.some((each) => each[0] === method && each[1] === path)) expect(status, path).not.toBe(403);
      else expect(status, `${method} ${path}`).toBe(403);
    }
  });

  it.each(["/v1/inject", "/v1/trace/../inject", "/v1/%69nject", "/v1/trace/", "/v1/TRACE", "//v1/trace"])(
    "POST %s is refused, and says where to ask",
    async (path) => {
      const answer = await api(new Request(URL_OF(path), { method: "POST", body: "{}", headers: json }));
      expect(answer.status).toBe(403);
      const { error } = (await answer.json()) as { error: { code: string; hint: string } };
      expect(error).toMatchObject({ code: "read_only", hint: expect.stringContaining("/run/vtepd/vtepd.sock") });
    },
  );
});

describe("streams", () => {
  function watching(): { source: WatchSource; sinks: EventSink[]; captures: CaptureSink[]; ended: () => number } {
    const sinks: EventSink[] = [];
    const captures: CaptureSink[] = [];
    let ended = 0;
    const source: WatchSource = {
      bootId: "b0",
      recent: () => [EVENT],
      follow: (_, sink) => {
        sinks.push(sink);
        return () => void ended++;
      },
      capture: ({ ac = [] }, sink) => {
        if (ac.includes("vm9")) return "there is no AC vm9";
        if (ac.includes("vm8")) return { busy: "16 captures run already" };
        captures.push(sink);
        return () => void ended++;
      },
    };
    return { source, sinks, captures, ended: () => ended };
  }
  const text = (part: { value?: Uint8Array | undefined }) => new TextDecoder().decode(part.value);

  it("events are server-sent, each of the schema, until the reader goes", async () => {
    const { source, sinks, ended } = watching();
    const answer = await createApi(sourceWith({ watch: source }))(new Request(URL_OF("/v1/events?drop=1")));
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    const reader = answer.body!.getReader();
    expect(text(await reader.read())).toBe(": \n\n");
    expect(sinks[0]!(EVENT)).toBe(true);
    const [id, name, data] = text(await reader.read()).split("\n");
    expect(id).toBe("id: b0-7");
    expect(name).toBe("event: ac.up");
    expect(EventRecord.parse(JSON.parse(data!.slice("data: ".length)))).toEqual(EVENT);
    await reader.cancel();
    expect(ended()).toBe(1);
    expect(sinks[0]!(EVENT)).toBe(false);
  });

  it("a browser that comes back says the last id that it heard, and a wrong one is no reason to refuse it", async () => {
    const asked: (string | undefined)[] = [];
    const { source } = watching();
    const follow: WatchSource["follow"] = ({ since }) => {
      asked.push(since);
      return () => undefined;
    };
    const api = createApi(sourceWith({ watch: { ...source, follow } }));
    const open = async (path: string, id: string) =>
      await api(new Request(URL_OF(path), { headers: { "last-event-id": id } }));
    for (const [path, id] of [
      ["/v1/events", "b0-7"],
      ["/v1/events?since=b0-9", "b0-7"],
      ["/v1/events", "whatever"],
    ] as const)
      await (await open(path, id)).body!.cancel();
    expect(asked).toEqual(["b0-7", "b0-9", undefined]);
    expect((await api(new Request(URL_OF("/v1/events?since=x")))).status).toBe(400);
  });

  it("a reader that never reads costs a bounded queue: 100,000 events, most of them refused", async () => {
    const { source, sinks } = watching();
    const answer = await createApi(sourceWith({ watch: source }))(new Request(URL_OF("/v1/events")));
    let taken = 0;
    const wide = { ...EVENT, fields: { frame: "x".repeat(200) } };
    for (let n = 0; n < 100_000; n++) if (sinks[0]!(wide)) taken++;
    expect(taken).toBeGreaterThan(1000);
    expect(taken).toBeLessThan(10_000);
    await answer.body!.cancel();
  });

  it("a capture that has ended closes the stream behind its last line, for which there is always room", async () => {
    const { source, captures, ended } = watching();
    const answer = await createApi(sourceWith({ watch: source }))(
      new Request(URL_OF("/v1/capture?host=1.1.1.1,2.2.2.2")),
    );
    while (captures[0]!({ kind: "lost", frames: 1 }));
    expect(captures[0]!({ kind: "end", reason: "count", frames: 1, lost: 2 })).toBe(true);
    expect(captures[0]!({ kind: "lost", frames: 1 })).toBe(false);
    const lines = (await answer.text()).trim().split("\n");
    expect(CaptureLine.parse(JSON.parse(lines.at(-1)!))).toEqual({ kind: "end", reason: "count", frames: 1, lost: 2 });
    expect(ended()).toBe(1);
  });

  it("a question that gets no stream leaves nothing behind: HEAD, and a capture of what is not there", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { source, sinks, captures, ended } = watching();
    const api = createApi(sourceWith({ watch: source }));
    for (const path of ["/v1/events", "/v1/capture"]) {
      const answer = await api(new Request(URL_OF(path), { method: "HEAD" }));
      expect([answer.status, answer.body]).toEqual([200, null]);
    }
    expect([sinks.length, captures.length]).toEqual([1, 1]);
    expect(ended()).toBe(2);
    expect((await api(new Request(URL_OF("/v1/capture?ac=vm9")))).status).toBe(404);
    expect((await api(new Request(URL_OF("/v1/capture?ac=vm8")))).status).toBe(503);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("frames come as lines of the schema; unknown names are 404, and nonsense is 400", async () => {
    const { source, captures } = watching();
    const api = createApi(sourceWith({ watch: source }));
    const answer = await api(new Request(URL_OF("/v1/capture?ac=vm1,vm2&snaplen=96")));
    const reader = answer.body!.getReader();
    await reader.read();
    const line: CaptureLine = { kind: "lost", frames: 3 };
    captures[0]!(line);
    expect(CaptureLine.parse(JSON.parse(text(await reader.read())))).toEqual(line);
    await reader.cancel();
    expect((await api(new Request(URL_OF("/v1/capture?ac=vm9")))).status).toBe(404);
    const nonsense = [
      "snaplen=1",
      "snaplen=x",
      "drop=maybe",
      "host=vm1",
      "host=",
      "protocol=ip",
      "count=0",
      "seconds=x",
    ];
    for (const query of [...nonsense, `host=${Array(17).fill("1.1.1.1")}`])
      expect((await api(new Request(URL_OF(`/v1/capture?${query}`)))).status, query).toBe(400);
    expect((await api(new Request(URL_OF("/v1/events/recent")))).status).toBe(200);
  });

  it("all of it stands in the OpenAPI document", async () => {
    const answer = await createApi(sourceWith({}))(new Request(URL_OF("/v1/openapi.json")));
    const { paths } = (await answer.json()) as { paths: Record<string, Record<string, { summary: string }>> };
    for (const [path, method] of [
      ["/v1/trace", "post"],
      ["/v1/events", "get"],
      ["/v1/events/recent", "get"],
      ["/v1/capture", "get"],
    ] as const)
      expect(paths[path]![method]!.summary).not.toBe("");
  });
});
