/** The doors of HTTP with a crowd before them: who is let in, who has to go, and by which name one may ask. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { ourNames } from "../../src/api/host-names.ts";
import { type Fetch, faultsTo, type Listener, listening, listenTcp, listenUnix } from "../../src/api/listener.ts";
import { createHealth } from "../../src/metrics/health.ts";
import { sourceWith } from "./fake-source.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

function keep(listener: Listener): Listener {
  cleanups.push(() => listener.close());
  return listener;
}

type Place = { readonly port: number } | { readonly path: string };

/** A connection that has said `text`, and what it has heard. */
class Client {
  readonly socket: Socket;
  text = "";
  isOver = false;

  constructor(place: Place, text = "") {
    this.socket = connect({ host: "127.0.0.1", ...place });
    this.socket.setEncoding("latin1").on("error", () => undefined);
    this.socket.on("data", (part) => {
      this.text += part;
    });
    this.socket.on("close", () => {
      this.isOver = true;
    });
    if (text !== "") this.socket.write(text);
    cleanups.push(() => this.socket.destroy());
  }

  get isOpen(): boolean {
    return !this.isOver;
  }
}

/** The answer to `bytes`, head and all. */
async function answer(place: Place, bytes: string): Promise<string> {
  const client = new Client(place, bytes);
  await expect.poll(() => client.isOver, { timeout: 5000, interval: 5 }).toBe(true);
  return client.text;
}

const get = (path: string, ...lines: string[]) =>
  `GET ${path} HTTP/1.1\r\n${[...lines, "connection: close"].join("\r\n")}\r\n\r\n`;

const healthOf = (registry = new Registry()): Fetch =>
  createHealth({ registry, stuck: () => [], unready: () => [], conditions: () => [] });

async function tcp(fetch = healthOf(), names = new Set<string>()): Promise<Place> {
  const listener = keep(await listenTcp(fetch, { host: "127.0.0.1", port: 0 }, () => names));
  return { port: Number(listener.at.split(":")[1]) };
}

async function unix(fetch: Fetch = createApi(sourceWith({}))): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-doors-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  return { path: keep(await listenUnix(fetch, join(folder, "vtepd.sock"))).at };
}

it("a listener outlives every connection that it cannot take, and tells of each", async () => {
  const server = createServer();
  cleanups.push(() => server.close());
  server.listen(0, "127.0.0.1");
  const lines: unknown[] = [];
  await listening(server, "control socket /run/x", faultsTo({ line: (...line) => lines.push(line) }));
  const fault = Object.assign(new Error("accept EMFILE"), { code: "EMFILE" });
  for (let i = 0; i < 3; i++) server.emit("error", fault);
  expect(lines).toHaveLength(3);
  const fix = "raise LimitNOFILE (ulimit -n), or see who holds connections";
  const fields = { listener: "control socket /run/x", message: "accept EMFILE", fix };
  expect(lines[0]).toEqual(["warn", "listener.fault", fields]);
});

