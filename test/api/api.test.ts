/** The API over a fake source: shapes, errors, the OpenAPI document, and the socket it is served on. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import type { Condition } from "../../src/api/feature.ts";
import { type Listener, listenObserve, listenTcp, listenUnix } from "../../src/api/listener.ts";
import { forObservers } from "../../src/api/observer.ts";
import { missingOf } from "../../src/daemon/readiness.ts";
import { createHealth } from "../../src/metrics/health.ts";
import { type ApiSource, sourceWith } from "./fake-source.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

async function ask(source: Partial<ApiSource>, path: string, method = "GET") {
  const response = await createApi(sourceWith(source))(new Request(`http://localhost${path}`, { method }));
  return { status: response.status, body: (await response.json()) as unknown };
}

describe("a read", () => {
  it.each(["vsis", "acs", "tunnels", "interfaces", "macs", "neighbors", "routes", "policies", "drops"])(
    "of %s without any answers an empty list, not null",
    async (what) => {
      expect(await ask({}, `/v1/${what}`)).toEqual({ status: 200, body: [] });
    },
  );

  it("of the neighbours answers what the source says", async () => {
    const entry = {
      interface: "vsi-interface10",
      vsi: "vsi10",
      ip: "10.1.1.11",
      mac: "02:00:00:00:01:11",
      state: "reachable",
      kind: "host" as const,
      via: { kind: "ac" as const, name: "vm1" },
      ageSeconds: 3,
      from: "request",
    };
    expect(await ask({ neighbors: () => [entry] }, "/v1/neighbors")).toEqual({ status: 200, body: [entry] });
  });

  it("of an unknown place is an error with code, message and hint", async () => {
    const { status, body } = await ask({}, "/v1/nonsense");
    expect(status).toBe(404);
    expect(body).toEqual({
      error: { code: "not_found", message: "there is no GET /v1/nonsense", hint: "see /v1/openapi.json" },
    });
  });

  it("that goes wrong inside says so, and the next one is answered", async () => {
    const fetch = createApi(
      sourceWith({
        vsis: () => {
          throw new Error("boom");
        },
      }),
    );
    const first = await fetch(new Request("http://localhost/v1/vsis"));
    expect(first.status).toBe(500);
    expect(await first.json()).toMatchObject({ error: { code: "internal", message: "boom" } });
    expect((await fetch(new Request("http://localhost/v1/acs"))).status).toBe(200);
  });
});

describe("a flush", () => {
  it("of everything, of one object, of one that is not there", async () => {
    const asked: unknown[] = [];
    const flushMacs = (vsi: string | null) => {
      asked.push(vsi);
      return vsi === "gone" ? null : 7;
    };
    expect(await ask({ flushMacs }, "/v1/macs", "DELETE")).toEqual({ status: 200, body: { removed: 7 } });
    expect(await ask({ flushMacs }, "/v1/macs?vsi=vsi10", "DELETE")).toEqual({ status: 200, body: { removed: 7 } });
    expect((await ask({ flushMacs }, "/v1/macs?vsi=gone", "DELETE")).status).toBe(404);
    expect(asked).toEqual([null, "vsi10", "gone"]);
  });

  it("of one neighbour needs its VSI-interface and a good address", async () => {
    const asked: unknown[] = [];
    const flushNeighbors = (on: string | null, ip: string | null) => asked.push([on, ip]);
    expect((await ask({ flushNeighbors }, "/v1/neighbors?ip=10.1.1.1", "DELETE")).status).toBe(400);
    const bad = await ask({ flushNeighbors }, "/v1/neighbors?interface=a&ip=10.1.1.999", "DELETE");
    expect(bad.status).toBe(400);
    expect(bad.body).toMatchObject({ error: { code: "bad_request" } });
    expect(asked).toEqual([]);
    expect((await ask({ flushNeighbors }, "/v1/neighbors?interface=a&ip=10.1.1.9", "DELETE")).status).toBe(200);
    expect(asked).toEqual([["a", "10.1.1.9"]]);
  });
});

it("the OpenAPI document names every path and schema", async () => {
  const { body } = await ask({}, "/v1/openapi.json");
  const document = body as { openapi: string; paths: Record<string, object>; components: { schemas: object } };
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      "/v1/acs",
      "/v1/config",
      "/v1/config/check",
      "/v1/config/reload",
      "/v1/drops",
      "/v1/features",
      "/v1/interfaces",
      "/v1/log",
      "/v1/macs",
      "/v1/neighbors",
      "/v1/policies",
      "/v1/routes",
      "/v1/status",
      "/v1/tunnels",
      "/v1/vsis",
    ]),
  );
  expect(Object.keys(document.paths["/v1/macs"]!)).toEqual(expect.arrayContaining(["get", "delete", "post"]));
  expect(Object.keys(document.components.schemas)).toContain("Neighbor");
});

// ---- where requests come in ------------------------------------------------------------------------------------

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "vtepd-api-"));
  cleanups.push(() => rmSync(made, { recursive: true }));
  return made;
}

function keep(listener: Listener): Listener {
  cleanups.push(() => listener.close());
  return listener;
}

function get(options: { socketPath?: string; port?: number; path: string; method?: string; headers?: object }) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", ...options, headers: { ...options.headers } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode!, text }));
    });
    outgoing.on("error", reject).end();
  });
}

describe("the control socket", () => {
  const api = createApi(sourceWith({}));

  it("is made with its directory, is the owner's alone, answers, and goes with the daemon", async () => {
    const path = join(folder(), "deep/er/vtepd.sock");
    const listener = await listenUnix(api, path);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(await get({ socketPath: path, path: "/v1/acs" })).toEqual({ status: 200, text: "[]" });
    listener.close();
    await expect.poll(() => existsSync(path)).toBe(false);
  });

  it("takes the place of one that a crash left behind", async () => {
    const path = join(folder(), "vtepd.sock");
    // A socket file without a listener: bound, and its process gone.
    const bind = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    expect(() => execFileSync(process.execPath, ["-e", bind], { stdio: "ignore" })).toThrow();
    expect(lstatSync(path).isSocket()).toBe(true);
    keep(await listenUnix(api, path));
    expect((await get({ socketPath: path, path: "/v1/acs" })).status).toBe(200);
  });

  it("does not push a living daemon aside", async () => {
    const path = join(folder(), "vtepd.sock");
    keep(await listenUnix(api, path));
    await expect(listenUnix(api, path)).rejects.toThrow(/another vtepd answers/);
    expect((await get({ socketPath: path, path: "/v1/acs" })).status).toBe(200);
  });

  it("does not remove a file that is no socket", async () => {
    const path = join(folder(), "precious");
    writeFileSync(path, "data");
    await expect(listenUnix(api, path)).rejects.toThrow(/no socket is in its place/);
    expect(lstatSync(path).isFile()).toBe(true);
  });

  it("reads no body that is too long, or does not say how long it is", async () => {
    const path = join(folder(), "vtepd.sock");
    keep(await listenUnix(api, path));
    const long = { "content-length": String((64 << 10) + 1) };
    expect((await get({ socketPath: path, path: "/v1/acs", headers: long })).status).toBe(413);
    const chunked = { "transfer-encoding": "chunked" };
    expect((await get({ socketPath: path, path: "/v1/acs", headers: chunked })).status).toBe(411);
    const removed = await get({ socketPath: path, path: "/v1/macs", method: "DELETE" });
    expect(removed).toEqual({ status: 200, text: '{"removed":0}' });
  });

  it("says which directory cannot be written", async () => {
    const blocked = join(folder(), "file");
    writeFileSync(blocked, "");
    chmodSync(blocked, 0o600);
    await expect(listenUnix(api, join(blocked, "vtepd.sock"))).rejects.toThrow(/cannot make its directory/);
  });
});

describe("the observe socket", () => {
  const api = createApi(sourceWith({}));

  it("is its group's from the start, and never wider; no other group can be given it by mistake", async () => {
    const socket = join(folder(), "observe.sock");
    const group = String(process.getgid!());
    keep(await listenObserve(forObservers(api, "/c"), { socket, group }));
    const { mode, gid } = lstatSync(socket);
    expect([mode & 0o777, gid]).toEqual([0o660, Number(group)]);
    expect((await get({ socketPath: socket, path: "/v1/acs" })).status).toBe(200);
    expect((await get({ socketPath: socket, path: "/v1/macs", method: "DELETE" })).status).toBe(403);
  });

  it("says which group there is not, and leaves no socket behind", async () => {
    const socket = join(folder(), "observe.sock");
    const listening = listenObserve(api, { socket, group: "no-such-group" });
    await expect(listening).rejects.toThrow(/no group no-such-group; groupadd --system/);
    await expect.poll(() => existsSync(socket)).toBe(false);
  });
});

describe("the TCP listener", () => {
  async function start(missing: string[] = [], conditions: Condition[] = [], stuck: string[] = []): Promise<number> {
    const health = createHealth({
      registry: new Registry(),
      stuck: () => stuck,
      unready: () => missing,
      conditions: () => conditions,
    });
    const listener = keep(await listenTcp(health, { host: "127.0.0.1", port: 0 }, () => new Set()));
    return Number(listener.at.split(":")[1]);
  }

  it("serves metrics and health, and nothing of the API", async () => {
    const port = await start();
    expect(await get({ port, path: "/livez" })).toEqual({ status: 200, text: "ok\n" });
    expect(await get({ port, path: "/readyz" })).toEqual({ status: 200, text: "ok\n" });
    expect((await get({ port, path: "/metrics" })).status).toBe(200);
    expect((await get({ port, path: "/v1/status" })).status).toBe(404);
  });

  it("is live but not ready while something is missing, and says what", async () => {
    const port = await start(["starting"]);
    expect((await get({ port, path: "/livez" })).status).toBe(200);
    expect(await get({ port, path: "/readyz" })).toEqual({ status: 503, text: "not ready: starting\n" });
  });

  it("is not live while a worker is stuck, and says which", async () => {
    const stuck = ["worker 1 is stuck for 3 s"];
    expect(await get({ port: await start(stuck, [], stuck), path: "/livez" })).toEqual({
      status: 503,
      text: "not live: worker 1 is stuck for 3 s\n",
    });
  });

  it("lists every condition with ?verbose, and what is only told makes nothing unready", async () => {
    const conditions: Condition[] = [
      { what: "started", isMet: true, isRequired: true, text: "configuration in force" },
      { what: "AC vm1", isMet: false, isRequired: true, text: "down" },
      { what: "AC vm3", isMet: false, isRequired: false, text: "waits for its TAP to be handed over" },
    ];
    const lines = [
      "[+] started: configuration in force",
      "[-] AC vm1: down",
      "[-] AC vm3: waits for its TAP to be handed over (not required)",
    ];
    const missing = missingOf(conditions);
    expect(missing).toEqual(["AC vm1 is down"]);
    const text0 = "draining: track isp is down";
    expect(missingOf([{ what: "draining", isMet: false, isRequired: true, text: text0 }])).toEqual([text0]);
    const text = `${lines.join("\n")}\nnot ready: AC vm1 is down\n`;
    expect(await get({ port: await start(missing, conditions), path: "/readyz?verbose" })).toEqual({
      status: 503,
      text,
    });
    const { status } = await get({ port: await start([], conditions.slice(2)), path: "/readyz?verbose" });
    expect(status).toBe(200);
  });

  it("refuses other methods, long headers, and says where it could not listen", async () => {
    const port = await start();
    expect((await get({ port, path: "/metrics", method: "POST" })).status).toBe(405);
    expect((await get({ port, path: "/metrics", headers: { "content-length": "5" } })).status).toBe(413);
    expect((await get({ port, path: "/metrics", headers: { x: "y".repeat(20_000) } })).status).toBe(431);
    const health = createHealth({ registry: new Registry(), stuck: () => [], unready: () => [], conditions: () => [] });
    await expect(listenTcp(health, { host: "127.0.0.1", port }, () => new Set())).rejects.toThrow(
      /metrics.listen 127.0.0.1 port \d+: .*ss -tlpn/,
    );
  });
});
