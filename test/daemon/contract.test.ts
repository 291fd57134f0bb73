/**
 * The API keeps its contract: every GET of a real daemon answers as /v1/openapi.json says, and so do errors; and whatever is
 * sent to the control socket, the daemon stays, and answers the next one who asks properly.
 */

import { request } from "node:http";
import { createConnection, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Status } from "../../src/api/schema.ts";
import { ask } from "../../src/ctl/client.ts";
import { makeDaemonBed, whyNoDaemon } from "./bed.ts";

if (whyNoDaemon) console.log(`daemon-contract.test.ts skipped: ${whyNoDaemon}`);

const bed = makeDaemonBed(3);
afterAll(() => bed.remove());

const LISTS = `vsis: [{name: v1, vni: 1, mac: {static: [{mac: "02:00:00:00:00:10", tunnel: gw2}]}}, {name: up}]
interfaces: [{name: i1, vsi: v1, address: 10.1.1.1/24, arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:09", tunnel: gw2}]}}]
acs: [{name: vm1, vsi: v1, handover: true}]
attach: {socket: ATTACH}
routes: [{prefix: 0.0.0.0/0, nextHop: 10.1.1.9}, {prefix: 99.0.0.0/8, action: discard}]
policies: [{name: p, interfaces: [i1], rules: [{match: {protocol: tcp, destinationPorts: [80]}, nextHop: 10.1.1.9}]}]
`;

type Json = Record<string, unknown>;
interface Document {
  paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, { schema: Json }> }> }>>;
  components: { schemas: Record<string, Json> };
}

/** `schema` with every reference resolved, and nothing allowed that it does not name. */
function whole(schema: unknown, document: Document): unknown {
  if (Array.isArray(schema)) return schema.map((each) => whole(each, document));
  if (typeof schema !== "object" || schema === null) return schema;
  const { $ref, ...rest } = schema as Json;
  if (typeof $ref === "string") {
    return whole({ ...document.components.schemas[$ref.split("/").at(-1)!], ...rest }, document);
  }
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, whole(value, document)]));
}

function problems(schema: Json, document: Document, value: unknown): string[] {
  const result = z.fromJSONSchema(whole(schema, document) as never).safeParse(value);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

function fetchJson(path: string, method = "GET"): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: bed.socket, path, method, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode!, body: JSON.parse(text) }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

describe.skipIf(whyNoDaemon !== undefined)("the contract", () => {
  let document: Document;
  beforeAll(async () => {
    bed.write(bed.config(LISTS.replace("ATTACH", `${bed.folder}/attach.sock`)));
    await bed.start();
    document = (await fetchJson("/v1/openapi.json")).body as Document;
  }, 60_000);

  it("every GET answers as its schema says", async () => {
    const [checked, absent]: string[][] = [[], []];
    for (const [path, methods] of Object.entries(document.paths)) {
      const schema = methods.get?.responses["200"]?.content?.["application/json"]?.schema;
      // Streams and questions with parameters have tests of their own.
      if (schema === undefined || path.includes("{")) continue;
      const { status, body } = await fetchJson(path);
      if (status === 400) continue;
      if (status === 404) {
        absent!.push(path);
        continue;
      }
      expect(status, path).toBe(200);
      expect(problems(schema, document, body), path).toEqual([]);
      checked!.push(path);
    }
    // This gateway has no `evpn` section, and the answer says so.
    expect(absent!.filter((path) => !path.startsWith("/v1/evpn"))).toEqual([]);
    for (const path of absent!) {
      expect(Object.keys(document.paths[path]!.get!.responses), path).toContain("404");
      expect((await fetchJson(path)).body, path).toMatchObject({ error: { message: expect.stringContaining("EVPN") } });
    }
    expect(checked).toEqual(
      expect.arrayContaining(["/v1/status", "/v1/macs", "/v1/neighbors", "/v1/routes", "/v1/config", "/v1/features"]),
    );
    expect(((await fetchJson("/v1/macs")).body as unknown[]).length).toBeGreaterThan(0);
  });

  it("the check itself can fail", () => {
    const { schema } = document.paths["/v1/status"]!.get!.responses["200"]!.content!["application/json"]!;
    expect(problems(schema, document, { ready: "yes" })).not.toEqual([]);
  });

  it.each([
    ["/v1/nothing", "GET", 404],
    ["/v1/status", "DELETE", 404],
    ["/v1/macs?vsi=nope", "DELETE", 404],
    ["/v1/neighbors?ip=x", "DELETE", 400],
  ])("%s with %s is a Fault", async (path, method, expected) => {
    const { status, body } = await fetchJson(path, method);
    expect(status).toBe(expected);
    expect(problems(document.components.schemas.Fault!, document, body)).toEqual([]);
  });
});