describe.each([
  ["the metrics listener", tcp, "/livez"],
  ["the control socket", unix, "/v1/acs"],
] as const)("%s", (_, open, path) => {
  it.each([
    ["say nothing", ""],
    ["say half a head", `GET ${path} HTTP/1.1\r\nHost: localhost\r\nX: `],
  ])("answers at once while three hundred connections %s", async (_, text) => {
    const place = await open();
    const slow = Array.from({ length: 300 }, () => new Client(place, text));
    await expect.poll(() => slow.every(({ socket }) => !socket.connecting)).toBe(true);
    expect(await answer(place, get(path, "host: localhost"))).toMatch(/^HTTP\/1\.1 200/);
    // It did not wait until they had used up their second.
    expect(slow.filter((client) => client.isOpen)).not.toEqual([]);
    // It was the oldest that had to go.
    expect(slow.slice(0, 45).filter((client) => client.isOpen)).toEqual([]);
  });

  it("waits a second for a head", async () => {
    const place = await open();
    const fromMs = performance.now();
    expect(await answer(place, `GET ${path} HTTP/1.1\r\n`)).toMatch(/^HTTP\/1\.1 408/);
    expect(performance.now() - fromMs).toBeGreaterThan(900);
    expect(performance.now() - fromMs).toBeLessThan(5000);
  });

  it("has an end to the connections it holds", async () => {
    const place = await open();
    const idle = Array.from({ length: 400 }, () => new Client(place));
    await expect.poll(() => idle.filter((client) => client.isOpen).length, { timeout: 900, interval: 20 }).toBe(256);
  });

  it("lets a connection that has been answered ask again, and puts it out like one that waits", async () => {
    const place = await open();
    const kept = new Client(place, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await expect.poll(() => kept.text).toMatch(/^HTTP\/1\.1 200/);
    kept.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await expect.poll(() => kept.text.match(/HTTP\/1\.1 200/g)?.length).toBe(2);
    for (let i = 0; i < 256; i++) new Client(place);
    await expect.poll(() => kept.isOver).toBe(true);
  });

  it("answers HTTP/1.0, with and without Host", async () => {
    const place = await open();
    expect(await answer(place, `GET ${path} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200/);
    expect(await answer(place, `GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200/);
  });

  it("demands one Host of HTTP/1.1 (RFC 9112 §3.2)", async () => {
    const place = await open();
    expect(await answer(place, get(path))).toMatch(/^HTTP\/1\.1 400/);
    expect(await answer(place, get(path, "host: localhost", "host: localhost"))).toMatch(/^HTTP\/1\.1 400/);
  });
});

describe("answers that never end", () => {
  const stream: Fetch = () => new Response(new ReadableStream({ start: (to) => to.enqueue(Buffer.from("data: x\n")) }));
  /** Connections that are being answered, the first of them first. */
  async function answered(place: Place, count: number): Promise<Client[]> {
    const clients: Client[] = [];
    for (let i = 0; i < count; i++) {
      const client = new Client(place, get("/", "host: localhost"));
      await expect.poll(() => client.text, { interval: 2 }).toContain("data: x");
      clients.push(client);
    }
    return clients;
  }

  it("of the metrics listener make room, the oldest first", async () => {
    const place = await tcp((request) => (request.url.endsWith("/livez") ? healthOf()(request) : stream(request)));
    const greedy = await answered(place, 40);
    await expect.poll(() => greedy.filter((client) => client.isOpen).length).toBe(32);
    expect(await answer(place, get("/livez", "host: localhost"))).toMatch(/^HTTP\/1\.1 200/);
    await expect.poll(() => greedy.map((client) => client.isOpen)).toEqual(greedy.map((_, i) => i >= 9));
  });

  it("of the control socket stay: a newcomer hears that there is no room", async () => {
    const place = await unix(stream);
    const streams = await answered(place, 256);
    expect(await answer(place, get("/", "host: localhost"))).toMatch(/^HTTP\/1\.1 503.*"code":"busy"/s);
    expect(streams.every((client) => client.isOpen)).toBe(true);
  }, 20_000);
});

describe("requests behind one that is not answered yet", () => {
  it("put their connection out, and are not answered: their answers would all be kept", async () => {
    let asked = 0;
    const slow: Fetch = async () => {
      asked++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return new Response("x".repeat(100_000));
    };
    for (const place of [await tcp(slow), await unix(slow)]) {
      asked = 0;
      const client = new Client(place, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(300));
      await expect.poll(() => client.isOver, { timeout: 5000, interval: 5 }).toBe(true);
      expect(asked).toBeLessThanOrEqual(1);
    }
  });

  it("one after the other are welcome on one connection", async () => {
    const client = new Client(await tcp(), "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (let n = 2; n <= 20; n++) {
      await expect.poll(() => client.text.split("ok\n").length - 1, { timeout: 5000, interval: 1 }).toBe(n - 1);
      client.socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    await expect.poll(() => client.text.split("ok\n").length - 1, { timeout: 5000, interval: 1 }).toBe(20);
    expect(client.isOpen).toBe(true);
  });
});

describe("the name by which the metrics are asked", () => {
  const names = ourNames({ node: "gw1", metrics: { host: "0.0.0.0", port: 9475, hosts: ["Gateway.Example.net"] } });

  it.each([
    "localhost",
    "localhost:9475",
    "LocalHost.",
    "127.0.0.1",
    "127.0.0.1:9475",
    "192.0.2.1:9475",
    "[::1]",
    "[2001:db8::1]:9475",
    "gw1",
    "GW1:9475",
    "gateway.example.net:9475",
    "gateway.example.net.:9475",
    hostname(),
  ])("may be %s", async (host) => {
    expect(await answer(await tcp(undefined, new Set(names)), get("/livez", `host: ${host}`))).toMatch(
      /^HTTP\/1\.1 200/,
    );
  });

  it.each([
    "evil.example",
    "evil.example:9475",
    "gw1.evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "[::1].evil.example",
    "[evil.example]",
    "2130706433",
    "0x7f.1",
    "gw1:9475:9475",
    "",
  ])("may not be %j", async (host) => {
    const text = await answer(await tcp(undefined, new Set(names)), get("/metrics", `host: ${host}`));
    expect(text).toMatch(/^HTTP\/1\.1 421/);
    expect(text).toMatch(/is no name of this gateway: ask by address, or add the name to metrics\.hosts\n$/);
  });

  // RFC 9112 §3.2.2: then it is the target's name that counts, and not Host.
  it.each(["evil.example", "evil.example:9475", "localhost@evil.example", "[evil.example]", "localhost:80:80"])(
    "may not be %j in a target that is a whole URL",
    async (host) => {
      const place = await tcp(undefined, new Set(names));
      for (const scheme of ["http", "HTTP", "https"])
        expect(await answer(place, get(`${scheme}://${host}/metrics`, "host: localhost"))).toMatch(
          /^HTTP\/1\.1 4(00|21)/,
        );
    },
  );

  it.each(["localhost", "127.0.0.1:9475", "gw1"])(
    "may be %j in a target that is a whole URL, whatever Host says",
    async (host) => {
      const place = await tcp(undefined, new Set(names));
      expect(await answer(place, get(`http://${host}/livez`, "host: evil.example"))).toMatch(/^HTTP\/1\.1 200/);
    },
  );

  it.each(["*", "livez", "evil.example:80", "http:/evil.example/livez", "http:evil.example", "//evil.example/livez"])(
    "is asked by no target like %j",
    async (target) => {
      const place = await tcp(undefined, new Set(names));
      expect(await answer(place, get(target, "host: localhost"))).toMatch(/^HTTP\/1\.1 4/);
    },
  );
});