// Who goes on sending after "no" is cut off, and the "no" may be lost with the connection.
describe.skipIf(whyNoDaemon !== undefined)("hostile clients", () => {
  /** Send bytes; resolves with what came back: an answer, or nothing within `ms`. */
  function raw(bytes: string | Buffer, ms = 10_000): Promise<string> {
    return new Promise((resolve) => {
      let text = "";
      const socket = createConnection(bed.socket, () => socket.write(bytes));
      const over = () => {
        socket.destroy();
        resolve(text);
      };
      socket.on("data", (part) => {
        text += part.toString("latin1");
        // The answer's head is there; the rest of it comes at once or not at all.
        if (text.includes("\r\n\r\n")) setTimeout(over, 100);
      });
      socket.on("close", over).on("error", over);
      setTimeout(over, ms);
    });
  }
  const post = (headers: string, body: string | Buffer = "") =>
    Buffer.concat([
      Buffer.from(`POST /v1/config/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}\r\n\r\n`),
      Buffer.from(body),
    ]);
  const status = () => ask<Status>(bed.socket, "/v1/status");

  it.each<[string, () => Buffer, RegExp]>([
    ["a body of a megabyte", () => post("content-length: 1048576", "x".repeat(1 << 20)), /^(HTTP\/1\.1 413|$)/],
    ["no length", () => post("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), /^HTTP\/1\.1 411/],
    ["a length that is no number", () => post("content-length: five", "hello"), /^HTTP\/1\.1 400/],
    ["two lengths", () => post("content-length: 5\r\ncontent-length: 6", "hello!"), /^HTTP\/1\.1 400/],
    ["a negative length", () => post("content-length: -1", "x"), /^HTTP\/1\.1 400/],
    [
      "more than it said",
      () => post("content-length: 2\r\nconnection: close", `{}${"garbage".repeat(100)}`),
      /^HTTP\/1\.1 (200|400)/,
    ],
    ["no JSON", () => post("content-length: 5", "{{{{{"), /^HTTP\/1\.1 400/],
    [
      "bad UTF-8",
      () => post("content-length: 6", Buffer.from([0x7b, 0xff, 0xfe, 0x80, 0x22, 0x7d])),
      /^HTTP\/1\.1 400/,
    ],
    ["JSON of another shape", () => post("content-length: 8", '{"file"]'), /^HTTP\/1\.1 400/],
    ["a file name with a null", () => post("content-length: 20", '{"file":"a\\u0000b"}\n'), /^HTTP\/1\.1 200/],
    [
      "a depth of 10,000",
      () => post("content-length: 20000", `${"[".repeat(10_000)}${"]".repeat(10_000)}`),
      /^HTTP\/1\.1 400/,
    ],
    ["a header of 100 KB", () => post(`x-long: ${"x".repeat(100_000)}`), /^HTTP\/1\.1 431/],
    ["no HTTP", () => Buffer.from("\0\0\0hello\r\n\r\n"), /^HTTP\/1\.1 400/],
    [
      "a path of another world",
      () => Buffer.from("GET /v1/../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
      /^HTTP\/1\.1 404/,
    ],
  ])("%s", async (_, bytes, expected) => {
    expect(await raw(bytes())).toMatch(expected);
    expect((await status()).node).toBe("gw1");
  });

  it("less than it said is waited for, and cut off; the others are answered meanwhile", {
    timeout: 30_000,
  }, async () => {
    const slow = Array.from({ length: 20 }, () => raw(post("content-length: 60000", "{"), 15_000));
    const fromMs = performance.now();
    expect((await status()).node).toBe("gw1");
    expect(performance.now() - fromMs).toBeLessThan(2000);
    for (const text of await Promise.all(slow)) expect(text).toMatch(/^HTTP\/1\.1 408/);
  });

  it("a thousand connections at once: most are refused, and when they are gone everything is as before", async () => {
    const all: Socket[] = [];
    for (let i = 0; i < 1000; i++) {
      const socket = createConnection(bed.socket);
      socket.on("error", () => undefined);
      all.push(socket);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const socket of all) socket.destroy();
    await expect.poll(() => status().then(({ node }) => node), { timeout: 10_000 }).toBe("gw1");
  });
});
